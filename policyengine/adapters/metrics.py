"""A worker's metrics for Prometheus, in a registry of their own; see docs/operations.md for each.

What the worker tells, and when, is service.metrics'; the HTTP server is adapters.health.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from policyengine.errors import UsageError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PREFIX = "policyengine"
MOST_VERSIONS = 1_000  # policy versions that are told apart; any further one is told as OTHER
OTHER = "other"
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_EVENT = (0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class _Pending(NamedTuple):
    jobs: int
    customers: int
    timers: int


class PrometheusMeters:
    """Keeps service.metrics.Meters. Any thread may read the registry while the worker tells."""

    def __init__(self) -> None:
        try:
            import prometheus_client as prometheus
        except ModuleNotFoundError as error:
            message = "metrics need another package: pip install 'crisis-policy-engine[metrics]'"
            raise UsageError(message) from error
        # no series beside each counter that says when it was made
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry: CollectorRegistry = prometheus.CollectorRegistry()
        own: dict[str, Any] = {"namespace": PREFIX, "registry": self.registry}
        counter, gauge, histogram = prometheus.Counter, prometheus.Gauge, prometheus.Histogram
        prometheus.ProcessCollector(registry=self.registry)
        self._events = counter("events", "records taken in", ["shard"], **own)
        self._decided = counter(
            "decisions",
            "parts that policy versions had in decisions",
            ["policy", "version", "outcome"],
            **own,
        )
        self._rejected = counter("rejected", "records refused", ["code"], **own)
        self._dead_letters = counter("dead_letters", "dead letters published", **own)
        self._poisoned = counter("poisoned", "events set aside: the engine failed at them", **own)
        self._batch_seconds = histogram(
            "decide_batch_seconds", "a batch, without its commit", buckets=_SHORT, **own
        )
        self._event_seconds = histogram(
            "decide_event_seconds", "an event, on average over its batch", buckets=_EVENT, **own
        )
        self._commit_seconds = histogram("commit_seconds", "the commits of a batch", buckets=_SHORT, **own)
        self._lag = gauge("input_lag", "messages that a shard has yet to take in", ["shard"], **own)
        self._outbox = gauge("outbox_depth", "entries to be published", ["shard", "channel"], **own)
        self._committed = gauge(
            "last_commit_timestamp_seconds", "when a shard was committed last, since 1970", ["shard"], **own
        )
        self._policy_set = gauge(
            "policy_set_info", "the policy set in force, by its label", ["digest"], **own
        )
        self._refused = gauge("policy_set_refused", "1: a newer policy set cannot be loaded", **own)
        self._still = gauge(
            "shard_stands_still",
            "1: a shard, or the world's topic, cannot go on",
            ["shard", "because"],
            **own,
        )
        self._jobs = gauge("jobs_pending", "fan-outs under way", **own)
        self._customers = gauge("job_customers_pending", "customers they have yet to reach", **own)
        self._timers = gauge("timers_pending", "timers that have yet to fire", **own)
        self._assigned = gauge("partitions_assigned", "shards of this worker", **own)
        self._told: set[str] = set()  # shards of which a gauge tells
        self._pending: dict[str, _Pending] = {}
        self._versions: set[tuple[str, int]] = set()

    # --- what the worker tells --------------------------------------------------------------------

    def batch(
        self,
        shard: str,
        *,
        events: int,
        seconds: float,
        committing: float,
        decided: Mapping[tuple[str, int, str], int],
        rejected: Mapping[str, int],
    ) -> None:
        """A batch was committed."""
        self._told.add(shard)
        self._events.labels(shard).inc(events)
        for (policy, version, outcome), count in decided.items():
            self._decided.labels(*self._version(policy, version), outcome).inc(count)
        for code, count in rejected.items():
            self._rejected.labels(code).inc(count)
        deciding = max(0.0, seconds - committing)
        self._batch_seconds.observe(deciding)
        if events:
            self._event_seconds.observe(deciding / events)
        self._commit_seconds.observe(committing)
        self._committed.labels(shard).set_to_current_time()

    def backlog(
        self, shard: str, *, lag: int, outbox: Mapping[str, int], jobs: int, customers: int, timers: int
    ) -> None:
        """Where a shard stands."""
        self._told.add(shard)
        self._pending[shard] = _Pending(jobs, customers, timers)
        self._lag.labels(shard).set(lag)
        for channel, entries in outbox.items():
            self._outbox.labels(shard, channel).set(entries)
        self._add_up()

    def assigned(self, shards: Collection[str]) -> None:
        """The shards that are this worker's from now on; nothing is told of others any more."""
        self._assigned.set(len(shards))
        for shard in self._told.difference(shards):
            for gauge in (self._lag, self._outbox, self._committed):
                gauge.remove_by_labels({"shard": shard})
            self._pending.pop(shard, None)
        self._told.intersection_update(shards)
        self._add_up()

    def dead_letters(self, count: int) -> None:
        """So many were published."""
        self._dead_letters.inc(count)

    def poisoned(self) -> None:
        """An event at which the engine itself failed was set aside."""
        self._poisoned.inc()

    def stands_still(self, shard: str, because: str | None) -> None:
        """A shard, or the world's input, cannot go on; None: it does again."""
        self._still.remove_by_labels({"shard": shard})
        if because is not None:
            self._still.labels(shard, because).set(1)

    def policies(self, digest: str) -> None:
        """The policy set that is decided under from now on."""
        self._policy_set.clear()
        self._policy_set.labels(digest).set(1)

    def refused(self, refused: bool) -> None:
        """Whether a newer policy set was published that this worker cannot load."""
        self._refused.set(int(refused))

    # --- what is read -----------------------------------------------------------------------------

    def exposed(self, accept: str = "") -> tuple[bytes, str]:
        """All of it in the format that the reader asks for by its `Accept`, and that format's name."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _version(self, policy: str, version: int) -> tuple[str, str]:
        """invariant: no more than MOST_VERSIONS are told apart, however many are published."""
        if not policy:
            return "", ""
        if (policy, version) not in self._versions:
            if len(self._versions) >= MOST_VERSIONS:
                return OTHER, ""
            self._versions.add((policy, version))
        return policy, str(version)

    def _add_up(self) -> None:
        pending = self._pending.values()
        self._jobs.set(sum(one.jobs for one in pending))
        self._customers.set(sum(one.customers for one in pending))
        self._timers.set(sum(one.timers for one in pending))
