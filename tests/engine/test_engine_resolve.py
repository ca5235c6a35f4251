"""Which claims stand: caps, denials, exclusive groups, statutory floors."""

from __future__ import annotations

from typing import Any

import pytest
from support import booked, cancelled, decide_all, draft, event, ils, last, policy_set, refund

from policyengine.domain.decision import Decision, Outcome, RuleTrace, Verdict
from policyengine.domain.money import MAX_EXACT
from policyengine.service.policy_sets import PolicySet


def amounts(decision: Decision) -> list[str]:
    return [f"{remedy.kind} {remedy.amount}" for remedy in decision.remedies]


def traced(decision: Decision, policy: str, rule: str = "r") -> RuleTrace:
    (trace,) = [one for one in decision.trace if (one.policy, one.rule) == (policy, rule)]
    return trace


def verdicts(decision: Decision) -> dict[str, str]:
    return {f"{one.policy}/{one.rule}": one.verdict.value for one in decision.trace}


def gives(kind: str, amount: str, rule: str = "r", **keys: Any) -> dict[str, Any]:
    return {"id": rule, "on": "booking.cancelled", "grant": [{"kind": kind, "amount": amount}], **keys}


def granted(prepared: PolicySet, *times: str, key: str = "b1", **booking: Any) -> list[list[str]]:
    """What each of several cancellations of one booking grants."""
    events = [cancelled(key, at) for at in times]
    answers = decide_all(prepared, booked(key, "2019-01-01T00:00:00Z", **booking), *events)
    return [amounts(decision) for (decision,) in answers[1:]]


ONE = refund('money("1 ILS")')
YES, NO = ["refund 1.00 ILS"], list[str]()


class TestCapsByCount:
    def test_a_cap_of_two_is_used_up_by_two_grants_for_ever(self) -> None:
        prepared = policy_set(draft("p", ONE, cap={"count": 2}))
        assert granted(prepared, "2020-01-01T00:00:00Z", "2020-06-01T00:00:00Z", "2029-01-01T00:00:00Z") == [
            YES, YES, NO,
        ]  # fmt: skip

    def test_the_trace_names_the_cap(self) -> None:
        prepared = policy_set(draft("p", ONE, cap={"count": 1, "period": "year"}))
        answers = decide_all(
            prepared, booked(), cancelled(at="2020-03-01T00:00:00Z"), cancelled(at="2020-03-02T00:00:00Z")
        )
        (decision,) = answers[-1]
        assert decision.outcome is Outcome.NONE
        assert (traced(decision, "p").verdict, traced(decision, "p").because) == (
            Verdict.CAP,
            "the cap of 1 per customer and year is used up",
        )

    @pytest.mark.parametrize(
        ("period", "times", "expected"),
        [
            # midnights in Jerusalem: 22:00 UTC in winter, 21:00 UTC in summer
            ("year", ["2020-12-31T21:59:59Z", "2020-12-31T22:00:00Z"], [YES, YES]),
            ("year", ["2020-01-01T00:00:00Z", "2020-12-31T21:59:59Z"], [YES, NO]),
            ("month", ["2020-06-30T20:59:59Z", "2020-06-30T21:00:00Z"], [YES, YES]),
            ("month", ["2020-05-31T21:00:00Z", "2020-06-30T20:59:59Z"], [YES, NO]),
            # 2020-03-01 is a Sunday, the week begins on Monday the 2nd
            ("week", ["2020-03-01T21:59:59Z", "2020-03-01T22:00:00Z"], [YES, YES]),
            ("week", ["2020-03-01T22:00:00Z", "2020-03-08T21:59:59Z"], [YES, NO]),
            ("day", ["2020-03-01T21:59:59Z", "2020-03-01T22:00:00Z"], [YES, YES]),
            ("day", ["2020-03-01T22:00:00Z", "2020-03-02T21:59:59Z"], [YES, NO]),
            # the day of the change to summer time has 23 hours
            ("day", ["2020-03-26T22:00:00Z", "2020-03-27T20:59:59Z"], [YES, NO]),
            ("day", ["2020-03-26T22:00:00Z", "2020-03-27T21:00:00Z"], [YES, YES]),
            # rolling: exactly 30 days later the first no longer counts, a microsecond before it does
            ("30 days", ["2020-03-01T12:00:00Z", "2020-03-31T11:59:59.999999Z"], [YES, NO]),
            ("30 days", ["2020-03-01T12:00:00Z", "2020-03-31T12:00:00Z"], [YES, YES]),
            ("1 days", ["2020-03-01T12:00:00Z", "2020-03-02T12:00:00Z"], [YES, YES]),
        ],
    )
    def test_a_period_begins_anew_at_its_exact_boundary(
        self, period: str, times: list[str], expected: list[list[str]]
    ) -> None:
        text = draft("p", ONE, cap={"count": 1, "period": period}, timezone="Asia/Jerusalem")
        assert granted(policy_set(text), *times) == expected

    def test_a_late_event_counts_in_the_period_of_its_own_time(self) -> None:
        prepared = policy_set(draft("p", ONE, cap={"count": 1, "period": "year"}))
        # the grant of 2021 was decided first; 2020 is still free, and then used up
        times = ("2021-02-01T00:00:00Z", "2020-02-01T00:00:00Z", "2020-03-01T00:00:00Z")
        assert granted(prepared, *times) == [YES, YES, NO]

    @pytest.mark.parametrize(
        ("late", "expected"),
        [("2020-01-11T00:00:00.000001Z", NO), ("2020-01-11T00:00:00Z", YES)],
    )
    def test_no_thirty_days_hold_more_than_the_cap_whatever_arrives_first(
        self, late: str, expected: list[str]
    ) -> None:
        # 10 February was decided first; 30 days before it is 11 January
        prepared = policy_set(draft("p", ONE, cap={"count": 1, "period": "30 days"}))
        assert granted(prepared, "2020-02-10T00:00:00Z", late) == [YES, expected]

    def test_a_late_event_between_two_that_are_far_apart_is_counted_with_each_alone(self) -> None:
        # of 1 March, 31 March and 16 March, no 30 days hold three: [1, 31) and [2, 1 April) hold two
        prepared = policy_set(draft("p", ONE, cap={"count": 2, "period": "30 days"}))
        times = ("2020-03-01T00:00:00Z", "2020-03-31T00:00:00Z", "2020-03-16T00:00:00Z")
        assert granted(prepared, *times) == [YES, YES, YES]

    def test_per_entity_each_booking_has_a_cap_of_its_own(self) -> None:
        for per, second in (("entity", YES), ("customer", NO)):
            prepared = policy_set(draft("p", ONE, cap={"count": 1, "per": per}))
            answers = decide_all(
                prepared, booked("b1"), booked("b2"),
                cancelled("b1", "2020-03-01T00:00:00Z"), cancelled("b2", "2020-03-02T00:00:00Z"),
                cancelled("b1", "2020-03-03T00:00:00Z"),
            )  # fmt: skip
            assert [amounts(one) for (one,) in answers[2:]] == [YES, second, NO]

    def test_another_customers_grants_do_not_count(self) -> None:
        prepared = policy_set(draft("p", ONE, cap={"count": 1}))
        theirs = [booked("b1"), cancelled("b1")]
        ours = [{**one, "subject": "c2", "id": f"c2-{one['id']}"[:512]} for one in theirs]
        answers = decide_all(prepared, *theirs, *ours)
        assert [amounts(one) for (one,) in answers] == [NO, YES, NO, YES]

    def test_a_policys_cap_counts_over_its_versions(self) -> None:
        one = draft("p", ONE, cap={"count": 1}, effective={"from": "2020-01-01", "until": "2020-07-01"})
        two = draft("p", ONE, cap={"count": 1}, version=2, effective={"from": "2020-07-01"})
        assert granted(policy_set(one, two), "2020-06-01T00:00:00Z", "2020-08-01T00:00:00Z") == [YES, NO]

    def test_a_policys_cap_counts_over_its_rules_and_within_one_decision(self) -> None:
        text = draft("p", refund('money("1 ILS")', "a"), refund('money("2 ILS")', "b"), cap={"count": 1})
        decision = last(policy_set(text), booked(), cancelled())
        assert amounts(decision) == ["refund 1.00 ILS"]
        assert verdicts(decision) == {"p/a": "applied", "p/b": "cap"}

    def test_within_one_decision_the_higher_priority_takes_what_is_left(self) -> None:
        rules = refund('money("1 ILS")', "a"), refund('money("2 ILS")', "b", priority=1)
        decision = last(policy_set(draft("p", *rules, cap={"count": 1})), booked(), cancelled())
        assert verdicts(decision) == {"p/a": "cap", "p/b": "applied"}

    def test_a_rules_cap_counts_that_rule_alone(self) -> None:
        text = draft("p", refund('money("1 ILS")', "a", cap={"count": 1}), refund('money("2 ILS")', "b"))
        times = ("2020-03-01T00:00:00Z", "2020-03-02T00:00:00Z")
        assert granted(policy_set(text), *times) == [
            ["refund 1.00 ILS", "refund 2.00 ILS"],
            ["refund 2.00 ILS"],
        ]

    def test_a_grant_of_several_remedies_counts_once(self) -> None:
        rule = {**ONE, "grant": [*ONE["grant"], {"kind": "gesture", "gift": "flowers"}, {"kind": "notify"}]}
        prepared = policy_set(draft("p", rule, cap={"count": 2}))
        times = [f"2020-03-0{day}T00:00:00Z" for day in (1, 2, 3)]
        assert [bool(one) for one in granted(prepared, *times)] == [True, True, False]

    def test_an_offer_counts_as_one(self) -> None:
        offer = {"alternatives": [{"id": "a", "grant": [{"kind": "refund", "amount": "booking.paid"}]}]}
        rule = {"id": "r", "on": "booking.cancelled", "offer": offer}
        answers = decide_all(
            policy_set(draft("p", rule, cap={"count": 1})), booked(),
            cancelled(at="2020-03-01T00:00:00Z"), cancelled(at="2020-03-02T00:00:00Z"),
        )  # fmt: skip
        assert [one.outcome for (one,) in answers[1:]] == [Outcome.OFFERED, Outcome.NONE]

    def test_the_entities_of_one_event_share_the_customers_cap(self) -> None:
        rule = {**ONE, "for": "booking"}
        answers = decide_all(
            policy_set(draft("p", rule, cap={"count": 1})), booked("a"), booked("b"), cancelled("b")
        )
        assert [amounts(one) for one in answers[-1]] == [YES, NO]  # the event's own goes first

    def test_a_capped_rule_makes_room_for_the_next_of_its_group(self) -> None:
        group = {"group": "g", "choose": "best"}
        rich = draft("rich", refund('money("9 ILS")', exclusive=group, cap={"count": 1}))
        poor = draft("poor", refund('money("1 ILS")', exclusive=group))
        assert granted(policy_set(rich, poor), "2020-03-01T00:00:00Z", "2020-03-02T00:00:00Z") == [
            ["refund 9.00 ILS"],
            ["refund 1.00 ILS"],
        ]


class TestCapsByAmount:
    def test_the_last_grant_is_reduced_to_what_is_left(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid"), cap={"amount": "250 ILS"}))
        times = [f"2020-03-0{day}T00:00:00Z" for day in (1, 2, 3, 4)]
        # 100 + 100 + 50 = 250
        assert granted(prepared, *times) == [
            ["refund 100.00 ILS"], ["refund 100.00 ILS"], ["refund 50.00 ILS"], [],
        ]  # fmt: skip

    def test_a_reduced_grant_says_so_in_trace_and_words(self) -> None:
        rule = refund("booking.paid", say={"en": "{amount}"})
        decision = last(
            policy_set(draft("p", rule, cap={"amount": "30.50 ILS", "period": "month"})),
            booked(),
            cancelled(),
        )
        assert decision.messages == {"en": "₪30.50"}
        assert traced(decision, "p").because == (
            "reduced to 30.50 ILS: the cap of 30.50 ILS per customer and month"
        )

    def test_the_last_remedies_of_a_rule_are_reduced_first(self) -> None:
        rule = {"id": "r", "on": "booking.cancelled", "grant": [
            {"kind": "refund", "amount": 'money("60 ILS")'},
            {"kind": "gesture", "gift": "flowers"},
            {"kind": "credit", "amount": 'money("30 ILS")'},
            {"kind": "voucher", "amount": 'money("20 ILS")'},
        ]}  # fmt: skip
        decision = last(policy_set(draft("p", rule, cap={"amount": "75 ILS"})), booked(), cancelled())
        # 110 - 75 = 35 too much: the voucher of 20 goes, the credit loses 15
        assert amounts(decision) == ["refund 60.00 ILS", "gesture None", "credit 15.00 ILS"]

    def test_what_the_limit_does_not_reduce_does_not_use_it_up(self) -> None:
        rule = {"id": "r", "on": "booking.cancelled", "grant": [
            {"kind": "waive_fee", "fee": "change", "amount": 'money("40 ILS")'},
            {"kind": "credit", "amount": 'money("80 ILS")'},
        ]}  # fmt: skip
        prepared = policy_set(draft("p", rule, cap={"amount": "100 ILS"}))
        # 80 are paid, so 20 are left; a fee that nobody charges is no payment
        assert granted(prepared, "2020-03-01T00:00:00Z", "2020-03-02T00:00:00Z") == [
            ["waive_fee 40.00 ILS", "credit 80.00 ILS"],
            ["waive_fee 40.00 ILS", "credit 20.00 ILS"],
        ]

    def test_a_remedy_in_another_currency_than_the_cap_is_an_error(self) -> None:
        decision = last(
            policy_set(draft("p", refund("booking.paid"), cap={"amount": "100 EUR"})), booked(), cancelled()
        )
        assert decision.remedies == ()
        assert traced(decision, "p").verdict is Verdict.ERROR
        assert "PE204" in traced(decision, "p").because

    def test_remedies_in_two_currencies_under_one_cap_are_an_error(self) -> None:
        rule = {"id": "r", "on": "booking.cancelled", "grant": [
            {"kind": "refund", "amount": "booking.paid"}, {"kind": "compensation", "amount": 'money("1 EUR")'},
        ]}  # fmt: skip
        decision = last(policy_set(draft("p", rule, cap={"amount": "100 ILS"})), booked(), cancelled())
        assert (decision.remedies, traced(decision, "p").verdict) == ((), Verdict.ERROR)

    def test_earlier_grants_in_another_currency_are_an_error(self) -> None:
        rule = refund("booking.paid", cap={"amount": "100 ILS"})
        answers = decide_all(
            policy_set(draft("p", refund("booking.paid", "e", when=["booking.nights == 1"]), {**rule, "when": ["booking.nights == 2"]},
                             cap={"amount": "100 ILS"})),
            booked("b1", nights=2), cancelled("b1", "2020-03-01T00:00:00Z"),
            booked("b2", nights=1, paid={"amount": "5", "currency": "EUR"}), cancelled("b2", "2020-03-02T00:00:00Z"),
        )  # fmt: skip
        assert [one.errors != () for (one,) in answers] == [False, False, False, True]

    def test_within_one_decision_the_rules_of_a_policy_share_its_cap(self) -> None:
        text = draft(
            "p", refund('money("70 ILS")', "a"), refund('money("70 ILS")', "b"), cap={"amount": "100 ILS"}
        )
        decision = last(policy_set(text), booked(), cancelled())
        assert amounts(decision) == ["refund 70.00 ILS", "refund 30.00 ILS"]

    def test_two_caps_hold_both(self) -> None:
        text = draft(
            "p", refund("booking.paid", cap={"amount": "80 ILS", "period": "day"}), cap={"amount": "100 ILS"}
        )
        times = ("2020-03-01T00:00:00Z", "2020-03-02T00:00:00Z", "2020-03-03T00:00:00Z")
        assert granted(policy_set(text), *times) == [["refund 80.00 ILS"], ["refund 20.00 ILS"], []]

    def test_a_sum_beyond_the_exact_range_is_an_error(self) -> None:
        huge = f'money("{MAX_EXACT // 100}.00 ILS")'
        rule = {"id": "r", "on": "booking.cancelled", "grant": [
            {"kind": "refund", "amount": huge}, {"kind": "credit", "amount": huge},
        ]}  # fmt: skip
        decision = last(policy_set(draft("p", rule, cap={"amount": "100 ILS"})), booked(), cancelled())
        assert (decision.remedies, traced(decision, "p").verdict) == ((), Verdict.ERROR)
        assert "PE205" in traced(decision, "p").because


def group(choose: str) -> dict[str, str]:
    return {"group": "g", "choose": choose}


class TestExclusiveGroups:
    def test_best_is_the_most_money_for_the_customer_across_policies(self) -> None:
        texts = [
            draft(name, refund(f'money("{much} ILS")', exclusive=group("best")))
            for name, much in (("a", 1), ("b", 3), ("c", 2))
        ]
        decision = last(policy_set(*texts), booked(), cancelled())
        assert verdicts(decision) == {"a/r": "exclusive", "b/r": "applied", "c/r": "exclusive"}
        assert traced(decision, "a").because == "in group g, b/r is worth at least as much"

    def test_best_goes_before_priority(self) -> None:
        poor = draft("a", refund('money("1 ILS")', exclusive=group("best"), priority=9))
        rich = draft("b", refund('money("2 ILS")', exclusive=group("best")))
        assert amounts(last(policy_set(poor, rich), booked(), cancelled())) == ["refund 2.00 ILS"]

    def test_first_is_the_highest_priority_however_little_it_is(self) -> None:
        poor = draft("b", refund('money("1 ILS")', exclusive=group("first"), priority=9))
        rich = draft("a", refund('money("2 ILS")', exclusive=group("first")))
        decision = last(policy_set(poor, rich), booked(), cancelled())
        assert verdicts(decision) == {"a/r": "exclusive", "b/r": "applied"}
        assert traced(decision, "a").because == "in group g, b/r comes first"

    def test_all_lets_every_member_grant(self) -> None:
        texts = [draft(name, refund('money("1 ILS")', exclusive=group("all"))) for name in "ab"]
        assert amounts(last(policy_set(*texts), booked(), cancelled())) == [*YES, *YES]

    @pytest.mark.parametrize("choose", ["first", "best"])
    def test_a_tie_goes_to_the_policy_then_the_rule_that_comes_first_by_name(self, choose: str) -> None:
        texts = [
            draft("b", refund('money("1 ILS")', "x", exclusive=group(choose))),
            draft(
                "a",
                refund('money("1 ILS")', "z", exclusive=group(choose)),
                refund('money("1 ILS")', "y", exclusive=group(choose)),
            ),
        ]
        decision = last(policy_set(*texts), booked(), cancelled())
        assert verdicts(decision) == {"a/y": "applied", "a/z": "exclusive", "b/x": "exclusive"}

    def test_of_money_and_a_voucher_of_the_same_worth_money_is_better(self) -> None:
        voucher = draft("a", gives("voucher", "booking.paid", exclusive=group("best"), priority=9))
        money = draft("b", gives("refund", "booking.paid", exclusive=group("best")))
        assert amounts(last(policy_set(voucher, money), booked(), cancelled())) == ["refund 100.00 ILS"]

    def test_an_offer_is_worth_its_best_alternative(self) -> None:
        offer = {"alternatives": [
            {"id": "low", "grant": [{"kind": "refund", "amount": 'money("5 ILS")'}]},
            {"id": "high", "grant": [{"kind": "voucher", "amount": 'money("20 ILS")'}]},
        ]}  # fmt: skip
        texts = [
            draft("a", refund('money("10 ILS")', exclusive=group("best"))),
            draft("b", {"id": "r", "on": "booking.cancelled", "offer": offer, "exclusive": group("best")}),
        ]
        assert verdicts(last(policy_set(*texts), booked(), cancelled())) == {
            "a/r": "exclusive",
            "b/r": "applied",
        }

    def test_a_rule_that_failed_is_no_rival(self) -> None:
        rich = draft("a", refund('money("9 ILS")', exclusive=group("best"), when=["booking.nights * 1 > 2"]))
        poor = draft("b", refund('money("1 ILS")', exclusive=group("best")))
        decision = last(policy_set(rich, poor), booked(nights=1), cancelled())
        assert verdicts(decision) == {"a/r": "condition", "b/r": "applied"}

    def test_two_currencies_cannot_be_compared_so_nobody_wins_by_a_number(self) -> None:
        texts = [
            draft("a", refund('money("1 ILS")', exclusive=group("best"))),
            draft("b", refund('money("1 EUR")', exclusive=group("best"))),
        ]
        decision = last(policy_set(*texts), booked(), cancelled())
        assert decision.remedies == ()
        assert verdicts(decision) == {"a/r": "error", "b/r": "error"}
        assert traced(decision, "a").because == "PE204 group g has EUR and ILS, which cannot be compared"

    def test_what_the_law_owes_is_paid_even_then(self) -> None:
        texts = [
            draft("law", refund('money("1 EUR")', exclusive=group("best")), basis="statutory"),
            draft("kind", refund('money("1 ILS")', exclusive=group("best"))),
        ]
        decision = last(policy_set(*texts), booked(), cancelled())
        assert amounts(decision) == ["refund 1.00 EUR"]
        assert verdicts(decision) == {"kind/r": "error", "law/r": "applied"}

    def test_a_worth_beyond_the_exact_range_is_an_error(self) -> None:
        huge = f'money("{MAX_EXACT // 100}.00 ILS")'
        grant = [{"kind": "refund", "amount": huge}, {"kind": "credit", "amount": huge}]
        texts = [
            draft("a", {"id": "r", "on": "booking.cancelled", "grant": grant, "exclusive": group("best")}),
            draft("b", refund('money("1 ILS")', exclusive=group("best"))),
        ]
        decision = last(policy_set(*texts), booked(), cancelled())
        assert verdicts(decision) == {"a/r": "error", "b/r": "applied"}
        assert amounts(decision) == YES


class TestFloors:
    def decide(self, law: dict[str, Any], kind: dict[str, Any], choose: str = "best") -> Decision:
        texts = [
            draft("law", {**law, "exclusive": group(choose)}, basis="statutory"),
            draft("kind", {**kind, "exclusive": group(choose)}),
        ]
        return last(policy_set(*texts), booked(), cancelled())

    @pytest.mark.parametrize("choose", ["best", "first"])
    def test_goodwill_tops_up_what_the_law_gives(self, choose: str) -> None:
        decision = self.decide(refund('money("100 ILS")'), gives("credit", 'money("130 ILS")'), choose)
        # 130 - 100 = 30 on top
        assert amounts(decision) == ["credit 30.00 ILS", "refund 100.00 ILS"]
        assert traced(decision, "kind").because == "on top of 100.00 ILS owed by law under law/r"

    @pytest.mark.parametrize("kind", ["99.99", "100"])
    def test_goodwill_that_is_not_more_stands_back(self, kind: str) -> None:
        decision = self.decide(refund('money("100 ILS")'), gives("credit", f'money("{kind} ILS")'))
        assert amounts(decision) == ["refund 100.00 ILS"]
        assert traced(decision, "kind").verdict is Verdict.FLOOR

    def test_a_voucher_never_takes_the_place_of_statutory_money(self) -> None:
        decision = self.decide(refund('money("100 ILS")'), gives("voucher", 'money("150 ILS")'))
        assert amounts(decision) == ["refund 100.00 ILS"]
        assert traced(decision, "kind").verdict is Verdict.FLOOR

    def test_nor_does_an_offer(self) -> None:
        offer = {"alternatives": [{"id": "a", "grant": [{"kind": "voucher", "amount": 'money("150 ILS")'}]}]}
        decision = self.decide(
            refund('money("100 ILS")'), {"id": "r", "on": "booking.cancelled", "offer": offer}
        )
        assert (amounts(decision), decision.offers) == (["refund 100.00 ILS"], ())
        assert traced(decision, "kind").verdict is Verdict.FLOOR

    def test_what_is_not_money_stays(self) -> None:
        gesture = {"id": "r", "on": "booking.cancelled", "grant": [
            {"kind": "gesture", "gift": "flowers"}, {"kind": "voucher", "amount": 'money("5 ILS")'},
        ]}  # fmt: skip
        decision = self.decide(refund('money("100 ILS")'), gesture)
        assert amounts(decision) == ["gesture None", "refund 100.00 ILS"]
        assert traced(decision, "kind").because == "no voucher in place of what law/r owes"

    def test_where_the_law_owes_no_money_goodwill_is_not_reduced(self) -> None:
        freeze = {"id": "r", "on": "booking.cancelled", "grant": [{"kind": "freeze"}]}
        for kind in ("credit", "voucher"):
            decision = self.decide(freeze, gives(kind, 'money("50 ILS")'))
            assert amounts(decision) == [f"{kind} 50.00 ILS", "freeze None"]

    def test_of_two_laws_the_better_is_the_floor(self) -> None:
        texts = [
            draft("a", refund('money("10 ILS")', exclusive=group("best")), basis="statutory"),
            draft("b", refund('money("20 ILS")', exclusive=group("best")), basis="statutory"),
            draft("c", refund('money("25 ILS")', exclusive=group("best")), basis="contractual"),
        ]
        decision = last(policy_set(*texts), booked(), cancelled())
        assert amounts(decision) == ["refund 20.00 ILS", "refund 5.00 ILS"]  # 25 - 20 on top
        assert verdicts(decision) == {"a/r": "exclusive", "b/r": "applied", "c/r": "applied"}

    def test_without_a_group_both_stand_in_full(self) -> None:
        texts = [
            draft("law", refund('money("10 ILS")'), basis="statutory"),
            draft("kind", refund('money("20 ILS")')),
        ]
        assert amounts(last(policy_set(*texts), booked(), cancelled())) == [
            "refund 20.00 ILS",
            "refund 10.00 ILS",
        ]

    def test_what_goodwill_adds_is_what_counts_towards_its_cap(self) -> None:
        texts = [
            draft("law", refund('money("100 ILS")', exclusive=group("best")), basis="statutory"),
            draft("kind", refund('money("130 ILS")', exclusive=group("best"), cap={"amount": "150 ILS"})),
        ]
        # the 30 on top are spent, 120 are left: 120 - 100 = 20 on top, then 100 left: nothing
        times = [f"2020-03-0{day}T00:00:00Z" for day in (1, 2, 3)]
        assert granted(policy_set(*texts), *times) == [
            ["refund 30.00 ILS", "refund 100.00 ILS"],
            ["refund 20.00 ILS", "refund 100.00 ILS"],
            ["refund 100.00 ILS"],
        ]


def denial(rule: str = "no", **keys: Any) -> dict[str, Any]:
    return {"id": rule, "on": "booking.cancelled", "deny": {"reason": "too late"}, **keys}


class TestDenials:
    def test_a_denial_beats_the_grants_of_its_policy(self) -> None:
        decision = last(policy_set(draft("p", ONE, denial())), booked(), cancelled())
        assert (decision.outcome, decision.remedies) == (Outcome.DENIED, ())
        assert [one.reason for one in decision.denials] == ["too late"]
        assert (traced(decision, "p").verdict, traced(decision, "p").because) == (
            Verdict.PRIORITY,
            "denied by p/no",
        )

    @pytest.mark.parametrize(
        ("priority", "outcome"), [(-1, Outcome.GRANTED), (0, Outcome.DENIED), (1, Outcome.DENIED)]
    )
    def test_of_equal_priority_the_denial_stands_of_lower_it_falls(
        self, priority: int, outcome: Outcome
    ) -> None:
        decision = last(policy_set(draft("p", ONE, denial(priority=priority))), booked(), cancelled())
        assert decision.outcome is outcome
        assert bool(decision.denials) is (outcome is Outcome.DENIED)

    def test_a_denial_meets_other_policies_only_in_a_group(self) -> None:
        for choose in ("best", "first", "all"):
            apart = last(policy_set(draft("a", ONE), draft("b", denial())), booked(), cancelled())
            assert (amounts(apart), len(apart.denials)) == (YES, 1)
            texts = [
                draft("a", {**ONE, "exclusive": group(choose)}),
                draft("b", denial(exclusive=group(choose))),
            ]
            together = last(policy_set(*texts), booked(), cancelled())
            assert (amounts(together), len(together.denials)) == ([], 1)

    def test_a_denial_never_beats_the_law_unless_it_is_law_itself(self) -> None:
        for basis, expected in (("goodwill", YES), ("contractual", YES), ("statutory", [])):
            texts = [
                draft("law", {**ONE, "exclusive": group("best")}, basis="statutory"),
                draft("no", denial(exclusive=group("best"), priority=9), basis=basis),
            ]
            decision = last(policy_set(*texts), booked(), cancelled())
            assert amounts(decision) == expected
            assert verdicts(decision)["no/no"] == ("floor" if expected else "applied")

    def test_a_denial_whose_conditions_fail_denies_nothing(self) -> None:
        rule = denial(when=['event.cancelled_because == "customer"'])
        assert amounts(last(policy_set(draft("p", ONE, rule)), booked(), cancelled())) == YES
        assert amounts(last(policy_set(draft("p", ONE, rule)), booked(), cancelled(because="customer"))) == []

    def test_caps_do_not_wear_out_a_denial(self) -> None:
        prepared = policy_set(draft("p", ONE, denial(), cap={"count": 1}))
        answers = decide_all(
            prepared, booked(), *(cancelled(at=f"2020-03-0{day}T00:00:00Z") for day in (1, 2, 3))
        )
        assert [one.outcome for (one,) in answers[1:]] == [Outcome.DENIED] * 3


class TestShadowClaims:
    def test_shadow_grants_use_up_no_cap_and_are_not_stopped_by_real_ones(self) -> None:
        rules = refund('money("1 ILS")', "real"), refund('money("2 ILS")', "trial", shadow=True)
        prepared = policy_set(draft("p", *rules, cap={"count": 2}))
        answers = decide_all(
            prepared, booked(), *(cancelled(at=f"2020-03-0{day}T00:00:00Z") for day in (1, 2, 3))
        )
        seen = [
            (amounts(one), [str(remedy.amount) for remedy in one.shadow_remedies]) for (one,) in answers[1:]
        ]
        # two real grants use up the cap, for the trial as well: it would not be granted either
        assert seen == [(YES, ["2.00 ILS"]), (YES, ["2.00 ILS"]), ([], [])]

    def test_the_real_decision_is_the_same_without_the_shadow_policy(self) -> None:
        def real(*extra: str) -> list[dict[str, Any]]:
            texts = [
                draft(
                    "a",
                    refund("booking.paid", exclusive=group("best")),
                    denial(when=["booking.nights * 1 > 3"]),
                ),
                draft("law", refund('money("10 ILS")', exclusive=group("best")), basis="statutory"),
            ]
            answers = decide_all(policy_set(*texts, *extra), booked(nights=2), cancelled())
            return [
                {
                    key: value
                    for key, value in one.to_json().items()
                    if key not in ("trace", "policy_set", "shadow")
                }
                for (one,) in answers
            ]

        trial = draft(
            "trial",
            refund('money("500 ILS")', exclusive=group("best")),
            denial(exclusive=group("best"), priority=9),
            shadow=True,
        )
        assert real(trial) == real()


def test_a_late_fee_and_a_refund_of_other_events_do_not_mix() -> None:
    fee = {
        "id": "fee",
        "on": "payment.missed",
        "grant": [{"kind": "waive_fee", "fee": "late", "amount": "event.late_fee"}],
    }
    missed = event("payment.missed", "2020-03-01T00:00:00Z", payment_id="p1", late_fee=ils("7.00"))
    decision = last(policy_set(draft("p", ONE, fee)), booked(), missed)
    assert amounts(decision) == ["waive_fee 7.00 ILS"]
