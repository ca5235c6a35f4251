r"""Pages that are walked through: their files are written and their commands run, as a reader would.

A fence ``yaml title=rules/x.v1.yaml`` is a file (whole, whatever was there before). A fence ``console``
holds commands after ``$ `` (going on after a line that ends in ``\\``) and what they print, where a line
``…`` stands for any lines and ``…`` within a line for any text. A fence ``text`` is only shown.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.cli.commands import call

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4,}\S.*\n)+")
_UNSEEN = re.compile("[\u200e\u200f\u2066-\u2069]")
_READS = re.compile(r"(.*?)(?: < (\S+))?", re.DOTALL)
_SHELL = re.compile(r"[|&;<>$*?`]")
ANYTHING = "\u2026"  # in what a page shows


@dataclass(frozen=True)
class File:
    """A file that the page tells the reader to write."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command that the page tells the reader to run, and what it prints."""

    line: str
    expected: str


@dataclass(frozen=True)
class Shown:
    """What is neither written nor run."""

    kind: str
    text: str


Step = File | Command | Shown


def steps(page: str) -> Iterator[Step]:
    """What a page does, in order."""
    for _, info, text in _FENCE.findall(page):
        kind, *more = info.split()
        titles = [one.removeprefix("title=") for one in more if one.startswith("title=")]
        if titles:
            yield File(titles[0], dedent(text))
        elif kind == "console":
            yield from _commands(dedent(text))
        else:
            yield Shown(kind, dedent(text))


def _commands(text: str) -> Iterator[Command]:
    line, printed = "", list[str]()
    for one in text.replace("\\\n", "").splitlines():
        if one.startswith("$ "):
            if line:
                yield Command(line, "\n".join(printed))
            line, printed = one[2:], []
        else:
            printed.append(one)
    assert line, f"a console without a command: {text}"
    yield Command(line, "\n".join(printed))


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """All that stands apart from the words, as (kind, text): fences with their info, and what is indented."""
    words = page
    for fence in _FENCE.finditer(page):
        yield fence[2], fence[3]
        words = words.replace(fence[0], "")
    assert not re.search(r"^ *(?:```|~~~)", words, re.MULTILINE), (
        "a fence that is not closed, or of another kind"
    )
    for text in _INDENTED.findall(words):
        yield "indented", dedent(text)


def walk(page: str, folder: Path) -> None:
    """Do what the page says, in that folder, which is the current one."""
    do(steps(page), folder)


def do(whole: Iterable[Step], folder: Path, **variables: str) -> None:
    """Do it step by step; ``variables`` are the environment of its commands."""
    code = 0
    for step in whole:
        if isinstance(step, File):
            path = folder / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        elif isinstance(step, Command):
            printed, code = (
                (f"{code}\n", 0) if step.line == "echo $?" else run(step.line, folder, **variables)
            )
            assert is_as(step.expected, printed), (
                f"$ {step.line}\n{printed}\n--- the page says:\n{step.expected}"
            )


def run(line: str, folder: Path, **variables: str) -> tuple[str, int]:
    """What a command prints, on both streams, and its exit code."""
    own, read = _READS.fullmatch(line).groups()  # type: ignore[union-attr]
    words = shlex.split(own, comments=True)
    if words[0] == "policyengine" and not _SHELL.search(own):
        stdin = (folder / read).read_bytes() if read else b""
        result = call(*words[1:], stdin=stdin, **variables)
        return result.out + result.err, result.code
    if words[0] == "sqlite3":  # as its program does, which not every machine has
        with closing(sqlite3.connect(folder / words[1])) as database, database:
            return "".join(f"{'|'.join(map(str, row))}\n" for row in database.execute(words[2])), 0
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder, env={**os.environ, **variables, "PATH": path}, check=False, timeout=240, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout, done.returncode


def is_as(expected: str, printed: str) -> bool:
    """Whether that was printed, but for what nobody sees: spaces at the ends, empty lines, marks of direction."""
    return re.fullmatch(_pattern(_trimmed(expected)), f"{_trimmed(printed)}\n") is not None


def _trimmed(text: str) -> str:
    seen = _UNSEEN.sub("", text).replace("\u202f", " ")
    return "\n".join(line.rstrip() for line in seen.splitlines()).strip("\n")


def _pattern(expected: str) -> str:
    return "".join(
        r"(?:.*\n)*?"
        if line.strip() == ANYTHING
        else ".*?".join(map(re.escape, line.split(ANYTHING))) + r"\n"
        for line in expected.split("\n")
    )
