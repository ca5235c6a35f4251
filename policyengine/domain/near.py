"""The nearest known name to a mistyped one, for hints. Nothing is ever corrected by itself."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz import fuzz, process

_ENOUGH = 65.0  # below that a suggestion misleads more often than it helps
_LONGEST = 100  # a longer word is no typing mistake, and would only cost time


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like ``word``, or None where none is like it; ties go by the alphabet.

    >>> nearest("membership.point", ["membership.points", "membership.tier"])
    'membership.points'
    """
    if len(word) > _LONGEST:
        return None
    found = process.extractOne(
        word, sorted(choices), scorer=fuzz.ratio, processor=str.lower, score_cutoff=_ENOUGH
    )
    return None if found is None else found[0]


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint such as ``did you mean `booking.made`?``, or the empty string."""
    choice = nearest(word, choices)
    return "" if choice is None else f"did you mean `{choice}`?"
