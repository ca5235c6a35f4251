"""Who may publish policy sets, what was proposed and approved, and when it holds: folded from entries.

Pure: how a signature is checked is handed in. Writing such entries and acting on them is the service's; that
whole ledgers abide by them is ledger.approved's to check.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from policyengine.domain.state import to_micros
from policyengine.domain.values import Json
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Body, Entry, Kind

POLICIES = "policies"  # the shard of all this
DOMAIN = b"policyengine/approval/v1\n"  # what is signed begins so, and nothing else that a key signs
KEY_BYTES = 32
APPROVE, WITHDRAW = "approve", "withdraw"
PUBLISH, ROLLBACK, ROSTER = "publish", "rollback", "roster"

Signed = Callable[[bytes, bytes, bytes], bool]  # public key, message, signature
_STATED = ("digest", "purpose", "at", "for")  # of a proposal, repeated in what is signed


@dataclass(frozen=True, slots=True)
class Approver:
    """A person and their key; ``until`` is the first day (UTC) on which it does not count any more."""

    name: str
    key: bytes
    until: str | None = None

    def to_json(self) -> dict[str, Json]:
        """As in a roster."""
        out: dict[str, Json] = {"name": self.name, "key": self.key.hex()}
        if self.until is not None:
            out["until"] = self.until
        return out


@dataclass(frozen=True, slots=True)
class Roster:
    """Who may approve, and how many of them must."""

    needed: int
    approvers: tuple[Approver, ...]

    def to_json(self) -> dict[str, Json]:
        """As in a proposal; the digest of its canonical form names it."""
        return {"needed": self.needed, "approvers": [one.to_json() for one in self.approvers]}

    @property
    def digest(self) -> str:
        """SHA-256 of it, in hex."""
        return sha256(canonical(self.to_json())).hexdigest()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Roster:
        """The inverse of ``to_json``; ValueError, KeyError or TypeError where it is none."""
        approvers = tuple(
            Approver(str(one["name"]), bytes.fromhex(one["key"]), one.get("until"))
            for one in document["approvers"]
        )
        roster = cls(int(document["needed"]), approvers)
        wrong = roster.wrong()
        if wrong:
            raise ValueError(wrong)
        return roster

    def wrong(self) -> str:
        """Why it cannot be a roster; "" where it can."""
        names, keys = {one.name for one in self.approvers}, {one.key for one in self.approvers}
        if len(names) < len(self.approvers):
            return "a name stands twice"
        if len(keys) < len(self.approvers):
            return "two people have the same key"
        if any(len(key) != KEY_BYTES for key in keys):
            return f"a key has {KEY_BYTES} bytes"
        if not 1 <= self.needed <= len(names):
            return f"{self.needed} approvals of {len(names)} people: nobody could publish any more"
        return ""

    def of_key(self, key: bytes) -> Approver | None:
        """Whose key it is."""
        return next((one for one in self.approvers if one.key == key), None)


@dataclass(slots=True)
class Proposal:
    """Something to be put in force: a policy set, or a roster; ``complete`` once enough have approved.

    ``effective`` (µs): from when on it holds, the later of ``at`` and its completion. ``shard``: for whom,
    None for everybody. ``approved``: name → key.
    """

    seq: int
    purpose: str
    digest: str
    at: str | None
    shard: str | None
    document: Mapping[str, Any]
    approved: dict[str, bytes] = field(default_factory=dict)
    complete: int | None = None  # the sequence that completed it
    effective: int = 0
    withdrawn: bool = False

    @property
    def waits(self) -> bool:
        """Whether approvals are lacking."""
        return self.complete is None and not self.withdrawn

    @property
    def at_micros(self) -> int | None:
        """When it is to take effect; None: as soon as it is complete."""
        return None if self.at is None else micros(self.at)


class Publications:
    """What the entries of the shard `policies` add up to, entry by entry.

    invariant: an approval that is not sound counts for nothing; ``faults`` says (sequence, why).
    """

    def __init__(self, signed: Signed) -> None:
        self._signed = signed
        self.ledger = ""  # the id that the first roster gives it
        self.roster: Roster | None = None
        self.opened: int | None = None  # the sequence of the first roster
        self.heads: Mapping[str, tuple[int, str]] = {}  # where other shards stood then: size, policy set
        self.base: list[str] = []  # sets that were put in force without a proposal
        self.staged: dict[str, int] = {}  # where a set's body stands, by digest
        self.proposals: dict[int, Proposal] = {}
        self.time = 0  # of the last of these entries, µs
        self.faults: list[tuple[int, str]] = []

    def entry(self, entry: Entry) -> None:
        """Fold the next one in."""
        try:
            match entry.kind:
                case Kind.POLICY_SET:
                    self._in_force_at_once(entry)
                case Kind.STAGED:
                    self.staged.setdefault(sha256(entry.body).hexdigest(), entry.seq)
                case Kind.PROPOSAL:
                    self._proposed(entry.seq, entry.document())
                case Kind.APPROVAL:
                    self._approved(entry.seq, entry.document())
        except (KeyError, TypeError, ValueError) as error:
            self.faults.append((entry.seq, f"is no sound {entry.kind}: {error!r}"))

    # --- what was asked -----------------------------------------------------------------------------

    def waiting(self) -> list[Proposal]:
        """What lacks approvals, oldest first."""
        return [one for one in self.proposals.values() if one.waits]

    def activations(self, shard: str | None) -> list[Proposal]:
        """The complete proposals of policy sets for a shard (None: for everybody), in order of effect."""
        found = [
            one
            for one in self.proposals.values()
            if one.complete is not None
            and not one.withdrawn
            and one.purpose != ROSTER
            and one.shard in (None, shard)
            and (one.shard is not None or shard is None or self.roster is not None)
        ]
        return sorted(found, key=lambda one: (one.effective, one.complete))

    def needed(self, proposal: Proposal) -> int:
        """How many must approve: one for going back to what was approved before, for it was read by all."""
        if self.roster is None:
            return 0
        if proposal.purpose == ROLLBACK and proposal.digest in self.approved_before():
            return 1
        return self.roster.needed

    def approved_before(self) -> set[str]:
        """The digests that were approved under a roster."""
        return {
            one.digest
            for one in self.proposals.values()
            if one.complete is not None and one.purpose == PUBLISH and one.approved
        }

    def counted(self, proposal: Proposal) -> list[str]:
        """The names whose approval counts under the roster of now."""
        keys = {} if self.roster is None else {one.name: one.key for one in self.roster.approvers}
        return [name for name, key in proposal.approved.items() if keys.get(name) == key]

    # --- folding ------------------------------------------------------------------------------------

    def _in_force_at_once(self, entry: Entry) -> None:
        if self.roster is not None:
            self.faults.append((entry.seq, "puts a policy set in force without any approval"))
        else:
            self.base.append(str(entry.ref))

    def _proposed(self, seq: int, document: Mapping[str, Any]) -> None:
        proposal = Proposal(
            seq, document["purpose"], document["digest"], document["at"], document["for"], document
        )
        time = micros(document["time"])
        if proposal.purpose == ROSTER:
            roster = Roster.of(document["roster"])
            if roster.digest != proposal.digest:
                raise ValueError("its digest is not that of its roster")
        elif proposal.digest not in self.staged and proposal.digest not in self.base:
            raise ValueError("its policy set does not stand in this shard")
        if proposal.at is not None:
            micros(proposal.at)
        if proposal.purpose == ROSTER and self.roster is None:
            self.opened, self.ledger = seq, str(document["ledger"])
            self.heads = {
                name: (int(size), str(digest)) for name, (size, digest) in document["shards"].items()
            }
        if time < self.time:
            raise ValueError("it is of a time before the entry before it")
        self.proposals[seq], self.time = proposal, time
        if self.roster is None:
            self._completed(proposal, seq, time)

    def _approved(self, seq: int, document: Mapping[str, Any]) -> None:
        """An approval or a withdrawal, once its statement and its signature are what they must be."""
        statement = document["statement"]
        proposal = self.proposals[statement["proposal"]]
        time = micros(statement["time"])
        if self.roster is not None:
            self._check_signature(document, statement, time)
        wrong = [name for name in _STATED if statement[name] != proposal.document[name]]
        if wrong or statement["ledger"] != self.ledger or statement["shard"] != POLICIES:
            raise ValueError(f"it is about another {', '.join(wrong) or 'ledger'}")
        if proposal.withdrawn or (proposal.complete is not None and proposal.effective <= time):
            raise ValueError("the proposal is no longer open")
        if time < self.time:
            raise ValueError("it is of a time before the entry before it")
        self.time = time
        if statement["word"] == WITHDRAW:
            proposal.withdrawn = True
            return
        if statement["word"] != APPROVE or proposal.complete is not None or self.roster is None:
            raise ValueError("there is nothing to approve")
        if statement["approver"] in self.counted(proposal):
            raise ValueError(f"{statement['approver']} approved it before")
        approver = self.roster.of_key(bytes.fromhex(document["key"]))
        if approver is not None:
            proposal.approved[approver.name] = approver.key
        if len(self.counted(proposal)) >= self.needed(proposal):
            self._completed(proposal, seq, time)

    def _check_signature(self, document: Mapping[str, Any], statement: Mapping[str, Any], time: int) -> None:
        key = bytes.fromhex(document["key"])
        approver = None if self.roster is None else self.roster.of_key(key)
        if approver is None or approver.name != statement["approver"]:
            raise ValueError(f"the key is not that of an approver `{statement['approver']}`")
        if approver.until is not None and time >= micros(f"{approver.until}T00:00:00Z"):
            raise ValueError(f"the key of {approver.name} counts no more from {approver.until} on")
        if not self._signed(key, message_of(statement), b64decode(document["signature"], validate=True)):
            raise ValueError("the signature is not of that key and that statement")

    def _completed(self, proposal: Proposal, seq: int, time: int) -> None:
        proposal.complete = seq
        proposal.effective = max(time, proposal.at_micros or 0)
        if proposal.purpose == ROSTER:
            self.roster = Roster.of(proposal.document["roster"])


def folded(entries: Iterator[Entry], signed: Signed) -> Publications:
    """Everything that a shard's entries add up to."""
    publications = Publications(signed)
    for entry in entries:
        publications.entry(entry)
    return publications


def micros(instant: str) -> int:
    """An instant of an entry as µs since 1970, UTC."""
    time = datetime.fromisoformat(instant)
    if time.tzinfo is None:
        raise ValueError(f"{instant} has no zone")
    return to_micros(time)


def statement_of(word: str, proposal: Proposal, ledger: str, approver: str, time: str) -> dict[str, Json]:
    """What an approver signs: that this very proposal, of this very ledger, is to hold."""
    return {
        "word": word,
        "ledger": ledger,
        "shard": POLICIES,
        "proposal": proposal.seq,
        "purpose": proposal.purpose,
        "digest": proposal.digest,
        "at": proposal.at,
        "for": proposal.shard,
        "approver": approver,
        "time": time,
    }


def message_of(statement: Mapping[str, Any]) -> bytes:
    """The bytes that are signed.

    invariant: they begin with words that nothing else begins with, so no signature is good for two things.
    """
    return DOMAIN + canonical(statement)


def staged_body(policy_set: Body) -> Body:
    """A policy set in full, that is in force nowhere yet."""
    return policy_set._replace(kind=Kind.STAGED.value)


def document_body(kind: Kind, document: Mapping[str, Json]) -> Body:
    """A proposal or an approval."""
    return Body(kind.value, canonical(document), None, None)
