"""What was published for whom, read from the ledger's shard `policies`: what holds now, and what is to come.

Reading only: proposing and approving are service.approvals'.
"""

from __future__ import annotations

from policyengine.engine.faults import CompileError
from policyengine.errors import LedgerError, PolicyEngineError, PublishingError
from policyengine.ledger.publications import POLICIES, Proposal, Publications, Signed
from policyengine.service.policy_sets import PolicySet, recorded
from policyengine.service.ports import LedgerStore


class Board:
    """The shard `policies`, read on as it grows. A shard None is that of any worker."""

    def __init__(self, store: LedgerStore, signed: Signed) -> None:
        self._store, self._signed = store, signed
        self._size = 0
        self.publications = Publications(signed)

    def look(self) -> bool:
        """Read what was added; whether there was anything."""
        return self.read_to(self._store.head(POLICIES).size)

    def read_to(self, size: int) -> bool:
        """Read up to a size of the shard."""
        if size < self._size:  # another ledger stands in its place
            self._size, self.publications = 0, Publications(self._signed)
        before = self._size
        if size > before:
            for entry in self._store.entries(POLICIES, before, size):
                self.publications.entry(entry)
                self._size = entry.seq + 1
        return self._size > before

    @property
    def governed(self) -> bool:
        """Whether there is a roster: nothing is put in force without approvals."""
        return self.publications.roster is not None

    def follows(self, shard: str) -> bool:
        """Whether the board says what a shard decides under: with a roster, or by a proposal for it."""
        return self.governed or any(one.shard == shard for one in self.publications.proposals.values())

    def target(self, shard: str | None, now: int) -> str | None:
        """The digest of what holds at a time (µs); None: the board says nothing.

        The latest in order of effect, without those that are to take effect later than ``now``.
        """
        found = self._before(shard)
        for one in self.publications.activations(shard):
            if one.at_micros is None or one.at_micros <= now:
                found = one.digest
        return found

    def _before(self, shard: str | None) -> str | None:
        """What held before anything was proposed."""
        own = "" if shard is None else self.publications.heads.get(shard, (0, ""))[1]
        published = self.publications.base[-1] if self.publications.base else None
        return own or (published if shard is None or self.governed else None)

    def held(self, shard: str | None, now: int) -> list[str]:
        """Every digest that has held by then, in order; the last one holds."""
        before = self._before(shard)
        base = self.publications.base if shard is None else ([] if before is None else [before])
        if self.governed:
            base = [*(digest for _, digest in self.publications.heads.values() if digest), *base]
        found = [one for one in self.publications.activations(shard) if (one.at_micros or 0) <= now]
        return [*base, *(one.digest for one in found)]

    def upcoming(self, shard: str | None, now: int) -> list[Proposal]:
        """What is to take effect after a time (µs), and before nothing that already holds."""
        later: list[Proposal] = []
        for one in self.publications.activations(shard):
            if one.at_micros is None or one.at_micros <= now:
                later.clear()
            else:
                later.append(one)
        return later

    def load(self, digest: str) -> PolicySet:
        """The policy set of a digest, compiled; PublishingError where it cannot be had."""
        raw = self._store.policy_set(digest)
        if raw is None:
            raise PublishingError(f"the ledger does not hold policy set {digest}", code="PE733")
        try:
            return recorded(raw)
        except LedgerError:
            raise
        except (PolicyEngineError, CompileError, ValueError, LookupError, TypeError) as error:
            text = f"policy set {digest} cannot be used by this release: {type(error).__name__}: {error}"
            raise PublishingError(text[:500], code="PE733") from error

    def permit(self, shard: str, digest: str, now: int) -> None:
        """PublishingError where a shard may not decide under this policy set."""
        if not self.follows(shard):
            return
        target = self.target(shard, now)
        if target is None and not self.governed:
            target = self._store.head(shard).policy_set or digest
        if digest != target:
            holds = f"{target} is in force" if target else "none is in force"
            why = "sets need approval here" if self.governed else "sets are published for it"
            text = f"policy set {digest} is not what shard {shard} decides under ({why}; {holds})"
            raise PublishingError(f"{text}: publish it, or leave --rules out")
