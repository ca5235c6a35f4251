"""What `make chaos` does for as long as one likes, once and in short: every point, a restart of each server."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from threading import Thread

import pytest

from tests.kafka.broker import Broker
from tests.kafka.crashing import POINTS
from tests.kafka.disturbed import Round, policies
from tests.kafka.proxy import Proxy
from tests.kafka.servers import Servers
from tests.kafka.test_kafka_worker import published, story
from tests.kafka.workers import Group
from tests.postgres import Postgres

SEED = 20200317
_GIVEN_BACK = "revok"


@pytest.fixture
def both(own_broker: Broker, own_postgres: Postgres) -> Iterator[Servers]:
    """Both servers; the database over a line."""
    with Proxy() as to_broker, Proxy() as to_database:
        yield Servers(own_broker, own_postgres, to_broker, to_database)


def disturbed(both: Servers, folder: Path, *points: str) -> Round:
    """A group of three workers, the next of which die or sleep at these points; there is a shard for each."""
    ledger = both.new_ledger()
    settings = {"POLICYENGINE_KAFKA_SESSION_TIMEOUT": "2000", "POLICYENGINE_LOG_LEVEL": "info"}
    group = Group(
        both.broker.bootstrap,
        ledger,
        folder,
        partitions=4,
        settings=settings,
        workers_ledger=both.ledger(ledger),
    )
    return Round(
        both, group, random.Random(SEED), Counter(), minimum=3, points=list(reversed(points)), by_chance=False
    )


@pytest.mark.timeout(1_800)
def test_whatever_dies_at_whatever_point_everything_is_decided_and_published_once(
    both: Servers, tmp_path: Path
) -> None:
    """At each point once a worker is killed; one sleeps in the middle of publishing, and wakes as a zombie.

    The last ones die when they give back what they have, if they have been given anything by then.
    """
    armed = [f"{name}:1:kill" for name in sorted(POINTS, key=lambda name: name.startswith(_GIVEN_BACK))]
    one = disturbed(both, tmp_path, "relay-ending:2:stop", *armed)
    restarts = ["broker killed", "database stopped immediately"]
    with published(one.group) as group:
        events = takewhile(lambda _: one.disturbing, story(3_000))
        sender = Thread(target=group.write, args=(events,), kwargs={"pause": 0.4}, daemon=True)
        sender.start()
        until = time.monotonic() + 900
        while one.points or one.armed(but=_GIVEN_BACK):
            one.turn()
            if restarts and len(one.points) < 6 * len(restarts):
                one.cause(restarts.pop())
            assert time.monotonic() < until, one.story()
        one.calm()
        sender.join()
        one.finish(group.sent(), policies())
        assert one.faults == [], one.story()
        died = {name.removeprefix("killed at ") for name in one.counts if name.startswith("killed at ")}
        assert died >= {name for name in POINTS if not name.startswith(_GIVEN_BACK)}, one.story()
        assert one.counts["asleep at relay-ending"] == 1
