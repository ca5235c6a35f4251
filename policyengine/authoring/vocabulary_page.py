"""The page of all that rules can name, docs/vocabulary.md, made of a catalogue; its words serve `catalog` too."""
# ruff: noqa: E501  (a row of a Markdown table is one line)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from policyengine.domain.catalogue import Attribute, Catalogue, EntityType, EventType, Scope
from policyengine.domain.values import ValueType, to_json
from policyengine.engine.vocabulary import CONTEXT_ATTRIBUTES

_HEAD = """\
# Vocabulary

Every event type and everything that a condition, an amount or a message may name, made of the catalogue:
`policyengine catalog --format markdown` writes this page, for a catalogue of your own with `--schemas DIR`.
`policyengine catalog booking.cancelled` shows one type on the terminal. What may be said with these names is in
[functions.md](functions.md), how a catalogue is written in [events.md](events.md).

| Type | In a condition | In a file of cases |
|---|---|---|
| text | `booking.kind == "hotel"` | `kind: hotel` |
| integer | `booking.nights >= 5` | `nights: 5` |
| flag | `booking.refundable`, `!booking.refundable` | `refundable: true` |
| money | `booking.paid > money("100 ILS")` | `paid: 100 ILS` |
| date | `booking.starts_on < date("2020-06-01")` | `starts_on: 2020-05-01` |
| instant | `date_of(booking.made_at)` | `made_at: 2020-03-15T08:00:00Z` |
| texts (a list) | `"travel" in crisis.sectors` | `sectors: [travel]` |

An attribute that was never given is absent: a condition on it is unknown, and the rule does not apply. Ask with
`present(booking.region)`.
"""
_COVERS = {
    "place": "It covers what lies in its region; of several a rule sees one at a time.",
    "either": "It covers what lies in its region, and everything of those who live there; of several a rule sees one at a time.",
    None: "A rule sees the one that the event, the entity decided on, or what these refer to names.",
}


def vocabulary_page(catalogue: Catalogue) -> str:
    """The page in Markdown."""
    return "\n".join(_lines(catalogue))


def always_there() -> dict[str, tuple[str, str]]:
    """What every rule can read whatever it is on: names → type and meaning."""
    found = {
        "event.type": ("text", "the event's type"),
        "event.time": ("instant", "when it happened"),
        "event.id": ("text", "the event's id, unique within its source"),
        "event.source": ("text", "the system that sent the event"),
        "customer.id": ("text", "the customer's id"),
    }
    context = {name: (each.type.value, each.description) for name, each in CONTEXT_ATTRIBUTES.items()}
    own = {
        "param.<name>": ("as it is written", "a parameter of the policy, by the day of the version's anchor"),
        "row.<name>": ("as its column says", "a result of the rule's decision table"),
    }
    return {**found, **context, **own}


def type_of(attribute: Attribute) -> str:
    """An attribute's type in words, with what it may be."""
    words = attribute.type.value
    if attribute.choices:
        words += f": {', '.join(attribute.choices)}"
    elif attribute.refers_to is not None:
        words += f": id of {attribute.refers_to}"
    elif attribute.place:
        words += ": code of a region"
    return words


def changed_by(catalogue: Catalogue, entity: str) -> list[str]:
    """The event types that write on entities of a type."""
    return [name for name, event in catalogue.events.items() if event.entity == entity]


def effects(catalogue: Catalogue, event: EventType) -> list[str]:
    """What an event does to its entity, a sentence each."""
    if event.entity is None:
        return ["It changes nothing that is known of the customer."] if event.scope is Scope.CUSTOMER else []
    entity = catalogue.entities[event.entity]
    shared = [name for name in event.attributes if name in entity.attributes]
    told = []
    if shared:
        told.append(f"writes {_listed(f'{entity.name}.{name}' for name in shared)}")
    if event.sets:
        given = (f"{entity.name}.{name} = {_constant(value)}" for name, value in event.sets.items())
        told.append(f"sets {_listed(given)}")
    if event.stamps:
        told.append(f"notes its time in {_listed(f'{entity.name}.{name}' for name in event.stamps)}")
    if event.clears:
        told.append(f"forgets {_listed(f'{entity.name}.{name}' for name in event.clears)}")
    return [f"It {', '.join(told)}."] if told else []


def about(event: EventType) -> str:
    """Whom an event concerns, and who makes it."""
    words = "concerns the customer"
    if event.scope is Scope.WORLD:
        words = "is an event of the world"
        if event.entity is not None:
            words += f" about `{event.entity}` (`event.{event.key}` is its id)"
            words += {True: ", which must be known", False: ", which must be new", None: ""}[event.must_exist]
    elif event.entity not in (None, "customer"):
        words = f"concerns `{event.entity}` (`event.{event.key}` is its id)"
    return f"{words}; the engine alone makes it" if event.internal else words


def _constant(value: object) -> str:
    shown = to_json(value)  # type: ignore[arg-type]
    return str(shown).lower() if isinstance(shown, bool) else str(shown)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _lines(catalogue: Catalogue) -> Iterator[str]:
    yield _HEAD
    yield "## What every rule can read\n"
    yield from _table(
        ("Name", "Type", "Meaning"), ([f"`{name}`", *told] for name, told in always_there().items())
    )
    yield "\nBesides: the properties of its own event (`event.<property>`), the attributes of everything below, and"
    yield "the [functions](functions.md)."
    yield from _entities(catalogue, Scope.CUSTOMER, "What customers have")
    yield from _entities(catalogue, Scope.WORLD, "The world")
    yield "\n## Events\n"
    yield "A property marked with * must be given. What an event and its entity both have by name is written onto the entity."
    for event in catalogue.events.values():
        yield f"\n### `{event.name}`\n"
        yield " ".join([f"{_sentence(event.description)} It {about(event)}.", *effects(catalogue, event)])
        yield ""
        yield from _attributes(event.attributes, "event")


def _entities(catalogue: Catalogue, scope: Scope, title: str) -> Iterator[str]:
    yield f"\n## {title}"
    for entity in catalogue.entities.values():
        if entity.scope is scope:
            yield f"\n### `{entity.name}`\n"
            yield " ".join(_of_entity(catalogue, entity))
            yield ""
            known = {"id": Attribute("id", ValueType.TEXT, description="its id"), **entity.attributes}
            yield from _attributes(known, entity.name)


def _of_entity(catalogue: Catalogue, entity: EntityType) -> Iterator[str]:
    yield _sentence(entity.description)
    if entity.scope is Scope.WORLD:
        yield _COVERS[entity.covers]
    events = changed_by(catalogue, entity.name)
    yield f"Changed by {_listed(events)}." if events else "The engine alone changes it."


def _attributes(attributes: Mapping[str, Attribute], prefix: str) -> Iterator[str]:
    rows = (
        [f"`{prefix}.{name}`{'*' if each.required else ''}", type_of(each), each.description]
        for name, each in attributes.items()
    )
    if attributes:
        yield from _table(("Name", "Type", "Meaning"), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---|---|---|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
