"""What the engine itself fails at: an event, a timer, a customer of a job; tried again, and passed over."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Literal, NamedTuple, Protocol, TypeVar

import structlog

from policyengine.domain.events import Event, Rejection
from policyengine.domain.timers import INTERNAL_SOURCE, LOST, Timer
from policyengine.domain.world import Job
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.service.door import SET_ASIDE

REACHED = "customers.reached"
PASSED_OVER = "passed_over"  # of REACHED: customers whom the engine failed at
_NO_FORM = "PE710"  # what was decided has no canonical form
_ATTEMPTS = 3  # at what the engine itself fails at
_LINES = 3  # of its traceback that go into the reason
_LONGEST = 2_000
T = TypeVar("T")
log = structlog.get_logger()


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


class Failing(Protocol):
    """A shard's writer, as far as its engine may fail."""

    @property
    def at_fault(self) -> Poison | None:
        """What the engine failed at when the last call raised; None: nothing that could be passed over."""

    def pass_over(self, aside: Aside) -> None:
        """Decide nothing on these from here on."""


def persist(writer: Failing, do: Callable[[], T], shard: str) -> tuple[T, int]:
    """Do it; an event, timer or customer at which the engine itself fails again and again is set aside.

    What it gives, and how many were set aside. ``do`` may have committed a part when it is called again. What
    fails for another reason, the ledger's or no single one's, is raised.
    """
    failures: Counter[Poison] = Counter()
    aside: dict[Poison, str] = {}
    while True:
        writer.pass_over(aside)
        try:
            return do(), len(aside)
        except Exception as error:
            poison = writer.at_fault
            if poison is None or poison in aside or not _engines_own(error):
                raise
            failures[poison] += 1
            log.exception("the engine failed", shard=shard, at=poison.what, of=poison.of, id=poison.id)
            if failures[poison] >= _ATTEMPTS:
                aside[poison] = _reason(error)
        finally:
            writer.pass_over({})


def _engines_own(error: BaseException) -> bool:
    """Whether the engine itself failed, or made what no ledger can hold: not the ledger, nor memory."""
    return not isinstance(error, (LedgerError, MemoryError)) or getattr(error, "code", "") == _NO_FORM


def _reason(error: BaseException) -> str:
    """The end of a traceback as text that has a canonical form."""
    lines = [one.strip() for one in traceback.format_exception(error)]
    last = " | ".join(chain.from_iterable(one.splitlines() for one in lines[-_LINES:]))
    text = f"the engine failed at it {_ATTEMPTS} times: {last}"[:_LONGEST]
    return text.encode("utf-8", "backslashreplace").decode()
