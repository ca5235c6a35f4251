"""Parsed schema documents → ``Catalogue``: the format of events and entities, and all its faults.

Reading files and finding the line of a fault is adapters.schemas'. A replay calls ``read_catalogue``
with the documents that the ledger recorded, so no file is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jsonschema_rs import Draft202012Validator

from policyengine.domain.catalogue import Attribute, Catalogue, EntityType, EventType, Region, Scope
from policyengine.domain.money import MAX_EXACT
from policyengine.domain.near import did_you_mean
from policyengine.domain.properties import Refusal, converter, shorten
from policyengine.domain.schema_properties import (
    Fault,
    Pointer,
    Report,
    check_keys,
    check_name,
    mapping,
    read_attributes,
)
from policyengine.domain.schema_world import (
    ROOT,
    check_regions,
    check_timers,
    read_entity,
    read_event,
    read_region,
    read_scope,
)
from policyengine.domain.values import Json, Value, ValueType
from policyengine.errors import CatalogueError, Finding

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CODES: Mapping[str, str] = {
    "PE010": "not a schema document: the meta-schema or the format of the catalogue refuses it",
    "PE011": "something is missing: title, description, `x-entity`, `parent`, the entity `customer`",
    "PE012": "unknown key",
    "PE013": "a property of a type that attributes cannot have",
    "PE014": "a name that is malformed or taken, or an `$id` that does not match",
    "PE015": "unknown entity, region or event type",
    "PE016": "`x-key` does not name a required text property",
    "PE017": "an annotation that does not fit the entity: `x-set`, `x-stamp`, `x-timer`, `x-order` …",
    "PE018": "a property that means something else on the entity",
    "PE019": "defined twice",
}

Kind = Literal["events", "entities", "regions"]

_META = Draft202012Validator({"$ref": DIALECT})
_BASE = frozenset(("$schema", "$id", "$comment", "title", "description", "examples")) | {
    "type",
    "properties",
    "additionalProperties",
    "x-entity",
}
_KEYS: Mapping[Kind, frozenset[str]] = {
    "entities": _BASE | {"x-scope", "x-covers", "x-reach", "x-order"},
    "events": _BASE
    | {
        "x-key",
        "x-set",
        "x-clear",
        "x-stamp",
        "x-scope",
        "x-must-exist",
        "x-internal",
        "x-timer",
        "required",
    },
}
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)*", re.ASCII)
_LONGEST_TYPE = 200
_EVENT_RESERVED = frozenset(("id", "type", "source", "time"))
_ENTITY_RESERVED = frozenset(("id",))
_CEL_RESERVED = (
    "as break const continue else for function if import let loop namespace package return var void while"
)
_NOT_ENTITIES = frozenset(("event", "param", "row", "place", "earlier", *_CEL_RESERVED.split()))


@dataclass(frozen=True, slots=True)
class Source:
    """One schema document and the name by which its faults are reported."""

    name: str
    kind: Kind
    document: Json


@dataclass(slots=True)
class _Entity:
    """An entity being read: ``declared`` holds the unsound attributes too, to spare later faults."""

    type: EntityType
    declared: frozenset[str]


@dataclass(slots=True)
class _Reading:
    entities: dict[str, _Entity] = field(default_factory=dict)
    events: dict[str, EventType] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)
    documents: dict[str, Json] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_catalogue(documents: Mapping[str, Json]) -> Catalogue:
    """The catalogue of documents by name (`events/booking.made`); CatalogueError with all faults."""
    sources = [Source(name, _kind(name), document) for name, document in sorted(documents.items())]
    catalogue, faults = examine(sources)
    if faults:
        raise CatalogueError(
            [Finding(fault.source, 0, 0, fault.code, fault.message, fault.hint) for fault in faults]
        )
    return catalogue


def _kind(name: str) -> Kind:
    if name.startswith("events/"):
        return "events"
    return "regions" if name == "regions" else "entities"


def examine(sources: Sequence[Source]) -> tuple[Catalogue, list[Fault]]:
    """The catalogue as far as it can be read, and every fault; sound only if there is none."""
    reading = _Reading()
    for source in sources:
        if source.kind == "entities":
            _read_document(reading, source)
    for source in sources:
        if source.kind == "events":
            _read_document(reading, source)
        elif source.kind == "regions":
            _read_regions(reading, source)
    _check_references(reading, sources)
    if "customer" not in reading.entities:
        hint = "every catalogue has entities/customer.json; its key is the event's subject"
        reading.faults.append(Fault("entities/customer", (), "PE011", "no entity `customer`", hint))
    catalogue = Catalogue(
        events=dict(sorted(reading.events.items())),
        entities={name: entity.type for name, entity in sorted(reading.entities.items())},
        documents=dict(sorted(reading.documents.items())),
        regions=dict(sorted(reading.regions.items())),
    )
    return catalogue, reading.faults


def _read_document(reading: _Reading, source: Source) -> None:
    report = Report(source.name)
    refused = _refused_by_meta_schema(report, source.document)
    document = mapping(source.document)
    name = _name(report, source, document)
    identity = f"{source.kind}/{name}"
    if identity in reading.origins:
        hint = f"it is also in {reading.origins[identity]}; a folder may add types, not change them"
        report.add(("title",), "PE019", f"`{name}` is defined twice", hint)
    else:
        reading.origins[identity] = source.name
        reading.documents[identity] = source.document
        _check_header(report, source.kind, document, name)
        if source.kind == "entities":
            attributes = read_attributes(report, document, _ENTITY_RESERVED)
            declared = frozenset(mapping(document.get("properties")))
            description = str(document.get("description", ""))
            kind = read_entity(report, document, name, description, attributes)
            reading.entities[name] = _Entity(kind, declared)
        else:
            reading.events[name] = _event(report, document, name, reading.entities)
    # a fault below a place that the meta-schema refuses would only repeat it
    reading.faults.extend(
        fault
        for fault in report.faults
        if fault in refused or not any(fault.pointer[: len(p.pointer)] == p.pointer for p in refused)
    )


def _read_regions(reading: _Reading, source: Source) -> None:
    """Regions of several folders are one document; a folder adds regions, and changes none."""
    report = Report(source.name)
    if not isinstance(source.document, dict):
        report.add((), "PE010", "regions are a JSON object", 'write {"haifa": {"parent": "IL"}, …}')
    for code, item in mapping(source.document).items():
        region = read_region(report, code, item)
        if code in reading.regions:
            origin = reading.origins[f"regions/{code}"]
            hint = f"it is also in {origin}; a folder may add regions, not change them"
            report.add((code,), "PE019", f"the region `{shorten(code)}` is defined twice", hint)
        else:
            reading.origins[f"regions/{code}"] = source.name
            reading.regions[code] = region
    known = mapping(reading.documents.get("regions"))
    reading.documents["regions"] = dict(sorted((mapping(source.document) | known).items()))
    reading.faults.extend(report.faults)


def _refused_by_meta_schema(report: Report, document: Json) -> list[Fault]:
    if not isinstance(document, dict):
        report.add((), "PE010", "a schema document is a JSON object")
        return list(report.faults)
    for pointer in _inexact(document, ()):
        report.add(pointer, "PE010", "a number here must be whole and within ±(2^53 - 1)")
    if not report.faults:
        for error in _META.iter_errors(document):
            message = f"not JSON Schema 2020-12: {shorten(error.message, 200)}"
            report.add(tuple(error.instance_path), "PE010", message)
    return list(report.faults)


def _inexact(item: Any, pointer: Pointer) -> Iterable[Pointer]:
    """Places of numbers that a ledger entry could not hold exactly."""
    if isinstance(item, dict):
        for key, value in item.items():
            yield from _inexact(value, (*pointer, key))
    elif isinstance(item, list):
        for place, value in enumerate(item):
            yield from _inexact(value, (*pointer, place))
    elif not (item is None or isinstance(item, str) or (isinstance(item, int) and abs(item) <= MAX_EXACT)):
        yield pointer


def _name(report: Report, source: Source, document: Mapping[str, Json]) -> str:
    """The CloudEvents type or the entity's name: the title of the document."""
    title = document.get("title")
    if not isinstance(title, str):
        what = "the CloudEvents type" if source.kind == "events" else "the entity's name"
        report.add((), "PE011", "`title` is missing", f"it is {what}")
        return source.name
    if source.kind == "entities":
        check_name(report, ("title",), title, _NOT_ENTITIES)
    elif len(title) > _LONGEST_TYPE or not _TYPE_NAME.fullmatch(title):
        hint = "write lower-case words joined by dots, such as booking.made"
        report.add(("title",), "PE014", f"`{shorten(title)}` cannot be an event type", hint)
    return title


def _check_header(report: Report, kind: Kind, document: Mapping[str, Json], name: str) -> None:
    check_keys(report, (), document, _KEYS[kind])
    fixed: dict[str, Json] = {"$schema": DIALECT, "type": "object"}
    for key, value in fixed.items():
        if document.get(key) != value:
            where: Pointer = (key,) if key in document else ()
            report.add(where, "PE010", f"`{key}` must be `{value}`")
    if document.get("$id", f"{kind}/{name}") != f"{kind}/{name}":
        report.add(("$id",), "PE014", "`$id` does not match the title", f"write `{kind}/{shorten(name)}`")
    if document.get("additionalProperties", False) is not False:
        hint = "unknown properties are refused at the door"
        report.add(("additionalProperties",), "PE010", "`additionalProperties` must be false", hint)
    description = document.get("description")
    if not isinstance(description, str) or not description.strip():
        report.add((), "PE011", "`description` is missing", "say what it is, for people")
    if kind == "entities" and document.get("x-entity", name) != name:
        report.add(("x-entity",), "PE014", "`x-entity` does not match the title", f"write `{shorten(name)}`")


def _event(
    report: Report, document: Mapping[str, Json], name: str, entities: Mapping[str, _Entity]
) -> EventType:
    attributes = read_attributes(report, document, _EVENT_RESERVED)
    _check_required(report, document)
    scope = read_scope(report, document)
    entity, key = document.get("x-entity"), document.get("x-key")
    owner = entities.get(entity) if isinstance(entity, str) else None
    more = read_event(report, document, scope, None if owner is None else owner.type)
    if owner is None:
        if "x-entity" in document:
            _unknown_entity(report, ("x-entity",), entity, entities)
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
    report: Report, document: Mapping[str, Json], owner: _Entity, attributes: Mapping[str, Attribute]
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


def _check_shared(report: Report, owner: _Entity, attributes: Mapping[str, Attribute]) -> None:
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


def _sets(report: Report, document: Mapping[str, Json], owner: _Entity) -> dict[str, Value]:
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


def _listed(report: Report, document: Mapping[str, Json], key: str, owner: _Entity) -> Iterable[str]:
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


def _attribute_of(report: Report, pointer: Pointer, name: str, owner: _Entity) -> Attribute | None:
    if name not in owner.declared:
        message = f"`{owner.type.name}` has no attribute `{shorten(name)}`"
        report.add(pointer, "PE017", message, did_you_mean(name, owner.declared))
    return owner.type.attributes.get(name)


def _unknown_entity(report: Report, pointer: Pointer, name: Json, entities: Iterable[str]) -> None:
    known = sorted(entities)
    hint = did_you_mean(str(name), known) or f"known entities: {', '.join(known)}"
    report.add(pointer, "PE015", f"unknown entity `{shorten(str(name))}`", hint)


def _check_references(reading: _Reading, sources: Iterable[Source]) -> None:
    """What may name a thing of any folder is checked when all are read."""
    for source in sources:
        report = Report(source.name)
        document = mapping(source.document)
        if source.kind == "regions":
            ours = [code for code in document if reading.origins[f"regions/{code}"] == source.name]
            check_regions(report, ours, reading.regions)
        else:
            _check_targets(report, source.kind, document, reading)
        event = reading.events.get(str(document.get("title")))
        if event is not None and source.kind == "events":
            check_timers(report, event, reading.events)
        reading.faults.extend(report.faults)
    if reading.regions and ROOT not in reading.regions:
        hint = "the region that holds all others has the parent null"
        reading.faults.append(Fault("regions", (), "PE011", f"no region `{ROOT}`", hint))


def _check_targets(report: Report, kind: Kind, document: Mapping[str, Json], reading: _Reading) -> None:
    own = document.get("x-entity") if kind == "events" else document.get("title")
    owner = reading.entities.get(own) if isinstance(own, str) else None
    for name, spec in mapping(document.get("properties")).items():
        if "x-ref" not in mapping(spec):
            continue
        target, pointer = mapping(spec)["x-ref"], ("properties", name, "x-ref")
        if not isinstance(target, str) or target not in reading.entities:
            _unknown_entity(report, pointer, target, reading.entities)
        elif owner is not None and (owner.type.scope, reading.entities[target].type.scope) == (
            Scope.WORLD,
            Scope.CUSTOMER,
        ):
            message = f"`{own}` is the world's, and cannot refer to a customer's `{target}`"
            report.add(pointer, "PE015", message, "a customer's entity may refer to one of the world")
