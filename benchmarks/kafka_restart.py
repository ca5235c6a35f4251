"""A worker that starts: until its first decision, with the states of few customers behind it and of many.

The many are copies of few that were decided in earnest, states and remembered events, put into the database
by SQL. The ledger's entries are not copied: a start reads the head of a shard, not what is behind it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from kafka_ground import Ground, Sender, Watch, measured, running, wait_joined, worker
from sqlalchemy import create_engine, make_url, text

from policyengine.adapters.kafka_settings import KafkaSettings

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
        rows = int(connection.execute(text("SELECT count(*) FROM state WHERE customer <> ''")).scalar_one())
    if kind == "postgresql":
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE state, seen"))
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
                if time.monotonic() > began + 60:
                    raise TimeoutError("no decision after a restart")
                time.sleep(0.01)
            took = time.monotonic() - began
            cpu = ground.cpu(workers).worker
            wait_joined(settings, 1, workers)
    return {"seconds": round(took, 3), "cpu_seconds": round(cpu, 2)}
