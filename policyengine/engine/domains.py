"""Sets of values: bounds on whole numbers, and texts that are or are not among some. Pure.

Money is in minor units, days and instants are counted, so every ordered value steps by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

Point = str | int | bool
OTHER_TEXT = "anything else"


@dataclass(frozen=True, slots=True)
class Domain:
    """Values from ``low`` to ``high``, both kept in, that are in ``among`` and not in ``excluded``.

    None bounds nothing. True and 1 never meet: a term has one type.
    """

    low: int | None = None
    high: int | None = None
    among: frozenset[Point] | None = None
    excluded: frozenset[Point] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether no value is left."""
        return next(iter(self.values(1)), None) is None

    def meet(self, other: Domain) -> Domain:
        """The values in both."""
        among = self.among
        if among is None or other.among is None:
            among = among if other.among is None else other.among
        else:
            among = among & other.among
        return Domain(
            _of(max, self.low, other.low), _of(min, self.high, other.high), among,
            self.excluded | other.excluded,
        )  # fmt: skip

    def holds(self, value: Point) -> bool:
        """Whether it is one of them."""
        if self.among is not None and value not in self.among:
            return False
        if value in self.excluded:
            return False
        if self.low is None and self.high is None:
            return True
        number = int(value) if isinstance(value, int) else 0
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)

    def values(self, most: int) -> Iterator[Point]:
        """Up to ``most`` of them; of texts that nothing limits, one that is none of the excluded."""
        if self.among is not None:
            found: Iterable[Point] = (value for value in sorted(self.among, key=_rank) if self.holds(value))
        elif self.low is None and self.high is None and any(isinstance(one, str) for one in self.excluded):
            found = (_another(self.excluded),)
        else:
            found = self._numbers()
        for count, value in enumerate(found):
            if count >= most:
                return
            yield value

    def _numbers(self) -> Iterator[int]:
        low = self.low if self.low is not None else min(0, self.high) if self.high is not None else 0
        step = 1
        if self.low is None and self.high is not None:
            low, step = self.high, -1
        number = low
        for _ in range(len(self.excluded) + 1_000):
            if (self.high is not None and number > self.high) or (self.low is not None and number < self.low):
                return
            if number not in self.excluded:
                yield number
            number += step


def _another(excluded: frozenset[Point]) -> str:
    """A text that stands for every text that nobody names."""
    text = OTHER_TEXT
    while text in excluded:
        text += "…"
    return text


def _of(choose: Callable[[int, int], int], one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return choose(one, other)


def _rank(value: Point) -> tuple[bool, str | int]:
    return (isinstance(value, str), value)


def interval(low: int | None, high: int | None) -> Domain:
    """Whole numbers between two bounds that belong to it."""
    return Domain(low, high)


def one_of(values: Iterable[Point]) -> Domain:
    """Exactly these."""
    return Domain(among=frozenset(values))


def without(values: Iterable[Point]) -> Domain:
    """Anything but these."""
    return Domain(excluded=frozenset(values))


ANY = Domain()
