"""CPU time of `simulate` beside `replay` and `replay --rules` on one ledger, in turns, and in processes.

    .venv/bin/python benchmarks/simulate.py sqlite:///build/demo/ledger.db [JOBS]

Each is the least of three; what is compiled once is not counted, since all three compile one policy set.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

from policyengine.adapters.processes import in_parts
from policyengine.bootstrap import keep_what_is_loaded, open_ledger
from policyengine.service.counterfactual import counterfactual
from policyengine.service.policy_sets import recorded
from policyengine.service.replay import replay
from policyengine.service.simulate import Run, shard_sizes, simulate_ledger
from policyengine.service.simulate_parts import Part

TURNS = 3


def main(url: str, jobs: int) -> None:
    store = open_ledger(url, read_only=True)
    sizes = shard_sizes(store)
    (shard,) = sizes
    raw = store.policy_set(store.head(shard).policy_set)
    assert raw is not None
    policies = recorded(raw)
    store.close()
    keep_what_is_loaded()

    def simulated(part: Part) -> None:
        own = open_ledger(url, read_only=True)
        simulate_ledger(own, sizes, Run(policies, part=part))
        own.close()

    def replayed() -> None:
        own = open_ledger(url, read_only=True)
        assert not list(replay(own, shard))
        own.close()

    def otherwise() -> None:
        own = open_ledger(url, read_only=True)
        assert not counterfactual(own, shard, policies).changed
        own.close()

    def parted() -> None:
        in_parts(jobs, lambda number, link: simulated(Part(number, jobs, link.gather)), _silent)

    ways: dict[str, Callable[[], None]] = {
        "replay": replayed,
        "replay --rules": otherwise,
        "simulate --jobs 1": lambda: simulated(Part()),
        f"simulate --jobs {jobs}": parted,
    }
    best = dict.fromkeys(ways, (float("inf"), float("inf")))
    for _ in range(TURNS):
        for name, way in ways.items():
            before, began = _cpu(), time.perf_counter()
            way()
            best[name] = (
                min(best[name][0], _cpu() - before),
                min(best[name][1], time.perf_counter() - began),
            )
    size = sizes[shard]
    print("| | CPU s | wall s | entries per CPU second |\n|---|---|---|---|")
    for name, (cpu, wall) in best.items():
        print(f"| `{name}` | {cpu:.1f} | {wall:.1f} | {size / cpu:,.0f} |")


def _cpu() -> float:
    """Of this process and of those that have ended."""
    whose = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, whose))


def _silent() -> nullcontext[Callable[[int], None]]:
    return nullcontext(lambda _: None)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2)
