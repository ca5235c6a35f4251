"""What a shard remembers, as a Protocol: states, world, timers, and who is where.

service.machine works on it. In a run it is the ledger's database (service.stored), in a dry run, a case
or a replay it is plain dictionaries (service.in_memory); both must answer alike, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, Protocol

from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState
from policyengine.domain.timers import Timer
from policyengine.domain.world import World


class Past(NamedTuple):
    """One event of a customer's, and the documents of the decisions that were made on it."""

    event: Event
    decisions: Sequence[Mapping[str, Any]]


class Memory(Protocol):
    """What is remembered of one shard, up to the event that is being handled."""

    world: World

    def state(self, customer: str) -> CustomerState:
        """A customer's state; an empty one for who is not known."""

    def keep(self, state: CustomerState) -> None:
        """Remember a customer's state."""

    # --- timers -----------------------------------------------------------------------------------

    def next_timer(self, until: int) -> Timer | None:
        """The first pending timer, in timers' order, if it is due by ``until`` (µs, inclusive)."""

    def set_timer(self, timer: Timer) -> None:
        """Let a timer be pending, in place of one with the same customer and id."""

    def drop_timer(self, customer: str, timer_id: str) -> None:
        """Forget a timer that fired or is no longer wanted; nothing happens where there is none."""

    def timers(self, customer: str) -> list[Timer]:
        """The pending timers of a customer ("" is the world), in timers' order."""

    # --- who is where -----------------------------------------------------------------------------

    def place(self, customer: str, part: str, before: AbstractSet[str], after: AbstractSet[str]) -> None:
        """Find the customer by these keys from now on; ``part`` (`booking/b1`) is what they come from."""

    def rank(self, customer: str, rank: int | None) -> None:
        """Where the customer stands in the order of a fan-out; None: after those who have a rank."""

    def touched(self, keys: Sequence[str]) -> list[str]:
        """The customers found by any of the keys, each once, by rank and then by customer (as UTF-8)."""

    # --- jobs: lists of customers that are worked off bit by bit ------------------------------------

    def queue(self, job: int, customers: Sequence[str]) -> None:
        """Keep the list of a job; its number was never used before."""

    def queued(self, job: int, start: int, count: int) -> list[str]:
        """Some of a job's customers, by their place in its list, from 0."""

    def finish(self, job: int) -> None:
        """Forget the list of a job."""

    # --- the past, for retroactive amendments -------------------------------------------------------

    def customers_with(self, event_types: AbstractSet[str]) -> list[str]:
        """Whoever had an event (from outside) of one of these types, by customer (as UTF-8)."""

    def past(self, customer: str) -> Iterator[Past]:
        """Everything that was recorded of a customer, in order: their own events, and the engine's for them.

        A decision whose event is one of the world comes with that event.
        """
