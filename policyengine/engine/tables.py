"""Decision tables: columns compiled, rows matched by hit policy unique, first or collect.

Cells are engine.table_cells'; the CEL of columns and results is engine.expressions'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from policyengine.domain.money import Money
from policyengine.domain.policy import InputColumn, OutputColumn, Table
from policyengine.domain.values import Value, ValueType
from policyengine.engine.expressions import Compiled, ExpressionError
from policyengine.engine.table_cells import CellError, RawCell, Test, money_of, read_result, read_test
from policyengine.errors import EvaluationError

Path = tuple[str | int, ...]


class Language(Protocol):
    """What a table asks of engine.expressions.Language."""

    @property
    def currency(self) -> str | None:
        """The policy's currency."""

    def compile(self, source: str, expect: ValueType | None) -> Compiled:
        """Check an expression."""


class ReportFault(Protocol):
    """Notes a fault at a path below ``table``, ``offset`` characters into that scalar."""

    def __call__(self, path: Path, code: str, message: str, hint: str, offset: int, /) -> None:
        """Note it."""


@dataclass(frozen=True, slots=True)
class _Row:
    number: int  # from 1, as a person counts
    tests: tuple[Test, ...]
    results: tuple[tuple[str, Value | Compiled], ...]


@dataclass(frozen=True, slots=True)
class CompiledTable:
    """A checked table. ``outputs``: its results' types by name, without ``row.``."""

    hit: Literal["unique", "first", "collect"]
    inputs: tuple[Compiled, ...]
    outputs: Mapping[str, ValueType]
    rows: tuple[_Row, ...]

    @property
    def reads(self) -> frozenset[str]:
        """The names that its columns and results read."""
        results = (result for row in self.rows for _, result in row.results if isinstance(result, Compiled))
        return frozenset(name for part in (*self.inputs, *results) for name in part.refs)

    def match(self, values: Mapping[str, Value]) -> list[Mapping[str, Value]]:
        """The results of the rows that fit, as ``{"row.amount": …}``; empty where none fits.

        EvaluationError PE221 where a row depends on an absent attribute, PE045 where two rows of a
        ``unique`` table fit, and what a result's CEL raises.
        """
        return [self._results(self.rows[number - 1], values) for number in self.fitting(values)]

    def fitting(self, values: Mapping[str, Value]) -> tuple[int, ...]:
        """Numbers, from 1, of the rows that fit."""
        seen = _Inputs(self.inputs, values)
        fitting: list[int] = []
        for row in self.rows:
            if seen.fit(row.tests):
                fitting.append(row.number)
                if self.hit == "first":
                    break
        if self.hit == "unique" and len(fitting) > 1:
            message = f"rows {' and '.join(map(str, fitting))} of the table fit, where only one may"
            raise EvaluationError(message, code="PE045")
        return tuple(fitting)

    def _results(self, row: _Row, values: Mapping[str, Value]) -> Mapping[str, Value]:
        return {
            name: result.value(values) if isinstance(result, Compiled) else result
            for name, result in row.results
        }


@dataclass(slots=True)
class _Inputs:
    """The columns' values, each computed once and only when a cell asks for it."""

    columns: Sequence[Compiled]
    values: Mapping[str, Value]
    computed: dict[int, Value] = field(default_factory=dict)
    unknown: dict[int, EvaluationError] = field(default_factory=dict)

    def fit(self, tests: Sequence[Test]) -> bool:
        """Whether all tests hold.

        invariant: a test that fails decides, whatever is absent beside it; a row that would only
        fit if an absent attribute had the right value is unknown, and so is the whole table.
        """
        unknown: list[int] = []
        for column, test in enumerate(tests):
            if test is None:
                continue
            self._compute(column)
            if column in self.unknown:
                unknown.append(column)
            elif not test.fits(self.computed[column]):
                return False
        if unknown:
            raise self._absent(unknown)
        return True

    def _compute(self, column: int) -> None:
        if column in self.computed or column in self.unknown:
            return
        try:
            self.computed[column] = self.columns[column].value(self.values)
        except EvaluationError as error:
            if error.code != "PE221":
                raise
            self.unknown[column] = error

    def _absent(self, unknown: Sequence[int]) -> EvaluationError:
        refs = {ref for column in unknown for ref in self.columns[column].refs}
        absent = sorted(ref for ref in refs if ref not in self.values)
        if not absent:
            return self.unknown[unknown[0]]
        return EvaluationError(f"the table asks for {', '.join(absent)}: absent", code="PE221")


def compile_table(table: Table, language: Language, report: ReportFault) -> CompiledTable:
    """Check a table; every fault goes to ``report``, and what is sound of the table comes back."""
    compiler = _Compiler(table, language, report)
    inputs = compiler.inputs()
    rows = tuple(compiler.row(index, cells) for index, cells in enumerate(table.rows))
    outputs = {
        column.set: ValueType(column.type) for column in table.columns if isinstance(column, OutputColumn)
    }
    return CompiledTable(table.hit, inputs, outputs, rows)


@dataclass(slots=True)
class _Compiler:
    table: Table
    language: Language
    report: ReportFault
    currencies: dict[int, str] = field(default_factory=dict)  # by column

    def inputs(self) -> tuple[Compiled, ...]:
        """Compile the columns' expressions."""
        inputs: list[Compiled] = []
        names: set[str] = set()
        for index, column in enumerate(self.table.columns):
            if isinstance(column, InputColumn):
                path: Path = ("columns", index, "when")
                compiled = self._expression(column.when, column.type, path)
                if compiled is not None:
                    inputs.append(compiled)
            elif column.set in names:
                path = ("columns", index, "set")
                self.report(path, "PE006", f"two columns set `{column.set}`", "rename one", 0)
            else:
                names.add(column.set)
        if not any(isinstance(column, InputColumn) for column in self.table.columns):
            hint = "write a column with `when`, or `parameters` instead of a table"
            self.report(("columns",), "PE040", "a table without a condition", hint, 0)
        return tuple(inputs)

    def row(self, index: int, cells: Sequence[RawCell]) -> _Row:
        """Read the cells of one row."""
        columns = self.table.columns
        if len(cells) != len(columns):
            text = f"row {index + 1} has {len(cells)} cells and the table {len(columns)} columns"
            self.report(("rows", index), "PE040", text, "write `-` for a condition that does not matter", 0)
            return _Row(index + 1, (), ())
        tests: list[Test] = []
        results: list[tuple[str, Value | Compiled]] = []
        for place, (cell, column) in enumerate(zip(cells, columns, strict=True)):
            path: Path = ("rows", index, place)
            try:
                if isinstance(column, InputColumn):
                    test = read_test(cell, column.type)
                    tests.append(test)
                    self._check_currencies(place, list(money_of(test)))
                else:
                    results.extend(self._result(cell, column, path, place))
            except CellError as error:
                self.report(path, error.code, error.message, error.hint, 0)
        return _Row(index + 1, tuple(tests), tuple(results))

    def _result(
        self, cell: RawCell, column: OutputColumn, path: Path, place: int
    ) -> list[tuple[str, Value | Compiled]]:
        name = f"row.{column.set}"
        if isinstance(cell, str) and cell.lstrip().startswith("="):
            source = cell.lstrip()[1:]
            compiled = self._expression(source, column.type, path, offset=len(cell) - len(source))
            return [] if compiled is None else [(name, compiled)]
        value = read_result(cell, column.type)
        self._check_currencies(place, [value] if isinstance(value, Money) else [])
        return [(name, value)]

    def _check_currencies(self, place: int, amounts: Sequence[Money]) -> None:
        for amount in amounts:
            wanted = self.language.currency or self.currencies.setdefault(place, amount.currency)
            if amount.currency != wanted:
                whose = "the policy" if self.language.currency else "the column"
                text = f"{amount} in {whose} of {wanted}"
                raise CellError("PE035", text, f"write all its amounts in {wanted}")

    def _expression(self, source: str, kind: str, path: Path, offset: int = 0) -> Compiled | None:
        try:
            return self.language.compile(source, ValueType(kind))
        except ExpressionError as error:
            for problem in error.problems:
                self.report(path, problem.code, problem.message, problem.hint, offset + problem.offset)
            return None
