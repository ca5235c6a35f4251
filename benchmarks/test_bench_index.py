"""The index by itself, up to 5,000 rules, over ten event types and over one, which divides nothing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import cycle
from time import perf_counter
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.match import Index, IndexedRule

START = datetime(2020, 9, 13, tzinfo=UTC)
SECOND = 1_000_000
EVENTS = 1_000


def rule(number: int, types: int, regions: int, chance: random.Random) -> IndexedRule:
    start = int(START.timestamp()) * SECOND + chance.randrange(5) * 10**12
    conjuncts = (
        Conjunct("event.region", "==", f"region-{chance.randrange(regions)}"),
        Conjunct("event.phase", "in", ("onset", "ongoing")),
        Conjunct("event.amount", ">=", chance.randrange(1_000)),
        Conjunct("event.time", ">=", start),
        Conjunct("event.time", "<", start + 50 * 10**12),
    )
    return IndexedRule(number, (f"type-{number % types}",), "booking", conjuncts)


def question(types: int, regions: int, chance: random.Random) -> tuple[str, dict[str, Any]]:
    facts = {
        "event.region": f"region-{chance.randrange(regions)}",
        "event.phase": chance.choice(("onset", "ongoing", "ended")),
        "event.amount": chance.randrange(1_000),
        "event.time": START + timedelta(seconds=chance.randrange(60_000_000)),
    }
    return f"type-{chance.randrange(types)}", facts


@pytest.mark.parametrize("types", [10, 1])
@pytest.mark.parametrize("size", [10, 100, 1_000, 5_000])
def test_index(benchmark: BenchmarkFixture, size: int, types: int) -> None:
    chance = random.Random(7)
    regions = max(1, size // 20)
    rules = [rule(number, types, regions, chance) for number in range(size)]
    started = perf_counter()
    with Index(rules) as index:
        building = perf_counter() - started
        questions = [question(types, regions, chance) for _ in range(EVENTS)]
        found = sum(len(index.candidates(kind, "booking", facts)) for kind, facts in questions)
        forever = cycle(questions)

        def ask() -> list[int]:
            kind, facts = next(forever)
            return index.candidates(kind, "booking", facts)

        benchmark.group = "index"
        benchmark.name = f"index [{size} rules, {types} event types]"
        benchmark.extra_info.update(
            size=size, types=types, building=building, networks=index.network_count, applying=found / EVENTS
        )
        benchmark.pedantic(ask, rounds=15, iterations=EVENTS)
