"""What the engine failed at and has not decided since; sending events again is an adapter's.

A timer or a customer of a job that was set aside comes from no topic, and cannot be sent to one.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import orjson

from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.errors import LedgerError
from policyengine.ledger.entries import Entry, Kind, event_key
from policyengine.service.door import SET_ASIDE
from policyengine.service.ports import LedgerStore


class Waiting(NamedTuple):
    """One of them: an event from outside, a timer, or a customer whom an event of the world reached.

    ``type`` is that of the event that was not decided on, ``subject`` whose it is; entry ``seq`` holds it.
    """

    shard: str
    seq: int
    what: Literal["event", "timer", "customer"]
    type: str
    id: str
    subject: str
    reason: str

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return self._asdict()


def waiting(store: LedgerStore, shard: str | None = None) -> Iterator[Waiting]:
    """Each, by shard and sequence; an event the last time that it was set aside."""
    for one in store.shards() if shard is None else [shard]:
        events: dict[bytes, Waiting] = {}
        own: list[Waiting] = []
        for entry in store.entries(one):
            if entry.kind != Kind.REJECTED or (document := entry.document()).get("code") != SET_ASIDE:
                continue
            found = _waiting(entry, document)
            if found.what == "event":
                events[event_key(str(document["source"]), str(document["id"]))] = found
            else:
                own.append(found)
        accepted = store.seen(one, events)
        own += [found for key, found in events.items() if key not in accepted]
        yield from sorted(own, key=lambda found: found.seq)


def set_aside(store: LedgerStore, shard: str | None = None) -> Iterator[tuple[str, int]]:
    """Shard and sequence of each that came from outside, the last time that it was set aside."""
    return ((one.shard, one.seq) for one in waiting(store, shard) if one.what == "event")


def _waiting(entry: Entry, document: dict[str, Any]) -> Waiting:
    what: Literal["event", "timer", "customer"] = "event"
    try:
        raw = orjson.loads(b64decode(document["raw"]))
        kind, subject = raw.get("type"), raw.get("subject")
        if document["source"] == INTERNAL_SOURCE:
            what = "timer" if "type" in raw else "customer"
        if what == "customer":
            kind, subject = raw["event"]["data"]["cause_type"], raw["customer"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"entry {entry.seq} of shard {entry.shard} was changed outside of the engine; run `verify`"
        raise LedgerError(message, code="PE708") from error
    return Waiting(
        entry.shard, entry.seq, what, str(kind), str(document["id"]), str(subject), str(document["reason"])
    )
