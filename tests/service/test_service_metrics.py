"""What of a decision is counted for metrics, and under which labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from policyengine.domain.decision import Decision
from policyengine.ledger.entries import Kind
from policyengine.service.metrics import NOBODY, Meters, NoMeters, parts_of
from tests.service.runs import STREAM, entries, feed, half, opened, pipeline
from tests.support import booked, cancelled, draft, last, policy_set, refund

NO = {"id": "no", "on": "booking.cancelled", "deny": {"reason": "too late"}}
CHOICE = {
    "id": "choose", "on": "booking.cancelled",
    "offer": {"alternatives": [{"id": "money", "title": {"en": "Money"}, "grant": [{"kind": "refund", "amount": "booking.paid"}]},
                          {"id": "points", "title": {"en": "Points"}, "grant": [{"kind": "points.bonus", "points": "100"}]}]},
}  # fmt: skip


def on_cancelling(*texts: str) -> Decision:
    return last(policy_set(*texts), booked(), cancelled())


def test_a_version_is_counted_once_however_many_remedies_it_grants() -> None:
    two = on_cancelling(draft("a/b", refund("booking.paid", "r"), refund("booking.paid", "s"), version=3))
    assert len(two.remedies) == 2
    assert parts_of(two) == {("a/b", 3, "granted")}


def test_versions_that_have_a_part_in_one_decision_are_counted_each() -> None:
    both = on_cancelling(draft("a/b", refund("booking.paid")), draft("a/c", CHOICE, version=2))
    assert parts_of(both) == {("a/b", 1, "granted"), ("a/c", 2, "offered")}


def test_a_denial_is_counted_with_who_denies() -> None:
    assert parts_of(on_cancelling(draft("a/b", NO))) == {("a/b", 1, "denied")}


def test_what_no_version_had_a_part_in_is_counted_without_one() -> None:
    assert parts_of(on_cancelling(draft("a/b", refund("booking.paid", when=["booking.travellers > 9"])))) == {
        (NOBODY, 0, "none")
    }


def test_rules_in_shadow_have_no_part() -> None:
    assert parts_of(on_cancelling(draft("a/b", refund("booking.paid", shadow=True)))) == {(NOBODY, 0, "none")}


def test_a_tally_holds_what_is_counted(tmp_path: Path) -> None:
    """Three bookings on which no rule is, three cancellations of which each gives half back."""
    with opened(tmp_path) as store:
        tally = feed(pipeline(store, half()), STREAM, size=4)
        assert tally.decided == Counter({(NOBODY, 0, "none"): 3, ("travel/half-back", 1, "granted"): 3})
        assert tally.decided.total() == len(entries(store, Kind.DECISION))
        assert tally.committing > 0


def test_a_worker_may_tell_nobody() -> None:
    meters: Meters = NoMeters()
    meters.batch("0", events=1, seconds=0.1, committing=0.1, decided={}, rejected={})
    meters.backlog("0", lag=0, outbox={}, jobs=0, customers=0, timers=0)
    meters.assigned(["0"])
    meters.dead_letters(1)
    meters.poisoned()
    meters.policies("0" * 64)
    meters.refused(refused=False)
