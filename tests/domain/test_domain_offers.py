"""Offers: which answer is accepted, and that what was offered is read back exactly."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import Life, parts, read
from support import booked, cancelled, draft, event

from policyengine.domain.decision import Choice, Decision, Offered, Outcome, Ref, Remedy, Settled
from policyengine.domain.kept import offer_id, parts_of
from policyengine.domain.money import Money
from policyengine.domain.offers import admit_choice, open_offers, read_offer
from policyengine.domain.state import CustomerState, evolve_decided, evolve_recorded

B1 = Ref("booking", "b1")


def choice_of(*kinds: str, **keys: Any) -> dict[str, Any]:
    """A rule that offers what was paid, as each of these kinds."""
    alternatives = [{"id": kind, "grant": [{"kind": kind, "amount": "booking.paid"}]} for kind in kinds]
    offer = {"alternatives": alternatives, **keys}
    return {"id": "choose", "on": "booking.cancelled", "offer": offer}


def offering(*rules: dict[str, Any]) -> tuple[Life, Decision]:
    life = Life(draft("p/q", *(rules or (choice_of("refund", "voucher"),))))
    life.on(booked())
    return life, life.on(cancelled())


def answer(decision: Decision, alternative: str = "refund", **data: Any) -> dict[str, Any]:
    return event(
        "remedy.chosen",
        "2020-03-05T10:00:00Z",
        decision_id=decision.decision_id,
        alternative=alternative,
        **data,
    )


def refusal(life: Life, document: dict[str, Any]) -> tuple[str, str]:
    refused = life.refused(document)
    assert refused is not None
    return refused.code, refused.reason


class TestAnOfferIsAnEntity:
    def test_it_is_open_and_about_what_was_decided_on(self) -> None:
        life, decision = offering(choice_of("refund", "voucher", default="refund", deadline="2020-04-01"))
        values = dict(life.entity("offer", f"{decision.decision_id}/p/q/choose").values)
        del values["document"]
        assert values == {
            "policy": "p/q",
            "version": 1,
            "rule": "choose",
            "decision_id": decision.decision_id,
            "status": "open",
            "deadline": date(2020, 4, 1),
            "consent": False,
            "about_type": "booking",
            "about_id": "b1",
        }
        assert open_offers(life.state, B1) == [f"{decision.decision_id}/p/q/choose"]
        assert open_offers(life.state, B1, "p/q") == [f"{decision.decision_id}/p/q/choose"]
        assert open_offers(life.state, B1, "p/other") == []
        assert open_offers(life.state, None) == []

    def test_its_id_can_be_taken_apart_although_a_policys_name_may_have_slashes(self) -> None:
        assert parts_of(offer_id("d-1", "travel/hotels/points", "r")) == ("d-1", "travel/hotels/points", "r")


class TestAdmitting:
    def test_an_alternative_of_an_open_offer_is_accepted(self) -> None:
        life, decision = offering()
        assert life.refused(answer(decision)) is None
        assert life.refused(answer(decision, policy="p/q", rule="choose")) is None

    def test_other_events_are_never_refused(self) -> None:
        life, _ = offering()
        assert life.refused(booked("b2")) is None

    def test_an_offer_that_nobody_made(self) -> None:
        life, decision = offering()
        other = event(
            "remedy.chosen", "2020-03-05T10:00:00Z", decision_id="d-" + "0" * 32, alternative="refund"
        )
        assert refusal(life, other) == ("EV110", f"customer c1 has no offer d-{'0' * 32}")
        code, reason = refusal(life, answer(decision, rule="other"))
        assert (code, reason) == ("EV110", f"customer c1 has no offer {decision.decision_id} / other")

    def test_an_offer_of_another_customer(self) -> None:
        _, decision = offering()
        chosen = read({**answer(decision), "subject": "c2"})
        refused = admit_choice(CustomerState("c2"), chosen)
        assert refused is not None
        assert refused.code == "EV110"
        assert "customer c2 has no offer" in refused.reason

    def test_several_offers_of_one_decision_must_be_told_apart(self) -> None:
        second = {**choice_of("credit"), "id": "again"}
        life, decision = offering(choice_of("refund"), second)
        code, reason = refusal(life, answer(decision))
        assert code == "EV111"
        assert reason.endswith("name policy and rule of one: p/q / again, p/q / choose")
        assert life.refused(answer(decision, rule="choose")) is None
        assert refusal(life, answer(decision, rule="again"))[0] == "EV112"  # credit was offered there

    def test_an_alternative_that_was_not_offered(self) -> None:
        life, decision = offering()
        assert refusal(life, answer(decision, "cash")) == (
            "EV112",
            "no alternative `cash` was offered; there are refund, voucher",
        )

    def test_of_two_answers_the_first_counts(self) -> None:
        life, decision = offering()
        life.on(answer(decision, "voucher"))
        assert refusal(life, answer(decision, "refund")) == (
            "EV113",
            "the offer was answered before, with `voucher`: the first answer counts",
        )
        assert refusal(life, answer(decision, "voucher"))[0] == "EV113"

    def test_after_the_deadline_silence_has_answered(self) -> None:
        life, decision = offering(choice_of("refund", "voucher", default="refund", deadline="2020-04-01"))
        life.fire(f"{decision.decision_id}/p/q/choose")
        # the answer is of 5 March, in time, but it came after the timer had fired
        code, reason = refusal(life, answer(decision, "voucher"))
        assert code == "EV113"
        assert reason == (
            "the offer was settled with `refund` since no answer had come by 2020-04-01; this one is of 2020-03-05"
            "T10:00:00Z and came in after that; whether the customer gets `voucher` after all, a person decides"
        )

    def test_where_the_law_asks_for_consent_it_must_be_said(self) -> None:
        life, decision = offering(choice_of("refund", "voucher", consent=True))
        assert refusal(life, answer(decision))[0] == "EV115"
        assert refusal(life, answer(decision, consented=False))[0] == "EV115"
        assert life.refused(answer(decision, consented=True)) is None


MONEY = st.builds(Money, st.integers(0, 10**12), st.sampled_from(["ILS", "EUR", "JPY"]))
DAYS = st.dates(date(1900, 1, 1), date(2200, 12, 31))
TEXT = st.text(max_size=8)
REMEDIES = st.one_of(
    st.fixed_dictionaries(
        {"amount": MONEY, "method": st.sampled_from(["original", "bank"])},
        optional={"due": DAYS, "note": TEXT},
    ).map(lambda values: ("refund", values)),
    st.fixed_dictionaries(
        {"amount": MONEY, "transferable": st.booleans()},
        optional={"valid_until": DAYS, "refundable_from": DAYS},
    ).map(lambda values: ("voucher", values)),
    st.fixed_dictionaries({}, optional={"new_date": DAYS, "until": DAYS}).map(
        lambda values: ("postpone", values)
    ),
    st.fixed_dictionaries({"points": st.integers(0, 10**9)}, optional={"on": TEXT}).map(
        lambda values: ("points.bonus", values)
    ),
    st.lists(TEXT, min_size=1, max_size=3).map(lambda names: ("substitute", {"services": tuple(names)})),
    st.fixed_dictionaries({}, optional={"from": DAYS, "until": DAYS}).map(lambda values: ("freeze", values)),
).flatmap(
    lambda made: st.booleans().map(
        lambda enforced: Remedy(made[0], made[1], "p/q", 3, "r", "goodwill", enforced)
    )
)
CHOICES = st.builds(
    lambda key, remedies, title: Choice(key, tuple(remedies), title),
    st.text(alphabet="abc", min_size=1, max_size=3),
    st.lists(REMEDIES, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["en", "he"]), TEXT),
)
OFFERS = st.builds(
    lambda choices, default, deadline, consent: Offered(
        "p/q", 3, "r", "goodwill", tuple(choices), default, deadline, consent
    ),
    st.lists(CHOICES, min_size=1, max_size=3),
    st.none() | st.just("a"),
    st.none() | DAYS,
    st.booleans(),
)


def decided(offer: Offered, entity: Ref | None = B1, **more: Any) -> Decision:
    """A decision that makes an offer."""
    moment = read(cancelled()).time
    return Decision(
        "d-1", "test", "e1", "booking.cancelled", moment, "c1", entity, Outcome.OFFERED, "f" * 64,
        offers=(offer,), **more,
    )  # fmt: skip


@given(OFFERS, st.none() | st.just(B1))
@settings(max_examples=150, deadline=None)
def test_what_was_offered_is_read_back_exactly(offer: Offered, entity: Ref | None) -> None:
    state = evolve_decided(CustomerState("c1"), decided(offer, entity))
    seen = read_offer(state.entities["offer"]["d-1/p/q/r"].values)
    assert seen == offer
    assert seen.to_json() == offer.to_json()
    assert open_offers(state, entity) == ["d-1/p/q/r"]


SETTLED = st.sampled_from(
    [
        (),
        (Settled("d-1/p/q/r", "a", "customer", consented=True),),
        (Settled("d-1/p/q/r", "a", "silence"),),
        (Settled("d-1/p/q/r", None, "rule"),),
        (Settled("d-9/p/q/r", "a", "customer"),),  # an offer that nobody knows
    ]
)


@given(OFFERS, st.lists(SETTLED, max_size=3))
@settings(max_examples=100, deadline=None)
def test_a_state_is_the_same_from_decisions_and_from_the_ledger(
    offer: Offered, settled: list[tuple[Settled, ...]]
) -> None:
    made = recorded = CustomerState("c1")
    decisions = [decided(offer)]
    decisions += [decided(offer)._replace(decision_id="d-2", settles=one, offers=()) for one in settled]
    for decision in decisions:
        made = evolve_decided(made, decision)
        recorded = evolve_recorded(recorded, decision.to_json())
        assert parts(made) == parts(recorded)


@pytest.mark.parametrize("by", ["customer", "silence"])
def test_a_settled_offer_says_what_was_taken_and_by_whom(by: Any) -> None:
    offer = Offered(
        "p/q", 3, "r", "goodwill", (Choice("a", (Remedy("notify", {}, "p/q", 3, "r", "goodwill"),)),)
    )
    state = evolve_decided(CustomerState("c1"), decided(offer))
    answered = decided(offer)._replace(decision_id="d-2", offers=(), settles=(Settled("d-1/p/q/r", "a", by),))
    values = evolve_decided(state, answered).entities["offer"]["d-1/p/q/r"].values
    assert (values["status"], values["chosen"], values["by"]) == ("settled", "a", by)
