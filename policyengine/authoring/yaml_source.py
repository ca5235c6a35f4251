"""One YAML file → plain data and the place of every key and value. Nothing hostile gets through.

A small, strict reading of YAML 1.2: text, whole numbers, decimals (exact), true/false, null, dates
and times. No anchors, tags, directives or second documents. What the data means is authoring.load's.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from policyengine.authoring.yaml_events import (
    Alias,
    CollectionEnd,
    DocumentStart,
    Event,
    MappingStart,
    OtherwiseError,
    Scalar,
    SequenceStart,
    end_of,
    quick_events,
    start_of,
    strict_events,
)
from policyengine.authoring.yaml_scalars import scalar_indices
from policyengine.authoring.yaml_slips import Stop, encoding_hint, slip
from policyengine.domain.money import MAX_EXACT
from policyengine.domain.said import date_hint
from policyengine.errors import Finding

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 50
MAX_VALUES = 50_000
MAX_FAULTS = 100
MAX_DIGITS = 40

Key = str | date | int
Path = tuple[Key, ...]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII)
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_PLAIN_WORDS = (
    (
        "mapping values are not allowed",
        "a second `: ` stands in this place",
        "put text that contains `: ` in quotes, and check the indentation",
    ),
    ("unexpected end of stream", "a quote is opened here and never closed", "close it"),
    ("sequence entries", "a list item cannot start here", "begin `- ` on a line of its own"),
    ("could not find expected ':'", "a key without `:`", "write `key: value`"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing", "check the `[` or `{` before it"),
    ("expected '<document start>'", "something stands after the end", "check brackets and indentation"),
    ("expected a comment or a line break", "only a line break may follow here", "start a new line"),
    ("unknown escape character", "unknown escape in double quotes", "write `\\\\` for a backslash"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in the text: indices of its key (if any), its start and its end."""

    key: int | None
    start: int
    end: int
    style: str | None  # of a scalar: "" plain, ' " | >; None for a list or a mapping


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data and the places of its parts by path, such as ``("rules", 0, "when", 1)``."""

    file: str
    text: str
    data: Any
    places: Mapping[Path, Place]
    breaks: tuple[int, ...]

    def position(self, path: Path, offset: int | None = None) -> tuple[int, int]:
        """Line and column, from 1, of a value; with ``offset``, of a character of its text.

        A path that does not exist gives the nearest part that encloses it.
        """
        place = self._nearest(path)
        index = place.start
        if offset is not None and place.style is not None and path in self.places:
            index = _index_at(self.text, place, str(self.at(path)), offset)
        return self.line_column(index)

    def key_position(self, path: Path) -> tuple[int, int]:
        """Line and column of the key that a value stands under; of the value where it has none."""
        place = self._nearest(path)
        return self.line_column(place.start if place.key is None else place.key)

    def at(self, path: Path) -> Any:
        """The value at a path that exists."""
        value = self.data
        for key in path:
            value = value[key]
        return value

    def line_column(self, index: int) -> tuple[int, int]:
        """Line and column of a character of the file."""
        line = bisect_left(self.breaks, index)
        return line + 1, index - (self.breaks[line - 1] + 1 if line else 0) + 1

    def finding(self, path: Path, code: str, message: str, hint: str = "", *, key: bool = False) -> Finding:
        """A finding at a path, at its key or at its value."""
        line, column = self.key_position(path) if key else self.position(path)
        return Finding(self.file, line, column, code, message, hint)

    def _nearest(self, path: Path) -> Place:
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, Place(None, 0, 0, None))


def _index_at(text: str, place: Place, value: str, offset: int) -> int:
    indices = scalar_indices(text[place.start : place.end], place.style or "", value)
    if not indices:
        return place.start
    if offset < len(indices):
        return place.start + indices[max(offset, 0)]
    return place.start + indices[-1] + 1


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    container: Any
    path: Path
    key: Key | None = None
    key_index: int = 0
    repeated: int = 0


class _RefusedError(Exception):
    def __init__(self, index: int, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.index, self.code, self.message, self.hint = index, code, message, hint


@dataclass(slots=True)
class _Builder:
    """Builds data from YAML's events without recursion."""

    data: Any = None
    documents: int = 0
    places: dict[Path, Place] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    faults: list[_RefusedError] = field(default_factory=list)

    def feed(self, event: Event) -> None:
        index = start_of(event)
        if isinstance(event, Alias) or getattr(event, "anchor", None) is not None:
            raise _RefusedError(
                index, "PE005", "anchors (`&`) and aliases (`*`) are refused",
                "write the value out, or put text that starts so in quotes",
            )  # fmt: skip
        if isinstance(event, DocumentStart):
            self._document(event, index)
        elif isinstance(event, CollectionEnd):
            self.stack.pop()
        elif isinstance(event, Scalar | MappingStart | SequenceStart):
            if getattr(event, "ctag", None) is not None:
                raise _RefusedError(
                    index, "PE005", "`!` at the beginning means a tag, and tags are refused",
                    "put the whole condition in quotes",
                )  # fmt: skip
            self._node(event, index)

    def _document(self, event: DocumentStart, index: int) -> None:
        self.documents += 1
        if event.version is not None or event.tags:
            raise _RefusedError(index, "PE005", "directives (`%`) are refused", "remove the line")
        if self.documents > 1:
            raise _RefusedError(index, "PE005", "a second document", "one file holds one document")

    def _node(self, event: Scalar | MappingStart | SequenceStart, index: int) -> None:
        if len(self.places) >= MAX_VALUES:
            raise _RefusedError(index, "PE005", f"more than {MAX_VALUES} values", "split the file")
        if len(self.faults) >= MAX_FAULTS:
            raise _RefusedError(index, "PE005", f"more than {MAX_FAULTS} faults", "correct the first ones")
        top = self.stack[-1] if self.stack else None
        expects_key = top is not None and isinstance(top.container, dict) and top.key is None
        if top is not None and expects_key:
            self._take_key(top, event, index)
            return
        path = self._path(top)
        key_index = top.key_index if top is not None and isinstance(top.container, dict) else None
        if isinstance(event, Scalar):
            style = event.style or ""
            self.places[path] = Place(key_index, index, end_of(event), style)
            self._put(top, self._scalar(event.value, style, index))
            return
        if len(self.stack) >= MAX_DEPTH:
            raise _RefusedError(index, "PE005", f"nested deeper than {MAX_DEPTH} levels", "make it flatter")
        self.places[path] = Place(key_index, index, end_of(event), None)
        container: Any = {} if isinstance(event, MappingStart) else []
        self._put(top, container)
        self.stack.append(_Open(container, path))

    def _take_key(self, top: _Open, event: Scalar | MappingStart | SequenceStart, index: int) -> None:
        if not isinstance(event, Scalar):
            raise _RefusedError(
                index, "PE005", "a list or mapping cannot be a key", "write a word before `:`"
            )
        key = _key(event.value, event.style or "")
        top.key_index = index
        if key in top.container:
            self.faults.append(
                _RefusedError(index, "PE006", f"`{key}` is written twice", "keep one of the two")
            )
            top.repeated += 1
            # invariant: the first value stays; what follows the repeated key lands nowhere
            top.key = f"\0{top.repeated}"
        else:
            top.key = key

    def _path(self, top: _Open | None) -> Path:
        if top is None:
            return ()
        if isinstance(top.container, dict):
            return (*top.path, top.key if top.key is not None else "")
        return (*top.path, len(top.container))

    def _put(self, top: _Open | None, value: Any) -> None:
        if top is None:
            self.data = value
        elif isinstance(top.container, list):
            top.container.append(value)
        else:
            if not (isinstance(top.key, str) and top.key.startswith("\0")):
                top.container[top.key] = value
            top.key = None

    def _scalar(self, text: str, style: str, index: int) -> Any:
        if style:
            return text
        try:
            return _resolve(text)
        except ValueError as error:
            self.faults.append(_RefusedError(index, "PE003", *map(str, error.args)))
            return text


def _key(text: str, style: str) -> str | date:
    if not style and _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text
    return text


def _resolve(text: str) -> Any:
    """Type a plain scalar; ValueError(message, hint) where it looks like a value and is none."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS or abs(int(text)) > MAX_EXACT:
            raise ValueError("the number is beyond the exact range of 2^53 - 1", "quote it if it is text")
        return int(text)
    if _DECIMAL.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"the number has more than {MAX_DIGITS} digits", "quote it if it is text")
        return Decimal(text)
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        hint = date_hint(text) if _DAY.fullmatch(text) else "write a time such as 2020-03-15T08:00:00Z"
        raise ValueError(f"`{text}` is no date of the calendar", hint) from error
    return text


def plain_value(text: str) -> Any:
    """What a word means when it stands alone: 12 is a number, 2020-03-15 a date; else text."""
    try:
        return _resolve(text)
    except ValueError:
        return text


def read_yaml(raw: bytes, file: str) -> tuple[Document | None, list[Finding]]:
    """Read one file's bytes. The document is None where nothing of it can be used.

    Findings: PE001 not YAML, PE003 an impossible value, PE005 hostile or too large, PE006 a key
    written twice. Never raises.
    """
    try:
        text = _decode(raw)
    except _RefusedError as fault:
        return None, [Finding(file, fault.index, min(fault.index, 1), fault.code, fault.message, fault.hint)]
    breaks = tuple(match.start() for match in re.finditer("\n", text))
    builder, fatal = _parse(text)
    document = Document(file, text, builder.data, builder.places, breaks)
    faults = [*builder.faults, fatal] if fatal is not None else builder.faults
    findings = [
        Finding(file, *document.line_column(fault.index), fault.code, fault.message, fault.hint)
        for fault in faults
    ]
    if fatal is not None:
        return None, findings
    if builder.documents == 0:
        return None, [Finding(file, 0, 0, "PE001", "the file is empty", "write a policy, or remove the file")]
    return document, findings


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise _RefusedError(0, "PE005", f"larger than {MAX_BYTES // 1024} KiB", "split it")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _RefusedError(line, "PE005", *encoding_hint(raw)) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    control = _CONTROL.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        name = f"U+{ord(control[0]):04X}"
        raise _RefusedError(line, "PE005", f"control character {name}", "remove it")
    return text


def _parse(text: str) -> tuple[_Builder, _RefusedError | None]:
    builder = _Builder()
    try:
        return builder, _build(quick_events(text), builder)
    except OtherwiseError:
        builder = _Builder()
    try:
        return builder, _build(strict_events(text), builder)
    except MarkedYAMLError as error:
        return builder, _explain(error, text)
    except ReaderError as error:
        return builder, _RefusedError(
            error.position, "PE005", "a character that text cannot hold", "remove it"
        )
    except (YAMLError, ValueError, IndexError, AssertionError, TypeError, AttributeError) as error:
        # ruamel's scanner has corners that end in bare errors; they are faults of the file all the same
        fatal = _RefusedError(0, "PE001", f"not YAML: {error}", "check quotes, brackets and indentation")
        return builder, fatal


def _build(events: Iterable[Event], builder: _Builder) -> _RefusedError | None:
    try:
        for event in events:
            builder.feed(event)
    except _RefusedError as refused:
        return refused
    return None


def _explain(error: MarkedYAMLError, text: str) -> _RefusedError:
    end = len(text.rstrip())
    problem = str(error.problem or error.context or "not YAML")
    mark = error.problem_mark or error.context_mark
    if mark is not None and mark.index >= end and error.context_mark is not None:
        mark = error.context_mark  # what was opened and never closed, not the end of the file
    index = min(mark.index, end) if mark is not None else 0
    began = None if error.context_mark is None else error.context_mark.index
    meant = slip(Stop(text, index, problem, began))
    if meant is not None:
        return _RefusedError(meant.index, "PE001", meant.message, meant.hint)
    for needle, message, hint in _PLAIN_WORDS:
        if needle in problem:
            return _RefusedError(index, "PE001", message, hint)
    return _RefusedError(index, "PE001", f"not YAML: {problem}", "check quotes, brackets and indentation")
