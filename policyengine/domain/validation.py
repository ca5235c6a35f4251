"""At the door: the bytes of one event → ``Event`` | ``Rejection``, strict and quick; never raises.

The envelope is checked here by hand. The `cloudevents` package would keep floats and duplicate keys,
take a time without a zone, and give an event without id or time a random one and the clock's. In the
tests it is the oracle instead: every event accepted here is one of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Never

import jiter
from jsonschema_rs import Draft202012Validator, RegexOptions

from policyengine.domain.catalogue import Catalogue, EventType
from policyengine.domain.events import Event, Rejection
from policyengine.domain.money import MAX_EXACT
from policyengine.domain.near import did_you_mean
from policyengine.domain.properties import (
    LONGEST_ID,
    Convert,
    Refusal,
    converter,
    identifier,
    instant,
    seen,
    shorten,
)
from policyengine.domain.schema_properties import constraints
from policyengine.domain.values import Value

# from EV090 on, what came before decides, not the bytes alone: service.door, domain.world, domain.offers
CODES: Mapping[str, str] = {
    "EV001": "the line is empty",
    "EV002": "the bytes are not UTF-8",
    "EV003": "the line begins with a byte order mark",
    "EV004": "the line is not JSON",
    "EV005": "an object holds the same key twice",
    "EV006": "nested too deep",
    "EV007": "the line is too large",
    "EV008": "the line is JSON, but no object",
    "EV009": "text holds NUL or half of a surrogate pair",
    "EV010": "`specversion` is not 1.0",
    "EV011": "a CloudEvents attribute is missing",
    "EV012": "an attribute or id is empty, mistyped, too long, or has control characters",
    "EV013": "the name of an attribute is not one of CloudEvents",
    "EV014": "`datacontenttype` is not JSON",
    "EV015": "`data_base64` instead of `data`",
    "EV016": "unknown event type",
    "EV017": "a time without a time zone",
    "EV018": "no time, or one that does not exist",
    "EV019": "a time or date outside of the years 1900..2200",
    "EV020": "`data` is missing or no object",
    "EV021": "a property is missing",
    "EV022": "unknown property",
    "EV023": "a property is of another type",
    "EV024": "a number with point or exponent where a whole number or money belongs",
    "EV025": "a whole number beyond 2^53 - 1",
    "EV026": "no date, or one that does not exist",
    "EV030": "money is not exactly an amount and a currency",
    "EV031": "the amount of money is a number instead of text",
    "EV032": "unknown currency",
    "EV033": "more decimals than the currency has",
    "EV034": "the amount of money is malformed or too large",
    "EV040": "a value that the schema of the type does not allow",
    "EV090": "the same source and id came before with other content (found by the ledger, not at the door)",
    "EV091": "its time lies too far in the future",
    "EV092": "the source is the engine's own",
    "EV093": "events of this type come from the engine itself",
    "EV094": "the key of a Kafka message is not the customer",
    "EV095": "the engine itself failed at it; it is set aside until it is sent again",
    "EV096": "a Kafka message that is no CloudEvent: its headers or its value are malformed",
    "EV097": "an event of the world in a topic of customers, or the other way round",
    "EV100": "an event of the world names an unknown region",
    "EV101": "an event of the world names something that is not there: a crisis, a restriction, a facility …",
    "EV102": "the phases of a crisis would run backwards",
    "EV103": "an end before its beginning",
    "EV104": "it was declared before",
    "EV110": "a choice for an offer that this customer does not have",
    "EV111": "a choice that may mean several offers",
    "EV112": "a choice of an alternative that was not offered",
    "EV113": "a choice for an offer that is settled",
    "EV114": "a choice for an offer that was withdrawn",
    "EV115": "a choice without the consent that the law asks for",
}

_REQUIRED = frozenset(("specversion", "id", "source", "type", "subject", "time", "data"))
_ENVELOPE = _REQUIRED | {"datacontenttype", "dataschema"}
_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_JSON_TYPE = re.compile(r"[\w.+-]+/(?:json|[\w.-]+\+json)\s*(?:;.*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_HALF_PAIR = ("surrogate", "unexpected end of hex escape")
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is worked out once per event type."""

    kind: EventType
    converters: Mapping[str, Convert]
    required: frozenset[str]
    schema: Draft202012Validator | None


class _Plans(dict[str, _Plan]):
    """Plans by event type, each made when an event of its type first comes; Refusal for none such."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._catalogue = catalogue

    def __missing__(self, name: str) -> _Plan:
        kind = self._catalogue.events.get(name)
        if kind is None:
            hint = did_you_mean(name, self._catalogue.events) or "see the catalogue for the types there are"
            raise Refusal("EV016", f"unknown event type `{shorten(name)}`; {hint}")
        self[name] = plan = _plan(kind, self._catalogue)
        return plan


class Validator:
    """Checks events against a catalogue. Holds nothing of the events it has seen."""

    def __init__(self, catalogue: Catalogue, *, max_bytes: int = 1_048_576) -> None:
        self._max_bytes = max_bytes
        self._plans = _Plans(catalogue)

    def validate(self, raw: bytes) -> Event | Rejection:
        """The event in ``raw``, or why there is none; ``raw`` is kept whole in a rejection."""
        document: Any = None
        try:
            document = self._parse(raw)
            return self._event(document)
        except Refusal as refusal:
            source, key = _readable(document, "source"), _readable(document, "id")
            return Rejection(refusal.code, refusal.reason, raw, source, key)

    def _parse(self, raw: bytes) -> Any:
        if len(raw) > self._max_bytes:
            reason = f"the line has {len(raw)} bytes; at most {self._max_bytes} are allowed"
            raise Refusal("EV007", reason)
        try:
            document = jiter.from_json(
                raw, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float"
            )
        except ValueError as error:
            _explain(raw, str(error))
        # a cheap look at the bytes; only an escape can bring NUL into JSON text
        if b"\\u0000" in raw and _holds_nul(document):
            raise Refusal("EV009", "text holds the character NUL (\\u0000); remove it")
        return document

    def _event(self, document: Any) -> Event:
        if type(document) is not dict:
            raise Refusal("EV008", f"an event is a JSON object, but this is {seen(document)}")
        if document.keys() != _REQUIRED:
            _check_optional(document)
        if document.get("specversion") != "1.0":
            raise _wrong_version(document)
        key = _attribute(document, "id")
        source = _attribute(document, "source")
        name = _attribute(document, "type")
        plan = self._plans[name]
        subject = _attribute(document, "subject")
        time = _time(document)
        data = document.get("data")
        if type(data) is not dict:
            wrong = f"is {seen(data)}" if "data" in document else "is missing"
            raise Refusal("EV020", f"`data` must be an object of the properties of `{name}`, but {wrong}")
        return Event(source, key, name, time, subject, _values(plan, data), document)


def data_check(
    kind: EventType, catalogue: Catalogue, absent: Collection[str] = ()
) -> Callable[[dict[str, Any]], object]:
    """What the door asks of the ``data`` of an event, for whoever makes one; the check raises Refusal.

    ``absent``: properties that the event will have besides.
    """
    plan = _plan(kind, catalogue)
    plan = replace(plan, required=plan.required.difference(absent))
    return lambda data: _values(plan, data)


def _plan(kind: EventType, catalogue: Catalogue) -> _Plan:
    converters = {
        name: converter(attribute, identifying=name == kind.key)
        for name, attribute in kind.attributes.items()
    }
    required = frozenset(name for name, attribute in kind.attributes.items() if attribute.required)
    checks = constraints(catalogue.documents.get(f"events/{kind.name}"))
    # invariant: patterns run in linear time, so no event can hold up the stream
    schema = None if not checks else Draft202012Validator(checks, pattern_options=RegexOptions())
    return _Plan(kind, converters, required, schema)


def _values(plan: _Plan, data: dict[str, Any]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    name = ""
    try:
        for name, item in data.items():
            convert = plan.converters.get(name)
            if convert is None:
                raise _unknown_property(plan, name)
            values[name] = convert(item)
    except Refusal as refusal:
        if refusal.code == "EV022":
            raise
        raise Refusal(refusal.code, f"property `{name}` {refusal.reason}") from None
    if not plan.required <= values.keys():
        missing = ", ".join(f"`{name}`" for name in sorted(plan.required - values.keys()))
        raise Refusal("EV021", f"`data` of `{plan.kind.name}` lacks {missing}")
    if plan.schema is not None and not plan.schema.is_valid(data):
        raise _outside_schema(plan.schema, data)
    return values


def _unknown_property(plan: _Plan, name: str) -> Refusal:
    listed = ", ".join(f"`{known}`" for known in sorted(plan.converters)) or "none"
    hint = did_you_mean(name, plan.converters) or f"the properties of `{plan.kind.name}` are: {listed}"
    return Refusal("EV022", f"unknown property `{shorten(name)}`; {hint}")


def _attribute(document: dict[str, Any], name: str) -> str:
    item = document.get(name)
    if type(item) is str and 0 < len(item) <= LONGEST_ID and item.isprintable():
        return item
    if item is None:
        raise Refusal("EV011", f"the attribute `{name}` is missing")
    try:
        return identifier(item)
    except Refusal as refusal:
        raise Refusal("EV012", f"the attribute `{name}` {refusal.reason}") from None


def _time(document: dict[str, Any]) -> datetime:
    item = document.get("time")
    if item is None:
        raise Refusal("EV011", "the attribute `time` is missing")
    try:
        return instant(item)
    except Refusal as refusal:
        code = "EV012" if refusal.code == "EV023" else refusal.code
        raise Refusal(code, f"the attribute `time` {refusal.reason}") from None


def _check_optional(document: dict[str, Any]) -> None:
    """Content type, schema and extension attributes: null means that they are not there."""
    if "data_base64" in document:
        raise Refusal("EV015", "`data_base64` is not supported; write `data` as a JSON object")
    for name, item in document.items():
        if name in _REQUIRED or item is None:
            continue
        if name == "datacontenttype":
            if type(item) is not str or not _JSON_TYPE.fullmatch(item):
                raise Refusal("EV014", f"`datacontenttype` must be application/json, but is {seen(item)}")
        elif not _NAME.fullmatch(name):
            hint = did_you_mean(name, _ENVELOPE) or "use lower-case letters and digits only"
            raise Refusal("EV013", f"`{shorten(name)}` is no name of a CloudEvents attribute; {hint}")
        elif type(item) is int and not -MAX_EXACT <= item <= MAX_EXACT:
            raise Refusal("EV025", f"the attribute `{name}` must be within ±{MAX_EXACT} (2^53 - 1)")
        elif type(item) not in (str, int, bool):
            reason = f"the attribute `{shorten(name)}` must be text, a whole number or a flag"
            raise Refusal("EV012", f"{reason}, but is {seen(item)}")


def _wrong_version(document: dict[str, Any]) -> Refusal:
    if "specversion" not in document:
        return Refusal("EV010", "`specversion` is missing; write 1.0 (is this a CloudEvent?)")
    return Refusal("EV010", f"`specversion` must be the text `1.0`, but is {seen(document['specversion'])}")


def _explain(raw: bytes, error: str) -> Never:
    """The refusal of bytes that are not strict JSON; ``error`` is the parser's, with its place."""
    if not raw.strip():
        raise Refusal("EV001", "the line is empty")
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Refusal("EV003", "the line begins with a byte order mark; write UTF-8 without one")
    try:
        raw.decode()
    except UnicodeDecodeError as cause:
        reason = f"byte {cause.start + 1} is not UTF-8 ({cause.reason})"
        raise Refusal("EV002", reason) from None
    if error.startswith("recursion limit"):
        raise Refusal("EV006", "nested too deep; `data` holds plain properties, lists of text and money")
    if error.startswith("Detected duplicate key"):
        raise Refusal(
            "EV005", f"{shorten(error[0].lower() + error[1:], _LONGEST_REASON)}; give each key once"
        )
    if error.startswith("number out of range"):
        raise Refusal("EV025", f"a number is too long ({error}); integers end at 2^53 - 1")
    if any(mark in error for mark in _HALF_PAIR) and b"\\u" in raw:
        reason = f"text holds half of a surrogate pair ({error}); write the character itself"
        raise Refusal("EV009", reason)
    raise Refusal("EV004", f"not JSON: {shorten(error)}")


def _holds_nul(item: Any) -> bool:
    if type(item) is str:
        return "\x00" in item
    if type(item) is list:
        return any(_holds_nul(member) for member in item)
    if type(item) is dict:
        return any("\x00" in name or _holds_nul(member) for name, member in item.items())
    return False


def _outside_schema(schema: Draft202012Validator, data: dict[str, Any]) -> Refusal:
    error = next(schema.iter_errors(data))
    place = ".".join(str(step) for step in error.instance_path)
    reason = f"property `{place}` is outside of its schema: {shorten(error.message, _LONGEST_REASON)}"
    return Refusal("EV040", reason)


def _readable(document: Any, name: str) -> str | None:
    """An attribute that helps to find the publisher, if it is one."""
    try:
        return identifier(document.get(name)) if type(document) is dict else None
    except Refusal:
        return None
