# ruff: noqa: RUF001 - odd characters are what this is about
"""What people type in YAML files who do not know YAML, and what to write instead: places and words.

Looked at where a file cannot be read, and for characters that nobody sees; nothing is ever mended here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policyengine.engine.slips import INVISIBLE, invisible

_MERGE = re.compile(r"^(?:<{7}|>{7}|={7})(?: .*)?$", re.MULTILINE)
_UNSEEN = re.compile(f"[{INVISIBLE}]")
_ODD_QUOTE = re.compile(r"(?:[:,\[{-]\s+|[\[{])([“”„״«‘’])")
_NO_SPACE = re.compile(r"^\s*(?:- )?([A-Za-z_]+):([^\s/:].*)$")
_OPENED = re.compile(r"""(?:[:,\[{-]\s+|[\[{])(["'])""")
_COMMENTS = ("//", "/*", "<!--", "--", "%", "rem ")
_LOOK_BACK = 3  # lines above the one at which reading stopped
# what people read, where any character may be meant
_FOR_PEOPLE = frozenset(
    ("title", "say", "description", "note", "reason", "cites", "owner", "gift", "prompt", "services", "to")
)
_SPACES = "type a space instead"


@dataclass(frozen=True, slots=True)
class Slip:
    """What is wrong, what to write, and where (characters from 0)."""

    index: int
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Where reading stopped, over what, and where what was being read began."""

    text: str
    index: int
    problem: str
    began: int | None

    def lines(self) -> Iterator[tuple[int, str]]:
        """The line at which it stopped and those above it, each with its start."""
        start = self.text.rfind("\n", 0, self.index) + 1
        for _ in range(_LOOK_BACK + 1):
            end = self.text.find("\n", start)
            yield start, self.text[start : end if end >= 0 else len(self.text)]
            if start == 0:
                return
            start = self.text.rfind("\n", 0, start - 1) + 1


def slip(stop: Stop) -> Slip | None:
    """What was most likely typed wrongly; None where nobody can tell."""
    return next((found for look in _LOOKS if (found := look(stop)) is not None), None)


def _merge(stop: Stop) -> Slip | None:
    found = _MERGE.search(stop.text)
    if found is None:
        return None
    hint = "keep one of the two, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>"
    return Slip(found.start(), "two versions of the file were merged and nobody chose", hint)


def _unseen(stop: Stop) -> Slip | None:
    for start, line in stop.lines():
        found = _UNSEEN.search(line)
        if found is not None:
            return Slip(start + found.start(), invisible(found[0]), f"delete it and {_SPACES}")
    return None


def _tab(stop: Stop) -> Slip | None:
    if "'\\t'" not in stop.problem and stop.text[stop.index : stop.index + 1] != "\t":
        return None
    line = stop.text.rfind("\n", 0, stop.index) + 1
    end = stop.text.find("\n", line)
    at = stop.text.find("\t", line, end if end >= 0 else len(stop.text))
    if at < 0:
        return None
    if stop.text[line:at].strip():
        return Slip(at, "a tab stands here, where only spaces may", _SPACES)
    return Slip(at, "the line is indented with a tab", "indent with spaces, two for each step")


def _comment(stop: Stop) -> Slip | None:
    for start, line in list(stop.lines())[:2]:
        mark = next((mark for mark in _COMMENTS if line.strip().lower().startswith(mark)), None)
        if mark is not None and not line.strip().startswith("---"):
            at = start + len(line) - len(line.lstrip())
            return Slip(at, f"`{mark}` begins no comment", "write # before a comment")
    return None


def _quote(stop: Stop) -> Slip | None:
    for start, line in list(stop.lines())[:2]:
        found = _ODD_QUOTE.search(line)
        if found is not None:
            hint = 'write plain quotation marks: "…"'
            return Slip(start + found.start(1), f"`{found[1]}` is no quotation mark here", hint)
    return None


def _unclosed(stop: Stop) -> Slip | None:
    """A quote that is opened on a line and not closed there: it swallows what follows."""
    for start, line in stop.lines():
        for found in _OPENED.finditer(line):
            mark, rest = found[1], line[found.end() :]
            inner = re.sub(r"\\.", "", rest) if mark == '"' else rest.replace("''", "")
            if mark not in inner:
                hint = f"close it with {mark} at the end of the text"
                return Slip(
                    start + found.start(1),
                    "a quotation mark is opened here and not closed on this line",
                    hint,
                )
    return None


def _space_after_colon(stop: Stop) -> Slip | None:
    if "could not find expected ':'" not in stop.problem and "mapping values" not in stop.problem:
        return None
    for start, line in stop.lines():
        found = _NO_SPACE.match(line)
        if found is not None:
            hint = f"write `{found[1]}: {found[2][:40]}`"
            return Slip(start + found.start(2), "a space is missing after the colon", hint)
    return None


def _bracket(stop: Stop) -> Slip | None:
    """Within `{ }` or `[ ]`: a colon in a text, or a bracket that is never closed."""
    if "expected ',' or" not in stop.problem or stop.began is None:
        return None
    opened = stop.text[stop.began : stop.began + 1]
    closing = {"{": "}", "[": "]"}.get(opened)
    if closing is None:
        return None
    on_one_line = "\n" not in stop.text[stop.began : stop.index]
    if on_one_line and stop.text[stop.index : stop.index + 1] == ":":
        return Slip(
            stop.index,
            f"a second colon stands within `{opened} {closing}`",
            'put text with a colon in quotes: "…: …"',
        )
    return Slip(
        stop.began,
        f"the `{opened}` is not closed",
        f"write `{closing}` at its end, and a comma between its parts",
    )


def _indentation(stop: Stop) -> Slip | None:
    """A line that begins between the columns of the blocks above it."""
    if "expected <block end>" not in stop.problem:
        return None
    text = "this line does not fit the indentation of those above"
    hint = "lines of one block start in the same column"
    start = stop.text.rfind("\n", 0, stop.index) + 1
    above = next((line for at, line in stop.lines() if at < start and line.strip()), "")
    content = re.match(r"\s*(?:- +)*", above)
    if content is not None and above and not stop.text[start : stop.index].strip():
        hint += f": the line above in column {content.end() + 1}, this one in column {stop.index - start + 1}"
    return Slip(stop.index, text, hint)


def _first_character(stop: Stop) -> Slip | None:
    if "cannot start any token" not in stop.problem:
        return None
    char = stop.text[stop.index : stop.index + 1]
    end = stop.text.find("\n", stop.index)
    rest = stop.text[stop.index : end if end >= 0 else len(stop.text)].strip()
    shown = rest if len(rest) <= 40 and '"' not in rest else f"{char}…"  # noqa: PLR2004
    return Slip(stop.index, f"text cannot begin with `{char}`", f'put it in quotes: "{shown}"')


_LOOKS: tuple[Callable[[Stop], Slip | None], ...] = (
    _merge, _tab, _unseen, _comment, _quote, _unclosed, _space_after_colon, _bracket, _indentation,
    _first_character,
)  # fmt: skip


def unseen(text: str, places: Mapping[Any, tuple[int, int]]) -> Iterator[Slip]:
    """Characters that nobody sees, where a program reads them: keys, names, conditions, numbers.

    ``places``: of the values, by path, where each begins and ends.
    """
    spans = [span for path, span in places.items() if _FOR_PEOPLE.intersection(path)]
    for found in _UNSEEN.finditer(text):
        at = found.start()
        line = text.rfind("\n", 0, at) + 1
        if re.search(r"(?:^|\s)#", text[line:at]) or any(start <= at < end for start, end in spans):
            continue
        char = found[0]
        what = f"delete it and {_SPACES}" if char in "\xa0\u2007\u202f" else "delete it"
        yield Slip(at, invisible(char), what)


def encoding_hint(raw: bytes) -> tuple[str, str]:
    """What is said of a file that is not UTF-8."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "the file is saved as UTF-16 (Notepad calls it Unicode)", "save it as UTF-8"
    return "the file is not saved as UTF-8", "save it again with the encoding UTF-8"
