"""The document of one event type → ``EventType``: what it carries, and what it writes onto its entity.

Whole catalogues are domain.schema's, single properties domain.schema_properties'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policyengine.domain.catalogue import Attribute, EntityType, EventType
from policyengine.domain.near import did_you_mean
from policyengine.domain.properties import Refusal, converter, shorten
from policyengine.domain.schema_properties import Pointer, Report, mapping, read_attributes
from policyengine.domain.schema_world import read_scope, read_world
from policyengine.domain.values import Json, Value, ValueType

_EVENT_RESERVED = frozenset(("id", "type", "source", "time"))


@dataclass(slots=True)
class DeclaredEntity:
    """An entity being read: ``declared`` holds the unsound attributes too, to spare later faults."""

    type: EntityType
    declared: frozenset[str]


def read_event(
    report: Report, document: Mapping[str, Json], name: str, entities: Mapping[str, DeclaredEntity]
) -> EventType:
    """The event type as far as it can be read; the entities were read before."""
    attributes = read_attributes(report, document, _EVENT_RESERVED)
    _check_required(report, document)
    scope = read_scope(report, document)
    entity, key = document.get("x-entity"), document.get("x-key")
    owner = entities.get(entity) if isinstance(entity, str) else None
    more = read_world(report, document, scope, None if owner is None else owner.type)
    if owner is None:
        if "x-entity" in document:
            unknown_entity(report, ("x-entity",), entity, entities)
        else:
            _check_without_entity(report, document)
        description = str(document.get("description", ""))
        return EventType(name, description, attributes, scope, internal=more.internal)
    _check_key(report, document, owner, attributes)
    _check_shared(report, owner, attributes)
    return EventType(
        name,
        str(document.get("description", "")),
        attributes,
        scope,
        entity=owner.type.name,
        key=key if isinstance(key, str) else None,
        sets=_sets(report, document, owner),
        stamps=tuple(_listed(report, document, "x-stamp", owner)),
        clears=tuple(_listed(report, document, "x-clear", owner)),
        must_exist=more.must_exist,
        internal=more.internal,
        timers=more.timers,
    )


def _check_required(report: Report, document: Mapping[str, Json]) -> None:
    known = mapping(document.get("properties"))
    listed = document.get("required")
    for place, name in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(name, str) and name not in known:
            message = f"`{shorten(name)}` is required, but no property"
            report.add(("required", place), "PE012", message, did_you_mean(name, known))


def _check_without_entity(report: Report, document: Mapping[str, Json]) -> None:
    for key, code in (("x-key", "PE016"), ("x-set", "PE017"), ("x-clear", "PE017"), ("x-stamp", "PE017")):
        if key in document:
            report.add((key,), code, f"`{key}` has no entity to apply to", "add `x-entity`, or remove it")


def _check_key(
    report: Report, document: Mapping[str, Json], owner: DeclaredEntity, attributes: Mapping[str, Attribute]
) -> None:
    key = document.get("x-key")
    if owner.type.name == "customer":
        if key is not None:
            report.add(("x-key",), "PE016", "a customer's key is the subject", "remove `x-key`")
        return
    if key is None:
        hint = f"name the property that holds the id of the {owner.type.name}"
        report.add(("x-entity",), "PE016", "`x-key` is missing", hint)
        return
    if not isinstance(key, str) or key not in mapping(document.get("properties")):
        hint = did_you_mean(str(key), attributes)
        report.add(("x-key",), "PE016", f"`x-key` names no property: `{shorten(str(key))}`", hint)
        return
    attribute = attributes.get(key)
    if attribute is not None and (attribute.type is not ValueType.TEXT or not attribute.required):
        hint = "make it a string and list it in `required`"
        report.add(("x-key",), "PE016", f"the key `{attribute.name}` must be a required string", hint)


def _check_shared(report: Report, owner: DeclaredEntity, attributes: Mapping[str, Attribute]) -> None:
    """What the event and the entity both have is written onto the entity: it must fit there."""
    for name, attribute in attributes.items():
        own = owner.type.attributes.get(name)
        if own is None:
            continue
        pointer: Pointer = ("properties", name)
        place = f"`{owner.type.name}.{name}`"
        if own.type is not attribute.type:
            message = f"`{name}` is {attribute.type} here, but {place} is {own.type}"
            report.add(pointer, "PE018", message, "use the same type, or another name")
        elif own.choices and not (attribute.choices and set(attribute.choices) <= set(own.choices)):
            message = f"`{name}` may hold values that {place} may not"
            report.add(pointer, "PE018", message, f"give it an enum of: {', '.join(own.choices)}")


def _sets(report: Report, document: Mapping[str, Json], owner: DeclaredEntity) -> dict[str, Value]:
    constants: dict[str, Value] = {}
    found = document.get("x-set", {})
    if not isinstance(found, dict):
        report.add(("x-set",), "PE017", "`x-set` must be an object of attributes and constants")
    for name, item in mapping(found).items():
        attribute = _attribute_of(report, ("x-set", name), name, owner)
        if attribute is None:
            continue
        try:
            constants[name] = converter(attribute)(item)
        except Refusal as refusal:
            report.add(("x-set", name), "PE017", f"`{owner.type.name}.{name}` {refusal.reason}")
    return constants


def _listed(report: Report, document: Mapping[str, Json], key: str, owner: DeclaredEntity) -> Iterable[str]:
    """Attributes of the entity that `x-stamp` or `x-clear` lists."""
    found = document.get(key, [])
    if not isinstance(found, list):
        report.add((key,), "PE017", f"`{key}` must be a list of the entity's attributes")
    for place, name in enumerate(found if isinstance(found, list) else ()):
        attribute = _attribute_of(report, (key, place), str(name), owner)
        if attribute is None:
            continue
        if key == "x-stamp" and attribute.type is not ValueType.INSTANT:
            message = f"`{owner.type.name}.{name}` is {attribute.type}, but takes the event's time"
            report.add((key, place), "PE017", message, 'make it a string of format "date-time"')
        yield attribute.name


def _attribute_of(report: Report, pointer: Pointer, name: str, owner: DeclaredEntity) -> Attribute | None:
    if name not in owner.declared:
        message = f"`{owner.type.name}` has no attribute `{shorten(name)}`"
        report.add(pointer, "PE017", message, did_you_mean(name, owner.declared))
    return owner.type.attributes.get(name)


def unknown_entity(report: Report, pointer: Pointer, name: Json, entities: Iterable[str]) -> None:
    """Note that there is no such entity."""
    known = sorted(entities)
    hint = did_you_mean(str(name), known) or f"known entities: {', '.join(known)}"
    report.add(pointer, "PE015", f"unknown entity `{shorten(str(name))}`", hint)
