"""Facts: one flat dict of typed values for an event and the entity decided on.

The names are the CEL variables, the index's properties and the names in a trace. Absent
attributes have no key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from policyengine.domain.catalogue import Attribute, Catalogue, Scope
from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entities, Entity
from policyengine.domain.state import CustomerState, entity_of
from policyengine.domain.values import Value
from policyengine.domain.world import World

Facts = dict[str, Value]
Choices = Mapping[str, Sequence[Facts]]
_NONE = Entities()


class FactBuilder:
    """Builds facts for one catalogue; holds the names ready made.

    An entity's name refers to the entity decided on; else to the event's own; else to one that
    these refer to (`x-ref`); else to the customer's only entity of that type; otherwise its
    attributes are absent: with two memberships, `membership.tier` is nobody's, and so it is when
    the one that is referred to is not known.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
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
        """All facts that a rule may ask for; with ``read``, of these entity types alone."""
        facts: Facts = dict(world.given)
        names = self._event_names[event.type]
        for name, value in event.data.items():
            facts[names[name]] = value
        facts["event.type"] = event.type
        facts["event.id"] = event.id
        facts["event.source"] = event.source
        facts["event.time"] = event.time
        facts["customer.id"] = event.subject
        for ref, entity in self._chosen(state, event, decided, read):
            of_type = self._entity_names[ref.type]
            facts[f"{ref.type}.id"] = ref.id
            for name, value in entity.values.items():
                if name in of_type:
                    facts[of_type[name]] = value
        return facts

    def _chosen(
        self, state: CustomerState, event: Event, decided: Ref | None, read: frozenset[str] | None
    ) -> Iterator[tuple[Ref, Entity]]:
        named: set[str] = set()
        queue = [ref for ref in (decided, entity_of(event, self._catalogue)) if ref is not None]
        queue.extend(_targets(self._event_refs[event.type], event.data))
        while queue:
            ref = queue.pop(0)
            if ref.type in named or ref.type not in self._entity_names:
                continue
            # invariant: where the entity that is named is unknown, no other stands in for it
            named.add(ref.type)
            wanted, references = read is None or ref.type in read, self._entity_refs[ref.type]
            if not wanted and not references:
                continue
            entity = state.entities.get(ref.type, _NONE).get(ref.id)
            if entity is None:
                continue
            if wanted:
                yield ref, entity
            queue.extend(_targets(references, entity.values))
        for kind, of_type in state.entities.items():
            if (
                (read is None or kind in read)
                and kind not in named
                and len(of_type) == 1
                and kind in self._entity_names
            ):
                ((key, entity),) = of_type.items()
                yield Ref(kind, key), entity


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
