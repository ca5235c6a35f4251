"""How results are shown: tables for people, JSON for programs, progress only on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Literal, NoReturn

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

FINDINGS, USAGE, UNVERIFIED = 1, 2, 3  # exit codes


class Format(StrEnum):
    """For whom the output is."""

    HUMAN = "human"
    JSON = "json"


_WIDE = 120  # a pipe or a file is as wide as a wide terminal, so that tables can be read there too


class _Out(Console):
    def on_broken_pipe(self) -> None:
        reader_is_gone()


# nothing that is shown is markup: a description may hold [brackets] and :colons:
out = _Out(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def reader_is_gone() -> NoReturn:
    """Whoever reads stdout has closed it: say nothing more. What was committed stays so."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(USAGE)


def say(text: str) -> None:
    """A line on stdout, as it is."""
    try:
        sys.stdout.write(f"{text}\n")
    except BrokenPipeError:
        reader_is_gone()


def counted(number: int, what: str) -> str:
    """So many of something: `1 fault`, `2 faults`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def print_json(document: Any) -> None:
    """One JSON document, a line."""
    say(orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode())


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table with a title and headed columns; those in ``right`` hold figures."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        min_width=len(title),
    )
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, no_wrap=number == 0)
    return made


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr when that is a terminal; the callback takes what has been done since."""
    with Progress(
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.completed:,.0f}" + (" of {task.total:,.0f}" if total is not None else "")),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
