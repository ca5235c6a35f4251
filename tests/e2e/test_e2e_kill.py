"""`run` killed at random moments, again and again, ends with the ledger of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import shipped_rules
from policyengine.service.replay import replay
from policyengine.service.stream import generate
from policyengine.service.verification import verify_ledger
from tests.kafka.nursery import Child, nursery
from tests.kafka.streams import PATIENCE
from tests.service import worlds

EARLY = 2
ENVIRONMENT = {**os.environ, "POLICYENGINE_LOG_LEVEL": "error"}


class Story(NamedTuple):
    """Rules and events, how often the run is killed, and what its ledger must hold."""

    rules: Path
    events: Path
    kills: int
    batch: int
    internal: frozenset[str]


def command(folder: Path, story: Story) -> list[str]:
    return [
        "run",
        "--rules", str(story.rules),
        "--ledger", f"sqlite:///{folder / 'ledger.db'}",
        "--events", str(story.events),
        "--decisions", str(folder / "decisions.jsonl"),
        "--dead-letters", str(folder / "dead.jsonl"),
        "--batch-size", str(story.batch),
    ]  # fmt: skip


def bodies(folder: Path) -> list[tuple[int, str, bytes]]:
    with SqlLedgerStore(f"sqlite:///{folder / 'ledger.db'}", read_only=True) as store:
        assert verify_ledger(store, None).faults == []
        return [(entry.seq, entry.kind, entry.body) for entry in store.entries("0")]


@pytest.fixture(params=["customers", "world"])
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Story:
    """The year's customers; or a crisis that reaches them, with choices, deadlines and follow-ups."""
    events = tmp_path / "events.jsonl"
    if request.param == "customers":
        events.write_bytes(b"".join(line + b"\n" for line in generate(7, 150, 3_500)))
        return Story(shipped_rules() / "travel", events, 5, 25, frozenset())
    events.write_bytes(worlds.stream(11, 150, 900))
    rules = tmp_path / "rules"
    rules.mkdir()
    for name, text in worlds.texts().items():
        (rules / name).write_text(text, encoding="utf-8")
    return Story(rules, events, 4, 10, frozenset(worlds.INTERNAL))


def size(folder: Path) -> int:
    """Entries so far; there may be no database yet, or no table in it, or a writer that keeps it busy."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT coalesce(max(size), 0) FROM shard").fetchone()[0])
    except sqlite3.Error:
        return 0


def start(folder: Path, story: Story) -> Child:
    return nursery().start(command(folder, story), ENVIRONMENT, folder / "log")


def run_to_its_end(folder: Path, story: Story) -> None:
    assert start(folder, story).wait(PATIENCE) == 0, (folder / "log").read_text()


def run_and_kill(folder: Path, story: Story, moments: random.Random, *, early: bool) -> bool:
    """Start a run and kill it: early at any moment of its start, else when it has committed a few batches.

    Returns whether it was killed after it had done some work: it may be through before.
    """
    before = size(folder)
    process = start(folder, story)
    if early:
        time.sleep(moments.uniform(0, 1))
    else:
        while process.poll() is None and size(folder) <= before:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.04))
    process.kill()
    code = process.wait(PATIENCE)
    assert code in (-signal.SIGKILL, 0), (folder / "log").read_text()
    return code != 0 and size(folder) > before


def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(
    tmp_path: Path, story: Story
) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    run_to_its_end(calm, story)

    moments = random.Random(20200315)
    for _ in range(EARLY):
        run_and_kill(killed, story, moments, early=True)
    during_work = [run_and_kill(killed, story, moments, early=False) for _ in range(story.kills)]
    assert sum(during_work) >= story.kills / 2, "the stream was over: make it longer"

    run_to_its_end(killed, story)
    expected = bodies(calm)
    assert story.internal <= {
        json.loads(body)["event"]["type"] for _, kind, body in expected if kind == "internal"
    }
    assert bodies(killed) == expected
    for name in ("decisions.jsonl", "dead.jsonl"):
        assert (killed / name).read_bytes() == (calm / name).read_bytes(), name
    with SqlLedgerStore(f"sqlite:///{killed / 'ledger.db'}", read_only=True) as store:
        assert list(replay(store, "0")) == []
