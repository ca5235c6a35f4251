"""Settling offers: answers, races, silence, consent, withdrawals; and notices that are let go."""

from __future__ import annotations

from typing import Any

import pytest
from lives import Life, micros
from support import booked, cancelled, draft, event, ils, refund

from policyengine.authoring.load import read_policy
from policyengine.domain.decision import Decision, Outcome, Ref, Settled
from policyengine.domain.money import Money
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.engine.explain import why_not

TITLES = {"money": {"en": "Money back", "he": "החזר כספי"}, "voucher": {"en": "A voucher", "he": "שובר"}}


def offer_rule(**keys: Any) -> dict[str, Any]:
    """A rule that offers what was paid back, or a tenth more as a voucher of a year."""
    alternatives = [
        {"id": "money", "title": TITLES["money"], "grant": [{"kind": "refund", "amount": "booking.paid"}]},
        {
            "id": "voucher",
            "title": TITLES["voucher"],
            "grant": [
                {
                    "kind": "voucher",
                    "amount": "percent(booking.paid, 110)",
                    "valid_until": "add_months(date_of(event.time), 12)",
                },
                {"kind": "points.bonus", "points": 5},
            ],
        },
    ]
    return {"id": "choose", "on": "booking.cancelled", "offer": {"alternatives": alternatives, **keys}}


WITH_DEADLINE = offer_rule(default="money", deadline="2020-04-01")


def offering(*texts: str) -> tuple[Life, Decision]:
    life = Life(*(texts or (draft("p", WITH_DEADLINE),)))
    life.on(booked())
    return life, life.on(cancelled())


def answer(
    decision: Decision, alternative: str, at: str = "2020-03-05T10:00:00Z", **data: Any
) -> dict[str, Any]:
    return event("remedy.chosen", at, decision_id=decision.decision_id, alternative=alternative, **data)


def name(decision: Decision) -> str:
    return f"{decision.decision_id}/p/choose"


class TestAnAnswer:
    def test_grants_what_was_offered_about_the_entity_of_the_offer(self) -> None:
        life, offered = offering()
        decision = life.on(answer(offered, "voucher"))
        assert (decision.outcome, decision.entity) == (Outcome.GRANTED, Ref("booking", "b1"))
        assert [one.to_json() for one in decision.remedies] == [
            one.to_json() for one in offered.offers[0].choices[1].remedies
        ]
        assert decision.settles == (Settled(name(offered), "voucher", "customer"),)
        assert decision.messages == TITLES["voucher"]
        assert name(offered) not in life.timers

    def test_grants_what_was_computed_then_not_what_it_would_come_to_now(self) -> None:
        life, offered = offering()
        life.on(event("booking.paid", "2020-03-03T10:00:00Z", booking_id="b1", paid=ils("500.00")))
        decision = life.on(answer(offered, "voucher"))
        assert decision.remedies[0].amount == Money(110_00, "ILS")  # a tenth more than the 100 of 2 March

    def test_is_recorded_with_the_consent_that_it_gave(self) -> None:
        life, offered = offering(draft("p", offer_rule(consent=True)))
        decision = life.on(answer(offered, "money", consented=True))
        assert decision.to_json()["settles"] == [
            {"offer": name(offered), "alternative": "money", "by": "customer", "consented": True}
        ]

    def test_counts_once_in_a_race(self) -> None:
        life, offered = offering()
        life.on(answer(offered, "voucher"))
        late = life.on(answer(offered, "money", at="2020-03-05T10:00:01Z"))
        assert (late.outcome, late.remedies, late.settles) == (Outcome.NONE, (), ())

    def test_uses_up_a_cap_once_together_with_its_offer(self) -> None:
        life = Life(draft("p", WITH_DEADLINE, cap={"count": 2}))
        for key in ("b1", "b2", "b3"):
            life.on(booked(key))
        first = life.on(cancelled("b1"))
        life.on(answer(first, "money"))
        assert life.on(cancelled("b2", at="2020-03-06T10:00:00Z")).offers
        assert not life.on(cancelled("b3", at="2020-03-07T10:00:00Z")).offers

    def test_is_added_to_by_rules_which_speak_instead_of_the_title(self) -> None:
        thanks = {
            "id": "thanks",
            "on": "remedy.chosen",
            "when": ['event.alternative == "voucher"', 'booking.kind == "hotel"'],
            "grant": [{"kind": "points.bonus", "points": 7}],
            "say": {"en": "Thank you, {points} points"},
        }
        life, offered = offering(draft("p", WITH_DEADLINE), draft("t", thanks))
        decision = life.on(answer(offered, "voucher"))
        assert [one.kind for one in decision.remedies] == ["voucher", "points.bonus", "points.bonus"]
        assert decision.messages == {"en": "Thank you, 7 points", "he": TITLES["voucher"]["he"]}

    def test_of_a_voucher_has_its_end_as_a_timer_by_the_offers_name(self) -> None:
        life, offered = offering()
        life.on(answer(offered, "voucher"))
        timer = life.timers[f"{name(offered)}/ended0"]
        # valid a year from 2 March 2020; over on 3 March 2021, midnight UTC
        assert (timer.event, timer.due) == ("remedy.ended", micros("2021-03-03T00:00:00Z"))

    def test_about_the_customer_as_such(self) -> None:
        rule = {**WITH_DEADLINE, "on": "policy.asked"}
        rule["offer"] = {
            "alternatives": [{"id": "points", "grant": [{"kind": "points.bonus", "points": 1}]}],
        }
        life = Life(draft("p", rule))
        offered = life.on(event("policy.asked", "2020-03-02T10:00:00Z", about="p"))
        assert offered.entity is None
        decision = life.on(answer(offered, "points"))
        assert (decision.entity, [one.kind for one in decision.remedies]) == (None, ["points.bonus"])

    def test_is_explained_by_the_entity_that_it_is_about(self) -> None:
        rule = refund("booking.paid", on="remedy.chosen", when=["booking.nights > 3"])
        life, offered = offering(draft("p", WITH_DEADLINE), draft("q", rule))
        life.on(answer(offered, "money"))
        event_, then, _ = life.past[-1]
        traces = why_not(life.ruleset, then, life.world, event_, None)
        assert [(one.policy, one.because) for one in traces if one.policy == "q"] == [
            ("q", "it is decided for the event's own entity")
        ]


class TestSilence:
    def test_takes_the_default_when_the_deadline_has_passed(self) -> None:
        life, offered = offering()
        timer = life.timers[name(offered)]
        assert (timer.event, timer.due) == ("offer.expired", micros("2020-04-02T00:00:00Z"))
        decision = life.fire(name(offered))
        assert (decision.source, decision.entity) == (INTERNAL_SOURCE, Ref("booking", "b1"))
        assert [str(one.amount) for one in decision.remedies] == ["100.00 ILS"]
        assert decision.settles == (Settled(name(offered), "money", "silence"),)
        assert decision.messages == TITLES["money"]

    def test_is_over_with_an_answer(self) -> None:
        life, offered = offering()
        life.on(answer(offered, "voucher"))
        assert name(offered) not in life.timers

    def test_leaves_a_settled_offer_alone_should_its_timer_fire_all_the_same(self) -> None:
        life, offered = offering()
        timer = life.timers[name(offered)]
        life.on(answer(offered, "voucher"))
        decision = life.on(timer.document())
        assert (decision.outcome, decision.settles) == (Outcome.NONE, ())


WITHDRAW = {
    "id": "stop",
    "on": "booking.completed",
    "grant": [{"kind": "withdraw", "offers_of": "p", "reason": "it took place"}],
    "say": {"en": "It took place, so there is nothing left to choose."},
}


class TestWithdrawing:
    def test_closes_the_open_offers_of_a_policy_on_this_entity(self) -> None:
        life, offered = offering(draft("p", WITH_DEADLINE), draft("w", WITHDRAW))
        life.on(booked("b2"))
        other = life.on(cancelled("b2"))
        decision = life.on(event("booking.completed", "2020-03-10T10:00:00Z", booking_id="b1"))
        assert decision.settles == (Settled(name(offered), None, "rule"),)
        assert decision.messages == WITHDRAW["say"]
        assert name(offered) not in life.timers
        assert life.entity("offer", name(offered)).values["status"] == "withdrawn"
        assert life.entity("offer", name(other)).values["status"] == "open"
        refused = life.refused(answer(offered, "money"))
        assert refused == ("EV114", "the offer was withdrawn")

    def test_leaves_offers_of_other_policies(self) -> None:
        rule = {**WITHDRAW, "grant": [{"kind": "withdraw", "offers_of": "other", "reason": "x"}]}
        life, offered = offering(draft("p", WITH_DEADLINE), draft("w", rule))
        decision = life.on(event("booking.completed", "2020-03-10T10:00:00Z", booking_id="b1"))
        assert decision.settles == ()
        assert life.refused(answer(offered, "money")) is None

    def test_without_a_word_is_a_finding(self) -> None:
        silent = {key: value for key, value in WITHDRAW.items() if key != "say"}
        _, findings = read_policy(draft("w", silent).encode(), "w.yaml")
        assert [(one.code, one.message) for one in findings] == [
            ("PE063", "an offer is never withdrawn silently")
        ]


STAFF_FIRST = draft(
    "s/news",
    refund("booking.paid", say={"en": "We refund {amount}."}),
    announced="2020-03-02",
    staff_first={"hours": 48},
)


class TestNotices:
    def test_are_let_go_when_the_time_is_over(self) -> None:
        life, decision = offering(STAFF_FIRST)
        assert decision.messages == {}
        notice = f"{decision.decision_id}/s/news"
        # announced on 2 March (UTC), 48 hours
        assert (life.timers[notice].event, life.timers[notice].due) == (
            "notice.released",
            micros("2020-03-04T00:00:00Z"),
        )
        released = life.fire(notice)
        assert released.messages == {"en": "We refund ₪100.00."}
        assert (released.outcome, released.entity) == (Outcome.NONE, Ref("notice", notice))
        assert life.entity("notice", notice).values["status"] == "released"

    def test_are_let_go_once(self) -> None:
        life, decision = offering(STAFF_FIRST)
        timer = life.timers[f"{decision.decision_id}/s/news"]
        assert life.on(timer.document()).messages
        again = {**timer.document(), "id": "again"}
        assert life.on(again).messages == {}


@pytest.mark.parametrize("kept", ["money", "voucher"])
def test_both_answers_in_either_order_give_one_grant(kept: str) -> None:
    other = {"money": "voucher", "voucher": "money"}[kept]
    life, offered = offering()
    granted = [life.on(answer(offered, choice)).settles for choice in (kept, other, kept)]
    assert [bool(settles) for settles in granted] == [True, False, False]
    assert life.entity("offer", name(offered)).values["chosen"] == kept
