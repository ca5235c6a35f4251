"""To which entry of a tree each comment belongs: above it, behind it, at the foot or head of a list."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from policyengine.authoring.format_tree import (
    Collection,
    Comment,
    Entry,
    Reading,
    Scalar,
    after_blank_line,
    read,
)

_NOTHING_BEFORE = re.compile(r"[ \t-]*")  # but the dash of an item


def tree_of(text: str) -> Collection | None:
    """The tree of a text, with its comments; None where it holds neither keys nor items."""
    reading = read(text)
    root = reading.root
    if not isinstance(root, Collection) or not root.entries:
        return None
    starts = [entry.start for entry in reading.entries]
    for comment in comments_of(reading):
        at = bisect_right(starts, comment.index)
        before = reading.entries[at - 1] if at else None
        after = reading.entries[at] if at < len(starts) else None
        _attach(comment, before, after, root)
    first = root.entries[0]
    root.head, first.leading = first.leading, []  # they are the file's, whichever key comes first
    root.gap, first.blank = first.blank and bool(root.head), False
    return root


def comments_of(reading: Reading) -> Iterator[Comment]:
    """Every comment of a text, in order."""
    text = reading.text
    spans = sorted(map(_span, reading.scalars))
    number = 0
    index = text.find("#")
    while index >= 0:
        while number < len(spans) and spans[number][1] <= index:
            number += 1
        stop = index + 1
        if number < len(spans) and spans[number][0] <= index:
            stop = spans[number][1]
        elif index == 0 or text[index - 1] in " \t\n":
            line, stop = text.rfind("\n", 0, index) + 1, text.find("\n", index)
            stop = len(text) if stop < 0 else stop
            own = _NOTHING_BEFORE.fullmatch(text, line, index) is not None
            blank = own and after_blank_line(text, index)
            inner = own and _within_item(text, index)
            yield Comment(index, index - line, text[index:stop].rstrip(), own, blank, inner)
        index = text.find("#", stop)


def _within_item(text: str, index: int) -> bool:
    """Whether nothing but the dash of an item stands before a comment, and perhaps other comments."""
    while index > 0:
        line = text.rfind("\n", 0, index) + 1
        before = text[line:index].partition("#")[0].strip(" \t")
        if before:
            return not before.strip("- \t")
        index = line - 1
    return False


def _span(scalar: Scalar) -> tuple[int, int]:
    """What of the text a scalar takes; the line of a `|` may end in a comment."""
    if not scalar.is_block:
        return scalar.start, scalar.end
    header = scalar.source.find("\n")
    return (scalar.end, scalar.end) if header < 0 else (scalar.start + header, scalar.end)


def _attach(comment: Comment, before: Entry | None, after: Entry | None, root: Collection) -> None:
    brackets = _brackets_around(comment, before, root)
    if brackets is not None:
        brackets.inside = True
    if not comment.own_line and before is not None:
        # invariant: brackets stay on one line unless a comment stands in them
        while before.parent.flow and not before.parent.inside and before.parent.owner is not None:
            before = before.parent.owner
        before.behind.append(comment)
    elif before is not None and isinstance(before.value, Scalar) and before.value.start > comment.index:
        before.leading.append(comment)  # between a key and its word
    elif brackets is not None and (after is None or after.start >= brackets.end):
        brackets.foot.append(comment)
    elif not comment.within_item and (closed := _closed_around(comment, before, after)) is not None:
        closed.foot.append(comment)
    else:
        (root.foot if after is None else after.leading).append(comment)


def _around(entry: Entry | None) -> Iterator[Collection]:
    """The collection of an entry, and those around it, the innermost first."""
    while entry is not None:
        yield entry.parent
        entry = entry.parent.owner


def _brackets_around(comment: Comment, before: Entry | None, root: Collection) -> Collection | None:
    """The innermost brackets in which a comment stands; those around them are opened, too."""
    own = [before.value] if before is not None and isinstance(before.value, Collection) else []
    found = None
    for each in (*own, *_around(before), *([root] if before is None else [])):
        if each.flow and each.start < comment.index < each.end:
            each.inside = True
            found = found or each
    return found


def _closed_around(comment: Comment, before: Entry | None, after: Entry | None) -> Collection | None:
    """The list or mapping that ends with this comment, by its indentation; None: it is above what follows."""
    if before is None:
        return None
    still_open: Sequence[Collection] = list(_around(after))
    column = after.parent.column if after is not None else -1
    if comment.column <= column:
        return None
    found: Collection | None = None
    for each in _around(before):
        if any(each is one for one in still_open):
            break
        if each.flow and not each.inside:
            continue
        # a list may stand in the column of its key: a comment there is beside the key
        if each.column == found.column if found is not None else each.column <= comment.column:
            found = each
    return found
