"""How results are shown: tables for people, JSON for programs, progress only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Literal

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table


class Format(StrEnum):
    """For whom the output is."""

    HUMAN = "human"
    JSON = "json"


# a pipe or a file is as wide as a wide terminal, so that tables can be read there too
out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """A line of plain text on stdout: nothing in it is markup."""
    out.print(text, markup=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document, a line."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode() + "\n")


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table with a title and headed columns; those in ``right`` hold figures."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
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
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
