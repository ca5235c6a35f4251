"""One workload, told to each engine in its own words: which of N policies apply to an event.

Every policy asks for an event type, a region, phases of the crisis, an amount from a threshold on
and a window of time. Events are aimed at one policy each; others apply by chance, about 0.4 of them.
The events are made once and the same for all; an engine's answer is the list of policies' numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import orjson

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.policy import Policy
from policyengine.domain.schema import read_catalogue
from policyengine.domain.state import CustomerState, to_micros
from policyengine.domain.world import World

SIZES = (10, 100, 1_000)
EVENTS = 500
PHASES = ("onset", "ongoing", "recovery", "ended")
FIRST_DAY = date(2020, 1, 1)
LAST_DAY = date(2022, 1, 1)
MOST = 100_000  # minor units
CURRENCY = "ILS"
FIELDS = {
    "region": {"type": "string", "description": "where"},
    "phase": {"type": "string", "description": "how far the crisis is"},
    "amount": {"$ref": "money", "description": "what the customer paid"},
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one policy asks for."""

    number: int
    event_type: str
    region: str
    phases: tuple[str, ...]
    least: int  # minor units
    start: date
    until: date


@dataclass(frozen=True, slots=True)
class Happened:
    """What one event says."""

    number: int
    event_type: str
    region: str
    phase: str
    amount: int  # minor units
    time: datetime


@dataclass(frozen=True, slots=True)
class Workload:
    """N policies and the events that all engines answer."""

    policies: tuple[Wanted, ...]
    events: tuple[Happened, ...]

    def answers(self) -> list[list[int]]:
        """The right answers, by the definition."""
        return [[one.number for one in self.policies if applies(one, event)] for event in self.events]


def micros(day: date) -> int:
    """Midnight UTC in microseconds since 1970."""
    return to_micros(datetime.combine(day, time(), UTC))


def applies(policy: Wanted, event: Happened) -> bool:
    """The definition of the workload."""
    return (
        policy.event_type == event.event_type
        and policy.region == event.region
        and event.phase in policy.phases
        and event.amount >= policy.least
        and micros(policy.start) <= to_micros(event.time) < micros(policy.until)
    )


def make(size: int, *, seed: int = 7) -> Workload:
    """N policies; the more of them, the more event types and regions they spread over."""
    chance = random.Random(seed)
    types = min(10, max(4, size // 4))
    regions = max(1, round(size / types * 0.25 / 0.4))
    policies = tuple(_policy(number, types, regions, chance) for number in range(size))
    events = tuple(_aimed_at(chance.choice(policies), number, chance) for number in range(EVENTS))
    return Workload(policies, events)


def _policy(number: int, types: int, regions: int, chance: random.Random) -> Wanted:
    start = FIRST_DAY + timedelta(days=chance.randrange(300))
    return Wanted(
        number,
        f"service.event{chance.randrange(types)}",
        f"region-{chance.randrange(regions)}",
        tuple(chance.sample(PHASES, 2)),
        chance.randrange(MOST // 2),
        start,
        start + timedelta(days=chance.randrange(200, 430)),
    )


def _aimed_at(policy: Wanted, number: int, chance: random.Random) -> Happened:
    day = policy.start + timedelta(days=chance.randrange((policy.until - policy.start).days))
    return Happened(
        number,
        policy.event_type,
        policy.region,
        chance.choice(policy.phases),
        chance.randrange(policy.least, MOST),
        datetime.combine(day, time(12), UTC),
    )


# --- the same in this project's words ------------------------------------------------------------


def catalogue(workload: Workload) -> Catalogue:
    """Event types about a `service`, whose region, phase and amount they set."""
    names = sorted({policy.event_type for policy in workload.policies})
    documents: dict[str, Any] = {
        "entities/customer": _document("customer", {}),
        "entities/service": _document("service", FIELDS),
    }
    for name in names:
        key = {"service_id": {"type": "string", "description": "which service"}}
        document = _document(name, {**key, **FIELDS})
        required = ["service_id", *FIELDS]
        documents[f"events/{name}"] = {**document, "x-key": "service_id", "required": required}
    for name, document in documents.items():
        document["x-entity"] = "customer" if name == "entities/customer" else "service"
    return read_catalogue(documents)


def _document(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": name,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def policy_models(workload: Workload) -> list[Policy]:
    """The policies as their files would say them."""
    return [
        Policy.model_validate(
            {
                "policy": f"bench/policy-{one.number:05d}",
                "version": 1,
                "title": {"en": f"Policy {one.number}"},
                "owner": "bench@example.org",
                "basis": "goodwill",
                "effective": {"from": one.start, "until": one.until},
                "currency": CURRENCY,
                "rules": [
                    {
                        "id": "credit",
                        "on": one.event_type,
                        "when": [
                            f"event.phase in {orjson.dumps(one.phases).decode()}",
                            f'event.region == "{one.region}"',
                            f'event.amount >= money("{Money(one.least, CURRENCY)}")',
                        ],
                        "grant": [{"kind": "credit", "amount": "percent(event.amount, 5)"}],
                    }
                ],
            }
        )
        for one in workload.policies
    ]


def engine_inputs(workload: Workload) -> list[tuple[CustomerState, World, Event]]:
    """What ``decide`` is asked."""
    return [
        (
            CustomerState("c-1"),
            World(),
            Event(
                source="/bench",
                id=str(event.number),
                type=event.event_type,
                time=event.time,
                subject="c-1",
                data={
                    "service_id": "s-1",
                    "region": event.region,
                    "phase": event.phase,
                    "amount": Money(event.amount, CURRENCY),
                },
            ),
        )
        for event in workload.events
    ]


# --- asking --------------------------------------------------------------------------------------


def ask_all(questions: Sequence[Any], answer: Callable[[Any], list[int]]) -> list[list[int]]:
    """Every question's answer, sorted, for comparing engines."""
    return [sorted(answer(question)) for question in questions]
