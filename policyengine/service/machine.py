"""One shard's machine: an event from outside in, everything that happens because of it out, in order.

Folding, deciding, timers that fire, customers whom the world reaches, bit by bit: over a Memory, without
a clock, a ledger or a file. What it gives is the same for every use: a run, a dry run, a case, a replay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import orjson
import structlog

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event, Rejection
from policyengine.domain.offers import CHOSEN, admit_choice
from policyengine.domain.state import CustomerState, to_micros
from policyengine.domain.timers import LOST, Timer, internal_event
from policyengine.domain.validation import Validator
from policyengine.domain.values import Json
from policyengine.domain.world import Job, admit_world
from policyengine.engine.decide import decide
from policyengine.engine.reach import decide_reached, grants_of
from policyengine.engine.ruleset import RuleSet
from policyengine.errors import PolicyEngineError
from policyengine.ledger.canonical import canonical
from policyengine.service.door import SET_ASIDE
from policyengine.service.effects import PACE, Effects
from policyengine.service.memory import Memory
from policyengine.service.poison import PASSED_OVER, REACHED, Aside, Poison
from policyengine.service.supplements import late_supplements, supplements, version_of

REACH = 64  # customers to a piece of a job, and events from outside between two pieces
TURNS = 16  # pieces of jobs, at the most, that an event from outside waits for
TICKED = "clock.ticked"
BY_THE_STATE = "EV1"  # the codes of ``Refused`` begin so
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
__all__ = ["REACHED", "Happened", "Machine", "Refused"]
log = structlog.get_logger()


class Happened(NamedTuple):
    """An event that was folded in, and what was decided on it; ``event.document`` is what is recorded.

    ``internal``: the machine made the event. With `customers.reached` the decisions are those of the
    job's event for the customers of one piece.
    """

    event: Event
    internal: bool
    decisions: list[Decision]


class Refused(NamedTuple):
    """Why the state does not allow an event: a code EV1xx and a reason. It leaves only the time behind."""

    code: str
    reason: str


class Machine:
    """What happens in one shard. Whoever drives it records what it yields, in the order it comes.

    The memory is changed as the happenings come out: take them all before anything is committed, and
    note each (where the memory keeps the past) before the next is asked for.

    ``busy``: the timer, or the customer of a job, that it is at; what it failed at, after an exception.
    ``aside``: which of these are passed over, and why: a timer is lost, a customer is not decided on.
    """

    def __init__(self, ruleset: RuleSet, memory: Memory) -> None:
        """Go on from what is remembered; ``adopt`` is for whoever makes a policy set the one in force."""
        self.memory = memory
        self.effects = Effects(ruleset, memory)
        self.busy: Poison | None = None
        self.aside: Aside = {}
        self._validator: Validator | None = None
        self._cause: tuple[int, Event | None] | None = None  # the event of the job with that number

    @property
    def ruleset(self) -> RuleSet:
        """The policy set in force."""
        return self.effects.ruleset

    def adopt(self, ruleset: RuleSet) -> None:
        """Decide under another policy set from here on: called with every policy set that is recorded.

        Its versions' timers (review, taking effect) are set, those of versions that it lacks are dropped;
        they fire with the next event or tick whose time has reached them.
        """
        self.effects.adopt(ruleset)
        self._validator = self._cause = None

    def use(self, ruleset: RuleSet) -> None:
        """Decide under a policy set that was recorded before; no timers are set."""
        self.effects.use(ruleset)
        self._validator = self._cause = None

    def record(self, event: Event) -> Iterator[Happened | Refused]:
        """One event from outside, which the door has let in.

        First every timer that is due by its time; then the event, or why it is refused; then timers that
        are due by now because of it; then a piece of a job, when one is due.
        """
        yield from self.advance(to_micros(event.time))
        received = self.receive(event)
        yield received
        if isinstance(received, Happened):
            yield from self.follow()

    def follow(self) -> Iterator[Happened]:
        """What an event from outside brings about at once: timers that are due, a piece of a job."""
        yield from self.settle()
        if self.owes_piece():
            yield from self.piece()

    def receive(self, event: Event) -> Happened | Refused:
        """An event from outside by itself, when every timer before it has fired."""
        self.effects.arrived(to_micros(event.time))
        refused = self.admit(event)
        if refused is not None:
            return refused
        pending = self.memory.world.jobs
        happened = self.accept(event)
        if pending:
            self.effects.count()
        return happened

    def owes_piece(self) -> bool:
        """Whether so many events have come that the next customers of a job take their turn."""
        return self.memory.world.since >= REACH

    def advance(self, until: int) -> Iterator[Happened]:
        """Let time pass until then (µs): fire every timer due by it, in timers' order. Never back.

        Jobs have their share of that time, so that whoever reads a stream again meets the customers about
        when they were reached while it was live; but no event waits for more than TURNS pieces.
        """
        now = self.memory.world.now
        until = until if now is None else max(now, until)
        while True:
            due = self.due(until)
            if self._owed_by(until if due is None else due[0].due):
                yield from self.piece()
            elif due is not None:
                yield self.fire(*due)
            else:
                break
        self.effects.pass_to(until)

    def _owed_by(self, at: int) -> bool:
        """Whether so much of the stream's time has passed that the next customers take their turn."""
        world = self.memory.world
        return bool(world.jobs) and at - world.paced >= PACE and world.turns < TURNS

    def settle(self) -> Iterator[Happened]:
        """Fire what is due by now already."""
        now = self.memory.world.now
        while now is not None and (due := self.due(now)) is not None:
            yield self.fire(*due)

    def due(self, until: int) -> tuple[Timer, Event] | None:
        """The first pending timer that is due by then, and its event.

        One whose event the catalogue of a later policy set refuses is lost, and so is one that is set
        aside: that is recorded in its place.
        """
        self.busy = None
        while (timer := self.memory.next_timer(until)) is not None:
            self.busy = Poison.timer(timer)
            event = self._event_of_timer(timer)
            if event is not None:
                return timer, event
            self.memory.drop_timer(timer.customer, timer.id)
            self.busy = None
        return None

    def _event_of_timer(self, timer: Timer) -> Event | None:
        """What a timer becomes; None: the catalogue, older than such events, cannot say that it is lost."""
        aside = self.aside.get(Poison.timer(timer))
        event = self._read(timer.document()) if aside is None else Rejection(SET_ASIDE, aside, b"")
        if isinstance(event, Event):
            return event
        log.error("timer lost", timer=timer.id, event_type=timer.event, reason=event.reason)
        lost = self.internal(_lost(timer, event))
        if lost is None and aside is not None:
            message = f"the catalogue lacks the event type `{LOST}`; publish the policies again"
            raise PolicyEngineError(message)
        return lost

    def fire(self, timer: Timer, event: Event) -> Happened:
        """Let a pending timer's event happen; it is at least that late from then on."""
        self.busy = Poison.timer(timer)
        self.effects.pass_to(timer.due)
        happened = self.accept(event, internal=True)
        self.busy = None
        return happened

    def accept(self, event: Event, *, internal: bool = False) -> Happened:
        """Fold an event in, decide it, set its timers, keep the index, queue its job: no time passes."""
        effects = self.effects
        if internal:
            effects.fired(event)
        if effects.is_of_world(event):
            effects.of_world(event)
            return Happened(event, internal, [])
        then = state = effects.of_customer(event)
        decisions = decide(effects.ruleset, state, self.memory.world, event)
        for decision in decisions:
            state = effects.decided(state, decision)
        if event.type in effects.reaching_back:
            for decision in self._late(then, state, event, decisions):
                state = effects.decided(state, decision)
                decisions.append(decision)
        self.memory.keep(state)
        return Happened(event, internal, decisions)

    def _late(
        self, then: CustomerState, state: CustomerState, event: Event, decisions: Sequence[Decision]
    ) -> list[Decision]:
        """What versions that have reached back already add for an event that comes after them."""
        ruleset, world = self.effects.ruleset, self.memory.world
        versions = self.effects.reaching_back[event.type]
        return late_supplements(ruleset, versions, then, state, world=world, event=event, decisions=decisions)

    def admit(self, event: Event) -> Refused | None:
        """Why the state does not allow an event from outside, if it does not."""
        if self.effects.is_of_world(event):
            inadmissible = admit_world(self.memory.world, event, self.effects.catalogue)
            return None if inadmissible is None else Refused(*inadmissible)
        if event.type == CHOSEN:
            refusal = admit_choice(self.memory.state(event.subject), event)
            return None if refusal is None else Refused(*refusal)
        return None

    def idle(self) -> bool:
        """Whether no job is pending."""
        return not self.memory.world.jobs

    def piece(self, customers: int = REACH) -> Iterator[Happened]:
        """One piece of the first job and what is due because of it; nothing where no job is pending."""
        world = self.memory.world
        if not world.jobs:
            return
        job = world.jobs[0]
        reached = self.memory.queued(job.number, job.done, customers)
        passed_over = [one for one in reached if self.aside and Poison.customer(job, one) in self.aside]
        event = self.internal(_reached(job, len(reached), world.now or 0, passed_over))
        if event is None:
            message = f"the catalogue's event type `{REACHED}` is missing or old; publish the policies again"
            raise PolicyEngineError(message)
        decisions: list[Decision] = []
        granted = Counter(job.granted)
        for customer in reached:
            if customer not in passed_over:
                self.busy = Poison.customer(job, customer)
                decisions += self._reach(job, customer, granted)
        self.busy = None
        self.effects.worked_off(len(reached), granted)
        yield Happened(event, True, decisions)
        yield from self.settle()

    def tick(self, now: int) -> Iterator[Happened]:
        """A live clock says that it is ``now``: an internal `clock.ticked` and the timers due by then.

        Nothing at all where no timer is due, so that idle time leaves no entries.
        """
        if self.due(now) is None:
            return
        self.effects.pass_to(now)
        instant = _EPOCH + timedelta(microseconds=now)
        event = self.internal(internal_event(f"clock:{now}", TICKED, instant, "world", {}))
        if event is not None:
            yield Happened(event, True, [])
        yield from self.advance(now)

    def internal(self, document: Mapping[str, Json]) -> Event | None:
        """An event of the engine's own, read as one from outside is; None where its type is not known."""
        event = self._read(document)
        return None if isinstance(event, Rejection) else event

    def _read(self, document: Mapping[str, Json]) -> Event | Rejection:
        if self._validator is None:
            self._validator = Validator(self.effects.catalogue)
        return self._validator.validate(orjson.dumps(document))

    def _reach(self, job: Job, customer: str, granted: Counter[str]) -> list[Decision]:
        """The decisions of a job for one customer, folded in."""
        effects, memory = self.effects, self.memory
        cause = self._event_of(job)
        if cause is None:
            return []
        then = state = memory.state(customer)
        decisions = self._supplements(job, state) if job.kind == "retroactive" else []
        if job.kind == "reach":
            decisions += decide_reached(effects.ruleset, state, memory.world, cause, granted)
        for decision in decisions:
            state = effects.decided(state, decision)
        if job.kind == "reach" and cause.type in effects.reaching_back:
            for decision in self._late(then, state, cause, decisions):
                state = effects.decided(state, decision)
                decisions.append(decision)
        for decision in decisions:
            granted.update(grants_of(decision))
        if decisions:
            memory.keep(state)
        return decisions

    def _supplements(self, job: Job, state: CustomerState) -> list[Decision]:
        """What the job's version adds for a customer; nothing where the policy set has no such version."""
        ruleset, memory = self.effects.ruleset, self.memory
        version = version_of(ruleset, job.policy, job.version)
        if version is None:
            return []
        past = memory.past(state.customer)
        return supplements(ruleset, version, state, world=memory.world, past=past)

    def _event_of(self, job: Job) -> Event | None:
        """The event that a job is for; None where the catalogue in force does not know it."""
        if self._cause is None or self._cause[0] != job.number:
            self._cause = job.number, None if job.event is None else self.internal(job.event)
        return self._cause[1]


def _lost(timer: Timer, refused: Rejection) -> dict[str, Json]:
    """The event that tells of a timer that cannot fire, with all that it would have said."""
    document = timer.document()
    data: dict[str, Json] = {
        "timer": timer.id,
        "event_type": timer.event,
        "code": refused.code,
        "reason": refused.reason,
        "document": canonical(document).decode(),
    }
    if timer.customer:
        data["customer"] = timer.customer
    return internal_event(timer.id, LOST, timer.at, "world", data)


def _reached(job: Job, customers: int, now: int, passed_over: list[str]) -> dict[str, Json]:
    """The event that tells of a piece of a job."""
    cause = job.event or {}
    done = job.done + customers
    data: dict[str, Json] = {
        "cause_source": cause.get("source"),
        "cause_id": cause.get("id"),
        "cause_type": cause.get("type"),
        "job": job.number,
        "customers": customers,
        "done": done,
        "total": job.total,
    }
    if passed_over:
        data[PASSED_OVER] = list[Json](passed_over)
    at = _EPOCH + timedelta(microseconds=now)
    return internal_event(f"{job.number}/{done}", REACHED, at, "world", data)
