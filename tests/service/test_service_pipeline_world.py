"""The loop of a shard that acts of its own accord: timers, customers reached, clocks; stopped anywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from itertools import count
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policyengine.domain.schema import read_catalogue
from policyengine.domain.state import to_micros
from policyengine.ledger.entries import PUBLISHING, Entry, Header, Kind
from policyengine.service import pipeline as module
from policyengine.service.door import Door
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import prepare
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.service import worlds
from tests.service.runs import bodies, entries, feed, half, lines, opened, pipeline, records
from tests.support import booked, cancelled, catalogue, draft, event, policy, policy_set, refund

RAW = worlds.stream(3, 40, 330)
SHORT = worlds.stream(5, 12, 130)


class CrashError(Exception):
    """The process is gone."""


def crashing(after: int) -> Callable[[int], bytes]:
    """Salts, until the process is gone."""
    numbers = count(1)

    def salt(size: int) -> bytes:
        number = next(numbers)
        if number > after:
            raise CrashError
        return number.to_bytes(size, "big")

    return salt


def whole(writer: Pipeline, raw: bytes, size: int = 500) -> None:
    feed(writer, raw, size)
    for _ in writer.work_off():
        pass


@cache
def undisturbed(folder: Path, raw: bytes = RAW) -> list[tuple[str, bytes]]:
    with opened(folder) as store:
        whole(pipeline(store, worlds.policies()), raw)
        assert verify_ledger(store, None).faults == []
        return bodies(store)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    return undisturbed(tmp_path_factory.mktemp("calm"))


def types(found: list[tuple[str, bytes]]) -> set[str]:
    return {orjson.loads(body)["event"]["type"] for kind, body in found if kind == Kind.INTERNAL}


class TestWhereverItIsStopped:
    def test_the_story_has_everything_in_it(self, expected: list[tuple[str, bytes]]) -> None:
        assert types(expected) == worlds.INTERNAL
        assert {kind for kind, _ in expected} == set(Kind) - PUBLISHING

    @pytest.mark.parametrize(("size", "most"), [(1, 5_000), (7, 1), (500, 3)])
    def test_neither_the_size_of_batches_nor_of_transactions_changes_a_body(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        expected: list[tuple[str, bytes]],
        size: int,
        most: int,
    ) -> None:
        monkeypatch.setattr(module, "MOST", most)
        with opened(tmp_path) as store:
            whole(pipeline(store, worlds.policies(), state_cache=1), RAW, size)
            assert bodies(store) == expected
            assert verify_ledger(store, None).faults == []

    @settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        crashes=st.lists(
            st.tuples(st.integers(1, 200), st.sampled_from([1, 20, 500])), min_size=1, max_size=4
        ),
        most=st.sampled_from([1, 4, 50]),
    )
    def test_whoever_goes_on_makes_what_was_left_in_the_same_order(
        self, tmp_path_factory: pytest.TempPathFactory, crashes: list[tuple[int, int]], most: int
    ) -> None:
        calm, path = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("crashed")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "MOST", most)
            for after, size in [*crashes, (10**6, 100)]:
                with opened(path) as store, suppress(CrashError):
                    whole(pipeline(store, worlds.policies(), salts=crashing(after)), SHORT, size)
                with opened(path) as store:
                    assert list(replay(store, "0")) == []
                    assert verify_ledger(store, None).faults == []
        with opened(path) as store:
            assert bodies(store) == undisturbed(calm, SHORT)

    def test_a_writer_goes_on_after_its_own_failure(
        self, tmp_path: Path, expected: list[tuple[str, bytes]]
    ) -> None:
        """The memory is read anew; what was committed before the failure stays."""
        fresh = count(10**6)
        with opened(tmp_path) as store:
            writer = pipeline(store, worlds.policies(), salts=crashing(500))
            with pytest.raises(CrashError):
                whole(writer, RAW, 20)
            writer._salts = lambda size: next(fresh).to_bytes(size, "big")
            whole(writer, RAW, 20)
            assert bodies(store) == expected

    def test_many_timers_at_one_midnight_are_several_transactions(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """30 offers lapse at one midnight, 30 vouchers end at the next; 10 entries a transaction."""
        monkeypatch.setattr(module, "MOST", 10)
        made = [booked(f"b{number}") for number in range(30)]
        lost = [{**cancelled(f"b{number}"), "id": f"lost-{number}"} for number in range(30)]
        with opened(tmp_path) as store:
            writer = pipeline(store, worlds.policies())
            feed(writer, lines(*made, *lost))
            before, size = store.head("0"), writer.offset
            writer.process(
                [
                    one._replace(offset=one.offset + size)
                    for one in records(booked("z", "2020-03-20T00:00:00Z"))
                ]
            )
            fired = [one for one in entries(store) if one.seq >= before.size]
            assert [one.kind for one in fired] == ["internal", "decision"] * 60 + ["event", "decision"]
            # 120 entries of the timers, 10 a transaction, and one for the rest
            assert store.head("0").batch - before.batch == 120 // 10 + 1
            assert {offset_of(one) for one in fired[:-2]} == {size}
            assert verify_ledger(store, None).faults == []


def offset_of(entry: Entry) -> int:
    return Header.from_bytes(entry.header).offset


class TestWhatTheEngineDoes:
    def test_a_timer_that_fires_before_a_record_stands_at_the_position_before_it(
        self, tmp_path: Path
    ) -> None:
        first, second = lines(booked(), cancelled()), lines(booked("b2", "2020-03-20T10:00:00Z"))
        with opened(tmp_path) as store:
            feed(pipeline(store, worlds.policies()), first + second)
            found = entries(store)
            assert [entry.kind for entry in found[-4:]] == ["internal", "decision", "event", "decision"]
            assert [offset_of(entry) for entry in found[-4:]] == [len(first)] * 2 + [len(first + second)] * 2

    def test_its_own_events_are_the_customers_or_nobodys_and_never_seen_before(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            whole(pipeline(store, worlds.policies()), RAW)
            for entry in entries(store, Kind.INTERNAL) + entries(store, Kind.EVENT):
                happened = entry.document()["event"]
                world = happened["type"].startswith(("crisis.", "customers."))
                assert entry.customer == (None if world else happened["subject"])
            assert store.seen_count("0") == len(entries(store, Kind.EVENT))

    def test_customers_are_counted_as_they_are_reached(self, tmp_path: Path) -> None:
        """A hundred customers in Italy, a crisis there: two pieces of at most 64, at the end of the input."""
        people = [
            event("customer.registered", "2020-02-01T00:00:00Z", f"c{number}", language="it", region="IT")
            for number in range(100)
        ]
        crisis = event(
            "crisis.declared", "2020-02-02T00:00:00Z", "k", crisis_id="k", kind="pandemic", region="IT",
            onset_from="2020-02-20",
        )  # fmt: skip
        crisis["data"]["kind"] = "pandemic"
        with opened(tmp_path) as store:
            writer = pipeline(store, worlds.policies())
            feed(writer, lines(*people, crisis))
            assert writer.jobs() == (1, 100)
            done = list(writer.work_off())
            assert [tally.counts["reached"] for tally in done] == [64, 36]
            assert sum(tally.counts["granted"] for tally in done) == 10  # no more: a cap per event
            assert writer.jobs() == (0, 0)
            assert list(writer.work_off()) == []
            assert verify_ledger(store, None).faults == []

    def test_a_clock_fires_what_is_due_and_leaves_nothing_where_nothing_is(self, tmp_path: Path) -> None:
        """Offered on 2 March, until the 9th: it lapses at midnight in Jerusalem, 22:00 UTC, two hours ahead."""

        def at(text: str) -> int:
            return to_micros(worlds.datetime.fromisoformat(text))

        with opened(tmp_path) as store:
            writer = pipeline(store, worlds.policies())
            feed(writer, lines(booked(), cancelled()))
            before = store.head("0")
            assert writer.tick(at("2020-03-09T21:59:59Z")).counts == {}
            assert store.head("0") == before
            assert writer.tick(at("2020-03-09T22:00:00Z")).counts == {
                "internal": 2,
                "decisions": 1,
                "granted": 1,
            }
            assert [orjson.loads(body)["event"]["type"] for _, body in bodies(store)[-3:-1]] == [
                "clock.ticked", "offer.expired",
            ]  # fmt: skip
            assert list(replay(store, "0")) == []
            assert verify_ledger(store, None).faults == []

    def test_a_set_that_is_adopted_keeps_the_timers_of_what_was_offered(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(worlds.CHOICE))  # it is closed when another is adopted
            feed(writer, lines(booked(), cancelled()))
            writer.adopt(policy_set(worlds.WORD))
            feed(writer, lines(booked(), cancelled(), booked("b2", "2020-03-20T10:00:00Z")))
            assert types(bodies(store)) == {"offer.expired", "remedy.ended"}
            assert list(replay(store, "0")) == []
            assert verify_ledger(store, None).faults == []

    def test_a_timer_whose_event_a_later_catalogue_refuses_is_recorded_with_all_it_would_have_said(
        self, tmp_path: Path
    ) -> None:
        """Set for 1 April; the policy's days are those of UTC."""
        after = [{"at": "2020-04-01", "event": "booking.completed"}]
        text = draft("travel/half-back", refund("booking.paid", follow_up=after))
        documents = {
            name: one for name, one in catalogue().documents.items() if name != "events/booking.completed"
        }
        without = prepare(
            [policy(draft("travel/half-back", refund("booking.paid")))], read_catalogue(documents)
        )
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(text))
            raw = lines(booked(), cancelled())
            feed(writer, raw)
            writer.adopt(without)
            feed(writer, raw + lines(booked("b2", "2020-04-02T10:00:00Z")))
            (lost,) = [one.document()["event"] for one in entries(store, Kind.INTERNAL)]
            assert (lost["type"], lost["time"]) == ("timer.lost", "2020-04-01T00:00:00Z")
            assert lost["data"]["event_type"] == "booking.completed"
            assert lost["data"]["code"] == "EV016"
            assert lost["data"]["customer"] == "c1"
            kept = orjson.loads(lost["data"]["document"])
            assert (kept["subject"], kept["data"]) == ("c1", {"booking_id": "b1"})
            assert next(iter(store.timers("0", None, 10)), None) is None
            assert list(replay(store, "0")) == []
            assert verify_ledger(store, None).faults == []


class TestTheDoor:
    def test_who_pretends_to_be_the_engine_is_refused(self, tmp_path: Path) -> None:
        ours = {**booked(), "source": "urn:policyengine"}
        internal = event("clock.ticked", "2020-03-01T00:00:00Z", "world")
        with opened(tmp_path) as store:
            tally = feed(pipeline(store, half()), lines(ours, internal, booked()))
            assert tally.rejections == {"EV092": 1, "EV093": 1}
            assert tally.counts["events"] == 1
            assert list(replay(store, "0")) == []

    @pytest.mark.parametrize(("seconds", "refused"), [(299, 0), (300, 0), (301, 1)])
    def test_an_event_ahead_of_the_clock_by_more_than_the_skew_is_refused(
        self, tmp_path: Path, seconds: int, refused: int
    ) -> None:
        """The event is of 10:00:00; the clock says so many seconds before."""
        clock = to_micros(worlds.datetime.fromisoformat("2020-02-01T10:00:00Z")) - seconds * 1_000_000
        with opened(tmp_path) as store:
            writer = pipeline(store, half(), door=Door(lambda: clock, 300))
            assert feed(writer, lines(booked())).rejections["EV091"] == refused

    def test_an_event_from_the_future_leaves_the_time_alone_and_is_taken_when_it_has_happened(
        self, tmp_path: Path
    ) -> None:
        now = [to_micros(worlds.datetime.fromisoformat("2020-03-03T00:00:00Z"))]
        raw = lines(booked(), cancelled(), booked("b2", "2020-06-01T00:00:00Z"))
        with opened(tmp_path) as store:
            writer = pipeline(store, worlds.policies(), door=Door(lambda: now[0]))
            assert feed(writer, raw).rejections == {"EV091": 1}
            assert types(bodies(store)) == set()
            now[0] = to_micros(worlds.datetime.fromisoformat("2020-06-01T00:00:00Z"))
            again = lines(booked("b2", "2020-06-01T00:00:00Z"))
            assert feed(writer, raw + again).counts["events"] == 1
            assert types(bodies(store)) == {"offer.expired", "remedy.ended"}
            assert list(replay(store, "0")) == []
            assert verify_ledger(store, None).faults == []

    def test_a_jump_of_too_many_days_is_refused_where_one_is_set(self, tmp_path: Path) -> None:
        """The first event may have any time; 2 February and 31 days is 4 March, 2020 being a leap year."""
        raw = lines(
            booked("b1", "2020-02-02T00:00:00Z"),
            booked("b2", "2020-03-04T00:00:01Z"),
            booked("b3", "2020-03-04T00:00:00Z"),
        )
        with opened(tmp_path) as store:
            writer = pipeline(store, half(), door=Door(jump=31))
            tally = feed(writer, raw)
            assert (tally.counts["events"], tally.rejections) == (2, {"EV091": 1})


def test_a_ledger_of_the_first_revision_remembers_when_it_is_opened_and_goes_on(
    tmp_path: Path, expected: list[tuple[str, bytes]]
) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, worlds.policies()), RAW, 100, stop=3)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        for table in ("timer", "place", "ranking", "queue"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DROP INDEX entry_world")
        connection.execute("DELETE FROM state WHERE customer = '' OR part LIKE 'offer/%'")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with opened(tmp_path) as store:
        whole(pipeline(store, worlds.policies()), RAW)
        assert bodies(store) == expected
        assert verify_ledger(store, None).faults == []
