"""What operators see and do: policy sets that cannot be loaded, a topic that was trimmed, slow and full parts, upgrades."""

from __future__ import annotations

import signal
import socket
import urllib.error
import urllib.request
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from sqlalchemy import Connection, create_engine, func, insert, inspect, select, text

from policyengine.adapters.store import SqlLedgerStore
from policyengine.adapters.tables import metadata
from policyengine.bootstrap import Settings
from policyengine.cli.kafka import publish_for_workers
from policyengine.errors import PolicyEngineError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Kind
from policyengine.service.newest import POLICIES
from policyengine.service.policy_sets import PolicySet
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.kafka.broker import Broker
from tests.kafka.conftest import External
from tests.kafka.running import running
from tests.kafka.streams import PATIENCE
from tests.kafka.workers import Group
from tests.service.runs import FULL, HALF
from tests.support import booked, cancelled, line, policy_set


@cache
def half() -> PolicySet:
    return policy_set(HALF)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def events(first: int, last: int) -> list[bytes]:
    """A booking and its cancellation for each number."""
    return [
        line({**one, "id": f"{number}-{one['type']}", "subject": f"c{number}"})
        for number in range(first, last)
        for one in (booked(f"b{number}"), cancelled(f"b{number}"))
    ]


def sound(group: Group, count: int) -> None:
    """So many decisions, each published once in the ledger's order; the ledger verifies."""
    published = group.decision_headers()
    with SqlLedgerStore(group.ledger, read_only=True) as store:
        for shard in group.shards():
            recorded = [(one.seq, one.ref) for one in store.entries(shard) if one.kind == Kind.DECISION]
            assert published[shard] == recorded
        # what only a newer engine can read is nothing that this one can verify
        assert [one for one in verify_ledger(store, None).faults if one.shard != POLICIES] == []
        assert all(list(replay(store, shard)) == [] for shard in group.shards())
    assert sum(map(len, published.values())) == count


class Page:
    """A worker's pages."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.port = held.getsockname()[1]

    def get(self, path: str) -> tuple[int, str]:
        """Status and content; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def why_not(self) -> list[str]:
        status, content = self.get("/readyz")
        return orjson.loads(content)["because"] if status == 503 else []

    def metric(self, name: str) -> list[str]:
        return [one for one in self.get("/metrics")[1].splitlines() if one.startswith(f"policyengine_{name}")]


def unloadable(policies: PolicySet) -> PolicySet:
    """As a newer engine would write it, with a key that this one does not know."""
    document = orjson.loads(policies.body.raw)
    document["policies"][0]["of_tomorrow"] = True
    raw = canonical(document)
    digest = sha256(raw).hexdigest()
    body = policies.body._replace(raw=raw, ref=digest)
    return PolicySet(replace(policies.ruleset, digest=digest), policies.policies, body)


def publish(group: Group, policies: PolicySet) -> None:
    with SqlLedgerStore(group.ledger) as store:
        publish_for_workers(store, Settings(ledger=group.ledger), policies)


def test_a_worker_tells_over_http_what_it_cannot_load_and_what_it_cannot_read(
    broker: Broker | External, sqlite: str, tmp_path: Path
) -> None:
    page = Page()
    port = {"POLICYENGINE_WORKER_HEALTH_PORT": str(page.port)}
    with Group(broker.bootstrap, sqlite, tmp_path, partitions=1) as group:
        publish(group, half())
        worker = group.start(**port)
        group.write(events(0, 1))
        group.until_read(2)
        group.until(page.ready)
        # a set that cannot be loaded
        publish(group, unloadable(policy_set(FULL)))
        group.until(lambda: "the newest policy set was refused" in "".join(page.why_not()))
        assert "of_tomorrow" in page.why_not()[0]
        assert page.metric("policy_set_refused") == ["policyengine_policy_set_refused 1.0"]
        assert page.get("/livez")[0] == 200
        group.write(events(1, 2))
        group.until_read(4)  # it goes on with the last good one
        (shard,) = group.shards()
        assert {one["policy_set"] for one in group.decisions()[shard]} == {half().digest}
        # a good one
        good = policy_set(FULL)
        publish(group, good)
        group.until(page.ready)
        assert page.metric("policy_set_refused") == ["policyengine_policy_set_refused 0.0"]
        assert page.metric("policy_set_info") == [
            f'policyengine_policy_set_info{{digest="{good.digest}"}} 1.0'
        ]
        group.write(events(2, 3))
        group.until_read(6)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0, group.logs()
        # the topic no longer holds what comes next
        group.write(events(3, 5))
        with KafkaAdminClient(bootstrap_servers=group.bootstrap) as admin:
            admin.delete_records({TopicPartition(group.kafka.customer_topic, 0): 8})
        group.start(**port)
        group.until(lambda: "does not hold offset 6" in "".join(page.why_not()))
        assert page.metric("shard_stands_still{") == [
            f'policyengine_shard_stands_still{{because="topic",shard="{shard}"}} 1.0'
        ]
        assert page.get("/livez")[0] == 200
        sound(group, 6)


def test_a_worker_whose_database_is_slow_takes_in_no_more_than_it_can_write(
    broker: Broker | External, postgres: str, tmp_path: Path
) -> None:
    """80 MB wait in the topic, each commit takes half a second: what it holds is bounded by its settings."""
    bounds = {"POLICYENGINE_KAFKA_MAX_POLL_BYTES": "2000000", "POLICYENGINE_LOG_LEVEL": "error"}
    with Group(broker.bootstrap, postgres, tmp_path, partitions=1, settings=bounds) as group:
        publish(group, half())
        engine = create_engine(postgres)
        with engine.begin() as connection:
            _slow(connection)
        engine.dispose()
        worker = group.start()
        group.write(events(0, 20))
        group.until(lambda: group.position() >= 20)
        before = resident(worker.pid)
        with KafkaProducer(bootstrap_servers=group.bootstrap) as producer:
            for _ in range(1_600):
                producer.send(group.kafka.customer_topic, b"x" * 50_000, b"c1")
            producer.flush(PATIENCE)
        group.until(lambda: group.position() >= 60)  # two batches of them
        samples, at = [resident(worker.pid)], group.position()
        group.until(lambda: samples.append(resident(worker.pid)) or group.position() >= at + 100)
        assert group.position() < 1_600  # the rest waits where it is
        assert max(samples) - before < 45_000_000, (before, max(samples))
        assert max(samples) - samples[0] < 15_000_000, samples
        assert worker.poll() is None


def _slow(connection: Connection) -> None:
    """Every commit of a batch waits."""
    connection.execute(
        text(
            "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$"
        )
    )
    connection.execute(
        text("CREATE TRIGGER slow BEFORE INSERT ON root FOR EACH ROW EXECUTE FUNCTION slowly()")
    )


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    (line_,) = [
        one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS")
    ]
    return int(line_.split()[1]) * 1_024


def test_what_the_broker_takes_no_more_of_waits_in_the_ledger_and_goes_out_in_order(
    broker: Broker | External, sqlite: str, tmp_path: Path
) -> None:
    """A topic that refuses every message, as a full one does; events go on being decided."""
    with Group(broker.bootstrap, sqlite, tmp_path) as group, running(group, half()) as worker:
        group.write(events(0, 20))
        group.until_read(40)
        limit(group, "100")
        group.write(events(20, 120))
        group.until(lambda: group.position() >= 240)
        group.until(lambda: worker.metric("policyengine_outbox_depth") >= 200)
        assert sum(map(len, group.decisions().values())) == 40
        limit(group, "4194304")
        group.until(group.is_published)
        group.until(lambda: worker.metric("policyengine_outbox_depth") == 0)
        sound(group, 240)


def limit(group: Group, size: str) -> None:
    """The largest message that the topic of decisions takes."""
    change = ConfigResource(ConfigResourceType.TOPIC, group.kafka.decision_topic, {"max.message.bytes": size})
    with KafkaAdminClient(bootstrap_servers=group.bootstrap) as admin:
        admin.alter_configs([change])


@pytest.fixture(params=["sqlite", "postgres"])
def first_revision(request: pytest.FixtureRequest) -> Any:
    """Where a ledger of the first revision goes."""
    return request.getfixturevalue(request.param)


def test_a_ledger_of_the_first_revision_is_brought_up_to_date_by_a_worker_and_goes_on(
    broker: Broker | External, first_revision: str, tmp_path: Path
) -> None:
    written = f"sqlite:///{tmp_path / 'present.db'}"
    group = Group(broker.bootstrap, written, tmp_path)
    with group:
        with running(group, half()):
            group.write(events(0, 50))
            group.until_read(100)
        copy_back(written, first_revision)
        group.ledger = first_revision
        with (
            pytest.raises(PolicyEngineError, match="PE704"),
            SqlLedgerStore(first_revision, read_only=True),
        ):
            pass
        with running(group, None):
            group.write(events(40, 90))  # twenty of them come again
            group.until_read(200)
        sound(group, 180)


def copy_back(source: str, target: str) -> None:
    """The ledger's rows in the tables of the first revision, as that migration makes them."""
    from alembic import command

    from policyengine.adapters.database import _alembic_config

    old, new = create_engine(source), create_engine(target)
    with old.connect() as reading, new.begin() as writing:
        config = _alembic_config()
        config.attributes["connection"] = writing
        command.upgrade(config, "0001")
        columns = {
            name: {one["name"] for one in inspect(writing).get_columns(name)}
            for name in inspect(writing).get_table_names()
        }
        for table in metadata.sorted_tables:
            if table.name not in columns:
                continue
            rows: list[dict[str, Any]] = [
                {name: value for name, value in row._mapping.items() if name in columns[table.name]}
                for row in reading.execute(select(table))
                if table.name != "state" or row.customer
            ]
            if rows:
                writing.execute(insert(table), rows)
        assert writing.execute(select(func.count()).select_from(metadata.tables["entry"])).scalar_one() > 0
    old.dispose()
    new.dispose()
