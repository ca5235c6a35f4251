"""A policy set is named by what it says, and what is recorded of it is enough to decide again."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import orjson
import pytest
from support import booked, cancelled, catalogue, decide_all, draft, event, ils, policy, refund

from policyengine.authoring.check import check_folder
from policyengine.ledger.canonical import canonical
from policyengine.service.policy_sets import PolicySet, prepare, recorded

RULES = Path(__file__).parents[2] / "rules"

EVERYTHING = draft(
    "all/of-it",
    {
        "id": "grants",
        "on": ["booking.cancelled", "booking.completed"],
        "priority": -3,
        "when": ["booking.paid > param.least", 'booking.country in ["IL", "ישראל"]'],
        "table": {
            "hit": "first",
            "columns": [{"when": "booking.nights", "type": "integer"}, {"set": "give", "type": "money"}],
            "rows": [["<= 2", "= percent(booking.paid, param.share)"], ["-", "7 ILS"]],
        },
        "grant": [
            {"kind": "refund", "amount": "row.give", "due": "2020-12-31", "note": "soon"},
            {"kind": "freeze", "from": "2020-03-01", "until": "add_months(date_of(event.time), 1)"},
            {"kind": "substitute", "services": ["a", "b"]},
        ],
        "say": {"en": "{amount} {param.share}", "he": "{amount}"},
        "cap": {"amount": "500 ILS", "per": "entity", "period": "30 days"},
    },
    {
        "id": "offers",
        "on": "booking.cancelled",
        "offer": {
            "default": "x",
            "deadline": "2020-12-01",
            "alternatives": [{"id": "x", "grant": [{"kind": "credit", "amount": "booking.paid"}]}],
        },
        "shadow": True,
    },
    {"id": "denies", "on": "booking.cancelled", "when": ["booking.nights * 1 > 9"], "deny": {"reason": "no"}},
    description={"en": "d"},
    cites=["c"],
    announced="2020-01-01",
    review="2021-01-01",
    effective={"from": "2020-01-01T08:00:00", "until": "2021-01-01", "by": "event.time"},
    enforced={"from": "2020-02-01", "otherwise": "withhold"},
    currency="ILS",
    rounding="half_even",
    timezone="Asia/Jerusalem",
    parameters={
        "share": 7.5,
        "least": {"2020-01-01": "10 ILS", "2020-06-01": "12.50 ILS"},
        "day": "2020-01-01",
        "names": ["a", "b"],
        "on": True,
    },
    exclusive={"group": "g", "choose": "all"},
    cap={"count": 3},
)


@cache
def shipped() -> PolicySet:
    return check_folder(RULES, catalogue(), prepare)


class TestTheDigest:
    def test_it_does_not_depend_on_the_order_of_the_files(self) -> None:
        texts = [
            draft("b", refund("booking.paid")),
            draft("a", refund("booking.paid"), version=2, effective={"from": "2021-01-01"}),
            draft("a", refund("booking.paid"), effective={"from": "2020-01-01", "until": "2021-01-01"}),
        ]
        sets = [
            prepare([policy(text) for text in order], catalogue()) for order in itertools.permutations(texts)
        ]
        assert len({one.digest for one in sets}) == 1
        assert len({one.body.raw for one in sets}) == 1
        decisions = [
            [
                orjson.dumps(one.to_json())
                for answer in decide_all(prepared, booked(), cancelled())
                for one in answer
            ]
            for prepared in sets
        ]
        assert all(one == decisions[0] for one in decisions)

    def test_it_does_not_depend_on_the_order_of_keys_or_on_quotes(self) -> None:
        one = policy(
            "{policy: p, version: 1, title: {en: T}, owner: o, basis: goodwill, effective: {from: 2020-01-01}, rules: [{id: r, on: booking.cancelled, deny: {reason: no}}]}"
        )
        two = policy(
            'rules: [{deny: {reason: "no"}, on: booking.cancelled, id: r}]\neffective: {from: "2020-01-01"}\nbasis: goodwill\nowner: o\ntitle: {en: T}\nversion: 1\npolicy: p\n'
        )
        assert prepare([one], catalogue()).digest == prepare([two], catalogue()).digest

    @pytest.mark.parametrize(
        "change",
        [
            {"title": {"en": "Other"}},
            {"cites": ["x"]},
            {"version": 2},
            {"parameters": {"x": 1}},
            {"shadow": True},
        ],
    )
    def test_any_change_of_a_policy_changes_it(self, change: dict[str, object]) -> None:
        before = prepare([policy(draft("p", refund("booking.paid")))], catalogue())
        after = prepare([policy(draft("p", refund("booking.paid"), **change))], catalogue())
        assert before.digest != after.digest

    def test_it_is_in_every_decision(self) -> None:
        prepared = prepare([policy(draft("p", refund("booking.paid")))], catalogue())
        (decision,) = decide_all(prepared, booked())[0]
        assert decision.to_json()["policy_set"] == prepared.digest


def same_again(prepared: PolicySet) -> PolicySet:
    """Read back from its record; the record of what was read is the same, byte for byte."""
    back = recorded(prepared.body.raw)
    assert back.body.raw == prepared.body.raw
    assert back.digest == prepared.digest
    return back


class TestTheRecord:
    def test_a_set_reads_back_to_the_same_bytes_and_decides_the_same(self) -> None:
        prepared = prepare([policy(EVERYTHING)], catalogue())
        back = same_again(prepared)
        events = [
            booked(nights=2, country="IL", paid=ils("200.00")),
            cancelled(at="2020-03-01T00:00:00Z"), cancelled(at="2020-07-01T00:00:00Z"),
        ]  # fmt: skip
        first, second = (decide_all(one, *events) for one in (prepared, back))
        assert [[one.to_json() for one in answer] for answer in first] == [
            [one.to_json() for one in answer] for answer in second
        ]
        # 7.5 % of 200 = 15
        assert [str(one.remedies[0].amount) for (one,) in first[1:]] == ["15.00 ILS", "15.00 ILS"]

    def test_the_record_is_canonical_json(self) -> None:
        body = prepare([policy(EVERYTHING)], catalogue()).body.raw
        assert canonical(orjson.loads(body)) == body

    @pytest.mark.parametrize("name", sorted({file.relative_to(RULES).as_posix() for file in RULES.rglob("*.yaml") if not file.name.endswith(".cases.yaml")}))  # fmt: skip
    def test_each_shipped_policy_reads_back_to_itself(self, name: str) -> None:
        (found,) = [one for one in shipped().policies if f"{one.policy}.v{one.version}.yaml" == name]
        assert same_again(prepare([found], catalogue())).policies == (found,)

    def test_the_shipped_set_reads_back_as_a_whole_and_decides_the_same(self) -> None:
        back = same_again(shipped())
        events = [
            event("subscription.started", "2020-01-01T08:00:00Z", subscription_id="s", kind="gym", monthly_fee=ils("249.00")),
            booked(at="2020-01-05T08:00:00Z", nights=5), cancelled(at="2020-03-20T08:00:00Z"),
            event("membership.started", "2019-04-01T08:00:00Z", membership_id="m", tier="gold", points=1200, ends_on="2020-03-31"),
            event("membership.ended", "2020-04-01T00:00:00Z", membership_id="m"),
            event("complaint.received", "2020-04-01T00:00:00Z", complaint_id="k", topic="price"),
        ]  # fmt: skip
        first, second = (
            [orjson.dumps(one.to_json()) for answer in decide_all(prepared, *events) for one in answer]
            for prepared in (shipped(), back)
        )
        assert first == second
