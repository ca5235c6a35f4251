"""A run of a file takes up what is scheduled at one place only: before the first event of that instant."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from policyengine.adapters.files import LineSource
from policyengine.adapters.keys import signed
from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.events import Record
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.errors import PublishingError, UsageError
from policyengine.ledger.entries import Kind
from policyengine.service import machine
from policyengine.service.approvals import Desk, Wish
from policyengine.service.board import Board
from policyengine.service.door import Door
from policyengine.service.following import Following
from policyengine.service.health import Health
from policyengine.service.metrics import NoMeters
from policyengine.service.newest import Newest
from policyengine.service.pipeline import Pipeline
from policyengine.service.poison import persist
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.service.people import Clock, desk, open_roster, person
from tests.service.runs import FULL, HALF, amounts, bodies, entries, half, lines, opened, pipeline
from tests.support import booked, cancelled, catalogue, draft, line, policy_set, refund

# half with a review on 1 March: a timer of the world, due before what is scheduled
REVIEWED = draft("travel/half-back", refund("percent(booking.paid, 50)"), review="2020-03-01")
AT = "2020-03-02T10:00:00Z"  # when bookings are cancelled, in the tests
STREAM = lines(
    booked("b1"),
    booked("b2"),
    booked("b3"),
    cancelled("b1", "2020-03-02T09:59:59Z"),
    b"{",
    cancelled("b2", "2999-01-01T00:00:00Z"),  # from the future: refused, so it moves no time
    cancelled("b2"),  # at the very instant
    cancelled("b3", "2020-03-02T09:00:00Z"),  # late: the stream had reached it before
)


def early() -> Clock:
    """A clock of 1 January 2020."""
    clock = Clock()
    clock.now = 1_577_836_800_000_000
    return clock


def follow(store: SqlLedgerStore, size: int = 500, stop: int | None = None, clock: int | None = None) -> None:
    """What `run` does with a shard that follows the board."""
    door = Door(lambda: 1_600_000_000_000_000)  # September 2020
    board = Board(store, signed)
    board.look()
    digest = store.head("0").policy_set or board.target("0", 0)
    assert digest
    prepared = board.load(digest)
    writer = pipeline(store, prepared, door=door)
    following = Following(board, store, writer, prepared, shard="0", door=door)
    stream = BytesIO(STREAM)
    stream.seek(writer.offset)
    for number, records in enumerate(LineSource(stream, writer.offset).batches(size)):
        if number == stop:
            return
        following.between(clock)
        persist(writer, partial(process, writer, following, records), "0")


def process(writer: Pipeline, following: Following, records: Sequence[Record]) -> None:
    following.process([one for one in records if one.offset > writer.offset], None)


def kinds(store: SqlLedgerStore) -> list[str]:
    return [entry.kind for entry in entries(store)]


def scheduled(store: SqlLedgerStore) -> Desk:
    """Half is in force in shard 0, full is to be from AT on."""
    pipeline(store, policy_set(REVIEWED))
    made = desk(store, early())
    made.publish(policy_set(FULL).body, Wish(AT, "0"), None)
    return made


def sound(store: SqlLedgerStore) -> bool:
    assert verify_ledger(store, None, signed=signed).faults == []
    return all(list(replay(store, shard)) == [] for shard in store.shards())


def test_the_first_event_of_that_instant_is_decided_under_it(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        scheduled(store)
        follow(store)
        assert kinds(store) == [
            "policy_set",
            *["event", "decision"] * 3,
            "internal",  # the review of 1 March
            "event", "decision",  # 9:59:59
            "rejected", "rejected",
            "policy_set",
            "event", "decision", "event", "decision",
        ]  # fmt: skip
        decided = entries(store, Kind.DECISION)[3:]
        assert amounts(decided) == [["50.00 ILS"], ["100.00 ILS"], ["100.00 ILS"]]
        assert sound(store)


@pytest.mark.parametrize("size", [1, 500])
def test_it_comes_into_force_also_where_the_engine_fails_at_that_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """b2's cancellation brings the time, and is set aside; b3's comes late, and is decided under the new set."""
    decide = machine.decide

    def failing(ruleset: Any, state: Any, world: Any, one: Any) -> Any:
        return 1 // (one.id != cancelled("b2")["id"]) and decide(ruleset, state, world, one)

    with opened(tmp_path) as store, capture_logs():
        scheduled(store)
        with monkeypatch.context() as broken:
            broken.setattr(machine, "decide", failing)
            follow(store, size)
        assert kinds(store)[-6:] == ["rejected", "rejected", "policy_set", "rejected", "event", "decision"]
        assert [one.document()["code"] for one in entries(store, Kind.REJECTED)][-1] == "EV095"
        assert amounts(entries(store, Kind.DECISION)[3:]) == [["50.00 ILS"], ["100.00 ILS"]]
        assert sound(store)


@given(size=st.integers(1, 9), stop=st.integers(0, 8))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_the_stream_is_cut_and_wherever_it_is_stopped(
    tmp_path_factory: pytest.TempPathFactory, size: int, stop: int
) -> None:
    once, again = tmp_path_factory.mktemp("once"), tmp_path_factory.mktemp("again")
    with opened(once) as one, opened(again) as other:
        for store in (one, other):
            scheduled(store)
        follow(one)
        follow(other, size, stop)
        follow(other, size)
        assert bodies(other) == bodies(one)


def test_timers_of_the_time_before_it_happen_before_it(tmp_path: Path) -> None:
    """The review is due on 1 March; what is scheduled for the 1st at 00:00 does not have it any more."""
    for at, happens in (("2020-03-01T00:00:00Z", False), ("2020-03-01T00:00:01Z", True)):
        (tmp_path / at).mkdir()
        with opened(tmp_path / at) as store:
            pipeline(store, policy_set(REVIEWED))
            desk(store, early()).publish(policy_set(FULL).body, Wish(at, "0"), None)
            follow(store)
            assert ("policy.review_due" in _types(store)) is happens
            assert sound(store)


def _types(store: SqlLedgerStore) -> list[str]:
    return [entry.document()["event"]["type"] for entry in entries(store, Kind.INTERNAL)]


def test_a_live_run_takes_it_up_when_the_clock_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        scheduled(store)
        validator = Validator(catalogue())
        at = to_micros(validator.validate(line(cancelled("b1"))).time)  # type: ignore[union-attr]
        follow(store, 1, 2, at - 1)
        assert kinds(store).count("policy_set") == 1
        follow(store, 1, 1, at)
        assert kinds(store).count("policy_set") == 2
        assert sound(store)


def test_what_was_withdrawn_is_not_taken_up(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        scheduled(store).withdraw(policy_set(FULL).digest, None)
        follow(store)
        assert kinds(store).count("policy_set") == 1


def test_what_is_published_meanwhile_is_taken_up_between_two_batches(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        made = desk(store, early())
        open_roster(made)
        _approved(made, HALF)
        follow(store, 1, 2)
        _approved(made, FULL)
        follow(store, 1)
        assert [one[0] for one in bodies(store)][:6] == [
            "policy_set", "event", "decision", "event", "decision", "policy_set",
        ]  # fmt: skip
        made.roll_back(half().digest, Wish(), person("dana"))
        follow(store)  # there is nothing to read any more: it is taken up all the same by the next run
        assert sound(store)


def _approved(where: Desk, text: str, **wish: Any) -> None:
    where.publish(policy_set(text).body, Wish(**wish), person("dana"))
    where.approve(policy_set(text).digest, person("noa"))


def test_a_shard_that_nothing_was_proposed_for_goes_its_own_way(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        desk(store, early()).publish(policy_set(FULL).body, Wish(AT, "1"), None)
        board = Board(store, signed)
        board.look()
        board.permit("0", half().digest, 0)
        board.permit("1", half().digest, 0)  # nothing is in force in it yet
        pipeline(store, half(), shard="1")
        with pytest.raises(PublishingError, match=r"PE730 .* is not what shard 1 decides under"):
            board.permit("1", policy_set(FULL).digest, 0)


def test_a_worker_takes_it_up_by_its_clock(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        clock = early()
        made = desk(store, clock)
        open_roster(made)
        _approved(made, HALF)
        _approved(made, FULL, at=AT)
        newest = Newest(store, NoMeters(), Health(lambda: 0.0), signed=signed, now=clock)
        assert newest.begin().digest == half().digest
        assert newest.look() is None
        clock.now += 365 * 86_400_000_000
        taken = newest.look()
        assert taken is not None
        assert taken.digest == policy_set(FULL).digest
        assert newest.look() is None


def test_a_worker_never_takes_a_shard_back_that_another_has_led_further(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        clock = early()
        made = desk(store, clock)
        open_roster(made)
        _approved(made, HALF)
        newest = Newest(store, NoMeters(), Health(lambda: 0.0), signed=signed, now=clock)
        newest.begin()
        full = policy_set(FULL).digest
        assert [newest.behind(one) for one in ("", half().digest)] == [False, False]
        _approved(made, FULL, at=AT)
        assert newest.behind(full)  # by another's clock, which is ahead
        made.withdraw(full, person("noa"))
        _approved(made, FULL)
        assert newest.behind(full)  # it has not looked yet
        newest.look()
        assert not newest.behind(full)
        assert not newest.behind(half().digest)  # a shard that nobody has led further goes on with it


def test_a_worker_that_cannot_check_signatures_takes_up_nothing_new(tmp_path: Path) -> None:
    def nobody(key: bytes, message: bytes, signature: bytes) -> bool:
        raise UsageError("approvals need the library `cryptography`")

    with opened(tmp_path) as store:
        made = desk(store, early())
        made.publish(half().body, Wish(), None)
        health = Health(lambda: 0.0)
        newest = Newest(store, NoMeters(), health, signed=nobody)
        assert newest.begin().digest == half().digest
        open_roster(made)
        _approved(made, FULL)
        assert newest.look() is None
        assert newest.in_force.digest == half().digest
        assert any("cryptography" in one for one in health.why_not_ready())
        with pytest.raises(UsageError, match="cryptography"):
            Newest(store, NoMeters(), health, signed=nobody).begin()
