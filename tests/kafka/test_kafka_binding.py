"""Messages of Kafka and structured events: what the binding says, what is refused, nothing lost."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from cloudevents.core.bindings import kafka as oracle
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from policyengine.adapters.kafka_binding import (
    CONTENT_TYPE,
    STRUCTURED,
    Message,
    around,
    event_bytes,
    packed,
    structured,
    unpacked,
)
from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.domain.events import Event, Rejection
from policyengine.domain.validation import Validator

EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "e-1", "source": "shop", "type": "customer.registered",
    "time": "2020-03-15T10:00:00Z", "subject": "ann", "data": {"language": "he"},
}  # fmt: skip
HEADERS = tuple((f"ce_{name}", item.encode()) for name, item in EVENT.items() if name != "data")
JSON = (CONTENT_TYPE, b"application/json")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: name not in {"data", "datacontenttype", "specversion", "time"}
)
data = st.dictionaries(text, text | st.integers() | st.booleans() | st.none() | st.lists(text), max_size=4)


def binary(
    *more: tuple[str, bytes | None], value: bytes | None = b'{"language":"he"}', key: bytes | None = b"ann"
) -> Message:
    return Message(7, key, value, (*HEADERS, *more))


def refused(message: Message, *, keyed: bool = True) -> tuple[str, str]:
    found = event_bytes(message, keyed=keyed)
    assert isinstance(found, Rejection)
    before = unpacked(found.raw)
    assert (before.key, before.value) == (message.key, message.value)
    assert before.headers == tuple((name, value or b"") for name, value in message.headers)
    return found.code, found.reason


class TestReading:
    def test_a_structured_message_is_its_value(self) -> None:
        raw = orjson.dumps(EVENT)
        for media in (
            STRUCTURED, b"application/cloudevents+json", b"Application/CloudEvents+JSON;charset=utf-8",
        ):  # fmt: skip
            assert event_bytes(Message(1, b"ann", raw, ((CONTENT_TYPE, media),))) == raw

    def test_a_structured_message_is_its_value_whatever_its_other_headers_say(self) -> None:
        raw = orjson.dumps(EVENT)
        headers = ((CONTENT_TYPE, STRUCTURED), ("ce_subject", b"bob"), ("traceparent", b"\xff"))
        assert event_bytes(Message(1, b"ann", raw, headers)) == raw

    def test_without_any_header_the_value_is_taken_for_a_structured_event(self) -> None:
        raw = orjson.dumps(EVENT)
        assert event_bytes(Message(1, b"ann", raw)) == raw
        assert event_bytes(Message(1, b"ann", None)) == b""  # EV001 at the door

    def test_a_binary_message_becomes_a_structured_event(self) -> None:
        assert event_bytes(binary(JSON)) == (
            b'{"datacontenttype":"application/json","id":"e-1","source":"shop","specversion":"1.0",'
            b'"subject":"ann","time":"2020-03-15T10:00:00Z","type":"customer.registered",'
            b'"data":{"language":"he"}}'
        )

    def test_the_order_and_case_of_headers_and_what_others_wrote_there_change_nothing(self) -> None:
        shuffled = tuple((name.upper(), value) for name, value in reversed((*HEADERS, JSON)))
        message = Message(1, b"ann", b'{"language":"he"}', (("trace", b"\x00\xff"), *shuffled))
        assert event_bytes(message) == event_bytes(binary(JSON))

    def test_data_stays_as_it_is_written(self) -> None:
        """Neither floats nor a name that is there twice is smoothed over before the door sees it."""
        raw = event_bytes(binary(value=b' {"amount": 12.50, "a": 1, "a": 2} '))
        assert isinstance(raw, bytes)
        assert raw.endswith(b'"data": {"amount": 12.50, "a": 1, "a": 2} }')

    def test_a_binary_message_without_value_has_no_data(self) -> None:
        raw = event_bytes(binary(value=None))
        assert isinstance(raw, bytes)
        assert "data" not in orjson.loads(raw)  # EV020 at the door

    def test_both_modes_are_the_same_event_at_the_door(self) -> None:
        validator = Validator(load_catalogue([shipped_schemas()]))
        found = [event_bytes(binary()), event_bytes(Message(1, b"ann", orjson.dumps(EVENT)))]
        events = [validator.validate(raw) for raw in found if isinstance(raw, bytes)]
        assert len(events) == 2
        assert isinstance(events[0], Event)
        assert events[0] == events[1]


class TestRefusing:
    @pytest.mark.parametrize(
        ("headers", "value", "says"),
        [
            ([("ce_id", b"e-1"), ("CE_ID", b"e-2")], b"{}", "header `ce_id` is there twice"),
            ([JSON, JSON], b"{}", "header `content-type` is there twice"),
            ([("ce_id", None)], b"{}", "header `ce_id` has no value"),
            ([("ce_specversion", b"1.0"), ("ce_id", b"\xff")], b"{}", "header `ce_id` is not UTF-8 (byte 1)"),
            ([("ce_specversion", b"1.0"), ("ce_data", b"{}")], b"{}", "header `ce_data` is not allowed"),
            ([("ce_specversion", b"1.0"), ("ce_datacontenttype", b"a")], b"{}", "`ce_datacontenttype` is not"),
            ([JSON], orjson.dumps(EVENT), "nor is there a header `ce_specversion`"),
            ([("ce_id", b"1")], b"{}", "nor is there a header `ce_specversion`"),
            ([(CONTENT_TYPE, b"application/cloudevents+avro")], b"Obj", "`application/cloudevents+avro` is not"),
            ([(CONTENT_TYPE, b"application/cloudevents-batch+json")], b"[]", "one event to a message"),
            ([(CONTENT_TYPE, b"application/cloudevents+json; charset=utf-16")], b"{}", "in UTF-8"),
            ([("ce_specversion", b"1.0"), (CONTENT_TYPE, b"text/xml")], b"<a/>", "type `text/xml` is not"),
            ([("ce_specversion", b"1.0"), (CONTENT_TYPE, b"application/json;charset=latin1")], b"{}", "latin1"),
            ([("ce_specversion", b"1.0")], b"{", "the value of a binary message must be JSON: EOF"),
            ([("ce_specversion", b"1.0")], b"NaN", "the value of a binary message must be JSON"),
            ([("ce_specversion", b"1.0")], b'{},"subject":"bob"', "must be JSON: trailing characters"),
            ([("ce_specversion", b"1.0")], b'"\xff"', "the value of a binary message must be JSON"),
        ],
    )  # fmt: skip
    def test_a_malformed_message_is_refused_whole(
        self, headers: list[tuple[str, bytes | None]], value: bytes, says: str
    ) -> None:
        code, reason = refused(Message(1, b"ann", value, tuple(headers)))
        assert code == "EV096"
        assert says in reason

    def test_the_key_must_be_the_customer(self) -> None:
        raw = orjson.dumps(EVENT)
        assert refused(Message(1, b"bob", raw)) == (
            "EV094", "the message's key is `bob`, but the event's `subject` is `ann`; send it with that key",
        )  # fmt: skip
        assert refused(Message(1, None, raw)) == (
            "EV094", "the message has no key, but the event's `subject` is `ann`; send it with that key",
        )  # fmt: skip
        assert refused(binary(key=b"\xffann"))[0] == "EV094"

    def test_the_key_of_a_world_event_is_anything(self) -> None:
        raw = orjson.dumps(EVENT)
        assert event_bytes(Message(1, None, raw), keyed=False) == raw
        assert event_bytes(Message(1, b"IL", raw), keyed=False) == raw

    def test_what_has_no_subject_is_the_doors_to_refuse(self) -> None:
        for raw in (b"", b"{", b"[]", b'{"subject":1}', b'{"subject":"a","subject":"b"}', b"\xff"):
            assert event_bytes(Message(1, b"bob", raw)) == raw


class TestWriting:
    def test_an_event_goes_out_structured_with_its_attributes_as_headers(self) -> None:
        out = structured(EVENT, key="ann", headers={"shard": "customer-events-3"})
        assert orjson.loads(out.value or b"") == EVENT
        assert out.key == b"ann"
        assert dict(out.headers) == {
            CONTENT_TYPE: STRUCTURED, **dict(HEADERS), "shard": b"customer-events-3",
        }  # fmt: skip

    @given(data, st.dictionaries(names, text, max_size=4), text)
    def test_what_is_written_is_read(self, values: dict[str, Any], more: dict[str, str], who: str) -> None:
        event = {**EVENT, **more, "subject": who, "data": {"x": [str(one) for one in values]}}
        out = structured(event, key=who)
        raw = event_bytes(Message(1, out.key, out.value, out.headers))
        assert isinstance(raw, bytes)
        assert orjson.loads(raw) == event


class TestAgainstTheirs:
    """The `cloudevents` package reads and writes the binding too: right where the mode is clear."""

    @given(data, st.dictionaries(names, text.filter(bool), max_size=4))
    def test_their_binary_messages_are_read_as_the_event(
        self, values: dict[str, Any], more: dict[str, str]
    ) -> None:
        event = theirs(more, values)
        sent = oracle.to_binary(event, JSONFormat(), lambda event: event.get_subject())
        headers: tuple[tuple[str, bytes], ...] = tuple(sent.headers.items())
        raw = event_bytes(Message(1, str(sent.key).encode(), sent.value, headers))
        assert isinstance(raw, bytes)
        assert orjson.loads(raw) == orjson.loads(JSONFormat().write(event))

    @given(data, st.dictionaries(names, text.filter(bool), max_size=4))
    def test_their_structured_messages_are_read_as_the_event(
        self, values: dict[str, Any], more: dict[str, str]
    ) -> None:
        sent = oracle.to_structured(theirs(more, values), JSONFormat())
        raw = event_bytes(Message(1, b"ann", sent.value, tuple(sent.headers.items())))
        assert raw == sent.value

    @given(st.dictionaries(names, text.filter(bool), max_size=4))
    def test_they_read_what_is_written(self, more: dict[str, str]) -> None:
        out = structured({**EVENT, **more}, key="ann")
        message = oracle.KafkaMessage({CONTENT_TYPE: STRUCTURED}, None, out.value or b"")
        read = oracle.from_structured(message, JSONFormat())
        assert (read.get_id(), read.get_subject(), read.get_data()) == ("e-1", "ann", EVENT["data"])
        assert {name: read.get_extension(name) for name in more} == more


def theirs(more: dict[str, str], values: dict[str, Any]) -> CloudEvent:
    return CloudEvent(
        {"id": "e-1", "source": "shop", "type": "t", "subject": "ann", "specversion": "1.0",
         "datacontenttype": "application/json", **more},
        values,
    )  # fmt: skip


headers = st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3)


class TestPacking:
    @given(st.none() | st.binary(), st.none() | st.binary(), headers)
    def test_a_message_is_unpacked_byte_for_byte(
        self, key: bytes | None, value: bytes | None, more: list[tuple[str, bytes]]
    ) -> None:
        assert unpacked(packed(Message(1, key, value, tuple(more)))) == (key, value, tuple(more))

    @given(st.none() | st.binary(), st.none() | st.binary(), st.binary(), headers)
    def test_what_is_kept_beside_an_event_gives_its_message_back(
        self, key: bytes | None, value: bytes | None, event: bytes, more: list[tuple[str, bytes]]
    ) -> None:
        """The value is kept where it is not the event itself, as in binary mode."""
        for raw in {event, value or b""}:
            message = Message(1, key, value, tuple(more))
            kept = around(message, raw)
            assert (b'"value"' in kept) == (value != raw)
            assert unpacked(kept, raw) == (key, value, tuple(more))

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"key":"?","value":null,"headers":[]}'])
    def test_other_bytes_are_no_packed_message(self, raw: bytes) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
            unpacked(raw)

    @given(st.none() | st.binary(), st.none() | st.binary(), headers)
    def test_no_message_raises(
        self, key: bytes | None, value: bytes | None, more: list[tuple[str, bytes]]
    ) -> None:
        assert isinstance(event_bytes(Message(1, key, value, tuple(more))), (bytes, Rejection))
