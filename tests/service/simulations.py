"""Simulations in a test: parts of the customers as threads that gather what each of them knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

from policyengine.adapters.store import SqlLedgerStore
from policyengine.service.policy_sets import PolicySet
from policyengine.service.simulate import Run, shard_sizes, simulate_ledger
from policyengine.service.simulate_parts import Part
from policyengine.service.simulate_rows import line_of
from policyengine.service.simulate_tally import Totals, merge
from tests.service.runs import feed, opened, pipeline, url


def together(count: int, work: Callable[[Part], Any]) -> list[Any]:
    """The same work for every part at once."""
    given: list[Any] = [None] * count
    results: list[Any] = [None] * count
    barrier = Barrier(count, timeout=240)

    def gather(number: int, item: Any) -> Sequence[Any]:
        given[number] = item
        barrier.wait()
        everybody = list(given)
        barrier.wait()
        return everybody

    def go(number: int) -> None:
        try:
            results[number] = work(Part(number, count, lambda item: gather(number, item)))
        except BaseException:
            barrier.abort()
            raise

    threads = [Thread(target=go, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@contextmanager
def recorded_in(path: Path, policies: PolicySet, raw: bytes) -> Iterator[SqlLedgerStore]:
    """A ledger in which the policies have decided the lines."""
    with opened(path) as store:
        writer = pipeline(store, policies)
        feed(writer, raw)
        list(writer.work_off())
        yield store


def simulated(
    path: Path, candidate: PolicySet, *, parts: int = 1, against: PolicySet | None = None
) -> tuple[Totals, list[bytes]]:
    """What a ledger's history comes to under other policies, and the lines of all decisions in order."""

    def work(part: Part) -> tuple[Totals, list[bytes]]:
        lines: list[bytes] = []
        with SqlLedgerStore(url(path), read_only=True) as store:
            run = Run(candidate, against, part, lambda one: lines.append(line_of(one)))
            return simulate_ledger(store, shard_sizes(store), run), lines

    results = together(parts, work)
    return merge(totals for totals, _ in results), sorted(line for _, lines in results for line in lines)
