"""Which policies apply to an event: this project beside its peers, microseconds for one event.

`policyengine` computes amounts, a full trace and the decision's canonical bytes; the others, the
index alone included, only name the policies. All must give the same answers before any is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import cycle

import ours
import peers
import pytest
import workload
from pytest_benchmark.fixture import BenchmarkFixture

ENGINES: dict[str, Callable[[workload.Workload], ours.Engine]] = {
    "policyengine": ours.policyengine_decide,
    "index": ours.index_alone,
    "durable-rules": peers.durable_rules,
    "cel": peers.brute_force_cel,
    "zen-engine": peers.zen_table,
}


@cache
def made(size: int) -> workload.Workload:
    return workload.make(size)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", workload.SIZES)
def test_match(benchmark: BenchmarkFixture, engine: str, size: int) -> None:
    load = made(size)
    questions, answer = ENGINES[engine](load)
    assert workload.ask_all(questions, answer) == load.answers()
    benchmark.group = f"{size:>5} policies"
    benchmark.name = f"{engine} [{size}]"
    benchmark.extra_info.update(engine=engine, size=size, applying=applying(load))
    forever = cycle(questions)
    benchmark.pedantic(lambda: answer(next(forever)), rounds=15, iterations=len(questions))


def applying(load: workload.Workload) -> float:
    answers = load.answers()
    return sum(map(len, answers)) / len(answers)
