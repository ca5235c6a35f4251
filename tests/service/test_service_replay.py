"""Deciding again from the ledger alone: the same bytes, and every entry that does not come out the same."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest

from policyengine.domain.state import to_micros
from policyengine.domain.timers import internal_event
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Body, Entry, Kind, decision_body, event_key
from policyengine.ledger.verify import verify
from policyengine.service.refold import refold
from policyengine.service.replay import Difference, replay
from tests.ledger.ledgers import event_body
from tests.service.runs import FULL, STREAM, as_it_is, entries, feed, forge, half, lines, opened, pipeline
from tests.service.worlds import START, policies, stream
from tests.support import booked, cancelled, event, line, policy_set


def differences(folder: Path) -> list[Difference]:
    with opened(folder, read_only=True) as store:
        return list(replay(store, "0"))


def forged(
    tmp_path: Path, change: Callable[[Entry], Sequence[Body]], raw: bytes = STREAM
) -> list[Difference]:
    """What replay says of a ledger whose entries were changed together with all hashes."""
    (tmp_path / "forged").mkdir()
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), raw)
        forge(store, tmp_path / "forged", change)
    with opened(tmp_path / "forged", read_only=True) as store:
        assert list(verify(store)) == []
    return differences(tmp_path / "forged")


def test_an_untouched_ledger_is_replayed_identically(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
    counted: list[int] = []
    with opened(tmp_path, read_only=True) as store:
        assert list(replay(store, "0", progress=counted.append)) == []
        assert sum(counted) == store.head("0").size


def test_each_entry_is_replayed_under_the_policies_in_force_at_it(tmp_path: Path) -> None:
    raw = lines(booked("b1"), cancelled("b1"), booked("b2"), cancelled("b2"), b"{")
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), raw, size=2, stop=1)
        feed(pipeline(store, policy_set(FULL)), raw)
    assert differences(tmp_path) == []


def test_a_decision_changed_with_all_hashes_is_shown(tmp_path: Path) -> None:
    def more(entry: Entry) -> list[Body]:
        if entry.kind != Kind.DECISION or not entry.document()["remedies"]:
            return [as_it_is(entry)]
        document = entry.document()
        document["remedies"][0]["amount"]["value"] = "99.00"
        return [decision_body(document)]

    found = forged(tmp_path, more)
    assert [(one.seq, one.what) for one in found] == [(6, "decision"), (11, "decision"), (15, "decision")]
    for one, paid in zip(found, ["50.00", "50.00", "16.67"], strict=True):
        recorded, again = orjson.loads(one.recorded), orjson.loads(one.replayed)
        assert recorded["remedies"][0]["amount"]["value"] == "99.00"
        assert again["remedies"][0]["amount"]["value"] == paid


def test_a_decision_that_was_removed_is_shown_at_its_event(tmp_path: Path) -> None:
    def without(entry: Entry) -> list[Body]:
        return [] if entry.seq == 6 else [as_it_is(entry)]

    (one,) = forged(tmp_path, without)
    assert (one.seq, one.what, one.recorded) == (5, "decision missing", b"")
    assert orjson.loads(one.replayed)["remedies"][0]["amount"]["value"] == "50.00"


def test_the_last_decision_of_a_ledger_is_missed_too(tmp_path: Path) -> None:
    def without(entry: Entry) -> list[Body]:
        return [] if entry.seq == 4 else [as_it_is(entry)]

    (one,) = forged(tmp_path, without, lines(booked(), cancelled()))
    assert (one.seq, one.what) == (3, "decision missing")


def test_a_decision_that_was_added_is_shown(tmp_path: Path) -> None:
    def twice(entry: Entry) -> list[Body]:
        if entry.seq != 6:
            return [as_it_is(entry)]
        return [as_it_is(entry), decision_body({**entry.document(), "decision_id": "d-more"})]

    (one,) = forged(tmp_path, twice)
    assert (one.seq, one.what, one.replayed) == (7, "decision", b"")


def test_an_event_changed_with_all_hashes_is_shown_by_what_follows_from_it(tmp_path: Path) -> None:
    def paid(entry: Entry) -> list[Body]:
        if entry.seq != 1:
            return [as_it_is(entry)]
        event = booked("b1", paid={"amount": "20.00", "currency": "ILS"})
        event["id"] = entry.document()["event"]["id"]
        return [event_body(event, event_key(event["source"], event["id"]))]

    (one,) = forged(tmp_path, paid)
    assert (one.seq, one.what) == (6, "decision")
    assert orjson.loads(one.replayed)["remedies"][0]["amount"]["value"] == "10.00"  # half of 20


def test_an_event_that_is_none_any_more_is_shown_and_the_others_are_replayed(tmp_path: Path) -> None:
    def no_event(entry: Entry) -> list[Body]:
        if entry.seq != 5:
            return [as_it_is(entry)]
        event = {**cancelled("b1"), "type": "booking.lost"}
        return [event_body(event, event_key(event["source"], event["id"]))]

    one, orphan = forged(tmp_path, no_event)
    assert (one.seq, one.what) == (5, "event")
    assert orjson.loads(one.replayed)["code"] == "EV016"
    assert (orphan.seq, orphan.what, orphan.replayed) == (6, "decision", b"")


def test_rejections_are_replayed_and_conflicts_are_not(tmp_path: Path) -> None:
    """A conflict was refused for what came before it, not for what it is."""

    def milder(entry: Entry) -> list[Body]:
        if entry.kind != Kind.REJECTED:
            return [as_it_is(entry)]
        document = {**entry.document(), "reason": "because"}
        return [Body(entry.kind, canonical(document), None, None)]

    found = forged(tmp_path, milder)
    assert [(one.seq, one.what, orjson.loads(one.replayed)["code"]) for one in found] == [
        (7, "rejection", "EV004"),
        (9, "rejection", "EV001"),  # 8 is the conflict
    ]


def test_an_event_recorded_as_rejected_is_shown(tmp_path: Path) -> None:
    def refused(entry: Entry) -> list[Body]:
        if entry.kind != Kind.REJECTED:
            return [as_it_is(entry)]
        document = {**entry.document(), "raw": b64encode(line(cancelled())).decode()}
        return [Body(entry.kind, canonical(document), None, None)]

    (one,) = forged(tmp_path, refused, lines(booked(), b"{"))
    assert (one.what, one.replayed) == ("rejection", b"")


def test_a_ledger_without_its_policies_is_sent_to_verify(tmp_path: Path) -> None:
    def no_policies(entry: Entry) -> list[Body]:
        return [] if entry.kind == Kind.POLICY_SET else [as_it_is(entry)]

    (tmp_path / "forged").mkdir()
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
        forge(store, tmp_path / "forged", no_policies)
    with opened(tmp_path / "forged", read_only=True) as store:
        with pytest.raises(LedgerError, match=r"PE712 .*does not hold it; run `verify`"):
            list(replay(store, "0"))
        with pytest.raises(LedgerError, match="PE712"):
            refold(store, "0")


@pytest.fixture(scope="module")
def story() -> bytes:
    """Some weeks of a crisis."""
    return stream(7, 20, 150)


class TestInternalEvents:
    """What the engine let happen by itself must happen again, at the same place."""

    def forged(
        self, tmp_path: Path, change: Callable[[Entry], Sequence[Body]], raw: bytes
    ) -> list[Difference]:
        (tmp_path / "forged").mkdir()
        with opened(tmp_path) as store:
            writer = pipeline(store, policies())
            feed(writer, raw)
            list(writer.work_off())
            forge(store, tmp_path / "forged", change)
        return differences(tmp_path / "forged")

    def first(self, tmp_path: Path, raw: bytes, kind: str) -> Entry:
        """The first entry of the engine's own of a type, in a run of the story."""
        (tmp_path / "first").mkdir()
        with opened(tmp_path / "first") as store:
            writer = pipeline(store, policies())
            feed(writer, raw)
            list(writer.work_off())
            return next(
                one
                for one in entries(store, Kind.INTERNAL)
                if one.document()["event"]["type"] == kind and one.seq > 20
            )

    def test_a_story_of_timers_and_jobs_is_replayed_identically(self, tmp_path: Path, story: bytes) -> None:
        assert self.forged(tmp_path, lambda entry: [as_it_is(entry)], story) == []

    @pytest.mark.parametrize("kind", ["offer.expired", "crisis.phase_began", "remedy.ended"])
    def test_a_timer_that_did_not_fire_is_shown_before_the_event_that_brought_its_time(
        self, tmp_path: Path, story: bytes, kind: str
    ) -> None:
        gone = self.first(tmp_path, story, kind)
        found = self.forged(tmp_path, lambda entry: [] if entry.seq == gone.seq else [as_it_is(entry)], story)
        assert ("internal event missing", gone.body) in [(one.what, one.replayed) for one in found]

    def test_a_timer_that_fired_too_early_is_shown(self, tmp_path: Path) -> None:
        raw = lines(
            booked("b1"),
            cancelled("b1"),
            booked("b2", "2020-03-03T10:00:00Z"),
            booked("b3", "2020-05-01T10:00:00Z"),
        )
        early: list[Body] = []

        def hurried(entry: Entry) -> list[Body]:
            """The deadline of 9 March and what it decides come before the booking of 3 March."""
            if entry.seq in (7, 8):
                return []
            return [*early, as_it_is(entry)] if entry.seq == 5 else [as_it_is(entry)]

        (tmp_path / "before").mkdir()
        with opened(tmp_path / "before") as store:
            feed(pipeline(store, policies()), raw)
            early = [as_it_is(entry) for entry in store.entries("0") if entry.seq in (7, 8)]
            assert [one.kind for one in early] == [Kind.INTERNAL, Kind.DECISION]
        (one,) = self.forged(tmp_path, hurried, raw)
        assert (one.what, one.seq, one.recorded) == ("internal event too early", 5, early[0].raw)

    def test_an_event_of_the_engines_that_nothing_brought_about_is_shown(self, tmp_path: Path) -> None:
        made_up = internal_event(
            "x",
            "crisis.phase_began",
            START,
            "world",
            {"crisis_id": "c", "phase": "onset", "from": "2020-03-01"},
        )
        body = Body(
            Kind.INTERNAL.value, canonical({"event": made_up}), event_key("urn:policyengine", "x").hex(), None
        )

        def more(entry: Entry) -> list[Body]:
            return [body, as_it_is(entry)] if entry.seq == 3 else [as_it_is(entry)]

        (one,) = self.forged(tmp_path, more, lines(booked("b1"), booked("b2")))
        assert (one.what, one.seq, one.recorded, one.replayed) == ("internal event", 3, body.raw, b"")

    def test_a_piece_that_was_changed_is_shown(self, tmp_path: Path, story: bytes) -> None:
        piece = self.first(tmp_path, story, "customers.reached")

        def other(entry: Entry) -> list[Body]:
            if entry.seq != piece.seq:
                return [as_it_is(entry)]
            document = entry.document()
            document["event"]["data"]["total"] += 1
            return [Body(entry.kind, canonical(document), entry.ref, entry.customer)]

        (one,) = self.forged(tmp_path, other, story)
        assert (one.what, one.seq, one.replayed) == ("internal event", piece.seq, piece.body)

    def test_an_answer_refused_for_the_state_is_refused_again(self, tmp_path: Path) -> None:
        answer = event("remedy.chosen", "2020-03-03T10:00:00Z", decision_id="d-none", alternative="money")
        raw = lines(booked("b1"), cancelled("b1"), answer)

        def milder(entry: Entry) -> list[Body]:
            if entry.kind != Kind.REJECTED:
                return [as_it_is(entry)]
            return [Body(entry.kind, canonical({**entry.document(), "code": "EV113"}), None, None)]

        (one,) = self.forged(tmp_path, milder, raw)
        assert (one.what, orjson.loads(one.replayed)["code"]) == ("rejection", "EV110")


def test_the_clock_is_replayed_where_it_ticked(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        writer = pipeline(store, policies())
        feed(writer, lines(booked("b1"), cancelled("b1")))
        at = START.replace(month=3, day=10)
        assert writer.tick(to_micros(at)).counts["internal"] == 2  # the tick, and the deadline of 9 March
        assert [one.document()["event"]["type"] for one in entries(store, Kind.INTERNAL)] == [
            "clock.ticked", "offer.expired",
        ]  # fmt: skip
        assert list(replay(store, "0")) == []
