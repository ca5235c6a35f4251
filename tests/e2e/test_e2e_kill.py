"""`run` killed at random moments, again and again, ends with the ledger of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import shipped_rules
from policyengine.service.stream import generate
from policyengine.service.verification import verify_ledger

EVENTS, KILLS = 6_000, 25


def command(folder: Path, events: Path) -> list[str]:
    return [
        sys.executable, "-m", "policyengine.cli.main", "run",
        "--rules", str(shipped_rules()),
        "--ledger", f"sqlite:///{folder / 'ledger.db'}",
        "--events", str(events),
        "--decisions", str(folder / "decisions.jsonl"),
        "--dead-letters", str(folder / "dead.jsonl"),
        "--batch-size", "50",
    ]  # fmt: skip


def bodies(folder: Path) -> list[tuple[int, str, bytes]]:
    store = SqlLedgerStore(f"sqlite:///{folder / 'ledger.db'}", read_only=True)
    try:
        return [(entry.seq, entry.kind, entry.body) for entry in store.entries("0")]
    finally:
        store.close()


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in generate(7, 200, EVENTS)))
    return path


def size(folder: Path) -> int:
    """Entries so far; the database may not be there yet, or be busy."""
    if not (folder / "ledger.db").exists():
        return 0
    try:
        store = SqlLedgerStore(f"sqlite:///{folder / 'ledger.db'}", read_only=True)
    except Exception:  # noqa: BLE001  killed before the first migration was through
        return 0
    try:
        return store.head("0").size
    finally:
        store.close()


def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(
    tmp_path: Path, events: Path
) -> None:
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    environment = {**os.environ, "POLICYENGINE_LOG_LEVEL": "error"}
    subprocess.run(command(calm, events), check=True, capture_output=True, env=environment, timeout=240)
    expected = bodies(calm)

    moments = random.Random(20200315)
    kills = 0
    for _ in range(KILLS):
        before = size(killed)
        process = subprocess.Popen(
            command(killed, events), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        # wait until this run has written something, so that kills fall into the work and not into the start
        while process.poll() is None and size(killed) <= before:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        kills += process.returncode == -signal.SIGKILL
        assert process.returncode in (0, -signal.SIGKILL), errors.decode()
        if process.returncode == 0:
            break
    assert kills >= 5, "the run was over before it could be killed often enough: make it longer"

    subprocess.run(command(killed, events), check=True, capture_output=True, env=environment, timeout=240)
    assert bodies(killed) == expected
    for name in ("decisions.jsonl", "dead.jsonl"):
        assert (killed / name).read_bytes() == (calm / name).read_bytes(), name
    store = SqlLedgerStore(f"sqlite:///{killed / 'ledger.db'}", read_only=True)
    try:
        assert verify_ledger(store, None).faults == []
    finally:
        store.close()
