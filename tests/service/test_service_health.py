"""When a worker lives and is ready, by what it notes."""

from __future__ import annotations

import pytest

from policyengine.service.health import LIVE_SECONDS, Health


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def ready(health: Health, shards: int = 3) -> Health:
    health.assigned(shards)
    health.ledger_answers()
    health.policies_loaded()
    return health


class TestLive:
    def test_it_lives_from_its_beginning(self, health: Health) -> None:
        assert health.why_not_live() == []

    def test_a_loop_that_no_longer_turns_is_stuck(self, health: Health, clock: Clock) -> None:
        clock.now += LIVE_SECONDS
        assert health.why_not_live() == []
        clock.now += 30
        assert health.why_not_live() == ["the loop has not turned for 330 seconds"]

    def test_one_that_turns_again_lives(self, health: Health, clock: Clock) -> None:
        clock.now += 2 * LIVE_SECONDS
        health.turned()
        assert health.why_not_live() == []

    def test_a_ledger_that_is_away_is_no_reason_to_end_the_process(self, health: Health) -> None:
        health.ledger_fails("no connection")
        assert health.why_not_live() == []


class TestReady:
    def test_at_first_everything_is_waited_for(self, health: Health) -> None:
        assert health.why_not_ready() == [
            "no partitions are assigned yet", "the ledger was not asked yet", "no policy set is loaded",
        ]  # fmt: skip

    def test_it_is_when_partitions_ledger_and_policies_are_there(self, health: Health) -> None:
        assert ready(health).why_not_ready() == []
        assert not health.standby

    def test_one_for_whom_no_partition_is_left_stands_by_and_is_ready(self, health: Health) -> None:
        assert ready(health, shards=0).why_not_ready() == []
        assert health.standby

    def test_one_that_left_its_group_is_not(self, health: Health) -> None:
        ready(health).unassigned()
        assert health.why_not_ready() == ["no partitions are assigned yet"]

    def test_a_ledger_that_fails_is_named_until_it_answers(self, health: Health) -> None:
        ready(health).ledger_fails("PE707 the disk is full")
        assert health.why_not_ready() == ["the ledger cannot be written: PE707 the disk is full"]
        health.ledger_answers()
        assert health.why_not_ready() == []

    def test_a_shard_that_stands_still_is_named_until_it_goes_on_whatever_others_do(
        self, health: Health
    ) -> None:
        ready(health, shards=3).stands_still("b-1", "the ledger fails: PE707 the disk is full")
        health.stands_still("a-0", "the topic was made anew")
        health.ledger_answers()  # another shard's commit went through
        assert health.why_not_ready() == [
            "a-0 stands still: the topic was made anew",
            "b-1 stands still: the ledger fails: PE707 the disk is full",
        ]
        health.goes_on("b-1")
        health.goes_on("c-2")
        assert health.why_not_ready() == ["a-0 stands still: the topic was made anew"]

    def test_a_refused_policy_set_is_named_until_a_good_one_is_loaded(self, health: Health) -> None:
        ready(health).policies_refused("a newer engine published it")
        assert health.why_not_ready() == [
            "the newest policy set was refused, the one before stays in force: a newer engine published it"
        ]
        health.policies_loaded()
        assert health.why_not_ready() == []

    def test_one_that_stops_is_not(self, health: Health) -> None:
        ready(health).stopping()
        assert health.why_not_ready() == ["the worker is stopping"]

    def test_one_that_is_stuck_is_not(self, health: Health, clock: Clock) -> None:
        ready(health)
        clock.now += LIVE_SECONDS + 1
        assert health.why_not_ready() == ["the loop has not turned for 301 seconds"]
