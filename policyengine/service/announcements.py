"""Decisions and dead letters as CloudEvents, as they go to topics; who sends them is the adapters' business.

The same documents as service.relay writes to files, in an envelope of CloudEvents 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.ports import DEAD_LETTERS, DECISIONS
from policyengine.service.relay import as_published, dead_letter

DECIDED, REFUSED = "policyengine.decision", "policyengine.dead-letter"  # CloudEvents `type`


class Announcement(NamedTuple):
    """An event, the message's key, and headers beside those of the event.

    Messages of one key stay in order. ``headers`` tell, without looking into the event, by what a reader
    leaves out what it has seen before: shard and seq name a message for ever.
    """

    event: Mapping[str, Any]
    key: str
    headers: Mapping[str, str]


def decided(entry: Entry) -> Announcement:
    """A decision; its key is the customer."""
    decision = as_published(entry.document())
    event = {
        **_envelope(entry, DECIDED, decision["decision_id"]),
        "subject": decision["customer"],
        "time": decision["event"]["time"],
        "data": decision,
    }
    return Announcement(
        event, decision["customer"], {"decision_id": decision["decision_id"], **_place(entry)}
    )


def refused(entry: Entry) -> Announcement:
    """A dead letter; its key is the shard, since nobody knows whose event it was."""
    letter = orjson.loads(dead_letter(entry))
    event = {**_envelope(entry, REFUSED, f"{entry.shard}/{entry.seq}"), "data": letter}
    return Announcement(event, entry.shard, {"code": letter["code"], **_place(entry)})


ANNOUNCED: Mapping[str, tuple[Kind, Callable[[Entry], Announcement]]] = {
    DECISIONS: (Kind.DECISION, decided),
    DEAD_LETTERS: (Kind.REJECTED, refused),
}


def _envelope(entry: Entry, kind: str, key: str) -> dict[str, Any]:
    """invariant: the same entry is the same bytes, whoever sends it and when: no time of sending."""
    return {
        "specversion": "1.0",
        "id": key,
        "source": f"{INTERNAL_SOURCE}:{entry.shard}",
        "type": kind,
        "datacontenttype": "application/json",
    }


def _place(entry: Entry) -> dict[str, str]:
    return {"shard": entry.shard, "seq": str(entry.seq)}
