"""Small mistakes in a rule: a condition, a row or the rule itself missing, an expression a little wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policyengine.authoring.mutant import GONE, Maker, Mutant, MutantKind, one_line
from policyengine.authoring.mutants_cel import cel_edits
from policyengine.authoring.mutants_cells import cell_edits
from policyengine.authoring.mutants_version import cap_mutants, shifts
from policyengine.authoring.yaml_source import Path as DataPath
from policyengine.domain.policy import InputColumn, Rule, Table
from policyengine.domain.remedies import RemedySpec, expression_fields


@dataclass(frozen=True, slots=True)
class RuleMutants:
    """The mutants of the rule at ``place``."""

    maker: Maker
    place: int
    rule: Rule

    def all(self) -> Iterator[Mutant]:
        """In no particular order."""
        rule, here = self.rule, self._here
        yield self.maker.made(
            MutantKind.RULES,
            here,
            GONE,
            before=f"rule {rule.id}",
            after="no such rule",
            case=f"that expects what rule {rule.id} does",
            place=(*here, "id"),
            rule=self.place,
        )
        for nth, text in enumerate(rule.when):
            path = (*here, "when", nth)
            case = f"in which all of rule {rule.id} holds but `{one_line(text)}`"
            yield self.maker.gone(path, text, case=case, rule=self.place)
            yield from self._cel(path, text)
        if rule.table is not None:
            yield from self._table(rule.table)
        yield from self._results()
        if rule.cap is not None:
            yield from cap_mutants(self.maker, rule.cap, (*here, "cap"), self.place)

    @property
    def _here(self) -> DataPath:
        return ("rules", self.place)

    def _results(self) -> Iterator[Mutant]:
        """What is granted, offered and brought about later."""
        rule, here = self.rule, self._here
        yield from self._remedies((*here, "grant"), rule.grant)
        if rule.offer is not None:
            for nth, choice in enumerate(rule.offer.alternatives):
                yield from self._remedies((*here, "offer", "alternatives", nth, "grant"), choice.grant)
            yield from self._field((*here, "offer", "deadline"), rule.offer.deadline)
        for nth, later in enumerate(rule.follow_up):
            yield from self._field((*here, "follow_up", nth, "at"), later.at)
            for name, text in later.data.items():
                yield from self._cel((*here, "follow_up", nth, "data", name), text)

    def _remedies(self, path: DataPath, specs: list[Any]) -> Iterator[Mutant]:
        for nth, spec in enumerate(specs):
            model: type[RemedySpec] = type(spec)
            values = spec.model_dump(by_alias=True)
            for name in expression_fields(model):
                yield from self._field((*path, nth, name), values.get(name))

    def _field(self, path: DataPath, raw: Any) -> Iterator[Mutant]:
        """A field that takes CEL, or a number or a date as it is."""
        if isinstance(raw, str):
            yield from self._cel(path, raw)
            return
        name = str(path[-1])
        for new in shifts(raw):
            yield self.maker.changed(
                MutantKind.THRESHOLDS, path, new, case=f"that expects `{name}`", name=name, rule=self.place
            )

    def _cel(self, path: DataPath, source: str) -> Iterator[Mutant]:
        for edit in cel_edits(source):
            after = edit.applied(source)
            yield self.maker.made(
                edit.kind,
                path,
                after,
                before=source,
                after=after,
                case=edit.case,
                offset=edit.offset,
                rule=self.place,
            )

    def _table(self, table: Table) -> Iterator[Mutant]:
        for nth, column in enumerate(table.columns):
            if isinstance(column, InputColumn):
                yield from self._cel((*self._here, "table", "columns", nth, "when"), column.when)
        path = (*self._here, "table", "rows")
        for number, row in enumerate(table.rows):
            if len(table.rows) > 1:
                yield self.maker.made(
                    MutantKind.RULES,
                    path,
                    [*table.rows[:number], *table.rows[number + 1 :]],
                    before=f"row {number + 1} of rule {self.rule.id}",
                    after="no such row",
                    case=f"that row {number + 1} fits",
                    place=(*path, number),
                    rule=self.place,
                    row=number + 1,
                )
            for nth, cell in enumerate(row):
                yield from self._cell(table, number, nth, cell)

    def _cell(self, table: Table, number: int, nth: int, cell: Any) -> Iterator[Mutant]:
        path = (*self._here, "table", "rows")
        text = str(cell).lower() if isinstance(cell, bool) else str(cell)
        rows, row = table.rows, table.rows[number]
        for edit in cell_edits(text, table.columns[nth]):
            after = edit.applied(text)
            yield self.maker.made(
                edit.kind,
                path,
                [*rows[:number], [*row[:nth], after, *row[nth + 1 :]], *rows[number + 1 :]],
                before=f"row {number + 1}, column {nth + 1}: {text}",
                after=after,
                case=edit.case,
                place=(*path, number, nth),
                offset=edit.offset,
                rule=self.place,
                row=number + 1,
            )
