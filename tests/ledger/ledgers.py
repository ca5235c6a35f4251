"""A small ledger for tests: written through the store, so that it is what a run would leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.events import Rejection
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import (
    Body,
    Entry,
    Place,
    content_digest,
    decision_body,
    event_key,
    policy_set_body,
    rejected_body,
    seal,
)
from policyengine.ledger.entries import (
    event_body as body_of_canonical,
)
from policyengine.ledger.merkle import Tree
from policyengine.ledger.records import Batch, Checkpoint, Head, Seen

POLICIES = policy_set_body([{"policy": "loyalty/points-kept", "version": 3}], {"events": ["t"]})
SOURCE = "urn:crm"


def event_body(document: Mapping[str, Any], key: bytes) -> Body:
    """The body of an event that is not canonical yet."""
    return body_of_canonical(canonical(document), document["subject"], key)


class Writer:
    """Writes batches into one shard; salts count up, so that every run gives the same bytes."""

    def __init__(self, store: SqlLedgerStore, shard: str, salt: int = 0) -> None:
        self.store = store
        self.shard = shard
        self.head = store.claim(shard)
        self.since: int | None = None
        self.policy_set = ""
        self._salt = salt

    def seal_all(self, bodies: Sequence[tuple[int, Body]]) -> list[Entry]:
        """Entries that continue the shard; each body with the offset it comes from."""
        entries = []
        for number, (offset, body) in enumerate(bodies):
            if body.kind == "policy_set":
                self.policy_set = str(body.ref)
            self._salt += 1
            place = Place(self.shard, "0.1.0", "events.jsonl")
            salt = self._salt.to_bytes(32, "big")
            seq = self.head.size + number
            entries.append(seal(place, body, salt, seq=seq, offset=offset, policy_set=self.policy_set))
        return entries

    def batch(self, bodies: Sequence[tuple[int, Body]], offset: int, duplicates: int = 0) -> Batch:
        """The batch that these bodies make."""
        entries = self.seal_all(bodies)
        tree = Tree.from_bytes(self.head.frontier)
        seen: dict[bytes, Seen] = {}
        states: dict[str, dict[str, bytes]] = {}
        for entry in entries:
            tree.append(entry.leaf)
            if entry.kind == "event" and entry.ref is not None and entry.customer is not None:
                document = entry.document()["event"]
                seen[bytes.fromhex(entry.ref)] = Seen(content_digest(document), entry.seq)
                states[entry.customer] = {"last": canonical({"last": document["id"]})}
        return Batch(
            tree.root(), tree.to_bytes(), self.policy_set, entries, states, seen,
            Checkpoint("events.jsonl", offset, fingerprint=b"first bytes"), self.since,
            {"duplicates": duplicates}, {"decisions": 0},
        )  # fmt: skip

    def write(self, bodies: Sequence[tuple[int, Body]], offset: int, duplicates: int = 0) -> Head:
        """Commit them."""
        self.head = self.store.commit(self.shard, self.batch(bodies, offset, duplicates), self.head)
        self.since = offset
        return self.head


def event_and_decision(number: int, customer: str, policy_set: str = str(POLICIES.ref)) -> Iterator[Body]:
    """What one event leaves: itself and a decision."""
    event_id = f"e-{number}"
    yield event_body(
        {"id": event_id, "source": SOURCE, "subject": customer, "type": "t"}, event_key(SOURCE, event_id)
    )
    yield decision_body(
        {"decision_id": f"d-{number}", "customer": customer, "outcome": "none", "policy_set": policy_set}
    )


def write_small(path: Path) -> dict[str, Head]:
    """Shards `members` (12 entries in 4 batches, one of them of duplicates only) and `guests` (3)."""
    with SqlLedgerStore(f"sqlite:///{path}") as store:
        members = Writer(store, "members")
        members.write([(0, POLICIES)], 0)
        first = [(10 * n, body) for n in (1, 2) for body in event_and_decision(n, "דנה")]
        rejection = Rejection("EV001", "is not JSON", b"{", None, None)
        members.write([*first, (30, rejected_body(rejection))], 30)
        members.write([], 50, duplicates=2)
        more = [(10 * n, body) for n in (6, 7, 8) for body in event_and_decision(n, f"c-{n}")]
        members.write(more, 80)
        store.mark_published("members", "decisions", 12, b'{"bytes":512}')
        guests = Writer(store, "guests", salt=1000)
        guests.write([(0, POLICIES), *((10, body) for body in event_and_decision(1, "guest"))], 10)
        return {"members": members.head, "guests": guests.head}


_LAST_SEEN = {
    "members": {"דנה": "e-2", "c-6": "e-6", "c-7": "e-7", "c-8": "e-8"},
    "guests": {"guest": "e-1"},
}
STATES = {
    shard: {customer: {"last": canonical({"last": event})} for customer, event in last.items()}
    for shard, last in _LAST_SEEN.items()
}
