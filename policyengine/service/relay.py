"""From the ledger to whoever waits for it: what a channel has not published yet, in order.

The ledger is the outbox: a channel remembers the next sequence and where its sink stood.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson

from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.ports import DEAD_LETTERS, DECISIONS, LedgerStore

_LIMIT = 1_000


class Sink(Protocol):
    """Takes lines and says where it stands."""

    @property
    def position(self) -> bytes:
        """The position to come back to."""

    def write(self, lines: list[bytes]) -> bytes:
        """Append lines durably; the position after them."""


def published_decision(entry: Entry) -> bytes:
    """A decision as it goes out."""
    return canonical(as_published(entry.document()))


def as_published(document: Mapping[str, Any]) -> dict[str, Any]:
    """What may go out: what was decided in shadow stays in the ledger, what is held back waits there."""
    out = {key: value for key, value in document.items() if key != "shadow"}
    out["trace"] = [rule for rule in document["trace"] if not rule.get("shadow")]
    if "held" in document:
        out["held"] = [
            {key: value for key, value in held.items() if key != "messages"} for held in document["held"]
        ]
    return out


def dead_letter(entry: Entry) -> bytes:
    """A rejected input with its reason: ``raw`` where it is UTF-8, else ``raw_base64``."""
    document = entry.document()
    raw = b64decode(document["raw"])
    letter = {key: document[key] for key in ("code", "reason", "source", "id")}
    letter["shard"], letter["seq"] = entry.shard, entry.seq
    if "message" in document:
        letter["message"] = orjson.loads(b64decode(document["message"]))
    letter["offset"] = orjson.loads(entry.header)["input"]["offset"]
    try:
        letter["raw"] = raw.decode()
    except UnicodeDecodeError:
        letter["raw_base64"] = document["raw"]
    return canonical(letter)


CHANNELS: Mapping[str, tuple[Kind, Callable[[Entry], bytes]]] = {
    DECISIONS: (Kind.DECISION, published_decision),
    DEAD_LETTERS: (Kind.REJECTED, dead_letter),
}


def relay(store: LedgerStore, shard: str, channel: str, sink: Sink) -> int:
    """Publish everything that is due; how many entries that was.

    The sink is durable before the channel advances; a sink that was written to but not marked is
    cut back when it is opened again, so each entry goes out once.
    """
    kind, render = CHANNELS[channel]
    box = store.outbox(shard, channel)
    if box is not None and not box.position:  # before the first line: a crash may follow it
        store.mark_published(shard, channel, box.next_seq, sink.position)
    published = 0
    while entries := store.unpublished(shard, channel, kind, _LIMIT):
        position = sink.write([render(entry) for entry in entries])
        store.mark_published(shard, channel, entries[-1].seq + 1, position)
        published += len(entries)
    return published
