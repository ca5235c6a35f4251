"""What an event of the world decides for whom it reaches: order, ids, caps, crises and places."""

from __future__ import annotations

from typing import Any

import pytest
from support import draft, ils, policy_set, refund
from towns import Town, read

from policyengine.domain.decision import Decision, Outcome, Ref, Verdict, decision_id
from policyengine.domain.money import Money
from policyengine.engine.decide import decide
from policyengine.engine.reach import grants_of, reached_types

DAY = "2020-03-15T10:00:00Z"
SITE = {"facility_id": "pool-1", "name": "The pool", "kind": "pool", "region": "bnei-brak"}
BOOKING = {
    "booking_id": "b",
    "kind": "hotel",
    "country": "IL",
    "starts_on": "2020-05-01",
    "price": ils("9.00"),
    "paid": ils("9.00"),
}
WEDDING = {
    "occasion": "wedding",
    "contract_on": "2020-01-20",
    "event_on": "2020-06-01",
    "participants": 100,
    "price_per_person": ils("9.00"),
    "advance": ils("90.00"),
    "advance_method": "card",
}
CLOSED = {"facility_id": "pool-1", "closed_from": "2020-03-15", "share_percent": 40}


def share(**keys: Any) -> dict[str, Any]:
    """A rule that credits the facility's share of the fee for each subscription at it."""
    grant = [{"kind": "credit", "amount": "percent(subscription.monthly_fee, facility.share_percent)"}]
    return {"id": "share", "on": "facility.closed", "for": "subscription", "grant": grant, **keys}


def member(town: Town, customer: str, key: str, site: str = "pool-1", fee: str = "200.00") -> None:
    data = {"subscription_id": key, "kind": "gym", "monthly_fee": ils(fee), "site": site}
    town.happens("subscription.started", "2020-01-01T08:00:00Z", customer, **data)


def pool(*rules: dict[str, Any], **keys: Any) -> Town:
    town = Town(policy_set(draft("pool", *rules, **keys)))
    town.happens("facility.registered", "2020-01-01T00:00:00Z", "world", **SITE)
    town.happens("facility.registered", "2020-01-01T00:00:00Z", "world", **{**SITE, "facility_id": "pool-2"})
    return town


def given(decisions: list[Decision]) -> list[tuple[Ref | None, list[str]]]:
    return [(one.entity, [str(remedy.amount) for remedy in one.remedies]) for one in decisions]


class TestWhatIsTouched:
    def test_each_subscription_at_the_closed_site_and_no_other(self) -> None:
        town = pool(share())
        member(town, "c1", "s2")
        member(town, "c1", "s1", fee="100.00")
        member(town, "c1", "s3", site="pool-2")
        (decisions,) = town.reaches("facility.closed", DAY, "c1", **CLOSED)
        # 40 % of 100 is 40, of 200 it is 80; by id
        assert given(decisions) == [
            (Ref("subscription", "s1"), ["40.00 ILS"]),
            (Ref("subscription", "s2"), ["80.00 ILS"]),
        ]

    def test_the_world_event_itself_decides_nothing(self) -> None:
        town = pool(share())
        seen = read(_document("facility.closed", CLOSED))
        assert decide(town.ruleset, town.of("world"), town.world, seen) == []

    def test_a_decision_names_its_customer_its_cause_and_has_an_id_of_its_own(self) -> None:
        town = pool(share())
        member(town, "c1", "s")
        member(town, "c2", "s")  # the same id, another customer's
        (one,), (two,) = town.reaches("facility.closed", DAY, "c1", "c2", **CLOSED)
        assert (one.customer, two.customer) == ("c1", "c2")
        assert one.event_type == "facility.closed"
        assert one.decision_id == decision_id("test", one.event_id, Ref("subscription", "s"), "c1")
        assert one.decision_id != two.decision_id

    def test_the_customer_as_such_comes_first_then_type_and_id(self) -> None:
        note = [{"kind": "notify", "to": "customer"}]
        town = Town(
            policy_set(
                draft(
                    "p",
                    {"id": "a", "on": "crisis.declared", "for": "subscription", "grant": note},
                    {"id": "b", "on": "crisis.declared", "for": "booking", "grant": note},
                    {"id": "c", "on": "crisis.declared", "grant": note},
                )
            )
        )
        assert reached_types(town.ruleset, "crisis.declared") == ("customer", "booking", "subscription")
        town.happens("customer.updated", "2020-01-01T00:00:00Z", region="haifa")
        member(town, "c1", "s1")
        for key in ("b2", "b1"):
            town.happens("booking.made", "2020-01-02T00:00:00Z", **{**BOOKING, "booking_id": key})
        (decisions,) = town.reaches("crisis.declared", DAY, "c1", **crisis("c", "IL"))
        assert [one.entity for one in decisions] == [
            None,
            Ref("booking", "b1"),
            Ref("booking", "b2"),
            Ref("subscription", "s1"),
        ]
        assert [len(one.remedies) for one in decisions] == [1, 1, 1, 1]

    def test_for_the_customer_is_the_customer_as_such(self) -> None:
        rule = {
            "id": "a",
            "on": "crisis.declared",
            "for": "customer",
            "grant": [{"kind": "notify", "to": "customer"}],
        }
        town = Town(policy_set(draft("p", rule)))
        town.happens("customer.updated", "2020-01-01T00:00:00Z", region="haifa")
        ((decision,),) = town.reaches("crisis.declared", DAY, "c1", **crisis("c", "IL"))
        assert (decision.entity, decision.outcome) == (None, Outcome.GRANTED)

    def test_what_is_touched_is_decided_also_where_nothing_applies(self) -> None:
        town = pool(share(when=["facility.share_percent * 1 >= 50"]))
        member(town, "c1", "s1")
        ((decision,),) = town.reaches("facility.closed", DAY, "c1", **CLOSED)
        assert decision.outcome is Outcome.NONE
        assert decision.trace[0].because == "`facility.share_percent * 1 >= 50` does not hold"

    def test_who_has_nothing_there_is_not_decided_on(self) -> None:
        town = pool(share())
        member(town, "c1", "s1", site="pool-2")
        assert town.reaches("facility.closed", DAY, "c1", "nobody", **CLOSED) == [[], []]

    def test_an_event_that_no_rule_is_on_reaches_nobody(self) -> None:
        town = pool(share())
        member(town, "c1", "s1")
        assert reached_types(town.ruleset, "facility.reopened") == ()
        assert town.reaches("facility.reopened", DAY, "c1", **{**CLOSED, "closed_until": "2020-03-20"}) == [
            []
        ]


class TestPlaces:
    """A restriction of a district reaches what lies there; a crisis also those who live there."""

    NOTE = ({"kind": "notify", "to": "customer"},)

    def reached(self, on: str, region: str, home: str | None, lies_in: str | None) -> list[Ref | None]:
        town = Town(
            policy_set(draft("p", {"id": "r", "on": on, "for": "event_booking", "grant": list(self.NOTE)}))
        )
        if home is not None:
            town.happens("customer.updated", "2020-01-01T00:00:00Z", region=home)
        place = {} if lies_in is None else {"region": lies_in}
        town.happens("event_booking.made", "2020-02-01T00:00:00Z", event_booking_id="e1", **WEDDING, **place)
        data = crisis("x", region) if on == "crisis.declared" else restriction("x", region)
        (decisions,) = town.reaches(on, DAY, "c1", **data)
        return [one.entity for one in decisions]

    @pytest.mark.parametrize(
        ("region", "home", "lies_in", "is_reached"),
        [
            ("tel-aviv", None, "bnei-brak", True),  # a city of the district
            ("IL", None, "bnei-brak", True),
            ("world", None, "bnei-brak", True),
            ("bnei-brak", None, "tel-aviv", False),  # a district is not in its city
            ("haifa", None, "bnei-brak", False),
            ("haifa", "haifa-city", "bnei-brak", False),  # the place of the booking, not the home
            ("tel-aviv", "haifa-city", "bnei-brak", True),
            ("haifa", "haifa-city", None, True),  # nobody knows where: at home
            ("haifa", None, None, False),
        ],
    )
    def test_a_restriction_goes_by_the_place_of_the_entity(
        self, region: str, home: str | None, lies_in: str | None, is_reached: bool
    ) -> None:
        found = self.reached("restriction.imposed", region, home, lies_in)
        assert found == ([Ref("event_booking", "e1")] if is_reached else [])

    def test_a_restriction_that_moves_reaches_whom_it_leaves_and_whom_it_comes_to(self) -> None:
        rule = {"id": "r", "on": "restriction.changed", "for": "event_booking", "grant": list(self.NOTE)}
        here = draft("here", {**rule, "when": ["present(restriction.kind)"]})
        gone = draft("gone", {**rule, "when": ["!present(restriction.kind)"]})
        town = Town(policy_set(here, gone))
        for customer, where in (("left", "bnei-brak"), ("struck", "haifa-city"), ("other", "eilat")):
            data = {"event_booking_id": "e1", **WEDDING, "region": where}
            town.happens("event_booking.made", "2020-02-01T00:00:00Z", customer, **data)
        town.happens("restriction.imposed", DAY, "world", **restriction("x", "tel-aviv"))
        moved = {"restriction_id": "x", "region": "haifa"}
        found = town.reaches(
            "restriction.changed", "2020-03-16T10:00:00Z", "left", "struck", "other", **moved
        )
        assert [[remedy.policy for one in each for remedy in one.remedies] for each in found] == [
            ["gone"],
            ["here"],
            [],
        ]

    def test_what_another_restriction_still_covers_is_decided_under_that_one(self) -> None:
        say = {"en": "{restriction.id}"}
        rule = {"id": "r", "on": "restriction.changed", "for": "event_booking", "grant": list(self.NOTE)}
        town = Town(policy_set(draft("p", {**rule, "say": say, "when": ["restriction.kind == 'closure'"]})))
        data = {"event_booking_id": "e1", **WEDDING, "region": "bnei-brak"}
        town.happens("event_booking.made", "2020-02-01T00:00:00Z", **data)
        for key, region in (("x", "tel-aviv"), ("y", "IL")):
            town.happens("restriction.imposed", DAY, "world", **restriction(key, region))
        moved = {"restriction_id": "x", "region": "haifa"}
        ((decision,),) = town.reaches("restriction.changed", "2020-03-16T10:00:00Z", "c1", **moved)
        assert decision.messages == {"en": "y"}

    def test_a_crisis_goes_by_either(self) -> None:
        assert self.reached("crisis.declared", "haifa", "haifa-city", "bnei-brak") == [
            Ref("event_booking", "e1")
        ]
        assert self.reached("crisis.declared", "tel-aviv", "haifa-city", "bnei-brak") == [
            Ref("event_booking", "e1")
        ]
        assert self.reached("crisis.declared", "south", "haifa-city", "bnei-brak") == []


class TestFactsOfTheCause:
    def test_the_events_own_crisis_is_the_one_that_is_meant(self) -> None:
        rule = refund("booking.paid", on="crisis.phase_changed", when=['crisis.kind == "war"']) | {
            "for": "booking"
        }
        town = Town(policy_set(draft("p", rule)))
        town.happens("booking.made", "2020-01-01T00:00:00Z", **BOOKING)
        town.happens("crisis.declared", "2020-03-01T00:00:00Z", "world", **crisis("a", "IL", "pandemic"))
        town.happens("crisis.declared", "2020-03-01T00:00:00Z", "world", **crisis("b", "IL", "war"))
        moved = {"phase": "ongoing", "from": "2020-03-10"}
        (first,) = town.reaches("crisis.phase_changed", DAY, "c1", crisis_id="a", **moved)
        assert [one.outcome for one in first] == [Outcome.NONE]  # the war is another crisis
        (second,) = town.reaches("crisis.phase_changed", DAY, "c1", crisis_id="b", **moved)
        assert given(second) == [(Ref("booking", "b"), ["9.00 ILS"])]

    def test_beside_a_restriction_each_crisis_is_looked_at(self) -> None:
        rule = refund("booking.paid", on="restriction.imposed") | {"for": "booking"}
        town = Town(policy_set(draft("p", rule, crisis={"kind": "war"})))
        town.happens("booking.made", "2020-01-01T00:00:00Z", **BOOKING)
        town.happens("crisis.declared", "2020-03-01T00:00:00Z", "world", **crisis("a", "IL", "pandemic"))
        town.happens("crisis.declared", "2020-03-01T00:00:00Z", "world", **crisis("b", "IL", "war"))
        (decisions,) = town.reaches("restriction.imposed", DAY, "c1", **restriction("r", "IL"))
        assert given(decisions) == [(Ref("booking", "b"), ["9.00 ILS"])]

    def test_a_world_fact_that_a_case_gives_goes_before_what_the_entity_says(self) -> None:
        prepared = policy_set(draft("pool", share()))
        town = Town(prepared, {"facility.share_percent": 10})
        town.happens("facility.registered", "2020-01-01T00:00:00Z", "world", **SITE)
        member(town, "c1", "s1")
        (decisions,) = town.reaches("facility.closed", DAY, "c1", **CLOSED)
        assert given(decisions) == [(Ref("subscription", "s1"), ["20.00 ILS"])]  # 10 % of 200


class TestCaps:
    def test_a_cap_per_event_counts_over_all_customers(self) -> None:
        town = pool(share(cap={"count": 3, "per": "event"}))
        for customer in ("c1", "c2", "c3"):
            member(town, customer, "s1")
            member(town, customer, "s2")
        answers = town.reaches("facility.closed", DAY, "c1", "c2", "c3", **CLOSED)
        assert [[one.outcome.value for one in answer] for answer in answers] == [
            ["granted", "granted"],
            ["granted", "none"],  # the third, and one too many
            ["none", "none"],
        ]
        (lost,) = answers[2][0].trace
        assert (lost.verdict, lost.because) == (Verdict.CAP, "the cap of 3 per event is used up")
        assert town.granted == {"pool/share": 3}

    def test_the_next_event_begins_anew(self) -> None:
        town = pool(share(cap={"count": 1, "per": "event"}))
        for customer in ("c1", "c2"):
            member(town, customer, "s1")
        for at in (DAY, "2020-03-16T10:00:00Z"):
            answers = town.reaches("facility.closed", at, "c1", "c2", **CLOSED)
            assert [answer[0].outcome for answer in answers] == [Outcome.GRANTED, Outcome.NONE]

    def test_a_policys_cap_per_event_counts_all_its_rules(self) -> None:
        town = pool(share(), share(id="again"), cap={"count": 3, "per": "event"})
        for customer in ("c1", "c2"):
            member(town, customer, "s1")
        one, two = town.reaches("facility.closed", DAY, "c1", "c2", **CLOSED)
        # again and share at once, then one of them: two and one are three
        assert [len(answer[0].remedies) for answer in (one, two)] == [2, 1]

    def test_a_policy_with_a_longer_name_is_another(self) -> None:
        cap = {"count": 1, "per": "event"}
        town = Town(policy_set(draft("pool", share(), cap=cap), draft("pool/more", share(), cap=cap)))
        town.happens("facility.registered", "2020-01-01T00:00:00Z", "world", **SITE)
        for customer in ("c1", "c2"):
            member(town, customer, "s1")
        one, two = town.reaches("facility.closed", DAY, "c1", "c2", **CLOSED)
        assert [len(answer[0].remedies) for answer in (one, two)] == [2, 0]

    def test_each_decision_counts_towards_the_customers_caps_of_the_next(self) -> None:
        town = pool(share(cap={"amount": "100 ILS", "per": "customer"}))
        member(town, "c1", "s1")
        member(town, "c1", "s2")
        (decisions,) = town.reaches("facility.closed", DAY, "c1", **CLOSED)
        # 80 of 100, then the 20 that are left
        assert [str(one.remedies[0].amount) for one in decisions] == ["80.00 ILS", "20.00 ILS"]

    def test_what_is_granted_in_shadow_uses_nothing_up(self) -> None:
        town = pool(share(cap={"count": 1, "per": "event"}, shadow=True))
        for customer in ("c1", "c2"):
            member(town, customer, "s1")
        one, two = town.reaches("facility.closed", DAY, "c1", "c2", **CLOSED)
        assert [len(answer[0].shadow_remedies) for answer in (one, two)] == [1, 1]
        assert town.granted == {}

    def test_a_rule_is_counted_once_for_a_decision_and_an_offer_like_a_grant(self) -> None:
        two = [
            {"kind": "credit", "amount": 'money("1 ILS")'},
            {"kind": "credit", "amount": 'money("2 ILS")'},
        ]
        offer = {"alternatives": [{"id": "a", "grant": two}]}
        town = pool(
            share(grant=two), {"id": "choose", "on": "facility.closed", "for": "subscription", "offer": offer}
        )
        member(town, "c1", "s1")
        ((decision,),) = town.reaches("facility.closed", DAY, "c1", **CLOSED)
        assert decision.remedies[1].amount == Money(2_00, "ILS")
        assert grants_of(decision) == ("pool/choose", "pool/share")


class TestNotices:
    def test_what_staff_acknowledge_reaches_the_notices_that_refer_to_it(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid")))
        assert reached_types(prepared.ruleset, "staff.acknowledged") == ("notice",)

    def test_a_message_that_waits_goes_out_though_no_rule_is_on_it(self) -> None:
        rule = refund("booking.paid", say={"en": "You get {amount}."})
        text = draft("p", rule, announced="2020-03-14", staff_first={"hours": 48})
        town = Town(policy_set(text))
        town.happens("booking.made", "2020-01-01T00:00:00Z", **BOOKING)
        cancel = {"booking_id": "b", "cancelled_because": "crisis"}
        (first,) = town.happens("booking.cancelled", "2020-03-15T08:00:00Z", **cancel)
        assert (first.messages, [held.policy for held in first.held]) == ({}, ["p"])
        known = {"policy_version": "p@1"}
        ((decision,),) = town.reaches("staff.acknowledged", DAY, "c1", **known)
        assert decision.entity == Ref("notice", f"{first.decision_id}/p")
        assert decision.messages == {"en": "You get ₪9.00."}
        (again,) = town.reaches("staff.acknowledged", "2020-03-16T10:00:00Z", "c1", **known)
        assert again == []  # told once, and nothing is left to decide


def crisis(key: str, region: str, kind: str = "pandemic") -> dict[str, Any]:
    return {"crisis_id": key, "kind": kind, "region": region, "onset_from": "2020-02-01"}


def restriction(key: str, region: str, **data: Any) -> dict[str, Any]:
    return {"restriction_id": key, "kind": "closure", "region": region, "from": "2020-03-01", **data}


def _document(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "test",
        "type": kind,
        "time": DAY,
        "subject": "world",
        "data": data,
    }
