"""A world and customers in it, folded from events one by one, and what is decided: no shard's machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support import catalogue, event, line

from policyengine.domain.catalogue import Scope
from policyengine.domain.decision import Decision
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState, evolve, evolve_decided
from policyengine.domain.validation import Validator
from policyengine.domain.values import Value
from policyengine.domain.world import World, evolve_world
from policyengine.engine.decide import decide
from policyengine.engine.reach import decide_reached, grants_of
from policyengine.service.policy_sets import PolicySet


class Town:
    """Everybody's state and the world's; what is decided counts from then on."""

    def __init__(self, prepared: PolicySet, given: Mapping[str, Value] | None = None) -> None:
        self.ruleset = prepared.ruleset
        self.world = World(given or {})
        self.states: dict[str, CustomerState] = {}
        self.granted: dict[str, int] = {}

    def happens(self, kind: str, at: str, /, customer: str = "c1", **data: Any) -> list[Decision]:
        """An event; a customer's is decided, one of the world is folded in."""
        seen = read(event(kind, at, customer, **data))
        if catalogue().events[kind].scope is Scope.WORLD:
            self.world = evolve_world(self.world, seen, catalogue())
            return []
        self.states[customer] = evolve(self.of(customer), seen, catalogue())
        return self._keep(customer, decide(self.ruleset, self.of(customer), self.world, seen))

    def reaches(self, kind: str, at: str, /, *customers: str, **data: Any) -> list[list[Decision]]:
        """An event of the world, and what is decided for each of these customers in turn."""
        self.happens(kind, at, "world", **data)
        seen, self.granted = read(event(kind, at, "world", **data)), {}
        answers = []
        for customer in customers:
            made = decide_reached(self.ruleset, self.of(customer), self.world, seen, self.granted)
            for name in (name for decision in made for name in grants_of(decision)):
                self.granted[name] = self.granted.get(name, 0) + 1
            answers.append(self._keep(customer, made))
        return answers

    def of(self, customer: str) -> CustomerState:
        return self.states.get(customer) or CustomerState(customer)

    def _keep(self, customer: str, made: list[Decision]) -> list[Decision]:
        for decision in made:
            self.states[customer] = evolve_decided(self.of(customer), decision)
        return made


def read(document: Mapping[str, Any]) -> Event:
    seen = Validator(catalogue()).validate(line(document))
    assert isinstance(seen, Event), seen
    return seen
