"""Whether a worker lives and is ready, as the worker notes it; who asks for it is adapters.health.

The loop writes, another thread reads: each fact is one attribute, so that none is seen half written.
"""

from __future__ import annotations

from collections.abc import Callable

LIVE_SECONDS = 300.0  # the group gives a worker up that does not poll for so long, too


class Health:
    """What a worker knows of itself.

    ``clock`` gives monotonic seconds. A loop that has not turned for ``live_seconds`` is stuck: whoever
    waits longer than that for a database or a broker turns in between.
    """

    def __init__(self, clock: Callable[[], float], live_seconds: float = LIVE_SECONDS) -> None:
        self._clock = clock
        self._live_seconds = live_seconds
        self._turned = clock()
        self._shards: int | None = None  # None: no assignment has come yet
        self._ledger: str | None = "the ledger was not asked yet"
        self._policies: str | None = "no policy set is loaded"
        self._stopping = False
        self._still: dict[str, str] = {}  # shards, or the world, that stand still; never changed, replaced

    # --- what the worker notes --------------------------------------------------------------------

    def turned(self) -> None:
        """The loop begins another round."""
        self._turned = self._clock()

    def assigned(self, shards: int) -> None:
        """The group has given this worker so many shards; none is ready, too: it stands by."""
        self._shards = shards

    def unassigned(self) -> None:
        """The group was left or lost; an assignment has yet to come."""
        self._shards = None

    def ledger_answers(self) -> None:
        """A commit or a ping went through."""
        self._ledger = None

    def ledger_fails(self, because: str) -> None:
        """A commit or a ping did not go through; ``because`` holds no password."""
        self._ledger = f"the ledger cannot be written: {because}"

    def stands_still(self, shard: str, because: str) -> None:
        """A shard, or an input that all of them read, cannot go on; the others do."""
        self._still = {**self._still, shard: because}

    def goes_on(self, shard: str) -> None:
        """It does again, or it is another worker's now."""
        if shard in self._still:
            self._still = {name: because for name, because in self._still.items() if name != shard}

    def policies_loaded(self) -> None:
        """The policy set published last is in force."""
        self._policies = None

    def policies_refused(self, because: str) -> None:
        """The policy set published last cannot be loaded; the last good one stays in force."""
        self._policies = f"the newest policy set was refused, the one before stays in force: {because}"

    def stopping(self) -> None:
        """Work is being finished; nothing new is begun."""
        self._stopping = True

    # --- what is asked ----------------------------------------------------------------------------

    def why_not_live(self) -> list[str]:
        """Nothing, or why this process should be ended and started again."""
        still = self._clock() - self._turned
        return [f"the loop has not turned for {still:.0f} seconds"] if still > self._live_seconds else []

    def why_not_ready(self) -> list[str]:
        """Nothing, or everything that this worker waits for."""
        reasons = list(self.why_not_live())
        if self._stopping:
            reasons.append("the worker is stopping")
        if self._shards is None:
            reasons.append("no partitions are assigned yet")
        reasons += [one for one in (self._ledger, self._policies) if one is not None]
        return reasons + [
            f"{shard} stands still: {because}" for shard, because in sorted(self._still.items())
        ]

    @property
    def standby(self) -> bool:
        """Whether the group has no shard for this worker."""
        return self._shards == 0
