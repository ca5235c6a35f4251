"""Publishing with approvals: propose, approve, withdraw, go back, say who may; each is a ledger entry.

What these entries add up to is ledger.publications'; keys and signatures are handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from policyengine.domain.values import Json, instant_to_json
from policyengine.errors import LedgerError, PublishingError
from policyengine.ledger.entries import SALT_BYTES, Body, Kind, Place, seal
from policyengine.ledger.merkle import Tree
from policyengine.ledger.publications import (
    APPROVE,
    POLICIES,
    PUBLISH,
    ROLLBACK,
    ROSTER,
    WITHDRAW,
    Approver,
    Proposal,
    Roster,
    Signed,
    document_body,
    message_of,
    micros,
    staged_body,
    statement_of,
)
from policyengine.service.board import Board
from policyengine.service.ports import Batch, Head, LedgerStore

_ATTEMPTS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Answer = TypeVar("Answer")


class Signer(Protocol):
    """A person's private key."""

    @property
    def key(self) -> bytes:
        """The public one, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature, as base64."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a proposal stands; ``new``: this call changed something."""

    proposal: Proposal
    new: bool
    needed: int
    approved: tuple[str, ...]
    lacking: int
    may: tuple[str, ...]  # who could approve it still
    size: int
    root: bytes

    @property
    def complete(self) -> bool:
        """Whether it holds, or will from its time on."""
        return self.proposal.complete is not None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be proposed: when (an instant; None: at once), for which shard, tested by how many cases."""

    at: str | None = None
    shard: str | None = None
    cases: int | None = None


class Desk:
    """Writes into the shard `policies`; each call is one transaction, and reads what is there before.

    ``now`` gives µs, ``salts(n)`` n random bytes. Where another writes at the same time, it is done again on
    what that one left.
    """

    def __init__(
        self,
        store: LedgerStore,
        *,
        engine: str,
        salts: Callable[[int], bytes],
        signed: Signed,
        now: Callable[[], int],
        wait: Callable[[float], None],
    ) -> None:
        self._store, self._salts, self._now, self._wait = store, salts, now, wait
        self._place = Place(POLICIES, engine, "publish")
        self.board = Board(store, signed)
        self._head = Head(POLICIES)

    # --- what can be done ---------------------------------------------------------------------------

    def publish(self, policy_set: Body, wish: Wish, signer: Signer | None) -> Standing:
        """Propose a policy set, approve it where a key is given; it holds once enough have."""
        return self._again(lambda: self._propose(policy_set, str(policy_set.ref), PUBLISH, wish, signer))

    def roll_back(self, digest: str, wish: Wish, signer: Signer | None) -> Standing:
        """Propose what held before."""
        return self._again(
            lambda: self._propose(self._held(digest, wish.shard), digest, ROLLBACK, wish, signer)
        )

    def trust(self, change: Callable[[Roster | None], Roster], signer: Signer | None) -> Standing:
        """Propose another roster; the first one opens it, and holds at once."""
        return self._again(lambda: self._trust(change, signer))

    def approve(self, name: str, signer: Signer) -> Standing:
        """Approve what waits under a digest (or the beginning of one) or a number."""
        return self._again(lambda: self._sign(APPROVE, self._waiting(name), signer))

    def withdraw(self, name: str, signer: Signer | None) -> Standing:
        """Take back what does not hold yet; one person is enough, for it changes nothing."""
        return self._again(lambda: self._sign(WITHDRAW, self._open(name), signer))

    # --- proposing ----------------------------------------------------------------------------------

    def _propose(
        self, policy_set: Body | None, digest: str, purpose: str, wish: Wish, signer: Signer | None
    ) -> Standing:
        publications = self.board.publications
        if self.board.governed and signer is not None:
            self._approver(signer)  # before anything is written
        if wish.at is not None and micros(wish.at) <= self._time():
            raise PublishingError(f"{wish.at} is over: name an instant to come", code="PE736")
        for one in publications.proposals.values():
            same = (one.digest, one.at, one.shard, one.purpose) == (digest, wish.at, wish.shard, purpose)
            if same and one.waits:
                return self._standing(one, new=False) if signer is None else self._sign(APPROVE, one, signer)
            if same and one.at is not None and one.complete is not None and not one.withdrawn:
                return self._standing(one, new=False)
        if wish.at is None and self.board.target(wish.shard, self._time()) == digest:
            holding = [one for one in publications.activations(wish.shard) if one.digest == digest]
            before = Proposal(-1, purpose, digest, None, wish.shard, {}, complete=-1)  # any roster
            return self._standing(holding[-1] if holding else before, new=False)
        bodies = []
        if policy_set is not None and digest not in publications.staged and digest not in publications.base:
            bodies.append(staged_body(policy_set))
        document: dict[str, Json] = {
            "purpose": purpose,
            "digest": digest,
            "at": wish.at,
            "for": wish.shard,
            "cases": wish.cases,
            "time": self._instant(),
        }
        return self._proposed(bodies, document, signer)

    def _trust(self, change: Callable[[Roster | None], Roster], signer: Signer | None) -> Standing:
        before = self.board.publications.roster
        roster = change(before)
        wrong = roster.wrong()
        if wrong:
            raise PublishingError(wrong, code="PE735")
        if roster == before:
            raise PublishingError("that is the roster already", code="PE735")
        if before is not None and signer is not None:
            self._approver(signer)
        for one in self.board.publications.waiting():
            if one.digest == roster.digest and signer is not None:
                return self._sign(APPROVE, one, signer)
        document: dict[str, Json] = {
            "purpose": ROSTER,
            "digest": roster.digest,
            "at": None,
            "for": None,
            "time": self._instant(),
            "roster": roster.to_json(),
        }
        if before is None:
            document["ledger"] = self._salts(16).hex()
            document["shards"] = {
                shard: [head.size, head.policy_set]
                for shard in self._store.shards()
                if shard != POLICIES
                for head in (self._store.head(shard),)
            }
        return self._proposed([], document, None if before is None else signer)

    def _proposed(self, bodies: list[Body], document: dict[str, Json], signer: Signer | None) -> Standing:
        """Write a proposal, with its author's approval where there is a roster and a key."""
        seq = self._head.size + len(bodies)
        bodies.append(document_body(Kind.PROPOSAL, document))
        if self.board.governed and signer is not None:
            shard = document["for"]
            proposal = Proposal(
                seq, str(document["purpose"]), str(document["digest"]),
                None if document["at"] is None else str(document["at"]),
                None if shard is None else str(shard), document,
            )  # fmt: skip
            bodies.append(self._signed(APPROVE, proposal, signer))
        self._write(bodies)
        return self._standing(self.board.publications.proposals[seq], new=True)

    def _held(self, digest: str, shard: str | None) -> Body | None:
        own = () if shard is None else self._store.entries(shard)
        taken_up = any(one.kind == Kind.POLICY_SET and one.ref == digest for one in own)
        if not taken_up and digest not in self.board.held(shard, self._time()):
            raise PublishingError(f"policy set {digest} never was in force here", code="PE733")
        raw = self._store.policy_set(digest)
        if raw is None:
            raise PublishingError(f"the ledger does not hold policy set {digest}", code="PE733")
        return Body(Kind.POLICY_SET, raw, digest, None)

    # --- approving ----------------------------------------------------------------------------------

    def _sign(self, word: str, proposal: Proposal, signer: Signer | None) -> Standing:
        if self.board.governed and signer is None:
            raise PublishingError("who says so? give --key FILE", code="PE731")
        if signer is not None and self.board.governed:
            name = self._approver(signer).name
            if word == APPROVE and name in self.board.publications.counted(proposal):
                may = ", ".join(self._standing(proposal, new=False).may)
                text = f"{name} has approved it already: it takes another person ({may})"
                raise PublishingError(text, code="PE732")
        self._write([self._signed(word, proposal, signer)])
        return self._standing(self.board.publications.proposals[proposal.seq], new=True)

    def _signed(self, word: str, proposal: Proposal, signer: Signer | None) -> Body:
        governed = self.board.governed and signer is not None
        name = self._approver(signer).name if governed and signer is not None else ""
        statement = statement_of(word, proposal, self.board.publications.ledger, name, self._instant())
        signature = signer.sign(message_of(statement)).decode() if governed and signer is not None else ""
        key = signer.key.hex() if governed and signer is not None else ""
        return document_body(Kind.APPROVAL, {"statement": statement, "key": key, "signature": signature})

    def _approver(self, signer: Signer) -> Approver:
        roster = self.board.publications.roster
        found = None if roster is None else roster.of_key(signer.key)
        if found is None:
            names = ", ".join(one.name for one in roster.approvers) if roster else "nobody"
            raise PublishingError(f"this key is on no roster of this ledger ({names} may)", code="PE731")
        if found.until is not None and self._time() >= micros(f"{found.until}T00:00:00Z"):
            text = f"the key of {found.name} expired on {found.until}: `keys trust` another"
            raise PublishingError(text, code="PE731")
        return found

    def _waiting(self, name: str) -> Proposal:
        return self._named(name, self.board.publications.waiting(), "waits for approval")

    def _open(self, name: str) -> Proposal:
        now = self._time()
        found = [
            one
            for one in self.board.publications.proposals.values()
            if not one.withdrawn and (one.complete is None or one.effective > now)
        ]
        return self._named(name, found, "waits or is scheduled")

    def _named(self, name: str, found: list[Proposal], what: str) -> Proposal:
        named = [one for one in found if name in (str(one.seq), one.digest)]
        named = named or [one for one in found if len(name) >= 6 and one.digest.startswith(name)]  # noqa: PLR2004
        if len(named) == 1:
            return named[0]
        listed = "; ".join(told(one) for one in named or found) or "nothing"
        if named:
            raise PublishingError(f"`{name}` names several: give a number. {listed}", code="PE733")
        raise PublishingError(f"`{name}` is nothing that {what} here. What does: {listed}", code="PE733")

    # --- writing ------------------------------------------------------------------------------------

    def _again(self, do: Callable[[], Answer]) -> Answer:
        """invariant: what is written was decided on what stands there; else it is decided again."""
        for attempt in range(_ATTEMPTS):
            try:
                self._head = self._store.head(POLICIES)
                self.board.read_to(self._head.size)
                return do()
            except LedgerError as error:
                if error.code not in {"PE701", "PE702"} or attempt == _ATTEMPTS - 1:
                    raise
                self._wait(0.1 * (attempt + 1))
        raise AssertionError

    def _write(self, bodies: list[Body]) -> None:
        before, self._head = self._head, self._store.claim(POLICIES)
        if self._head.size != before.size:
            raise LedgerError("another has published meanwhile", code="PE701")
        tree, entries = Tree.from_bytes(self._head.frontier), []
        for seq, body in enumerate(bodies, self._head.size):
            salt, digest = self._salts(SALT_BYTES), self._head.policy_set
            entries.append(seal(self._place, body, salt, seq=seq, offset=0, policy_set=digest))
            tree.append(entries[-1].leaf)
        batch = Batch(tree.root(), tree.to_bytes(), self._head.policy_set, entries)
        self._head = self._store.commit(POLICIES, batch, self._head)
        self.board.read_to(self._head.size)

    def _standing(self, proposal: Proposal, *, new: bool) -> Standing:
        publications = self.board.publications
        approved = tuple(publications.counted(proposal))
        needed = publications.needed(proposal)
        everybody = () if publications.roster is None else publications.roster.approvers
        return Standing(
            proposal,
            new,
            needed,
            approved,
            max(0, needed - len(approved)) if proposal.waits else 0,
            tuple(one.name for one in everybody if one.name not in approved),
            self._head.size,
            self._head.root,
        )

    def _time(self) -> int:
        """invariant: the time of these entries never goes back."""
        return max(self._now(), self.board.publications.time)

    def _instant(self) -> str:
        return instant_to_json(_EPOCH + timedelta(microseconds=self._time()))


def told(proposal: Proposal) -> str:
    """A proposal in a line."""
    what = {ROSTER: "roster", ROLLBACK: "rollback to", PUBLISH: "policy set"}[proposal.purpose]
    at = "" if proposal.at is None else f" from {proposal.at}"
    shard = "" if proposal.shard is None else f" for shard {proposal.shard}"
    return f"{proposal.seq}: {what} {proposal.digest}{at}{shard}"
