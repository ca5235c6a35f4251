"""Mutants on all cores: each process knows the cases and takes the next few mutants by their numbers."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

from policyengine.authoring.mutate import Fate, Mutation

_FEW = 8  # mutants that a process takes at a time

_mutation: Mutation | None = None  # of this process


def fates(mutation: Mutation, again: Callable[[], Mutation], jobs: int | None = None) -> Iterator[Fate]:
    """The fate of each mutant, in order. ``again`` makes the same mutation in a process that starts empty.

    ``jobs``: how many processes; by default one for each core that this process may use.
    """
    wanted = min(jobs or len(os.sched_getaffinity(0)), len(mutation.mutants) // _FEW + 1)
    if wanted <= 1:
        for mutant in mutation.mutants:
            yield mutation.fate(mutant)
        return
    context: Any = multiprocessing.get_context(_start_method())
    with context.Pool(wanted, _begin, _arguments(context, mutation, again)) as pool:
        yield from pool.imap(_fate, range(len(mutation.mutants)), chunksize=_FEW)


def _start_method() -> str:
    """Forking shares what has been read; where there is none, each process reads by itself."""
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"


def _arguments(context: Any, mutation: Mutation, again: Callable[[], Mutation]) -> tuple[Any, ...]:
    return (mutation, None) if context.get_start_method() == "fork" else (None, again)


def _begin(mutation: Mutation | None, again: Callable[[], Mutation] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that waits for the others
    global _mutation  # noqa: PLW0603  (how a pool's processes are given what they share)
    _mutation = mutation if again is None else again()


def _fate(number: int) -> Fate:
    assert _mutation is not None  # noqa: S101  (`_begin` runs before any mutant comes)
    return _mutation.fate(_mutation.mutants[number])
