"""Real workers on real topics: what is malformed, what is the world's, what the engine fails at, what is slow."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaProducer

from policyengine.adapters.kafka_binding import Outgoing, unpacked
from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.decision import Decision
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Header, Kind
from policyengine.service import machine
from policyengine.service.policy_sets import PolicySet
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.cli.commands import call
from tests.kafka.broker import Broker
from tests.kafka.conftest import External, make_topic
from tests.kafka.malformed import Bad, good_id, line, malformed
from tests.kafka.running import running
from tests.kafka.streams import PATIENCE, committed
from tests.kafka.workers import Group
from tests.service.machines import member
from tests.support import booked, cancelled, draft, event, policy_set, refund

CUSTOMERS = [f"c{number}" for number in range(7)]


@cache
def policies() -> PolicySet:
    """A refund for who cancels, a word for everybody whom a crisis reaches."""
    return policy_set(
        draft("travel/back", refund("booking.paid")),
        draft("care/word", {"id": "w", "on": "crisis.declared", "grant": [{"kind": "notify"}]}),
    )


def declared(name: str, at: str = "2020-03-10T08:00:00Z") -> dict[str, Any]:
    """A crisis in the whole country."""
    day = at[:10]
    return event("crisis.declared", at, name, crisis_id=name, kind="pandemic", region="IL", onset_from=day)


@pytest.fixture
def group(broker: Broker | External, tmp_path: Path) -> Iterator[Group]:
    with Group(broker.bootstrap, f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path) as made:
        yield made


def entries(group: Group, shard: str, kind: str | None = None) -> list[Entry]:
    with SqlLedgerStore(group.ledger, read_only=True) as store:
        return [one for one in store.entries(shard) if kind in (None, one.kind)]


def assert_verified(group: Group) -> None:
    with SqlLedgerStore(group.ledger, read_only=True) as store:
        assert verify_ledger(store, None).faults == []
        for shard in store.shards():
            assert list(replay(store, shard)) == []


def original(letter: dict[str, Any]) -> Outgoing:
    """The message that a dead letter tells of."""
    raw = letter["raw"].encode() if "raw" in letter else b64decode(letter["raw_base64"])
    return unpacked(canonical(letter["message"]), raw) if "message" in letter else unpacked(raw)


def test_a_thousand_malformed_messages_are_dead_letters_as_they_came_and_no_good_one_is_lost(
    broker: Broker | External, tmp_path: Path
) -> None:
    group = Group(broker.bootstrap, f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path)
    # customers' topic takes what the engine does not
    make_topic(broker.bootstrap, name=group.kafka.customer_topic, partitions=2, max_message_bytes="4000000")
    bad: dict[tuple[str, int], Bad] = {}
    good: list[str] = []
    with group, KafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=4_000_000) as producer:

        def tell(document: dict[str, Any]) -> None:
            subject = str(document["subject"])
            producer.send(group.kafka.customer_topic, line(document), subject.encode())
            good.append(subject)

        for one in CUSTOMERS:
            tell({**booked("first"), "id": good_id(one), "subject": one})
        sent = []
        for number in range(21):
            for each in malformed(number):
                message = producer.send(
                    group.kafka.customer_topic, each.value, each.key, headers=list(each.headers)
                )
                sent.append((message, each))
            for one in CUSTOMERS:
                tell({**booked(f"b{number}"), "subject": one, "id": f"{one}-{number}"})
                tell({**cancelled(f"b{number}"), "subject": one, "id": f"{one}-{number}-off"})
        for message, each in sent:
            told = message.get(PATIENCE)
            bad[f"{told.topic}-{told.partition}", told.offset + 1] = each
        assert len(bad) == len(sent) > 1_000
        with running(group, policies()):
            group.until_read(len(bad) + len(good))
        letters = group.dead_letters()
        found = {(one["shard"], one["offset"]): one for one in letters}
        assert found.keys() == bad.keys()
        assert len(letters) == len(bad)
        for at, letter in found.items():
            each = bad[at]
            assert letter["code"] == each.code, letter["reason"]
            assert len(letter["reason"]) > 10
            assert original(letter) == Outgoing(each.key, each.value, each.headers), letter["code"]
        decided = Counter(one["customer"] for several in group.decisions().values() for one in several)
        assert decided == Counter(good)
        outcomes = Counter(one["outcome"] for several in group.decisions().values() for one in several)
        assert outcomes == {"none": 7 + 7 * 21, "granted": 7 * 21}
        assert_verified(group)


def test_each_shard_takes_the_world_up_once_at_a_place_of_its_own_and_reaches_its_customers_once(
    broker: Broker | External, tmp_path: Path
) -> None:
    people = [f"p{number}" for number in range(40)]
    group = Group(broker.bootstrap, f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path, partitions=3)
    with group:
        with running(group, policies()):
            group.write([line(member(one, country="IL", region="haifa")) for one in people])
            group.until_read(40)
            group.write([line(declared("k1"))])
            group.until(group.world_is_through)
            group.write([line({**booked(one), "subject": one, "id": one}) for one in people])
        with running(group, policies()):  # another worker goes on
            group.write(
                [line(declared("k2", "2020-04-10T08:00:00Z")), line(declared("k1"))]
            )  # one comes twice
            with KafkaProducer(bootstrap_servers=group.bootstrap) as producer:  # one of a customer, misplaced
                producer.send(group.kafka.world_topic, line(booked("elsewhere")), b"c1").get(PATIENCE)
            group.until(group.world_is_through)
            group.until_read(80)
        for shard in group.shards():
            taken = [
                (one.document()["event"]["subject"], Header.from_bytes(one.header).input)
                for one in entries(group, shard, Kind.EVENT)
                if one.document()["event"]["type"] == "crisis.declared"
            ]
            world = f"{group.kafka.world_topic}-0"
            assert taken == [("k1", world), ("k2", world)]
        misplaced = Counter((one["code"], one["shard"]) for one in group.dead_letters())
        assert misplaced == Counter(("EV097", shard) for shard in group.shards())
        reached = Counter(
            (one["customer"], one["event"]["id"])
            for several in group.decisions().values()
            for one in several
            if one["event"]["type"] == "crisis.declared"
        )
        assert reached == Counter(
            (who, str(one["id"]))
            for who in people
            for one in (declared("k1"), declared("k2", "2020-04-10T08:00:00Z"))
        )
        assert_verified(group)


def test_what_the_engine_failed_at_is_sent_again_as_it_came_and_decided_once(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A binary message with headers of its own, a structured one, and an event of the world."""
    decide = machine.decide

    def fails(*arguments: Any) -> list[Decision]:
        if str(arguments[3].data.get("booking_id", "")).startswith("bad"):
            raise ZeroDivisionError
        return decide(*arguments)

    def fails_too(*_: Any) -> Any:
        raise ZeroDivisionError

    data = dict(booked("bad-1")["data"])
    binary = [
        ("content-type", b"application/json"), ("ce_specversion", b"1.0"), ("ce_id", b"1"), ("trace", b"\xff00"),
        ("ce_source", b"test"), ("ce_type", b"booking.made"), ("ce_time", b"2020-02-01T10:00:00Z"), ("ce_subject", b"c1"),
    ]  # fmt: skip
    topic = group.kafka.customer_topic
    with monkeypatch.context() as patch, KafkaProducer(bootstrap_servers=group.bootstrap) as producer:
        patch.setattr(machine, "decide", fails)
        patch.setattr(machine, "admit_world", fails_too)
        producer.send(topic, orjson.dumps(data), b"c1", headers=binary).get(PATIENCE)
        producer.send(topic, line(booked("bad-2")), b"c1", headers=[("trace", b"2")]).get(PATIENCE)
        producer.send(topic, line(booked("good")), b"c1").get(PATIENCE)
        producer.send(group.kafka.world_topic, line(declared("k1"))).get(PATIENCE)
        with running(group, policies()) as worker:
            group.until(lambda: len(group.dead_letters()) == 4)  # the world's in each of two shards
            assert worker.metric("policyengine_poisoned_total") == 4
    assert {one["code"] for one in group.dead_letters()} == {"EV095"}
    assert all("ZeroDivisionError" in one["reason"] for one in group.dead_letters())
    (one,) = [one for one in group.dead_letters() if (one.get("message") or {}).get("value")]
    environment = {
        name: value for name, value in group.environment().items() if name.startswith("POLICYENGINE_")
    }
    ledger = ("--ledger", group.ledger, "--format", "json")
    again = call("requeue", "--shard", one["shard"], "--seq", str(one["seq"]), *ledger, **environment)
    assert again.json["sent"] == 1
    rest = call("requeue", "--all", *ledger, **environment)
    assert rest.json["sent"] == 3  # it is not accepted yet, so the first goes once more
    messages = [each for number in range(2) for each in committed(group.bootstrap, topic, number)]
    contents = Counter((each.key, each.value, each.headers) for each in messages)
    assert sorted(contents.values()) == [1, 2, 3]
    assert len(committed(group.bootstrap, group.kafka.world_topic)) == 2
    with running(group, policies()):
        group.until_read(len(messages))
        group.until(group.world_is_through)
    ids = Counter(each["event"]["id"] for several in group.decisions().values() for each in several)
    assert set(ids.values()) == {1}
    assert len(ids) == 3
    assert call("requeue", "--all", *ledger, **environment).json["sent"] == 0
    assert_verified(group)


def test_a_timer_that_poisons_is_set_aside_on_real_topics_and_the_shard_goes_on(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = [{"at": "2020-04-01", "event": "booking.completed"}]
    later = policy_set(draft("travel/back", refund("booking.paid", follow_up=after)))
    decide = machine.decide

    def fails(*arguments: Any) -> list[Decision]:
        if arguments[3].type == "booking.completed":
            raise ZeroDivisionError
        return decide(*arguments)

    with monkeypatch.context() as patch, running(group, later) as worker:
        patch.setattr(machine, "decide", fails)
        group.write([line(booked()), line(cancelled()), line(booked("b2", "2020-04-02T10:00:00Z"))])
        group.until_read(3)
        group.until(lambda: bool(group.dead_letters()))
        assert worker.metric("policyengine_poisoned_total") == 1
        assert worker.health.why_not_ready() == []
    (letter,) = group.dead_letters()
    assert (letter["code"], orjson.loads(letter["raw"])["type"]) == ("EV095", "booking.completed")
    assert sum(map(len, group.decisions().values())) == 3
    assert_verified(group)
