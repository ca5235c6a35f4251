"""Workers as processes of their own that need not load the program anew: they are forked from one that has.

`python -m tests.kafka.nursery` reads what to start, a line each, and tells who started and who ended. When
its input ends, so do all that it started.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread

import orjson

ROOT = Path(__file__).parents[2]


class Child:
    """A process that the nursery started; as much of subprocess.Popen as tests need."""

    def __init__(self, pid: int, ended: dict[int, int]) -> None:
        self.pid = pid
        self._ended = ended

    def poll(self) -> int | None:
        """How it ended, negative by a signal; None while it lives."""
        return self._ended.get(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Until it ends."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that forks; start it while little else is going on, it takes some seconds."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kafka.nursery"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._ended: dict[int, int] = {}
        self._started: SimpleQueue[int] = SimpleQueue()
        self._lock = Lock()
        Thread(target=self._listen, daemon=True).start()

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, at: Sequence[str] = ()
    ) -> Child:
        """Run `policyengine` with arguments; ``at``: points of crashing."""
        told = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "log": str(log),
            "at": list(at),
        }
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
            self._process.stdin.flush()
            return Child(self._started.get(timeout=240), self._ended)

    def close(self) -> None:
        """End all of them."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait(10)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            pid, code = orjson.loads(line)
            if code is None:
                self._started.put(pid)
            else:
                self._ended[pid] = code


@cache
def nursery() -> Nursery:
    """One for all tests of a process."""
    made = Nursery()
    atexit.register(made.close)
    return made


# --- within the process that forks -------------------------------------------------------------------


def _tell(pid: int, code: int | None) -> None:
    os.write(1, orjson.dumps([pid, code], option=orjson.OPT_APPEND_NEWLINE))


def _serve() -> dict[str, object] | None:
    """Fork for every line; what a child is to do, in the child; None at the end."""
    waker, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    living: set[int] = set()
    rest = b""
    while True:
        ready, _, _ = select.select([0, waker], [], [])
        if waker in ready:
            with suppress(BlockingIOError):
                os.read(waker, 4_096)
            with suppress(ChildProcessError):
                while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                    living.discard(ended[0])
                    _tell(ended[0], os.waitstatus_to_exitcode(ended[1]))
        if 0 not in ready:
            continue
        data = os.read(0, 1_000_000)
        if not data:
            for pid in living:
                os.kill(pid, signal.SIGKILL)
            return None
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(waker)
                os.close(wakes)
                return dict(orjson.loads(line))
            living.add(pid)
            _tell(pid, None)


def main() -> None:
    """Load everything, serve; in a child, run the program."""
    import alembic.command  # noqa: F401
    import kafka  # noqa: F401
    import psycopg  # noqa: F401
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.dialects.sqlite  # noqa: F401

    import policyengine.adapters.kafka_worker  # noqa: F401
    from policyengine.cli.main import main as program
    from tests.kafka.crashing import prepare

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = _serve()
    if told is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(os.devnull, "rb") as nothing, open(str(told["log"]), "wb") as log:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.clear()
    os.environ.update(told["environment"])  # type: ignore[call-overload]
    for at in told["at"]:  # type: ignore[attr-defined]
        prepare(at)
    sys.argv = ["policyengine", *told["arguments"]]  # type: ignore[misc]
    program()


if __name__ == "__main__":
    main()
