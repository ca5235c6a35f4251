"""`make demo-kafka`: a real broker, a real PostgreSQL, two workers, one of which is killed in the middle."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Thread

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import shipped_rules
from policyengine.ledger.entries import Header, Kind
from policyengine.service.stream import generate
from policyengine.service.verification import verify_ledger
from tests.kafka.broker import Broker
from tests.kafka.jars import NoKafkaError
from tests.kafka.streams import committed
from tests.kafka.workers import Group
from tests.postgres import Databases, Postgres

EVENTS, CUSTOMERS, SEED = 3_000, 150, 7


def main() -> int:
    """Tell it step by step; 0 when all of it holds."""
    with tempfile.TemporaryDirectory(prefix="policyengine-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        tell("starting Apache Kafka and PostgreSQL (the first time, Kafka is fetched: a minute)")
        try:
            broker = Broker(folder / "kafka").start()
        except NoKafkaError as error:
            tell(str(error))
            return 2
        server = Postgres(folder / "postgres")
        try:
            return story(broker, Databases(server.url).new(), folder)
        finally:
            broker.kill()
            server.close()


def story(broker: Broker, ledger: str, folder: Path) -> int:
    """Two workers on a year of a crisis."""
    settings = {"POLICYENGINE_KAFKA_MAX_POLL_RECORDS": "500", "POLICYENGINE_BATCH_SIZE": "200"}
    with Group(broker.bootstrap, ledger, folder, partitions=4, settings=settings) as group:
        tell(f"topics: {', '.join(sorted(topics(group)))}")
        group.command("publish", "--for-workers", "--rules", str(shipped_rules()))
        tell("the shipped policies are published; two workers start")
        first, _ = group.start(), group.start()
        sender = Thread(target=group.write, args=(generate(SEED, CUSTOMERS, EVENTS),), kwargs={"pause": 0.02})
        sender.start()
        group.until(lambda: group.position() > EVENTS // 6)
        tell(f"{group.position():,} customers' events are decided; one worker is killed (SIGKILL)")
        first.kill()
        began = time.monotonic()
        sender.join()
        sent = sum(len(committed(broker.bootstrap, group.kafka.customer_topic, one)) for one in range(4))
        group.until_read(sent)
        group.until(lambda: not jobs_left(ledger, group))
        group.until_read(sent)
        tell(f"the other took over and is through after {time.monotonic() - began:.1f} s")
        return check(group, ledger, sent)


def check(group: Group, ledger: str, sent: int) -> int:
    """Every event once, every decision once, and the ledger verifies."""
    published = group.decisions()
    ids = Counter(one["decision_id"] + shard for shard, several in published.items() for one in several)
    recorded, taken = Counter[str](), Counter[str]()
    with SqlLedgerStore(ledger, read_only=True) as store:
        for shard in group.shards():
            for entry in store.entries(shard):
                recorded[entry.kind] += 1
                if entry.kind in {Kind.EVENT, Kind.REJECTED}:
                    taken[entry.kind] += Header.from_bytes(entry.header).input == shard
        verified = verify_ledger(store, None)
    again = sent - taken[Kind.EVENT] - taken[Kind.REJECTED]
    tell(f"{sent:,} customers' messages: {taken[Kind.EVENT]:,} accepted, {taken[Kind.REJECTED]:,} refused,")
    tell(f"  {again:,} are copies of one that was accepted before")
    tell(
        f"{recorded[Kind.DECISION]:,} decisions recorded, {sum(ids.values()):,} published, {len(ids):,} different"
    )
    once = recorded[Kind.DECISION] == sum(ids.values()) == len(ids)
    tell(
        "every decision is published exactly once" if once else "NOT every decision is published exactly once"
    )
    for shard, (size, root) in verified.roots.items():
        tell(f"  {shard}: {size:,} entries, root {root.hex()[:16]}…")
    tell("the ledger verifies" if not verified.faults else f"the ledger has {len(verified.faults)} FAULTS")
    for fault in verified.faults:
        tell(f"  {fault}")
    return 0 if once and not verified.faults else 3


def topics(group: Group) -> set[str]:
    """Their names."""
    return {value for name, value in group.kafka.model_dump().items() if name.endswith("_topic")}


def jobs_left(ledger: str, group: Group) -> bool:
    """Whether the world has yet to reach somebody, or something has yet to be taken from it."""
    ends = len(committed(group.bootstrap, group.kafka.world_topic))
    world = f"{group.kafka.world_topic}-0"
    with SqlLedgerStore(ledger, read_only=True) as store:
        behind = any(
            (found := store.checkpoint(shard, world)) is None or found.offset < ends
            for shard in group.shards()
        )
        return behind or any(next(iter(store.queue_rows(shard)), None) for shard in group.shards())


def tell(text: str) -> None:
    """A line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
