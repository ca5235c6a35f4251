"""One decision: bounds, absent attributes, windows, versions, parameters, tables, words, entities."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from support import booked, cancelled, decide_all, draft, event, ils, last, policy_set, refund
from towns import Town

from policyengine.domain.calendar import time_zone
from policyengine.domain.decision import ClauseResult, Decision, Outcome, Ref, RuleTrace, Verdict
from policyengine.domain.money import Money
from policyengine.service.policy_sets import PolicySet

HUNDRED = Money(100_00, "ILS")


def amounts(decision: Decision) -> list[str]:
    return [str(remedy.amount) for remedy in decision.remedies]


def traced(decision: Decision, rule: str = "r", version: int = 1) -> RuleTrace:
    (trace,) = [one for one in decision.trace if (one.rule, one.version) == (rule, version)]
    return trace


def governing(prepared: PolicySet, at: str) -> list[int]:
    """The versions that grant something on a cancellation at ``at``."""
    return [remedy.version for remedy in last(prepared, booked(), cancelled(at=at)).remedies]


class TestBounds:
    @pytest.mark.parametrize(
        ("clause", "granting"),
        [
            ('booking.paid < money("100 ILS")', ["99.99"]),
            ('booking.paid <= money("100 ILS")', ["99.99", "100.00"]),
            ('booking.paid == money("100 ILS")', ["100.00"]),
            ('booking.paid != money("100 ILS")', ["99.99", "100.01"]),
            ('booking.paid >= money("100 ILS")', ["100.00", "100.01"]),
            ('booking.paid > money("100 ILS")', ["100.01"]),
            ('between(booking.paid, money("99.99 ILS"), money("100 ILS"))', ["99.99", "100.00"]),
        ],
    )
    def test_a_bound_is_in_or_out_to_the_agora(self, clause: str, granting: list[str]) -> None:
        prepared = policy_set(draft("p", refund("booking.paid", when=[clause])))
        granted = [
            paid
            for paid in ("99.99", "100.00", "100.01")
            if last(prepared, booked(paid=ils(paid)), cancelled()).remedies
        ]
        assert granted == granting

    @pytest.mark.parametrize(
        ("clause", "granting"),
        [
            ('booking.starts_on < date("2020-05-01")', ["2020-04-30"]),
            ('booking.starts_on <= date("2020-05-01")', ["2020-04-30", "2020-05-01"]),
            ('booking.starts_on >= date("2020-05-01")', ["2020-05-01", "2020-05-02"]),
            ('booking.starts_on > date("2020-05-01")', ["2020-05-02"]),
        ],
    )
    def test_a_bound_is_in_or_out_to_the_day(self, clause: str, granting: list[str]) -> None:
        prepared = policy_set(draft("p", refund("booking.paid", when=[clause])))
        days = ("2020-04-30", "2020-05-01", "2020-05-02")
        assert [
            day for day in days if last(prepared, booked(starts_on=day), cancelled()).remedies
        ] == granting

    def test_all_conditions_must_hold_and_each_is_traced_with_what_it_saw(self) -> None:
        clauses = ["booking.nights * 1 > 2", 'booking.country.startsWith("I")']
        prepared = policy_set(draft("p", refund("booking.paid", when=clauses)))
        decision = last(prepared, booked(nights=2, country="IL"), cancelled())
        assert decision.outcome is Outcome.NONE
        assert [(one.text, one.result, one.values) for one in traced(decision).clauses] == [
            (clauses[0], ClauseResult.FAILED, {"booking.nights": 2}),
            (clauses[1], ClauseResult.HELD, {"booking.country": "IL"}),
        ]
        assert traced(decision).because == "`booking.nights * 1 > 2` does not hold"


class TestAbsentAttributes:
    def test_a_clause_on_an_absent_attribute_is_unknown_and_names_it(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid", when=["booking.nights * 1 > 2"])))
        trace = traced(last(prepared, booked(), cancelled()))
        assert trace.verdict is Verdict.CONDITION
        assert trace.because == "`booking.nights * 1 > 2` is unknown: booking.nights absent"
        assert trace.clauses[0].result is ClauseResult.UNKNOWN
        assert trace.clauses[0].absent == ("booking.nights",)

    @pytest.mark.parametrize("clause", ["booking.nights > 2", "!(booking.nights > 2)", "booking.nights != 2"])
    def test_absent_is_neither_true_nor_false(self, clause: str) -> None:
        prepared = policy_set(draft("p", refund("booking.paid", when=[clause])))
        assert last(prepared, booked(), cancelled()).outcome is Outcome.NONE

    def test_what_is_decided_by_the_other_side_needs_no_absent_attribute(self) -> None:
        clause = 'booking.kind == "hotel" || booking.nights > 2'
        prepared = policy_set(draft("p", refund("booking.paid", when=[clause])))
        assert last(prepared, booked(), cancelled()).outcome is Outcome.GRANTED

    def test_present_asks_whether_it_is_there(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid", when=["!present(booking.nights)"])))
        assert last(prepared, booked(), cancelled()).remedies
        assert not last(prepared, booked(nights=0), cancelled()).remedies

    def test_an_amount_that_needs_an_absent_attribute_is_an_error_not_a_number(self) -> None:
        prepared = policy_set(draft("p", refund("booking.change_fee")))
        decision = last(prepared, booked(), cancelled())
        assert decision.remedies == ()
        assert traced(decision).verdict is Verdict.ERROR
        assert traced(decision).because == "PE221 `booking.change_fee` is absent"


class TestWindows:
    PARIS_IN_MARCH = draft(
        "p",
        refund("booking.paid"),
        timezone="Europe/Paris",
        effective={"from": "2020-03-01", "until": "2020-03-31"},
    )

    @pytest.mark.parametrize(
        ("at", "in_force"),
        [
            ("2020-02-29T22:59:59.999999Z", False),  # 23:59:59.999999 in Paris, UTC+1
            ("2020-02-29T23:00:00Z", True),  # midnight of 1 March
            ("2020-03-30T21:59:59.999999Z", True),  # 23:59:59.999999 on the 30th, UTC+2 by now
            ("2020-03-30T22:00:00Z", False),  # midnight of the 31st: the end is not part of it
        ],
    )
    def test_a_window_is_half_open_at_the_midnights_of_the_policys_zone(
        self, at: str, in_force: bool
    ) -> None:
        # the clock went from UTC+1 to UTC+2 on 29 March 2020, inside the window
        assert bool(governing(policy_set(self.PARIS_IN_MARCH), at)) is in_force

    @pytest.mark.parametrize(
        ("at", "in_force"),
        [("2020-03-28T21:59:59Z", False), ("2020-03-28T22:00:00Z", True)],
    )
    def test_a_day_whose_midnight_the_clock_skips_begins_with_the_change(
        self, at: str, in_force: bool
    ) -> None:
        # Beirut, 29 March 2020: 00:00 (UTC+2) became 01:00 (UTC+3) at 22:00 UTC of the 28th
        text = draft("p", refund("booking.paid"), timezone="Asia/Beirut", effective={"from": "2020-03-29"})
        assert bool(governing(policy_set(text), at)) is in_force

    def test_a_moment_without_an_offset_is_of_the_policys_zone(self) -> None:
        text = draft(
            "p",
            refund("booking.paid"),
            timezone="Asia/Jerusalem",
            effective={"from": "2020-03-15T08:00:00", "until": "2020-03-15T12:00:00Z"},
        )
        prepared = policy_set(text)  # 08:00 in Jerusalem is 06:00 UTC in winter time
        assert governing(prepared, "2020-03-15T05:59:59Z") == []
        assert governing(prepared, "2020-03-15T06:00:00Z") == [1]
        assert governing(prepared, "2020-03-15T11:59:59Z") == [1]
        assert governing(prepared, "2020-03-15T12:00:00Z") == []

    def test_a_date_as_anchor_is_compared_by_the_day(self) -> None:
        window = {"from": "2020-05-01", "until": "2020-06-01", "by": "booking.starts_on"}
        prepared = policy_set(draft("p", refund("booking.paid"), effective=window, timezone="Asia/Tokyo"))
        granting = [
            day
            for day in ("2020-04-30", "2020-05-01", "2020-05-31", "2020-06-01")
            if last(prepared, booked(starts_on=day), cancelled()).remedies
        ]
        assert granting == ["2020-05-01", "2020-05-31"]

    def test_the_version_is_chosen_by_the_anchor_not_by_the_events_time(self) -> None:
        one = draft(
            "p",
            refund('money("1 ILS")'),
            effective={"from": "2020-01-01", "until": "2020-02-01", "by": "booking.made_at"},
        )
        two = draft(
            "p",
            refund('money("2 ILS")'),
            version=2,
            effective={"from": "2020-02-01", "by": "booking.made_at"},
        )
        prepared = policy_set(one, two)
        in_june = cancelled(at="2020-06-01T00:00:00Z")
        assert amounts(last(prepared, booked(at="2020-01-31T23:59:59Z"), in_june)) == ["1.00 ILS"]
        assert amounts(last(prepared, booked(at="2020-02-01T00:00:00Z"), in_june)) == ["2.00 ILS"]

    def test_without_its_anchor_a_version_does_not_govern(self) -> None:
        window = {"from": "2020-01-01", "by": "booking.made_at"}
        prepared = policy_set(draft("p", refund('money("1 ILS")'), effective=window))
        decision = last(prepared, cancelled())  # a booking whose making was never seen
        assert (decision.outcome, decision.trace) == (Outcome.NONE, ())

    def test_days_are_those_of_the_pinned_zones_not_of_the_machine(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid"), timezone="Asia/Beirut"))
        assert prepared.policies[0].zone is time_zone("Asia/Beirut")


class TestVersions:
    PREPARED = (
        draft("p", refund('money("1 ILS")'), timezone="Asia/Jerusalem", effective={"from": "2020-03-01", "until": "2020-07-01"}),
        draft("p", refund('money("2 ILS")'), version=2, timezone="Asia/Jerusalem", effective={"from": "2020-07-01", "until": "2020-10-25"}),
        draft("p", refund('money("3 ILS")'), version=3, timezone="Asia/Jerusalem", effective={"from": "2020-10-25"}),
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("at", "version"),
        [
            ("2020-06-30T20:59:59.999999Z", [1]),
            ("2020-06-30T21:00:00Z", [2]),  # midnight of 1 July in Jerusalem is 21:00 UTC (UTC+3)
            ("2020-10-24T20:59:59Z", [2]),
            ("2020-10-24T21:00:00Z", [3]),  # the clock goes back at 02:00 on the 25th: midnight is UTC+3
            ("2020-02-29T21:59:59Z", []),
        ],
    )
    def test_exactly_one_version_governs_and_hands_over_at_midnight(
        self, at: str, version: list[int]
    ) -> None:
        assert governing(policy_set(*self.PREPARED), at) == version

    def test_a_late_event_is_decided_by_the_version_of_its_own_time(self) -> None:
        prepared = policy_set(*self.PREPARED)
        decisions = decide_all(
            prepared, booked(), booked("b2"),
            cancelled("b1", "2020-08-01T00:00:00Z"), cancelled("b2", "2020-05-01T00:00:00Z"),
        )  # fmt: skip
        assert [amounts(one) for (one,) in decisions[2:]] == [["2.00 ILS"], ["1.00 ILS"]]


class TestParameters:
    TEXT = draft(
        "p",
        refund("percent(booking.paid, param.share)"),
        timezone="Asia/Jerusalem",
        parameters={"share": {"2020-03-01": 10, "2020-07-01": 15}},
    )

    @pytest.mark.parametrize(
        ("at", "amount"),
        [
            ("2020-03-01T00:00:00Z", "10.00 ILS"),  # 10 % of 100
            ("2020-06-30T20:59:59Z", "10.00 ILS"),
            ("2020-06-30T21:00:00Z", "15.00 ILS"),  # 1 July, 00:00 in Jerusalem
        ],
    )
    def test_a_dated_parameter_holds_from_its_day_in_the_policys_zone(self, at: str, amount: str) -> None:
        assert amounts(last(policy_set(self.TEXT), booked(), cancelled(at=at))) == [amount]

    def test_before_its_first_day_a_parameter_is_absent(self) -> None:
        trace = traced(last(policy_set(self.TEXT), booked(), cancelled(at="2020-02-20T00:00:00Z")))
        assert (trace.verdict, trace.because) == (Verdict.ERROR, "PE221 `param.share` is absent")

    def test_a_dated_parameter_goes_by_the_anchor(self) -> None:
        text = draft(
            "p",
            refund("percent(booking.paid, param.share)"),
            effective={"from": "2020-01-01", "by": "booking.starts_on"},
            parameters={"share": {"2020-01-01": 10, "2020-05-01": 20}},
        )
        prepared = policy_set(text)
        assert amounts(last(prepared, booked(starts_on="2020-04-30"), cancelled())) == ["10.00 ILS"]
        assert amounts(last(prepared, booked(starts_on="2020-05-01"), cancelled())) == ["20.00 ILS"]

    def test_a_clause_shows_the_parameter_it_saw(self) -> None:
        text = draft(
            "p", refund("booking.paid", when=["booking.paid > param.least"]), parameters={"least": "99 ILS"}
        )
        clause = traced(last(policy_set(text), booked(), cancelled())).clauses[0]
        assert clause.values == {
            "booking.paid": {"amount": "100.00", "currency": "ILS"},
            "param.least": {"amount": "99.00", "currency": "ILS"},
        }


class TestEnforcement:
    def policies(self, otherwise: str) -> PolicySet:
        enforced = {"from": "2020-03-10", "until": "2020-03-20", "otherwise": otherwise}
        return policy_set(draft("p", refund("booking.paid"), enforced=enforced))

    @pytest.mark.parametrize(("day", "enforced"), [("09", False), ("10", True), ("19", True), ("20", False)])
    def test_outside_of_enforcement_a_remedy_is_granted_and_marked(self, day: str, enforced: bool) -> None:
        decision = last(self.policies("grant"), booked(), cancelled(at=f"2020-03-{day}T12:00:00Z"))
        assert decision.remedies[0].enforced is enforced
        assert decision.remedies[0].to_json().get("enforced", True) is enforced

    @pytest.mark.parametrize(("day", "granted"), [("09", False), ("10", True), ("20", False)])
    def test_or_withheld_and_the_trace_says_so(self, day: str, granted: bool) -> None:
        decision = last(self.policies("withhold"), booked(), cancelled(at=f"2020-03-{day}T12:00:00Z"))
        assert bool(decision.remedies) is granted
        assert traced(decision).verdict is (Verdict.APPLIED if granted else Verdict.ENFORCEMENT)


class TestCurrencies:
    def test_a_clause_in_two_currencies_is_an_error_and_never_a_number(self) -> None:
        text = draft("p", refund("booking.paid", when=['booking.paid > money("1 EUR")']))
        decision = last(policy_set(text), booked(), cancelled())
        assert decision.remedies == ()
        assert traced(decision).verdict is Verdict.ERROR
        assert traced(decision).clauses[0].result is ClauseResult.ERROR
        assert decision.errors == decision.trace

    def test_an_amount_in_another_currency_than_the_policys_is_an_error(self) -> None:
        decision = last(policy_set(draft("p", refund("booking.paid"), currency="EUR")), booked(), cancelled())
        assert decision.remedies == ()
        assert traced(decision).because == ("PE204 `booking.paid` is in ILS, the policy counts in EUR")

    def test_one_faulty_amount_withholds_the_whole_rule(self) -> None:
        # half of a rule would be a decision that nobody wrote
        rule = {
            "id": "r",
            "on": "booking.cancelled",
            "grant": [
                {"kind": "refund", "amount": "booking.paid"},
                {"kind": "credit", "amount": "booking.change_fee"},
            ],
        }
        decision = last(policy_set(draft("p", rule)), booked(), cancelled())
        assert (decision.remedies, traced(decision).verdict) == ((), Verdict.ERROR)

    def test_a_rule_may_give_money_in_two_currencies(self) -> None:
        rule = {
            "id": "r",
            "on": "booking.cancelled",
            "grant": [
                {"kind": "refund", "amount": "booking.paid"},
                {"kind": "compensation", "amount": 'money("250 EUR")'},
            ],
        }
        assert amounts(last(policy_set(draft("p", rule)), booked(), cancelled())) == [
            "100.00 ILS",
            "250.00 EUR",
        ]


class TestAmounts:
    def test_an_amount_below_zero_is_an_error(self) -> None:
        decision = last(
            policy_set(draft("p", refund('booking.paid - money("100.01 ILS")'))), booked(), cancelled()
        )
        assert decision.remedies == ()
        assert traced(decision).because == (
            'PE223 `booking.paid - money("100.01 ILS")` gives -0.01 ILS, which is below zero'
        )

    def test_points_below_zero_are_an_error(self) -> None:
        rule = {
            "id": "r",
            "on": "membership.ended",
            "grant": [{"kind": "points.bonus", "points": "membership.points - 10"}],
        }
        prepared = policy_set(draft("p", rule))
        started = event(
            "membership.started", "2020-01-01T00:00:00Z", membership_id="m1", tier="gold", points=9
        )
        decision = last(
            prepared, started, event("membership.ended", "2020-02-01T00:00:00Z", membership_id="m1")
        )
        assert decision.remedies == ()
        assert traced(decision).because == ("PE223 `membership.points - 10` gives -1, which is below zero")

    def test_a_fraction_goes_where_the_policy_says(self) -> None:
        # 15 % of 10.50 = 1.575
        for rounding, amount in (
            ("half_up", "1.58"),
            ("half_even", "1.58"),
            ("down", "1.57"),
            ("up", "1.58"),
        ):
            text = draft("p", refund("percent(booking.paid, 15)"), rounding=rounding)
            paid = booked(paid=ils("10.50"))
            assert amounts(last(policy_set(text), paid, cancelled())) == [f"{amount} ILS"]

    def test_division_by_zero_is_an_error_of_its_clause(self) -> None:
        text = draft("p", refund("booking.paid", when=["10 / booking.nights > 1"]))
        trace = traced(last(policy_set(text), booked(nights=0), cancelled()))
        assert (trace.verdict, trace.clauses[0].result) == (Verdict.ERROR, ClauseResult.ERROR)


def table_rule(hit: str, rows: list[list[Any]], amount: str = "row.give", **keys: Any) -> dict[str, Any]:
    columns = [{"when": "booking.nights", "type": "integer"}, {"set": "give", "type": "money"}]
    return refund(amount, table={"hit": hit, "columns": columns, "rows": rows}, **keys)


class TestTables:
    ROWS = [["<= 2", "10 ILS"], ["[3..5]", "20 ILS"], [">= 5", "40 ILS"]]  # noqa: RUF012

    @pytest.mark.parametrize(
        ("hit", "nights", "expected"),
        [
            ("unique", 2, ["10.00 ILS"]),
            ("unique", 3, ["20.00 ILS"]),
            ("unique", 6, ["40.00 ILS"]),
            ("first", 5, ["20.00 ILS"]),
            ("collect", 5, ["20.00 ILS", "40.00 ILS"]),
        ],
    )
    def test_the_hit_policy_says_which_rows_count(self, hit: str, nights: int, expected: list[str]) -> None:
        prepared = policy_set(draft("p", table_rule(hit, self.ROWS)))
        assert amounts(last(prepared, booked(nights=nights), cancelled())) == expected

    def test_two_rows_of_a_unique_table_are_an_error(self) -> None:
        trace = traced(
            last(policy_set(draft("p", table_rule("unique", self.ROWS))), booked(nights=5), cancelled())
        )
        assert trace.verdict is Verdict.ERROR
        assert trace.because == "PE045 rows 2 and 3 of the table fit, where only one may"

    def test_when_no_row_fits_the_rule_gives_nothing_and_says_so(self) -> None:
        prepared = policy_set(draft("p", table_rule("unique", [["< 2", "10 ILS"]])))
        decision = last(prepared, booked(nights=2), cancelled())
        assert (decision.outcome, decision.remedies) == (Outcome.NONE, ())
        assert (traced(decision).verdict, traced(decision).because) == (
            Verdict.TABLE,
            "no row of its table fits",
        )

    def test_a_table_that_asks_for_an_absent_attribute_is_unknown_and_names_it(self) -> None:
        trace = traced(last(policy_set(draft("p", table_rule("first", self.ROWS))), booked(), cancelled()))
        assert (trace.verdict, trace.because) == (
            Verdict.TABLE,
            "which row of its table fits is unknown: the table asks for booking.nights: absent",
        )


class TestMessages:
    def say(self, text: str, language: str = "en", **booking: Any) -> Decision:
        rule = refund("percent(booking.paid, 50)", say={language: text})
        return last(policy_set(draft("p", rule, timezone="Asia/Jerusalem")), booked(**booking), cancelled())

    def test_money_dates_and_numbers_are_written_as_the_language_does(self) -> None:
        text = "{amount} of {booking.paid}, {booking.nights} nights from {booking.starts_on}"
        decision = self.say(text, paid=ils("12345.60"), nights=1234)
        assert decision.messages == {"en": "₪6,172.80 of ₪12,345.60, 1,234 nights from May 1, 2020"}

    def test_the_rules_fields_are_placeholders_by_name_and_by_kind(self) -> None:
        assert self.say("{amount} {refund.amount} {refund.method}").messages == {
            "en": "₪50.00 ₪50.00 original"
        }

    def test_an_absent_placeholder_leaves_the_language_out_and_the_trace_says_so(self) -> None:
        rule = refund("booking.paid", say={"en": "{booking.nights} nights", "he": "{amount}"})
        decision = last(policy_set(draft("p", rule)), booked(), cancelled())
        assert list(decision.messages) == ["he"]
        assert decision.outcome is Outcome.GRANTED
        assert traced(decision).because == "message en left out: booking.nights absent"

    def test_double_braces_are_braces(self) -> None:
        assert self.say("{{x}} {amount}").messages == {"en": "{x} ₪50.00"}

    def test_the_texts_of_several_rules_are_lines_in_their_order(self) -> None:
        one = refund("booking.paid", rule="one", say={"en": "First."})
        two = refund("booking.paid", rule="two", say={"en": "Second.", "he": "שני."})
        decision = last(policy_set(draft("p", one, two)), booked(), cancelled())
        assert decision.messages == {"en": "First.\nSecond.", "he": "שני."}

    def test_a_rule_that_lost_says_nothing(self) -> None:
        rule = refund("booking.paid", when=["booking.paid * 1 > booking.price"], say={"en": "Hello"})
        assert last(policy_set(draft("p", rule)), booked(), cancelled()).messages == {}

    def test_a_field_of_two_remedies_of_one_kind_is_never_half_the_truth(self) -> None:
        rule = table_rule("collect", TestTables.ROWS, say={"en": "You get {refund.amount}."})
        decision = last(policy_set(draft("p", rule)), booked(nights=5), cancelled())
        assert amounts(decision) == ["20.00 ILS", "40.00 ILS"]
        assert decision.messages == {}
        assert traced(decision).because == "message en left out: refund.amount absent"

    def test_a_decimal_parameter_is_written_as_the_language_does(self) -> None:
        rule = refund("percent(booking.paid, param.share)", say={"de": "{param.share} %: {amount}"})
        text = draft("p", rule, parameters={"share": 7.5})
        # 7.5 % of 100
        assert last(policy_set(text), booked(), cancelled()).messages == {"de": "7,5 %: 7,50\xa0₪"}

    def test_an_instant_is_told_in_the_policys_zone(self) -> None:
        decision = self.say("{booking.made_at}", at="2020-02-01T22:30:00Z")
        assert decision.messages["en"] == "February 2, 2020, 12:30:00\u202fAM +0200"  # 00:30 in Jerusalem


class TestOffers:
    RULE = {  # noqa: RUF012
        "id": "r",
        "on": "booking.cancelled",
        "offer": {
            "default": "refund",
            "deadline": "add_days(date_of(event.time), 14)",
            "consent": True,
            "alternatives": [
                {"id": "refund", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
                {
                    "id": "voucher",
                    "title": {"en": "More, later"},
                    "grant": [{"kind": "voucher", "amount": "booking.paid + percent(booking.paid, 20)"}],
                },
            ],
        },
        "say": {"en": "Choose by {deadline}."},
    }

    def test_an_offer_computes_its_alternatives_and_deadline_and_grants_nothing_yet(self) -> None:
        decision = last(
            policy_set(draft("p", self.RULE, timezone="Asia/Tokyo")),
            booked(),
            cancelled(at="2020-03-02T15:00:00Z"),
        )
        (offer,) = decision.offers
        assert (decision.outcome, decision.remedies) == (Outcome.OFFERED, ())
        assert [(one.id, str(one.remedies[0].amount)) for one in offer.choices] == [
            ("refund", "100.00 ILS"),
            ("voucher", "120.00 ILS"),  # 100 + 20 %
        ]
        assert offer.deadline == date(2020, 3, 17)  # 15:00 UTC is 3 March in Tokyo; + 14 days
        assert (offer.default, offer.consent) == ("refund", True)
        assert decision.messages == {"en": "Choose by March 17, 2020."}

    def test_a_grant_beside_an_offer_makes_the_outcome_granted(self) -> None:
        rule = {**self.RULE, "grant": [{"kind": "gesture", "gift": "flowers"}]}
        assert last(policy_set(draft("p", rule)), booked(), cancelled()).outcome is Outcome.GRANTED

    def test_an_error_in_one_alternative_withholds_the_offer(self) -> None:
        rule = {
            **self.RULE,
            "offer": {
                "alternatives": [{"id": "a", "grant": [{"kind": "credit", "amount": "booking.change_fee"}]}]
            },
            "say": {},
        }
        decision = last(policy_set(draft("p", rule)), booked(), cancelled())
        assert (decision.offers, traced(decision).verdict) == ((), Verdict.ERROR)


class TestShadow:
    def test_what_a_shadow_rule_would_give_is_recorded_apart_and_touches_nothing(self) -> None:
        group = {"group": "g", "choose": "best"}
        real = draft("real", refund("booking.paid", exclusive=group))
        shadow = draft(
            "shadow", refund("booking.paid + booking.paid", exclusive=group, say={"en": "x"}), shadow=True
        )
        alone = last(policy_set(real), booked(), cancelled())
        both = last(policy_set(real, shadow), booked(), cancelled())
        assert both.remedies == alone.remedies
        assert both.messages == {}
        assert [str(one.amount) for one in both.shadow_remedies] == ["200.00 ILS"]
        assert [(one.policy, one.verdict, one.shadow) for one in both.trace] == [
            ("real", Verdict.APPLIED, False),
            ("shadow", Verdict.APPLIED, True),
        ]

    def test_a_decision_with_shadow_remedies_alone_has_no_outcome(self) -> None:
        decision = last(policy_set(draft("p", refund("booking.paid"), shadow=True)), booked(), cancelled())
        assert (decision.outcome, decision.remedies) == (Outcome.NONE, ())
        assert decision.to_json()["shadow"]["remedies"][0]["amount"] == {"value": "100.00", "currency": "ILS"}

    def test_a_shadow_denial_denies_nothing(self) -> None:
        deny = {"id": "no", "on": "booking.cancelled", "priority": 9, "deny": {"reason": "x"}, "shadow": True}
        decision = last(policy_set(draft("p", deny, refund("booking.paid"))), booked(), cancelled())
        assert amounts(decision) == ["100.00 ILS"]
        assert decision.denials == ()


class TestEntities:
    def test_one_decision_per_event_and_entity_also_when_nothing_applies(self) -> None:
        (decisions,) = decide_all(policy_set(draft("p", refund("booking.paid"))), booked())
        assert [(one.outcome, one.entity, one.trace) for one in decisions] == [
            (Outcome.NONE, Ref("booking", "b1"), ())
        ]

    def test_an_event_without_entity_is_decided_for_the_customer(self) -> None:
        rule = {"id": "r", "on": "policy.asked", "grant": [{"kind": "notify"}]}
        decision = last(
            policy_set(draft("p", rule)), event("policy.asked", "2020-03-01T00:00:00Z", about="x")
        )
        assert (decision.entity, decision.outcome) == (None, Outcome.GRANTED)

    def test_a_rule_for_a_type_is_decided_on_each_of_its_entities_in_the_order_of_their_ids(self) -> None:
        rule = {
            "id": "r",
            "on": "policy.asked",
            "for": "booking",
            "grant": [{"kind": "refund", "amount": "booking.paid"}],
        }
        decisions = decide_all(
            policy_set(draft("p", rule)),
            booked("b2", paid=ils("2.00")), booked("b10", paid=ils("10.00")), booked("b1", paid=ils("1.00")),
            event("policy.asked", "2020-03-01T00:00:00Z", about="x"),
        )[-1]  # fmt: skip
        assert [(one.entity, amounts(one)) for one in decisions] == [
            (None, []),
            (Ref("booking", "b1"), ["1.00 ILS"]),
            (Ref("booking", "b10"), ["10.00 ILS"]),
            (Ref("booking", "b2"), ["2.00 ILS"]),
        ]
        assert len({one.decision_id for one in decisions}) == 4

    def test_the_events_own_entity_goes_first(self) -> None:
        rule = refund("booking.paid") | {"for": "booking"}
        decisions = decide_all(policy_set(draft("p", rule)), booked("a"), booked("b"), cancelled("b"))[-1]
        assert [one.entity for one in decisions] == [Ref("booking", "b"), Ref("booking", "a")]

    def test_a_rule_without_for_is_decided_on_the_events_own_entity_only(self) -> None:
        plain, each = (
            refund('money("1 ILS")', rule="own"),
            refund('money("2 ILS")', rule="each") | {"for": "booking"},
        )
        decisions = decide_all(policy_set(draft("p", plain, each)), booked("a"), booked("b"), cancelled("b"))[
            -1
        ]
        assert [amounts(one) for one in decisions] == [["1.00 ILS", "2.00 ILS"], ["2.00 ILS"]]

    def test_another_customers_bookings_are_none_of_ours(self) -> None:
        rule = refund("booking.paid") | {"for": "booking"}
        theirs = event(
            "booking.made",
            "2020-01-01T00:00:00Z",
            "c2",
            booking_id="x",
            kind="hotel",
            starts_on="2020-05-01",
            price=ils("9.00"),
            paid=ils("9.00"),
        )
        decisions = decide_all(policy_set(draft("p", rule)), theirs, booked("a"), cancelled("a"))[-1]
        assert [one.entity for one in decisions] == [Ref("booking", "a")]


class TestCrisisScope:
    TEXT = draft(
        "p", refund("booking.paid"), crisis={"kind": ["pandemic", "war"], "phases": ["onset", "ongoing"]}
    )

    def test_a_policy_of_a_crisis_holds_only_while_it_is_on(self) -> None:
        prepared = policy_set(self.TEXT)
        for facts, granted in (
            ({"crisis.kind": "war", "crisis.phase": "onset"}, True),
            ({"crisis.kind": "strike", "crisis.phase": "onset"}, False),
            ({"crisis.kind": "war", "crisis.phase": "recovery"}, False),
            ({"crisis.kind": "war"}, False),
            ({}, False),
        ):
            assert bool(last(prepared, booked(), cancelled(), world=facts).remedies) is granted


class TestTwoCrisesAtOnce:
    """A pandemic everywhere and a war in the south: each policy is bound to one, or to either."""

    PANDEMIC = draft("health", refund('money("1 ILS")'), crisis={"kind": "pandemic"})
    WAR = draft("shelter", refund('money("2 ILS")'), crisis={"kind": "war", "phases": ["onset"]})
    EITHER = draft("either", refund('money("4 ILS")'), crisis={"kind": ["war", "pandemic"]})

    def granted(self, *texts: str, region: str = "eilat", home: str = "haifa-city") -> list[str]:
        """What is refunded for a booking in a region, cancelled by somebody who lives in another."""
        decision = self.decided(*texts, region=region, home=home)
        return amounts(decision)

    def decided(
        self,
        *texts: str,
        region: str = "eilat",
        home: str = "haifa-city",
        begins: Sequence[str] = ("2020-03-01", "2020-03-01"),
    ) -> Decision:
        town = Town(policy_set(*texts))
        crises = (("a", "pandemic", "world", begins[0]), ("b", "war", "south", begins[1]))
        for key, kind, where, day in crises:
            declared = {"crisis_id": key, "kind": kind, "region": where, "onset_from": day}
            town.happens("crisis.declared", "2020-03-01T00:00:00Z", "world", **declared)
        town.happens("customer.updated", "2020-01-01T00:00:00Z", region=home)
        data = {"kind": "hotel", "starts_on": "2020-05-01", "price": ils("9.00"), "paid": ils("9.00")}
        town.happens(
            "booking.made", "2020-02-01T00:00:00Z", booking_id="b1", country="IL", region=region, **data
        )
        (decision,) = town.happens(
            "booking.cancelled", "2020-03-02T10:00:00Z", booking_id="b1", cancelled_because="crisis"
        )
        return decision

    def test_each_policy_sees_the_crisis_that_it_is_bound_to(self) -> None:
        assert self.granted(self.PANDEMIC, self.WAR) == ["1.00 ILS", "2.00 ILS"]
        assert self.granted(self.PANDEMIC, self.WAR, region="safed") == ["1.00 ILS"]  # no war in the north

    def test_who_lives_there_is_struck_too(self) -> None:
        assert self.granted(self.WAR, region="safed", home="sderot") == ["2.00 ILS"]

    def test_a_policy_bound_to_either_grants_once(self) -> None:
        assert self.granted(self.EITHER) == ["4.00 ILS"]

    def test_the_first_that_applies_is_the_one_that_is_seen(self) -> None:
        trace = traced(self.decided(self.EITHER))
        assert trace.clauses[0].values == {"crisis.kind": "pandemic"}  # a before b
        late = draft("p", refund('money("4 ILS")', when=['crisis.kind != "pandemic"']))
        assert traced(self.decided(late)).clauses[0].values == {"crisis.kind": "war"}

    def test_where_it_applies_under_none_the_first_candidate_is_shown(self) -> None:
        text = draft("p", refund("booking.paid", when=["booking.nights * 1 > 2"]), crisis={"kind": "war"})
        decision = self.decided(text)
        assert decision.outcome is Outcome.NONE
        assert traced(decision).clauses[0].values == {"crisis.kind": "war"}
        strike = draft("p", refund("booking.paid"), crisis={"kind": "strike"})
        assert self.decided(strike).trace == ()  # no candidate under either

    def test_of_a_policy_that_is_anchored_on_a_crisis_one_version_governs(self) -> None:
        # the pandemic begins on 1 February 2020, the war on 1 March: each version governs under one of the two
        def version(number: int, amount: str, start: str, until: str) -> str:
            window = {"from": start, "until": until, "by": "crisis.onset_from"}
            return draft("p", refund(f'money("{amount} ILS")'), version=number, effective=window)

        def granted(*begins: str) -> Decision:
            texts = (version(1, "1", "2020-02-01", "2020-03-01"), version(2, "2", "2020-03-01", "2021-01-01"))
            return self.decided(*texts, begins=begins)

        decision = granted("2020-02-01", "2020-03-01")
        assert amounts(decision) == ["1.00 ILS"]  # a before b
        assert [(one.version, one.verdict, one.because) for one in decision.trace] == [
            (1, Verdict.APPLIED, ""),
            (2, Verdict.EXCLUSIVE, "version 1 governs, by `a`: one version does"),
        ]
        assert amounts(granted("2020-03-01", "2020-02-01")) == ["2.00 ILS"]  # a is of version 2 now

    def test_an_amount_that_cannot_be_computed_under_one_is_not_passed_over(self) -> None:
        # under the pandemic the condition fails; the war has no end in sight, and the credit needs it
        rule = refund("booking.paid", when=['crisis.kind.contains("wa")']) | {
            "grant": [{"kind": "credit", "amount": "booking.paid", "valid_until": "crisis.expected_until"}]
        }
        trace = traced(self.decided(draft("p", rule)))
        assert (trace.verdict, trace.because) == (Verdict.ERROR, "PE221 `crisis.expected_until` is absent")

    def test_conditions_of_one_rule_see_one_crisis_at_a_time(self) -> None:
        rule = refund("booking.paid", when=['crisis.kind == "war"', 'crisis.region == "world"'])
        assert self.granted(draft("p", rule)) == []  # the war is in the south, the pandemic everywhere

    def test_a_listed_region_is_that_of_the_booking_or_around_it(self) -> None:
        for regions, granted in (
            (["south"], True),
            (["IL", "IT"], True),
            (["eilat"], True),
            (["haifa"], False),
        ):
            text = draft("p", refund('money("1 ILS")'), crisis={"kind": "pandemic", "regions": regions})
            assert bool(self.granted(text)) is granted

    def test_a_crisis_that_names_no_sectors_touches_them_all(self) -> None:
        text = draft("p", refund('money("1 ILS")'), crisis={"sectors": ["travel"]})
        assert self.granted(text) == ["1.00 ILS"]
