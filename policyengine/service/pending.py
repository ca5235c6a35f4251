"""The timers of a shard that is being written: those due soonest in memory, the others in the store.

Which is the next is known without asking the store; a page of timers is read when those at hand are used up.
How many there are is counted bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush, nsmallest

from policyengine.domain.timers import Timer, TimerOrder

PAGE = 1_000  # timers read at a time
MOST = 8 * PAGE  # timers at hand after a commit
STRETCH = 100_000  # timers counted at a time
_Key = TimerOrder


class PendingTimers:
    """What is stored and what the batch in hand changed, as one.

    ``read(after, limit)`` gives the stored timers that follow one, in timers' order.

    invariant: every pending timer up to ``_bound`` is at hand, those of the batch in hand too that lie
    beyond; whatever else lies beyond is in the store, and not in ``changes``.
    """

    def __init__(self, read: Callable[[Timer | None, int], list[Timer]]) -> None:
        self._read = read
        self.changes: dict[tuple[str, str], Timer | None] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all: what is held may be ahead of a commit that failed."""
        self.changes = {}
        self._held: dict[tuple[str, str], Timer] = {}
        self._near: list[_Key] = []  # both may name timers that are gone or were moved
        self._far: list[_Key] = []
        self._bound: Timer | None = None
        self._complete = False

    def next(self, until: int) -> Timer | None:
        """The first pending timer if it is due by then."""
        while True:
            while self._near:
                due, customer, timer_id = self._near[0]
                timer = self._held.get((customer, timer_id))
                if timer is not None and timer.due == due:
                    return timer if due <= until else None
                heappop(self._near)
            if self._complete:
                return None
            self._read_on()

    def soon(self, until: int, count: int) -> list[str]:
        """Customers of the first timers at hand that are due by then."""
        return [customer for due, customer, _ in nsmallest(count, self._near) if due <= until]

    def of(self, customer: str, stored: list[Timer]) -> list[Timer]:
        """Those of a customer, in timers' order; ``stored`` are what the store has of them."""
        found = {timer.id: timer for timer in stored}
        for (whose, timer_id), changed in self.changes.items():
            if whose == customer:
                found.pop(timer_id, None)
                if changed is not None:
                    found[timer_id] = changed
        return sorted(found.values(), key=lambda timer: timer[:3])

    def set(self, timer: Timer) -> None:
        """Let a timer be pending."""
        at = timer.customer, timer.id
        self.changes[at] = self._held[at] = timer
        heappush(self._near if self._is_near(timer) else self._far, timer[:3])

    def drop(self, customer: str, timer_id: str) -> None:
        """Let it be pending no more."""
        at = customer, timer_id
        self.changes[at] = None
        self._held.pop(at, None)

    def committed(self) -> None:
        """The changes are in the store."""
        self.changes = {}
        for _, customer, timer_id in self._far:
            timer = self._held.get((customer, timer_id))
            if timer is not None and not self._is_near(timer):
                del self._held[customer, timer_id]
        self._far = []
        if len(self._near) > MOST:
            kept = nsmallest(MOST // 2, self._held.values())
            self._complete = self._complete and len(kept) == len(self._held)
            self._bound = kept[-1] if kept else self._bound
            self._held = {(timer.customer, timer.id): timer for timer in kept}
            self._near = [timer[:3] for timer in kept]  # sorted, and so a heap

    def _is_near(self, timer: Timer) -> bool:
        return self._complete or (self._bound is not None and timer[:3] <= self._bound[:3])

    def _read_on(self) -> None:
        page = self._read(self._bound, PAGE)
        self._complete = len(page) < PAGE
        if page:
            self._bound = page[-1]
        for timer in page:
            at = timer.customer, timer.id
            if at not in self.changes:
                self._held[at] = timer
                heappush(self._near, timer[:3])
        while self._far and (self._complete or self._far[0] <= page[-1][:3]):
            heappush(self._near, heappop(self._far))


class TimerCount:
    """How many timers are pending: counted a stretch at a time, so that nobody waits for a million rows.

    ``count(after, limit)``: how many follow one, up to a limit, and where to go on; None: nowhere.
    """

    def __init__(self, count: Callable[[_Key | None, int], tuple[int, _Key | None]]) -> None:
        self._count = count
        self._after: _Key | None = None
        self._so_far, self._whole = 0, -1

    @property
    def under_way(self) -> bool:
        """Whether some have yet to be counted."""
        return self._after is not None

    @property
    def number(self) -> int:
        """As last counted in full; before that, how many were found so far."""
        return self._so_far if self._whole < 0 else self._whole

    def go_on(self) -> None:
        """Count the next stretch, or begin anew where all were counted."""
        found, self._after = self._count(self._after, STRETCH)
        self._so_far += found
        if self._after is None:
            self._whole, self._so_far = self._so_far, 0
