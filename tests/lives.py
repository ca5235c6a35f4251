"""One customer's life in the pure core: events folded and decided one after the other, timers kept by id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from support import catalogue, line, policy_set

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entity
from policyengine.domain.kept import kept_of_decision
from policyengine.domain.offers import Refusal, admit_choice
from policyengine.domain.state import (
    CustomerState,
    evolve,
    evolve_decided,
    evolve_recorded,
    settle,
    state_of_parts,
    to_micros,
)
from policyengine.domain.timers import Timer
from policyengine.domain.validation import Validator
from policyengine.domain.world import World
from policyengine.engine.decide import decide
from policyengine.engine.supplement import retroactive_versions, supplement


def read(document: Mapping[str, Any]) -> Event:
    """An event's document as the event that it is."""
    event = Validator(catalogue()).validate(line(document))
    assert isinstance(event, Event), event
    return event


class Life:
    """What one customer lives through under some policies; ``world`` may be changed in between."""

    def __init__(self, *policies: str, customer: str = "c1", world: World | None = None) -> None:
        self.ruleset = policy_set(*policies).ruleset
        self.state = CustomerState(customer)
        self.world = world or World()
        self.timers: dict[str, Timer] = {}
        self.past: list[tuple[Event, CustomerState, list[dict[str, Any]]]] = []

    def refused(self, document: Mapping[str, Any]) -> Refusal | None:
        """Why an answer would not be accepted now."""
        return admit_choice(self.state, read(document))

    def on(self, document: Mapping[str, Any]) -> Decision:
        """An event that is decided for one entity alone."""
        (decision,) = self.all_on(document)
        return decision

    def all_on(self, document: Mapping[str, Any]) -> list[Decision]:
        """An event happens: its decisions, folded in."""
        event = read(document)
        self.state = evolve(self.state, event, catalogue())
        then = self.state
        decisions = decide(self.ruleset, self.state, self.world, event)
        self._fold(decisions)
        self.past.append((event, then, [decision.to_json() for decision in decisions]))
        return decisions

    def fire(self, name: str) -> Decision:
        """A pending timer's event happens."""
        return self.on(self.timers.pop(name).document())

    def reach_back(self) -> list[Decision]:
        """Every version that reaches back takes effect on everything of the past."""
        made: list[Decision] = []
        for version in retroactive_versions(self.ruleset):
            for event, then, granted in self.past:
                more = supplement(
                    self.ruleset, version, then, self.state, world=self.world, event=event, granted=granted
                )
                self._fold(more)
                granted += [decision.to_json() for decision in more]
                made += more
        return made

    def entity(self, kind: str, key: str) -> Entity:
        """One of the customer's entities."""
        entity = self.state.entities[kind][key]
        assert isinstance(entity, Entity)
        return entity

    def _fold(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            recorded = evolve_recorded(self.state, decision.to_json())
            self.state = evolve_decided(self.state, decision)
            assert parts(recorded) == parts(self.state)  # folded from the ledger: the same
            kept = kept_of_decision(decision)
            for name in (*(settled.offer for settled in kept.settles), kept.released):
                self.timers.pop(name or "", None)
            self.timers.update({timer.id: timer for timer in decision.timers})


def parts(state: CustomerState) -> dict[str, bytes]:
    """A state as it would be stored, whole."""
    _, changed = settle(state)
    assert settle(state_of_parts(state.customer, changed))[1] == {}
    return changed


def instant(text: str) -> datetime:
    """An instant of RFC 3339."""
    return datetime.fromisoformat(text).astimezone(UTC)


def micros(text: str) -> int:
    """The same in microseconds since 1970."""
    return to_micros(instant(text))
