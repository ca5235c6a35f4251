"""One property of a schema document → ``Attribute``, and the faults found on the way.

Whole documents and how they refer to one another are domain.schema's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from policyengine.domain.catalogue import Attribute
from policyengine.domain.near import did_you_mean
from policyengine.domain.properties import shorten
from policyengine.domain.values import Json, ValueType

Pointer = tuple[str | int, ...]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_CEL_WORDS = frozenset(("true", "false", "null", "in"))
_COMMON = frozenset(("description", "title", "examples", "deprecated", "$comment"))
_STRING = frozenset(("pattern", "minLength", "maxLength"))
_NUMBER = frozenset(("enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))
_LIST = frozenset(("items", "minItems", "maxItems", "uniqueItems"))
# keywords that jsonschema-rs checks at the door; the enum of a text is checked there by hand
_CHECKED = {ValueType.TEXT: _STRING, ValueType.INTEGER: _NUMBER, ValueType.TEXTS: _LIST}
_ALLOWED: Mapping[ValueType, frozenset[str]] = {
    ValueType.TEXT: _COMMON | _STRING | {"type", "enum", "x-ref", "x-place"},
    ValueType.INTEGER: _COMMON | _NUMBER | {"type"},
    ValueType.FLAG: _COMMON | {"type"},
    ValueType.MONEY: _COMMON | {"$ref"},
    ValueType.DATE: _COMMON | {"type", "format"},
    ValueType.INSTANT: _COMMON | {"type", "format"},
    ValueType.TEXTS: _COMMON | _LIST | {"type"},
}
_ITEM_KEYS = _STRING | {"type", "enum", "description"}
_FORMATS = {None: ValueType.TEXT, "date": ValueType.DATE, "date-time": ValueType.INSTANT}
_PLAIN = {"integer": ValueType.INTEGER, "boolean": ValueType.FLAG}
_TYPES_HINT = 'use string, integer, boolean, an array of strings, or {"$ref": "money"}'
_HINTS = {
    "number": 'use integer, or {"$ref": "money"} for an amount; floats lose money',
    "object": 'write its members as properties of their own, or {"$ref": "money"} for an amount',
    "null": "leave the property out of `required` instead",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in the document ``source``; ``pointer`` leads to its place, key by key."""

    source: str
    pointer: Pointer
    code: str
    message: str
    hint: str = ""


class Report:
    """Collects the faults of one document, so that all of them are seen at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[Fault] = []

    def add(self, pointer: Pointer, code: str, message: str, hint: str = "") -> None:
        """Note one fault."""
        self.faults.append(Fault(self.source, pointer, code, message, hint))


def mapping(value: Json) -> dict[str, Json]:
    """The object itself, or an empty one where a faulty document has something else."""
    return value if isinstance(value, dict) else {}


def check_name(report: Report, pointer: Pointer, name: str, reserved: frozenset[str]) -> None:
    """A name of the vocabulary: lower case, and not one that means something else there."""
    if not _NAME.fullmatch(name):
        hint = "begin with a lower-case letter; go on with lower-case letters, digits and _ (at most 64)"
        report.add(pointer, "PE014", f"`{shorten(name)}` cannot be a name", hint)
    elif name in reserved or name in _CEL_WORDS:
        report.add(pointer, "PE014", f"the name `{name}` is taken by the language", "choose another one")


def check_keys(report: Report, pointer: Pointer, found: Mapping[str, Json], known: frozenset[str]) -> None:
    """Nothing may be ignored silently: an unknown key is a fault with a suggestion."""
    for key in found:
        if key not in known:
            hint = did_you_mean(key, known) or f"known here: {', '.join(sorted(known))}"
            report.add((*pointer, key), "PE012", f"unknown key `{shorten(key)}`", hint)


def read_attributes(
    report: Report, document: Mapping[str, Json], reserved: frozenset[str]
) -> dict[str, Attribute]:
    """Every sound property of the document; each unsound one leaves a fault."""
    required = _required(document)
    attributes = {}
    for name, spec in mapping(document.get("properties")).items():
        pointer: Pointer = ("properties", name)
        check_name(report, pointer, name, reserved)
        attribute = _read(report, pointer, mapping(spec), required=name in required)
        if attribute is not None:
            attributes[name] = attribute
    return attributes


def constraints(document: Json) -> dict[str, Any] | None:
    """What of an event's document is left for jsonschema-rs to check, or None if nothing is."""
    checks = {
        name: check
        for name, spec in mapping(mapping(document).get("properties")).items()
        if (check := _constraint(mapping(spec)))
    }
    return {"properties": checks} if checks else None


def _read(report: Report, pointer: Pointer, spec: dict[str, Json], *, required: bool) -> Attribute | None:
    description = spec.get("description")
    if not isinstance(description, str) or not description.strip():
        report.add(pointer, "PE011", f"property `{pointer[-1]}` has no description", "say what it means")
    kind = _type(spec)
    if kind is None:
        report.add((*pointer, _key_of_type(spec)), "PE013", *_no_type(pointer, spec))
        return None
    check_keys(report, pointer, spec, _ALLOWED[kind])
    if kind is ValueType.TEXTS:
        check_keys(report, (*pointer, "items"), mapping(spec.get("items")), _ITEM_KEYS)
    _check_compiles(report, pointer, spec)
    return Attribute(
        str(pointer[-1]),
        kind,
        required=required,
        description=description if isinstance(description, str) else "",
        choices=_choices(report, pointer, spec) if kind is ValueType.TEXT else (),
        refers_to=_text(spec.get("x-ref")) if kind is ValueType.TEXT else None,
        place=_place(report, pointer, spec) if kind is ValueType.TEXT else False,
    )


def _type(spec: Mapping[str, Json]) -> ValueType | None:
    if "$ref" in spec:
        return ValueType.MONEY if spec["$ref"] == "money" and "type" not in spec else None
    kind, shape = spec.get("type"), spec.get("format")
    if kind == "string":
        return _FORMATS.get(shape) if shape is None or isinstance(shape, str) else None
    if kind == "array":
        return ValueType.TEXTS if mapping(spec.get("items")).get("type") == "string" else None
    return _PLAIN.get(kind) if isinstance(kind, str) else None


def _key_of_type(spec: Mapping[str, Json]) -> str:
    if "$ref" in spec:
        return "$ref"
    if spec.get("type") == "string":
        return "format"
    return "items" if spec.get("type") == "array" and "items" in spec else "type"


def _no_type(pointer: Pointer, spec: Mapping[str, Json]) -> tuple[str, str]:
    """Message and hint for a type that attributes cannot have."""
    name, key = pointer[-1], _key_of_type(spec)
    if key == "$ref":
        return f"property `{name}` refers to something else than `money`", _TYPES_HINT
    if key == "format":
        return f"property `{name}` has an unknown format", "use date or date-time, or no format"
    kind = spec.get("type")
    if kind is None:
        return f"property `{name}` has no type", _TYPES_HINT
    if kind == "array":
        return f"property `{name}` is no list of texts", 'write "items": {"type": "string"}'
    if isinstance(kind, list):
        return f"property `{name}` has several types", _TYPES_HINT
    shown = shorten(str(kind))
    return f"property `{name}` cannot be of type `{shown}`", _HINTS.get(shown, _TYPES_HINT)


def _choices(report: Report, pointer: Pointer, spec: Mapping[str, Json]) -> tuple[str, ...]:
    listed = spec.get("enum")
    if listed is None:
        return ()
    if isinstance(listed, list) and listed and all(isinstance(choice, str) for choice in listed):
        return tuple(str(choice) for choice in listed)
    report.add((*pointer, "enum"), "PE010", "the enum of a string must list texts", "at least one")
    return ()


def _place(report: Report, pointer: Pointer, spec: Mapping[str, Json]) -> bool:
    place = spec.get("x-place", False)
    if not isinstance(place, bool):
        report.add((*pointer, "x-place"), "PE010", "`x-place` must be true or false")
    return place is True


def _constraint(spec: Mapping[str, Json]) -> dict[str, Json]:
    kind = _type(spec)
    return {key: value for key, value in spec.items() if kind in _CHECKED and key in _CHECKED[kind]}


def _check_compiles(report: Report, pointer: Pointer, spec: Mapping[str, Json]) -> None:
    """Patterns must be of the kind that runs in linear time: no look-around, no back-references."""
    checks = _constraint(spec)
    if not checks:
        return
    try:
        Draft202012Validator(checks, pattern_options=RegexOptions())
    except (ValidationError, ValueError) as error:
        inner = error.instance_path if isinstance(error, ValidationError) else []
        hint = "a pattern is a regular expression without look-around and back-references"
        report.add((*pointer, *inner), "PE010", shorten(str(getattr(error, "message", error)), 200), hint)


def _required(document: Mapping[str, Json]) -> frozenset[str]:
    listed = document.get("required")
    return frozenset(str(name) for name in listed) if isinstance(listed, list) else frozenset()


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
