"""What was decided before, as facts: of the entity decided on, and never counted by caps."""

from __future__ import annotations

from typing import Any

from lives import Life, instant
from support import booked, cancelled, draft, event, ils, refund

from policyengine.domain.decision import Ref
from policyengine.domain.earlier import earlier_facts
from policyengine.domain.money import Money
from policyengine.domain.state import CustomerState

B1, B2 = Ref("booking", "b1"), Ref("booking", "b2")
DENY = {
    "id": "no",
    "on": "booking.cancelled",
    "when": ["booking.nights > 5"],
    "deny": {"reason": "too long"},
}


def asked(life: Life, ref: Ref | None, name: str) -> Any:
    return earlier_facts(life.state, ref).get(f"earlier.{name}")


def test_of_somebody_new_nothing_was_decided() -> None:
    assert earlier_facts(CustomerState("c1"), B1) == {
        "earlier.kinds": (),
        "earlier.policies": (),
        "earlier.denied_by": (),
        "earlier.frozen": False,
        "earlier.offered": False,
    }


def test_what_was_granted_is_of_the_entity_alone_but_the_newest_is_the_customers() -> None:
    bonus = {"id": "bonus", "on": "booking.cancelled", "grant": [{"kind": "points.bonus", "points": 5}]}
    life = Life(draft("b/money", refund("booking.paid")), draft("a/points", bonus))
    life.on(booked("b1", paid=ils("80.00")))
    life.on(booked("b2"))
    life.on(cancelled("b1", at="2020-03-02T10:00:00Z"))
    assert earlier_facts(life.state, B1) == {
        "earlier.kinds": ("points.bonus", "refund"),
        "earlier.policies": ("a/points", "b/money"),
        "earlier.denied_by": (),
        "earlier.amount": Money(80_00, "ILS"),
        "earlier.frozen": False,
        "earlier.offered": False,
        "earlier.last_at": instant("2020-03-02T10:00:00Z"),
    }
    assert asked(life, B2, "kinds") == ()
    assert asked(life, B2, "amount") is None
    assert asked(life, B2, "last_at") == instant("2020-03-02T10:00:00Z")


def test_amounts_are_money_and_vouchers_added_up_and_absent_in_two_currencies() -> None:
    grants = [
        {"kind": "voucher", "amount": "booking.paid"},
        {"kind": "compensation", "amount": 'money("20 ILS")'},
        {"kind": "gesture", "gift": "flowers", "amount": 'money("30 ILS")'},  # worth something, but no money
    ]
    life = Life(draft("p", {"id": "r", "on": "booking.cancelled", "grant": grants}))
    life.on(booked())
    life.on(cancelled())
    assert asked(life, B1, "amount") == Money(120_00, "ILS")  # 100 + 20
    other = Life(draft("p", {"id": "r", "on": "booking.cancelled", "grant": [grants[0]]}))
    other.on(booked())
    other.on(cancelled())
    other.on(booked(at="2020-04-01T10:00:00Z", paid={"amount": "5.00", "currency": "EUR"}))
    other.on(cancelled(at="2020-04-02T10:00:00Z"))
    assert asked(other, B1, "amount") is None


def test_a_denial_is_remembered_by_its_policy_and_grants_nothing() -> None:
    life = Life(draft("p/no", DENY))
    life.on(booked(nights=9))
    life.on(cancelled())
    assert asked(life, B1, "denied_by") == ("p/no",)
    assert asked(life, B1, "kinds") == ()
    assert asked(life, B1, "policies") == ()
    assert asked(life, B1, "last_at") == instant("2020-03-02T10:00:00Z")


def test_a_denial_uses_up_no_cap() -> None:
    life = Life(draft("p", DENY, refund("booking.paid"), cap={"count": 1}))
    life.on(booked("b1", nights=9))
    life.on(booked("b2"))
    assert life.on(cancelled("b1")).denials
    assert life.on(cancelled("b2", at="2020-03-03T10:00:00Z")).remedies


def test_an_open_offer_is_known_until_it_is_settled_and_then_it_is_a_grant() -> None:
    offer = {"alternatives": [{"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]}]}
    life = Life(draft("p", {"id": "r", "on": "booking.cancelled", "offer": offer}))
    life.on(booked())
    decision = life.on(cancelled())
    assert (asked(life, B1, "offered"), asked(life, B1, "kinds")) == (True, ())
    assert asked(life, B2, "offered") is False
    life.on(
        event("remedy.chosen", "2020-03-05T10:00:00Z", decision_id=decision.decision_id, alternative="money")
    )
    assert (asked(life, B1, "offered"), asked(life, B1, "kinds")) == (False, ("refund",))


def test_frozen_is_what_the_last_freeze_or_unfreeze_says() -> None:
    rules = [
        {"id": "stop", "on": "isolation.started", "for": "subscription", "grant": [{"kind": "freeze"}]},
        {"id": "go", "on": "isolation.ended", "for": "subscription", "grant": [{"kind": "unfreeze"}]},
    ]
    life = Life(draft("p", *rules))
    life.on(
        event(
            "subscription.started",
            "2020-01-05T10:00:00Z",
            subscription_id="s1",
            kind="gym",
            monthly_fee=ils("10.00"),
        )
    )
    ref, seen = Ref("subscription", "s1"), []
    for kind, day in (("started", 1), ("ended", 2), ("started", 3)):
        data = {"isolation_id": f"i{day}", "isolated_from": "2020-03-01", "isolated_until": "2020-03-14"}
        life.all_on(event(f"isolation.{kind}", f"2020-03-0{day}T10:00:00Z", **data))
        seen.append(asked(life, ref, "frozen"))
    assert seen == [True, False, True]
