"""A tree of entries and comments → the canonical text: indentation, brackets, quotes, empty lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from policyengine.authoring.format_scalars import WIDTH, block, inline
from policyengine.authoring.format_tree import Collection, Comment, Entry, Node, Scalar

_STEP = 2
_TABLES = frozenset(("rows", "examples"))  # texts of cells between `|`


def write(root: Collection, apart: frozenset[str]) -> str:
    """The text. The items of the lists below the file's keys ``apart`` are divided by an empty line."""
    root.flow = False
    _lay_out(root, 0)
    lines = _Lines(apart)
    lines.comments(root.head, 0)
    lines.gap = root.gap
    lines.collection(root, 0, "")
    return "\n".join(lines.lines) + "\n"


@dataclass(slots=True)
class _Lines:
    apart: frozenset[str]
    lines: list[str] = field(default_factory=list)
    gap: bool = False  # an empty line is due before the next one

    def add(self, line: str) -> None:
        if self.gap and self.lines:
            self.lines.append("")
        self.lines.append(line)
        self.gap = False

    def comments(self, comments: Sequence[Comment], indent: int) -> None:
        for comment in comments:
            self.gap = self.gap or (comment.blank and comment is not comments[0])
            self.add(" " * indent + comment.text)

    def collection(self, collection: Collection, indent: int, dash: str) -> None:
        """Its entries, one below the other; the first behind ``dash``, which stands in place of spaces."""
        divided = not collection.mapping and _key_of_file(collection.owner) in self.apart
        for number, entry in enumerate(collection.entries):
            above = [*_above(entry)] if number or not dash else []
            if number:
                blank = above[0].blank if above else entry.blank
                self.gap = blank or divided
            self.comments(above, indent)
            if above and entry.blank:
                self.gap = True
            self.entry(entry, indent, dash if not number else "")
        for comment in collection.foot:
            self.gap = comment.blank
            self.comments([comment], indent)

    def entry(self, entry: Entry, indent: int, dash: str) -> None:
        start = " " * (indent - len(dash)) + dash
        if entry.key is not None:
            start += f"{inline(entry.key)}:"
        behind = f"  {entry.behind[-1].text}" if entry.behind else ""
        if entry.key is None:
            start += "-"
        value = entry.value
        if isinstance(value, Scalar):
            self.scalar(entry, value, start, behind, indent)
        elif value.flow:
            self.add(f"{start} {_in_brackets(value)}{behind}")
        elif entry.key is None:
            self.collection(value, indent + _STEP, dash + "- ")
        else:
            self.add(f"{start}{behind}")
            self.collection(value, indent + _STEP, "")

    def scalar(self, entry: Entry, value: Scalar, start: str, behind: str, indent: int) -> None:
        table = entry.key is not None and entry.key.value in _TABLES
        written = block(value, indent + _STEP, table=table)
        if written is None:
            text = inline(value, "" if entry.key is not None else "null")
            self.add(f"{start} {text}".rstrip() + behind)
            return
        header, lines = written
        self.add(f"{start} {header}{behind}")
        self.lines += lines


def _key_of_file(entry: Entry | None) -> str:
    """The key of an entry that is not within another."""
    return (
        entry.key.value if entry is not None and entry.key is not None and entry.parent.owner is None else ""
    )


def _above(entry: Entry) -> Iterator[Comment]:
    """The comments that go above an entry: those of what begins on its line are among them."""
    yield from entry.leading
    value = entry.value
    opened = entry.key is None and isinstance(value, Collection) and not value.flow
    yield from entry.behind if opened else entry.behind[:-1]
    if isinstance(value, Collection):
        if not value.entries:
            yield from value.foot
        elif opened:
            yield from _above(value.entries[0])


def _lay_out(collection: Collection, indent: int) -> None:
    """Settle of each collection below whether it stays in brackets on one line."""
    for entry in collection.entries:
        value = entry.value
        if not isinstance(value, Collection):
            continue
        if not value.entries:
            value.flow = True
        elif value.flow:
            start = indent + 2 + (len(inline(entry.key)) if entry.key is not None else 0)
            fits = value.lines == 1 or start + len(_in_brackets(value)) <= WIDTH
            value.flow = fits and not value.inside
        if not value.flow:
            _lay_out(value, indent + _STEP)


def _in_brackets(node: Node) -> str:
    if isinstance(node, Scalar):
        return inline(node)
    members = [
        _in_brackets(entry.value)
        if entry.key is None
        else f"{inline(entry.key)}: {_in_brackets(entry.value)}"
        for entry in node.entries
    ]
    return f"{{{', '.join(members)}}}" if node.mapping else f"[{', '.join(members)}]"
