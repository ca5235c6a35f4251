"""What the benchmarks on Kafka stand on: a broker, databases, topics, processes and what each costs.

Every kind of process is watched in the same way, from outside: by how far a `read_committed` reader of its
output could read, and by the CPU time that the system counts for it, the broker and the database.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from sqlalchemy import make_url

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.adapters.kafka_topics import ensure_topics
from tests.kafka.broker import Broker
from tests.postgres import Databases, Postgres

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = ROOT / ".venv-peers" / "bin" / "python"
LONGEST = 120.0
STEADY = 0.8  # seconds in which nothing more comes
# as a server is run that must not lose a commit; the rest is PostgreSQL's default
SAFE = "fsync = on\nfull_page_writes = on\nmax_connections = 50\nshared_buffers = 256MB\nmax_wal_size = 2GB\n"


class Cpu(NamedTuple):
    """Seconds of CPU that were used."""

    worker: float
    broker: float
    database: float

    def since(self, before: Cpu) -> Cpu:
        """What was used since then."""
        return Cpu(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass(frozen=True)
class Run:
    """One measured pass; seconds. The rate is that after the first fifth, until the last message."""

    events: int
    rate: float
    whole: float  # from the moment at which the events were there to the last message
    cpu: Cpu  # in that time
    megabytes: float  # resident, of the largest worker

    def to_json(self) -> dict[str, Any]:
        """Rounded to what means something."""
        return {
            "events": self.events,
            "rate": round(self.rate, 1),
            "whole_seconds": round(self.whole, 3),
            "cpu_microseconds_per_event": {
                name: round(seconds / self.events * 1e6, 1) for name, seconds in self.cpu._asdict().items()
            },
            "resident_megabytes": round(self.megabytes, 1),
        }


class Ground:
    """A broker and a PostgreSQL of their own, ended with it."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        name = self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="policyengine-bench-", ignore_cleanup_errors=True)
        )
        self.folder = Path(name)
        try:
            self.broker = Broker(self.folder / "kafka").start()
            self._stack.callback(self.broker.kill)
            self.postgres = Postgres(self.folder / "postgres", SAFE)
            self._stack.callback(self.postgres.close)
        except BaseException:
            self._stack.close()
            raise
        self._databases = Databases(self.postgres.url)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ledger(self, kind: str) -> str:
        """The URL of a new, empty database: `sqlite` or `postgresql`."""
        if kind == "sqlite":
            return f"sqlite:///{self.folder}/{uuid.uuid4().hex[:12]}.db"
        return self._databases.new()

    def topics(self, partitions: int = 1) -> KafkaSettings:
        """Settings with topics and a group that nobody knows yet; the topics are made."""
        name = f"b{uuid.uuid4().hex[:8]}"
        settings = KafkaSettings(
            bootstrap_servers=self.broker.bootstrap, group=name, partitions=partitions,
            customer_topic=f"{name}-events", world_topic=f"{name}-world",
            decision_topic=f"{name}-decisions", dead_letter_topic=f"{name}-dead",
        )  # fmt: skip
        ensure_topics(settings)
        return settings

    def size(self, url: str) -> int:
        """Bytes that a database takes on disk."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            return sum(one.stat().st_size for one in path.parent.glob(path.name + "*"))
        from sqlalchemy import create_engine, text

        engine = create_engine(parsed)
        with engine.connect() as connection:
            found = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
        engine.dispose()
        return found

    def topic_size(self, topic: str) -> int:
        """Bytes of a topic's messages on the broker's disk, one copy."""
        return sum(one.stat().st_size for one in (self.folder / "kafka" / "data").glob(f"{topic}-*/*.log"))

    def drop(self, url: str) -> None:
        """Give a database's room back."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            for one in path.parent.glob(path.name + "*"):
                one.unlink()
        else:
            self._databases.drop()

    def cpu(self, workers: Sequence[psutil.Process]) -> Cpu:
        """CPU time so far; that of a server's ended children is its own."""
        server = psutil.Process(self.postgres.pid)
        return Cpu(
            sum(map(_used, workers)),
            _used(psutil.Process(self.broker.pid)),
            _used(server) + sum(map(_used, server.children(recursive=True))),
        )


def _used(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def resident(process: psutil.Process) -> float:
    """Megabytes."""
    with suppress(psutil.NoSuchProcess):
        return float(process.memory_info().rss / 1e6)
    return 0.0


# --- processes -----------------------------------------------------------------------------------


def environment(settings: KafkaSettings, **more: str) -> dict[str, str]:
    """What a worker is told; everything else is as by default."""
    names = (
        "bootstrap_servers", "group", "customer_topic", "world_topic", "decision_topic", "dead_letter_topic",
        "partitions",
    )  # fmt: skip
    told = settings.model_dump(include=set(names))
    return {
        **os.environ,
        **{f"POLICYENGINE_KAFKA_{name.upper()}": str(value) for name, value in told.items()},
        "POLICYENGINE_LOG_LEVEL": "error",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}",
        **more,
    }


def worker(ledger: str) -> list[str]:
    """The command of a worker."""
    return [sys.executable, "-m", "policyengine.cli.main", "run", "--kafka", "--ledger", ledger]


def passing(ledger: str, size: int) -> list[str]:
    """The command of a pass-through; ``ledger`` may be `none`."""
    return [sys.executable, str(HERE / "kafka_passing.py"), ledger, str(size)]


def quix(folder: Path) -> list[str]:
    """The command of the same decisions in quixstreams."""
    return [str(PEERS), str(HERE / "kafka_quix.py"), str(folder)]


@contextmanager
def running(
    command: Sequence[str], settings: KafkaSettings, folder: Path, count: int = 1, **more: str
) -> Iterator[list[psutil.Process]]:
    """Processes that are told to stop at the end; what they wrote is told where one fails."""
    told = environment(settings, **more)
    log = folder / f"{settings.group}.log"
    with log.open("ab") as output:
        started = [
            subprocess.Popen(
                command, env=told, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            for _ in range(count)
        ]
    try:
        yield [psutil.Process(one.pid) for one in started]
        ended = [one.poll() for one in started]
        if any(code is not None for code in ended):
            raise RuntimeError(f"ended with {ended}: {log.read_text()[-3_000:]}")
    except TimeoutError as error:
        raise RuntimeError(f"{error}: {log.read_text()[-3_000:]}") from error
    finally:
        for one in started:
            one.send_signal(signal.SIGTERM)
        for one in started:
            try:
                one.wait(30)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


# --- topics --------------------------------------------------------------------------------------


@dataclass
class Sender:
    """Writes events so that nobody sees one before all are there: in a transaction, ended by ``release``."""

    settings: KafkaSettings
    _producer: Any = field(init=False)

    def __post_init__(self) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=self.settings.bootstrap_servers,
            transactional_id=f"sender-{uuid.uuid4().hex[:8]}",
            transaction_timeout_ms=600_000,
            batch_size=262_144,
            linger_ms=20,
            metrics_enabled=False,
        )
        self._producer.init_transactions()

    def send(self, lines: Sequence[bytes], keys: Sequence[str], partitions: int) -> None:
        """Customers share the partitions evenly."""
        self._producer.begin_transaction()
        topic = self.settings.customer_topic
        for line, key in zip(lines, keys, strict=True):
            self._producer.send(topic, line, key.encode(), partition=int(key[2:]) % partitions)
        self._producer.flush(LONGEST)

    def release(self) -> float:
        """Let the events be seen; when that was."""
        self._producer.commit_transaction()
        at = time.monotonic()
        self._producer.close()
        return at


def wait_joined(settings: KafkaSettings, members: int, workers: Sequence[psutil.Process]) -> None:
    """Until the group is steady, has so many members and each has a partition."""
    until = time.monotonic() + LONGEST
    with KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as admin:
        while time.monotonic() < until and all(one.status() != psutil.STATUS_ZOMBIE for one in workers):
            with suppress(KafkaError):  # there is no such group yet
                found = admin.describe_groups([settings.group])[settings.group]
                given = [one for one in found.get("members", ()) if _partitions(one)]
                if found.get("group_state") == "Stable" and len(given) == members:
                    return
            time.sleep(0.1)
    raise TimeoutError("nobody joins the group")


def _partitions(member: Mapping[str, Any]) -> int:
    assigned = member.get("member_assignment") or {}
    return sum(len(one["partitions"]) for one in assigned.get("assigned_partitions", ()))


class Watch:
    """How far readers could read a topic, asked from time to time: it costs a request, not the messages."""

    def __init__(self, settings: KafkaSettings, topic: str, partitions: int) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers, isolation_level="read_committed",
            metrics_enabled=False,
        )  # fmt: skip
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def end(self) -> int:
        """The sum of the ends of all partitions; marks of transactions count as messages."""
        return sum(self._consumer.end_offsets(self._partitions).values())


def measured(
    ground: Ground,
    settings: KafkaSettings,
    command: Sequence[str],
    lines: Sequence[bytes],
    keys: Sequence[str],
    *,
    partitions: int = 1,
    count: int = 1,
    **more: str,
) -> Run:
    """Let so many processes join, then let them have the events, until each has led to a message."""
    sender, total = Sender(settings), len(lines)
    sender.send(lines, keys, partitions)
    with (
        running(command, settings, ground.folder, count, **more) as workers,
        Watch(settings, settings.decision_topic, partitions) as watch,
    ):
        wait_joined(settings, min(count, partitions), workers)
        time.sleep(0.5)
        before = ground.cpu(workers)
        began = sender.release()
        samples, after = [(began, 0)], before
        while samples[-1][1] < total or samples[-1][0] - _reached(samples) < STEADY:
            if time.monotonic() > began + LONGEST:
                raise TimeoutError(f"{samples[-1][1]} of {total} messages after {LONGEST:.0f} s")
            time.sleep(0.04)
            samples.append((time.monotonic(), watch.end()))
            if samples[-1][1] >= total and samples[-1][1] > samples[-2][1]:
                after = ground.cpu(workers)
        largest = max(map(resident, workers))
    return Run(total, _rate(samples, total), _reached(samples) - began, after.since(before), largest)


def _reached(samples: Sequence[tuple[float, int]]) -> float:
    """When the last number was first seen."""
    return next(at for at, found in samples if found == samples[-1][1])


def _rate(samples: Sequence[tuple[float, int]], total: int) -> float:
    share = total / samples[-1][1]  # the others are marks of transactions
    first = next((at, found * share) for at, found in samples if found * share >= total / 5)
    return (total - first[1]) / (_reached(samples) - first[0])
