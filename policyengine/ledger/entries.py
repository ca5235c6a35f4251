"""What a ledger entry is: its body, the header that commits to it, and the names it is found by.

Pure: salts are handed in. How entries are kept is the store's, how they are checked ledger.verify's.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from policyengine.domain.events import Rejection
from policyengine.domain.values import Json
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical, canonical_typed
from policyengine.ledger.merkle import leaf_hash

FORMAT = 1
SALT_BYTES = 32
KEY_BYTES = 16


class Kind(StrEnum):
    """What an entry records."""

    EVENT = "event"
    INTERNAL = "internal"
    REJECTED = "rejected"
    DECISION = "decision"
    POLICY_SET = "policy_set"
    STAGED = "staged"  # a policy set that is in force nowhere yet
    PROPOSAL = "proposal"
    APPROVAL = "approval"


# they stand in the shard of publications, and say nothing of customers: see ledger.publications
PUBLISHING = frozenset({Kind.STAGED, Kind.PROPOSAL, Kind.APPROVAL})


class Entry(NamedTuple):
    """One row of the ledger, in the order of its columns.

    ``leaf`` is the RFC 6962 hash of ``header``; it is there so that a changed header is found by its
    sequence and not by its batch. ``ref`` and ``customer`` only repeat what the body says, for look-ups.
    """

    shard: str
    seq: int
    kind: str
    header: bytes
    leaf: bytes
    salt: bytes
    body: bytes
    ref: str | None
    customer: str | None

    def document(self) -> dict[str, Any]:
        """The body, parsed; LedgerError PE708 where it was changed to something that is no JSON object."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            document = None
        if type(document) is not dict:
            message = f"the body of entry {self.seq} of shard `{self.shard}` is damaged; run `verify`"
            raise LedgerError(message, code="PE708")
        return document


@dataclass(frozen=True, slots=True)
class Header:
    """The leaf of the tree: no personal data, but a commitment to the body that holds it.

    ``policy_set`` is the digest in force ("" before the first one), ``offset`` the position in
    ``input`` after the record that the entry comes from.
    """

    shard: str
    seq: int
    kind: str
    policy_set: str
    engine: str
    input: str
    offset: int
    commitment: str

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical(
            {
                "commitment": self.commitment,
                "engine": self.engine,
                "input": {"name": self.input, "offset": self.offset},
                "kind": self.kind,
                "policy_set": self.policy_set,
                "seq": self.seq,
                "shard": self.shard,
                "v": FORMAT,
            }
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> Header:
        """The inverse of ``to_bytes``; ValueError for anything that it would not write."""
        try:
            document = orjson.loads(raw)
            place = document["input"]
            header = cls(
                document["shard"], document["seq"], document["kind"], document["policy_set"],
                document["engine"], place["name"], place["offset"], document["commitment"],
            )  # fmt: skip
            sound = (
                type(header.seq) is type(header.offset) is int
                and type(header.shard) is type(header.kind) is type(header.policy_set) is str
                and type(header.engine) is type(header.input) is type(header.commitment) is str
            )
            canonical_bytes = header.to_bytes()
        except (KeyError, TypeError, ValueError, LedgerError) as error:
            message = f"no header of format {FORMAT}: {error}"
            raise ValueError(message) from error
        if not sound or canonical_bytes != raw:
            message = f"no header of format {FORMAT} in canonical form"
            raise ValueError(message)
        return header


def commitment(salt: bytes, body: bytes) -> str:
    """HMAC-SHA256 of the body under a random salt as its key, in hex.

    A bare hash would let anyone who sees the headers guess a short or predictable body and confirm the
    guess, and would still do so after the body has been erased; a random key that is erased with the body
    leaves nothing to test a guess against. HMAC rather than SHA-256(salt || body), which can be extended.
    """
    return hmac.digest(salt, body, "sha256").hex()


class Place(NamedTuple):
    """What the headers of a run of entries share."""

    shard: str
    engine: str
    input: str


@lru_cache(maxsize=64)
def _frame(place: Place, kind: str, policy_set: str) -> tuple[bytes, tuple[bytes, bytes]]:
    """What the headers of a run of entries have in common, written once.

    invariant: put together by ``seal`` it is ``Header.to_bytes``; a test holds the two together.
    """
    header = Header(place.shard, 0, kind, policy_set, place.engine, place.input, 0, "0" * 64).to_bytes()
    _, rest = header.split(b'"%b"' % (b"0" * 64), 1)
    middle, tail = _cut(rest, b'"offset":')
    between, end = _cut(tail, b'"seq":')
    return middle, (between, end)


def _cut(text: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Up to and with the last such key, and what follows the 0 that is its value."""
    at = text.rindex(key) + len(key)
    return text[:at], text[at + 1 :]


class Body(NamedTuple):
    """The canonical bytes of a body, with the kind and the look-up columns that follow from it."""

    kind: str
    raw: bytes
    ref: str | None
    customer: str | None


def seal(place: Place, body: Body, salt: bytes, *, seq: int, offset: int, policy_set: str) -> Entry:
    """Make an entry: commit to the body, write the header, hash the leaf.

    ``salt`` is 32 random bytes, fresh for every entry: whoever reuses one links two bodies.
    """
    if len(salt) != SALT_BYTES:
        message = f"a salt has {SALT_BYTES} bytes, this one {len(salt)}"
        raise LedgerError(message, code="PE711")
    committed = hmac.digest(salt, body.raw, "sha256").hex()
    before, after = _frame(place, body.kind, policy_set)
    header = b'{"commitment":"%b"%b%d%b%d%b' % (committed.encode(), before, offset, after[0], seq, after[1])
    return Entry(
        place.shard, seq, body.kind, header, leaf_hash(header), salt, body.raw, body.ref, body.customer
    )


def event_body(raw: bytes, customer: str | None, key: bytes, *, internal: bool = False) -> Body:
    """An accepted CloudEvent, or one of the engine's own: ``raw`` is its canonical document.

    ``customer`` is its subject, None where the event is of the world; ``key`` is its ``event_key``.
    """
    kind = "internal" if internal else "event"
    return Body(kind, b'{"event":' + raw + b"}", key.hex(), customer)


def rejected_body(rejection: Rejection) -> Body:
    """An input that is no event, byte for byte, and why."""
    document = {
        "code": rejection.code,
        "reason": rejection.reason,
        "raw": b64encode(rejection.raw).decode("ascii"),
        "source": rejection.source,
        "id": rejection.id,
    }
    if rejection.message is not None:
        document["message"] = b64encode(rejection.message).decode("ascii")
    return Body("rejected", canonical(document), None, None)


def decision_body(document: Mapping[str, Json]) -> Body:
    """A decision, as ``Decision.to_json`` gives it."""
    return Body(
        "decision", canonical_typed(document), str(document["decision_id"]), str(document["customer"])
    )


def policy_set_body(policies: Sequence[Json], catalogue: Mapping[str, Json]) -> Body:
    """A policy set in full, with the catalogue that it was checked against; ``ref`` is its digest."""
    raw = canonical({"policies": policies, "catalogue": catalogue})
    return Body("policy_set", raw, sha256(raw).hexdigest(), None)


def event_key(source: str, event_id: str) -> bytes:
    """16 bytes that stand for (source, id).

    invariant: lengths are part of the digest, so no two pairs collide by concatenation.
    """
    one, two = source.encode(), event_id.encode()
    parts = (len(one).to_bytes(8, "big"), one, len(two).to_bytes(8, "big"), two)
    return sha256(b"".join(parts)).digest()[:KEY_BYTES]


def content_digest(document: Mapping[str, Json]) -> bytes:
    """SHA-256 of an event's canonical document: the same id with another digest is a conflict."""
    return sha256(canonical(document)).digest()
