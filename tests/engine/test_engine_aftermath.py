"""What a decision leads to: follow-ups, deadlines, endings, messages that wait; and what may not be written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lives import Life, instant, micros
from support import booked, cancelled, catalogue, draft, ils, policy, refund

from policyengine.authoring.load import read_policy
from policyengine.domain.decision import Outcome, Verdict
from policyengine.domain.holdings import Entity
from policyengine.domain.world import World
from policyengine.engine.compile import compile_policies
from policyengine.engine.faults import CompileError


def follow(at: str, kind: str, data: dict[str, str] | None = None, **keys: Any) -> dict[str, Any]:
    """A rule that grants nothing and lets something happen when a booking was cancelled."""
    later: dict[str, Any] = {"at": at, "event": kind}
    if data is not None:
        later["data"] = data
    return {"id": "later", "on": "booking.cancelled", "follow_up": [later], **keys}


def timers(*texts: str, at: str = "2020-03-02T10:00:00Z", **data: Any) -> list[dict[str, Any]]:
    life = Life(*texts)
    life.on(booked(**data))
    return [timer.to_json() for timer in life.on(cancelled(at=at)).timers]


def faults(*rules: dict[str, Any], **keys: Any) -> list[tuple[tuple[str | int, ...], str, str]]:
    with pytest.raises(CompileError) as caught:
        compile_policies([policy(draft("p", *rules, **keys))], catalogue(), "f" * 64)
    return [(fault.path, fault.code, fault.message) for fault in caught.value.faults]


class TestFollowUps:
    def test_happen_at_midnight_of_the_day_in_the_policys_zone_to_the_same_entity(self) -> None:
        rule = follow(
            "add_days(date_of(event.time), 30)",
            "booking.postponed",
            {"starts_on": "add_days(booking.starts_on, 365)"},
        )
        life = Life(draft("p", rule, timezone="Asia/Jerusalem"))
        life.on(booked())
        decision = life.on(cancelled(at="2020-03-02T22:30:00Z"))  # 3 March, 00:30, in Jerusalem
        (timer,) = decision.timers
        assert timer.to_json() == {
            "id": f"{decision.decision_id}/p/later/0",
            "at": "2020-04-01T21:00:00Z",  # 3 March + 30 days = 2 April; summer time, +03:00
            "event": "booking.postponed",
            "data": {"booking_id": "b1", "starts_on": "2021-05-01"},  # 1 May 2020 + 365 days
        }
        assert decision.outcome is Outcome.NONE
        assert decision.to_json()["timers"] == [timer.to_json()]

    def test_whose_event_would_be_refused_are_an_error_and_not_a_promise(self) -> None:
        rule = follow("2020-04-01", "booking.cancelled", {"cancelled_because": "booking.country"})
        life = Life(draft("p", rule))
        life.on(booked(country="IT"))
        decision = life.on(cancelled())
        (trace,) = decision.trace
        assert trace.verdict is Verdict.ERROR
        assert trace.because == (
            "PE226 `booking.cancelled` cannot follow, it would be refused: EV040 property `cancelled_because` "
            "is `IT`, which is none of its values; write one of crisis, customer, company, illness"
        )
        assert decision.timers == ()

    def test_with_a_constant_that_would_be_refused_are_a_fault_of_the_file(self) -> None:
        rule = follow("2020-04-01", "booking.cancelled", {"cancelled_because": "'rain'"})
        ((path, code, message),) = faults(rule)
        assert path == ("rules", 0, "follow_up", 0, "data", "cancelled_because")
        assert code == "PE032"
        assert message.startswith("`booking.cancelled` does not take this: property `cancelled_because` is")

    def test_are_decided_when_they_happen_like_any_other_event(self) -> None:
        rule = follow("2020-04-01", "booking.completed")
        life = Life(draft("p", rule, refund("booking.paid", on="booking.completed")))
        life.on(booked())
        decision = life.on(cancelled())
        assert [str(one.amount) for one in life.fire(f"{decision.decision_id}/p/later/0").remedies] == [
            "100.00 ILS"
        ]

    def test_carry_values_as_events_do(self) -> None:
        rule = follow("2020-04-01", "booking.paid", {"paid": "percent(booking.paid, 50)"})
        assert [timer["data"] for timer in timers(draft("p", rule))] == [
            {"booking_id": "b1", "paid": ils("50.00")}
        ]

    def test_several_are_counted(self) -> None:
        rule = follow("2020-04-01", "booking.completed")
        rule["follow_up"].append({"at": "2020-05-01", "event": "booking.completed"})
        ends = [(timer["id"].rpartition("/")[2], timer["at"]) for timer in timers(draft("p", rule))]
        assert ends == [("0", "2020-04-01T00:00:00Z"), ("1", "2020-05-01T00:00:00Z")]

    @pytest.mark.parametrize(("day", "verdict"), [("2020-03-01", "error"), ("2020-03-02", "applied")])
    def test_on_a_day_before_the_events_are_an_error(self, day: str, verdict: str) -> None:
        life = Life(draft("p", follow(day, "booking.completed"), timezone="Asia/Tokyo"))
        life.on(booked())
        # 15:30 on 1 March in London is half past midnight of 2 March in Tokyo
        (trace,) = life.on(cancelled(at="2020-03-01T15:30:00Z")).trace
        assert trace.verdict == Verdict(verdict)
        if verdict == "error":
            assert trace.because == "PE225 `at` gives 2020-03-01, which is before the event's day, 2020-03-02"

    def test_of_a_shadow_rule_never_happen(self) -> None:
        assert timers(draft("p", follow("2020-04-01", "booking.completed", shadow=True))) == []

    def test_of_a_rule_that_lost_never_happen(self) -> None:
        rule = follow("2020-04-01", "booking.completed", when=["booking.nights > 3"])
        assert timers(draft("p", rule), nights=2) == []


class TestFindings:
    here = ("rules", 0, "follow_up", 0)

    def test_an_unknown_event_type(self) -> None:
        assert faults(follow("2020-04-01", "booking.complete")) == [
            ((*self.here, "event"), "PE030", "unknown event type `booking.complete`")
        ]

    @pytest.mark.parametrize(
        ("kind", "whose"),
        [("offer.expired", "the engine's own"), ("facility.reopened", "an event of the world")],
    )
    def test_an_event_that_no_rule_lets_happen(self, kind: str, whose: str) -> None:
        assert faults(follow("2020-04-01", kind)) == [
            ((*self.here, "event"), "PE039", f"`{kind}` is {whose}, which no rule lets happen")
        ]

    def test_a_property_that_the_event_lacks(self) -> None:
        assert faults(follow("2020-04-01", "booking.completed", {"paidd": "booking.paid"})) == [
            ((*self.here, "data", "paidd"), "PE031", "`booking.completed` has no property `paidd`")
        ]

    def test_a_property_of_another_type(self) -> None:
        ((path, code, _),) = faults(follow("2020-04-01", "booking.paid", {"paid": "booking.starts_on"}))
        assert (path, code) == ((*self.here, "data", "paid"), "PE032")

    def test_a_property_that_is_missing(self) -> None:
        assert faults(follow("2020-04-01", "booking.paid")) == [
            (self.here, "PE004", "`booking.paid` needs `paid`")
        ]

    def test_a_key_that_cannot_be_filled_in(self) -> None:
        rule = follow("2020-04-01", "membership.ended", {})
        found = faults(rule)
        assert (self.here, "PE004", "`membership.ended` needs `membership_id`") in found

    def test_a_day_that_is_none(self) -> None:
        ((path, code, _),) = faults(follow("booking.paid", "booking.completed"))
        assert (path, code) == ((*self.here, "at"), "PE032")

    def test_a_version_that_does_not_reach_back(self) -> None:
        assert faults(refund("booking.paid"), retroactive={"from": "2020-01-01"}) == [
            (
                ("retroactive", "from"),
                "PE057",
                "`retroactive` does not reach further back than `effective.from`",
            )
        ]

    def test_staff_first_without_a_day_of_announcement(self) -> None:
        _, findings = read_policy(
            draft("p", refund("booking.paid"), staff_first={"hours": 24}).encode(), "p.yaml"
        )
        assert [(one.code, one.message.partition(":")[0]) for one in findings] == [
            ("PE004", "`staff_first` needs `announced`")
        ]


class TestDeadlines:
    @staticmethod
    def offer(deadline: str) -> str:
        grant = [{"kind": "refund", "amount": "booking.paid"}]
        offer = {"alternatives": [{"id": "a", "grant": grant}], "default": "a", "deadline": deadline}
        rule = {"id": "choose", "on": "booking.cancelled", "offer": offer}
        return draft("p/q", rule, timezone="Europe/Rome")

    def test_are_over_with_the_midnight_after_them(self) -> None:
        (timer,) = timers(self.offer("2020-04-05"))
        made_by, _, rest = timer["id"].partition("/")
        assert rest == "p/q/choose"
        assert timer["at"] == "2020-04-05T22:00:00Z"  # 6 April, 00:00, +02:00
        assert timer["event"] == "offer.expired"
        assert timer["data"] == {
            "offer_id": timer["id"],
            "decision_id": made_by,
            "policy": "p/q",
            "rule": "choose",
        }

    @pytest.mark.parametrize(("deadline", "offered"), [("2020-03-01", False), ("2020-03-02", True)])
    def test_may_be_today_but_not_in_the_past(self, deadline: str, offered: bool) -> None:
        life = Life(self.offer(deadline))
        life.on(booked())
        decision = life.on(cancelled(at="2020-03-02T10:00:00Z"))
        assert bool(decision.offers) is offered
        if not offered:
            assert decision.errors[0].because.startswith("PE225 `deadline` gives 2020-03-01")


class TestEndings:
    def grant(self, kind: str, **fields: Any) -> list[tuple[str, str, Any]]:
        rule = {"id": "r", "on": "booking.cancelled", "grant": [{"kind": kind, **fields}]}
        return [
            (timer["id"].rpartition("/")[2], timer["at"], timer["data"]["ended_on"])
            for timer in timers(draft("p", rule))
        ]

    def test_of_a_voucher_the_day_after_its_last(self) -> None:
        assert self.grant("voucher", amount="booking.paid", valid_until="2020-12-31") == [
            ("ended0", "2021-01-01T00:00:00Z", "2021-01-01")
        ]

    def test_of_a_freeze_the_first_day_on_which_payments_go_on(self) -> None:
        assert self.grant("freeze", until="2020-06-01") == [("ended0", "2020-06-01T00:00:00Z", "2020-06-01")]

    def test_of_what_does_not_end_there_is_none(self) -> None:
        assert self.grant("voucher", amount="booking.paid") == []
        assert self.grant("freeze") == []
        assert self.grant("postpone", until="2020-06-01") == []
        assert (
            self.grant("voucher", amount="booking.paid", valid_until="2200-12-31") == []
        )  # no calendar beyond

    def test_of_what_never_began_there_is_none(self) -> None:
        assert self.grant("voucher", amount="booking.paid", valid_until="2020-03-01") == []
        assert self.grant("freeze", until="2020-03-02") == []

    def test_a_decision_without_any_carries_no_key(self) -> None:
        life = Life(draft("p", refund("booking.paid")))
        life.on(booked())
        assert not {"timers", "settles", "held", "supplements"} & life.on(cancelled()).to_json().keys()


NEWS = draft(
    "s/news", refund("booking.paid", say={"en": "News"}), announced="2020-03-02", staff_first={"hours": 48}
)
OLD = draft("s/old", {**refund("booking.paid"), "say": {"en": "As ever"}})


def world(now: str | None = None, **stamps: str) -> World:
    entity = Entity({name: instant(at) for name, at in stamps.items()}, {})
    micro = None if now is None else micros(now)
    return World(entities={"policy_version": {"s/news@1": entity}}, now=micro)


class TestStaffFirst:
    def held(self, about: World, at: str = "2020-03-02T10:00:00Z") -> tuple[dict[str, str], list[Any]]:
        life = Life(NEWS, OLD, world=about)
        life.on(booked())
        decision = life.on(cancelled(at=at))
        assert len(decision.remedies) == 2  # what is owed does not wait
        return dict(decision.messages), [one.to_json() for one in decision.held]

    def test_messages_of_the_version_wait_and_others_do_not(self) -> None:
        told, held = self.held(World())
        assert told == {"en": "As ever"}
        assert held == [
            # announced on 2 March, midnight UTC, + 48 hours
            {"policy": "s/news", "version": 1, "until": "2020-03-04T00:00:00Z", "messages": {"en": "News"}}
        ]

    def test_the_hours_count_from_when_it_was_published(self) -> None:
        _, held = self.held(world(published_at="2020-03-02T08:30:00Z"))
        assert [one["until"] for one in held] == ["2020-03-04T08:30:00Z"]

    def test_nothing_waits_once_the_staff_have_acknowledged(self) -> None:
        assert self.held(world(acknowledged_at="2020-03-02T09:00:00Z")) == ({"en": "News\nAs ever"}, [])

    def test_nothing_waits_when_the_hours_are_over(self) -> None:
        assert self.held(World(), at="2020-03-03T23:59:59Z")[1]
        assert not self.held(World(), at="2020-03-04T00:00:00Z")[1]

    def test_of_an_event_that_comes_late_nothing_waits_either(self) -> None:
        assert not self.held(world(now="2020-03-05T00:00:00Z"))[1]

    def test_a_notice_is_an_entity_and_has_its_timer(self) -> None:
        life = Life(NEWS)
        life.on(booked())
        decision = life.on(cancelled())
        notice = f"{decision.decision_id}/s/news"
        assert dict(life.entity("notice", notice).values) == {
            "policy_version": "s/news@1",
            "policy": "s/news",
            "version": 1,
            "status": "held",
            "until": instant("2020-03-04T00:00:00Z"),
            "document": '{"en":"News"}',
            "decision_id": decision.decision_id,
        }
        assert life.timers[notice].data == {
            "notice_id": notice,
            "decision_id": decision.decision_id,
            "policy": "s/news",
            "version": 1,
        }


def test_where_the_catalogue_has_no_such_events_nothing_is_set() -> None:
    """A ledger of before goes on to replay as it was."""
    known = catalogue()
    internal = ("offer.expired", "remedy.ended", "notice.released")
    older = replace(known, events={name: one for name, one in known.events.items() if name not in internal})
    voucher = {"kind": "voucher", "amount": "booking.paid", "valid_until": "2020-12-31"}
    offer = {
        "alternatives": [{"id": "a", "grant": [voucher]}],
        "default": "a",
        "deadline": "2020-04-05",
    }
    rules = [
        {"id": "a", "on": "booking.cancelled", "grant": [voucher], "say": {"en": "x"}},
        {"id": "b", "on": "booking.cancelled", "offer": offer},
    ]
    text = draft("p", *rules, announced="2020-03-02", staff_first={"hours": 48})
    life = Life(text)
    life.ruleset = compile_policies([policy(text)], older, "f" * 64)
    life.on(booked())
    decision = life.on(cancelled())
    assert (decision.timers, decision.held) == ((), ())
