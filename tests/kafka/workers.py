"""Real workers on real topics, and what must come of it: the same as when nobody disturbs them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
from kafka import KafkaProducer
from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.exc import DBAPIError

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.adapters.kafka_topics import ensure_topics
from policyengine.adapters.store import SqlLedgerStore
from policyengine.adapters.tables import checkpoint
from policyengine.bootstrap import wall_clock
from policyengine.domain.catalogue import Scope
from policyengine.ledger.entries import Kind
from policyengine.service.door import Door
from policyengine.service.dry_run import dry_run
from policyengine.service.policy_sets import PolicySet
from policyengine.service.relay import as_published
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.kafka.nursery import Child, nursery
from tests.kafka.streams import PATIENCE, committed, settings_for
from tests.support import catalogue


@dataclass
class Group:
    """Workers of one group, on topics and a ledger of their own."""

    bootstrap: str
    ledger: str
    folder: Path
    partitions: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)
    workers_ledger: str = ""  # where workers find the ledger, if not where tests do
    reads: str = ""  # the group whose events it reads, if not its own
    workers: list[Child] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"g-{uuid.uuid4().hex[:8]}")

    def __enter__(self) -> Self:
        ensure_topics(self.kafka)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    @property
    def kafka(self) -> KafkaSettings:
        """The group's settings."""
        return settings_for(
            self.bootstrap, group=self.name, partitions=self.partitions,
            **{f"{kind}_topic": f"{self.reads or self.name}-{kind}" for kind in ("customer", "world")},
            **{f"{kind}_topic": f"{self.name}-{kind}" for kind in ("decision", "dead_letter")},
        )  # fmt: skip

    def environment(self, **more: str) -> dict[str, str]:
        """What a worker is told."""
        told = self.kafka.model_dump(
            include={"bootstrap_servers", "group", "customer_topic", "world_topic", "decision_topic", "dead_letter_topic",
                     "partitions", "request_timeout", "transaction_timeout"}
        )  # fmt: skip
        return {
            **os.environ,
            **{f"POLICYENGINE_KAFKA_{name.upper()}": str(value) for name, value in told.items()},
            "POLICYENGINE_KAFKA_SESSION_TIMEOUT": "2000",
            "POLICYENGINE_KAFKA_MAX_POLL_RECORDS": "50",
            "POLICYENGINE_WORKER_TICK": "0",  # these stories are old: the clock would end them
            "POLICYENGINE_WORKER_FINISH": "60",
            "POLICYENGINE_BATCH_SIZE": "20",
            "POLICYENGINE_LOG_LEVEL": "warning",
            **self.settings,
            **more,
        }

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command on the group's ledger and topics, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "policyengine.cli.main", *arguments, "--ledger", self.ledger],
            env=self.environment(**more), capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip

    def start(self, *at: str, **more: str) -> Child:
        """One more worker; ``at``: the points at which it dies or falls asleep (see crashing)."""
        arguments = ["run", "--kafka", "--ledger", self.workers_ledger or self.ledger]
        log = self.log_of(len(self.workers))
        self.workers.append(nursery().start(arguments, self.environment(**more), log, at))
        return self.workers[-1]

    def publish(self, rules: Path) -> None:
        """Publish policies for the workers."""
        log = self.folder / "publish.log"
        arguments = ["publish", "--for-workers", "--rules", str(rules), "--ledger", self.ledger]
        code = nursery().start(arguments, self.environment(), log).wait(PATIENCE)
        assert code == 0, log.read_text()

    def log_of(self, number: int) -> Path:
        """What a worker wrote."""
        return self.folder / f"worker-{number}.log"

    def logs(self) -> str:
        """What the workers wrote."""
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-3_000:]}"
            for path in self.folder.glob("worker-*.log")
        )

    def write(self, values: Iterable[bytes], *, pause: float = 0.0) -> int:
        """Events of customers into their topic, by their key; those of the world into theirs."""
        scopes = {name: kind.scope for name, kind in catalogue().events.items()}
        count = 0
        with KafkaProducer(
            bootstrap_servers=self.bootstrap, linger_ms=5, reconnect_backoff_max_ms=500
        ) as producer:
            for value in values:
                document = _read(value)
                of_world = scopes.get(str(document.get("type"))) is Scope.WORLD
                topic = self.kafka.world_topic if of_world else self.kafka.customer_topic
                subject = document.get("subject")
                producer.send(topic, value, subject.encode() if type(subject) is str else None)
                count += 1
                if pause and count % 20 == 0:
                    producer.flush(PATIENCE)
                    time.sleep(pause)
            producer.flush(PATIENCE)
        return count

    def position(self) -> int:
        """How many customers' messages the shards have taken in."""
        query = select(func.sum(checkpoint.c.offset)).where(checkpoint.c.shard == checkpoint.c.input)
        engine = create_engine(self.ledger, poolclass=NullPool)  # asked very often: a store is too much
        with suppress(DBAPIError), engine.connect() as connection:  # none yet, or one that is being restarted
            return int(connection.execute(query).scalar_one() or 0)
        return 0

    def shards(self) -> list[str]:
        """The shards of the customers' partitions."""
        return [f"{self.kafka.customer_topic}-{number}" for number in range(self.partitions)]

    def until(self, done: Callable[[], bool]) -> None:
        """Wait for something; fails with the workers' logs."""
        until = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < until, self.logs()
            time.sleep(0.05)

    def until_read(self, count: int) -> None:
        """Until so many messages were taken in, and what was decided is published."""
        self.until(lambda: self.position() >= count)
        self.until(self.is_published)

    def sent(self) -> int:
        """How many messages there are of customers."""
        return sum(
            len(committed(self.bootstrap, self.kafka.customer_topic, number))
            for number in range(self.partitions)
        )

    def world_is_through(self) -> bool:
        """Whether every shard has taken in what happened to the world, and reached whom it concerns."""
        end = len(committed(self.bootstrap, self.kafka.world_topic))
        world = f"{self.kafka.world_topic}-0"
        with SqlLedgerStore(self.ledger, read_only=True) as store:
            return not any(
                (end and ((at := store.checkpoint(shard, world)) is None or at.offset < end))
                or next(iter(store.queue_rows(shard)), None)
                for shard in self.shards()
            )

    def is_published(self) -> bool:
        """Whether nothing waits to be published."""
        with SqlLedgerStore(self.ledger, read_only=True) as store:
            return not any(
                store.unpublished(shard, channel, kind, 1)
                for shard in self.shards()
                for channel, kind in (("decisions", Kind.DECISION), ("dead-letters", Kind.REJECTED))
            )

    def decisions(self) -> dict[str, list[dict[str, Any]]]:
        """What readers see in the topic of decisions, by shard."""
        found: dict[str, list[dict[str, Any]]] = {shard: [] for shard in self.shards()}
        for number in range(self.partitions):
            for message in committed(self.bootstrap, self.kafka.decision_topic, number):
                headers = dict(message.headers)
                found[(headers["shard"] or b"").decode()].append(orjson.loads(message.value or b"")["data"])
        return found

    def decision_headers(self) -> dict[str, list[tuple[int, str]]]:
        """Sequence and id of the decisions that readers see, by shard."""
        found: dict[str, list[tuple[int, str]]] = {shard: [] for shard in self.shards()}
        for number in range(self.partitions):
            for message in committed(self.bootstrap, self.kafka.decision_topic, number):
                told = {name: (value or b"").decode() for name, value in message.headers}
                found[told["shard"]].append((int(told["seq"]), told["decision_id"]))
        return found

    def dead_letters(self) -> list[dict[str, Any]]:
        """What readers see among the dead letters."""
        found = committed(self.bootstrap, self.kafka.dead_letter_topic)
        return [orjson.loads(message.value or b"")["data"] for message in found]

    def undisturbed(
        self, policies: PolicySet
    ) -> tuple[dict[str, list[dict[str, Any]]], Counter[tuple[str, int]]]:
        """What one who is never disturbed decides on each partition, and (shard, offset) of what it refuses."""
        decided: dict[str, list[dict[str, Any]]] = {}
        refused: Counter[tuple[str, int]] = Counter()
        for number, shard in enumerate(self.shards()):
            decided[shard] = []
            values = [
                one.value or b"" for one in committed(self.bootstrap, self.kafka.customer_topic, number)
            ]
            for offset, answer in enumerate(dry_run(policies, values, door=Door(wall_clock)), start=1):
                refused[shard, offset] += answer.rejection is not None
                decided[shard] += [
                    as_published(one.to_json()) for one in (*answer.earlier, *answer.decisions)
                ]
        return decided, +refused

    def assert_sound(self, policies: PolicySet) -> int:
        """Each decision is there once, in order, and as undisturbed; the ledger verifies; its size."""
        expected, refused = self.undisturbed(policies)
        found = self.decisions()
        for shard, decisions in expected.items():
            ids = [one["decision_id"] for one in found[shard]]
            assert ids == [one["decision_id"] for one in decisions], shard
            assert [orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in found[shard]] == [
                orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in decisions
            ]
        assert Counter((one["shard"], one["offset"]) for one in self.dead_letters()) == refused
        with SqlLedgerStore(self.ledger, read_only=True) as store:
            assert verify_ledger(store, None).faults == []
            for shard in store.shards():
                assert list(replay(store, shard)) == []
        return sum(map(len, found.values()))


def _read(value: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(value)
    except ValueError:
        return {}
    return document if type(document) is dict else {}


def of_customers(values: Iterable[bytes]) -> list[bytes]:
    """Without the events of the world: when these come in between customers' is chance."""
    scopes = {name: kind.scope for name, kind in catalogue().events.items()}
    return [one for one in values if scopes.get(str(_read(one).get("type"))) is not Scope.WORLD]
