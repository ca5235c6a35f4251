"""Workers on a real broker and a real database: every event is decided once, whoever dies or sleeps.

Customers' events alone are compared with an undisturbed run: where an event of the world takes effect
between theirs is chance in any run, and stands in the ledger.
"""

from __future__ import annotations

import random
import signal
import time
from functools import cache
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from policyengine.authoring.check import check_folder
from policyengine.bootstrap import shipped_rules
from policyengine.service.policy_sets import PolicySet, prepare
from policyengine.service.stream import generate
from tests.kafka.broker import Broker, Ports
from tests.kafka.conftest import External
from tests.kafka.proxy import Proxy
from tests.kafka.streams import PATIENCE
from tests.kafka.workers import Group, of_customers
from tests.support import booked, cancelled, catalogue, line

RULES = shipped_rules() / "travel"


@cache
def policies() -> PolicySet:
    """What the workers decide under."""
    return check_folder(RULES, catalogue(), prepare)


@cache
def story(events: int) -> list[bytes]:
    """Customers' year, with its duplicates, latecomers and broken lines."""
    return of_customers(generate(7, max(20, events // 12), events))


def published(group: Group) -> Group:
    """Its policies are there for the workers."""
    group.publish(RULES)
    return group


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """A file of one worker's own."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def test_a_worker_on_a_file_that_is_killed_at_any_moment_decides_everything_once(
    broker: Broker | External, sqlite: str, tmp_path: Path
) -> None:
    moments = random.Random(20200315)
    with published(Group(broker.bootstrap, sqlite, tmp_path)) as group:
        sender = Thread(target=group.write, args=(story(1_200),), kwargs={"pause": 0.1})
        sender.start()
        for _ in range(3):
            worker, before = group.start(), group.position()
            group.until(lambda before=before: group.position() > before or not sender.is_alive())  # type: ignore[misc]
            time.sleep(moments.uniform(0, 0.7))
            worker.kill()
            worker.wait()
        sender.join()
        worker = group.start()
        group.until_read(len(story(1_200)))
        assert group.assert_sound(policies()) > 0.9 * len(story(1_200))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0, group.logs()


def test_two_workers_take_over_from_each_other(
    broker: Broker | External, postgres: str, tmp_path: Path
) -> None:
    """One is killed, one comes, one is told to leave: each time the partitions move."""
    moments = random.Random(20200316)
    with published(Group(broker.bootstrap, postgres, tmp_path, partitions=3)) as group:
        sender = Thread(target=group.write, args=(story(1_500),), kwargs={"pause": 0.15})
        sender.start()
        first, second = group.start(), group.start()
        group.until(lambda: group.position() > 50)
        time.sleep(moments.uniform(0, 1))
        first.kill()
        third = group.start()
        before = group.position()
        group.until(lambda: group.position() > before + 100)
        second.send_signal(signal.SIGTERM)
        assert second.wait(PATIENCE) == 0, group.logs()
        sender.join()
        group.until_read(len(story(1_500)))
        assert third.poll() is None
        assert group.assert_sound(policies()) > 0.9 * len(story(1_500))


def test_a_worker_that_sleeps_too_long_writes_nothing_when_it_wakes_and_joins_again(
    broker: Broker | External, postgres: str, tmp_path: Path
) -> None:
    early, late = story(1_200)[:600], story(1_200)[600:]
    with published(Group(broker.bootstrap, postgres, tmp_path)) as group:
        sleeper = group.start()
        sender = Thread(target=group.write, args=(early,), kwargs={"pause": 0.1})
        sender.start()
        group.until(lambda: group.position() > 60)
        sleeper.send_signal(signal.SIGSTOP)
        other = group.start()
        sender.join()
        group.until_read(len(early))
        sleeper.send_signal(signal.SIGCONT)
        group.write(late, pause=0.1)
        group.until_read(len(story(1_200)))
        group.assert_sound(policies())
        other.kill()  # whoever woke up takes over
        group.write([line(booked("again")), line(cancelled("again"))])
        group.until_read(len(story(1_200)) + 2)
        assert sleeper.poll() is None
        group.assert_sound(policies())


def test_whoever_wakes_up_under_a_name_that_another_has_by_now_ends(
    broker: Broker | External, postgres: str, tmp_path: Path
) -> None:
    named = {"POLICYENGINE_KAFKA_INSTANCE_ID": "worker-0", "POLICYENGINE_KAFKA_SESSION_TIMEOUT": "30000"}
    early, late = story(600)[:300], story(600)[300:]
    with published(Group(broker.bootstrap, postgres, tmp_path)) as group:
        sleeper = group.start(**named)
        group.write(early)
        group.until(lambda: group.position() > 0)
        sleeper.send_signal(signal.SIGSTOP)
        group.start(**named)
        group.until_read(len(early))
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.wait(PATIENCE) == 2, group.logs()
        assert "error: PE724" in group.log_of(0).read_text()
        group.write(late)
        group.until_read(len(story(600)))
        group.assert_sound(policies())


def test_who_is_told_twice_to_stop_ends_at_once_and_nothing_is_lost(
    broker: Broker | External, postgres: str, tmp_path: Path
) -> None:
    """The database does not answer, so the worker that was told once is still waiting for it."""
    with Proxy() as line, published(Group(broker.bootstrap, postgres, tmp_path)) as group:
        group.workers_ledger = line.before(postgres)
        worker = group.start(POLICYENGINE_WORKER_FINISH=str(2 * PATIENCE))
        group.write(story(400))
        group.until(lambda: group.position() > 0)
        line.freeze()
        worker.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert worker.poll() is None
        worker.send_signal(signal.SIGINT)
        assert worker.wait(PATIENCE) == 128 + signal.SIGINT
        line.thaw()
        group.start()
        group.until_read(len(story(400)))
        group.assert_sound(policies())


def test_an_older_ledger_is_refused_until_the_newest_is_back(
    broker: Broker | External, sqlite: str, tmp_path: Path
) -> None:
    """The third worker is given the ledger that the first one left, after the second one has published more."""
    parts = [story(600)[:200], story(600)[200:400], story(600)[400:]]
    left: list[bytes] = []
    with published(Group(broker.bootstrap, sqlite, tmp_path, partitions=1)) as group:
        (shard,), at = group.shards(), group.ledger.removeprefix("sqlite:///")
        for part in parts[:2]:
            worker, before = group.start(), group.position()
            group.write(part)
            group.until_read(before + len(part))
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE) == 0, group.logs()
            left.append(Path(at).read_bytes())
        Path(at).write_bytes(left[0])
        port = str(Ports.free().plain)
        worker = group.start(POLICYENGINE_WORKER_HEALTH_PORT=port)
        group.until(lambda: "PE714" in ready(port))
        assert f"its shard {shard} has" in ready(port)
        assert group.position() == len(parts[0])
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0, group.logs()
        Path(at).write_bytes(left[1])
        group.start()
        group.write(parts[2])
        group.until_read(len(story(600)))
        group.assert_sound(policies())


def ready(port: str) -> str:
    """What /readyz says."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        with error:
            return error.read().decode()
    except OSError:
        return ""


def test_a_policy_set_that_is_published_reaches_a_running_worker_between_two_events(
    broker: Broker | External, sqlite: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    with published(Group(broker.bootstrap, sqlite, tmp_path, partitions=1)) as group:
        group.start()
        group.write([line(booked("b1")), line(cancelled("b1"))])
        group.until_read(2)
        group.publish(shipped_rules())
        (shard,) = group.shards()
        group.until(lambda: len({one["policy_set"] for one in _probe(group, shard)}) == 2)


def _probe(group: Group, shard: str) -> list[dict[str, str]]:
    """One more event, and all decisions so far."""
    name = f"probe-{time.monotonic_ns()}"
    before = group.position()
    group.write([line(booked(name))])
    group.until_read(before + 1)
    return group.decisions()[shard]
