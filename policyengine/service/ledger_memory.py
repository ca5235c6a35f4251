"""The memory of whoever goes through a ledger again: plain dictionaries, and the past from the ledger itself.

The past of a customer is read when it is asked for, so that a long ledger costs no memory for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from policyengine.domain.events import Event
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.in_memory import InMemory
from policyengine.service.memory import Past
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Recorded, cause_of, digest_of, revalidate


class LedgerMemory(InMemory):
    """What was remembered when the entry ``upto`` was about to be written."""

    def __init__(self, store: LedgerStore, shard: str, recorded: Recorded) -> None:
        super().__init__()
        self.upto = 0
        self._store = store
        self._shard = shard
        self._recorded = recorded

    def past(self, customer: str) -> Iterator[Past]:
        """What was recorded of a customer before the entry ``upto``, in order; then what is imagined."""
        entries = self._store.of_customer(self._shard, customer)
        yield from pasts((entry for entry in entries if entry.seq < self.upto), self._event, self._cause)
        yield from super().past(customer)

    def imagine(self, upto: int) -> None:
        """Leave the ledger at the entry ``upto``: what is noted from here on is remembered too."""
        self.upto = upto
        self._remember = True

    def _caused(self, source: str, event_id: str, customer: str) -> Event:
        if (source, event_id) in self._events:
            return super()._caused(source, event_id, customer)
        named = {
            "decision_id": f"on {event_id}",
            "customer": customer,
            "event": {"source": source, "id": event_id},
        }
        return self._event(self._cause(named, self.upto))

    def _event(self, entry: Entry) -> Event:
        return revalidate(self._recorded.at(digest_of(entry))[1], entry)

    def _cause(self, decision: Mapping[str, Any], seq: int) -> Entry:
        return cause_of(self._store, self._shard, decision, seq)


def pasts(
    entries: Iterable[Entry],
    event_of: Callable[[Entry], Event],
    cause_of: Callable[[Mapping[str, Any], int], Entry],
) -> Iterator[Past]:
    """A customer's entries as events with decisions; a decision that names another event comes with that."""
    event: Event | None = None
    decisions: list[Mapping[str, Any]] = []
    for entry in entries:
        decision = None if entry.kind != Kind.DECISION else entry.document()
        cause = None if decision is None else decision["event"]
        if cause is None or event is None or (event.source, event.id) != (cause["source"], cause["id"]):
            if event is not None:
                yield Past(event, decisions)
            event = event_of(entry if decision is None else cause_of(decision, entry.seq))
            decisions = []
        if decision is not None:
            decisions.append(decision)
    if event is not None:
        yield Past(event, decisions)
