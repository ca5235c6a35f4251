"""Facts: one flat dict of typed values for an event and the entity decided on.

The names are the CEL variables, the index's properties and the names in a trace. Absent
attributes have no key. Where several crises or restrictions hold for the entity at once, each has
facts of its own, and a rule sees one of them at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from policyengine.domain.catalogue import Attribute, Catalogue, Scope
from policyengine.domain.decision import Ref
from policyengine.domain.earlier import earlier_facts
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entities
from policyengine.domain.places import covering, facts_of, has_left, regions_around
from policyengine.domain.state import CustomerState, entity_of
from policyengine.domain.values import Value
from policyengine.domain.world import World
from policyengine.engine.vocabulary import EARLIER, PLACE

Facts = dict[str, Value]
Choices = Mapping[str, Sequence[Facts]]
_NONE = Entities()


class _Asked(NamedTuple):
    """What facts are asked for: of whom, in which world, on which event; ``own`` is the event's entity."""

    state: CustomerState
    world: World
    event: Event
    decided: Ref | None
    own: Ref | None
    read: frozenset[str] | None


class FactBuilder:
    """Builds facts for one catalogue; holds the names ready made.

    An entity's name refers to the entity decided on; else to the event's own; else to one that
    these refer to (`x-ref`); else to the customer's only entity of that type; otherwise its
    attributes are absent: with two memberships, `membership.tier` is nobody's, and so it is when
    the one that is referred to is not known. What is everybody's (a facility, a flight) is found the
    same way, but what covers places (a crisis, a restriction) is the event's own, or else each in turn
    that covers the entity decided on.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._covering = covering_types(catalogue)
        self._in_turn = frozenset(self._covering)
        self._everybodys = frozenset(
            name for name, kind in catalogue.entities.items() if kind.scope is Scope.WORLD
        )
        self._event_names = {
            name: {attribute: f"event.{attribute}" for attribute in kind.attributes}
            for name, kind in catalogue.events.items()
        }
        self._event_refs = {name: _references(kind.attributes) for name, kind in catalogue.events.items()}
        self._entity_names = {
            name: {attribute: f"{name}.{attribute}" for attribute in kind.attributes}
            for name, kind in catalogue.entities.items()
        }
        self._entity_refs = {name: _references(kind.attributes) for name, kind in catalogue.entities.items()}

    def build(
        self,
        state: CustomerState,
        world: World,
        event: Event,
        decided: Ref | None,
        read: frozenset[str] | None = None,
    ) -> Facts:
        """All facts that a rule may ask for; with ``read``, of these entity types alone.

        Where several of a type cover the entity, they are those of the first.
        """
        facts, choices = self.surround(state, world, event, decided, read)
        return next(ways(facts, choices, tuple(choices)))

    def surround(
        self,
        state: CustomerState,
        world: World,
        event: Event,
        decided: Ref | None,
        read: frozenset[str] | None = None,
    ) -> tuple[Facts, Choices]:
        """The facts, and apart from them what depends on which crisis, which restriction is looked at.

        The choices are by type, where there are two or more, in the order of their ids. What ``given``
        says goes before all.
        """
        facts: Facts = dict(world.given)
        names = self._event_names[event.type]
        for name, value in event.data.items():
            facts[names[name]] = value
        facts["event.type"] = event.type
        facts["event.id"] = event.id
        facts["event.source"] = event.source
        facts["event.time"] = event.time
        facts["customer.id"] = state.customer
        asked = _Asked(state, world, event, decided, self._own(state, world, event, decided), read)
        for ref, values in self._chosen(asked):
            self._add(facts, ref, values)
        if read is None or PLACE in read:
            regions = regions_around(self._catalogue, world, state, decided)
            if regions:
                facts["place.regions"] = regions
        if read is None or EARLIER in read:
            facts.update(earlier_facts(state, decided))
        choices = self._choices(facts, asked) if world.entities else {}
        if world.given:
            facts.update(world.given)
        return facts, choices

    def _own(self, state: CustomerState, world: World, event: Event, decided: Ref | None) -> Ref | None:
        """The event's own entity; none for what a crisis or a restriction has just moved away from."""
        own, catalogue = entity_of(event, self._catalogue), self._catalogue
        if own is None or own.type not in self._in_turn:
            return own
        return None if has_left(catalogue, world, own, state, decided, event.time) else own

    def _add(self, facts: Facts, ref: Ref, values: Mapping[str, Value]) -> None:
        of_type = self._entity_names[ref.type]
        facts[f"{ref.type}.id"] = ref.id
        for name, value in values.items():
            if name in of_type:
                facts[of_type[name]] = value

    def _choices(self, facts: Facts, asked: _Asked) -> dict[str, list[Facts]]:
        """What covers the entity, by type where there is more than one; the only one goes into the facts."""
        choices: dict[str, list[Facts]] = {}
        for kind in self._covering:
            wanted = asked.read is None or kind in asked.read
            if not wanted or (asked.own is not None and asked.own.type == kind):
                continue
            found = covering(self._catalogue, asked.world, kind, asked.state, asked.decided, asked.event.time)
            if len(found) == 1:
                ((key, values),) = found
                self._add(facts, Ref(kind, key), values)
            elif found:
                choices[kind] = [
                    self._without_given(asked.world, Ref(kind, key), values) for key, values in found
                ]
        return choices

    def _without_given(self, world: World, ref: Ref, values: Mapping[str, Value]) -> Facts:
        facts: Facts = {}
        self._add(facts, ref, values)
        return {name: value for name, value in facts.items() if name not in world.given}

    def _values(self, asked: _Asked, ref: Ref) -> Mapping[str, Value] | None:
        """The attributes of an entity of the customer's or of the world; None where it is not known."""
        if ref.type not in self._everybodys:
            entity = asked.state.entities.get(ref.type, _NONE).get(ref.id)
            return None if entity is None else entity.values
        known = asked.world.entities.get(ref.type, {}).get(ref.id)
        if known is None:
            return None
        return facts_of(self._catalogue, self._catalogue.entities[ref.type], known.values, asked.event.time)

    def _chosen(self, asked: _Asked) -> Iterator[tuple[Ref, Mapping[str, Value]]]:
        state, event, read = asked.state, asked.event, asked.read
        named: set[str] = set()
        queue = [ref for ref in (asked.decided, asked.own) if ref is not None]
        queue.extend(_targets(self._event_refs[event.type], event.data))
        while queue:
            ref = queue.pop(0)
            if ref.type in named or ref.type not in self._entity_names:
                continue
            if ref.type in self._in_turn and ref != asked.own:
                continue  # they are looked at in turn, whatever refers to one of them
            # invariant: where the entity that is named is unknown, no other stands in for it
            named.add(ref.type)
            wanted, references = read is None or ref.type in read, self._entity_refs[ref.type]
            if not wanted and not references:
                continue
            values = self._values(asked, ref)
            if values is None:
                continue
            if wanted:
                yield ref, values
            queue.extend(_targets(references, values))
        for kind, of_type in state.entities.items():
            if (
                (read is None or kind in read)
                and kind not in named
                and len(of_type) == 1
                and kind in self._entity_names
            ):
                ((key, entity),) = of_type.items()
                yield Ref(kind, key), entity.values


def ways(facts: Facts, choices: Choices, types: Sequence[str]) -> Iterator[Facts]:
    """The facts under each combination of what there is to choose from of these types, the last fastest."""
    chosen = [choices[kind] for kind in types if kind in choices]
    for parts in product(*chosen):
        combined = dict(facts)
        for part in parts:
            combined.update(part)
        yield combined


def covering_types(catalogue: Catalogue) -> tuple[str, ...]:
    """The types of the world of which several may hold for one entity at once, by name."""
    covering = (kind for kind in catalogue.entities.values() if kind.scope is Scope.WORLD)
    return tuple(sorted(kind.name for kind in covering if kind.covers is not None))


def _references(attributes: Mapping[str, Attribute]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, attribute.refers_to)
        for name, attribute in sorted(attributes.items())
        if attribute.refers_to is not None
    )


def _targets(references: tuple[tuple[str, str], ...], values: Mapping[str, Value]) -> list[Ref]:
    return [Ref(kind, str(values[name])) for name, kind in references if name in values]
