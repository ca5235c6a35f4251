"""A decision told so that a person can follow it, and why-not for the rules that were no candidates."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from support import booked, cancelled, catalogue, draft, last, line, policy_set, refund

from policyengine.domain.decision import RuleTrace
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState, entity_of, evolve
from policyengine.domain.validation import Validator
from policyengine.domain.world import World
from policyengine.engine.decide import decide
from policyengine.engine.explain import explain, why_not
from policyengine.service.policy_sets import PolicySet


def told(prepared: PolicySet, *events: dict[str, Any]) -> str:
    document = json.loads(json.dumps(last(prepared, *events).to_json()))
    return "\n".join(explain(document)) + "\n"


def reasons(prepared: PolicySet, *events: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Why-not of the last event: verdict and reason by rule."""
    return {
        f"{one.policy}/{one.rule}": (one.verdict.value, one.because) for one in not_named(prepared, *events)
    }


def not_named(prepared: PolicySet, *events: dict[str, Any]) -> list[RuleTrace]:
    validator, state = Validator(catalogue()), CustomerState("c1")
    for document in events:
        event = validator.validate(line(document))
        assert isinstance(event, Event)
        state = evolve(state, event, catalogue())
    return list(why_not(prepared.ruleset, state, World(), event, entity_of(event, catalogue())))


class TestExplain:
    def test_it_says_what_for_whom_and_why_with_the_values_seen(self) -> None:
        give = refund(
            "percent(booking.paid, 50)",
            "half",
            when=["booking.nights > 1"],
            say={"en": "You get {amount}.\nSorry."},
        )
        keep = refund(
            "booking.change_fee", "fee", when=["booking.nights * 1 < 2", "booking.travellers * 1 > 0"]
        )
        prepared = policy_set(draft("stay/help", give, keep))
        cancel = {**cancelled(), "id": "e-2", "source": "bookings"}
        assert told(prepared, booked(nights=3), cancel) == textwrap.dedent(f"""\
            Decision {last(prepared, booked(nights=3), cancel).decision_id}
              On 2020-03-02T10:00:00Z, booking.cancelled (bookings, e-2)
              Customer c1, booking b1
              Outcome: granted
                • refund: method original, amount 50.00 ILS  [stay/help v1, rule half, goodwill]
              Message (en): You get ₪50.00.
                            Sorry.
              Why:
                stay/help v1, rule half applied
                  ✓ booking.nights > 1   (booking.nights = 3)
                stay/help v1, rule fee did not apply: `booking.nights * 1 < 2` does not hold
                  ✗ booking.nights * 1 < 2   (booking.nights = 3)
                  ? booking.travellers * 1 > 0   (booking.travellers is absent)
              Decided under policy set {prepared.digest}
        """)

    def test_it_says_so_when_nothing_was_about_the_event(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid")))
        assert "no rule in force is about this event and these facts" in told(prepared, booked())
        assert "Outcome: none" in told(prepared, booked())

    def test_each_loser_says_what_beat_it(self) -> None:
        group = {"group": "g", "choose": "best"}
        prepared = policy_set(
            draft("law", refund('money("10 ILS")', exclusive=group), basis="statutory"),
            draft("more", refund('money("30 ILS")', exclusive=group)),
            draft("less", refund('money("20 ILS")', exclusive=group)),
            draft("other", refund("booking.paid", when=['booking.paid > money("1 EUR")'])),
            draft("trial", refund("booking.paid"), shadow=True),
        )
        text = told(prepared, booked(), cancelled())
        assert (
            "less v1, rule r applied, but another of its group was chosen: in group g, more/r is worth at least as much"
            in text
        )
        assert "more v1, rule r applied: on top of 10.00 ILS owed by law under law/r" in text
        assert "other v1, rule r could not be decided" in text
        assert '! booking.paid > money("1 EUR")   (booking.paid = 100.00 ILS)' in text
        assert "in shadow, not published: refund: method original, amount 100.00 ILS" in text
        assert "trial v1, rule r (shadow) applied" in text

    def test_offers_and_denials_are_told(self) -> None:
        offer = {
            "default": "money",
            "deadline": "2020-04-01",
            "alternatives": [
                {"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
                {"id": "later", "grant": [{"kind": "postpone", "until": "2021-05-01"}]},
            ],
        }
        prepared = policy_set(
            draft("a", {"id": "r", "on": "booking.cancelled", "offer": offer}),
            draft("b", {"id": "no", "on": "booking.cancelled", "deny": {"reason": "too late"}}),
        )
        text = told(prepared, booked(), cancelled())
        assert "• a choice until 2020-04-01  [a v1, rule r]" in text
        assert "money (unless another is chosen): refund: method original, amount 100.00 ILS" in text
        assert "later: postpone: until 2021-05-01" in text
        assert "• denied: too late  [b v1, rule no]" in text

    def test_what_is_in_effect_but_not_enforced_is_marked(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid"), enforced={"from": "2021-01-01"}))
        assert "in effect but not enforced" in told(prepared, booked(), cancelled())


class TestWhyNot:
    def test_another_event(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid", on=["booking.completed", "booking.paid"])))  # type: ignore[arg-type]
        assert reasons(prepared, booked(), cancelled()) == {
            "p/r": ("event", "it is about booking.completed and booking.paid")
        }

    def test_another_entity(self) -> None:
        each = refund("booking.paid", "each") | {"for": "membership"}
        assert reasons(policy_set(draft("p", each)), booked(), cancelled()) == {
            "p/each": ("event", "it is decided for each membership")
        }

    def test_the_window_with_both_its_ends_and_the_moment_asked_for(self) -> None:
        prepared = policy_set(
            draft("old", refund("booking.paid"), effective={"from": "2019-01-01", "until": "2020-03-02"}),
            draft("new", refund("booking.paid"), effective={"from": "2020-03-03"}, timezone="Asia/Jerusalem"),
            draft("day", refund("booking.paid"), effective={"from": "2020-05-02", "by": "booking.starts_on"}),
        )
        assert reasons(prepared, booked(), cancelled()) == {
            "old/r": ("window", "in force from 2019-01-01T00:00:00Z until before 2020-03-02T00:00:00Z, asked on 2020-03-02T10:00:00Z"),
            "new/r": ("window", "in force from 2020-03-02T22:00:00Z, asked on 2020-03-02T10:00:00Z"),
            "day/r": ("window", "in force from 2020-05-02, asked on 2020-05-01"),
        }  # fmt: skip

    def test_an_absent_anchor(self) -> None:
        prepared = policy_set(
            draft("p", refund("booking.paid"), effective={"from": "2020-01-01", "by": "booking.made_at"})
        )
        assert reasons(prepared, cancelled()) == {"p/r": ("window", "its anchor booking.made_at is absent")}

    def test_a_condition_that_failed_or_was_unknown(self) -> None:
        prepared = policy_set(
            draft(
                "p",
                refund("booking.paid", "low", when=["booking.nights > 5"]),
                refund("booking.paid", "gone", when=["booking.travellers > 1"]),
            )
        )
        assert reasons(prepared, booked(nights=5), cancelled()) == {
            "p/low": ("condition", "`booking.nights > 5` does not hold"),
            "p/gone": ("condition", "`booking.travellers > 1` is unknown: booking.travellers absent"),
        }

    def test_a_shadow_rule_is_marked(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid", when=["booking.nights > 5"]), shadow=True))
        assert [one.shadow for one in not_named(prepared, booked(nights=1), cancelled())] == [True]

    def test_every_rule_is_either_in_the_trace_or_in_why_not_never_in_both(self) -> None:
        prepared = policy_set(
            draft("a", refund("booking.paid"), refund("booking.paid", "s", when=["booking.nights > 5"])),
            draft(
                "b",
                refund("booking.paid", on="booking.paid"),
                refund("booking.paid", "s", when=["booking.nights * 1 > 5"]),
            ),
        )
        events = booked(nights=1), cancelled()
        traced = [f"{one.policy}/{one.rule}" for one in last(prepared, *events).trace]
        assert sorted([*traced, *reasons(prepared, *events)]) == ["a/r", "a/s", "b/r", "b/s"]

    def test_asking_why_not_leaves_the_decision_as_it_is(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid")))
        event = Validator(catalogue()).validate(line(cancelled()))
        assert isinstance(event, Event)
        state = evolve(CustomerState("c1"), event, catalogue())
        before = [one.to_json() for one in decide(prepared.ruleset, state, World(), event)]
        list(why_not(prepared.ruleset, state, World(), event, entity_of(event, catalogue())))
        assert [one.to_json() for one in decide(prepared.ruleset, state, World(), event)] == before
