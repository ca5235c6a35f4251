"""The memory of whoever goes through a ledger again: plain dictionaries, and the past from the ledger itself.

The past of a customer is read when it is asked for, so that a long ledger costs no memory for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from policyengine.domain.events import Event
from policyengine.errors import LedgerError
from policyengine.ledger.entries import Entry, Kind, event_key
from policyengine.service.in_memory import InMemory
from policyengine.service.memory import Past
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Recorded, digest_of, revalidate


class LedgerMemory(InMemory):
    """What was remembered when the entry ``upto`` was about to be written."""

    def __init__(self, store: LedgerStore, shard: str, recorded: Recorded) -> None:
        super().__init__()
        self.upto = 0
        self._store = store
        self._shard = shard
        self._recorded = recorded

    def past(self, customer: str) -> Iterator[Past]:
        """Everything that was recorded of a customer before the entry ``upto``, in order."""
        entries = self._store.of_customer(self._shard, customer)
        return pasts((entry for entry in entries if entry.seq < self.upto), self._event, self._cause)

    def _event(self, entry: Entry) -> Event:
        return revalidate(self._recorded.at(digest_of(entry))[1], entry)

    def _cause(self, cause: Mapping[str, Any], seq: int) -> Entry:
        return cause_in(self._store, self._shard, cause, seq)


def cause_in(store: LedgerStore, shard: str, cause: Mapping[str, Any], seq: int) -> Entry:
    """The entry of the event that a decision names: it stands somewhere before the decision."""
    key = event_key(cause["source"], cause["id"])
    seen = store.seen(shard, [key]).get(key)
    found = None if seen is None else store.entry(shard, seen.seq)
    if found is None:
        internal = store.internal_world_events(shard, key.hex())
        found = next((one for one in reversed(internal) if one.seq < seq), None)
    if found is None:
        message = f"entry {seq} is a decision on an event that was not recorded; run `verify`"
        raise LedgerError(message, code="PE712")
    return found


def pasts(
    entries: Iterable[Entry],
    event_of: Callable[[Entry], Event],
    cause_of: Callable[[Mapping[str, Any], int], Entry],
) -> Iterator[Past]:
    """A customer's entries as events with decisions; a decision that names another event comes with that."""
    event: Event | None = None
    decisions: list[Mapping[str, Any]] = []
    for entry in entries:
        cause = None if entry.kind != Kind.DECISION else entry.document()["event"]
        if cause is None or event is None or (event.source, event.id) != (cause["source"], cause["id"]):
            if event is not None:
                yield Past(event, decisions)
            event = event_of(entry if cause is None else cause_of(cause, entry.seq))
            decisions = []
        if cause is not None:
            decisions.append(entry.document())
    if event is not None:
        yield Past(event, decisions)
