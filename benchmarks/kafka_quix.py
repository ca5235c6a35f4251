"""The same decisions in quixstreams: its loop, its state store, its transactions; our engine in it.

Runs in an environment of its own (`make .venv-peers`). Each event is validated, folded into the state of its
customer, decided, and each decision is written to the topic of decisions, exactly once. The state is in
quixstreams' RocksDB store, with a changelog topic. There is no ledger, no audit trail and no look for
duplicates; no timers, no world, no policy set that changes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import stream
import workload
from quixstreams import Application, State

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.domain.events import Event
from policyengine.domain.state import settle, state_of_parts
from policyengine.domain.validation import Validator
from policyengine.ledger.canonical import canonical
from policyengine.service.in_memory import InMemory
from policyengine.service.machine import Happened, Machine
from policyengine.service.relay import as_published
from policyengine.service.shards import Pace


class Deciding:
    """Decides one customer's event over the state that the store has of them."""

    def __init__(self) -> None:
        policies = stream.policy_set(workload.make(100))
        self._validator = Validator(policies.catalogue)
        self._memory = InMemory()
        self._machine = Machine(policies.ruleset, self._memory)

    def __call__(self, value: bytes, state: State) -> Iterator[bytes]:
        """The decisions on an event, as they are published."""
        event = self._validator.validate(value)
        assert isinstance(event, Event)
        customer = event.subject
        stored = state.get_bytes("parts")
        parts = {} if stored is None else {part: body.encode() for part, body in orjson.loads(stored).items()}
        self._memory.states = {customer: state_of_parts(customer, parts)}
        for happened in self._machine.record(event):
            assert isinstance(happened, Happened)
            for decision in happened.decisions:
                yield canonical(as_published(decision.to_json()))
        _, changed = settle(self._memory.states[customer])
        parts.update(changed)
        state.set_bytes("parts", orjson.dumps({part: body.decode() for part, body in parts.items()}))


def main(folder: Path) -> None:
    """Until told to stop."""
    settings = KafkaSettings()
    app = Application(
        broker_address=settings.bootstrap_servers,
        consumer_group=settings.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_every=Pace().published,
        commit_interval=1.0,
        state_dir=folder / settings.group,
        loglevel="WARNING",
    )
    events = app.topic(settings.customer_topic, key_deserializer="bytes", value_deserializer="bytes")
    decided = app.topic(settings.decision_topic, key_serializer="bytes", value_serializer="bytes")
    deciding = Deciding()
    frame = app.dataframe(events)
    frame = frame.apply(lambda value, state: list(deciding(value, state)), stateful=True, expand=True)
    frame.to_topic(decided)
    app.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
