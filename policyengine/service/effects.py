"""What an event or a decision leaves behind in a shard's memory: states, world, timers, places, jobs.

No deciding: the machine (service.machine) decides and comes here; folding a ledger again
(service.replay) comes here with the decisions as they were recorded. Both leave the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.decision import Decision, Ref
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entity
from policyengine.domain.kept import NOTICE, RELEASING, notice_id
from policyengine.domain.places import CUSTOMER, keys_of, keys_reached, rank_of
from policyengine.domain.state import (
    CustomerState,
    entity_of,
    evolve,
    evolve_decided,
    evolve_recorded,
    to_micros,
)
from policyengine.domain.timers import INTERNAL_SOURCE, LOST, Timer
from policyengine.domain.values import Value
from policyengine.domain.world import Job, evolve_world, world_ref, world_timers
from policyengine.engine.ruleset import PolicyVersion, RuleSet
from policyengine.service.agenda import REVIEW_DUE, TOOK_EFFECT, policy_timers
from policyengine.service.memory import Memory
from policyengine.service.supplements import customers_of, retroactive_types, version_of

PACE = 100_000  # µs of the stream's time to a piece of a job, at the longest
_NOTHING: Mapping[str, Value] = {}


class Effects:
    """Changes a memory as the events and decisions of a shard ask for, under one policy set at a time."""

    def __init__(self, ruleset: RuleSet, memory: Memory) -> None:
        self.memory = memory
        self.use(ruleset)

    def use(self, ruleset: RuleSet) -> None:
        """Work under this policy set; its timers are not set."""
        self.ruleset = ruleset
        self.catalogue = ruleset.catalogue
        self.reaching_back = retroactive_types(ruleset)
        self._locating = _locating(self.catalogue)

    def adopt(self, ruleset: RuleSet) -> None:
        """Work under this policy set from here on: its timers are set, stale ones are dropped."""
        self.use(ruleset)
        wanted = policy_timers(ruleset, self.memory.world)
        for timer in self.memory.timers(""):
            if timer.event in (TOOK_EFFECT, REVIEW_DUE) and timer.id not in wanted:
                self.memory.drop_timer("", timer.id)
        for timer in wanted.values():
            self.memory.set_timer(timer)

    def pass_to(self, now: int) -> None:
        """Let the time that the stream has reached be ``now``, unless it is later already."""
        world = self.memory.world
        if world.now is None or world.now < now:
            self.memory.world = world._replace(now=now)

    def arrived(self, now: int) -> None:
        """An event from outside is there: that is the time, and jobs may have their turns again."""
        self.pass_to(now)
        if self.memory.world.turns:
            self.memory.world = self.memory.world._replace(turns=0)

    # --- events -----------------------------------------------------------------------------------

    def fired(self, event: Event) -> None:
        """An event of the engine's own happens: its timer, if it came from one, is no longer pending."""
        if event.type == LOST:
            self.memory.drop_timer(str(event.data.get("customer", "")), str(event.data["timer"]))
        elif event.source == INTERNAL_SOURCE:
            customer = "" if self.is_of_world(event) else event.subject
            self.memory.drop_timer(customer, event.id)

    def is_of_world(self, event: Event) -> bool:
        """Whether the event is everybody's."""
        return self.catalogue.events[event.type].scope is Scope.WORLD

    def of_customer(self, event: Event) -> CustomerState:
        """The customer's state with an event of theirs folded in; to be kept when it is decided."""
        memory, catalogue = self.memory, self.catalogue
        before = memory.state(event.subject)
        state = evolve(before, event, catalogue)
        locating = self._locating.get(event.type)
        if locating is not None and not locating.isdisjoint(event.data):
            ref = entity_of(event, catalogue)
            if ref is not None:
                self._place(before, state, ref)
        return state

    def of_world(self, event: Event) -> None:
        """Fold an event of the world in, set its timers, and queue whom it reaches."""
        memory, catalogue = self.memory, self.catalogue
        memory.world = evolve_world(memory.world, event, catalogue)
        timers = world_timers(memory.world, event, catalogue)
        for timer_id in timers.dropped:
            memory.drop_timer("", timer_id)
        for timer in timers.pending:
            memory.set_timer(timer)
        ref = world_ref(event, catalogue)
        if event.type == TOOK_EFFECT:
            policy, number = str(event.data["policy"]), int(str(event.data["version"]))
            version = version_of(self.ruleset, policy, number)
            if version is not None:
                self._queue(event, customers_of(self.ruleset, version, memory), version)
        elif ref is not None and event.type in self.ruleset.reached_types:
            self._queue(event, memory.touched(keys_reached(catalogue, memory.world, ref, event.time)))

    def _place(self, before: CustomerState, state: CustomerState, ref: Ref) -> None:
        """Keep the index to where one entity is now, and the customer's rank."""
        old, new = _values(before, ref), _values(state, ref)
        was, now = keys_of(self.catalogue, ref.type, old), keys_of(self.catalogue, ref.type, new)
        if was != now:
            self.memory.place(state.customer, f"{ref.type}/{ref.id}", was, now)
        if ref.type == CUSTOMER:
            rank = rank_of(self.catalogue, new)
            if rank != rank_of(self.catalogue, old):
                self.memory.rank(state.customer, rank)

    # --- decisions --------------------------------------------------------------------------------

    def decided(self, state: CustomerState, decision: Decision) -> CustomerState:
        """The customer's state with a decision folded in; its timers and notices are taken care of."""
        entity = decision.entity
        if decision.timers or decision.settles or decision.held or (entity and entity.type == NOTICE):
            folded = evolve_decided(state, decision)
            self._after(state, folded, decision.to_json())
            return folded
        return evolve_decided(state, decision)

    def recorded(self, document: Mapping[str, Any]) -> None:
        """The same with a decision as the ledger holds it; the state is kept."""
        state = self.memory.state(document["customer"])
        folded = evolve_recorded(state, document)
        self._after(state, folded, document)
        self.memory.keep(folded)

    def _after(self, before: CustomerState, state: CustomerState, document: Mapping[str, Any]) -> None:
        memory, customer, entity = self.memory, state.customer, document["entity"]
        for settled in document.get("settles", ()):
            memory.drop_timer(customer, settled["offer"])
        if entity is not None and entity["type"] == NOTICE and document["event"]["type"] in RELEASING:
            memory.drop_timer(customer, entity["id"])
        for raw in document.get("timers", ()):
            due = to_micros(datetime.fromisoformat(raw["at"]))
            memory.set_timer(Timer(due, customer, raw["id"], raw["event"], raw["data"]))
        for held in document.get("held", ()):
            self._place(before, state, Ref(NOTICE, notice_id(document["decision_id"], held["policy"])))

    # --- jobs -------------------------------------------------------------------------------------

    def _queue(self, event: Event, customers: Sequence[str], version: PolicyVersion | None = None) -> None:
        """Queue a job for the event, or for a version that reaches back; none where there is nobody."""
        if not customers:
            return
        world = self.memory.world
        job = Job(
            world.next_job,
            "reach" if version is None else "retroactive",
            event.document,
            "" if version is None else version.id,
            0 if version is None else version.version,
            total=len(customers),
        )
        self.memory.queue(job.number, customers)
        paced = world.paced if world.jobs else world.now or 0
        self.memory.world = world._replace(jobs=(*world.jobs, job), next_job=world.next_job + 1, paced=paced)

    def count(self) -> None:
        """An event from outside came while a job is pending."""
        self.memory.world = self.memory.world._replace(since=self.memory.world.since + 1)

    def worked_off(self, customers: int, granted: Mapping[str, int]) -> None:
        """So many more customers of the first job are done; after the last one the job is gone.

        ``granted``: what rules have granted so far, over all its customers.
        """
        world = self.memory.world
        first, *others = world.jobs
        if first.done + customers >= first.total:
            self.memory.finish(first.number)
        else:
            others.insert(0, replace(first, done=first.done + customers, granted=dict(granted)))
        self.memory.world = world._replace(
            jobs=tuple(others), since=0, paced=world.paced + PACE, turns=world.turns + 1
        )


def _values(state: CustomerState, ref: Ref) -> Mapping[str, Value]:
    of_type = state.entities.get(ref.type)
    found: Entity | None = None if of_type is None else of_type.get(ref.id)
    return _NOTHING if found is None else found.values


def _locating(catalogue: Catalogue) -> dict[str, frozenset[str]]:
    """By customers' event type, the data that may move somebody: places, references, segments."""
    of_world = {kind.name for kind in catalogue.entities.values() if kind.scope is Scope.WORLD}
    names = {
        kind.name: {
            each.name for each in kind.attributes.values() if each.place or each.refers_to in of_world
        }
        for kind in catalogue.entities.values()
    }
    if CUSTOMER in catalogue.entities:
        names[CUSTOMER].update(name for matcher in catalogue.entities[CUSTOMER].reach for name in matcher)
    found = {}
    for kind in catalogue.events.values():
        wanted = names.get(kind.entity or "", set())
        written = {*kind.sets, *kind.clears}
        if not wanted.isdisjoint(written):
            found[kind.name] = frozenset(kind.attributes)  # whatever it holds, it may move somebody
        elif not wanted.isdisjoint(kind.attributes):
            found[kind.name] = frozenset(wanted)
    return found
