"""A worker that starts: until its first decision, with the states of few customers behind it and of many.

The many are copies of few that were decided in earnest, states and remembered events, put into the database
by SQL, and each has a timer. The ledger's entries are not copied: a start reads the head of a shard, not what
is behind it.

Most of a start is Python loading libraries, whose CPU time differs by half from one start to the next on the
same machine. So what a start asks of the ledger is measured by itself, too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from kafka_ground import LONGEST, Ground, Sender, Watch, measured, running, wait_joined, worker
from sqlalchemy import create_engine, make_url, text

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.bootstrap import Settings, open_ledger, pipeline_of, wall_clock
from policyengine.ledger.entries import event_key
from policyengine.service.newest import POLICIES
from policyengine.service.pending import TimerCount
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import DEAD_LETTERS, DECISIONS

FEW = 1_000
COPIES = {
    "sqlite": "(WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < :copies) "
    "SELECT n FROM many) AS many",
    "postgresql": "generate_series(1, :copies) AS many(n)",
}
# in the order of their keys, so that the tables grow at their end
STATES = """
INSERT INTO state (shard, customer, part, body)
SELECT shard, 'k-' || many.n || '-' || customer, part, body FROM {copies}, state WHERE customer <> ''
ORDER BY 1, 2, 3
"""
SEEN = {
    "sqlite": """
INSERT INTO seen (shard, key, digest, seq)
SELECT shard, CAST(key || CAST(many.n AS BLOB) AS BLOB), digest, seq FROM {copies}, seen ORDER BY 1, 2
""",
    "postgresql": """
INSERT INTO seen (shard, key, digest, seq)
SELECT shard, key || convert_to(CAST(many.n AS text), 'UTF8'), digest, seq FROM {copies}, seen ORDER BY 1, 2
""",
}
TIMERS = """
INSERT INTO timer (shard, customer, id, due, event, data)
SELECT DISTINCT shard, customer, 'a/b/c/0', 4102444800000000, 'offer.expired', {nothing} FROM state
WHERE customer <> '' ORDER BY 1, 2
"""  # due in 2100
NOTHING = {"sqlite": "CAST('{}' AS BLOB)", "postgresql": "convert_to('{}', 'UTF8')"}


class Filled(NamedTuple):
    """A ledger whose worker was stopped."""

    settings: KafkaSettings
    ledger: str
    customers: int
    rows: int
    megabytes: float


def fill(ground: Ground, ledger: str, lines: Sequence[bytes], customers: int) -> Filled:
    """Decide the events of few customers, then copy what is remembered of them."""
    settings = ground.topics()
    keys = [f"c-{number % FEW}" for number in range(len(lines))]
    measured(ground, settings, worker(ledger), lines, keys)
    url = make_url(ledger)
    kind = url.get_backend_name()
    copies = COPIES[kind]
    engine = create_engine(url)
    with engine.begin() as connection:
        if customers > FEW:
            told = {"copies": customers // FEW - 1}
            if kind == "postgresql":  # the copies' shard is there: nobody needs to look four million times
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text(STATES.format(copies=copies)), told)
            connection.execute(text(SEEN[kind].format(copies=copies)), told)
        connection.execute(text(TIMERS.format(nothing=NOTHING[kind])))
        rows = int(connection.execute(text("SELECT count(*) FROM state WHERE customer <> ''")).scalar_one())
    if kind == "postgresql":
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE state, seen, timer"))
            connection.execute(text("CHECKPOINT"))
    engine.dispose()
    return Filled(settings, ledger, customers, rows, ground.size(ledger) / 1e6)


def restart(ground: Ground, filled: Filled, lines: Sequence[bytes]) -> dict[str, Any]:
    """Start a worker while events of known customers wait for it, the first customers' first."""
    settings = filled.settings
    sender = Sender(settings)
    sender.send(lines, [f"c-{number}" for number in range(len(lines))], 1)
    sender.release()
    with Watch(settings, settings.decision_topic, 1) as watch:
        before = watch.end()
        began = time.monotonic()
        with running(worker(filled.ledger), settings, ground.folder) as workers:
            while watch.end() == before:
                if time.monotonic() > began + LONGEST:
                    raise TimeoutError("no decision after a restart")
                time.sleep(0.01)
            took = time.monotonic() - began
            cpu = ground.cpu(workers).worker
            wait_joined(settings, 1, workers)
    return {"seconds": round(took, 3), "cpu_seconds": round(cpu, 2)}


def asked(filled: Filled, policies: PolicySet, customers: int) -> dict[str, float]:
    """All that a start asks of the ledger until it decides, in this process: in milliseconds.

    Opened, the published policies found, the shard claimed, what waits to be published, the first timers,
    their count, and the keys and states of the first customers' events.
    """
    shard = f"{filled.settings.customer_topic}-0"
    began, used = time.perf_counter(), time.process_time()
    with open_ledger(filled.ledger) as store:
        list(store.entries(POLICIES, 0, store.head(POLICIES).size))
        store.policy_set(policies.digest)
        writer = pipeline_of(store, policies, Settings(shard=shard), shard, (DECISIONS, DEAD_LETTERS))
        writer.publish()
        writer.position(shard)
        store.unpublished(shard, DECISIONS, "decision", 2_000)
        store.unpublished(shard, DEAD_LETTERS, "rejected", 100)
        writer.tick(wall_clock())
        TimerCount(lambda after, limit: store.timers_counted(shard, after, limit)).go_on()
        store.seen(shard, [event_key("/bench", f"e-{number}") for number in range(customers)])
        writer.memory.load(f"c-{number}" for number in range(customers))
        took, cpu = time.perf_counter() - began, time.process_time() - used
    return {"milliseconds": round(took * 1e3, 1), "cpu_milliseconds": round(cpu * 1e3, 1)}
