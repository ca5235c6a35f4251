"""Metrics as Prometheus reads them: names, values, and labels that stay few."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from policyengine.adapters.metrics import MOST_VERSIONS, OTHER, PREFIX, PrometheusMeters
from policyengine.service.metrics import Meters

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")


@pytest.fixture
def meters() -> PrometheusMeters:
    return PrometheusMeters()


def value(meters: PrometheusMeters, name: str, **labels: str) -> float | None:
    return meters.registry.get_sample_value(f"{PREFIX}_{name}", labels)


def batch(meters: PrometheusMeters, shard: str = "customer-events-3", **keys: object) -> None:
    given = {"events": 10, "seconds": 0.5, "committing": 0.25, "decided": {}, "rejected": {}, **keys}
    meters.batch(shard, **given)  # type: ignore[arg-type]


def backlog(meters: PrometheusMeters, shard: str, **keys: object) -> None:
    given = {"lag": 0, "outbox": {}, "jobs": 0, "customers": 0, "timers": 0, **keys}
    meters.backlog(shard, **given)  # type: ignore[arg-type]


class TestCounting:
    def test_they_are_what_a_worker_tells(self, meters: PrometheusMeters) -> None:
        told: Meters = meters
        told.poisoned()
        told.dead_letters(3)
        assert (value(meters, "poisoned_total"), value(meters, "dead_letters_total")) == (1, 3)

    def test_batches_add_up_by_shard(self, meters: PrometheusMeters) -> None:
        batch(meters)
        batch(meters, events=5)
        assert value(meters, "events_total", shard="customer-events-3") == 15

    def test_decisions_add_up_by_policy_version_and_outcome(self, meters: PrometheusMeters) -> None:
        batch(meters, decided={("a/b", 2, "granted"): 4, ("", 0, "none"): 6})
        batch(meters, decided={("a/b", 2, "granted"): 1})
        assert value(meters, "decisions_total", policy="a/b", version="2", outcome="granted") == 5
        assert value(meters, "decisions_total", policy="", version="", outcome="none") == 6

    def test_rejections_add_up_by_code(self, meters: PrometheusMeters) -> None:
        batch(meters, rejected={"EV004": 2})
        batch(meters, rejected={"EV004": 1, "EV094": 1})
        assert value(meters, "rejected_total", code="EV004") == 3
        assert value(meters, "rejected_total", code="EV094") == 1

    def test_deciding_is_timed_without_the_commit(self, meters: PrometheusMeters) -> None:
        """0.5 s of which 0.25 are the commit's: 0.25 for the batch, 0.025 for each of ten events."""
        batch(meters)
        assert value(meters, "decide_batch_seconds_sum") == 0.25
        assert value(meters, "decide_event_seconds_sum") == pytest.approx(0.025)
        assert value(meters, "commit_seconds_sum") == 0.25

    def test_a_batch_of_the_clock_alone_has_no_time_of_an_event(self, meters: PrometheusMeters) -> None:
        batch(meters, events=0)
        assert value(meters, "decide_batch_seconds_count") == 1
        assert value(meters, "decide_event_seconds_count") == 0

    def test_the_last_commit_is_now(self, meters: PrometheusMeters) -> None:
        batch(meters)
        at = value(meters, "last_commit_timestamp_seconds", shard="customer-events-3")
        assert at is not None
        assert 0 <= time.time() - at < 60


class TestWhereItStands:
    def test_lag_and_outbox_are_told_by_shard(self, meters: PrometheusMeters) -> None:
        backlog(meters, "a", lag=7, outbox={"decisions": 3, "dead-letters": 1})
        assert value(meters, "input_lag", shard="a") == 7
        assert value(meters, "outbox_depth", shard="a", channel="decisions") == 3
        assert value(meters, "outbox_depth", shard="a", channel="dead-letters") == 1

    def test_what_is_pending_is_the_sum_over_shards(self, meters: PrometheusMeters) -> None:
        backlog(meters, "a", jobs=1, customers=100, timers=5)
        backlog(meters, "b", jobs=2, customers=50, timers=6)
        backlog(meters, "a", jobs=1, customers=36, timers=5)
        pending = ("jobs_pending", "job_customers_pending", "timers_pending")
        assert [value(meters, name) for name in pending] == [3, 86, 11]

    def test_of_a_shard_that_was_given_up_nothing_is_told(self, meters: PrometheusMeters) -> None:
        """Another worker tells of it now: two that do would be added up."""
        meters.assigned(["a", "b"])
        for shard in ("a", "b"):
            batch(meters, shard)
            backlog(meters, shard, lag=7, outbox={"decisions": 3}, timers=5)
        meters.assigned(["b"])
        assert value(meters, "partitions_assigned") == 1
        for name, labels in (
            ("input_lag", {}), ("last_commit_timestamp_seconds", {}), ("outbox_depth", {"channel": "decisions"}),
        ):  # fmt: skip
            assert value(meters, name, shard="a", **labels) is None
            assert value(meters, name, shard="b", **labels) is not None
        assert value(meters, "timers_pending") == 5
        assert value(meters, "events_total", shard="a") == 10  # what was done stays done

    def test_one_policy_set_is_in_force(self, meters: PrometheusMeters) -> None:
        meters.policies("1" * 64)
        meters.policies("2" * 64)
        assert value(meters, "policy_set_info", digest="1" * 64) is None
        assert value(meters, "policy_set_info", digest="2" * 64) == 1

    def test_a_refused_policy_set_is_told_until_a_good_one_comes(self, meters: PrometheusMeters) -> None:
        assert value(meters, "policy_set_refused") == 0
        meters.refused(refused=True)
        assert value(meters, "policy_set_refused") == 1
        meters.refused(refused=False)
        assert value(meters, "policy_set_refused") == 0


class TestExposed:
    def test_however_many_versions_are_published_a_bounded_number_is_told_apart(
        self, meters: PrometheusMeters
    ) -> None:
        versions = range(1, MOST_VERSIONS + 11)
        batch(meters, decided={("a/b", version, "granted"): 1 for version in versions})
        assert value(meters, "decisions_total", policy=OTHER, version="", outcome="granted") == 10
        batch(meters, decided={("a/b", 1, "granted"): 1})
        assert value(meters, "decisions_total", policy="a/b", version="1", outcome="granted") == 2

    def test_two_workers_of_a_process_have_nothing_in_common(self, meters: PrometheusMeters) -> None:
        PrometheusMeters().poisoned()
        assert value(meters, "poisoned_total") == 0

    def test_a_shard_stands_still_for_one_reason_until_it_goes_on(self, meters: PrometheusMeters) -> None:
        meters.stands_still("a-0", "ledger")
        meters.stands_still("a-0", "topic")
        meters.stands_still("b-0", "fenced")
        meters.stands_still("b-0", None)
        told = [one for one in meters.exposed()[0].decode().splitlines() if "shard_stands_still{" in one]
        assert told == ['policyengine_shard_stands_still{because="topic",shard="a-0"} 1.0']

    @pytest.mark.parametrize("accept", ["", "text/plain", "application/openmetrics-text; version=1.0.0"])
    def test_readers_get_the_format_that_they_ask_for(self, meters: PrometheusMeters, accept: str) -> None:
        meters.poisoned()
        content, kind = meters.exposed(accept)
        assert kind.startswith(accept.partition(";")[0] or "text/plain")
        assert b"\npolicyengine_poisoned_total 1.0\n" in content
        assert b"_created" not in content


class TestDocumented:
    """docs/operations.md has a table of metrics: name with its labels, type, meaning."""

    def test_every_metric_is_explained_and_there_is_no_other(self, meters: PrometheusMeters) -> None:
        told = re.findall(rf"^\| `({PREFIX}_\w+)(?:{{([\w,]+)}})?` \| (\w+) \|", OPERATIONS, re.MULTILINE)
        assert sorted(told) == sorted(own(meters))

    def test_no_metric_is_named_that_there_is_not(self, meters: PrometheusMeters) -> None:
        known = {name for name, _, _ in own(meters)}
        known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
        assert set(re.findall(rf"\b{PREFIX}_[a-z_]+", OPERATIONS)) <= known


def own(meters: PrometheusMeters) -> list[tuple[str, str, str]]:
    """Name, labels by commas, type."""
    return [
        (family.name + ("_total" if family.type == "counter" else ""), ",".join(metric._labelnames), family.type)
        for metric in meters.registry._collector_to_names
        if hasattr(metric, "_labelnames")
        for family in metric.describe()
    ]  # fmt: skip
