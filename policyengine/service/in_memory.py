"""What a shard remembers, in plain dictionaries: for dry runs, cases, replays and tests.

The ledger's own memory, which outlives the process, is service.stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush
from itertools import groupby

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState
from policyengine.domain.timers import Timer
from policyengine.domain.world import World
from policyengine.service.memory import Past

_NONE: frozenset[str] = frozenset()
_LAST = 2**63  # the rank of those who have none


class InMemory:
    """A ``Memory`` without a database. ``remember``: keep the past too, as whoever drives it notes it."""

    def __init__(self, world: World | None = None, *, remember: bool = False) -> None:
        self.world = World() if world is None else world
        self.states: dict[str, CustomerState] = {}
        self.pending: dict[tuple[str, str], Timer] = {}  # by customer and id
        self.places: dict[tuple[str, str], frozenset[str]] = {}  # by customer and part
        self.ranks: dict[str, int] = {}
        self.lists: dict[int, tuple[str, ...]] = {}
        self._due: list[tuple[int, str, str]] = []  # may name timers that are gone or were moved
        self._found: dict[str, dict[str, set[str]]] = {}  # key → customer → the parts that have it
        self._remember = remember
        self._past: dict[str, list[Past]] = {}
        self._events: dict[tuple[str, str], Event] = {}  # by source and id
        self._had: dict[str, set[str]] = {}  # event type → customers

    def state(self, customer: str) -> CustomerState:
        """A customer's state; an empty one for who is not known."""
        return self.states.get(customer) or CustomerState(customer)

    def keep(self, state: CustomerState) -> None:
        """Remember a customer's state."""
        self.states[state.customer] = state

    # --- timers -----------------------------------------------------------------------------------

    def next_timer(self, until: int) -> Timer | None:
        """The first pending timer by due time, customer and id, if it is due by ``until``."""
        while self._due and self._due[0][0] <= until:
            due, customer, timer_id = self._due[0]
            timer = self.pending.get((customer, timer_id))
            if timer is not None and timer.due == due:
                return timer
            heappop(self._due)
        return None

    def set_timer(self, timer: Timer) -> None:
        """Let a timer be pending, in place of one with the same customer and id."""
        self.pending[timer.customer, timer.id] = timer
        heappush(self._due, (timer.due, timer.customer, timer.id))
        if len(self._due) > 2 * len(self.pending) + 64:  # most of it names what is gone
            self._due = [(one.due, one.customer, one.id) for one in self.pending.values()]
            heapify(self._due)

    def drop_timer(self, customer: str, timer_id: str) -> None:
        """Forget a timer; nothing happens where there is none."""
        self.pending.pop((customer, timer_id), None)

    def timers(self, customer: str) -> list[Timer]:
        """The pending timers of a customer, in timers' order."""
        return sorted((one for one in self.pending.values() if one.customer == customer), key=_order)

    # --- who is where -----------------------------------------------------------------------------

    def place(self, customer: str, part: str, before: AbstractSet[str], after: AbstractSet[str]) -> None:
        """Find the customer by these keys from now on."""
        for key in before - after:
            parts = self._found.get(key, {}).get(customer, set())
            parts.discard(part)
            if not parts:
                self._found.get(key, {}).pop(customer, None)
        for key in after - before:
            self._found.setdefault(key, {}).setdefault(customer, set()).add(part)
        if after:
            self.places[customer, part] = frozenset(after)
        else:
            self.places.pop((customer, part), None)

    def rank(self, customer: str, rank: int | None) -> None:
        """Where the customer stands in the order of a fan-out."""
        if rank is None:
            self.ranks.pop(customer, None)
        else:
            self.ranks[customer] = rank

    def touched(self, keys: Sequence[str]) -> list[str]:
        """The customers found by any of the keys, by rank and then by customer."""
        found = {customer for key in keys for customer in self._found.get(key, ())}
        return sorted(found, key=lambda customer: (self.ranks.get(customer, _LAST), customer))

    # --- jobs -------------------------------------------------------------------------------------

    def queue(self, job: int, customers: Sequence[str]) -> None:
        """Keep the list of a job."""
        self.lists[job] = tuple(customers)

    def queued(self, job: int, start: int, count: int) -> list[str]:
        """Some of a job's customers, by their place in its list."""
        return list(self.lists[job][start : start + count])

    def finish(self, job: int) -> None:
        """Forget the list of a job."""
        del self.lists[job]

    # --- the past ---------------------------------------------------------------------------------

    def note(self, event: Event, decisions: Sequence[Decision], *, customer: str, internal: bool) -> None:
        """Who had which events; and where the past is kept, what happened.

        ``customer``: whose event it is, "" is the world's. Decisions for whom a job reaches come with the
        event that they name.
        """
        if customer and not internal:
            self._had.setdefault(event.type, set()).add(customer)
        if not self._remember:
            return
        self._events[event.source, event.id] = event
        if customer:
            self._past.setdefault(customer, []).append(Past(event, [one.to_json() for one in decisions]))
            return
        for (reached, *cause), made in groupby(
            decisions, lambda one: (one.customer, one.source, one.event_id)
        ):
            found = self._caused(cause[0], cause[1], reached)
            self._past.setdefault(reached, []).append(Past(found, [one.to_json() for one in made]))

    def _caused(self, source: str, event_id: str, customer: str) -> Event:
        """The event that a decision for the customer names; it was noted before."""
        del customer
        return self._events[source, event_id]

    def customers_with(self, event_types: AbstractSet[str]) -> list[str]:
        """Whoever had an event from outside of one of these types."""
        return sorted({customer for kind in event_types for customer in self._had.get(kind, _NONE)})

    def past(self, customer: str) -> Iterator[Past]:
        """Everything that was noted of a customer, in order."""
        yield from self._past.get(customer, ())


def _order(timer: Timer) -> tuple[int, str, str]:
    return timer.due, timer.customer, timer.id
