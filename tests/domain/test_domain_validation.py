"""At the door: what is an event, and for everything else a code and a reason to act on."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.domain import schema
from policyengine.domain.catalogue import Attribute
from policyengine.domain.events import Event, Rejection
from policyengine.domain.money import MAX_EXACT, Money
from policyengine.domain.regions import chain
from policyengine.domain.schema import DIALECT, read_catalogue
from policyengine.domain.validation import CODES, Validator
from policyengine.domain.values import ValueType, to_json
from policyengine.domain.world import World, admit_world, evolve_world

DOCS = Path(__file__).parents[2] / "docs" / "events.md"
PROPERTIES: dict[str, dict[str, Any]] = {
    "order_id": {"type": "string"},
    "kind": {"type": "string", "enum": ["home", "office"]},
    "note": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
    "items": {"type": "integer", "minimum": 1, "maximum": 100},
    "big": {"type": "integer"},
    "gift": {"type": "boolean"},
    "price": {"$ref": "money"},
    "due_on": {"type": "string", "format": "date"},
    "packed_at": {"type": "string", "format": "date-time"},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
    "booking_id": {"type": "string", "x-ref": "customer"},
}


def document(name: str, properties: dict[str, dict[str, Any]], **more: object) -> dict[str, Any]:
    described = {key: {"description": "x", **spec} for key, spec in properties.items()}
    base = {"$schema": DIALECT, "title": name, "description": "x", "type": "object"}
    return base | {"properties": described} | more


CATALOGUE = read_catalogue(
    {
        "entities/customer": document("customer", {}),
        "entities/order": document("order", {}),
        "events/order.placed": document(
            "order.placed", PROPERTIES, required=["order_id"], **{"x-entity": "order", "x-key": "order_id"}
        ),
    }
)
VALIDATOR = Validator(CATALOGUE)
SHIPPED = load_catalogue([shipped_schemas()])
SHIPPED_VALIDATOR = Validator(SHIPPED)


def event(data: object = None, **changes: object) -> dict[str, Any]:
    """A valid event with ``changes`` to its attributes; None leaves one out."""
    whole: dict[str, Any] = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "//shop.example",
        "type": "order.placed",
        "time": "2020-03-15T10:00:00Z",
        "subject": "customer-1",
        "data": {"order_id": "O-1"} if data is None else data,
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def encode(whole: object) -> bytes:
    return json.dumps(whole, ensure_ascii=False).encode()


def accepted(raw: bytes) -> Event:
    result = VALIDATOR.validate(raw)
    assert isinstance(result, Event), result
    return result


def rejected(raw: bytes) -> Rejection:
    result = VALIDATOR.validate(raw)
    assert isinstance(result, Rejection), result
    assert result.raw is raw
    assert result.code in CODES
    return result


def with_data(**data: object) -> bytes:
    return encode(event({"order_id": "O-1"} | data))


def test_a_valid_event_has_typed_values_and_its_whole_document() -> None:
    whole = event(
        {
            "order_id": "O-1",
            "kind": "office",
            "items": 3,
            "gift": False,
            "price": {"amount": "12.50", "currency": "ILS"},
            "due_on": "2020-02-29",
            "packed_at": "2020-03-15T12:00:00+02:00",
            "tags": ["a", "שלו"],
        },
        time="2020-03-15T23:30:00.25-05:00",
        traceparent="00-abc",
        attempt=2,
        replayed=False,
    )
    found = accepted(encode(whole))
    assert (found.source, found.id, found.type, found.subject) == (
        "//shop.example",
        "e-1",
        "order.placed",
        "customer-1",
    )
    assert found.time == datetime(2020, 3, 16, 4, 30, 0, 250_000, tzinfo=UTC)
    assert found.time.tzinfo is UTC
    assert found.data == {
        "order_id": "O-1",
        "kind": "office",
        "items": 3,
        "gift": False,
        "price": Money(1250, "ILS"),
        "due_on": date(2020, 2, 29),
        "packed_at": datetime(2020, 3, 15, 10, tzinfo=UTC),
        "tags": ("a", "שלו"),
    }
    assert found.document == whole


# each row: the bytes, the code, and a part of the reason that the publisher needs
LINES: list[tuple[bytes, str, str]] = [
    (b"", "EV001", "empty"),
    (b" \t\r\n", "EV001", "empty"),
    (b'{"id": "\xff"}', "EV002", "byte 9"),
    (b'{"id": "\xed\xa0\x80"}', "EV002", "byte 9"),  # a surrogate, encoded
    (b"\xef\xbb\xbf" + encode(event()), "EV003", "UTF-8 without one"),
    ("{}".encode("utf-16"), "EV003", "byte order mark"),
    (b"{'id': 1}", "EV004", "line 1 column 2"),
    (b'{"id": "1",}', "EV004", "trailing comma"),
    (b'{"id": NaN}', "EV004", "line 1"),
    (b'{"id": Infinity}', "EV004", "line 1"),
    (encode(event()) + b" {}", "EV004", "trailing characters"),
    (encode(event())[:-1], "EV004", "EOF"),
    (b'{"id": "a\x00"}', "EV004", "control character"),
    (b'{"id": "1", "id": "1"}', "EV005", '"id"'),
    (b'{"id": "1", "\\u0069d": "1"}', "EV005", '"id"'),  # the same key, escaped
    (b'{"data": {"a": 1, "a": 2}}', "EV005", '"a"'),
    (b"[" * 1000 + b"]" * 1000, "EV006", "nested too deep"),
    (b'{"data": ' * 1000 + b"1" + b"}" * 1000, "EV006", "nested too deep"),
    (b"[" * 100_000, "EV006", "nested too deep"),
    (b"[]", "EV008", "a list"),
    (b'"text"', "EV008", "`text`"),
    (b"null", "EV008", "null"),
    (b"1.5", "EV008", "1.5"),
    (b'{"id": "\\u0000"}', "EV009", "NUL"),
    (b'{"\\u0000": 1}', "EV009", "NUL"),
    (b'{"data": {"x": ["a", "\\u0000"]}}', "EV009", "NUL"),
    (b'{"id": "\\ud800"}', "EV009", "surrogate"),
    (b'{"id": "\\udc00"}', "EV009", "surrogate"),
    (b'{"id": "\\ud800x"}', "EV009", "surrogate"),
    (b'{"x": ' + b"1" * 5000 + b"}", "EV025", "too long"),
]


@pytest.mark.parametrize(("raw", "code", "reason"), LINES)
def test_a_line_that_is_no_json_object_is_rejected(raw: bytes, code: str, reason: str) -> None:
    found = rejected(raw)
    assert found.code == code
    assert reason in found.reason


ENVELOPES: list[tuple[dict[str, Any], str, str]] = [
    ({"specversion": None}, "EV010", "missing"),
    ({"specversion": "0.3"}, "EV010", "`0.3`"),
    ({"specversion": 1}, "EV010", "the number 1"),
    ({"id": None}, "EV011", "`id`"),
    ({"source": None}, "EV011", "`source`"),
    ({"type": None}, "EV011", "`type`"),
    ({"subject": None}, "EV011", "`subject`"),
    ({"time": None}, "EV011", "`time`"),
    ({"id": ""}, "EV012", "`id` is empty"),
    ({"id": 7}, "EV012", "must be text, but is the number 7"),
    ({"id": "x" * 513}, "EV012", "513 characters"),
    ({"source": "a\nb"}, "EV012", "control character"),
    ({"subject": "a\x7fb"}, "EV012", "control character"),
    ({"subject": ["a"]}, "EV012", "a list"),
    ({"type": True}, "EV012", "true"),
    ({"time": 1584266400}, "EV012", "2020-03-15T10:00:00Z"),
    ({"myExtension": "x"}, "EV013", "lower-case"),
    ({"Subject": "x"}, "EV013", "did you mean `subject`?"),
    ({"my_extension": "x"}, "EV013", "`my_extension`"),
    ({"": "x"}, "EV013", "``"),
    ({"extension": {"a": 1}}, "EV012", "an object"),
    ({"extension": 1.5}, "EV012", "the number 1.5"),
    ({"extension": 2**53}, "EV025", "9007199254740991"),
    ({"datacontenttype": "text/xml"}, "EV014", "`text/xml`"),
    ({"datacontenttype": 1}, "EV014", "the number 1"),
    ({"data_base64": "e30=", "data": None}, "EV015", "`data`"),
    ({"type": "order.place"}, "EV016", "did you mean `order.placed`?"),
    ({"type": "zzz"}, "EV016", "catalogue"),
    ({"type": "x" * 512}, "EV016", "…"),
    ({"time": "2020-03-15T10:00:00"}, "EV017", "no time zone"),
    ({"time": "2020-02-30T10:00:00Z"}, "EV018", "2020-02-30"),
    ({"time": "2020-03-15T25:00:00Z"}, "EV018", "25:00"),
    ({"time": "2020-03-15T24:00:00Z"}, "EV018", "24:00"),
    ({"time": "2020-03-15T10:60:00Z"}, "EV018", "10:60"),
    ({"time": "2016-12-31T23:59:60Z"}, "EV018", "leap second"),
    ({"time": "0000-03-15T10:00:00Z"}, "EV018", "0000"),
    ({"time": "2020-03-15T10:00:00+24:00"}, "EV018", "+24:00"),
    ({"time": "2020-03-15"}, "EV018", "RFC 3339"),
    ({"time": "2020-03-15 10:00:00Z"}, "EV018", "RFC 3339"),
    ({"time": "2020-W11-7T10:00:00Z"}, "EV018", "RFC 3339"),
    ({"time": "٢٠٢٠-03-15T10:00:00Z"}, "EV018", "RFC 3339"),
    ({"time": "yesterday"}, "EV018", "`yesterday`"),
    ({"time": "1899-12-31T23:59:59Z"}, "EV019", "1900..2200"),
    ({"time": "2201-01-01T00:00:00Z"}, "EV019", "1900..2200"),
    ({"time": "1900-01-01T00:30:00+01:00"}, "EV019", "1900..2200"),  # 1899-12-31T23:30Z
    ({"time": "2200-12-31T23:30:00-01:00"}, "EV019", "1900..2200"),  # 2201-01-01T00:30Z
    ({"time": "0001-01-01T00:00:00+01:00"}, "EV019", "1900..2200"),
    ({"time": "9999-12-31T23:59:59-01:00"}, "EV019", "1900..2200"),
    ({"data": None}, "EV020", "missing"),
    ({"data": []}, "EV020", "a list"),
    ({"data": "{}"}, "EV020", "the text `{}`"),
]


@pytest.mark.parametrize(("changes", "code", "reason"), ENVELOPES)
def test_a_faulty_envelope_is_rejected(changes: dict[str, Any], code: str, reason: str) -> None:
    whole = event() | changes
    found = rejected(encode({name: value for name, value in whole.items() if value is not None}))
    assert found.code == code
    assert reason in found.reason


DATA: list[tuple[dict[str, Any], str, str]] = [
    ({"order_id": ...}, "EV021", "lacks `order_id`"),
    ({"itmes": 1}, "EV022", "unknown property `itmes`; did you mean `items`?"),
    ({"zzzzz": 1}, "EV022", "`order_id`"),
    ({"order_id": 1}, "EV023", "property `order_id` must be text, but is the number 1"),
    ({"order_id": ""}, "EV012", "property `order_id` is empty"),
    ({"booking_id": "x" * 513}, "EV012", "property `booking_id` has 513 characters"),
    ({"note": None}, "EV023", "null"),
    ({"kind": 1}, "EV023", "text"),
    ({"kind": "hom"}, "EV040", "did you mean `home`?"),
    ({"kind": "zzz"}, "EV040", "home, office"),
    ({"items": "3"}, "EV023", "must be a whole number, but is the text `3`"),
    ({"items": True}, "EV023", "true"),
    ({"items": 1.5}, "EV024", "the number 1.5"),
    ({"items": 1.0}, "EV024", "without point"),
    ({"items": 0}, "EV040", "`items`"),
    ({"items": 101}, "EV040", "100"),
    ({"big": MAX_EXACT + 1}, "EV025", "9007199254740992"),
    ({"big": -MAX_EXACT - 1}, "EV025", "2^53 - 1"),
    ({"big": 10**100}, "EV025", "very large"),
    ({"gift": "true"}, "EV023", "must be true or false"),
    ({"gift": 1}, "EV023", "the number 1"),
    ({"due_on": "2020-02-30"}, "EV026", "2020-02-30"),
    ({"due_on": "20200315"}, "EV026", "2020-03-15"),
    ({"due_on": "2020-03-15T00:00:00Z"}, "EV026", "2020-03-15"),
    ({"due_on": "1899-12-31"}, "EV019", "1900..2200"),
    ({"due_on": 20200315}, "EV023", "a date such as"),
    ({"packed_at": "2020-03-15T10:00:00"}, "EV017", "`packed_at`"),
    ({"packed_at": 5}, "EV023", "`packed_at`"),
    ({"tags": "a"}, "EV023", "a list of texts"),
    ({"tags": ["a", 1]}, "EV023", "item 1 is the number 1"),
    ({"tags": ["a", "b", "c"]}, "EV040", "`tags`"),
    ({"tags": ["long"]}, "EV040", "`tags.0`"),
    ({"note": "ABC"}, "EV040", "`note`"),
    ({"note": "abcdef"}, "EV040", "`note`"),
    ({"price": "12.50 ILS"}, "EV023", '{"amount": "12.50", "currency": "ILS"}'),
    ({"price": 12}, "EV023", "the number 12"),
    ({"price": 12.5}, "EV024", "the number 12.5"),
    ({"price": {"amount": "1"}}, "EV030", "no `currency`"),
    ({"price": {"amount": "1", "currency": "ILS", "vat": "0"}}, "EV030", "`vat`"),
    ({"price": {"amount": "1", "currency": 376}}, "EV030", "the number 376"),
    ({"price": {"amount": 12.5, "currency": "ILS"}}, "EV031", "amount as text"),
    ({"price": {"amount": 12, "currency": "ILS"}}, "EV031", "the number 12"),
    ({"price": {"amount": "1", "currency": "NIS"}}, "EV032", "`NIS`"),
    ({"price": {"amount": "1", "currency": "ils"}}, "EV032", "ISO 4217"),
    ({"price": {"amount": "1.005", "currency": "ILS"}}, "EV033", "ILS allows (2)"),
    ({"price": {"amount": "1.5", "currency": "JPY"}}, "EV033", "JPY allows (0)"),
    ({"price": {"amount": "1e3", "currency": "ILS"}}, "EV034", "`1e3`"),
    ({"price": {"amount": "1,000.00", "currency": "ILS"}}, "EV034", "decimal string"),
    ({"price": {"amount": "90071992547409.92", "currency": "ILS"}}, "EV034", "2^53"),
]


@pytest.mark.parametrize(("data", "code", "reason"), DATA)
def test_faulty_data_is_rejected(data: dict[str, Any], code: str, reason: str) -> None:
    whole = {"order_id": "O-1"} | data
    found = rejected(encode(event({name: value for name, value in whole.items() if value is not ...})))
    assert found.code == code
    assert reason in found.reason


@pytest.mark.parametrize("number", [b"1.0", b"1e3", b"1E0", b"-0.0", b"100e-2"])
def test_a_number_with_point_or_exponent_is_no_whole_number_however_whole(number: bytes) -> None:
    raw = encode(event()).replace(b'"O-1"', b'"O-1", "items": ' + number)
    found = rejected(raw)
    assert found.code == "EV024"
    assert number.decode() in found.reason


def test_a_line_of_ten_megabytes_is_rejected_and_kept_whole() -> None:
    raw = encode(event({"order_id": "x" * 10_000_000}))
    found = rejected(raw)
    assert found.code == "EV007"
    assert len(found.raw) > 10_000_000
    exact = encode(event())
    assert isinstance(Validator(CATALOGUE, max_bytes=len(exact)).validate(exact), Event)
    assert isinstance(Validator(CATALOGUE, max_bytes=len(exact) - 1).validate(exact), Rejection)


def test_a_rejection_says_whose_event_it_was_where_it_can() -> None:
    found = rejected(encode(event(type="zzz")))
    assert (found.source, found.id) == ("//shop.example", "e-1")
    found = rejected(encode(event(id=7, source="a\nb")))
    assert (found.source, found.id) == (None, None)
    assert rejected(b"[]").source is None


def test_a_reason_is_one_short_line_whatever_was_sent() -> None:
    for data in ({"x\ny" * 1000: 1}, {"items": "\n" * 5000}, {"kind": "z\r" * 5000}, {"note": "Z" * 5000}):
        reason = rejected(encode(event({"order_id": "O-1"} | data))).reason
        assert len(reason) < 500
        assert "\n" not in reason


@pytest.mark.parametrize(
    "text",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "text/json",
        "application/vnd.shop+json",
        None,
    ],
)
def test_json_content_types_are_accepted(text: str | None) -> None:
    accepted(encode(event() | {"datacontenttype": text}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-03-15t10:00:00z", datetime(2020, 3, 15, 10, tzinfo=UTC)),
        ("2020-03-15T10:00:00-00:00", datetime(2020, 3, 15, 10, tzinfo=UTC)),
        ("2020-03-15T10:00:00.123456789Z", datetime(2020, 3, 15, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("1900-01-01T00:00:00Z", datetime(1900, 1, 1, tzinfo=UTC)),
        ("2201-01-01T00:30:00+01:00", datetime(2200, 12, 31, 23, 30, tzinfo=UTC)),
    ],
)
def test_a_time_is_kept_in_utc(text: str, expected: datetime) -> None:
    assert accepted(encode(event(time=text))).time == expected


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert accepted(with_data(order_id="\\u0000")).data["order_id"] == "\\u0000"


def test_every_code_is_tested_and_documented() -> None:
    tested = {row[1] for row in (*LINES, *ENVELOPES, *DATA)} | {"EV007"}
    assert tested == {code for code in CODES if code < "EV090"}  # the others need more than the bytes
    documented = dict(
        re.findall(r"^\| ((?:EV|PE01)\d+) \| (.+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert documented == dict(CODES) | dict(schema.CODES)


def examples() -> list[Any]:
    """The JSON of the docs."""
    found = re.findall(r"```json\n(.+?)\n```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return [json.loads(text) for text in found]


def test_the_events_of_the_docs_are_accepted_by_the_catalogue_and_by_the_world() -> None:
    world, seen = World(), []
    for example in examples():
        if "specversion" in example:
            happened = SHIPPED_VALIDATOR.validate(encode(example))
            assert isinstance(happened, Event)
            assert admit_world(world, happened, SHIPPED) is None
            world = evolve_world(world, happened, SHIPPED)
            seen.append(happened.type)
    assert seen == ["booking.cancelled", "crisis.declared", "crisis.phase_changed", "restriction.imposed"]


def test_the_schemas_and_regions_of_the_docs_are_sound_additions() -> None:
    documents = dict(SHIPPED.documents)
    for example in examples():
        if "$id" in example:
            documents[example["$id"]] = example
        elif "specversion" not in example:
            documents["regions"] = {**cast("dict[str, Any]", documents["regions"]), **example}
    catalogue = read_catalogue(documents)
    assert catalogue.events["locker.returned"].stamps == ("returned_at",)
    assert chain(catalogue.regions, "haifa-carmel") == ("haifa-carmel", "haifa-city", "haifa", "IL", "world")


# properties of the whole: nothing is raised, nothing is lost

many = settings(max_examples=200, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
ID = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@many
@given(st.binary(max_size=60))
def test_no_bytes_make_it_raise(raw: bytes) -> None:
    assert isinstance(VALIDATOR.validate(raw), Rejection)


@many
@given(JSON)
def test_no_json_makes_it_raise(whole: object) -> None:
    assert isinstance(VALIDATOR.validate(json.dumps(whole).encode()), Rejection)


@many
@given(st.sampled_from(sorted(event())), JSON)
def test_no_attribute_makes_it_raise(name: str, value: object) -> None:
    assert isinstance(VALIDATOR.validate(json.dumps(event() | {name: value}).encode()), (Event, Rejection))


@many
@given(st.sampled_from(sorted(PROPERTIES)), JSON)
def test_no_property_makes_it_raise(name: str, value: object) -> None:
    raw = json.dumps(event({"order_id": "O-1"} | {name: value})).encode()
    assert isinstance(VALIDATOR.validate(raw), (Event, Rejection))


@many
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_no_damage_to_an_event_makes_it_raise(place: int, damage: bytes) -> None:
    raw = with_data(kind="office", items=3, price={"amount": "12.50", "currency": "ILS"}, tags=["a"])
    raw = raw[:place] + damage + raw[place + 1 :]
    assert isinstance(VALIDATOR.validate(raw), (Event, Rejection))


def values(attribute: Attribute, spec: dict[str, Any], *, key: bool) -> st.SearchStrategy[Any]:
    """JSON that the attribute accepts."""
    if attribute.choices:
        return st.sampled_from(attribute.choices)
    low, high = spec.get("minimum", -MAX_EXACT), spec.get("maximum", MAX_EXACT)
    text = ID if key or attribute.refers_to else TEXT
    if "pattern" in spec:
        text = st.from_regex(spec["pattern"], fullmatch=True)
    strategies: dict[ValueType, st.SearchStrategy[Any]] = {
        ValueType.TEXT: text,
        ValueType.INTEGER: st.integers(low, high),
        ValueType.FLAG: st.booleans(),
        ValueType.MONEY: st.builds(
            lambda minor, currency: to_json(Money(minor, currency)),
            st.integers(-MAX_EXACT, MAX_EXACT),
            st.sampled_from(["ILS", "EUR", "JPY", "KWD"]),
        ),
        ValueType.DATE: st.dates(date(1900, 1, 1), date(2200, 12, 31)).map(to_json),
        ValueType.INSTANT: INSTANTS.map(to_json),
        ValueType.TEXTS: st.lists(TEXT, min_size=spec.get("minItems", 0), max_size=3),
    }
    return strategies[attribute.type]


@st.composite
def shipped_events(draw: st.DrawFn) -> dict[str, Any]:
    kind = SHIPPED.events[draw(st.sampled_from(sorted(SHIPPED.events)))]
    specs: Any = SHIPPED.documents[f"events/{kind.name}"]
    data = {
        name: draw(values(attribute, specs["properties"][name], key=name == kind.key))
        for name, attribute in kind.attributes.items()
        if attribute.required or draw(st.booleans())
    }
    time = to_json(draw(INSTANTS))
    return event(data, type=kind.name, id=draw(ID), source=draw(ID), subject=draw(ID), time=time)


@many
@given(shipped_events())
def test_every_value_of_every_shipped_type_is_read_and_written_back(whole: dict[str, Any]) -> None:
    found = SHIPPED_VALIDATOR.validate(encode(whole))
    assert isinstance(found, Event), found
    assert {name: to_json(value) for name, value in found.data.items()} == whole["data"]
    assert to_json(found.time) == whole["time"]
    assert found.document == whole


@many
@given(shipped_events())
def test_what_is_an_event_here_is_a_cloudevent_there(whole: dict[str, Any]) -> None:
    raw = encode(whole)
    assert isinstance(SHIPPED_VALIDATOR.validate(raw), Event)
    theirs = JSONFormat().read(None, raw)
    assert (theirs.get_id(), theirs.get_source(), theirs.get_type(), theirs.get_subject()) == (
        whole["id"],
        whole["source"],
        whole["type"],
        whole["subject"],
    )
    assert theirs.get_data() == whole["data"]
