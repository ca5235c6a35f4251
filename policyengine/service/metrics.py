"""What a worker tells of itself as it goes, as a Protocol; how it is exposed is adapters.metrics'."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from policyengine.domain.decision import Decision, Outcome

Part = tuple[str, int, str]  # policy, version, outcome
STILL = ("engine", "fenced", "ledger", "stream", "topic")  # why a shard stands still
_GRANTED, _OFFERED, _DENIED = Outcome.GRANTED.value, Outcome.OFFERED.value, Outcome.DENIED.value
NOBODY = ""  # the policy of a decision that no version had a part in


class Meters(Protocol):
    """The worker calls these; none of them fails or waits.

    invariant: every label is bounded: shards by partitions, versions by what was published, codes by
    domain.validation.CODES. No customer, event or decision is ever one.
    """

    def batch(
        self,
        shard: str,
        *,
        events: int,
        seconds: float,
        committing: float,
        decided: Mapping[Part, int],
        rejected: Mapping[str, int],
    ) -> None:
        """A batch was committed.

        ``events``: records taken in, whatever became of them. ``seconds``: of the whole batch, of which
        ``committing`` were the database's. ``decided``: see ``parts_of``. ``rejected``: by code.
        """

    def backlog(
        self, shard: str, *, lag: int, outbox: Mapping[str, int], jobs: int, customers: int, timers: int
    ) -> None:
        """Where a shard stands, told each second or so.

        ``lag``: messages of its inputs that it has yet to take in. ``outbox``: entries that have yet to be
        published, by channel. ``customers``: those whom its jobs have yet to reach.
        """

    def assigned(self, shards: Collection[str]) -> None:
        """The shards that are this worker's from now on; what was told of others no longer holds."""

    def dead_letters(self, count: int) -> None:
        """So many were published."""

    def poisoned(self) -> None:
        """An event at which the engine itself failed was set aside."""

    def stands_still(self, shard: str, because: str | None) -> None:
        """A shard, or the world's input, cannot go on, for one of STILL; None: it does again."""

    def policies(self, digest: str) -> None:
        """The policy set that is decided under from now on."""

    def refused(self, refused: bool) -> None:
        """Whether a newer policy set was published that this worker cannot load."""


class NoMeters:
    """Tells nobody."""

    def batch(
        self,
        shard: str,
        *,
        events: int,
        seconds: float,
        committing: float,
        decided: Mapping[Part, int],
        rejected: Mapping[str, int],
    ) -> None:
        """Keep it quiet."""

    def backlog(
        self, shard: str, *, lag: int, outbox: Mapping[str, int], jobs: int, customers: int, timers: int
    ) -> None:
        """Keep it quiet."""

    def assigned(self, shards: Collection[str]) -> None:
        """Keep it quiet."""

    def dead_letters(self, count: int) -> None:
        """Keep it quiet."""

    def poisoned(self) -> None:
        """Keep it quiet."""

    def stands_still(self, shard: str, because: str | None) -> None:
        """Keep it quiet."""

    def policies(self, digest: str) -> None:
        """Keep it quiet."""

    def refused(self, refused: bool) -> None:
        """Keep it quiet."""


def parts_of(decision: Decision) -> set[Part]:
    """What each policy version did in a decision; of ``NOBODY``, version 0, where none did anything.

    A decision in which two versions had a part is counted with both. Shadow rules have no part.
    """
    if not (decision.remedies or decision.offers or decision.denials):  # most of them, and it is a busy place
        return {(NOBODY, 0, decision.outcome.value)}
    parts = {(one.policy, one.version, _GRANTED) for one in decision.remedies}
    if decision.offers:
        parts.update((one.policy, one.version, _OFFERED) for one in decision.offers)
    if decision.denials:
        parts.update((one.policy, one.version, _DENIED) for one in decision.denials)
    return parts
