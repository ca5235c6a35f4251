"""The format of schema documents: what becomes of a sound one, and every fault of an unsound one."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain import schema
from policyengine.domain.catalogue import Attribute, Catalogue, Region, Scope, TimerRule
from policyengine.domain.money import Money
from policyengine.domain.schema import DIALECT, Source, examine, read_catalogue
from policyengine.domain.schema_properties import Fault, Pointer, constraints
from policyengine.domain.values import ValueType
from policyengine.errors import CatalogueError


def described(**spec: Any) -> dict[str, Any]:
    return {"description": "what it means", **spec}


def entity(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "$id": f"entities/{name}",
        "title": name,
        "description": "something a customer has",
        "type": "object",
        "x-entity": name,
        "properties": properties,
    }


BOOKING = entity(
    "booking",
    status=described(type="string", enum=["made", "cancelled"]),
    paid=described(**{"$ref": "money"}),
    starts_on=described(type="string", format="date"),
    cancelled_at=described(type="string", format="date-time"),
    nights=described(type="integer"),
    tags=described(type="array", items={"type": "string"}),
    flexible=described(type="boolean"),
)
CANCELLED: dict[str, Any] = {
    "$schema": DIALECT,
    "$id": "events/booking.cancelled",
    "title": "booking.cancelled",
    "description": "the customer cancels",
    "type": "object",
    "x-entity": "booking",
    "x-key": "booking_id",
    "x-set": {"status": "cancelled", "paid": {"amount": "0.00", "currency": "ILS"}},
    "x-stamp": ["cancelled_at"],
    "properties": {
        "booking_id": described(type="string"),
        "membership_id": described(type="string", **{"x-ref": "membership"}),
        "nights": described(type="integer", minimum=1),
        "reason": described(type="string", enum=["illness", "other"]),
    },
    "required": ["booking_id"],
    "additionalProperties": False,
}
CLOSURE = entity(
    "closure",
    region=described(type="string", **{"x-place": True}),
    until=described(type="string", format="date"),
    **{"from": described(type="string", format="date")},
    told_at=described(type="string", format="date-time"),
) | {"x-scope": "world", "x-covers": "place", "x-order": [["from", "until"]]}


def of_closure(name: str, **more: Any) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "$id": f"events/{name}",
        "title": name,
        "description": "something happens to a closure",
        "type": "object",
        "x-scope": "world",
        "x-entity": "closure",
        "x-key": "closure_id",
        "properties": {
            "closure_id": described(type="string"),
            "until": described(type="string", format="date"),
        },
        "required": ["closure_id"],
        **more,
    }


DOCUMENTS: dict[str, Any] = {
    "entities/closure": CLOSURE,
    "events/closure.declared": of_closure(
        "closure.declared",
        **{
            "x-must-exist": False,
            "x-clear": ["told_at"],
            "x-timer": [{"at": "until", "event": "closure.over"}],
        },
    ),
    "events/closure.over": of_closure("closure.over", **{"x-internal": True}),
    "regions": {
        "world": {"parent": None, "timezone": "UTC"},
        "IL": {"parent": "world", "timezone": "Asia/Jerusalem", "names": {"en": "Israel", "he": "ישראל"}},
        "haifa": {"parent": "IL"},
    },
    "entities/booking": BOOKING,
    "entities/customer": entity("customer", core=described(type="boolean"), tier=described(type="string"))
    | {"x-reach": [{"core": True}, {"tier": "gold", "core": False}]},
    "entities/membership": entity("membership"),
    "events/booking.cancelled": CANCELLED,
}


def test_a_sound_document_becomes_an_event_type() -> None:
    kind = read_catalogue(DOCUMENTS).events["booking.cancelled"]
    assert (kind.entity, kind.key, kind.scope) == ("booking", "booking_id", Scope.CUSTOMER)
    assert kind.sets == {"status": "cancelled", "paid": Money(0, "ILS")}
    assert kind.stamps == ("cancelled_at",)
    assert kind.attributes["booking_id"] == Attribute(
        "booking_id", ValueType.TEXT, required=True, description="what it means"
    )
    assert kind.attributes["membership_id"].refers_to == "membership"
    assert kind.attributes["reason"].choices == ("illness", "other")


def test_every_json_type_has_its_value_type() -> None:
    attributes = read_catalogue(DOCUMENTS).entities["booking"].attributes
    assert {name: attribute.type for name, attribute in attributes.items()} == {
        "status": ValueType.TEXT,
        "paid": ValueType.MONEY,
        "starts_on": ValueType.DATE,
        "cancelled_at": ValueType.INSTANT,
        "nights": ValueType.INTEGER,
        "tags": ValueType.TEXTS,
        "flexible": ValueType.FLAG,
    }


def test_constants_are_read_as_the_type_of_the_attribute() -> None:
    documents = copy.deepcopy(DOCUMENTS)
    documents["events/booking.cancelled"]["x-set"] = {"starts_on": "2020-03-15", "tags": ["a"], "nights": 0}
    kind = read_catalogue(documents).events["booking.cancelled"]
    assert kind.sets == {"starts_on": date(2020, 3, 15), "tags": ("a",), "nights": 0}


def test_the_documents_are_kept_as_they_were_read() -> None:
    catalogue = read_catalogue(DOCUMENTS)
    assert catalogue.documents == DOCUMENTS
    assert list(catalogue.documents) == sorted(DOCUMENTS)
    assert read_catalogue(catalogue.documents) == catalogue


def test_only_what_the_types_do_not_say_is_left_to_json_schema() -> None:
    assert constraints(CANCELLED) == {"properties": {"nights": {"minimum": 1}}}
    assert constraints(entity("customer")) is None


def test_an_entity_of_the_world_says_whom_it_covers_and_which_dates_have_an_order() -> None:
    kind = read_catalogue(DOCUMENTS).entities["closure"]
    assert (kind.scope, kind.covers, kind.order) == (Scope.WORLD, "place", (("from", "until"),))
    assert [name for name, attribute in kind.attributes.items() if attribute.place] == ["region"]


def test_an_event_of_the_world_says_what_must_be_there_and_what_will_happen() -> None:
    events = read_catalogue(DOCUMENTS).events
    declared, over = events["closure.declared"], events["closure.over"]
    assert (declared.scope, declared.must_exist, declared.internal) == (Scope.WORLD, False, False)
    assert declared.timers == (TimerRule("until", "closure.over"),)
    assert declared.clears == ("told_at",)
    assert (over.must_exist, over.internal, over.timers) == (None, True, ())


def test_the_customer_says_who_is_reached_first() -> None:
    reach = read_catalogue(DOCUMENTS).entities["customer"].reach
    assert reach == ({"core": True}, {"tier": "gold", "core": False})


def test_regions_have_a_parent_a_zone_and_names() -> None:
    assert read_catalogue(DOCUMENTS).regions == {
        "IL": Region("world", "Asia/Jerusalem", {"en": "Israel", "he": "ישראל"}),
        "haifa": Region("IL"),
        "world": Region(None, "UTC"),
    }


def test_a_folder_adds_regions_and_all_are_one_document() -> None:
    more = {"hadera": {"parent": "haifa"}}
    catalogue, faults = examine([*sources_of(DOCUMENTS), Source("more", "regions", more)])
    assert faults == []
    assert catalogue.regions["hadera"] == Region("haifa")
    assert catalogue.documents["regions"] == {**DOCUMENTS["regions"], **more}
    assert read_catalogue(catalogue.documents) == catalogue


def test_a_region_defined_twice_is_a_fault_of_the_later_one() -> None:
    again = {"haifa": {"parent": "world"}}
    catalogue, [fault] = examine([*sources_of(DOCUMENTS), Source("more", "regions", again)])
    assert (fault.source, fault.code, fault.pointer) == ("more", "PE019", ("haifa",))
    assert catalogue.regions["haifa"] == Region("IL")


def test_regions_without_the_world_are_a_fault() -> None:
    documents = DOCUMENTS | {"regions": {"IL": {"parent": "IT"}, "IT": {"parent": "IL"}}}
    assert [(fault.code, fault.pointer) for fault in faults_of(documents)] == [
        ("PE010", ("IL", "parent")),
        ("PE010", ("IT", "parent")),
        ("PE011", ()),
    ]


EVENT = "events/booking.cancelled"
DECLARED, OVER, WORLDLY = "events/closure.declared", "events/closure.over", "entities/closure"
# each row: where to change the sound documents, to what, and the fault that must be found
FAULTS: list[tuple[str, Pointer, Any, str, Pointer]] = [
    (EVENT, ("title",), "Booking Cancelled", "PE014", ("title",)),
    (EVENT, ("$id",), "events/other", "PE014", ("$id",)),
    (EVENT, ("description",), " ", "PE011", ()),
    (EVENT, ("type",), "array", "PE010", ("type",)),
    (EVENT, ("$schema",), "http://json-schema.org/draft-07/schema#", "PE010", ("$schema",)),
    (EVENT, ("additionalProperties",), True, "PE010", ("additionalProperties",)),
    (EVENT, ("x-scope",), "planet", "PE010", ("x-scope",)),
    (EVENT, ("x-ky",), "booking_id", "PE012", ("x-ky",)),
    (EVENT, ("oneOf",), [], "PE010", ("oneOf",)),
    (EVENT, ("required",), ["booking_id", "reson"], "PE012", ("required", 1)),
    (EVENT, ("x-entity",), "bookin", "PE015", ("x-entity",)),
    (EVENT, ("x-entity",), None, "PE015", ("x-entity",)),
    (EVENT, ("x-key",), "nights", "PE016", ("x-key",)),
    (EVENT, ("x-key",), "reason", "PE016", ("x-key",)),
    (EVENT, ("x-key",), "bookingid", "PE016", ("x-key",)),
    (EVENT, ("x-set",), ["status"], "PE017", ("x-set",)),
    (EVENT, ("x-set", "state"), "x", "PE017", ("x-set", "state")),
    (EVENT, ("x-set", "status"), "canceled", "PE017", ("x-set", "status")),
    (EVENT, ("x-set", "nights"), "3", "PE017", ("x-set", "nights")),
    (EVENT, ("x-stamp",), "cancelled_at", "PE017", ("x-stamp",)),
    (EVENT, ("x-stamp",), ["canceled_at"], "PE017", ("x-stamp", 0)),
    (EVENT, ("x-stamp",), ["starts_on"], "PE017", ("x-stamp", 0)),
    (EVENT, ("properties", "reason", "description"), "", "PE011", ("properties", "reason")),
    (EVENT, ("properties", "reason", "enum"), ["a", 1], "PE010", ("properties", "reason", "enum")),
    (EVENT, ("properties", "reason", "minimum"), 1, "PE012", ("properties", "reason", "minimum")),
    (EVENT, ("properties", "nights", "type"), "number", "PE013", ("properties", "nights", "type")),
    (EVENT, ("properties", "nights", "type"), ["integer", "null"], "PE013", ("properties", "nights", "type")),
    (EVENT, ("properties", "nights", "type"), "int", "PE010", ("properties", "nights", "type")),
    (EVENT, ("properties", "nights", "minimum"), 0.5, "PE010", ("properties", "nights", "minimum")),
    (EVENT, ("properties", "nights", "minimum"), 2**53, "PE010", ("properties", "nights", "minimum")),
    (EVENT, ("properties", "nights"), described(type="string"), "PE018", ("properties", "nights")),
    (EVENT, ("properties", "status"), described(type="string"), "PE018", ("properties", "status")),
    (EVENT, ("properties", "x"), described(type="object"), "PE013", ("properties", "x", "type")),
    (EVENT, ("properties", "x"), described(), "PE013", ("properties", "x", "type")),
    (EVENT, ("properties", "x"), described(type="array"), "PE013", ("properties", "x", "type")),
    (EVENT, ("properties", "x"), described(**{"$ref": "#/x"}), "PE013", ("properties", "x", "$ref")),
    (EVENT, ("properties", "x"), True, "PE011", ("properties", "x")),
    (
        EVENT,
        ("properties", "x"),
        described(type="array", items={"type": "integer"}),
        "PE013",
        ("properties", "x", "items"),
    ),
    (
        EVENT,
        ("properties", "x"),
        described(type="string", format="time"),
        "PE013",
        ("properties", "x", "format"),
    ),
    (
        EVENT,
        ("properties", "x"),
        described(type="string", pattern="(?=a)"),
        "PE010",
        ("properties", "x", "pattern"),
    ),
    (EVENT, ("properties", "Nights"), described(type="integer"), "PE014", ("properties", "Nights")),
    (EVENT, ("properties", "time"), described(type="integer"), "PE014", ("properties", "time")),
    (EVENT, ("properties", "in"), described(type="integer"), "PE014", ("properties", "in")),
    (
        EVENT,
        ("properties", "membership_id", "x-ref"),
        "membershp",
        "PE015",
        ("properties", "membership_id", "x-ref"),
    ),
    (EVENT, ("properties",), [], "PE010", ("properties",)),
    ("entities/booking", ("properties", "id"), described(type="string"), "PE014", ("properties", "id")),
    ("entities/booking", ("x-entity",), "other", "PE014", ("x-entity",)),
    ("entities/booking", ("required",), [], "PE012", ("required",)),
    ("entities/booking", ("x-set",), {}, "PE012", ("x-set",)),
    ("entities/booking", ("x-scope",), "planet", "PE010", ("x-scope",)),
    ("entities/booking", ("x-covers",), "place", "PE017", ("x-covers",)),
    ("entities/booking", ("x-order",), [["starts_on", "starts_on"]], "PE017", ("x-order",)),
    ("entities/booking", ("x-reach",), [{"nights": 1}], "PE017", ("x-reach",)),
    ("entities/customer", ("x-scope",), "world", "PE017", ("x-scope",)),
    ("entities/customer", ("x-reach",), {"core": True}, "PE010", ("x-reach",)),
    ("entities/customer", ("x-reach",), [{}], "PE010", ("x-reach", 0)),
    ("entities/customer", ("x-reach",), [{"cor": True}], "PE017", ("x-reach", 0, "cor")),
    ("entities/customer", ("x-reach",), [{"core": "yes"}], "PE017", ("x-reach", 0, "core")),
    (WORLDLY, ("x-covers",), "all", "PE010", ("x-covers",)),
    (WORLDLY, ("properties", "region", "x-place"), False, "PE017", ("x-covers",)),
    (WORLDLY, ("properties", "region", "x-place"), 1, "PE010", ("properties", "region", "x-place")),
    (WORLDLY, ("properties", "until", "x-place"), True, "PE012", ("properties", "until", "x-place")),
    (WORLDLY, ("x-order",), [["from"]], "PE010", ("x-order", 0)),
    (WORLDLY, ("x-order",), [["from", "til"]], "PE017", ("x-order", 0, 1)),
    (WORLDLY, ("x-order",), [["region", "until"]], "PE017", ("x-order", 0, 0)),
    (WORLDLY, ("x-order",), [["from", "told_at"]], "PE017", ("x-order", 0)),
    (
        WORLDLY,
        ("properties", "booking_id"),
        described(type="string", **{"x-ref": "booking"}),
        "PE015",
        ("properties", "booking_id", "x-ref"),
    ),
    (EVENT, ("x-entity",), "closure", "PE017", ("x-entity",)),
    (EVENT, ("x-must-exist",), True, "PE017", ("x-must-exist",)),
    (EVENT, ("x-timer",), [{"at": "starts_on", "event": "closure.over"}], "PE017", ("x-timer",)),
    (EVENT, ("x-internal",), "yes", "PE010", ("x-internal",)),
    (EVENT, ("x-clear",), ["state"], "PE017", ("x-clear", 0)),
    (DECLARED, ("x-scope",), "customer", "PE017", ("x-entity",)),
    (DECLARED, ("x-must-exist",), 1, "PE010", ("x-must-exist",)),
    (DECLARED, ("x-timer",), [{"at": "until"}], "PE010", ("x-timer", 0)),
    (DECLARED, ("x-timer", 0, "in"), "x", "PE012", ("x-timer", 0, "in")),
    (DECLARED, ("x-timer", 0, "at"), "told_at", "PE017", ("x-timer", 0, "at")),
    (DECLARED, ("x-timer", 0, "event"), "closure.ovr", "PE015", ("x-timer", 0, "event")),
    (DECLARED, ("x-timer", 0, "event"), "booking.cancelled", "PE017", ("x-timer", 0, "event")),
    ("regions", ("haifa",), {}, "PE011", ("haifa",)),
    ("regions", ("haifa", "parent"), "ILL", "PE015", ("haifa", "parent")),
    ("regions", ("haifa", "parent"), None, "PE010", ("haifa", "parent")),
    ("regions", ("haifa", "parent"), "haifa", "PE010", ("haifa", "parent")),
    ("regions", ("world", "parent"), "IL", "PE010", ("world", "parent")),
    ("regions", ("haifa", "timezone"), "Asia/Haifa", "PE010", ("haifa", "timezone")),
    ("regions", ("haifa", "names"), {"he": 3}, "PE010", ("haifa", "names")),
    ("regions", ("haifa", "nmes"), {}, "PE012", ("haifa", "nmes")),
    ("regions", ("tel aviv",), {"parent": "IL"}, "PE014", ("tel aviv",)),
]


def sources_of(documents: dict[str, Any]) -> list[Source]:
    return [Source(name, name.split("/")[0], document) for name, document in documents.items()]  # type: ignore[arg-type]


def faults_of(documents: dict[str, Any]) -> list[Fault]:
    return examine(sources_of(documents))[1]


def changed(name: str, pointer: Pointer, value: object) -> dict[str, Any]:
    documents = copy.deepcopy(DOCUMENTS)
    place: Any = documents[name]
    for step in pointer[:-1]:
        place = place[step]
    place[pointer[-1]] = value
    return documents


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"x-internal": False}, "PE017"),
        ({"properties": {"closure_id": described(type="string")}}, "PE017"),
        (
            {
                "properties": {**of_closure("")["properties"], "why": described(type="string")},
                "required": ["closure_id", "why"],
            },
            "PE017",
        ),
    ],
    ids=["not internal", "without the day", "needs more than a timer gives"],
)
def test_what_a_timer_makes_happen_must_fit_it(changes: dict[str, Any], code: str) -> None:
    documents = DOCUMENTS | {OVER: DOCUMENTS[OVER] | changes}
    assert [(fault.source, fault.code, fault.pointer) for fault in faults_of(documents)] == [
        (DECLARED, code, ("x-timer", 0, "event"))
    ]


@pytest.mark.parametrize(("name", "pointer", "value", "code", "place"), FAULTS)
def test_a_fault_has_a_code_and_a_place(
    name: str, pointer: Pointer, value: object, code: str, place: Pointer
) -> None:
    found = faults_of(changed(name, pointer, value))
    assert (name, code, place) in [(fault.source, fault.code, fault.pointer) for fault in found]


@pytest.mark.parametrize(
    ("key", "code"),
    [("x-key", "PE016"), ("x-entity", "PE016"), ("title", "PE011"), ("description", "PE011")],
)
def test_what_is_left_out_is_a_fault(key: str, code: str) -> None:
    documents = copy.deepcopy(DOCUMENTS)
    del documents[EVENT][key]
    assert code in [fault.code for fault in faults_of(documents)]


def test_every_code_of_the_catalogue_has_a_test() -> None:
    tested = {row[3] for row in FAULTS} | {"PE019"}
    assert tested == set(schema.CODES)


def test_names_that_the_language_needs_are_no_entities() -> None:
    for name in ("event", "param", "row", "place", "earlier", "package", "in"):
        documents = DOCUMENTS | {f"entities/{name}": entity(name)}
        assert [fault.code for fault in faults_of(documents)] == ["PE014"]


def test_a_catalogue_needs_the_customer() -> None:
    with pytest.raises(CatalogueError, match="entities/customer:0:0: PE011 no entity `customer`"):
        read_catalogue({name: DOCUMENTS[name] for name in DOCUMENTS if name != "entities/customer"})


def test_the_key_of_a_customer_is_the_subject() -> None:
    documents = copy.deepcopy(DOCUMENTS)
    documents[EVENT] |= {"x-entity": "customer", "x-set": {}, "x-stamp": []}
    assert [(fault.code, fault.hint) for fault in faults_of(documents)] == [("PE016", "remove `x-key`")]
    del documents[EVENT]["x-key"]
    assert read_catalogue(documents).events["booking.cancelled"].key is None


def test_a_type_defined_twice_is_a_fault_of_the_later_one() -> None:
    [fault] = examine([*sources_of(DOCUMENTS), Source("again", "events", CANCELLED)])[1]
    assert (fault.source, fault.code, fault.pointer) == ("again", "PE019", ("title",))


def test_hints_name_what_is_near() -> None:
    [fault] = faults_of(changed(EVENT, ("x-entity",), "bookin"))
    assert fault.hint == "did you mean `booking`?"
    [fault] = faults_of(changed(EVENT, ("x-ky",), "booking_id"))
    assert fault.hint == "did you mean `x-key`?"
    [fault] = faults_of(changed(EVENT, ("x-set", "status"), "canceled"))
    assert "did you mean `cancelled`?" in fault.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(sorted({(row[0], row[1]) for row in FAULTS}))


@settings(max_examples=200, deadline=None)
@given(PLACES, JSON)
def test_no_document_breaks_the_reader(place: tuple[str, Pointer], value: object) -> None:
    catalogue, _ = examine(sources_of(changed(place[0], place[1], value)))
    assert isinstance(catalogue, Catalogue)
