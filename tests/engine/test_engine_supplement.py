"""Versions that reach back: the difference is granted, once, and nothing is taken back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import Life, instant, micros
from support import booked, cancelled, draft, event, ils, policy_set, refund

from policyengine.domain.decision import Decision, Outcome, Ref, Remedy, Settled, Verdict, decision_id
from policyengine.domain.earlier import earlier_facts
from policyengine.domain.money import Money
from policyengine.domain.world import World
from policyengine.engine.difference import Had, beyond
from policyengine.engine.supplement import retroactive_versions, supplement, takes_effect

B1 = Ref("booking", "b1")


def version(number: int, since: str, until: str | None, *rules: dict[str, Any], **keys: Any) -> str:
    """A version of policy `p` that governs from a day to before another."""
    effective = {"from": since} if until is None else {"from": since, "until": until}
    return draft("p", *rules, version=number, effective=effective, **keys)


def reaching(*rules: dict[str, Any], **keys: Any) -> str:
    """Version 2, of May, which reaches back to March."""
    return version(2, "2020-05-01", None, *rules, retroactive={"from": "2020-03-01"}, **keys)


def first(*rules: dict[str, Any], **keys: Any) -> str:
    """Version 1, until May."""
    return version(1, "2020-01-01", "2020-05-01", *rules, **keys)


def voucher(months: int, amount: str = "booking.paid", **keys: Any) -> dict[str, Any]:
    grant = {"kind": "voucher", "amount": amount, "valid_until": f"add_months(date_of(event.time), {months})"}
    return {"id": "voucher", "on": "booking.cancelled", "grant": [grant], **keys}


def grants(kind: str, rule: str = "r", **fields: Any) -> dict[str, Any]:
    return {"id": rule, "on": "booking.cancelled", "grant": [{"kind": kind, **fields}]}


def lived(*texts: str, at: str = "2020-03-02T10:00:00Z", **data: Any) -> tuple[Life, Decision]:
    """A booking that was cancelled, and what was decided then."""
    life = Life(*texts)
    life.on(booked(**data))
    return life, life.on(cancelled(at=at))


def added(*texts: str, **data: Any) -> list[Decision]:
    life, _ = lived(*texts, **data)
    return life.reach_back()


def summary(decisions: list[Decision]) -> list[list[tuple[str, str]]]:
    return [[(one.kind, str(one.amount)) for one in decision.remedies] for decision in decisions]


class TestItalianVouchers:
    """D.L. 18/2020, art. 88-bis: a voucher of a year, then 18, 24 and 30 months, also for those issued."""

    versions = (
        version(1, "2020-03-01", "2020-07-01", voucher(12), timezone="Europe/Rome"),
        *(
            version(
                number, since, until, voucher(months, say={"en": "{amount} until {valid_until}"}),
                retroactive={"from": "2020-03-01"}, timezone="Europe/Rome",
            )
            for number, since, until, months in (
                (2, "2020-07-01", "2021-03-23", 18),
                (3, "2021-03-23", "2022-02-28", 24),
                (4, "2022-02-28", None, 30),
            )
        ),
    )  # fmt: skip

    def test_each_amendment_gives_a_later_day_and_no_second_voucher(self) -> None:
        life, decision = lived(*self.versions)
        assert [(str(one.amount), str(one.values["valid_until"])) for one in decision.remedies] == [
            ("100.00 ILS", "2021-03-02")
        ]
        supplements = life.reach_back()
        assert [
            (one.remedies[0].version, str(one.remedies[0].amount), str(one.remedies[0].values["valid_until"]))
            for one in supplements
        ] == [
            (2, "0.00 ILS", "2021-09-02"),  # 2 March 2020 + 18 months
            (3, "0.00 ILS", "2022-03-02"),  # + 24
            (4, "0.00 ILS", "2022-09-02"),  # + 30
        ]
        assert {one.supplements for one in supplements} == {decision.decision_id}
        assert [one.decision_id for one in supplements] == [
            decision_id("test", cancelled()["id"], B1, f"p@{number}") for number in (2, 3, 4)
        ]
        assert {(one.outcome, one.time) for one in supplements} == {(Outcome.GRANTED, decision.time)}
        assert earlier_facts(life.state, B1)["earlier.amount"] == Money(100_00, "ILS")

    def test_the_words_tell_the_whole_voucher(self) -> None:
        life, _ = lived(*self.versions)
        assert life.reach_back()[0].messages == {"en": "₪100.00 until September 2, 2021"}

    def test_the_voucher_ends_once_on_its_last_day_of_all(self) -> None:
        life, decision = lived(*self.versions)
        life.reach_back()
        assert {name: timer.due for name, timer in life.timers.items()} == {
            # 3 September 2022, midnight in Rome, +02:00
            f"{decision.decision_id}/p/voucher/ended0": micros("2022-09-02T22:00:00Z")
        }

    def test_a_second_time_there_is_nothing_left_to_give(self) -> None:
        life, _ = lived(*self.versions)
        assert len(life.reach_back()) == 3
        assert life.reach_back() == []

    def test_what_was_decided_under_the_last_version_needs_none(self) -> None:
        assert added(*self.versions, at="2022-03-01T10:00:00Z", starts_on="2022-05-01") == []


class TestTheDifference:
    def test_in_money(self) -> None:
        texts = (
            first(refund("percent(booking.paid, 60)")),
            reaching({**refund("percent(booking.paid, 85)"), "say": {"en": "{amount} more"}}),
        )
        (decision,) = added(*texts)
        assert summary([decision]) == [[("refund", "25.00 ILS")]]  # 85 - 60
        assert decision.messages == {"en": "₪25.00 more"}

    def test_of_less_money_is_nothing(self) -> None:
        assert added(first(refund("booking.paid")), reaching(refund("percent(booking.paid, 85)"))) == []

    def test_in_money_and_in_time_is_one_remedy(self) -> None:
        (decision,) = added(first(voucher(12)), reaching(voucher(18, "percent(booking.paid, 110)")))
        (remedy,) = decision.remedies
        assert (str(remedy.amount), str(remedy.values["valid_until"])) == ("10.00 ILS", "2021-09-02")

    def test_in_points(self) -> None:
        texts = (first(grants("points.bonus", points=100)), reaching(grants("points.bonus", points=150)))
        (decision,) = added(*texts)
        assert decision.remedies[0].values["points"] == 50

    def test_in_days(self) -> None:
        texts = (
            first(grants("points.extend", until="2020-12-31")),
            reaching(grants("points.extend", until="2021-06-30")),
        )
        (decision,) = added(*texts)
        assert [(one.kind, str(one.values["until"])) for one in decision.remedies] == [
            ("points.extend", "2021-06-30")
        ]
        texts = (
            first(grants("points.extend", until="2020-12-31")),
            reaching(grants("points.extend", until="2020-06-30")),
        )
        assert added(*texts) == []

    def test_a_voucher_without_end_outlasts_one_with_an_end(self) -> None:
        endless = grants("voucher", rule="voucher", amount="booking.paid")
        (decision,) = added(first(voucher(12)), reaching(endless))
        assert "valid_until" not in decision.remedies[0].values
        assert added(first(endless), reaching(voucher(30))) == []

    def test_of_one_kind_of_money_against_another(self) -> None:
        texts = (first(voucher(12)), reaching(refund("percent(booking.paid, 120)")))
        assert summary(added(*texts)) == [[("refund", "20.00 ILS")]]  # 120 - a voucher of 100
        assert added(first(voucher(12)), reaching(refund("booking.paid"))) == []

    def test_of_something_new_is_all_of_it(self) -> None:
        more = {**refund("booking.paid"), "grant": [
            {"kind": "refund", "amount": "booking.paid"}, {"kind": "gesture", "gift": "flowers"}
        ]}  # fmt: skip
        assert summary(added(first(refund("booking.paid")), reaching(more))) == [[("gesture", "None")]]

    def test_in_words_and_counts_alone_is_no_reason_to_come_back(self) -> None:
        more = {**refund("booking.paid"), "grant": [
            {"kind": "refund", "amount": "booking.paid"}, {"kind": "signal", "name": "seen"}
        ]}  # fmt: skip
        assert added(first(refund("booking.paid")), reaching(more)) == []

    def test_in_two_currencies_is_an_error_that_grants_nothing(self) -> None:
        assert added(first(refund("booking.paid")), reaching(refund('money("200 EUR")'))) == []

    def test_what_other_policies_granted_is_their_own(self) -> None:
        other = draft("other", refund("booking.paid"))
        texts = (
            other,
            first(refund("percent(booking.paid, 10)")),
            reaching(refund("percent(booking.paid, 15)")),
        )
        assert summary(added(*texts)) == [[("refund", "5.00 ILS")]]  # 15 - 10

    def test_a_rule_that_adds_nothing_says_nothing_and_why(self) -> None:
        silent = {**grants("gesture", rule="silent", gift="flowers"), "say": {"en": "Flowers"}}
        texts = (
            first(refund("percent(booking.paid, 10)"), silent),
            reaching({**refund("booking.paid"), "say": {"en": "More"}}, silent),
        )
        (decision,) = added(*texts)
        assert decision.messages == {"en": "More"}
        (trace,) = [one for one in decision.trace if one.rule == "silent"]
        assert trace.verdict is Verdict.BEFORE


DENY = {"id": "no", "on": "booking.cancelled", "deny": {"reason": "too late"}}


class TestDenials:
    def test_a_denial_is_overtaken_by_a_better_version(self) -> None:
        life, denied = lived(first(DENY), reaching(refund("booking.paid")))
        assert denied.outcome is Outcome.DENIED
        (decision,) = life.reach_back()
        assert summary([decision]) == [[("refund", "100.00 ILS")]]
        assert decision.supplements == denied.decision_id
        assert earlier_facts(life.state, B1)["earlier.denied_by"] == ("p",)

    def test_a_version_that_denies_takes_nothing_back(self) -> None:
        life, _ = lived(first(refund("booking.paid")), reaching(DENY))
        before = earlier_facts(life.state, B1)
        assert life.reach_back() == []
        assert earlier_facts(life.state, B1) == before


class TestReach:
    def test_is_from_the_day_named_to_where_the_version_ends(self) -> None:
        texts = (first(refund("percent(booking.paid, 60)")), reaching(refund("booking.paid")))
        assert added(*texts, at="2020-02-29T23:59:59Z") == []
        assert summary(added(*texts, at="2020-03-01T00:00:00Z")) == [[("refund", "40.00 ILS")]]
        bounded = version(
            2, "2020-05-01", "2020-06-01", refund("booking.paid"), retroactive={"from": "2020-03-01"}
        )
        later = version(3, "2020-06-01", None, refund("percent(booking.paid, 70)"))
        assert added(texts[0], bounded, later, at="2020-06-01T00:00:00Z") == []

    def test_is_by_the_anchor_of_the_version(self) -> None:
        by = {"by": "booking.starts_on"}
        old = draft(
            "p",
            refund("percent(booking.paid, 60)"),
            effective={"from": "2020-01-01", "until": "2020-05-01", **by},
        )
        new = draft(
            "p", refund("booking.paid"), version=2, effective={"from": "2020-05-01", **by},
            retroactive={"from": "2020-04-01"},
        )  # fmt: skip
        assert summary(added(old, new, starts_on="2020-04-01")) == [[("refund", "40.00 ILS")]]
        assert added(old, new, starts_on="2020-03-31") == []

    def test_takes_effect_when_announced_else_when_it_begins(self) -> None:
        texts = (
            reaching(refund("booking.paid"), announced="2020-05-10", timezone="Europe/Rome"),
            draft(
                "a",
                refund("booking.paid"),
                effective={"from": "2020-03-10"},
                retroactive={"from": "2020-03-01"},
            ),
            draft("b", refund("booking.paid")),
        )
        found = retroactive_versions(policy_set(*texts).ruleset)
        assert [(one.id, takes_effect(one)) for one in found] == [
            ("a", instant("2020-03-10T00:00:00Z")),
            ("p", instant("2020-05-09T22:00:00Z")),  # 10 May, midnight in Rome, +02:00
        ]

    def test_conditions_see_the_customer_as_of_then(self) -> None:
        rule = refund("booking.paid", when=["booking.nights > 3"])
        life, _ = lived(first(refund("percent(booking.paid, 10)")), reaching(rule), nights=2)
        life.on(booked(at="2020-04-01T10:00:00Z", nights=9))  # corrected afterwards
        assert life.reach_back() == []

    def test_shadow_rules_reach_nobody(self) -> None:
        assert added(first(DENY), reaching(refund("booking.paid", shadow=True))) == []

    def test_every_entity_that_rules_are_for_is_looked_at(self) -> None:
        rule = {
            **grants("credit", amount="subscription.monthly_fee"),
            "on": "isolation.started",
            "for": "subscription",
        }
        less = {**rule, "grant": [{"kind": "credit", "amount": "percent(subscription.monthly_fee, 50)"}]}
        life = Life(first(less), reaching(rule))
        for key, fee in (("s1", "10.00"), ("s2", "30.00")):
            data = {"subscription_id": key, "kind": "gym", "monthly_fee": ils(fee)}
            life.on(event("subscription.started", "2020-01-05T10:00:00Z", **data))
        data = {"isolation_id": "i1", "isolated_from": "2020-03-01", "isolated_until": "2020-03-14"}
        life.all_on(event("isolation.started", "2020-03-02T10:00:00Z", **data))
        made = life.reach_back()
        assert [(one.entity, str(one.remedies[0].amount)) for one in made] == [
            (Ref("subscription", "s1"), "5.00 ILS"),  # 10 - 5
            (Ref("subscription", "s2"), "15.00 ILS"),  # 30 - 15
        ]


class TestCaps:
    def test_what_is_supplemented_and_its_supplement_count_once(self) -> None:
        cap = {"count": 2}
        life = Life(first(voucher(12), cap=cap), reaching(voucher(18), cap=cap))
        for key in ("b1", "b2"):
            life.on(booked(key))
            life.on(cancelled(key))
        assert len(life.reach_back()) == 2
        life.on(booked("b3"))
        assert life.on(cancelled("b3", at="2020-06-01T10:00:00Z")).remedies == ()

    def test_money_is_held_to_what_is_left_today(self) -> None:
        cap = {"amount": "150 ILS"}
        life = Life(
            first(refund("percent(booking.paid, 60)"), cap=cap), reaching(refund("booking.paid"), cap=cap)
        )
        for key in ("b1", "b2"):
            life.on(booked(key))
            life.on(cancelled(key))
        # 60 + 60 were granted, 30 are left: b1 may come to 150 - 60 = 90, b2 to 150 - 90 = 60
        assert summary(life.reach_back()) == [[("refund", "30.00 ILS")]]


class TestOffers:
    @staticmethod
    def offer(percent: int, months: int = 12, **keys: Any) -> dict[str, Any]:
        alternatives = [
            {"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
            {"id": "voucher", "grant": voucher(months, f"percent(booking.paid, {percent})")["grant"]},
        ]
        say = {"say": {"en": "Choose"}}
        return {
            "id": "choose",
            "on": "booking.cancelled",
            "offer": {"alternatives": alternatives, **keys},
            **say,
        }

    def test_of_what_was_chosen_the_same_alternative_is_compared(self) -> None:
        life, offered = lived(first(self.offer(110)), reaching(self.offer(120, 18)))
        life.on(
            event(
                "remedy.chosen",
                "2020-03-05T10:00:00Z",
                decision_id=offered.decision_id,
                alternative="voucher",
            )
        )
        (decision,) = life.reach_back()
        (remedy,) = decision.remedies
        assert (str(remedy.amount), str(remedy.values["valid_until"])) == (
            "10.00 ILS",
            "2021-09-02",
        )  # 120 - 110
        # the chosen voucher's own end is moved: 2 September 2021 is its last day
        assert life.timers[f"{offered.decision_id}/p/choose/ended0"].due == micros("2021-09-03T00:00:00Z")
        assert life.reach_back() == []

    def test_what_adds_to_a_choice_has_its_title_for_words_where_the_offers_do_not_fit(self) -> None:
        def choose(percent: int) -> dict[str, Any]:
            rule = self.offer(percent, default="money", deadline="2020-12-31")
            rule["offer"]["alternatives"][1]["title"] = {"en": "A voucher"}
            return {**rule, "say": {"en": "Choose by {deadline}"}}

        life, offered = lived(first(choose(110)), reaching(choose(120)))
        answer = {"decision_id": offered.decision_id, "alternative": "voucher"}
        life.on(event("remedy.chosen", "2020-03-05T10:00:00Z", **answer))
        (decision,) = life.reach_back()
        assert decision.messages == {"en": "A voucher"}  # there is no deadline any more

    def test_an_open_offer_makes_room_for_a_better_one_with_a_word(self) -> None:
        dated = {"default": "money", "deadline": "2020-12-31"}
        life, offered = lived(first(self.offer(110, **dated)), reaching(self.offer(120, **dated)))
        (decision,) = life.reach_back()
        old, new = (f"{one.decision_id}/p/choose" for one in (offered, decision))
        assert decision.outcome is Outcome.OFFERED
        assert decision.settles == (Settled(old, None, "rule"),)
        assert decision.messages == {"en": "Choose"}
        assert sorted(life.timers) == [new]
        assert life.entity("offer", old).values["status"] == "withdrawn"
        assert life.reach_back() == []

    def test_an_open_offer_stays_where_the_new_one_is_worse_in_anything(self) -> None:
        life, offered = lived(first(self.offer(110, 18)), reaching(self.offer(120, 12)))
        assert life.reach_back() == []
        assert life.entity("offer", f"{offered.decision_id}/p/choose").values["status"] == "open"

    def test_a_grant_is_not_exchanged_for_an_offer(self) -> None:
        assert added(first(refund("booking.paid")), reaching(self.offer(120))) == []

    def test_who_got_nothing_is_offered_the_choice(self) -> None:
        life, _ = lived(first(DENY), reaching(self.offer(120)))
        assert [one.outcome for one in life.reach_back()] == [Outcome.OFFERED]

    def test_an_offer_that_would_be_over_already_gives_its_days_from_when_it_is_made(self) -> None:
        dated = {"default": "money", "deadline": "add_days(date_of(event.time), 30)"}
        life, _ = lived(first(DENY), reaching(self.offer(120, **dated)))  # cancelled on 2 March
        life.world = World(now=micros("2020-05-01T00:00:00Z"))  # 2 March + 30 days is 1 April: over
        (decision,) = life.reach_back()
        assert [str(one.deadline) for one in decision.offers] == ["2020-05-31"]  # 1 May + 30 days
        assert [timer.to_json()["at"] for timer in decision.timers] == ["2020-06-01T00:00:00Z"]
        assert [trace.because for trace in decision.trace] == [
            "2020-04-01 was over when the offer was made: 30 days from then on"
        ]

    def test_an_offer_that_is_not_over_keeps_its_day(self) -> None:
        dated = {"default": "money", "deadline": "add_days(date_of(event.time), 60)"}
        life, _ = lived(first(DENY), reaching(self.offer(120, **dated)))
        life.world = World(now=micros("2020-05-01T23:59:00Z"))  # 2 March + 60 days is 1 May: until midnight
        (decision,) = life.reach_back()
        assert [str(one.deadline) for one in decision.offers] == ["2020-05-01"]


LATER = {"follow_up": [{"at": "2020-12-01", "event": "booking.completed"}]}


class TestFollowUps:
    def test_are_set_where_the_policy_had_given_nothing(self) -> None:
        life, _ = lived(first(DENY), reaching({**refund("booking.paid"), **LATER}))
        assert [timer.event for one in life.reach_back() for timer in one.timers] == ["booking.completed"]

    def test_are_not_set_a_second_time(self) -> None:
        texts = (
            first({**refund("percent(booking.paid, 10)"), **LATER}),
            reaching({**refund("booking.paid"), **LATER}),
        )
        (decision,) = added(*texts)
        assert decision.timers == ()


@pytest.mark.parametrize("documents", [0, 1])
def test_without_an_earlier_decision_nothing_is_supplemented_but_granted(documents: int) -> None:
    life, decision = lived(reaching(refund("booking.paid")))
    event_, then, granted = life.past[-1]
    (version_,) = retroactive_versions(life.ruleset)
    (made,) = supplement(
        life.ruleset, version_, then, life.state, world=life.world, event=event_, granted=granted[:documents]
    )
    assert made.supplements == (decision.decision_id if documents else None)


WORTH = st.builds(
    lambda kind, minor: Remedy(kind, {"amount": Money(minor, "ILS")}, "p", 1, "r", "goodwill"),
    st.sampled_from(["refund", "credit", "voucher", "compensation"]),
    st.integers(0, 1000),
)


def total(remedies: list[Remedy]) -> int:
    return sum(one.amount.minor for one in remedies if one.amount is not None)


@given(st.lists(WORTH, max_size=5), st.lists(WORTH, max_size=5))
@settings(max_examples=300, deadline=None)
def test_together_with_what_was_had_it_is_worth_the_better_of_both(
    old: list[Remedy], new: list[Remedy]
) -> None:
    more = [one.granted for one in beyond(new, map(Had, old)) if one is not None]
    assert total(old) + total(more) == max(total(old), total(new))
    assert all(one.amount is not None and one.amount.minor >= 0 for one in more)
    again = [one.granted for one in beyond(new, map(Had, [*old, *more])) if one is not None]
    assert total(again) == 0  # once is enough
