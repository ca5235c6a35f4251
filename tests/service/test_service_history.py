"""What was known when a decision was made, and why other rules did not apply then."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyengine.domain.decision import Ref, Verdict
from policyengine.domain.money import Money
from policyengine.domain.world import World
from policyengine.engine.explain import why_not
from policyengine.errors import UsageError
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.history import find_decision, situation, world_before
from tests.service.machines import closed, pool, subscribed
from tests.service.runs import FULL, STREAM, entries, feed, half, lines, opened, pipeline
from tests.support import booked, cancelled, draft, event, ils, policy_set, refund


def decisions(folder: Path) -> list[Entry]:
    with opened(folder, read_only=True) as store:
        return entries(store, Kind.DECISION)


def test_the_state_is_that_of_the_moment_and_not_todays(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
        was = situation(store, decisions(tmp_path)[3])  # b2 is cancelled; b1 was before, b3 comes later
    assert was.event.data["booking_id"] == "b2"
    assert was.entity == Ref("booking", "b2")
    assert set(was.state.entities["booking"]) == {"b1", "b2"}
    assert was.state.entities["booking"]["b2"].values["status"] == "cancelled"
    assert [record.amount for record in was.state.remedies] == [Money(5000, "ILS")]  # half of b1


def test_the_policies_are_those_of_the_moment(tmp_path: Path) -> None:
    raw = lines(booked("b1"), cancelled("b1"), booked("b2"), cancelled("b2"))
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), raw, size=2, stop=1)
        feed(pipeline(store, policy_set(FULL)), raw)
        found = [situation(store, entry).policy_set.policies[0].version for entry in decisions(tmp_path)]
    assert found == [1, 1, 2, 2]


def test_decisions_of_one_event_are_explained_from_one_state(tmp_path: Path) -> None:
    """What the first of them granted was not known to the second."""
    each = draft(
        "travel/each",
        {"id": "r", "on": "customer.updated", "for": "booking", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
    )  # fmt: skip
    with opened(tmp_path) as store:
        raw = lines(booked("b1"), booked("b2"), event("customer.updated", "2020-04-01T00:00:00Z"))
        feed(pipeline(store, policy_set(each)), raw)
        granted = [entry for entry in decisions(tmp_path) if entry.document()["remedies"]]
        assert len(granted) == 2
        assert [len(situation(store, entry).state.remedies) for entry in granted] == [0, 0]


def test_other_customers_and_shards_are_not_in_it(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half(), shard="a"), lines(booked("other")))
        feed(
            pipeline(store, half(), shard="b"),
            lines({**booked("b9"), "subject": "c2"}, booked("b1"), cancelled("b1")),
        )
        was = situation(store, entries(store, Kind.DECISION, "b")[-1])
    assert set(was.state.entities["booking"]) == {"b1"}


def test_why_not_says_what_was_missing_then(tmp_path: Path) -> None:
    rich = draft("travel/rich", refund("booking.price", when=["booking.paid >= money('500 ILS')"]))
    early = draft(
        "travel/early", refund("booking.price"), effective={"from": "2019-01-01", "until": "2020-03-02"}
    )
    gone = draft("loyalty/gone", refund("booking.price", on="membership.ended", **{"for": "booking"}))
    with opened(tmp_path) as store:
        later = event("booking.paid", "2020-04-01T00:00:00Z", booking_id="b1", paid=ils("900.00"))
        feed(pipeline(store, policy_set(rich, early, gone)), lines(booked(), cancelled(), later))
        was = situation(store, decisions(tmp_path)[1])
        found = {
            rule.policy: (rule.verdict, rule.because)
            for rule in why_not(was.policy_set.ruleset, was.state, World(), was.event, was.entity)
        }
    assert {name: verdict for name, (verdict, _) in found.items()} == {
        "travel/rich": Verdict.CONDITION,  # 100 were paid then, 900 only later
        "travel/early": Verdict.WINDOW,
        "loyalty/gone": Verdict.EVENT,
    }
    assert "asked on 2020-03-02" in found["travel/early"][1]


def test_a_decision_that_there_is_not_is_a_wrong_argument(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
        with pytest.raises(UsageError, match="the ledger has no decision `d-0`"):
            find_decision(store, "d-0")
        some = decisions(tmp_path)[0]
        assert find_decision(store, some.document()["decision_id"]) == some


class TestWorld:
    """Decisions on events of the world and of the engine's own."""

    CLOSED = draft(
        "fitness/closed",
        {
            "id": "r", "on": "facility.closed", "for": "subscription",
            "when": ["facility.share_percent >= 50"],
            "grant": [{"kind": "credit", "amount": 'money("10 ILS")'}],
        },
    )  # fmt: skip
    LATER = draft(
        "travel/later",
        {
            "id": "ask", "on": "booking.cancelled", "grant": [{"kind": "notify"}],
            "follow_up": [{"at": "add_days(date_of(event.time), 3)", "event": "booking.completed"}],
        },
        {"id": "then", "on": "booking.completed", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
    )  # fmt: skip

    def test_a_fan_outs_cause_and_the_world_of_then_are_found(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(self.CLOSED))
            feed(writer, lines(pool(), subscribed("c1"), closed(share_percent=80)))
            list(writer.work_off())
            again = closed("2020-03-20T08:00:00Z", share_percent=20)
            feed(writer, lines(pool(), subscribed("c1"), closed(share_percent=80), again))
            list(writer.work_off())
            first, second = [
                one for one in decisions(tmp_path) if one.document()["event"]["type"] == "facility.closed"
            ]
            was = situation(store, first)
            assert (was.event.type, was.event.data["share_percent"]) == ("facility.closed", 80)
            assert was.entity == Ref("subscription", "s-c1")
            assert (was.state.customer, len(was.state.remedies)) == ("c1", 0)
            shares = [
                world_before(store, one).entities["facility"]["pool"].values["share_percent"]
                for one in (first, second)
            ]
            assert shares == [80, 20]
            # 10 ILS from the first closure; the second is too small a share
            was = situation(store, second)
            assert len(was.state.remedies) == 1
            (rule,) = why_not(
                was.policy_set.ruleset, was.state, world_before(store, second), was.event, was.entity
            )
            assert rule.because == "`facility.share_percent >= 50` does not hold"

    def test_what_the_engine_let_happen_is_the_cause_of_its_decisions(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            feed(
                pipeline(store, policy_set(self.LATER)),
                lines(booked(), cancelled(at="2020-03-02T10:00:00Z"), booked("b2", "2020-06-01T10:00:00Z")),
            )
            (refunded,) = [
                one for one in decisions(tmp_path) if one.document()["event"]["type"] == "booking.completed"
            ]
            was = situation(store, refunded)
        assert was.event.type == "booking.completed"
        assert was.event.time == datetime(2020, 3, 5, tzinfo=UTC)
        assert set(was.state.entities["booking"]) == {"b1"}

    def test_a_supplement_is_explained_by_the_state_that_it_comes_back_to(self, tmp_path: Path) -> None:
        half = draft(
            "travel/back",
            refund("percent(booking.paid, 50)"),
            effective={"from": "2020-01-01", "until": "2020-06-01"},
        )
        more = draft(
            "travel/back", refund("percent(booking.paid, 80)"), version=2,
            effective={"from": "2020-06-01"}, retroactive={"from": "2020-01-01"},
        )  # fmt: skip
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(half, more))
            paid = event("booking.paid", "2020-04-01T00:00:00Z", booking_id="b1", paid=ils("900.00"))
            feed(writer, lines(booked(), cancelled(), paid, booked("b2", "2020-07-01T10:00:00Z")))
            list(writer.work_off())
            (added,) = [one for one in decisions(tmp_path) if "supplements" in one.document()]
            was = situation(store, added)
        # 80 - 50 of the 100 ILS that were paid then, not of the 900 of April
        assert added.document()["remedies"][0]["amount"]["value"] == "30.00"
        assert was.state.entities["booking"]["b1"].values["paid"] == Money(10000, "ILS")
        assert len(was.state.remedies) == 0
