"""A worker's loop on a stream of lists: assignments, failures of every side, poison, policy sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.events import Event, Record
from policyengine.errors import FencedError, LedgerError, StreamError, UsageError
from policyengine.ledger.entries import Kind, Place
from policyengine.service.health import Health
from policyengine.service.machine import Happened, Machine, Refused
from policyengine.service.metrics import NoMeters
from policyengine.service.newest import POLICIES, Newest
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import DEAD_LETTERS, DECISIONS
from policyengine.service.replay import replay
from policyengine.service.set_aside import set_aside
from policyengine.service.shards import Pace, Shard
from policyengine.service.stream_ports import Assignments
from policyengine.service.verification import verify_ledger
from policyengine.service.worker import Worker
from tests.service.runs import FULL, entries, half, opened, salts
from tests.support import booked, cancelled, draft, event, line, policy_set, refund

WORLD = "world-0"
DECLARED = event(
    "crisis.declared",
    "2020-02-15T00:00:00Z",
    "k1",
    crisis_id="k1",
    kind="pandemic",
    region="IL",
    onset_from="2020-02-15",
)


class Clock:
    """Time passes when somebody waits, and a little with each look."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> int:
        return 0

    def seconds(self) -> float:
        self.at += 0.001
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


class Broker:
    """Topics as lists; what is published, and its positions, per shard."""

    def __init__(self) -> None:
        self.events: dict[str, list[bytes]] = {}
        self.world: list[bytes] = []
        self.published: dict[str, dict[str, list[Any]]] = {}
        self.positions: dict[str, dict[str, int]] = {}
        self.openings: dict[str, int] = {}
        self.away = False

    def decided(self, shard: str = "a-0") -> list[str]:
        return [one["id"] for one in self.published.get(shard, {}).get(DECISIONS, [])]


class Publisher:
    """Writes all or nothing; the one that opened last may write."""

    def __init__(self, broker: Broker, shard: str) -> None:
        self._broker, self._shard, self._number = broker, shard, 0

    def open(self) -> dict[str, int]:
        self._reach()
        self._number = self._broker.openings[self._shard] = self._broker.openings.get(self._shard, 0) + 1
        return dict(self._broker.positions.get(self._shard, {}))

    def publish(self, messages: Mapping[str, Sequence[Any]], positions: Mapping[str, int]) -> None:
        self._reach()
        if self._number != self._broker.openings[self._shard]:
            raise FencedError("another")
        topics = self._broker.published.setdefault(self._shard, {})
        for channel, several in messages.items():
            topics.setdefault(channel, []).extend(one[0] for one in several)
        self._broker.positions[self._shard] = dict(positions)

    def close(self) -> None:
        self._number = -1

    def _reach(self) -> None:
        if self._broker.away:
            raise StreamError("away", code="PE721")


class Stream:
    """A member of the group that is told when its shards change; one batch of two a poll."""

    def __init__(self, broker: Broker, told: Assignments) -> None:
        self.broker, self.told = broker, told
        self.places: dict[str, int] = {}
        self.worlds: dict[str, int] = {}
        self.paused: set[str] = set()
        self.coming: list[tuple[str, str]] = []  # what the group says at the next poll
        self.closed = False

    def poll(self, seconds: float) -> dict[str, list[Record]]:  # noqa: ARG002 - as the port has it
        while self.coming:
            what, shard = self.coming.pop(0)
            if what == "assigned":
                self.places[shard] = self.told.assigned(shard) or 0
            else:
                self.places.pop(shard)
                getattr(self.told, what)(shard)
        found = {}
        for shard, place in self.places.items():
            if shard not in self.paused and (raw := self.broker.events.get(shard, [])[place : place + 2]):
                found[shard] = [Record(one, place + number) for number, one in enumerate(raw, start=1)]
                self.places[shard] += len(raw)
        return found

    def seek(self, shard: str, offset: int) -> None:
        self.places[shard] = offset

    def pause(self, shard: str) -> None:
        self.paused.add(shard)

    def resume(self, shard: str) -> None:
        self.paused.discard(shard)

    def commit(self, offsets: Mapping[str, int]) -> None:
        pass

    def lag(self) -> dict[str, int]:
        return {}

    def open_world(self, shard: str, offset: int | None) -> None:
        self.worlds[shard] = offset or 0

    def leave_world(self, shard: str) -> None:
        self.worlds.pop(shard, None)

    def poll_world(self) -> None:
        pass

    def world(self, shard: str, limit: int) -> list[Record]:
        place = self.worlds[shard]
        raw = self.broker.world[place : place + limit]
        self.worlds[shard] += len(raw)
        return [Record(one, place + number) for number, one in enumerate(raw, start=1)]

    def publisher(self, shard: str) -> Publisher:
        return Publisher(self.broker, shard)

    def close(self, seconds: float) -> None:  # noqa: ARG002 - as the port has it
        self.closed = True
        for shard in list(self.places):
            self.told.revoked(shard)


class Meters(NoMeters):
    """Remembers what matters here."""

    def __init__(self) -> None:
        self.set_aside = 0
        self.is_refused = False
        self.still: dict[str, str] = {}

    def poisoned(self) -> None:
        self.set_aside += 1

    def refused(self, refused: bool) -> None:
        self.is_refused = refused

    def stands_still(self, shard: str, because: str | None) -> None:
        self.still.pop(shard, None)
        if because is not None:
            self.still[shard] = because


class Run:
    """A worker over a ledger and a broker, which is turned by hand."""

    def __init__(self, store: SqlLedgerStore, broker: Broker) -> None:
        self.store, self.broker, self.clock, self.meters = store, broker, Clock(), Meters()
        self.health = Health(self.clock.seconds)
        self.stream: Stream | None = None
        self.policies = Newest(store, self.meters, self.health)
        self.worker = Worker(
            store,
            connect=self._connect,
            pipeline=self._pipeline,
            policies=self.policies,
            world=WORLD,
            meters=self.meters,
            health=self.health,
            clock=self.clock,
            pace=Pace(batch=2, tick_every=0, publish_every=0, look_every=0, rejoin=1),
            stop=self._stop,
        )
        self._rounds = 0
        self.during: dict[int, Any] = {}  # what is done before a round, by its number from now on

    def _connect(self, told: Assignments) -> Stream:
        self.stream = Stream(self.broker, told)
        self.stream.coming.append(("assigned", "a-0"))
        return self.stream

    def _pipeline(self, shard: str, policies: PolicySet) -> Pipeline:
        return Pipeline(
            self.store,
            policies,
            place=Place(shard, "0.1.0", shard),
            salts=salts(),
            channels=(DECISIONS, DEAD_LETTERS),
        )

    def _stop(self) -> bool:
        return self._rounds <= 0

    def rounds(self, count: int = 12) -> None:
        """Turn so often; the clock goes on a second a round."""
        if self.stream is None:
            self.policies.begin()
        for _ in range(count):
            self._rounds = 1
            self.clock.at += 1
            self.worker._round()
        self._rounds = 0

    def end(self) -> None:
        """Stop as told."""
        self.worker.run()


def publish(store: SqlLedgerStore, policies: PolicySet) -> None:
    Pipeline(store, policies, place=Place(POLICIES, "0.1.0", "publish"), salts=salts()).publish()


@pytest.fixture
def run(tmp_path: Path) -> Any:
    with opened(tmp_path) as store:
        publish(store, half())
        made = Run(store, Broker())
        yield made
        assert verify_ledger(store, None).faults == []
        for shard in store.shards():
            assert list(replay(store, shard)) == []


def send(run: Run, *events: Mapping[str, Any] | bytes, shard: str = "a-0") -> None:
    run.broker.events.setdefault(shard, []).extend(
        one if isinstance(one, bytes) else line(one) for one in events
    )


def recorded(run: Run, shard: str = "a-0") -> list[str]:
    """The ids of the decisions in the ledger."""
    return [str(one.ref) for one in entries(run.store, Kind.DECISION, shard)]


def test_what_is_assigned_is_decided_and_published_in_order(run: Run) -> None:
    send(run, booked(), cancelled(), b"{", booked("b2"), cancelled("b2"))
    run.rounds()
    assert len(recorded(run)) == 4
    assert run.broker.decided() == recorded(run)
    (letter,) = run.broker.published["a-0"][DEAD_LETTERS]
    assert letter["data"]["code"] == "EV004"
    assert run.store.outbox("a-0", DECISIONS).next_seq == run.store.head("a-0").size  # type: ignore[union-attr]


def test_a_message_that_was_refused_when_it_was_read_is_a_dead_letter_as_it_came(run: Run) -> None:
    send(run, DECLARED)  # among customers' events
    run.broker.world.append(line(booked("w")))  # among the world's
    run.rounds()
    codes = [one.document()["code"] for one in entries(run.store, Kind.REJECTED, "a-0")]
    assert codes == ["EV097", "EV097"]


def test_every_shard_takes_the_world_from_a_place_of_its_own(run: Run) -> None:
    run.broker.world.append(line(DECLARED))
    send(run, booked())
    run.rounds()
    assert run.stream is not None
    run.stream.coming.append(("assigned", "a-1"))
    run.rounds()
    for shard in ("a-0", "a-1"):
        events = [one.document()["event"]["type"] for one in entries(run.store, Kind.EVENT, shard)]
        assert "crisis.declared" in events
        assert run.store.checkpoint(shard, WORLD).offset == 1  # type: ignore[union-attr]
    run.stream.coming += [("revoked", "a-0"), ("assigned", "a-0")]
    run.rounds()
    assert (
        sum(
            one.document()["event"]["type"] == "crisis.declared"
            for one in entries(run.store, Kind.EVENT, "a-0")
        )
        == 1
    )


@pytest.mark.parametrize("how", ["revoked", "lost"])
def test_a_shard_that_comes_back_goes_on_where_the_ledger_stands(run: Run, how: str) -> None:
    send(run, booked(), cancelled())
    run.rounds()
    assert run.stream is not None
    run.stream.coming += [(how, "a-0"), ("assigned", "a-0")]
    send(run, booked("b2"), cancelled("b2"))
    run.rounds()
    assert len(recorded(run)) == 4
    assert run.broker.decided() == recorded(run)


def test_a_broker_that_is_away_holds_up_decisions_not_deciding(run: Run) -> None:
    run.rounds(1)
    send(run, booked(), cancelled())
    run.broker.away = True
    run.rounds()
    assert len(recorded(run)) == 2
    assert run.broker.decided() == []
    run.broker.away = False
    run.rounds(40)
    assert run.broker.decided() == recorded(run)


def test_a_broker_that_took_its_time_once_does_not_hold_up_what_is_decided_next(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty seconds for the first transaction; the next is due a second after it, not forty."""
    publish = Publisher.publish

    def slowly(*arguments: Any) -> None:
        run.clock.sleep(20)
        publish(*arguments)

    send(run, booked(), cancelled())
    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", slowly)
        run.rounds(2)
    assert len(run.broker.decided()) == 2
    send(run, booked("b2"))
    run.rounds(3)  # of a second each
    assert len(run.broker.decided()) == 3


def test_what_was_published_before_the_ledger_knew_is_not_published_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(run, booked(), cancelled())
    with monkeypatch.context() as patch:
        patch.setattr(run.store, "mark_published", _gone)
        run.rounds(1)
    assert len(run.broker.decided()) == 2
    run.rounds()
    assert run.broker.decided() == recorded(run)


def test_a_database_that_is_away_stops_a_shard_until_it_is_back(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(run, booked(), cancelled(), booked("b2"), cancelled("b2"))
    run.rounds(1)
    with monkeypatch.context() as patch:
        patch.setattr(run.store, "commit", _gone)
        run.rounds(3)
        assert run.stream is not None
        assert run.stream.paused == {"a-0"}
        assert any("ledger" in reason for reason in run.health.why_not_ready())
    run.rounds(20)
    assert run.health.why_not_ready() == []
    assert len(recorded(run)) == 4
    assert run.broker.decided() == recorded(run)


def test_a_shard_that_cannot_be_read_is_told_until_it_is_another_workers(run: Run) -> None:
    send(run, booked())
    run.rounds()
    run.worker.gone("a-0", "its first messages were deleted")
    run.rounds()
    assert run.health.why_not_ready() == ["a-0 stands still: its first messages were deleted"]
    assert run.meters.still == {"a-0": "topic"}
    assert run.stream is not None
    run.stream.coming.append(("revoked", "a-0"))
    run.rounds(1)
    assert run.health.why_not_ready() == []
    assert run.meters.still == {}


def test_customers_go_on_where_the_world_cannot_be_read_and_it_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Stream) -> None:
        raise StreamError("made anew", code="PE723")

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "poll_world", gone)
        send(run, booked(), cancelled())
        run.rounds()
        assert len(recorded(run)) == 2
        assert run.meters.still == {WORLD: "topic"}
        assert "world-0 stands still" in run.health.why_not_ready()[0]
    run.broker.world.append(line(DECLARED))
    run.rounds()
    assert run.health.why_not_ready() == []


def test_a_shard_whose_ledger_fails_is_told_by_name_until_it_has_gone_on_for_a_while(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened and fails in turns; in between, nobody is told that all is well."""
    commit, failing = run.store.commit, []

    def fails(shard: str, *rest: Any) -> Any:
        if failing and shard == "a-0":
            raise LedgerError("the disk is full", code="PE707")
        return commit(shard, *rest)

    monkeypatch.setattr(run.store, "commit", fails)
    send(run, booked())
    run.rounds()
    failing.append(True)
    send(run, booked("b2"))
    run.rounds(1)
    for _ in range(8):
        run.rounds(1)
        assert run.health.why_not_ready() == ["a-0 stands still: the ledger fails: PE707 the disk is full"]
    assert run.meters.still == {"a-0": "ledger"}
    failing.clear()
    run.rounds(40)
    assert run.health.why_not_ready() == []
    assert run.meters.still == {}
    assert len(recorded(run)) == 2


def test_whoever_was_fenced_gives_the_shard_up_and_claims_it_again_where_it_is_still_theirs(run: Run) -> None:
    send(run, booked())
    run.rounds()
    run.store.claim("a-0")  # another writer
    send(run, cancelled())
    run.rounds(1)
    assert len(recorded(run)) == 1
    run.rounds()
    assert len(recorded(run)) == 2
    assert run.broker.decided() == recorded(run)


def test_an_event_at_which_the_engine_fails_is_set_aside_and_the_shard_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, tries = Machine.receive, []

    def fails(machine: Machine, one: Event) -> Happened | Refused:
        if one.data.get("booking_id") == "bad":
            tries.append(one.id)
            raise RuntimeError("no \udcff text")
        return receive(machine, one)

    send(run, booked(), booked("bad"), cancelled())
    with monkeypatch.context() as patch:
        patch.setattr(Machine, "receive", fails)
        run.rounds()
    (refused,) = entries(run.store, Kind.REJECTED, "a-0")
    assert refused.document()["code"] == "EV095"
    assert "RuntimeError: no " in refused.document()["reason"]
    assert (len(tries), run.meters.set_aside, len(recorded(run))) == (3, 1, 2)
    assert list(set_aside(run.store)) == [("a-0", refused.seq)]
    send(run, booked("bad"))  # the engine is mended, and it is sent again
    run.rounds()
    assert len(recorded(run)) == 3
    assert list(set_aside(run.store)) == []


def test_a_timer_at_which_the_engine_fails_costs_no_event(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails before the event is not the event's fault: the shard waits."""
    send(run, booked())
    with monkeypatch.context() as patch:
        patch.setattr(Machine, "advance", lambda *_: 1 // 0)
        run.rounds(3)
    assert entries(run.store, Kind.REJECTED, "a-0") == []
    run.rounds(20)
    assert len(recorded(run)) == 1


def test_a_policy_set_is_taken_up_between_batches_and_a_faulty_one_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(run, booked(), cancelled())
    run.rounds(3)
    publish(run.store, policy_set(FULL))
    send(run, booked("b2"), cancelled("b2"))
    run.rounds()
    amounts = [one.document()["remedies"] for one in entries(run.store, Kind.DECISION, "a-0")]
    assert [[remedy["amount"]["value"] for remedy in one] for one in amounts] == [
        [],
        ["50.00"],
        [],
        ["100.00"],
    ]
    kinds = [one.kind for one in entries(run.store, shard="a-0")]
    assert kinds == ["policy_set", *("event", "decision") * 2, "policy_set", *("event", "decision") * 2]

    with monkeypatch.context() as patch:
        patch.setattr("policyengine.service.newest.recorded", _unreadable)
        publish(run.store, policy_set(draft("travel/other", refund("booking.paid"))))
        run.rounds(3)
    assert run.meters.is_refused
    assert any("policy set was refused" in reason for reason in run.health.why_not_ready())
    send(run, booked("b3"))
    run.rounds()
    assert len(recorded(run)) == 5


def test_without_a_policy_set_nothing_begins(tmp_path: Path) -> None:
    with opened(tmp_path) as store, pytest.raises(UsageError, match="publish --for-workers"):
        Run(store, Broker()).rounds()


def test_a_ledger_that_is_older_than_what_was_published_decides_nothing_and_says_so(run: Run) -> None:
    """Five entries were published, and the ledger that somebody restored has none."""
    run.broker.positions["a-0"] = {DECISIONS: 5, DEAD_LETTERS: 5}
    send(run, booked(), cancelled())
    run.rounds(40)
    assert run.store.head("a-0").size == 0
    (reason,) = [one for one in run.health.why_not_ready() if "a-0" in one]
    assert "PE714" in reason
    assert "has 0 entries" in reason
    assert "up to entry 5" in reason
    run.broker.positions.clear()  # a group of its own
    run.rounds(40)
    assert len(recorded(run)) == 2
    assert run.broker.decided() == recorded(run)
    assert run.health.why_not_ready() == []


def test_where_the_world_cannot_be_read_no_customers_event_is_passed_over(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(run, booked(), cancelled())
    run.rounds(1)
    send(run, booked("b2"), cancelled("b2"))

    def away(_: Stream) -> None:
        raise StreamError("away", code="PE721")

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "poll_world", away)
        for _ in range(3):
            with pytest.raises(StreamError):
                run.rounds(1)
    send(run, booked("b3"))
    run.rounds()
    assert len(recorded(run)) == 5


def test_a_writer_that_lost_its_shard_in_the_middle_publishes_nothing_of_the_next_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It slept after it had looked where the shard ends; the next one has added decisions since."""
    unpublished, again = run.store.unpublished, Run(run.store, run.broker)

    def asleep(*arguments: Any) -> Any:
        monkeypatch.setattr(run.store, "unpublished", unpublished)
        send(run, booked("b2"), cancelled("b2"))
        with monkeypatch.context() as patch:
            patch.setattr(Shard, "publish", lambda _: True)  # not yet
            again.rounds(6)
        return unpublished(*arguments)

    run.rounds(1)  # opened
    send(run, booked(), cancelled())
    monkeypatch.setattr(run.store, "unpublished", asleep)
    run.rounds(1)
    again.rounds()
    assert len(recorded(run)) == 4
    assert run.broker.decided() == recorded(run)


def test_who_lost_the_shard_after_it_had_published_is_told_so_not_that_the_ledger_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It slept before it could note what it had published; the next one has noted more."""
    marks, again = run.store.mark_published, Run(run.store, run.broker)

    def asleep(*arguments: Any) -> None:
        monkeypatch.setattr(run.store, "mark_published", marks)
        send(run, booked("b2"), cancelled("b2"))
        again.rounds()
        marks(*arguments)

    run.rounds(1)
    send(run, booked(), cancelled())
    monkeypatch.setattr(run.store, "mark_published", asleep)
    run.rounds(1)
    assert run.health.why_not_ready() == []
    assert run.broker.decided() == recorded(run)
    assert len(recorded(run)) == 4


def test_who_opens_the_stream_after_the_shard_was_lost_publishes_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It slept between the question whether the shard is still its own and the opening."""
    opens, published = Publisher.open, []

    def late(publisher: Publisher) -> dict[str, int]:
        monkeypatch.setattr(Publisher, "open", opens)
        run.store.claim("a-0")
        return opens(publisher)

    monkeypatch.setattr(Publisher, "open", late)
    monkeypatch.setattr(Publisher, "publish", lambda *_: published.append(1))
    send(run, booked())
    run.rounds(1)
    assert (published, recorded(run)) == ([], [])


def test_who_is_told_to_stop_publishes_what_is_decided_and_leaves(run: Run) -> None:
    run.rounds(1)
    send(run, booked(), cancelled())
    run.broker.away = True
    run.rounds(2)
    run.broker.away = False
    run.end()
    assert len(run.broker.decided()) == 2
    assert run.broker.decided() == recorded(run)
    assert run.stream is not None
    assert run.stream.closed
    assert "the worker is stopping" in run.health.why_not_ready()


def _gone(*_: object) -> None:
    raise LedgerError("the database is away")


def _unreadable(_: bytes) -> PolicySet:
    raise UsageError("written by a newer engine")
