"""Publishing with approvals: who can put what in force, what is refused, and what verification finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.adapters.keys import signed
from policyengine.adapters.store import SqlLedgerStore
from policyengine.errors import PublishingError
from policyengine.ledger.entries import Body, Kind, Place
from policyengine.ledger.publications import POLICIES, Roster
from policyengine.service.approvals import Desk, Wish
from policyengine.service.board import Board
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import PolicySet
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.service.people import HOUR, NOON, Clock, desk, open_roster, person, roster
from tests.service.runs import FULL, entries, half, opened, salts
from tests.support import policy_set

DANA, NOA, URI, EVE = (person(name) for name in ("dana", "noa", "uri", "eve"))
NOW = Wish()
LATER = Wish("2026-12-01T13:00:00Z")  # an hour after noon


def full() -> PolicySet:
    return policy_set(FULL)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlLedgerStore]:
    with opened(tmp_path) as made:
        yield made


@pytest.fixture
def at(store: SqlLedgerStore) -> Desk:
    """A ledger in which two of three must approve."""
    made = desk(store)
    open_roster(made)
    return made


def in_force(store: SqlLedgerStore, now: int = NOON, shard: str | None = None) -> str | None:
    board = Board(store, signed)
    board.look()
    return board.target(shard, now)


def faults(store: SqlLedgerStore) -> list[str]:
    return [fault.message for fault in verify_ledger(store, None, signed=signed).faults]


def take_up(store: SqlLedgerStore, prepared: PolicySet, shard: str = "a-0") -> None:
    """What a worker does, or anybody who can write to the database."""
    Pipeline(store, prepared, place=Place(shard, "0.1.0", "a-0"), salts=salts()).publish()


def tampered(store: SqlLedgerStore, kind: str, change: Callable[[dict[str, Any]], None]) -> None:
    """The last entry of a kind written again with another body, everything else made to fit."""
    found = [entry for entry in store.entries(POLICIES) if entry.kind == kind][-1]
    document = orjson.loads(found.body)
    change(document)
    made = desk(store)
    made._head = store.head(POLICIES)
    body = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    made._write([Body(kind, body, None, None)])


class TestWithoutARoster:
    def test_what_is_proposed_holds_at_once(self, store: SqlLedgerStore) -> None:
        standing = desk(store).publish(half().body, NOW, None)
        assert (standing.complete, standing.new, standing.lacking) == (True, True, 0)
        assert in_force(store) == half().digest
        assert faults(store) == []

    def test_of_the_same_again_nothing_is_written(self, store: SqlLedgerStore) -> None:
        size = desk(store).publish(half().body, NOW, None).size
        again = desk(store).publish(half().body, NOW, None)
        assert (again.new, again.complete, again.size) == (False, True, size)


class TestTwoPeople:
    def test_it_holds_when_the_second_has_approved(self, at: Desk, store: SqlLedgerStore) -> None:
        first = at.publish(half().body, Wish(cases=7), DANA)
        assert (first.complete, first.approved, first.lacking, first.may) == (
            False, ("dana",), 1, ("noa", "uri"),
        )  # fmt: skip
        assert in_force(store) is None
        second = at.approve(half().digest, NOA)
        assert (second.complete, second.approved) == (True, ("dana", "noa"))
        assert in_force(store) == half().digest
        kinds = [entry.kind for entry in entries(store, shard=POLICIES)]
        assert kinds == [Kind.PROPOSAL, Kind.STAGED, Kind.PROPOSAL, Kind.APPROVAL, Kind.APPROVAL]
        assert faults(store) == []

    def test_a_machine_without_a_key_stages_and_two_people_approve(
        self, at: Desk, store: SqlLedgerStore
    ) -> None:
        assert at.publish(half().body, NOW, None).lacking == 2
        assert at.approve(half().digest[:8], NOA).lacking == 1
        assert at.approve("2", URI).complete  # by its number
        assert in_force(store) == half().digest

    def test_publishing_what_another_has_staged_approves_it(self, at: Desk) -> None:
        at.publish(half().body, NOW, DANA)
        assert at.publish(half().body, NOW, NOA).complete

    def test_nobody_approves_twice(self, at: Desk) -> None:
        size = at.publish(half().body, NOW, DANA).size
        with pytest.raises(PublishingError, match=r"PE732 dana has approved it already.*\(noa, uri\)"):
            at.approve(half().digest, DANA)
        with pytest.raises(PublishingError, match="PE732"):
            at.publish(half().body, NOW, DANA)
        assert at.publish(half().body, NOW, None).size == size

    def test_a_stranger_cannot_stage_nor_approve(self, at: Desk, store: SqlLedgerStore) -> None:
        size = store.head(POLICIES).size
        with pytest.raises(PublishingError, match=r"PE731 .*\(dana, noa, uri may\)"):
            at.publish(half().body, NOW, EVE)
        assert store.head(POLICIES).size == size
        at.publish(half().body, NOW, DANA)
        with pytest.raises(PublishingError, match="PE731"):
            at.approve(half().digest, EVE)

    def test_what_was_not_proposed_is_not_approved(self, at: Desk) -> None:
        at.publish(half().body, NOW, DANA)
        with pytest.raises(PublishingError, match=f"PE733 .*2: policy set {half().digest}"):
            at.approve("0" * 64, NOA)

    def test_a_digest_that_waits_for_two_times_is_named_by_number(self, at: Desk) -> None:
        at.publish(half().body, NOW, DANA)
        at.publish(half().body, LATER, DANA)
        with pytest.raises(PublishingError, match="names several"):
            at.approve(half().digest, NOA)
        assert at.approve("4", NOA).proposal.at == LATER.at

    def test_the_later_of_two_holds(self, at: Desk, store: SqlLedgerStore) -> None:
        at.publish(half().body, NOW, DANA)
        at.publish(full().body, NOW, DANA)
        at.approve(full().digest, NOA)
        at.approve(half().digest, NOA)
        assert in_force(store) == half().digest

    def test_two_who_publish_at_the_same_time_both_come_through(
        self, at: Desk, store: SqlLedgerStore
    ) -> None:
        other = desk(store)
        at.publish(half().body, NOW, DANA)

        class Slow:
            """Noa signs, and meanwhile somebody else stages another set."""

            key = NOA.key

            def sign(self, message: bytes) -> bytes:
                if not at.board.publications.staged.keys() & {full().digest}:
                    other.publish(full().body, NOW, URI)
                return NOA.sign(message)

        assert at.approve(half().digest, Slow()).complete
        assert [one.digest for one in at.board.publications.waiting()] == [full().digest]
        assert faults(store) == []


class TestTheRoster:
    def test_changes_take_the_approvals_of_the_present_one(self, at: Desk) -> None:
        four = roster("dana", "eve", "noa", "uri", needed=3)
        assert not at.trust(lambda _: four, DANA).complete
        assert at.trust(lambda _: four, NOA).complete
        assert at.board.publications.roster == four

    def test_who_was_removed_does_not_count_any_more(self, at: Desk) -> None:
        at.publish(half().body, NOW, DANA)
        at.trust(lambda _: roster("noa", "uri"), DANA)
        at.approve(roster("noa", "uri").digest, NOA)
        assert at.approve(half().digest, NOA).lacking == 1
        assert at.approve(half().digest, URI).complete

    def test_a_key_that_expired_counts_no_more(self, store: SqlLedgerStore) -> None:
        clock = Clock()
        made = desk(store, clock)
        made.trust(lambda _: roster("dana", "noa", until="2026-12-02"), None)
        made.publish(half().body, NOW, DANA)
        clock.now += 12 * HOUR  # midnight
        with pytest.raises(PublishingError, match="PE731 the key of noa expired on 2026-12-02"):
            made.approve(half().digest, NOA)

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            (roster("dana", needed=2), "2 approvals of 1 people: nobody could publish any more"),
            (roster("dana", "dana", needed=1), "a name stands twice"),
            (Roster(1, (roster("dana").approvers[0], roster("x").approvers[0])), ""),
        ],
    )
    def test_one_that_nobody_could_publish_under_is_refused(
        self, store: SqlLedgerStore, wrong: Roster, says: str
    ) -> None:
        if says:
            with pytest.raises(PublishingError, match=f"PE735 {says}"):
                desk(store).trust(lambda _: wrong, None)
            assert store.shards() == []
        else:
            assert desk(store).trust(lambda _: wrong, None).complete

    @given(needed=st.integers(0, 5), names=st.lists(st.sampled_from("abcd"), max_size=4))
    @settings(max_examples=15, deadline=None)
    def test_a_roster_is_read_back_as_it_was_written(self, needed: int, names: list[str]) -> None:
        made = roster(*names, needed=needed)
        if made.wrong():
            with pytest.raises(ValueError, match=r"."):
                Roster.of(made.to_json())
        else:
            assert Roster.of(made.to_json()) == made


class TestScheduled:
    def test_it_holds_from_its_instant_on(self, at: Desk, store: SqlLedgerStore) -> None:
        at.publish(half().body, NOW, DANA)
        at.approve(half().digest, NOA)
        at.publish(full().body, LATER, DANA)
        assert at.approve(full().digest, NOA).complete
        assert in_force(store, NOON + HOUR - 1) == half().digest
        assert in_force(store, NOON + HOUR) == full().digest

    def test_one_that_is_approved_late_holds_from_then_on(self, store: SqlLedgerStore) -> None:
        clock = Clock()
        made = desk(store, clock)
        open_roster(made)
        made.publish(full().body, LATER, DANA)
        clock.now += 2 * HOUR
        assert made.approve(full().digest, NOA).proposal.effective == NOON + 2 * HOUR

    def test_the_past_is_refused(self, at: Desk) -> None:
        with pytest.raises(PublishingError, match=r"PE736 2026-12-01T12:00:00Z is over"):
            at.publish(full().body, Wish("2026-12-01T12:00:00Z"), DANA)

    def test_one_person_withdraws_what_does_not_hold_yet(self, at: Desk, store: SqlLedgerStore) -> None:
        at.publish(full().body, LATER, DANA)
        at.approve(full().digest, NOA)
        assert at.withdraw(full().digest, URI).proposal.withdrawn
        assert in_force(store, NOON + HOUR) is None
        assert faults(store) == []

    def test_what_holds_is_not_withdrawn(self, at: Desk) -> None:
        at.publish(half().body, NOW, DANA)
        at.approve(half().digest, NOA)
        with pytest.raises(PublishingError, match="PE733"):
            at.withdraw(half().digest, URI)

    def test_without_a_roster_nobody_need_sign_a_withdrawal(self, store: SqlLedgerStore) -> None:
        made = desk(store)
        made.publish(full().body, LATER, None)
        assert made.withdraw(full().digest, None).proposal.withdrawn
        assert faults(store) == []

    def test_one_for_a_shard_is_nobody_elses(self, store: SqlLedgerStore) -> None:
        desk(store).publish(full().body, Wish(LATER.at, "0"), None)
        assert in_force(store, NOON + HOUR, "0") == full().digest
        assert in_force(store, NOON + HOUR, "1") is None
        assert in_force(store, NOON + HOUR) is None


class TestRollback:
    def test_to_what_was_approved_before_one_person_is_enough(self, at: Desk, store: SqlLedgerStore) -> None:
        for prepared in (half(), full()):
            at.publish(prepared.body, NOW, DANA)
            at.approve(prepared.digest, NOA)
        standing = at.roll_back(half().digest, NOW, URI)
        assert (standing.complete, standing.approved, standing.needed) == (True, ("uri",), 1)
        assert in_force(store) == half().digest
        assert faults(store) == []

    def test_to_what_nobody_ever_approved_it_takes_two(self, store: SqlLedgerStore) -> None:
        take_up(store, half(), POLICIES)  # before there was a roster
        made = desk(store)
        open_roster(made)
        made.publish(full().body, NOW, DANA)
        made.approve(full().digest, NOA)
        assert made.roll_back(half().digest, NOW, DANA).lacking == 1
        assert in_force(store) == full().digest

    def test_to_what_was_only_staged_is_refused(self, at: Desk) -> None:
        at.publish(half().body, NOW, DANA)
        with pytest.raises(PublishingError, match=r"PE733 .* never was in force here"):
            at.roll_back(half().digest, NOW, NOA)


class TestVerification:
    """Whoever can write to the database can write anything; verification says what nobody approved."""

    def test_a_set_that_a_shard_took_up_by_itself(self, at: Desk, store: SqlLedgerStore) -> None:
        at.publish(half().body, NOW, DANA)
        at.approve(half().digest, NOA)
        take_up(store, half())
        assert faults(store) == []
        take_up(store, full())
        (fault,) = faults(store)
        assert fault == f"puts policy set {full().digest} in force, which was not approved then"
        assert [one.code for one in verify_ledger(store, None, signed=signed).faults] == ["PE808"]
        assert [list(replay(store, shard)) for shard in store.shards()] == [[], []]

    def test_a_shard_that_went_back_by_itself(self, at: Desk, store: SqlLedgerStore) -> None:
        for prepared in (half(), full()):
            at.publish(prepared.body, NOW, DANA)
            at.approve(prepared.digest, NOA)
            take_up(store, prepared)
        take_up(store, half())
        assert len(faults(store)) == 1

    def test_what_held_before_there_was_a_roster_is_as_it_was(self, store: SqlLedgerStore) -> None:
        take_up(store, half())
        take_up(store, full(), POLICIES)
        open_roster(desk(store))
        take_up(store, full(), "a-1")  # a shard that is new
        assert faults(store) == []

    def test_a_set_that_was_put_in_force_for_workers_without_approval(self, store: SqlLedgerStore) -> None:
        open_roster(desk(store))
        take_up(store, half(), POLICIES)
        assert faults(store) == ["puts a policy set in force without any approval"]
        assert in_force(store) is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("digest", "0" * 64),
            ("proposal", 0),
            ("approver", "uri"),
            ("ledger", "00" * 16),
            ("at", "2026-12-01T13:00:00Z"),
            ("purpose", "rollback"),
            ("time", "2026-12-01T12:00:01Z"),
            ("word", "withdraw"),
        ],
    )
    def test_a_forged_statement_counts_for_nothing(
        self, at: Desk, store: SqlLedgerStore, name: str, value: Any
    ) -> None:
        """Dana's approval, turned into another."""
        at.publish(half().body, NOW, DANA)
        tampered(store, "approval", lambda body: body["statement"].update({name: value}))
        assert len(faults(store)) == 1
        assert in_force(store) is None

    def test_an_approval_of_another_ledger_counts_for_nothing(
        self, store: SqlLedgerStore, tmp_path: Path
    ) -> None:
        (tmp_path / "trial").mkdir()
        with opened(tmp_path / "trial") as trial:
            there = desk(trial)
            there._salts(1)  # ids are random in life
            open_roster(there)
            there.publish(half().body, NOW, NOA)
            body = [entry for entry in trial.entries(POLICIES) if entry.kind == "approval"][-1].body
        made = desk(store)
        open_roster(made)
        made.publish(half().body, NOW, DANA)
        made._head = store.head(POLICIES)
        made._write([Body("approval", body, None, None)])
        assert len(faults(store)) == 1
        assert in_force(store) is None

    def test_a_proposal_turned_to_another_time_is_another_one(self, at: Desk, store: SqlLedgerStore) -> None:
        at.publish(half().body, NOW, DANA)
        tampered(store, "proposal", lambda body: body.update(at=LATER.at))
        assert in_force(store, NOON + HOUR) is None


def test_it_is_the_same_on_postgresql(postgres: str) -> None:
    with SqlLedgerStore(postgres) as store:
        made = desk(store)
        open_roster(made)
        made.publish(half().body, NOW, DANA)
        assert store.policy_set(half().digest) == half().body.raw
        assert made.approve(half().digest, NOA).complete
        take_up(store, half())
        assert faults(store) == []
