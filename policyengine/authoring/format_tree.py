"""One YAML text → a tree of entries with their places: what `fmt` rearranges.

The round trip of ruamel.yaml is not used: it hangs a comment on the key before it, so that it would stay
behind when keys change places, and drops those within brackets. To which entry a comment belongs is
authoring.format_comments', how the tree is written authoring.format_write's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from policyengine.authoring.yaml_events import (
    CollectionEnd,
    Event,
    MappingStart,
    OtherwiseError,
    SequenceStart,
    end_of,
    quick_events,
    start_of,
    strict_events,
)
from policyengine.authoring.yaml_events import Scalar as ScalarEvent

_AT_END = 1 << 62


@dataclass(slots=True)
class Comment:
    """From its `#` to the end of the line.

    ``own_line``: nothing but a dash stands before it there. ``blank``: an empty line is above it.
    ``within_item``: it stands between the dash of an item and the item.
    """

    index: int
    column: int
    text: str
    own_line: bool
    blank: bool
    within_item: bool


@dataclass(slots=True)
class Scalar:
    """A word, a number, a text: ``source`` is how it stands in the file, without its quotes' meaning."""

    start: int
    end: int
    value: str
    style: str  # "" plain, ' " | >
    source: str

    @property
    def is_block(self) -> bool:
        """Whether it is lines below a `|` or `>`."""
        return self.style in ("|", ">")


@dataclass(slots=True)
class Collection:
    """A mapping or a list. ``flow``: in brackets; ``inside``: comments stand between these."""

    start: int
    column: int
    flow: bool
    mapping: bool
    lines: int = 1
    end: int = _AT_END
    inside: bool = False
    owner: Entry | None = None
    entries: list[Entry] = field(default_factory=list)
    head: list[Comment] = field(default_factory=list)  # of a whole file, before its first key
    gap: bool = False  # an empty line between these and the first key
    foot: list[Comment] = field(default_factory=list)


Node = Scalar | Collection


@dataclass(slots=True)
class Entry:
    """A key with its value, or an item of a list, and its comments: above it, and behind it."""

    parent: Collection
    start: int
    key: Scalar | None
    value: Node
    blank: bool = False
    leading: list[Comment] = field(default_factory=list)
    behind: list[Comment] = field(default_factory=list)


@dataclass(slots=True)
class Reading:
    """A text as it is read: its root, and all entries and scalars in their order."""

    text: str
    root: Node | None = None
    entries: list[Entry] = field(default_factory=list)
    scalars: list[Scalar] = field(default_factory=list)
    stack: list[Collection] = field(default_factory=list)
    keys: list[Scalar | None] = field(default_factory=list)

    def feed(self, event: Event) -> None:
        """Take one event of the parser."""
        start, end = start_of(event), end_of(event)
        if isinstance(event, ScalarEvent):
            scalar = Scalar(start, end, event.value, event.style or "", self.text[start:end])
            self.scalars.append(scalar)
            self._take(scalar)
        elif isinstance(event, (MappingStart, SequenceStart)):
            column = start - (self.text.rfind("\n", 0, start) + 1)
            mapping = isinstance(event, MappingStart)
            collection = Collection(start, column, bool(event.flow_style), mapping)
            self._take(collection)
            self.stack.append(collection)
            self.keys.append(None)
        elif isinstance(event, CollectionEnd):
            self.keys.pop()
            done = self.stack.pop()
            done.end = end
            done.lines = 1 + self.text.count("\n", done.start, end)

    def _take(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent, key = self.stack[-1], self.keys[-1]
        if parent.mapping and key is None:
            # a list or mapping as a key is refused before, so that a key is a scalar
            self.keys[-1] = node if isinstance(node, Scalar) else None
            return
        self.keys[-1] = None
        entry = Entry(parent, node.start if key is None else key.start, key, node)
        entry.blank = after_blank_line(self.text, entry.start)
        if isinstance(node, Collection):
            node.owner = entry
        parent.entries.append(entry)
        self.entries.append(entry)


def read(text: str) -> Reading:
    """Read a text that ``read_yaml`` found sound."""
    try:
        return _read(text, quick_events(text))
    except OtherwiseError:
        return _read(text, strict_events(text))


def _read(text: str, events: Iterable[Event]) -> Reading:
    reading = Reading(text)
    for event in events:
        reading.feed(event)
    reading.entries.sort(key=lambda entry: entry.start)  # the outermost first, where two begin
    return reading


def after_blank_line(text: str, index: int) -> bool:
    """Whether an empty line stands above the line of a character."""
    line = text.rfind("\n", 0, index) + 1
    before = text.rfind("\n", 0, max(line - 1, 0)) + 1
    return line > 0 and not text[before : line - 1].strip(" \t")
