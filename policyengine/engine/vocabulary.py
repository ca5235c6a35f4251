"""The names that expressions may use, and their types: made of the catalogue, flat and dotted.

Facts of the same names are engine.facts; what may be said with them is engine.units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from policyengine.domain.catalogue import Attribute, Catalogue
from policyengine.domain.values import ValueType
from policyengine.domain.world import WORLD_ATTRIBUTES

CUSTOMER = "customer"


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
    terms.update({name: _term(attribute) for name, attribute in WORLD_ATTRIBUTES.items()})
    notes = _add_event_data(terms, catalogue, event_types)
    return Vocabulary(terms, notes)


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
