"""The same work in several processes, one for each part, which can gather what each of them knows.

What the work is, is the caller's: a callable that takes the number of its part and a ``Link``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkProcess
from traceback import format_exc
from typing import Any, Protocol

from policyengine.errors import PolicyEngineError

_GATHER, _PROGRESS, _DONE, _FAILED = "gather", "progress", "done", "failed"
_LONGEST_WAIT = 5.0  # seconds for a process to end after it was told to


class Link(Protocol):
    """What a part has to do with the others."""

    def gather(self, item: Any) -> Sequence[Any]:
        """Give one's own item and get everybody's, by the number of the part; all must ask alike."""

    def progress(self, done: int) -> None:
        """So much more has been done."""


Work = Callable[[int, Link], Any]


def cores() -> int:
    """How many processors this process may use; 1 where processes cannot be forked."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parts(
    count: int, work: Work, progress: Callable[[], AbstractContextManager[Callable[[int], None]]]
) -> list[Any]:
    """The results of all parts, by their number; what a part raises is raised here.

    Parts are forked, so that what is compiled is there already. ``progress`` is opened after that: it may
    start a thread, and a process with threads is not to be forked.
    """
    if count == 1:
        with progress() as told:
            return [work(0, _Alone(told))]
    team = _Team(multiprocessing.get_context("fork"), count, work)
    try:
        with progress() as told:
            return team.results(told)
    finally:
        team.dismiss()


class _Alone:
    def __init__(self, progress: Callable[[int], None]) -> None:
        self.progress = progress

    def gather(self, item: Any) -> Sequence[Any]:
        return (item,)


class _Linked:
    def __init__(self, end: Connection, *, tells: bool) -> None:
        self._end = end
        self._tells = tells  # all parts read the same history: one of them says how far

    def gather(self, item: Any) -> Sequence[Any]:
        self._end.send((_GATHER, item))
        everybody: Sequence[Any] = self._end.recv()
        return everybody

    def progress(self, done: int) -> None:
        if self._tells:
            self._end.send((_PROGRESS, done))


class _Team:
    def __init__(self, context: ForkContext, count: int, work: Work) -> None:
        self._ends: list[Connection] = []
        self._processes: list[ForkProcess] = []
        for number in range(count):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(work, number, there), daemon=True)
            with warnings.catch_warnings():
                # whatever threads there are (a test runner's) hold nothing that a part uses
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            there.close()
            self._ends.append(here)
            self._processes.append(process)

    def results(self, progress: Callable[[int], None]) -> list[Any]:
        results: dict[int, Any] = {}
        gathered: dict[int, Any] = {}
        while len(results) < len(self._ends):
            number, (what, item) = self._next(results)
            if what == _GATHER:
                gathered[number] = item
                if len(gathered) == len(self._ends):
                    everybody = [gathered[one] for one in range(len(self._ends))]
                    gathered.clear()
                    for end in self._ends:
                        end.send(everybody)
            elif what == _PROGRESS:
                progress(item)
            elif what == _DONE:
                results[number] = item
            else:
                raise item
        return [results[number] for number in range(len(self._ends))]

    def _next(self, done: dict[int, Any]) -> tuple[int, tuple[str, Any]]:
        """The next message of some part that is not done."""
        ends = {end: number for number, end in enumerate(self._ends) if number not in done}
        (ready, *_) = wait(list(ends))
        number = ends[ready]  # type: ignore[index]
        try:
            message: tuple[str, Any] = self._ends[number].recv()
        except EOFError as error:
            self._processes[number].join(_LONGEST_WAIT)
            code = self._processes[number].exitcode
            text = f"process {number} ended in the middle (code {code}); try --jobs 1"
            raise PolicyEngineError(text) from error
        return number, message

    def dismiss(self) -> None:
        for process in self._processes:
            process.terminate()
        for process, end in zip(self._processes, self._ends, strict=True):
            process.join(_LONGEST_WAIT)
            end.close()


def _serve(work: Work, number: int, end: Connection) -> None:
    """In the process of a part."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when to stop
    try:
        message: tuple[str, Any] = (_DONE, work(number, _Linked(end, tells=number == 0)))
    except (PolicyEngineError, OSError) as error:
        message = (_FAILED, error)
    except Exception:  # noqa: BLE001  # a fault of ours: where it is does not cross the pipe but as text
        message = (_FAILED, RuntimeError(f"in process {number}:\n{format_exc()}"))
    with suppress(BrokenPipeError):
        end.send(message)
    end.close()
