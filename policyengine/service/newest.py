"""Which policy set running workers decide under: the last one that was published for them and can be loaded.

It stands in a shard of its own in the ledger, which is the record of what was published when.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from policyengine.engine.faults import CompileError
from policyengine.errors import LedgerError, PolicyEngineError, UsageError
from policyengine.ledger.publications import POLICIES, Signed
from policyengine.ledger.verify import nothing_signed
from policyengine.service.board import Board
from policyengine.service.health import Health
from policyengine.service.metrics import Meters
from policyengine.service.policy_sets import PolicySet, recorded
from policyengine.service.ports import LedgerStore

__all__ = ["POLICIES", "Newest"]
log = structlog.get_logger()


def _no_clock() -> int:
    return 0


class Newest:
    """Looks at that shard. One that cannot be loaded is told to health and meters, once.

    ``signed`` checks the signatures of approvals; ``now`` is the clock (µs) by which what was published for
    later takes effect.
    """

    def __init__(
        self,
        store: LedgerStore,
        meters: Meters,
        health: Health,
        *,
        signed: Signed = nothing_signed,
        now: Callable[[], int] = _no_clock,
    ) -> None:
        self._store, self._meters, self._health = store, meters, health
        self._board, self._now = Board(store, signed), now
        self._looked_at = ""  # the digest that was loaded or refused last
        self._in_force: PolicySet | None = None

    @property
    def in_force(self) -> PolicySet:
        """The last good one; UsageError where there is none."""
        if self._in_force is None:
            raise UsageError(
                "no policy set was published for workers: run `policyengine publish --for-workers`, "
                "or give --rules DIR"
            )
        return self._in_force

    def begin(self) -> PolicySet:
        """The last one that can be loaded."""
        if self.look() is None and self._in_force is None:
            for digest in reversed(self._board.held(None, self._now())[:-1]):
                policy_set = self._loaded(digest)
                if not isinstance(policy_set, str):
                    self._take(policy_set)
                    break
        return self.in_force

    def look(self) -> PolicySet | None:
        """A policy set that came into force since, if there is one and it can be loaded."""
        try:
            self._board.look()
        except UsageError as error:  # nobody here can check signatures
            if self._in_force is None:
                raise
            self._refuse("", str(error))
            return None
        digest = self._board.target(None, self._now())
        self._health.ledger_answers()
        if not digest or digest == self._looked_at:
            return None
        self._looked_at = digest
        policy_set = self._loaded(digest)
        if isinstance(policy_set, str):
            self._refuse(digest, policy_set)
            return None
        self._meters.refused(False)
        self._health.policies_loaded()
        if self._in_force is not None and policy_set.digest == self._in_force.digest:
            return None
        self._take(policy_set)
        return policy_set

    def behind(self, digest: str) -> bool:
        """Whether a shard that decides under ``digest`` was led further than this worker has looked.

        invariant: no shard goes back because another worker looked earlier, or its clock is ahead.
        """
        if not digest or digest == self.in_force.digest:
            return False
        self._board.look()
        now = self._now()
        unseen = self._board.target(None, now) != self._looked_at
        return unseen or any(one.digest == digest for one in self._board.upcoming(None, now))

    def _refuse(self, digest: str, because: str) -> None:
        log.error("policy set refused, the one in force stays", policy_set=digest, because=because)
        self._meters.refused(True)
        self._health.policies_refused(because)

    def _take(self, policy_set: PolicySet) -> None:
        self._in_force = policy_set
        self._meters.policies(policy_set.digest)

    def _loaded(self, digest: str) -> PolicySet | str:
        """The set, or why it cannot be had."""
        raw = self._store.policy_set(digest)
        if raw is None:
            return f"the ledger does not hold {digest}"
        try:
            return recorded(raw)
        except LedgerError:
            raise
        except (PolicyEngineError, CompileError, ValueError, LookupError, TypeError) as error:
            return f"{type(error).__name__}: {error}"[:500]
