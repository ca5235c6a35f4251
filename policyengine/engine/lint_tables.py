"""Decision tables: rows in one place, values left out, rows never reached, each with a place as a proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from policyengine.domain.money import Money
from policyengine.domain.policy import Table
from policyengine.domain.values import Value, ValueType
from policyengine.engine.conjuncts import index_value
from policyengine.engine.domains import ANY, OTHER_TEXT, Domain, Point, interval, one_of, without
from policyengine.engine.expressions import Compiled
from policyengine.engine.faults import Fault
from policyengine.engine.lint_scope import Seen
from policyengine.engine.satisfy import ABSENT, Box, meet, strictly_read
from policyengine.engine.table_cells import OneOf, Test
from policyengine.engine.table_space import Place, Space, gap, hidden, overlaps
from policyengine.engine.tables import CompiledTable
from policyengine.engine.tree import Attribute

_EPOCH = date(1970, 1, 1).toordinal()
_MOST_PAIRS = 3  # overlaps of one row that are told
_UNITS = {"km": "km", "minutes": "minutes", "days": "days", "nights": "nights", "percent": "%", "hours": "h"}


def table_remarks(seen: Sequence[Seen]) -> Iterator[Fault]:
    """PE082, PE083 and PE084."""
    for rule in seen:
        if rule.compiled.table is not None and rule.rule.table is not None and rule.boxes:
            yield from _Look(rule, rule.compiled.table, rule.rule.table).remarks()


@dataclass(slots=True)
class _Look:
    """One rule's table under the rule's conditions."""

    rule: Seen
    table: CompiledTable
    source: Table

    def remarks(self) -> Iterator[Fault]:
        rows = [self._space(row.tests) for row in self.table.rows]
        spaces = self._spaces()
        if self.table.hit == "unique":
            yield from self._overlaps(rows, spaces)
        yield from self._hidden(rows, spaces)
        for space in spaces if self.source.otherwise is None else ():
            place = gap(rows, self._sensible(space), self._axes())
            if place is not None:
                yield self._gap(place)
                return

    # --- axes -----------------------------------------------------------------------------------

    def _axes(self) -> list[str]:
        return list(dict.fromkeys(self._axis(column) for column in self.table.inputs))

    def _axis(self, column: Compiled) -> str:
        """Columns on the same thing are one axis."""
        return self.rule.known.term(column.tree)

    def _space(self, tests: Sequence[Test]) -> dict[str, Domain]:
        space: dict[str, Domain] = {}
        for column, test in zip(self.table.inputs, tests, strict=True):
            if test is not None:
                axis = self._axis(column)
                space[axis] = space.get(axis, ANY).meet(_domain(test))
        return space

    def _spaces(self) -> list[dict[str, Domain]]:
        """What the rule's conditions leave of each axis, once for each way in which they can hold."""
        found: list[dict[str, Domain]] = []
        for box in self.rule.boxes:
            there = meet(
                box, {name: ANY for column in self.table.inputs for name in strictly_read(column.tree)}
            )
            space = self._restricted(box if there is None else there)
            if space not in found:
                found.append(space)
        return found

    def _restricted(self, box: Box) -> dict[str, Domain]:
        space = {}
        for column in self.table.inputs:
            axis = self._axis(column)
            known = box.get(axis, ANY)
            domain = ANY if known is ABSENT else known
            if column.type is ValueType.FLAG:
                domain = domain.meet(one_of([True, False]))
            choices = self.rule.known.choices.get(axis)
            space[axis] = domain.meet(one_of(choices)) if choices else domain
        return space

    def _sensible(self, space: Space) -> Space:
        """Without numbers below zero, unless a cell names one: nobody is minus three nights away."""
        mended = dict(space)
        for column in self.table.inputs:
            if column.type in (ValueType.INTEGER, ValueType.MONEY) and not self._names_negative(column):
                axis = self._axis(column)
                mended[axis] = mended[axis].meet(interval(0, None))
        return mended

    def _names_negative(self, column: Compiled) -> bool:
        axis = self._axis(column)
        tests = [self._space(row.tests).get(axis, ANY) for row in self.table.rows]
        values = [value for test in tests for value in (test.low, test.high, *(test.among or ()))]
        return any(isinstance(value, int) and value < 0 for value in values)

    # --- remarks --------------------------------------------------------------------------------

    def _overlaps(self, rows: Sequence[Space], spaces: Sequence[Space]) -> Iterator[Fault]:
        told: dict[tuple[int, int], Place] = {}
        for space in spaces:
            for first, second, place in overlaps(rows, space):
                told.setdefault((first, second), place)
        by_row: dict[int, list[tuple[int, Place]]] = {}
        for (first, second), place in sorted(told.items()):
            by_row.setdefault(second, []).append((first, place))
        for second, pairs in by_row.items():
            for first, place in pairs[:_MOST_PAIRS]:
                text = f"{self._words(place)} falls in rows {first} and {second}, and only one may fit"
                hint = "change a bound, or write `hit: first` if the upper row goes first"
                yield self._fault(("rows", second - 1), "PE082", text, hint)

    def _hidden(self, rows: Sequence[Space], spaces: Sequence[Space]) -> Iterator[Fault]:
        hit = self.table.hit
        considered = rows if hit == "first" else []
        reached: dict[int, tuple[int, ...]] = {}
        for count, space in enumerate(spaces):
            axes = self._axes()
            found = dict(hidden(considered, space, axes)) if considered else _outside(rows, space, axes)
            reached = found if count == 0 else {row: by for row, by in reached.items() if row in found}
        for row, by in sorted(reached.items()):
            if by:
                rest = f"row {by[0]} takes" if len(by) == 1 else f"rows {_listed(by)} take"
                text = f"row {row} is never reached: {rest} everything that would fit it"
                hint = "put the narrower row first, or remove one"
            else:
                text = f"row {row} is never reached: the rule's conditions let nothing through that fits it"
                hint = "mend the row or the conditions, or remove the row"
            yield self._fault(("rows", row - 1), "PE084", text, hint)

    def _gap(self, place: Place) -> Fault:
        if not place:
            text = "no row takes anything"
        else:
            text = f"no row takes {self._words(place)}: the rule does not apply there"
        hint = "add a row for it, or write `otherwise: nothing` in the table if that is meant"
        return self._fault((), "PE083", text, hint)

    def _fault(self, path: tuple[str | int, ...], code: str, text: str, hint: str) -> Fault:
        return Fault(self.rule.at, (*self.rule.path, "table", *(path or ("rows",))), 0, code, text, hint)

    # --- words ----------------------------------------------------------------------------------

    def _words(self, place: Place) -> str:
        """A place as people say it: what is the case, column by column."""
        parts = []
        for column in dict.fromkeys(self.table.inputs):
            axis = self._axis(column)
            if axis in place:
                words = f"`{_short(column)}` {self._value(column, axis, place[axis])}"
                if words not in parts:
                    parts.append(words)
        return " with ".join([parts[0], " and ".join(parts[1:])]) if len(parts) > 1 else "".join(parts)

    def _value(self, column: Compiled, axis: str, value: Point) -> str:
        kind = column.type
        if kind is ValueType.FLAG:
            return str(bool(value)).lower()
        if kind is ValueType.DATE:
            return date.fromordinal(int(value) + _EPOCH).isoformat()
        if kind is ValueType.MONEY:
            return self._money(axis, int(value))
        if kind is ValueType.INTEGER:
            return _counted(column, int(value))
        return f'"{value}"' if str(value).rstrip("…") != OTHER_TEXT else f"other than {self._named(axis)}"

    def _money(self, axis: str, minor: int) -> str:
        mentioned = [
            money
            for row in self.table.rows
            for column, test in zip(self.table.inputs, row.tests, strict=True)
            if self._axis(column) == axis and test is not None
            for money in _amounts(test)
        ]
        currency = self.rule.policy.currency or next((one.currency for one in mentioned), "")
        if not currency:
            return f"{minor}"
        return f"{Money(minor, currency).decimal:,} {currency}"

    def _named(self, axis: str) -> str:
        rows = [self._space(row.tests).get(axis, ANY) for row in self.table.rows]
        named = sorted({str(value) for domain in rows for value in (domain.among or domain.excluded)})
        return ", ".join(f'"{name}"' for name in named)


def _outside(rows: Sequence[Space], space: Space, axes: Sequence[str]) -> dict[int, tuple[int, ...]]:
    """Rows that nothing of the space falls in."""
    return {number: by for number, by in _alone(rows, space, axes) if not by}


def _alone(rows: Sequence[Space], space: Space, axes: Sequence[str]) -> Iterator[tuple[int, tuple[int, ...]]]:
    for number, row in enumerate(rows):
        if hidden([row], space, axes):
            yield number + 1, ()


def _short(column: Compiled) -> str:
    return " ".join(column.text.split())


def _counted(column: Compiled, number: int) -> str:
    last = _short(column).rpartition("_")[2] if isinstance(column.tree, Attribute) else ""
    unit = _UNITS.get(last, "")
    return f"{number:,} {unit}".rstrip()


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def _amounts(test: Test) -> list[Money]:
    values: Sequence[Value | None] = ()
    if isinstance(test, OneOf):
        values = test.values
    elif test is not None:
        values = (test.low, test.high)
    return [value for value in values if isinstance(value, Money)]


def _domain(test: Test) -> Domain:
    """What a cell lets through, as whole numbers or texts."""
    if test is None:
        return ANY
    if isinstance(test, OneOf):
        values = [_point(value) for value in test.values]
        return without(values) if test.negated else one_of(values)
    low = None if test.low is None else int(_point(test.low)) + (not test.low_closed)
    high = None if test.high is None else int(_point(test.high)) - (not test.high_closed)
    return interval(low, high)


def _point(value: Value) -> Point:
    found = value.minor if isinstance(value, Money) else index_value(value)
    return found if found is not None else str(value)
