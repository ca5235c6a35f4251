"""Versions for a share of the customers, and versions on trial: who is decided under which."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.domain.decision import Decision, Verdict
from policyengine.domain.policy import Policy
from policyengine.domain.policy_model import Customers
from policyengine.engine.answers import answer_to
from policyengine.engine.explain import explain
from policyengine.engine.faults import CompileError
from policyengine.engine.shares import apart, bucket
from policyengine.errors import PublishingError
from policyengine.service.policy_sets import PolicySet, prepare
from policyengine.service.trials import canaried, live_alone, shadowed
from tests.support import booked, cancelled, catalogue, decide_all, draft, policy, policy_set, refund

GROUPS = {"group": "canary", "from": 0, "until": 10}


def rule(percent: int, **keys: Any) -> dict[str, Any]:
    return refund(f"percent(booking.paid, {percent})", **keys)


def half(**keys: Any) -> str:
    return draft("travel/back", rule(50), **keys)


def more(**keys: Any) -> str:
    """Version 2: 80 per cent, from 2020-03-01 on."""
    return draft("travel/back", rule(80), version=2, effective={"from": "2020-03-01"}, **keys)


def of(prepared: PolicySet, customer: str, at: str = "2020-03-02T10:00:00Z") -> Decision:
    """What a customer is given who cancels a booking of 100 ILS."""
    events = [{**one, "subject": customer} for one in (booked(), cancelled(at=at))]
    return decide_all(prepared, *events)[-1][-1]


def paid(decision: Decision) -> list[str]:
    return [f"{one.policy}@{one.version} {one.amount}" for one in decision.remedies]


def tried(decision: Decision) -> list[str]:
    return [f"{one.policy}@{one.version} {one.amount}" for one in decision.shadow_remedies]


def merged(live: list[Policy], *texts: str, percent: int | None = None) -> PolicySet:
    candidate = [policy(text) for text in texts]
    return prepare(
        shadowed(live, candidate) if percent is None else canaried(live, candidate, percent), catalogue()
    )


LIVE = [policy(half())]
INSIDE = next(name for name in map(str, range(100)) if bucket("canary", name) < 10)
OUTSIDE = next(name for name in map(str, range(100)) if bucket("canary", name) >= 30)


class TestBuckets:
    @given(st.text(), st.text(min_size=1))
    def test_a_customers_hundredth_is_what_the_documents_say(self, group: str, customer: str) -> None:
        raw = b"policyengine/share/v1\n" + group.encode() + b"\n" + customer.encode()
        assert bucket(group, customer) == int(sha256(raw).hexdigest()[:16], 16) % 100

    def test_it_never_changes(self) -> None:
        assert [bucket("canary", name) for name in ("c1", "דנה", "")] == [65, 25, 4]

    def test_a_tenth_is_about_a_tenth(self) -> None:
        """Of 10,000: the standard deviation is 30."""
        assert 850 < sum(bucket("canary", str(number)) < 10 for number in range(10_000)) < 1150

    @given(st.integers(0, 99), st.integers(1, 100), st.integers(0, 99), st.integers(1, 100))
    def test_shares_are_apart_where_no_hundredth_is_in_both(self, a: int, b: int, c: int, d: int) -> None:
        if a < b and c < d:
            one, other = Customers(group="g", from_=a, until=b), Customers(group="g", from_=c, until=d)
            assert apart(one, other) is not bool(set(range(a, b)) & set(range(c, d)))
            assert not apart(one, Customers(group="h", from_=c, until=d))


class TestCanary:
    def test_its_share_is_decided_under_it_and_all_others_as_before(self) -> None:
        prepared = merged(LIVE, more(), percent=10)
        assert paid(of(prepared, INSIDE)) == ["travel/back@2 80.00 ILS"]
        assert paid(of(prepared, OUTSIDE)) == ["travel/back@1 50.00 ILS"]

    def test_before_it_begins_nobody_is(self) -> None:
        prepared = merged(LIVE, more(), percent=10)
        assert paid(of(prepared, INSIDE, "2020-02-28T10:00:00Z")) == ["travel/back@1 50.00 ILS"]

    @pytest.mark.parametrize("percent", [10, 30, 99])
    def test_widening_it_takes_nobody_out(self, percent: int) -> None:
        assert paid(of(merged(LIVE, more(), percent=percent), INSIDE)) == ["travel/back@2 80.00 ILS"]

    def test_a_trace_says_why_a_version_is_not_for_somebody(self) -> None:
        prepared = merged(LIVE, more(), percent=10)
        inside, outside = of(prepared, INSIDE), of(prepared, OUTSIDE)
        assert [(one.version, one.verdict) for one in inside.trace] == [
            (1, Verdict.SHARE),
            (2, Verdict.APPLIED),
        ]
        assert inside.trace[0].because == "version 2 is on trial for this customer's share"
        at = bucket("canary", OUTSIDE)
        assert outside.trace[1].because == (
            f"not in this customer's share: {at} of 100 in `canary` is not in [0, 10)"
        )
        assert "is not for this customer: not in this customer's share" in "\n".join(
            explain(outside.to_json())
        )

    def test_who_is_in_the_share_gets_nothing_of_the_live_version_where_the_trial_gives_nothing(self) -> None:
        harder = draft(
            "travel/back",
            rule(80, when=["booking.kind == 'package'"]),
            version=2,
            effective={"from": "2020-03-01"},
        )
        assert paid(of(merged(LIVE, harder, percent=10), INSIDE)) == []

    def test_it_is_widened_and_ended_by_publishing_again(self) -> None:
        ten = merged(LIVE, more(), percent=10)
        thirty = merged(list(ten.policies), more(), percent=30)
        assert thirty.digest == merged(LIVE, more(), percent=30).digest
        assert prepare(live_alone(thirty.policies), catalogue()).digest == policy_set(half()).digest

    def test_who_asks_is_told_what_holds_for_them(self) -> None:
        ruleset = merged(LIVE, more(), percent=10).ruleset

        def version(customer: str | None) -> Any:
            answer, _ = answer_to(ruleset, "travel/back", date(2020, 3, 2), customer)
            return answer["governs"]["version"]  # type: ignore[index,call-overload]

        assert [version(one) for one in (INSIDE, OUTSIDE, None)] == [2, 1, 1]
        in_shadow, _ = answer_to(merged(LIVE, more()).ruleset, "travel/back", date(2020, 3, 2), INSIDE)
        assert in_shadow["governs"]["version"] == 1  # type: ignore[index,call-overload]


class TestShadow:
    def test_it_is_recorded_beside_what_is_given_and_changes_nothing(self) -> None:
        decision = of(merged(LIVE, more()), "c1")
        assert paid(decision) == paid(of(policy_set(half()), "c1")) == ["travel/back@1 50.00 ILS"]
        assert tried(decision) == ["travel/back@2 80.00 ILS"]
        assert decision.to_json()["shadow"]["tried"] == ["travel/back@2"]  # type: ignore[index,call-overload]

    def test_that_it_would_give_nothing_is_recorded_too(self) -> None:
        harder = draft("travel/back", rule(80, when=["booking.nights > 3"]), version=2)
        decision = of(merged(LIVE, harder), "c1")
        assert (tried(decision), decision.tried) == ([], ("travel/back@2",))

    def test_before_it_begins_it_is_not_tried(self) -> None:
        assert of(merged(LIVE, more()), "c1", "2020-02-28T10:00:00Z").tried == ()

    def test_other_policies_stand_beside_it_as_they_would(self) -> None:
        """In one group, of which the best counts: 60 of another policy before 50, but 80 before 60."""
        group = {"exclusive": {"group": "g", "choose": "best"}}
        other = draft("travel/other", rule(60), **group)
        prepared = merged([policy(half(**group)), policy(other)], more(**group))
        decision = of(prepared, "c1")
        assert paid(decision) == ["travel/other@1 60.00 ILS"]
        assert tried(decision) == ["travel/back@2 80.00 ILS"]
        less = draft("travel/back", rule(55), version=2, **group)
        assert tried(of(merged([policy(half(**group)), policy(other)], less), "c1")) == []

    def test_its_caps_are_its_own(self) -> None:
        """At most 100 ILS a customer: live gives 50, 50 and nothing more; on trial 80, 20 and nothing more."""
        cap = {"cap": {"amount": "100 ILS"}}
        prepared = merged([policy(half(**cap))], more(**cap))
        days = [f"2020-03-0{day}T10:00:00Z" for day in (2, 3, 4)]
        events = [
            *(booked(key) for key in ("b1", "b2", "b3")),
            *(cancelled(f"b{nth}", at) for nth, at in enumerate(days, start=1)),
        ]
        decisions = [one for (one,) in decide_all(prepared, *events)[3:]]
        assert [paid(one) for one in decisions] == [
            ["travel/back@1 50.00 ILS"],
            ["travel/back@1 50.00 ILS"],
            [],
        ]
        assert [tried(one) for one in decisions] == [
            ["travel/back@2 80.00 ILS"],
            ["travel/back@2 20.00 ILS"],
            [],
        ]

    def test_what_was_really_granted_before_the_trial_counts(self) -> None:
        """60 left by a live grant of 40 ILS before it begins: 80 are reduced to 60."""
        cap = {"cap": {"amount": "100 ILS"}}
        prepared = merged([policy(draft("travel/back", rule(40), **cap))], more(**cap))
        events = [booked("b1"), booked("b2"), cancelled("b1", "2020-02-20T10:00:00Z"), cancelled("b2")]
        decisions = [one for (one,) in decide_all(prepared, *events)[2:]]
        assert [tried(one) for one in decisions] == [[], ["travel/back@2 60.00 ILS"]]

    def test_what_is_tried_is_no_past_for_conditions(self) -> None:
        once = "!('refund' in earlier.kinds)"
        never = draft("travel/back", rule(50, when=["booking.paid > money('1000 ILS')"]))
        prepared = merged([policy(never)], draft("travel/back", rule(80, when=[once]), version=2))
        events = [booked("b1"), cancelled("b1"), cancelled("b1", "2020-03-03T10:00:00Z", "customer")]
        decisions = [one for (one,) in decide_all(prepared, *events)[1:]]
        assert [tried(one) for one in decisions] == [["travel/back@2 80.00 ILS"]] * 2

    def test_nothing_reaches_back_in_shadow(self) -> None:
        back = more(retroactive={"from": "2020-02-01"}, announced="2020-03-01")
        (made,) = [one for one in merged(LIVE, back).policies if one.trial]
        assert made.retroactive is None


class TestRefusals:
    def test_a_changed_version_needs_another_number(self) -> None:
        with pytest.raises(
            PublishingError, match=r"PE737 version 1 of `travel/back` .*: give it the next number"
        ):
            merged(LIVE, draft("travel/back", rule(80)))

    def test_nothing_new_is_nothing_to_try(self) -> None:
        with pytest.raises(PublishingError, match="there is nothing to try"):
            merged(LIVE, half())

    def test_a_version_may_end_where_its_successor_begins(self) -> None:
        ended = half(effective={"from": "2020-01-01", "until": "2020-03-01"})
        assert tried(of(merged(LIVE, ended, more()), "c1")) == ["travel/back@2 80.00 ILS"]
        with pytest.raises(PublishingError, match="without a successor"):
            merged(LIVE, ended, draft("travel/new", rule(1)))

    def test_trial_is_not_written_by_hand_into_a_candidate(self) -> None:
        with pytest.raises(PublishingError, match="says `trial` itself"):
            merged(LIVE, more(trial="shadow"))

    @pytest.mark.parametrize(
        ("one", "other", "fits"),
        [
            (
                {"customers": {**GROUPS, "until": 50}},
                {"customers": {**GROUPS, "from": 50, "until": 100}},
                True,
            ),
            (
                {"customers": {**GROUPS, "until": 51}},
                {"customers": {**GROUPS, "from": 50, "until": 100}},
                False,
            ),
            ({"customers": GROUPS}, {"customers": {"group": "other", "from": 50, "until": 100}}, False),
            ({"customers": GROUPS}, {}, False),
            ({}, {"shadow": True}, True),
            ({}, {}, False),
        ],
    )
    def test_versions_of_one_time_are_for_others_or_in_shadow(
        self, one: dict[str, Any], other: dict[str, Any], fits: bool
    ) -> None:
        texts = half(**one), more(**other)
        if fits:
            assert policy_set(*texts)
        else:
            with pytest.raises(CompileError, match="PE050"):
                policy_set(*texts)


def test_a_set_without_trials_has_the_bytes_that_it_had() -> None:
    (recorded,) = orjson.loads(policy_set(half()).body.raw)["policies"]
    assert not {"trial", "customers"} & recorded.keys()
