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

from policyengine.domain.catalogue import Catalogue, EntityType, EventType, Region, Scope
from policyengine.domain.money import MAX_EXACT
from policyengine.domain.properties import shorten
from policyengine.domain.schema_events import DeclaredEntity, read_event, unknown_entity
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
    read_region,
)
from policyengine.domain.values import Json
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
    | {"x-key", "x-set", "x-clear", "x-stamp", "x-scope", "x-must-exist", "x-internal", "x-timer"}
    | {"required"},
}
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z][a-z0-9_-]*)*", re.ASCII)
_LONGEST_TYPE = 200
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
class _Reading:
    entities: dict[str, DeclaredEntity] = field(default_factory=dict)
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
            reading.entities[name] = DeclaredEntity(kind, declared)
        else:
            reading.events[name] = read_event(report, document, name, reading.entities)
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
            unknown_entity(report, pointer, target, reading.entities)
        elif owner is not None and _looks_down(owner.type, reading.entities[target].type):
            message = f"`{own}` is the world's, and cannot refer to a customer's `{target}`"
            report.add(pointer, "PE015", message, "a customer's entity may refer to one of the world")


def _looks_down(owner: EntityType, target: EntityType) -> bool:
    return owner.scope is Scope.WORLD and target.scope is Scope.CUSTOMER
