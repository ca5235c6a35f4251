"""`run` killed at random moments, again and again, ends with the ledger of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import shipped_rules
from policyengine.service.stream import generate
from policyengine.service.verification import verify_ledger

EVENTS, KILLS, EARLY = 5_000, 12, 3
ENVIRONMENT = {**os.environ, "POLICYENGINE_LOG_LEVEL": "error"}


def command(folder: Path, events: Path) -> list[str]:
    return [
        sys.executable, "-m", "policyengine.cli.main", "run",
        "--rules", str(shipped_rules() / "travel"),
        "--ledger", f"sqlite:///{folder / 'ledger.db'}",
        "--events", str(events),
        "--decisions", str(folder / "decisions.jsonl"),
        "--dead-letters", str(folder / "dead.jsonl"),
        "--batch-size", "25",
    ]  # fmt: skip


def bodies(folder: Path) -> list[tuple[int, str, bytes]]:
    with SqlLedgerStore(f"sqlite:///{folder / 'ledger.db'}", read_only=True) as store:
        assert verify_ledger(store, None).faults == []
        return [(entry.seq, entry.kind, entry.body) for entry in store.entries("0")]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in generate(7, 200, EVENTS)))
    return path


def size(folder: Path) -> int:
    """Entries so far; there may be no database yet, or no table in it, or a writer that keeps it busy."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT coalesce(max(size), 0) FROM shard").fetchone()[0])
    except sqlite3.Error:
        return 0


def run_and_kill(folder: Path, events: Path, moments: random.Random, *, early: bool) -> bool:
    """Start a run and kill it: early at any moment of its start, else when it has committed a few batches.

    Returns whether it had done some work.
    """
    before = size(folder)
    with subprocess.Popen(
        command(folder, events), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        if early:
            time.sleep(moments.uniform(0, 2))
        else:
            while process.poll() is None and size(folder) <= before:
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.04))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors.decode() or "the stream was over: make it longer"
    return size(folder) > before


def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(
    tmp_path: Path, events: Path
) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    subprocess.run(command(calm, events), check=True, capture_output=True, env=ENVIRONMENT, timeout=120)

    moments = random.Random(20200315)
    for _ in range(EARLY):
        run_and_kill(killed, events, moments, early=True)
    during_work = [run_and_kill(killed, events, moments, early=False) for _ in range(KILLS)]
    assert sum(during_work) >= 10
    reached = size(killed)

    subprocess.run(command(killed, events), check=True, capture_output=True, env=ENVIRONMENT, timeout=120)
    expected = bodies(calm)
    assert reached < len(expected), "the killed runs were through already: make the stream longer"
    assert bodies(killed) == expected
    for name in ("decisions.jsonl", "dead.jsonl"):
        assert (killed / name).read_bytes() == (calm / name).read_bytes(), name
