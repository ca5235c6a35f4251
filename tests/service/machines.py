"""A machine in a test: stories told to it, and what happened, in short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from policyengine.domain.catalogue import Scope
from policyengine.domain.events import Event
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.service.in_memory import InMemory
from policyengine.service.machine import REACHED, Happened, Machine, Refused
from policyengine.service.memory import Memory
from policyengine.service.policy_sets import PolicySet
from tests.support import catalogue, event, ils, line

VALIDATOR = Validator(catalogue())


def read(document: Mapping[str, Any]) -> Event:
    """An event that the door would let in."""
    found = VALIDATOR.validate(line(document))
    assert isinstance(found, Event), f"{found.code} {found.reason}"
    return found


def micros(text: str) -> int:
    """Of an instant such as 2020-03-01T00:00:00Z."""
    return to_micros(datetime.fromisoformat(text).astimezone(UTC))


class Telling:
    """Tells a machine a story and keeps what it answers."""

    def __init__(self, prepared: PolicySet, memory: Memory | None = None) -> None:
        self.prepared = prepared
        self.memory = InMemory(remember=True) if memory is None else memory
        self.machine = Machine(prepared.ruleset, self.memory)
        self.machine.adopt(prepared.ruleset)
        self.all: list[Happened | Refused] = []

    def __call__(self, *documents: Mapping[str, Any]) -> list[Happened | Refused]:
        """What comes of these events, and of nothing but them."""
        return self._keep(one for document in documents for one in self.machine.record(read(document)))

    def tick(self, at: str) -> list[Happened | Refused]:
        """What a live clock brings about."""
        return self._keep(self.machine.tick(micros(at)))

    def piece(self) -> list[Happened | Refused]:
        """What the next piece of a job brings about."""
        return self._keep(self.machine.piece())

    def work_off(self) -> list[Happened | Refused]:
        """Everything that is left of the jobs."""
        found: list[Happened | Refused] = []
        while not self.machine.idle():
            found += self.piece()
        return found

    def _keep(self, happenings: Iterator[Happened | Refused]) -> list[Happened | Refused]:
        found = []
        for one in happenings:
            if isinstance(one, Happened) and isinstance(self.memory, InMemory):
                is_of_world = catalogue().events[one.event.type].scope is Scope.WORLD
                customer = "" if is_of_world else one.event.subject
                self.memory.note(one.event, one.decisions, customer=customer, internal=one.internal)
            found.append(one)
        self.all += found
        return found


def names(happenings: list[Happened | Refused]) -> list[str]:
    """What happened in short: `type`, with `*` where the machine made it; a code where it was refused."""
    return [
        one.code if isinstance(one, Refused) else f"{'*' if one.internal else ''}{one.event.type}"
        for one in happenings
    ]


def reached(happenings: list[Happened | Refused]) -> list[str]:
    """The customers that were decided for, in order."""
    return [
        decision.customer
        for one in happenings
        if isinstance(one, Happened) and one.event.type == REACHED
        for decision in one.decisions
    ]


def member(customer: str, at: str = "2020-01-01T08:00:00Z", **data: Any) -> dict[str, Any]:
    """A customer registers."""
    return event("customer.registered", at, customer, language="he", **data)


def subscribed(
    customer: str, site: str = "pool", at: str = "2020-01-02T08:00:00Z", key: str = ""
) -> dict[str, Any]:
    """A customer subscribes at a site."""
    key = key or f"s-{customer}"
    data = {"subscription_id": key, "kind": "gym", "site": site, "monthly_fee": ils("100.00")}
    return event("subscription.started", at, customer, **data)


def pool(at: str = "2020-01-01T07:00:00Z", key: str = "pool", region: str = "tel-aviv") -> dict[str, Any]:
    """There is a pool."""
    return event("facility.registered", at, key, facility_id=key, name="Gordon", kind="pool", region=region)


def closed(at: str = "2020-03-15T08:00:00Z", key: str = "pool", **data: Any) -> dict[str, Any]:
    """The pool closes."""
    data = {"facility_id": key, "closed_from": "2020-03-15", "share_percent": 100, **data}
    return event("facility.closed", at, key, **data)


def crisis(at: str = "2020-03-10T08:00:00Z", key: str = "c", **data: Any) -> dict[str, Any]:
    """A pandemic in the north is declared."""
    data = {"crisis_id": key, "kind": "pandemic", "region": "north", "onset_from": "2020-03-10", **data}
    return event("crisis.declared", at, key, **data)
