"""What a shard remembers, in the ledger's store: read when it is needed, written with each batch.

A ``Memory`` of what is stored and what the batch in hand changed, as one. Timers are service.pending's;
the same in plain dictionaries is service.in_memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any, NamedTuple

import orjson

from policyengine.domain.events import Event
from policyengine.domain.schema import read_catalogue
from policyengine.domain.state import CustomerState, settle, state_of_parts, weight
from policyengine.domain.timers import Timer
from policyengine.domain.validation import Validator
from policyengine.errors import LedgerError
from policyengine.ledger.entries import Entry, Kind, event_key
from policyengine.service.ledger_memory import pasts
from policyengine.service.memory import Past
from policyengine.service.pending import PendingTimers
from policyengine.service.ports import LedgerStore, Place
from policyengine.service.recorded import cause_of, digest_of, revalidate
from policyengine.service.world_rows import CUSTOMER, changed_parts, settled, world_of_parts

_AHEAD = 256  # customers whose states are read at once when a row of timers fires
_LAST = 2**63  # the rank of those who have none


class StateCache:
    """The most recently used customers' states, packed; the store has them all.

    ``capacity`` is in bytes, so the memory that it takes does not depend on how many customers there
    are or how long their histories.
    """

    def __init__(self, store: LedgerStore, shard: str, capacity: int) -> None:
        self._store = store
        self._shard = shard
        self._capacity = capacity
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._states: OrderedDict[str, CustomerState] = OrderedDict()

    def load(self, customers: Iterable[str]) -> None:
        """Bring in what is needed soon, in one query."""
        missing = [customer for customer in dict.fromkeys(customers) if customer not in self._states]
        if missing:
            stored = self._store.states(self._shard, missing)
            for customer in missing:
                self._put(customer, state_of_parts(customer, stored.get(customer, {})))

    def __getitem__(self, customer: str) -> CustomerState:
        if customer not in self._states:
            self.load((customer,))
        return self._states[customer]

    def __setitem__(self, customer: str, state: CustomerState) -> None:
        self._states[customer] = state

    def __contains__(self, customer: str) -> bool:
        return customer in self._states

    def _put(self, customer: str, state: CustomerState) -> None:
        heavy = weight(state)
        self._weight += heavy - self._weights.get(customer, 0)
        self._weights[customer] = heavy
        self._states[customer] = state
        self._states.move_to_end(customer)

    def settle(self, customers: Iterable[str]) -> dict[str, dict[str, bytes]]:
        """What these customers changed, to be written; kept packed from here on."""
        changed = {}
        for customer in customers:
            state, changed[customer] = settle(self._states[customer])
            self._put(customer, state)
        return changed

    def trim(self) -> None:
        """Forget the least recently used beyond the capacity."""
        while self._weight > self._capacity and self._states:
            customer, _ = self._states.popitem(last=False)
            self._weight -= self._weights.pop(customer)

    def clear(self) -> None:
        """Forget all: what is held may be ahead of a commit that failed."""
        self._states.clear()
        self._weights.clear()
        self._weight = 0


class Changes(NamedTuple):
    """What the batch in hand changed, as a ``Batch`` has it."""

    states: Mapping[str, Mapping[str, bytes]]
    timers: Mapping[tuple[str, str], Timer | None]
    places: Mapping[Place, bool]
    ranks: Mapping[str, int | None]
    queues: Mapping[int, Sequence[str] | None]


class StoredMemory:
    """A ``Memory`` over a store.

    ``entries`` are those of the batch in hand, which the driver appends to; ``capacity``: bytes for
    customers' states.

    invariant: whatever is asked, the answer is that of a store to which the batch had been written already.
    """

    def __init__(self, store: LedgerStore, shard: str, capacity: int) -> None:
        self._store = store
        self._shard = shard
        self._validators: dict[str, Validator] = {}  # by the digest of the policy set
        self.entries: Sequence[Entry] = ()
        self.states = StateCache(store, shard, capacity)
        self._timers = PendingTimers(lambda after, limit: store.timers(shard, after, limit))
        self.reset()

    def reset(self) -> None:
        """Forget what was not committed: as it is in the store."""
        self.world = world_of_parts(self._store.states(self._shard, [CUSTOMER]).get(CUSTOMER, {}))
        self.entries = ()
        self.states.clear()
        self._timers.reset()
        self._forget()

    def _forget(self) -> None:
        self._before = self.world
        self._changed: dict[str, None] = {}
        self._places: dict[str, dict[tuple[str, str], bool]] = {}  # key → (customer, part) → there or gone
        self._ranks: dict[str, int | None] = {}
        self._queues: dict[int, Sequence[str] | None] = {}

    # --- committing -------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """What is to be written."""
        states: dict[str, dict[str, bytes]] = self.states.settle(self._changed)
        if self.world is not self._before:
            states[CUSTOMER] = changed_parts(self.world, self._before)
        places = {
            Place(key, *found): there
            for key, changed in self._places.items()
            for found, there in changed.items()
        }
        return Changes(states, self._timers.changes, places, self._ranks, self._queues)

    def committed(self, entries: Sequence[Entry]) -> None:
        """It has been written; ``entries`` are those of the next batch."""
        self.world = settled(self.world)
        self.entries = entries
        self._timers.committed()
        self._forget()
        self.states.trim()

    # --- states -----------------------------------------------------------------------------------

    def load(self, customers: Iterable[str]) -> None:
        """Read the states of customers who will be asked for."""
        self.states.load(customers)

    def state(self, customer: str) -> CustomerState:
        """A customer's state."""
        return self.states[customer]

    def keep(self, state: CustomerState) -> None:
        """Remember a customer's state."""
        self.states[state.customer] = state
        self._changed[state.customer] = None

    # --- timers -----------------------------------------------------------------------------------

    def next_timer(self, until: int) -> Timer | None:
        """The first pending timer if it is due by ``until``; what it needs is at hand then."""
        timer = self._timers.next(until)
        if timer is not None and timer.customer and timer.customer not in self.states:
            self.states.load(filter(None, self._timers.soon(until, _AHEAD)))
        return timer

    def set_timer(self, timer: Timer) -> None:
        """Let a timer be pending."""
        self._timers.set(timer)

    def drop_timer(self, customer: str, timer_id: str) -> None:
        """Forget a timer."""
        self._timers.drop(customer, timer_id)

    def timers(self, customer: str) -> list[Timer]:
        """The pending timers of a customer, in timers' order."""
        return self._timers.of(customer, self._store.timers_of(self._shard, customer))

    # --- who is where -----------------------------------------------------------------------------

    def place(self, customer: str, part: str, before: AbstractSet[str], after: AbstractSet[str]) -> None:
        """Find the customer by these keys from now on."""
        for key in before ^ after:
            self._places.setdefault(key, {})[customer, part] = key in after

    def rank(self, customer: str, rank: int | None) -> None:
        """Where the customer stands in the order of a fan-out."""
        self._ranks[customer] = rank

    def touched(self, keys: Sequence[str]) -> list[str]:
        """The customers found by any of the keys, by rank and then by customer."""
        found = self._store.found(self._shard, dict.fromkeys(keys))
        for customer in self._gone(keys, found):
            del found[customer]
        new = {
            customer
            for key in keys
            for (customer, _), there in self._places.get(key, {}).items()
            if there and customer not in found
        }
        found.update(dict.fromkeys(new))
        found.update(self._store.ranks(self._shard, new))
        found.update((customer, rank) for customer, rank in self._ranks.items() if customer in found)

        def order(customer: str) -> tuple[int, str]:
            rank = found[customer]
            return (_LAST if rank is None else rank, customer)

        return sorted(found, key=order)

    def _gone(self, keys: Sequence[str], found: Mapping[str, int | None]) -> set[str]:
        """Who was found in the store, and moved away from all of the keys in the batch in hand."""
        gone = {
            customer
            for key in keys
            for (customer, _), there in self._places.get(key, {}).items()
            if not there and customer in found
        }
        for key in dict.fromkeys(keys) if gone else ():
            moved = self._places.get(key, {})
            stored = self._store.places_of(self._shard, key, gone)
            gone -= {place.customer for place in stored if moved.get((place.customer, place.part), True)}
        return gone

    # --- jobs -------------------------------------------------------------------------------------

    def queue(self, job: int, customers: Sequence[str]) -> None:
        """Keep the list of a job."""
        self._queues[job] = tuple(customers)

    def queued(self, job: int, start: int, count: int) -> list[str]:
        """Some of a job's customers, by their place in its list; their states are at hand then."""
        new = self._queues.get(job)
        if new is None:
            customers = self._store.queued(self._shard, job, start, count)
        else:
            customers = list(new[start : start + count])
        self.states.load(customers)
        return customers

    def finish(self, job: int) -> None:
        """Forget the list of a job."""
        self._queues[job] = None

    # --- the past ---------------------------------------------------------------------------------

    def customers_with(self, event_types: AbstractSet[str]) -> list[str]:
        """Whoever had an event (from outside) of one of these types."""
        marks = [b'"type":' + orjson.dumps(name) for name in sorted(event_types)]
        new = (
            (entry.customer, entry.body)
            for entry in self.entries
            if entry.kind == Kind.EVENT and entry.customer is not None
        )
        found: set[str] = set()
        for customer, body in chain(self._store.customer_events(self._shard), new):
            if customer in found or not any(mark in body for mark in marks):
                continue
            if orjson.loads(body)["event"]["type"] in event_types:
                found.add(customer)
        return sorted(found)

    def past(self, customer: str) -> Iterator[Past]:
        """Everything that was recorded of a customer, in order."""
        new = (entry for entry in self.entries if entry.customer == customer)
        entries = chain(self._store.of_customer(self._shard, customer), new)
        yield from pasts(entries, self._read, self._cause)

    def use(self, digest: str, validator: Validator) -> None:
        """This policy set is in force, though it may not be in the store yet."""
        self._validators[digest] = validator

    def _read(self, entry: Entry) -> Event:
        """The event of an entry, by the catalogue under which it was recorded."""
        digest = digest_of(entry)
        if digest not in self._validators:
            raw = self._store.policy_set(digest)
            if raw is None:
                message = f"the ledger names policy set {digest} but does not hold it; run `verify`"
                raise LedgerError(message, code="PE712")
            self._validators[digest] = Validator(read_catalogue(orjson.loads(raw)["catalogue"]))
        return revalidate(self._validators[digest], entry)

    def _cause(self, decision: Mapping[str, Any], seq: int) -> Entry:
        """The entry of the event that a decision names: it stands somewhere before the decision."""
        cause = decision["event"]
        ref = event_key(cause["source"], cause["id"]).hex()
        for entry in reversed(self.entries):
            if entry.ref == ref and entry.kind in (Kind.EVENT, Kind.INTERNAL) and entry.seq < seq:
                return entry
        return cause_of(self._store, self._shard, decision, seq)
