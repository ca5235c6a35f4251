"""What a customer is answered who asks which policy holds."""

from __future__ import annotations

from datetime import date
from typing import Any

from policyengine.domain.decision import Decision
from policyengine.domain.documents import DecisionDocument
from policyengine.engine.answers import answer_to
from tests.support import draft, event, last, policy_set, refund

FIRST = draft(
    "travel/half-back",
    refund("percent(booking.paid, 50)", title={"en": "Half the money", "he": "מחצית הכסף"}),
    title={"en": "Half comes back", "he": "מחצית חוזרת"},
    effective={"from": "2020-03-01", "until": "2020-06-01"},
    timezone="Asia/Jerusalem",
    cites=["Board, 1 March 2020"],
    announced="2020-02-28",
)
CHOICE = {
    "id": "choose",
    "on": "booking.cancelled",
    "offer": {
        "alternatives": [
            {"id": "money", "title": {"en": "The money", "he": "הכסף"}, "grant": [{"kind": "refund", "amount": "booking.paid"}]},
            {"id": "voucher", "title": {"en": "A voucher", "he": "שובר"}, "grant": [{"kind": "voucher", "amount": "booking.paid"}]},
        ],
    },
}  # fmt: skip
SECOND = draft(
    "travel/half-back",
    CHOICE,
    version=2,
    title={"en": "You choose", "he": "הבחירה שלך"},
    effective={"from": "2020-06-01"},
    timezone="Asia/Jerusalem",
)


def asked(at: str = "2020-04-01T10:00:00Z", about: str = "travel/half-back", **data: Any) -> Decision:
    return last(policy_set(FIRST, SECOND), event("policy.asked", at, about=about, **data))


def governs(decision: Decision) -> Any:
    assert decision.answer is not None
    return decision.answer["governs"]


class TestAnswers:
    def test_the_version_that_governs_is_told_with_what_it_rests_on(self) -> None:
        version = governs(asked())
        assert (version["policy"], version["version"], version["basis"]) == (
            "travel/half-back",
            1,
            "goodwill",
        )
        assert version["title"] == {"en": "Half comes back", "he": "מחצית חוזרת"}
        assert (version["cites"], version["announced"]) == (["Board, 1 March 2020"], "2020-02-28")
        assert version["window"] == {
            "by": "event.time",
            "from": "2020-02-29T22:00:00Z",  # midnight in Jerusalem, two hours ahead of UTC in winter
            "until": "2020-05-31T21:00:00Z",  # and three in summer
            "timezone": "Asia/Jerusalem",
        }

    def test_what_it_grants_is_told_by_kind(self) -> None:
        (rule,) = governs(asked())["rules"]
        assert (rule["rule"], rule["on"], rule["grants"]) == ("r", ["booking.cancelled"], ["refund"])
        assert (rule["offers"], rule["denies"]) == ([], None)

    def test_what_it_offers_is_told_by_alternative(self) -> None:
        (rule,) = governs(asked("2020-07-01T10:00:00Z"))["rules"]
        assert [(one["id"], one["kinds"]) for one in rule["offers"]] == [
            ("money", ["refund"]),
            ("voucher", ["voucher"]),
        ]

    def test_the_customer_is_told_in_two_languages(self) -> None:
        messages = asked("2020-07-01T10:00:00Z").messages
        assert set(messages) == {"en", "he"}
        assert messages["en"].startswith("On July 1, 2020, “\u2068You choose\u2069” (version 2) governs.")
        assert "\u2068The money\u2069 and \u2068A voucher\u2069" in messages["en"]
        assert "\u2068הבחירה שלך\u2069" in messages["he"]  # noqa: RUF001

    def test_a_day_that_is_asked_for_goes_before_the_event_s_own(self) -> None:
        assert governs(asked(as_of="2020-06-01"))["version"] == 2
        assert governs(asked(as_of="2020-05-31"))["version"] == 1

    def test_a_version_governs_from_its_first_midnight_on(self) -> None:
        """1 June begins in Jerusalem at 21:00 UTC the day before."""
        assert governs(asked("2020-05-31T20:59:59Z"))["version"] == 1
        assert governs(asked("2020-05-31T21:00:00Z"))["version"] == 2

    def test_before_the_first_version_none_governs_and_the_next_is_named(self) -> None:
        decision = asked(as_of="2020-02-01")
        assert decision.answer is not None
        assert (decision.answer["known"], governs(decision)) == (True, None)
        assert decision.answer["next"] == {"version": 1, "from": "2020-02-29T22:00:00Z"}
        assert "no version" in decision.messages["en"]
        assert "from March 1, 2020" in decision.messages["en"]

    def test_after_the_last_version_none_governs_and_none_follows(self) -> None:
        answer, words = answer_to(policy_set(FIRST).ruleset, "travel/half-back", date(2020, 6, 1))
        assert (answer["governs"], answer["next"]) == (None, None)
        assert words["en"].endswith("governs.")

    def test_an_unknown_policy_is_answered_with_the_nearest_name(self) -> None:
        decision = asked(about="travel/half-bak")
        assert decision.answer is not None
        assert (decision.answer["known"], decision.answer["hint"]) == (
            False,
            "did you mean `travel/half-back`?",
        )
        assert "There is no policy" in decision.messages["en"]

    def test_a_version_anchored_by_another_day_is_answered_for_that_day(self) -> None:
        anchored = draft(
            "travel/by-start",
            refund("booking.paid"),
            effective={"from": "2020-03-01", "by": "booking.starts_on"},
        )
        answer, words = answer_to(policy_set(anchored).ruleset, "travel/by-start", date(2020, 3, 1))
        assert answer["governs"]["window"]["from"] == "2020-03-01"  # type: ignore[index, call-overload]
        assert words["en"].startswith("For \u2068booking.starts_on\u2069 on March 1, 2020")

    def test_rules_in_shadow_are_not_told(self) -> None:
        shadow = draft("travel/half-back", refund("booking.paid", shadow=True), refund("booking.paid", "s"))
        answer, _ = answer_to(policy_set(shadow).ruleset, "travel/half-back", date(2020, 3, 1))
        assert [rule["rule"] for rule in answer["governs"]["rules"]] == ["s"]  # type: ignore[index, call-overload]

    def test_a_question_grants_nothing_and_its_document_is_one(self) -> None:
        decision = asked()
        assert (decision.outcome.value, decision.remedies) == ("none", ())
        DecisionDocument.model_validate_json(_json(decision))

    def test_other_events_have_no_answer(self) -> None:
        decision = last(
            policy_set(FIRST),
            event("complaint.received", "2020-04-01T10:00:00Z", complaint_id="k", topic="price"),
        )
        assert decision.answer is None
        assert "answer" not in decision.to_json()


def _json(decision: Decision) -> bytes:
    import orjson

    return orjson.dumps(decision.to_json())
