"""Indexes that look at every rule: one that tells a watcher of each, one that needs no network.

For cases, coverage and mutants. Live decisions are made with engine.match's index; both name the same
rules that apply, and a trace does not depend on what else is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from policyengine.domain.decision import Decision
from policyengine.engine.facts import Facts
from policyengine.engine.network_plan import holds
from policyengine.engine.ruleset import Candidates, CompiledRule


class Watcher(Protocol):
    """Is told of every rule that an event is about, whether or not it is a candidate."""

    def asked(self, rule: CompiledRule, facts: Facts) -> None:
        """A rule and the facts on which it is decided."""


class CaseWatcher(Watcher, Protocol):
    """Is also told what is decided on which event of a case."""

    def begin(self, event: int) -> None:
        """What follows is about the case's event with this index, or about what was due before it."""

    def decided(self, decision: Decision) -> None:
        """A decision, also on what was due before an event."""


class EveryRule:
    """Names the rules whose conjuncts hold, by looking at each."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._by_type: dict[tuple[str, str | None], list[CompiledRule]] = {}
        for rule in rules:
            for event_type in dict.fromkeys(rule.event_types):
                self._by_type.setdefault((event_type, rule.entity), []).append(rule)

    def about(self, event_type: str, entity: str | None) -> Sequence[CompiledRule]:
        """The rules on an event type that decide on an entity type, None being the event's own."""
        return self._by_type.get((event_type, entity), ())

    def candidates(self, event_type: str, entity: str | None, facts: Facts) -> list[int]:
        """Numbers of the rules to decide on, ascending."""
        return [
            rule.number
            for rule in self.about(event_type, entity)
            if all(holds(conjunct, facts) for conjunct in rule.conjuncts)
        ]

    def close(self) -> None:
        """Nothing is held."""


class Watched:
    """An index that tells a watcher of every rule before it answers."""

    def __init__(self, index: Candidates, rules: Sequence[CompiledRule], watcher: Watcher) -> None:
        self._index = index
        self._every = EveryRule(rules)
        self._watcher = watcher

    def candidates(self, event_type: str, entity: str | None, facts: Facts) -> list[int]:
        """What the index names."""
        for rule in self._every.about(event_type, entity):
            self._watcher.asked(rule, facts)
        return self._index.candidates(event_type, entity, facts)

    def close(self) -> None:
        """Close the index."""
        self._index.close()
