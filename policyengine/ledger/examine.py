"""One entry on its own: do its columns, its header and its body say the same? The tree is verify's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import SALT_BYTES, Entry, Header, Kind, commitment, content_digest, event_key
from policyengine.ledger.faults import CHANGED, Fault, entry_fault
from policyengine.ledger.merkle import leaf_hash
from policyengine.ledger.records import Seen

_BLOBS = ("header", "leaf", "salt", "body")


@dataclass(slots=True)
class Thread:
    """What runs through a shard: the policy set in force, and how far each input was read.

    ``world`` are the event types that concern everybody, by the catalogue of that policy set; None where
    its body cannot be read.
    """

    policy_set: str = ""
    world: frozenset[str] | None = None
    offsets: dict[str, int] = field(default_factory=dict)
    adopted: list[tuple[int, str]] = field(default_factory=list)  # policy sets, with where they stand


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of an entry after a look at it.

    Where ``leaf`` is not ``hashed``, the header's hash, the tree decides which of the two was changed, and
    ``faults`` (found by believing the header) count only if it was the leaf.
    """

    seq: int
    hashed: bytes
    leaf: bytes
    kind: str
    faults: list[Fault]
    seen: tuple[bytes, Seen] | None = None
    moved: bool = False

    @property
    def sound(self) -> bool:
        """Whether header and leaf agree."""
        return self.hashed == self.leaf


def examine(entry: Entry, thread: Thread) -> Examined:
    """Look at an entry and carry the thread on."""
    blobs = (entry.header, entry.leaf, entry.salt, entry.body)
    odd = [name for name, blob in zip(_BLOBS, blobs, strict=True) if type(blob) is not bytes]
    if odd:
        faults = [_changed(entry, name, "holds something other than bytes") for name in odd]
        hashed = b"" if "header" in odd else leaf_hash(entry.header)
        leaf = b"" if "leaf" in odd else entry.leaf
        return Examined(entry.seq, hashed, leaf, entry.kind, faults)
    hashed = leaf_hash(entry.header)
    try:
        header = Header.from_bytes(entry.header)
    except ValueError as error:
        faults = [_changed(entry, "header", str(error))]
        return Examined(entry.seq, hashed, entry.leaf, entry.kind, faults)
    faults = list(_against_header(entry, header))
    if hashed == entry.leaf:
        faults.extend(_against_thread(entry, header, thread))
    seen = None
    if commitment(entry.salt, entry.body) != header.commitment:
        faults.append(_uncommitted(entry))
    else:
        try:
            document = orjson.loads(entry.body)
            if header.kind == Kind.EVENT:
                event = document["event"]
                seen = event_key(event["source"], event["id"]), Seen(content_digest(event), entry.seq)
            elif header.kind == Kind.POLICY_SET:
                thread.world = world_types(document)
            faults.extend(_against_body(entry, header, document, thread.world))
        except (KeyError, TypeError, ValueError, AttributeError, LedgerError) as error:
            faults.append(_changed(entry, "body", f"is no body of kind `{header.kind}`: {error!r}"))
    moved = header.seq != entry.seq or header.shard != entry.shard
    return Examined(entry.seq, hashed, entry.leaf, header.kind, faults, seen, moved)


def _against_header(entry: Entry, header: Header) -> Iterator[Fault]:
    if header.shard != entry.shard:
        yield _changed(entry, "shard", f"its header was written for shard `{header.shard}`")
    if header.seq != entry.seq:
        message = f"its header was written for sequence {header.seq}: the entry was moved or swapped"
        yield _changed(entry, "seq", message)
    if header.kind != entry.kind:
        yield _changed(entry, "kind", f"is `{entry.kind}`, its header says `{header.kind}`")


def _against_thread(entry: Entry, header: Header, thread: Thread) -> Iterator[Fault]:
    if header.kind == Kind.POLICY_SET:
        thread.policy_set, thread.world = header.policy_set, None
        thread.adopted.append((entry.seq, header.policy_set))
        return  # published beside the input, not from it
    if header.policy_set != thread.policy_set:
        yield _changed(
            entry,
            "header",
            f"names policy set `{header.policy_set}`, in force is `{thread.policy_set}`",
        )
    before = thread.offsets.get(header.input, header.offset)
    if header.offset < before:
        message = f"input `{header.input}` goes back from {before} to {header.offset}"
        yield _changed(entry, "header", message)
    thread.offsets[header.input] = max(header.offset, before)


def _uncommitted(entry: Entry) -> Fault:
    """Which of salt and body was changed: told by the length of the one and the form of the other."""
    if not entry.body:
        return _changed(entry, "body", "is gone, and no entry says that it was erased")
    if len(entry.salt) != SALT_BYTES:
        return _changed(entry, "salt", f"has {len(entry.salt)} bytes, not {SALT_BYTES}")
    try:
        whole = canonical(orjson.loads(entry.body)) == entry.body
    except (ValueError, LedgerError):
        whole = False
    column = "salt or body" if whole else "body"
    return _changed(entry, column, "does not fit the commitment in the header")


def _against_body(
    entry: Entry, header: Header, document: Mapping[str, Any], world: frozenset[str] | None
) -> Iterator[Fault]:
    """Look-up columns, and the digests that a body must agree with its header on."""
    ref: str | None = None
    customer: str | None = None
    match header.kind:
        case Kind.EVENT | Kind.INTERNAL:
            event = document["event"]
            ref, customer = event_key(event["source"], event["id"]).hex(), event["subject"]
            if event["type"] in (world or ()) or (world is None and entry.customer is None):
                customer = None
        case Kind.DECISION:
            ref, customer = document["decision_id"], document["customer"]
            stated = document.get("policy_set", header.policy_set)
            if stated != header.policy_set:
                message = f"was decided under `{stated}`, the header says `{header.policy_set}`"
                yield _changed(entry, "body", message)
        case Kind.STAGED:
            ref = sha256(entry.body).hexdigest()
        case Kind.POLICY_SET:
            ref = sha256(entry.body).hexdigest()
            if ref != header.policy_set:
                message = f"has digest `{ref}`, the header says `{header.policy_set}`"
                yield _changed(entry, "body", message)
    if entry.ref != ref:
        yield _changed(entry, "ref", f"is `{entry.ref}`, the body gives `{ref}`")
    if entry.customer != customer:
        yield _changed(entry, "customer", f"is `{entry.customer}`, the body gives `{customer}`")


def world_types(policy_set: Mapping[str, Any]) -> frozenset[str]:
    """The event types of scope `world` in the body of a policy set: their events are no customer's."""
    return frozenset(
        name.removeprefix("events/")
        for name, document in policy_set["catalogue"].items()
        if name.startswith("events/") and document.get("x-scope") == "world"
    )


def _changed(entry: Entry, column: str, message: str) -> Fault:
    return entry_fault(CHANGED, entry.shard, entry.seq, column, message)
