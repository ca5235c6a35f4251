"""A decision told so that a person can follow it, and why-not for the rules that were no candidates."""

from __future__ import annotations

import json
import textwrap
from typing import Any, ClassVar

from lives import Life
from support import booked, cancelled, catalogue, draft, event, ils, last, line, policy_set, refund
from towns import Town, read

from policyengine.domain.decision import Ref, RuleTrace
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState, entity_of, evolve
from policyengine.domain.validation import Validator
from policyengine.domain.world import World
from policyengine.engine.decide import decide
from policyengine.engine.explain import cause_text, explain, why_not
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


class TestWhatFollows:
    def test_silence_names_the_decision_that_offered_and_says_that_the_offer_holds(self) -> None:
        alternatives = [{"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]}]
        offer = {"alternatives": alternatives, "default": "money", "deadline": "2020-04-01"}
        life = Life(draft("p", {"id": "choose", "on": "booking.cancelled", "offer": offer}))
        life.on(booked())
        offered = life.on(cancelled())
        settled = life.fire(f"{offered.decision_id}/p/choose")
        lines = list(explain(json.loads(json.dumps(settled.to_json()))))
        assert f"  Because decision {offered.decision_id} let it happen" in lines
        assert "    what was offered then holds; no rule in force adds to it" in lines


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
            "less v1, rule r applied, but another was chosen: in group g, more/r is worth at least as much"
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


class TestTheWorldBehindIt:
    CLOSED: ClassVar[dict[str, Any]] = {
        "facility_id": "pool-1",
        "closed_from": "2020-03-15",
        "share_percent": 40,
    }

    def town(self) -> Town:
        share = {"kind": "credit", "amount": "percent(subscription.monthly_fee, facility.share_percent)"}
        rule = {"id": "share", "on": "facility.closed", "grant": [share]}
        note = {"id": "note", "on": "crisis.declared", "grant": [{"kind": "notify", "to": "customer"}]}
        war = {"id": "war", "on": "facility.closed", "for": "subscription", "grant": [share]}
        town = Town(
            policy_set(
                draft("pool", {**rule, "for": "subscription"}, note),
                draft("other", {**rule, "id": "booked", "for": "event_booking"}),
                draft("war", war, crisis={"kind": "war"}),
            )
        )
        site = {"facility_id": "pool-1", "name": "Pool", "kind": "pool", "region": "eilat"}
        town.happens("facility.registered", "2020-01-01T00:00:00Z", "world", **site)
        gym = {"subscription_id": "s1", "kind": "gym", "monthly_fee": ils("50.00"), "site": "pool-1"}
        town.happens("subscription.started", "2020-01-01T00:00:00Z", **gym)
        return town

    def test_it_says_what_happened_in_the_world(self) -> None:
        at = "2020-03-15T10:00:00Z"
        ((decision,),) = self.town().reaches("facility.closed", at, "c1", **self.CLOSED)
        seen = read(event("facility.closed", at, "world", **self.CLOSED))
        lines = list(explain(json.loads(json.dumps(decision.to_json())), cause_text(catalogue(), seen)))
        assert lines[2:5] == [
            "  Because facility.closed pool-1 (closed_from 2020-03-15, share_percent 40)",
            "  Customer c1, subscription s1",
            "  Outcome: granted",
        ]
        assert "    • credit: amount 20.00 ILS  [pool v1, rule share, goodwill]" in lines

    def test_a_customers_own_event_is_no_cause_in_the_world(self) -> None:
        seen = read(cancelled())
        assert cause_text(catalogue(), seen) is None

    def test_why_not_knows_whom_the_event_reached(self) -> None:
        at, town = "2020-03-15T10:00:00Z", self.town()
        town.happens("crisis.declared", at, "world", **pandemic("a", "IL"))
        town.happens("crisis.declared", at, "world", **pandemic("b", "world"))
        town.happens("facility.closed", at, "world", **self.CLOSED)
        seen = read(event("facility.closed", at, "world", **self.CLOSED))
        found = {
            one.policy + "/" + one.rule: (one.verdict.value, one.because)
            for one in why_not(town.ruleset, town.of("c1"), town.world, seen, Ref("subscription", "s1"))
        }
        assert found == {
            "pool/note": ("event", "it is about crisis.declared"),
            "other/booked": ("event", "it is decided for each event_booking"),
            "war/war": ("condition", '`crisis.kind in ["war"]` does not hold'),
        }

    def test_a_general_rule_is_decided_for_the_customer_as_such(self) -> None:
        at, town = "2020-03-15T10:00:00Z", self.town()
        town.happens("crisis.declared", at, "world", **pandemic("a", "IL"))
        seen = read(event("crisis.declared", at, "world", **pandemic("a", "IL")))
        about = Ref("subscription", "s1")
        found = {
            one.rule: one.because for one in why_not(town.ruleset, town.of("c1"), town.world, seen, about)
        }
        assert found["note"] == "it is decided for the customer as such"


def pandemic(key: str, region: str) -> dict[str, str]:
    return {"crisis_id": key, "kind": "pandemic", "region": region, "onset_from": "2020-03-01"}


class TestWhatComesOfIt:
    def test_answers_supplements_timers_and_held_messages_are_told(self) -> None:
        prepared = policy_set(draft("p", refund("booking.paid")))
        document = json.loads(json.dumps(last(prepared, booked(), cancelled()).to_json()))
        document |= {
            "supplements": "d-1",
            "settles": [
                {"offer": "o1", "alternative": "money", "by": "customer", "consented": False},
                {"offer": "o2", "alternative": "later", "by": "silence", "consented": False},
                {"offer": "o3", "alternative": None, "by": "rule", "consented": False},
            ],
            "held": [{"policy": "p", "version": 1, "until": "2020-03-05T00:00:00Z", "messages": {}}],
            "timers": [{"id": "t", "at": "2020-04-01T00:00:00Z", "event": "offer.expired", "data": {}}],
        }
        lines = [line.strip() for line in explain(document)]
        for told in (
            "Adds to decision d-1",
            "• the offer o1 is settled: money, chosen by the customer",
            "• the offer o2 is settled: later, by default, without an answer",
            "• the offer o3 is withdrawn",
            "Message held until the staff know p v1, at the latest until 2020-03-05T00:00:00Z",
            "Later: offer.expired on 2020-04-01T00:00:00Z",
        ):
            assert told in lines
