"""What schema documents say of the world: regions, scopes, coverage, orders, timers → shapes, and faults.

Everything else about a document is domain.schema's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from policyengine.domain.calendar import zone_names
from policyengine.domain.catalogue import Attribute, EntityType, EventType, Region, Scope, TimerRule
from policyengine.domain.near import did_you_mean
from policyengine.domain.properties import Refusal, converter, shorten
from policyengine.domain.schema_properties import Pointer, Report, check_keys, mapping
from policyengine.domain.values import Json, Value, ValueType

ROOT = "world"  # the region that holds all others

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}", re.ASCII)
_REGION_KEYS = frozenset(("parent", "timezone", "names"))
_TIMER_KEYS = frozenset(("at", "event"))
_PAIR = 2


def read_entity(
    report: Report,
    document: Mapping[str, Json],
    name: str,
    description: str,
    attributes: Mapping[str, Attribute],
) -> EntityType:
    """The entity type with all that its document says of scope, coverage, order and reach."""
    scope = read_scope(report, document)
    order = _order(report, document, attributes)
    reach = _reach(report, document, attributes)
    if "x-order" in document and scope is not Scope.WORLD:
        report.add(("x-order",), "PE017", "`x-order` is for entities of the world", "add `x-scope`: world")
    if "x-reach" in document and name != "customer":
        report.add(("x-reach",), "PE017", "`x-reach` is for the entity `customer` alone")
    if name == "customer" and scope is Scope.WORLD:
        report.add(("x-scope",), "PE017", "the customer is no entity of the world")
    covers = _covers(report, document, scope, attributes)
    return EntityType(name, description, attributes, scope, covers, reach, order)


def read_scope(report: Report, document: Mapping[str, Json]) -> Scope:
    """Whom the document is about; the customer unless it says otherwise."""
    scope = document.get("x-scope", "customer")
    if scope in tuple(Scope):
        return Scope(scope)
    report.add(("x-scope",), "PE010", "`x-scope` must be `customer` or `world`")
    return Scope.CUSTOMER


def _covers(
    report: Report, document: Mapping[str, Json], scope: Scope, attributes: Mapping[str, Attribute]
) -> Literal["place", "either"] | None:
    covers = document.get("x-covers")
    if "x-covers" not in document:
        return None
    if scope is not Scope.WORLD or not any(attribute.place for attribute in attributes.values()):
        hint = 'add `"x-scope": "world"`, and a property with `"x-place": true`'
        report.add(("x-covers",), "PE017", "`x-covers` is for entities of the world that have a place", hint)
    if covers == "place":
        return "place"
    if covers == "either":
        return "either"
    report.add(("x-covers",), "PE010", "`x-covers` must be `place` or `either`")
    return None


def _order(
    report: Report, document: Mapping[str, Json], attributes: Mapping[str, Attribute]
) -> tuple[tuple[str, str], ...]:
    pairs = []
    for place, item in enumerate(_list(report, document, "x-order")):
        pointer: Pointer = ("x-order", place)
        if not isinstance(item, list) or len(item) != _PAIR:
            report.add(pointer, "PE010", "`x-order` lists pairs of attributes", 'write ["from", "until"]')
            continue
        first, second = (_dated(report, (*pointer, index), item[index], attributes) for index in range(_PAIR))
        if first is not None and second is not None:
            if first.type is not second.type:
                report.add(pointer, "PE017", "a date and an instant have no order", "use the same type")
            pairs.append((first.name, second.name))
    return tuple(pairs)


def _dated(
    report: Report, pointer: Pointer, name: Json, attributes: Mapping[str, Attribute]
) -> Attribute | None:
    attribute = attributes.get(name) if isinstance(name, str) else None
    if attribute is None or attribute.type not in (ValueType.DATE, ValueType.INSTANT):
        dated = [each.name for each in attributes.values() if each.type is ValueType.DATE]
        report.add(pointer, "PE017", f"`{shorten(str(name))}` is no date", did_you_mean(str(name), dated))
        return None
    return attribute


def _reach(
    report: Report, document: Mapping[str, Json], attributes: Mapping[str, Attribute]
) -> tuple[Mapping[str, Value], ...]:
    matchers = []
    for place, item in enumerate(_list(report, document, "x-reach")):
        matcher: dict[str, Value] = {}
        if not isinstance(item, dict) or not item:
            hint = 'write {"segment": "loyal"}'
            report.add(("x-reach", place), "PE010", "`x-reach` lists attributes and their values", hint)
            continue
        for name, wanted in item.items():
            pointer: Pointer = ("x-reach", place, name)
            attribute = attributes.get(name)
            if attribute is None:
                message = f"`customer` has no attribute `{shorten(name)}`"
                report.add(pointer, "PE017", message, did_you_mean(name, attributes))
                continue
            try:
                matcher[name] = converter(attribute)(wanted)
            except Refusal as refusal:
                report.add(pointer, "PE017", f"`customer.{name}` {refusal.reason}")
        matchers.append(matcher)
    return tuple(matchers)


class OfTheWorld(NamedTuple):
    """What an event's document says beyond what it writes onto its entity."""

    must_exist: bool | None
    internal: bool
    timers: tuple[TimerRule, ...]


def read_world(
    report: Report, document: Mapping[str, Json], scope: Scope, owner: EntityType | None
) -> OfTheWorld:
    """`x-must-exist`, `x-internal`, `x-timer`, and whether event and entity are of one scope."""
    must_exist = _flag(report, document, "x-must-exist")
    internal = _flag(report, document, "x-internal")
    if owner is not None and owner.scope is not scope:
        message = f"the event is of scope {scope.value}, but `{owner.name}` of scope {owner.scope.value}"
        report.add(("x-entity",), "PE017", message, "give both the same `x-scope`")
    for key in ("x-must-exist", "x-timer"):
        if key in document and (owner is None or scope is not Scope.WORLD):
            report.add((key,), "PE017", f"`{key}` is for events of the world that have an entity")
    return OfTheWorld(must_exist, bool(internal), _timers(report, document, owner))


def _timers(report: Report, document: Mapping[str, Json], owner: EntityType | None) -> tuple[TimerRule, ...]:
    timers = []
    for place, item in enumerate(_list(report, document, "x-timer")):
        pointer: Pointer = ("x-timer", place)
        check_keys(report, pointer, mapping(item), _TIMER_KEYS)
        at, event = mapping(item).get("at"), mapping(item).get("event")
        if not isinstance(at, str) or not isinstance(event, str):
            hint = 'write {"at": "until", "event": "restriction.lapsed"}'
            report.add(pointer, "PE010", "a timer has the keys `at` and `event`", hint)
            continue
        attribute = None if owner is None else owner.attributes.get(at)
        if attribute is None or attribute.type is not ValueType.DATE:
            report.add((*pointer, "at"), "PE017", f"`{shorten(at)}` is no date of the entity")
        else:
            timers.append(TimerRule(at, event))
    return tuple(timers)


def check_timers(report: Report, kind: EventType, events: Mapping[str, EventType]) -> None:
    """What a timer makes happen is an internal event of the same entity; checked when all are read."""
    for place, timer in enumerate(kind.timers):
        pointer: Pointer = ("x-timer", place, "event")
        target = events.get(timer.event)
        if target is None:
            hint = did_you_mean(timer.event, [name for name, event in events.items() if event.internal])
            report.add(pointer, "PE015", f"unknown event type `{shorten(timer.event)}`", hint)
        elif not target.internal or target.entity != kind.entity:
            message = f"`{timer.event}` is no internal event of `{kind.entity}`"
            report.add(pointer, "PE017", message, 'it needs `"x-internal": true` and the same `x-entity`')
        elif timer.at not in target.attributes:
            report.add(pointer, "PE017", f"`{timer.event}` has no property `{timer.at}`", "a timer gives it")
        else:
            needed = {name for name, each in target.attributes.items() if each.required}
            if beyond := sorted(needed - {target.key, timer.at}):
                message = f"`{timer.event}` requires `{beyond[0]}`, which no timer can give"
                report.add(pointer, "PE017", message, f"a timer gives `{target.key}` and `{timer.at}`")


def read_region(report: Report, code: str, item: Json) -> Region:
    """One region of a `regions` document."""
    spec = mapping(item)
    if not _CODE.fullmatch(code):
        hint = "write letters, digits and -, such as IL or tel-aviv"
        report.add((code,), "PE014", f"`{shorten(code)}` cannot be the code of a region", hint)
    check_keys(report, (code,), spec, _REGION_KEYS)
    parent, zone, names = spec.get("parent"), spec.get("timezone"), spec.get("names", {})
    if "parent" not in spec:
        hint = "write the code of the region around it; null for `world` alone"
        report.add((code,), "PE011", f"the region `{shorten(code)}` has no `parent`", hint)
    elif (parent is None) is not (code == ROOT) or not isinstance(parent, str | None):
        hint = f"`{ROOT}` alone has null; every other region the code of the region around it"
        report.add((code, "parent"), "PE010", "`parent` is not the code of a region", hint)
    if zone is not None and (not isinstance(zone, str) or zone not in zone_names()):
        hint = did_you_mean(str(zone), zone_names()) or "write an IANA name such as Asia/Jerusalem"
        report.add((code, "timezone"), "PE010", f"unknown time zone `{shorten(str(zone))}`", hint)
    if not isinstance(names, dict) or not all(
        _LANGUAGE.fullmatch(language) and isinstance(name, str) and name for language, name in names.items()
    ):
        report.add((code, "names"), "PE010", "`names` are texts by language", 'write {"en": "Haifa"}')
    return Region(
        parent if isinstance(parent, str) else None,
        zone if isinstance(zone, str) else None,
        {language: str(name) for language, name in mapping(names).items()},
    )


def check_regions(report: Report, codes: Iterable[str], regions: Mapping[str, Region]) -> None:
    """Every one of these regions lies, step by step, in the world; checked when all are read."""
    for code in codes:
        parent, seen = regions[code].parent, {code}
        if parent is not None and parent not in regions:
            hint = did_you_mean(parent, regions)
            report.add((code, "parent"), "PE015", f"unknown region `{shorten(parent)}`", hint)
            continue
        while parent is not None and parent in regions and parent not in seen:
            seen.add(parent)
            parent = regions[parent].parent
        if parent in seen:
            report.add((code, "parent"), "PE010", f"the region `{shorten(code)}` lies in itself")


def _list(report: Report, document: Mapping[str, Json], key: str) -> Sequence[Json]:
    found = document.get(key, [])
    if isinstance(found, list):
        return found
    report.add((key,), "PE010", f"`{key}` must be a list")
    return ()


def _flag(report: Report, document: Mapping[str, Json], key: str) -> bool | None:
    found = document.get(key)
    if key not in document or isinstance(found, bool):
        return found if isinstance(found, bool) else None
    report.add((key,), "PE010", f"`{key}` must be true or false")
    return None
