"""What changed between policies, in the words of a policy owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from policyengine.authoring.words import compare
from policyengine.authoring.words_case import case_text
from tests.support import catalogue, draft, policy, refund

NAME = "travel/refunds"
CAP = {"count": 2, "per": "customer", "period": "year"}
OFFER = {
    "alternatives": [
        {"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
        {"id": "voucher", "grant": [{"kind": "voucher", "amount": "percent(booking.paid, 110)"}]},
    ],
    "default": "money",
    "deadline": "add_days(date_of(event.time), 7)",
}


def table(*rows: list[Any], hit: str = "unique") -> dict[str, Any]:
    columns = [{"when": "booking.nights", "type": "integer"}, {"set": "share", "type": "integer"}]
    return {"hit": hit, "columns": columns, "rows": list(rows)}


def said(old: Mapping[str, Any], new: Mapping[str, Any], **keys: Any) -> list[str]:
    """What changed from one rule to another."""
    before, after = (policy(draft(NAME, {**refund("booking.paid"), **rule}, **keys)) for rule in (old, new))
    return [str(change) for one in compare([before], [after]) for change in one.changes]


def told(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed from one header to another."""
    before, after = (policy(draft(NAME, refund("booking.paid"), **keys)) for keys in (old, new))
    return [str(change) for one in compare([before], [after]) for change in one.changes]


def grant(amount: str, **keys: Any) -> dict[str, Any]:
    return {"grant": [{"kind": "refund", "amount": amount, **keys}]}


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (grant("percent(booking.paid, 80)"), grant("percent(booking.paid, 100)"), "refund 80% → 100% of booking.paid"),
        (grant("percent(booking.paid, 80)"), grant("booking.paid"), "refund 80% → 100% of booking.paid"),
        (grant('money("10 ILS")'), grant('money("12 ILS")'), "refund 10 ILS → 12 ILS"),
        (grant("booking.paid"), grant("percent(booking.price, 50)"), "refund booking.paid → 50% of booking.price"),
        (grant("booking.paid"), grant("booking.paid", method="cash"), "refund method original → cash"),
        (grant("booking.paid"), {"grant": [{"kind": "notify"}]}, "notify added"),
        ({"when": []}, {"when": ["booking.nights > 1"]}, "condition added: booking.nights > 1"),
        ({"when": ["booking.nights > 1"]}, {"when": []}, "condition removed: booking.nights > 1"),
        ({"when": ["booking.nights > 1"]}, {"when": ["booking.nights > 2"]}, "condition booking.nights > 1 → booking.nights > 2"),
        ({"cap": CAP}, {"cap": {**CAP, "count": 3}}, "cap raised 2 times per customer and year → 3 times per customer and year"),
        ({"cap": CAP}, {"cap": {**CAP, "count": 1}}, "cap lowered 2 times per customer and year → 1 times per customer and year"),
        ({}, {"cap": CAP}, "cap added: 2 times per customer and year"),
        ({"on": "booking.cancelled"}, {"on": ["booking.cancelled", "booking.made"]}, "event booking.cancelled → booking.cancelled, booking.made"),
        ({"say": {"en": "A."}}, {"say": {"en": "B."}}, "message changed (en)"),
        ({}, {"say": {"en": "B."}}, "message added (en)"),
        ({}, {"priority": 5}, "priority 0 → 5"),
        ({"table": table([1, 50])}, {"table": table([1, 60])}, "table row 1: share 50 → 60"),
        ({"table": table([1, 50])}, {"table": table([1, 50], [2, 60])}, "table row 2 added: 2 | 60"),
        ({"table": table([1, 50], [2, 60])}, {"table": table([2, 60])}, "table row removed: 1 | 50"),
        ({"table": table([1, 50])}, {"table": table([1, 50], hit="first")}, "table hit unique → first"),
    ],
)  # fmt: skip
def test_a_change_within_a_rule(old: dict[str, Any], new: dict[str, Any], text: str) -> None:
    assert f"r: {text}" in said(old, new)


def test_choices() -> None:
    dearer = {"id": "voucher", "grant": [{"kind": "voucher", "amount": "percent(booking.paid, 120)"}]}
    later = {**OFFER, "alternatives": [dearer], "default": "voucher"}
    assert said({"grant": [], "offer": OFFER}, {"grant": [], "offer": later}) == [
        "r: choice money removed",
        "r: choice voucher: voucher 110% → 120% of booking.paid",
        "r: without an answer money → voucher",
    ]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            {"effective": {"from": "2020-01-01"}}, {"effective": {"from": "2020-02-01", "until": "2021-01-01"}},
            "window moved: from 2020-01-01 on, by event.time → from 2020-02-01 until 2021-01-01, by event.time",
        ),
        ({}, {"basis": "contractual"}, "basis goodwill → contractual"),
        ({}, {"cites": ["A law"]}, "cites A law"),
        ({}, {"shadow": True}, "shadow no → yes"),
        ({"parameters": {"share": 10}}, {"parameters": {"share": 12}}, "parameter share 10 → 12"),
        (
            {"parameters": {"share": {"2020-01-01": 10}}}, {"parameters": {"share": {"2020-01-01": 10, "2020-07-01": 15}}},
            "parameter share 10 → 15 from 2020-07-01",
        ),
        (
            {"parameters": {"share": {"2020-01-01": 10}}}, {"parameters": {"share": {"2019-01-01": 10}}},
            "parameter share none → 10 from 2019-01-01",
        ),
        ({}, {"parameters": {"share": 10}}, "parameter share added: 10"),
    ],
)  # fmt: skip
def test_a_change_of_a_version(old: dict[str, Any], new: dict[str, Any], text: str) -> None:
    assert told(old, new) == [text]


def test_a_later_version_is_compared_with_the_one_before_it() -> None:
    one = policy(
        draft(
            NAME, refund("percent(booking.paid, 80)"), effective={"from": "2020-01-01", "until": "2020-07-01"}
        )
    )
    two = policy(draft(NAME, refund("booking.paid"), version=2, effective={"from": "2020-07-01"}))
    (found,) = compare([one], [one, two])
    assert found.heading == "version 2 added, after version 1"
    assert [str(change) for change in found.changes] == [
        "window from 2020-07-01 on, by event.time",
        "r: refund 80% → 100% of booking.paid from 2020-07-01",
    ]


def test_rules_come_go_and_are_renamed() -> None:
    old = policy(draft(NAME, refund("booking.paid", "a"), refund("booking.price", "b")))
    new = policy(draft(NAME, refund("booking.paid", "z"), refund('money("1 ILS")', "c")))
    (found,) = compare([old], [new])
    assert [str(change) for change in found.changes] == [
        "z: rule renamed, was a",
        "b: rule removed (refund booking.price on booking.cancelled)",
        "c: rule added (refund 1 ILS on booking.cancelled)",
    ]


def test_policies_come_and_go_and_the_same_is_nothing() -> None:
    one, two = (policy(draft(name, refund("booking.paid"))) for name in ("a/a", "b/b"))
    assert compare([one], [one]) == []
    assert [(each.policy, each.what) for each in compare([one], [two])] == [
        ("a/a", "removed"),
        ("b/b", "added"),
    ]


def test_a_case_says_what_could_be_read_otherwise_in_quotes() -> None:
    made = {
        "type": "booking.made", "time": "2020-02-01T10:00:00Z", "subject": "on", "source": "crm", "id": "e1",
        "data": {"booking_id": "2020-01-01", "kind": "yes", "starts_on": "2020-05-01", "nights": 3,
                 "paid": {"amount": "100.00", "currency": "ILS"}},
    }  # fmt: skip
    text = case_text("it: shows", [made], catalogue(), None)
    given = (
        '      - booking.made: {at: 2020-02-01T10:00:00Z, customer: "on", source: crm, booking_id: "2020-01-01", '
        'kind: "yes", starts_on: 2020-05-01, nights: 3, paid: 100.00 ILS}'
    )
    assert text.splitlines() == [
        '  - name: "it: shows"', "    with: all", "    given:", given, "    expect:", "      outcome: none",
    ]  # fmt: skip
