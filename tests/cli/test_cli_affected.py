"""`affected`: what a version that reaches back would add, shown before it is published."""

from __future__ import annotations

from pathlib import Path

from tests.cli.commands import Place, call, is_one_clear_line
from tests.service.runs import lines
from tests.service.test_service_affected import FIRST, SECOND
from tests.support import booked, cancelled


def decided(place: Place) -> Path:
    """A ledger in which half of 100 ILS went back; the folder that would make it 80 from March on."""
    place.policy(FIRST, "back.v1.yaml")
    place.file("events.jsonl", lines(booked(), cancelled()))
    assert place.run(POLICYENGINE_LOG_LEVEL="error").code == 0
    place.policy(FIRST, "back.v1.yaml", "new")
    return place.policy(SECOND, "back.v2.yaml", "new")


def test_people_see_what_would_be_added_to_what(place: Place) -> None:
    rules = decided(place)
    before = place.rows("select count(*) from entry")
    result = call("affected", "--policy", "travel/back", "--rules", rules, "--ledger", place.ledger)
    assert (result.code, result.err) == (0, "")
    for text in (
        "travel/back v2 takes effect at 2020-06-01 00:00 UTC, customers looked at: 1\n",
        "c1, booking b1, booking.cancelled on 2020-03-02T10:00:00Z (d-",
        "was granted    refund: amount 50.00 ILS",
        "would be added refund: amount 30.00 ILS",  # 80 - 50 of 100 ILS
        "decisions added to: 1, of 1 customers\ngranted: 1 x refund\nmoney: 30.00 ILS\n",
    ):
        assert text in result.out
    assert place.rows("select count(*) from entry") == before


def test_programs_see_the_same_and_totals(place: Place) -> None:
    rules = decided(place)
    found = call(
        "affected", "--policy", "travel/back", "--rules", rules, "--ledger", place.ledger, "--format", "json"
    ).json
    assert (found["customers"], found["kinds"], found["money"], found["offers"]) == (
        1, {"refund": 1}, [{"currency": "ILS", "value": "30.00"}], 0,
    )  # fmt: skip
    (one,) = found["decisions"]
    assert (one["customer"], one["entity"]) == ("c1", {"type": "booking", "id": "b1"})
    assert one["granted"][0]["amount"] == {"currency": "ILS", "value": "50.00"}
    assert one["added"][0]["amount"] == {"currency": "ILS", "value": "30.00"}


def test_a_policy_that_reaches_back_nowhere_or_is_not_there(place: Place) -> None:
    decided(place)
    keys = ("--rules", place.rules, "--ledger", place.ledger)
    result = call("affected", "--policy", "travel/back", *keys)
    assert result.code == 0
    assert "no version of travel/back reaches back" in result.out
    assert is_one_clear_line(
        call("affected", "--policy", "travel/bak", *keys), 2, "no policy `travel/bak`; did you mean"
    )
