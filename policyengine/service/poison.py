"""What the engine itself fails at: an event, a timer, a customer of a job; and that it was passed over.

Who tries again, and how often, is service.shards'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from policyengine.domain.events import Event, Rejection
from policyengine.domain.timers import INTERNAL_SOURCE, LOST, Timer
from policyengine.domain.world import Job
from policyengine.ledger.canonical import canonical
from policyengine.service.door import SET_ASIDE

REACHED = "customers.reached"
PASSED_OVER = "passed_over"  # of REACHED: customers whom the engine failed at


class Poison(NamedTuple):
    """What the machine was busy with; ``of``: an event's position, a timer's customer, a job's number."""

    what: Literal["event", "timer", "customer"]
    of: str
    id: str

    @classmethod
    def event(cls, offset: int, event: Event) -> Poison:
        """An event from outside, by the position after it."""
        return cls("event", str(offset), event.id)

    @classmethod
    def timer(cls, timer: Timer) -> Poison:
        """A timer."""
        return cls("timer", timer.customer, timer.id)

    @classmethod
    def customer(cls, job: Job | int, customer: str) -> Poison:
        """A customer whom a job reaches."""
        return cls("customer", str(job if isinstance(job, int) else job.number), customer)


Aside = Mapping[Poison, str]  # what is passed over, and why


def at(event: Event, customer: str) -> Poison:
    """What a decision on one of the engine's own events, for a customer, is made for."""
    if event.type == REACHED:
        return Poison.customer(int(str(event.data["job"])), customer)
    return Poison("timer", customer, event.id)


def passed_over(event: Event, aside: Aside) -> Iterator[Rejection]:
    """The dead letters of what one of the engine's own events passes over, with all it would have said."""
    data = event.data
    if event.type == LOST and data["code"] == SET_ASIDE:
        document, reason = str(data["document"]), str(data["reason"])
        yield Rejection(SET_ASIDE, reason, document.encode(), INTERNAL_SOURCE, str(data["timer"]))
    elif event.type == REACHED and isinstance(customers := data.get(PASSED_OVER), tuple):
        for customer in customers:
            reason = aside[Poison.customer(int(str(data["job"])), customer)]
            raw = canonical({"customer": customer, "event": event.document})
            yield Rejection(SET_ASIDE, reason, raw, INTERNAL_SOURCE, f"{event.id}/{customer}")


def recorded_aside(event: Mapping[str, object]) -> Aside:
    """What was passed over when one of the engine's own events was recorded; none in most."""
    data = event.get("data")
    if not isinstance(data, Mapping):
        return {}
    if event.get("type") == LOST and data.get("code") == SET_ASIDE:
        whose, which = str(data.get("customer", "")), str(data.get("timer"))
        return {Poison("timer", whose, which): str(data.get("reason"))}
    if event.get("type") == REACHED and isinstance(several := data.get(PASSED_OVER), list):
        return {Poison("customer", str(data.get("job")), str(customer)): "" for customer in several}
    return {}
