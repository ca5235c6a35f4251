"""The workload as a stream: lines of CloudEvents from many customers, and the policies as a set."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import orjson
import workload

from policyengine.domain.money import Money
from policyengine.domain.values import instant_to_json
from policyengine.service.policy_sets import PolicySet, prepare


def policy_set(load: workload.Workload) -> PolicySet:
    """The policies, compiled, with the record that is published."""
    return prepare(workload.policy_models(load), workload.catalogue(load))


def lines(load: workload.Workload, count: int, customers: int) -> Iterator[bytes]:
    """``count`` events, customer after customer, each about the customer's one service."""
    events = cycle(load.events)
    for number in range(count):
        event, customer = next(events), number % customers
        yield orjson.dumps(
            {
                "specversion": "1.0",
                "id": f"e-{number}",
                "source": "/bench",
                "type": event.event_type,
                "time": instant_to_json(event.time),
                "subject": f"c-{customer}",
                "data": {
                    "service_id": f"s-{customer}",
                    "region": event.region,
                    "phase": event.phase,
                    "amount": {
                        "amount": Money(event.amount, workload.CURRENCY).value,
                        "currency": workload.CURRENCY,
                    },
                },
            }
        )


def write(path: Path, load: workload.Workload, count: int, customers: int) -> None:
    """The stream as a file."""
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in lines(load, count, customers))
