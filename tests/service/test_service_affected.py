"""What a version that reaches back would grant, known before it is published, is what it then grants."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from policyengine.domain.money import Money
from policyengine.errors import UsageError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Kind
from policyengine.service.affected import Affected, find_affected
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import PolicySet
from tests.service import worlds
from tests.service.machines import closed, micros, pool, subscribed
from tests.service.runs import bodies, entries, feed, lines, opened, pipeline
from tests.support import booked, cancelled, draft, event, policy_set, refund

FIRST = draft(
    "travel/back",
    refund("percent(booking.paid, 50)"),
    effective={"from": "2020-01-01", "until": "2020-06-01"},
)
SECOND = draft(
    "travel/back", refund("percent(booking.paid, 80)"), version=2,
    effective={"from": "2020-06-01"}, retroactive={"from": "2020-03-01"},
)  # fmt: skip


def of(customer: str, document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "subject": customer, "id": f"{document['type']}-{customer}"}


def three() -> bytes:
    """Three bookings are cancelled, one of them in February, which is out of reach."""
    told = []
    for customer, at in (
        ("b", "2020-03-05T10:00:00Z"),
        ("a", "2020-03-01T00:00:00Z"),
        ("c", "2020-02-28T10:00:00Z"),
    ):
        told += [of(customer, booked("x")), of(customer, cancelled("x", at))]
    return lines(*told)


def published(writer: Pipeline, policies: PolicySet, at: str) -> None:
    """Publish, let the clock come to a time, and reach everybody."""
    writer.adopt(policies)
    writer.tick(micros(at))
    list(writer.work_off())


def announced(path: Path, policies: PolicySet, policy: str) -> Affected:
    """What would be affected, and nothing is written for it."""
    with opened(path, read_only=True) as store:
        before = bodies(store)
        found = find_affected(store, policies, policy)
        assert bodies(store) == before
    return found


def supplements(path: Path, policy: str) -> list[bytes]:
    """The supplements that a ledger holds for a policy."""
    with opened(path) as store:
        return [
            one.body
            for one in entries(store, Kind.DECISION)
            if any(f'"decision_id":"{name}"'.encode() in one.body for name in _names(one.document(), policy))
        ]


def _names(document: dict[str, Any], policy: str) -> list[str]:
    parts = (*document["remedies"], *document["offers"])
    mine = any(part["policy"] == policy for part in parts)
    return [document["decision_id"]] if mine and "supplements" in document else []


def documents(found: Affected) -> list[bytes]:
    return [canonical(one.supplement) for one in found.decisions]


class TestThreeBookings:
    @pytest.fixture
    def found(self, tmp_path: Path) -> Affected:
        with opened(tmp_path) as store:
            feed(pipeline(store, policy_set(FIRST)), three())
        return announced(tmp_path, policy_set(FIRST, SECOND), "travel/back")

    def test_the_decisions_that_it_touches_with_what_was_granted_and_what_would_be_added(
        self, tmp_path: Path, found: Affected
    ) -> None:
        with opened(tmp_path) as store:
            earlier = {
                one.customer: one.document()["decision_id"]
                for one in entries(store, Kind.DECISION)
                if one.document()["event"]["type"] == "booking.cancelled"
            }
        # of 100 ILS: 50 were granted, 80 - 50 = 30 would be added
        assert [
            (
                one["customer"], one["decision_id"], one["entity"], one["event"]["id"],
                [remedy["amount"]["value"] for remedy in one["granted"]],
                [remedy["amount"]["value"] for remedy in one["added"]],
            )
            for one in found.to_json()["decisions"]
        ] == [
            ("a", earlier["a"], {"type": "booking", "id": "x"}, "booking.cancelled-a", ["50.00"], ["30.00"]),
            ("b", earlier["b"], {"type": "booking", "id": "x"}, "booking.cancelled-b", ["50.00"], ["30.00"]),
        ]  # fmt: skip

    def test_what_it_adds_up_to(self, found: Affected) -> None:
        assert (found.customers, found.money(), found.kinds()) == (2, [Money(6000, "ILS")], {"refund": 2})
        (version,) = found.to_json()["versions"]
        # all three had events of the type; one of them is out of reach
        assert version == {
            "version": 2, "takes_effect": "2020-06-01T00:00:00+00:00", "took_effect": [], "looked_at": 3,
        }  # fmt: skip

    def test_it_is_granted_exactly_so_when_it_is_published(self, tmp_path: Path, found: Affected) -> None:
        with opened(tmp_path) as store:
            published(pipeline(store, policy_set(FIRST)), policy_set(FIRST, SECOND), "2020-06-01T00:00:00Z")
        assert supplements(tmp_path, "travel/back") == documents(found)

    def test_afterwards_it_would_add_nothing(self, tmp_path: Path, found: Affected) -> None:
        both = policy_set(FIRST, SECOND)
        with opened(tmp_path) as store:
            published(pipeline(store, policy_set(FIRST)), both, "2020-06-01T00:00:00Z")
        again = announced(tmp_path, both, "travel/back")
        assert len(found.decisions) == 2
        assert again.decisions == []
        assert again.to_json()["versions"][0]["took_effect"] == ["0"]

    def test_shards_are_added_up(self, tmp_path: Path, found: Affected) -> None:
        with opened(tmp_path) as store:
            feed(pipeline(store, policy_set(FIRST), shard="1"), three())
        twice = announced(tmp_path, policy_set(FIRST, SECOND), "travel/back")
        assert [one.shard for one in twice.decisions] == ["0", "0", "1", "1"]
        assert len(found.decisions) == 2
        assert twice.money() == [Money(12000, "ILS")]


class TestWhatIsUnderWay:
    """The ledger stops in the middle: jobs that wait, offers, other versions that reach back first."""

    def test_other_versions_that_take_effect_before_it_count(self, tmp_path: Path) -> None:
        """Two more versions of one policy, and another policy that asks what was granted earlier."""
        third = draft(
            "travel/back", refund("percent(booking.paid, 90)"), version=3,
            effective={"from": "2020-07-01"}, retroactive={"from": "2020-03-01"},
        )  # fmt: skip
        second = draft(
            "travel/back", refund("percent(booking.paid, 80)"), version=2,
            effective={"from": "2020-06-01", "until": "2020-07-01"}, retroactive={"from": "2020-03-01"},
        )  # fmt: skip
        policies = policy_set(FIRST, second, third)
        with opened(tmp_path) as store:
            feed(pipeline(store, policy_set(FIRST)), three())
        found = announced(tmp_path, policies, "travel/back")
        # 80 - 50 = 30, then 90 - 80 = 10
        assert [(one.version, one.supplement["remedies"][0]["amount"]["value"]) for one in found.decisions] == [
            (2, "30.00"), (2, "30.00"), (3, "10.00"), (3, "10.00"),
        ]  # fmt: skip
        assert [len(one.granted) for one in found.decisions] == [1, 1, 2, 2]
        with opened(tmp_path) as store:
            published(pipeline(store, policy_set(FIRST)), policies, "2020-07-01T00:00:00Z")
        assert supplements(tmp_path, "travel/back") == documents(found)

    def test_a_job_that_is_under_way_comes_first(self, tmp_path: Path) -> None:
        """The pool is closed, nobody has been reached when the better version is published."""
        credit = {"kind": "credit", "amount": "percent(subscription.monthly_fee, {share})"}

        def rule(share: int) -> dict[str, Any]:
            grant = {**credit, "amount": credit["amount"].format(share=share)}
            return {"id": "r", "on": "facility.closed", "for": "subscription", "grant": [grant]}

        old = draft("fitness/closed", rule(10), effective={"from": "2020-01-01", "until": "2020-06-01"})
        new = draft(
            "fitness/closed", rule(25), version=2,
            effective={"from": "2020-06-01"}, retroactive={"from": "2020-03-01"},
        )  # fmt: skip
        told = lines(pool(), *(subscribed(f"c{number}") for number in range(70)), closed())
        with opened(tmp_path) as store:
            feed(pipeline(store, policy_set(old)), told)
        both = policy_set(old, new)
        found = announced(tmp_path, both, "fitness/closed")
        # 25 - 10 % of 100 ILS for each of 70 members
        assert (found.customers, found.money()) == (70, [Money(105000, "ILS")])
        with opened(tmp_path) as store:
            published(pipeline(store, policy_set(old)), both, "2020-06-01T00:00:00Z")
        # a clock that ticks reaches some of them with their turn in the job, others with the version's
        assert sorted(supplements(tmp_path, "fitness/closed")) == sorted(documents(found))

    def test_what_was_chosen_of_an_offer_was_granted(self, tmp_path: Path) -> None:
        better = orjson.loads(worlds.CHOICE)
        better["version"] = 2
        better["effective"] = {"from": "2020-06-01"}
        better["retroactive"] = {"from": "2020-01-01"}
        money = better["rules"][0]["offer"]["alternatives"][0]["grant"][0]
        money["amount"] = "percent(booking.paid, 120)"
        old = orjson.loads(worlds.CHOICE)
        old["effective"] = {"from": "2020-01-01", "until": "2020-06-01"}
        first, second = orjson.dumps(old).decode(), orjson.dumps(better).decode()
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(first))
            feed(writer, lines(booked(), cancelled()))
            (offered,) = [one for one in entries(store, Kind.DECISION) if one.document()["offers"]]
            name = offered.document()["decision_id"]
            chosen = event("remedy.chosen", "2020-03-03T10:00:00Z", decision_id=name, alternative="money")
            feed(writer, lines(booked(), cancelled(), chosen))
        both = policy_set(first, second)
        (one,) = announced(tmp_path, both, "travel/choice").decisions
        # 120 - 100 of 100 ILS
        assert [remedy["amount"] for remedy in one.granted] == [{"value": "100.00", "currency": "ILS"}]
        assert one.supplement["remedies"][0]["amount"] == {"value": "20.00", "currency": "ILS"}
        assert one.to_json()["decision_id"] == name
        with opened(tmp_path) as store:
            published(pipeline(store, policy_set(first)), both, "2020-06-01T00:00:00Z")
        assert supplements(tmp_path, "travel/choice") == [canonical(one.supplement)]

    @pytest.mark.parametrize("begins", ["2020-02-20", "2020-06-01"])
    def test_a_small_crisis_with_all_that_the_engine_does_by_itself(
        self, tmp_path: Path, begins: str
    ) -> None:
        """Timers wait at the end of February; the better version began before, or will in June."""
        old, new = orjson.loads(worlds.WORD), orjson.loads(worlds.WORD)
        old["effective"] = {"from": "2020-01-01", "until": begins}
        new |= {"version": 2, "effective": {"from": begins}, "retroactive": {"from": "2020-01-01"}}
        new["rules"][0]["grant"][0]["amount"] = "percent(booking.paid, 15)"
        first, second = orjson.dumps(old).decode(), orjson.dumps(new).decode()
        before = policy_set(worlds.CHOICE, first, worlds.LIMITED)
        after = policy_set(worlds.CHOICE, first, second, worlds.LIMITED)
        with opened(tmp_path) as store:
            feed(pipeline(store, before), worlds.stream(3, 40, 330))
        found = announced(tmp_path, after, "care/word")
        assert found.customers > 3
        with opened(tmp_path) as store:
            writer = pipeline(store, before)
            now = writer.memory.world.now
            assert writer.memory.next_timer(2**62) is not None
            published(writer, after, max(begins + "T00:00:00Z", _instant(now or 0)))
        assert supplements(tmp_path, "care/word") == documents(found)


def _instant(micros_: int) -> str:
    return datetime.fromtimestamp(micros_ / 1_000_000, UTC).isoformat()


class TestWhatReachesBackNowhere:
    def test_a_policy_without_such_a_version(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            feed(pipeline(store, policy_set(FIRST)), three())
        found = announced(tmp_path, policy_set(FIRST), "travel/back")
        assert (found.versions, found.decisions) == ([], [])

    def test_a_policy_that_the_folder_does_not_have(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            feed(pipeline(store, policy_set(FIRST)), three())
        with (
            opened(tmp_path, read_only=True) as store,
            pytest.raises(UsageError, match="no policy `travel/bak`; did you mean `travel/back`"),
        ):
            find_affected(store, policy_set(FIRST), "travel/bak")
