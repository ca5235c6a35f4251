"""The space of a decision table: two rows in one place, places that no row takes, rows never reached.

Pure. Rows are boxes over the columns' axes; every answer comes with a place, a value of each axis that
matters, as a proof. What to say of it is engine.lint_tables'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from policyengine.engine.domains import ANY, Domain, Point

MOST_STEPS = 20_000  # beyond that nothing is claimed

Space = Mapping[str, Domain]  # by axis; an axis that is not in it is not restricted
Place = Mapping[str, Point]


class Overlap(NamedTuple):
    """Two rows, counted from 1, that one place falls in."""

    first: int
    second: int
    place: Place


@dataclass(slots=True)
class _Search:
    """Looks for a place outside of all rows, axis by axis, and gives up after so many steps."""

    axes: Sequence[str]
    space: Space
    steps: int = 0
    known: dict[tuple[int, frozenset[int]], bool] = field(default_factory=dict)

    def outside(self, rows: Sequence[Space]) -> Place | None:
        """A place that no row takes; None where there is none, or where it is not known."""
        found: dict[str, Point] = {}
        return found if self._from(0, frozenset(range(len(rows))), rows, found) else None

    def _from(self, at: int, left: frozenset[int], rows: Sequence[Space], found: dict[str, Point]) -> bool:
        """Whether some place of the axes from ``at`` on is in none of the rows that are left."""
        if not left:
            return True
        if at == len(self.axes) or self.known.get((at, left)):
            return False
        self.steps += 1
        if self.steps > MOST_STEPS:
            return False
        axis = self.axes[at]
        tests = {row: rows[row][axis] for row in left if axis in rows[row]}
        base = self.space.get(axis, ANY)
        if not tests:
            return self._from(at + 1, left, rows, found)
        for value in samples(base, list(tests.values())):
            rest = frozenset(row for row in left if row not in tests or tests[row].holds(value))
            found[axis] = value
            if self._from(at + 1, rest, rows, found):
                return True
            del found[axis]
        self.known[at, left] = True
        return False


def samples(base: Domain, tests: Sequence[Domain]) -> list[Point]:
    """One value of each part into which the tests cut the base: whole enough that no part is missed.

    invariant: two values between which no bound and no listed value lies are told apart by no test.
    """
    listed = {value for test in (base, *tests) for value in (test.among or ()) if base.holds(value)}
    listed |= {value for test in tests for value in test.excluded if base.holds(value)}
    if base.among is not None:
        return sorted((value for value in base.among if base.holds(value)), key=_order)
    if any(isinstance(value, str) for value in listed | base.excluded):
        other = Domain(excluded=frozenset(listed) | base.excluded)
        return [*sorted(listed, key=_order), *other.values(1)]
    cuts: set[int] = set()
    for test in (base, *tests):
        cuts |= {test.low - 1, test.low} if test.low is not None else set()
        cuts |= {test.high, test.high + 1} if test.high is not None else set()
    for value in [*listed, *base.excluded]:
        cuts |= {int(value) - 1, int(value), int(value) + 1}
    points = sorted({cut for cut in cuts if base.holds(cut)})
    return [*points] or list(base.values(1))


def _order(value: Point) -> tuple[bool, str | int]:
    return (isinstance(value, str), value)


def overlaps(rows: Sequence[Space], space: Space) -> list[Overlap]:
    """Each pair of rows that one place falls in, with the place."""
    found = []
    for first, one in enumerate(rows):
        for second in range(first + 1, len(rows)):
            place = _common(one, rows[second], space)
            if place is not None:
                found.append(Overlap(first + 1, second + 1, place))
    return found


def _common(one: Space, other: Space, space: Space) -> Place | None:
    place: dict[str, Point] = {}
    for axis in dict.fromkeys((*one, *other)):
        both = one.get(axis, ANY).meet(other.get(axis, ANY)).meet(space.get(axis, ANY))
        value = next(iter(both.values(1)), None)
        if value is None:
            return None
        place[axis] = value
    return place


def gap(rows: Sequence[Space], space: Space, axes: Sequence[str]) -> Place | None:
    """A place of the space that no row takes; None where there is none, or where it is not known."""
    return _Search(axes, space).outside(rows)


def hidden(rows: Sequence[Space], space: Space, axes: Sequence[str]) -> list[tuple[int, tuple[int, ...]]]:
    """Rows, counted from 1, that the rows before them leave nothing to, and which of those meet them.

    A row that no place of the space falls in is one, hidden by none.
    """
    found: list[tuple[int, tuple[int, ...]]] = []
    for number, row in enumerate(rows):
        own = {axis: row.get(axis, ANY).meet(space.get(axis, ANY)) for axis in axes}
        if any(domain.is_empty for domain in own.values()):
            found.append((number + 1, ()))
            continue
        search = _Search(axes, own)
        if search.outside(rows[:number]) is None and search.steps <= MOST_STEPS:
            by = [before + 1 for before in range(number) if _common(rows[before], row, space) is not None]
            found.append((number + 1, tuple(by)))
    return found
