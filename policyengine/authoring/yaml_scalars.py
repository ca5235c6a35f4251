"""Where each character of a YAML scalar's text stands in the file: plain, quoted and block styles.

Only positions: the text itself is the parser's. Used for error messages, so it is slow and plain.
"""

from __future__ import annotations

from collections.abc import Iterator

_ESCAPED_LENGTH = {"x": 4, "u": 6, "U": 10}
_ESCAPED = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028",
    "P": "\u2029",
}  # fmt: skip


def scalar_indices(raw: str, style: str, value: str) -> list[int]:
    """For each character of ``value`` its index in ``raw``, the scalar as it stands in the file.

    Empty where the two cannot be laid side by side (rare folds): the caller then points at the start.
    """
    pairs = list(_block(raw, folded=style == ">") if style in ("|", ">") else _flow(raw, style))
    found = "".join(char for char, _ in pairs)
    # invariant: a position is only given where this reading agrees with the parser's text
    # (line breaks at the end of a block text are left to chomping)
    kept = value.rstrip("\n") if style in ("|", ">") else value
    if not found.startswith(kept):
        return []
    return [index for _, index in pairs[: len(value)]]


def _flow(raw: str, style: str) -> Iterator[tuple[str, int]]:
    index, end = (1, len(raw) - 1) if style else (0, len(raw))
    while index < end:
        char = raw[index]
        if char in " \n\t":
            stop = index
            while stop < end and raw[stop] in " \n\t":
                stop += 1
            yield from _space(raw, index, stop)
            index = stop
        elif style == "'" and raw.startswith("''", index):
            yield "'", index
            index += 2
        elif style == '"' and char == "\\":
            text, length = _escape(raw, index)
            if text:
                yield text, index
            index += length
        else:
            yield char, index
            index += 1


def _space(raw: str, start: int, stop: int) -> Iterator[tuple[str, int]]:
    """Blanks within a line stay; one line break is a space; further ones are line breaks."""
    breaks = raw.count("\n", start, stop)
    if breaks == 0:
        for index in range(start, stop):
            yield raw[index], index
    elif breaks == 1:
        yield " ", start
    else:
        for _ in range(breaks - 1):
            yield "\n", start


def _escape(raw: str, index: int) -> tuple[str, int]:
    kind = raw[index + 1]
    if kind == "\n":
        stop = index + 2
        while stop < len(raw) and raw[stop] in " \t":
            stop += 1
        return "", stop - index
    if kind in _ESCAPED_LENGTH:
        length = _ESCAPED_LENGTH[kind]
        return chr(int(raw[index + 2 : index + length], 16)), length
    return _ESCAPED.get(kind, ""), 2


def _block(raw: str, *, folded: bool) -> Iterator[tuple[str, int]]:
    """The lines after the header, without their indentation."""
    start = raw.find("\n") + 1
    if start == 0:
        return
    lines: list[tuple[str, int]] = []
    for line in raw[start:].split("\n"):
        lines.append((line, start))
        start += len(line) + 1
    indent = next((len(text) - len(text.lstrip(" ")) for text, _ in lines if text.strip(" ")), 0)
    previous = ""
    for number, (line, begin) in enumerate(lines):
        text = line[indent:]
        if number and not (folded and _folds(lines, number, indent, previous)):
            yield "\n", begin - 1
        elif number and text:
            yield " ", begin - 1
        for offset, char in enumerate(text):
            yield char, begin + indent + offset
        previous = text or previous


def _folds(lines: list[tuple[str, int]], number: int, indent: int, previous: str) -> bool:
    """Whether the break before a line is folded: into a space, or away before an empty line."""
    text = lines[number][0][indent:]
    before = lines[number - 1][0][indent:]
    if previous[:1] in (" ", "\t") or text[:1] in (" ", "\t"):
        return False
    return bool(before)
