"""A broker for all tests of a run, and what they do with it; every test has topics of its own."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from tests.kafka.broker import Broker, Cluster, answers
from tests.kafka.jars import NoKafkaError

NewTopic = Callable[..., str]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever needs a broker runs in one worker, so that one broker serves all."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("kafka"))


class External:
    """The broker that POLICYENGINE_TEST_KAFKA names: used, never started or killed."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap


@contextmanager
def _folder() -> Iterator[Path]:
    """Not below pytest's, which is cleared away when several runs follow one another quickly."""
    with tempfile.TemporaryDirectory(prefix="policyengine-kafka-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def own_broker() -> Iterator[Broker]:
    """A broker of the tests' own, which they may kill; they leave it running."""
    with _folder() as folder:
        try:
            started = Broker(folder).start()
        except NoKafkaError as error:
            pytest.fail(str(error), pytrace=False)
        yield started
        started.kill()


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Broker | External:
    """A broker to use: that of POLICYENGINE_TEST_KAFKA, else one of the tests' own."""
    there = os.environ.get("POLICYENGINE_TEST_KAFKA")
    if there is None:
        own: Broker = request.getfixturevalue("own_broker")
        return own
    if not answers(there):
        pytest.fail(f"no broker answers at POLICYENGINE_TEST_KAFKA={there}", pytrace=False)
    return External(there)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three brokers, for one test."""
    with _folder() as folder:
        three = Cluster(folder)
        try:
            yield three.start()
        except NoKafkaError as error:
            pytest.fail(str(error), pytrace=False)
        finally:
            three.stop()


@pytest.fixture
def new_topic(broker: Broker | External) -> NewTopic:
    """Makes a topic that no other test knows: ``new_topic(partitions=1, copies=1, **configs)``."""
    return lambda **options: make_topic(broker.bootstrap, **options)


def make_topic(
    bootstrap: str, *, name: str = "", partitions: int = 1, copies: int = 1, **configs: str
) -> str:
    """A new topic, ready for use; dots of a config's name are written as `_`."""
    name = name or f"t-{uuid.uuid4().hex[:12]}"
    options = {
        "num_partitions": partitions,
        "replication_factor": copies,
        "configs": {key.replace("_", "."): value for key, value in configs.items()},
    }
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        admin.create_topics({name: options}, wait_for_metadata=True)
    return name
