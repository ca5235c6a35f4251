"""A worker in a thread of the test: as real as one in a process, but for what the test does to its engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from structlog.testing import capture_logs

from policyengine.adapters.metrics import PrometheusMeters
from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import Settings, WorkerSettings, worker_of
from policyengine.cli.kafka import publish_for_workers
from policyengine.service.health import Health
from policyengine.service.policy_sets import PolicySet
from tests.kafka.streams import PATIENCE
from tests.kafka.workers import Group


class Running:
    """What a test sees of it."""

    def __init__(self) -> None:
        self.meters = PrometheusMeters()
        self.health = Health(time.monotonic)
        self.error: BaseException | None = None

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        lines = self.meters.exposed()[0].decode().splitlines()
        return sum(float(one.rsplit(" ", 1)[1]) for one in lines if one.split("{")[0].split(" ")[0] == name)


@contextmanager
def running(group: Group, policies: PolicySet | None, **settings: str | float) -> Iterator[Running]:
    """A worker of the group, until the end of the block; ``settings`` are a worker's."""
    told, stop = Running(), Event()

    def work() -> None:
        try:
            with SqlLedgerStore(group.ledger) as store:
                own = Settings(ledger=group.ledger, batch_size=100)
                if policies is not None:
                    publish_for_workers(store, own, policies)
                pace = WorkerSettings(**{"tick": 0, "finish": 60, **settings})
                worker_of(
                    store, own, group.kafka, pace, meters=told.meters, health=told.health, stop=stop.is_set
                ).run(pace.finish)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            told.error = error

    thread = Thread(target=work, daemon=True)
    with capture_logs():
        thread.start()
        try:
            yield told
        finally:
            stop.set()
            thread.join(PATIENCE)
    assert told.error is None, told.error
