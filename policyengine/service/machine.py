"""One shard's machine: an event from outside in, everything that happens because of it out, in order.

Folding, deciding, timers that fire, customers whom the world reaches, bit by bit: over a Memory, without
a clock, a ledger or a file. What it gives is the same for every use: a run, a dry run, a case, a replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event
from policyengine.engine.ruleset import RuleSet
from policyengine.service.memory import Memory

REACH = 64  # customers to a piece of a job, and events from outside between two pieces


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

    The memory is changed as the happenings come out: take them all before anything is committed.
    """

    def __init__(self, ruleset: RuleSet, memory: Memory) -> None:
        """Go on from what is remembered; ``adopt`` is for whoever makes a policy set the one in force."""
        self.ruleset = ruleset
        self.memory = memory

    def record(self, event: Event) -> Iterator[Happened | Refused]:
        """One event from outside, which the door has let in.

        First every timer that is due by its time; then the event, or why it is refused; then timers that
        are due by now because of it; then a piece of a job, when one is due.
        """
        raise NotImplementedError

    def advance(self, until: int) -> Iterator[Happened]:
        """Let time pass until then (µs): fire every timer due by it, in timers' order. Never back."""
        raise NotImplementedError

    def accept(self, event: Event) -> Happened:
        """Fold an event in, decide it, set its timers, keep the index, queue its job: no time passes."""
        raise NotImplementedError

    def admit(self, event: Event) -> Refused | None:
        """Why the state does not allow an event from outside, if it does not."""
        raise NotImplementedError

    def piece(self, customers: int = REACH) -> Iterator[Happened]:
        """One piece of the first job and what is due because of it; nothing where no job is pending."""
        raise NotImplementedError

    def idle(self) -> bool:
        """Whether no job is pending."""
        return not self.memory.world.jobs

    def tick(self, now: int) -> Iterator[Happened]:
        """A live clock says that it is ``now``: an internal `clock.ticked` and the timers due by then.

        Nothing at all where no timer is due, so that idle time leaves no entries.
        """
        raise NotImplementedError

    def adopt(self, ruleset: RuleSet) -> None:
        """Decide under another policy set from here on.

        Its versions' timers (review, taking effect) are set, those of versions that it lacks are dropped;
        they fire with the next event or tick whose time has reached them.
        """
        raise NotImplementedError
