"""A version that reaches back: which of a customer's past events it decides again, and in which state.

What it adds to one event is engine.supplement's; when a version takes effect is service.agenda's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.decision import Decision, Ref
from policyengine.domain.events import Event
from policyengine.domain.places import keys_reached
from policyengine.domain.state import CustomerState, evolve, evolve_decided, evolve_recorded
from policyengine.domain.world import World
from policyengine.engine.ruleset import PolicyVersion, RuleSet
from policyengine.engine.supplement import retroactive_versions, supplement
from policyengine.service.agenda import took_effect
from policyengine.service.memory import Memory, Past


class _Case(NamedTuple):
    """An event of the past, the state in which it was decided, and what was decided on it so far."""

    event: Event
    then: CustomerState
    granted: list[Mapping[str, Any]]


def retroactive_types(ruleset: RuleSet) -> dict[str, list[PolicyVersion]]:
    """By event type, the versions that reach back and have rules on it."""
    found: dict[str, list[PolicyVersion]] = {}
    for version in retroactive_versions(ruleset):
        for event_type in sorted(event_types(ruleset, version)):
            found.setdefault(event_type, []).append(version)
    return found


def event_types(ruleset: RuleSet, version: PolicyVersion) -> frozenset[str]:
    """The event types that a version's rules are on."""
    return frozenset(
        event_type
        for rule in ruleset.rules
        if (rule.policy.id, rule.policy.version) == (version.id, version.version)
        for event_type in rule.event_types
    )


def version_of(ruleset: RuleSet, policy: str, number: int) -> PolicyVersion | None:
    """The version that reaches back by its name; None where the set has no such version any more."""
    found = (one for one in retroactive_versions(ruleset) if (one.id, one.version) == (policy, number))
    return next(found, None)


def customers_of(ruleset: RuleSet, version: PolicyVersion, memory: Memory) -> list[str]:
    """Who may have an event that a version reaches back to, by customer.

    They had one of their own, or something of the world that its rules are on touches them.
    """
    catalogue, types = ruleset.catalogue, event_types(ruleset, version)
    kinds = [catalogue.events[name] for name in types]
    found = memory.customers_with(frozenset(one.name for one in kinds if one.scope is Scope.CUSTOMER))
    keys = {
        key
        for kind in {one.entity for one in kinds if one.scope is Scope.WORLD and one.entity is not None}
        for entity in memory.world.entities.get(kind, {})
        for key in keys_reached(catalogue, memory.world, Ref(kind, entity))
    }
    return sorted({*found, *memory.touched(sorted(keys))}) if keys else found


def late_supplements(
    ruleset: RuleSet,
    versions: Iterable[PolicyVersion],
    then: CustomerState,
    now: CustomerState,
    *,
    world: World,
    event: Event,
    decisions: Sequence[Decision],
) -> list[Decision]:
    """What versions that took effect before an event came add to what was decided on it now."""
    made: list[Decision] = []
    for version in versions:
        if took_effect(version, world):
            granted = [one.to_json() for one in (*decisions, *made)]
            more = supplement(ruleset, version, then, now, world=world, event=event, granted=granted)
            for decision in more:
                now = evolve_decided(now, decision)
            made += more
    return made


def supplements(
    ruleset: RuleSet, version: PolicyVersion, now: CustomerState, *, world: World, past: Iterable[Past]
) -> list[Decision]:
    """What a version adds to everything that was decided for a customer before it took effect."""
    wanted = event_types(ruleset, version)
    made: list[Decision] = []
    for case in list(_cases(ruleset.catalogue, CustomerState(now.customer), past)):
        if case.event.type in wanted:
            more = supplement(
                ruleset, version, case.then, now, world=world, event=case.event, granted=case.granted
            )
            for decision in more:
                now = evolve_decided(now, decision)
            made += more
    return made


def _cases(catalogue: Catalogue, state: CustomerState, past: Iterable[Past]) -> Iterator[_Case]:
    """Every event of the past once; a decision that came later is added to its event's."""
    known: dict[tuple[str, str], _Case] = {}
    for event, decisions in past:
        kind = catalogue.events.get(event.type)
        if kind is None:
            continue  # by the catalogue of today it says nothing
        case = known.get((event.source, event.id))
        if case is None:
            if kind.scope is Scope.CUSTOMER:
                state = evolve(state, event, catalogue)
            case = known[event.source, event.id] = _Case(event, state, [])
        case.granted.extend(decisions)
        for document in decisions:
            state = evolve_recorded(state, document)
    yield from known.values()
