"""Which events the engine failed at and has not accepted since; sending them again is an adapter's.

A timer or a customer of a job that was set aside comes from no topic, and cannot be sent to one.
"""

from __future__ import annotations

from collections.abc import Iterator

from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.ledger.entries import Kind, event_key
from policyengine.service.door import SET_ASIDE
from policyengine.service.ports import LedgerStore


def set_aside(store: LedgerStore, shard: str | None = None) -> Iterator[tuple[str, int]]:
    """Shard and sequence of each, the last time that it was set aside."""
    for one in store.shards() if shard is None else [shard]:
        last: dict[bytes, int] = {}
        for entry in store.entries(one):
            if entry.kind == Kind.REJECTED:
                document = entry.document()
                if document.get("code") == SET_ASIDE and document["source"] != INTERNAL_SOURCE:
                    last[event_key(str(document["source"]), str(document["id"]))] = entry.seq
        accepted = store.seen(one, last)
        yield from (
            (one, seq) for key, seq in sorted(last.items(), key=lambda item: item[1]) if key not in accepted
        )
