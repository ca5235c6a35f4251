r"""Pages that are walked through: their files are written and their commands run, as a reader would.

A fence ``yaml title=rules/x.v1.yaml`` is a file (whole, whatever was there before). A fence ``console``
holds commands after ``$ `` (going on after a line that ends in ``\\``) and what they print, where a line
``…`` stands for any lines and ``…`` within a line for any text. A fence ``text`` is only shown.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cli.commands import call

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_SHELL = re.compile(r"[|&;<>$*?`]")
_ANY = "\u2026"


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
            yield File(titles[0], text)
        elif kind == "console":
            yield from _commands(text)
        else:
            yield Shown(kind, text)


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


def walk(page: str, folder: Path) -> None:
    """Do what the page says, in that folder, which is the current one."""
    code = 0
    for step in steps(page):
        if isinstance(step, File):
            path = folder / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        elif isinstance(step, Command):
            printed, code = (f"{code}\n", 0) if step.line == "echo $?" else run(step.line, folder)
            assert is_as(step.expected, printed), (
                f"$ {step.line}\n{printed}\n--- the page says:\n{step.expected}"
            )


def run(line: str, folder: Path) -> tuple[str, int]:
    """What a command prints, on both streams, and its exit code."""
    words = shlex.split(line, comments=True)
    if words[0] == "policyengine" and not _SHELL.search(line):
        result = call(*words[1:])
        return result.out + result.err, result.code
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder, env={**os.environ, "PATH": path}, check=False, timeout=240, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout, done.returncode


def is_as(expected: str, printed: str) -> bool:
    """Whether that was printed, but for spaces at the ends of lines and empty lines at the ends."""
    return re.fullmatch(_pattern(_trimmed(expected)), f"{_trimmed(printed)}\n") is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def _pattern(expected: str) -> str:
    return "".join(
        r"(?:.*\n)*?" if line.strip() == _ANY else ".*?".join(map(re.escape, line.split(_ANY))) + r"\n"
        for line in expected.split("\n")
    )
