"""An entry: a header without personal data that commits to a body."""

from __future__ import annotations

import hmac
from base64 import b64decode
from hashlib import sha256

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain.events import Rejection
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import (
    Body,
    Entry,
    Header,
    Place,
    commitment,
    content_digest,
    decision_body,
    event_key,
    policy_set_body,
    rejected_body,
    seal,
)
from policyengine.ledger.entries import event_body as body_of_canonical
from policyengine.ledger.merkle import leaf_hash
from tests.ledger.ledgers import event_body

PLACE = Place("members", "0.1.0", "events.jsonl")
SALT = bytes(range(32))
EVENT = {"id": "e-1", "source": "urn:crm", "subject": "דנה-7", "type": "membership.ended"}
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


def sealed() -> Entry:
    body = event_body(EVENT, event_key("urn:crm", "e-1"))
    return seal(PLACE, body, SALT, seq=4, offset=210, policy_set="ab" * 32)


def test_a_header_says_where_it_stands_and_what_it_commits_to() -> None:
    assert orjson.loads(sealed().header) == {
        "v": 1,
        "shard": "members",
        "seq": 4,
        "kind": "event",
        "policy_set": "ab" * 32,
        "engine": "0.1.0",
        "input": {"name": "events.jsonl", "offset": 210},
        "commitment": hmac.new(SALT, sealed().body, "sha256").hexdigest(),
    }
    assert sealed().header == canonical(orjson.loads(sealed().header))
    assert sealed().leaf == leaf_hash(sealed().header)


def test_a_header_holds_nothing_personal() -> None:
    header = sealed().header.decode()
    assert "דנה" not in header
    assert "e-1" not in header
    assert "urn:crm" not in header


def test_the_same_body_under_another_salt_is_another_header() -> None:
    body = event_body(EVENT, event_key("urn:crm", "e-1"))
    other = seal(PLACE, body, bytes(32), seq=4, offset=210, policy_set="ab" * 32)
    assert other.body == sealed().body
    assert other.header != sealed().header


def test_a_salt_has_32_bytes() -> None:
    with pytest.raises(LedgerError, match="PE711"):
        seal(PLACE, event_body(EVENT, b"k" * 16), b"short", seq=0, offset=0, policy_set="")


def test_a_header_is_read_back() -> None:
    header = Header.from_bytes(sealed().header)
    assert (header.shard, header.seq, header.kind, header.offset) == ("members", 4, "event", 210)
    assert header.to_bytes() == sealed().header


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xff", b"{}", b"[]", b"7", b'{"input":3}', sealed().header + b" ",
        sealed().header.replace(b'"v":1', b'"v":2'),
        sealed().header.replace(b'"seq":4', b'"seq":"4"'),
        sealed().header.replace(b'"seq":4', b'"seq":4.0'),
        sealed().header.replace(b'"seq":4', b'"seq":3,"seq":4'),
    ],
)  # fmt: skip
def test_what_no_writer_wrote_is_no_header(raw: bytes) -> None:
    with pytest.raises(ValueError, match="no header of format 1"):
        Header.from_bytes(raw)


def test_bodies_carry_what_they_are_found_by() -> None:
    key = event_key("urn:crm", "e-1")
    event = event_body(EVENT, key)
    assert (event.kind, event.ref, event.customer) == ("event", key.hex(), "דנה-7")
    assert orjson.loads(event.raw) == {"event": EVENT}
    decision = decision_body({"decision_id": "d-1", "customer": "c-1", "outcome": "none"})
    assert (decision.kind, decision.ref, decision.customer) == ("decision", "d-1", "c-1")


def test_an_event_of_the_world_is_nobodys_and_one_of_the_engines_own_has_a_kind_of_its_own() -> None:
    key = event_key("urn:policyengine", "tick")
    told = body_of_canonical(b'{"id":"tick"}', None, key)
    tick = body_of_canonical(b'{"id":"tick"}', None, key, internal=True)
    due = body_of_canonical(b'{"id":"tick"}', "c-1", key, internal=True)
    assert told == ("event", b'{"event":{"id":"tick"}}', key.hex(), None)
    assert tick == ("internal", b'{"event":{"id":"tick"}}', key.hex(), None)
    assert due == ("internal", b'{"event":{"id":"tick"}}', key.hex(), "c-1")


def test_a_rejected_body_keeps_the_bytes_whatever_they_are() -> None:
    body = rejected_body(Rejection("EV001", "is not UTF-8", b'\xff\x00"', None, None))
    document = orjson.loads(body.raw)
    assert b64decode(document["raw"]) == b'\xff\x00"'
    assert document == {
        "code": "EV001", "reason": "is not UTF-8", "raw": "/wAi", "source": None, "id": None,
    }  # fmt: skip
    assert (body.kind, body.ref, body.customer) == ("rejected", None, None)


def test_a_policy_set_is_called_by_the_digest_of_its_body() -> None:
    body = policy_set_body([{"policy": "a/b"}], {"events": []})
    assert body.raw == b'{"catalogue":{"events":[]},"policies":[{"policy":"a/b"}]}'
    assert (body.ref, body.customer) == (sha256(body.raw).hexdigest(), None)


def test_an_event_key_is_half_a_digest_over_lengths_and_parts() -> None:
    raw = b"\0\0\0\0\0\0\0\x07urn:crm" + b"\0\0\0\0\0\0\0\x03e-1"
    assert event_key("urn:crm", "e-1") == sha256(raw).digest()[:16]


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT, TEXT, TEXT)
def test_no_two_events_share_a_key_by_where_their_parts_meet(a: str, b: str, c: str, d: str) -> None:
    assert (event_key(a, b) == event_key(c, d)) is ((a, b) == (c, d))


def test_content_is_compared_without_regard_to_the_order_of_keys() -> None:
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})
    assert content_digest({"a": 1, "b": 2}) != content_digest({"a": 1, "b": 3})


@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40),
    numbers=st.tuples(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1)),
)
def test_a_sealed_header_is_the_canonical_form_of_its_parts(text: str, numbers: tuple[int, int]) -> None:
    seq, offset = numbers
    place = Place("0", '0.1"offset":0,"seq":0', text + '"seq":0')
    entry = seal(place, Body("event", b"{}", None, None), SALT, seq=seq, offset=offset, policy_set="ab" * 32)
    header = Header.from_bytes(entry.header)  # refuses whatever is not canonical
    assert (header.seq, header.offset, header.input) == (seq, offset, place.input)
    assert header.commitment == commitment(SALT, b"{}")
