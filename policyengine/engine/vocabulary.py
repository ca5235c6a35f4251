"""The names that expressions may use, and their types: made of the catalogue, flat and dotted.

Facts of the same names are engine.facts; what may be said with them is engine.units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from policyengine.domain.catalogue import Attribute, Catalogue, Scope
from policyengine.domain.values import ValueType

CUSTOMER = "customer"
PLACE, EARLIER = "place", "earlier"  # beside the names of entities


def _attributes(*attributes: Attribute) -> Mapping[str, Attribute]:
    return {attribute.name: attribute for attribute in attributes}


CONTEXT_ATTRIBUTES: Mapping[str, Attribute] = _attributes(
    Attribute("place.regions", ValueType.TEXTS, description="every region that what is decided on lies in"),
    Attribute("earlier.kinds", ValueType.TEXTS, description="kinds of remedies granted for it before"),
    Attribute(
        "earlier.policies", ValueType.TEXTS, description="policies that granted something for it before"
    ),
    Attribute(
        "earlier.denied_by", ValueType.TEXTS, description="policies that denied something for it before"
    ),
    Attribute("earlier.amount", ValueType.MONEY, description="the worth granted for it before"),
    Attribute("earlier.frozen", ValueType.FLAG, description="whether it is frozen by an earlier decision"),
    Attribute("earlier.offered", ValueType.FLAG, description="whether an offer about it is open"),
    Attribute(
        "earlier.last_at",
        ValueType.INSTANT,
        description="when the customer last was granted, offered or denied something",
    ),
)


@dataclass(frozen=True, slots=True)
class Term:
    """One name: its type, what it means, and the texts it is limited to, if any."""

    type: ValueType
    description: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names → terms. ``notes`` says of a name that was left out why it cannot be used."""

    terms: Mapping[str, Term]
    notes: Mapping[str, str] = field(default_factory=dict)

    def types(self) -> dict[str, ValueType]:
        """Names → types alone."""
        return {name: term.type for name, term in self.terms.items()}


def vocabulary(catalogue: Catalogue, event_types: Sequence[str]) -> Vocabulary:
    """What a rule on these event types may read; KeyError for a type that the catalogue lacks.

    A data property that two of the types give different types is left out, with a note.
    """
    terms = {
        "event.type": Term(ValueType.TEXT, "the event's type", tuple(sorted(set(event_types)))),
        "event.id": Term(ValueType.TEXT, "the event's id, unique within its source"),
        "event.source": Term(ValueType.TEXT, "the system that sent the event"),
        "event.time": Term(ValueType.INSTANT, "when it happened"),
        f"{CUSTOMER}.id": Term(ValueType.TEXT, "the customer's id"),
    }
    for entity in catalogue.entities.values():
        terms[f"{entity.name}.id"] = Term(ValueType.TEXT, f"the id of the {entity.name}")
        for attribute in entity.attributes.values():
            terms[f"{entity.name}.{attribute.name}"] = _term(attribute)
    terms.update({name: _term(attribute) for name, attribute in CONTEXT_ATTRIBUTES.items()})
    notes = _add_event_data(terms, catalogue, event_types)
    return Vocabulary(terms, notes)


def world_attributes(catalogue: Catalogue) -> dict[str, Attribute]:
    """The facts of the world by name, which a case may set: of its entities, and `place.regions`."""
    found = {"place.regions": CONTEXT_ATTRIBUTES["place.regions"]}
    for entity in catalogue.entities.values():
        if entity.scope is Scope.WORLD:
            key = f"{entity.name}.id"
            found[key] = Attribute(key, ValueType.TEXT, description=f"the id of the {entity.name}")
            for attribute in entity.attributes.values():
                found[f"{entity.name}.{attribute.name}"] = attribute
    return found


def _term(attribute: Attribute) -> Term:
    return Term(attribute.type, attribute.description, attribute.choices)


def _add_event_data(
    terms: dict[str, Term], catalogue: Catalogue, event_types: Sequence[str]
) -> dict[str, str]:
    notes: dict[str, str] = {}
    first_seen: dict[str, str] = {}
    for event_type in event_types:
        for attribute in catalogue.events[event_type].attributes.values():
            name = f"event.{attribute.name}"
            if name in notes or name in ("event.type", "event.id", "event.source", "event.time"):
                continue
            known = terms.get(name)
            if known is None:
                terms[name], first_seen[name] = _term(attribute), event_type
            elif known.type is not attribute.type:
                del terms[name]
                notes[name] = f"it is {known.type} in {first_seen[name]} but {attribute.type} in {event_type}"
            else:
                terms[name] = Term(known.type, known.description, _either(known, attribute))
    return notes


def _either(known: Term, other: Attribute) -> tuple[str, ...]:
    """The choices of both; none when one of them is free."""
    if not known.choices or not other.choices:
        return ()
    return tuple(dict.fromkeys((*known.choices, *other.choices)))
