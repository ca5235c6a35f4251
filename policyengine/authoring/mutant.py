"""A mutant: one small mistake that a policy could have, with its place, and the policy that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from policyengine.authoring.load import LoadedPolicy
from policyengine.authoring.yaml_source import Path as DataPath
from policyengine.domain.policy import Policy
from policyengine.domain.values import Json

_LONGEST = 90


class MutantKind(StrEnum):
    """What sort of mistake it is."""

    COMPARISONS = "comparisons"  # `<` for `<=`, `==` for `!=`, `[` for `(`
    THRESHOLDS = "thresholds"  # a number, an amount or a date off by one unit
    CLAUSES = "clauses"  # a condition that is missing
    PERCENTAGES = "percentages"  # the rest for the share
    PARAMETERS = "parameters"  # a parameter off by one unit, or from another day on
    WINDOWS = "windows"  # a version in force a day too long or too short
    RULES = "rules"  # a rule or a row that is missing
    CAPS = "caps"  # a cap that is missing


class _Gone:
    """What stands in the place of something that is removed."""


GONE = _Gone()


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is changed at which path of a policy's document.

    ``rule``: the index of the only rule that differs, ``row``: the number of the row, from 1. ``before``
    and ``after`` are what a person reads; ``case`` says what a case would have to show to tell them apart.
    """

    loaded: LoadedPolicy
    kind: MutantKind
    path: DataPath
    value: Any
    line: int
    column: int
    before: str
    after: str
    case: str
    rule: int | None = None
    row: int | None = None

    @property
    def policy(self) -> str:
        """The policy's name."""
        return self.loaded.policy.policy

    @property
    def version(self) -> int:
        """The policy's version."""
        return self.loaded.policy.version

    @property
    def rule_id(self) -> str | None:
        """The rule that is changed; None where it is the whole version."""
        return None if self.rule is None else self.loaded.policy.rules[self.rule].id

    @property
    def change(self) -> str:
        """What is changed, in a line: how a file of cases names a mutant."""
        return f"{one_line(self.before)} → {one_line(self.after)}"

    @property
    def place(self) -> str:
        """`file:line:column`."""
        return f"{self.loaded.file}:{self.line}:{self.column}"

    def model(self) -> Policy:
        """The policy with the mistake; ValueError where no policy file could say so."""
        data = _put(self.loaded.document.data, self.path, self.value)
        return Policy.model_validate(data, by_alias=True, by_name=False)

    def to_json(self) -> dict[str, Json]:
        """As data."""
        return {
            "file": self.loaded.file,
            "line": self.line,
            "column": self.column,
            "policy": self.policy,
            "version": self.version,
            "rule": self.rule_id,
            "kind": self.kind.value,
            "before": one_line(self.before),
            "after": one_line(self.after),
            "case": self.case,
        }


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the mutants of one file; without a place of their own they stand where they change something."""

    loaded: LoadedPolicy

    def changed(
        self, kind: MutantKind, path: DataPath, value: Any, *, case: str, name: str, rule: int | None = None
    ) -> Mutant:
        """Another value at a path; ``name`` is what a person calls it."""
        before = f"{name}: {self.loaded.document.at(path)}"
        return self.made(kind, path, value, before=before, after=str(value), case=case, rule=rule)

    def gone(
        self,
        path: DataPath,
        text: str,
        *,
        case: str,
        kind: MutantKind = MutantKind.CLAUSES,
        rule: int | None = None,
    ) -> Mutant:
        """Nothing at a path."""
        return self.made(kind, path, GONE, before=text, after="nothing", case=case, rule=rule)

    def made(
        self,
        kind: MutantKind,
        path: DataPath,
        value: Any,
        *,
        before: str,
        after: str,
        case: str,
        place: DataPath | None = None,
        offset: int = 0,
        rule: int | None = None,
        row: int | None = None,
    ) -> Mutant:
        """Any other mutant; ``place`` and ``offset``: where a person finds it."""
        line, column = self.loaded.locate(path if place is None else place, offset)
        return Mutant(self.loaded, kind, path, value, line, column, before, after, case, rule, row)


def one_line(text: str) -> str:
    """Without line breaks and runs of blanks."""
    return " ".join(text.split())


def cut(text: str) -> str:
    """For a terminal: not too long."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _put(data: Any, path: DataPath, value: Any) -> Any:
    """A copy of the data with another value at a path, or without it; what does not change is shared."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    gone = not rest and value is GONE
    if isinstance(data, Mapping):
        if gone:
            return {name: item for name, item in data.items() if name != key}
        return {name: _put(item, rest, value) if name == key else item for name, item in data.items()}
    index = int(str(key))
    return [*data[:index], *([] if gone else [_put(data[index], rest, value)]), *data[index + 1 :]]
