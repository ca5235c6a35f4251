"""SIGHUP to a real `run`: other rules from the next batch on, and no faulty ones."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from policyengine.adapters.store import SqlLedgerStore
from policyengine.errors import PolicyEngineError
from tests.service.runs import FULL, HALF, lines
from tests.support import booked, cancelled


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < until, "nothing happens"
        time.sleep(0.02)


def test_a_running_engine_takes_up_new_rules_and_refuses_faulty_ones(tmp_path: Path) -> None:
    rules, url = tmp_path / "rules", f"sqlite:///{tmp_path / 'ledger.db'}"
    rules.mkdir()
    (rules / "half.yaml").write_text(HALF, encoding="utf-8")

    def size() -> int:
        try:
            with SqlLedgerStore(url, read_only=True) as store:
                return store.head("0").size
        except PolicyEngineError:
            return 0  # it is just being made

    with (tmp_path / "log.jsonl").open("wb") as log, subprocess.Popen(
        [sys.executable, "-m", "policyengine.cli.main", "run", "--rules", str(rules), "--ledger", url,
         "--events", "-", "--batch-size", "1"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
    ) as process:  # fmt: skip
        assert process.stdin is not None

        def send(number: int) -> None:
            assert process.stdin is not None
            process.stdin.write(lines({**cancelled(), "id": f"cancelled-{number}"}))
            process.stdin.flush()

        process.stdin.write(lines(booked()))
        process.stdin.flush()
        wait_for(lambda: size() == 3)  # policy set, event, decision
        send(1)
        wait_for(lambda: size() == 5)
        (rules / "half.yaml").write_text("policy: [", encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        send(2)
        wait_for(lambda: size() == 7)
        (rules / "half.yaml").write_text(FULL, encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        send(3)
        wait_for(lambda: size() == 10)  # the policy set too
        process.stdin.close()
        assert process.wait(timeout=240) == 0
    with SqlLedgerStore(url, read_only=True) as store:
        granted = [
            entry.document()["remedies"][0]["amount"]["value"]
            for entry in store.entries("0")
            if entry.kind == "decision" and entry.document()["remedies"]
        ]
    assert granted == ["50.00", "50.00", "100.00"]  # half of 100 twice, then all of it
    assert "policy set refused, the one in force stays" in (tmp_path / "log.jsonl").read_text()
