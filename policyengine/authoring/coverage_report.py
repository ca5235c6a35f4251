"""Coverage in figures: by policy and kind, what is missing, and whether that is enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from policyengine.authoring.coverage_points import Kind, Mark, Point, points
from policyengine.authoring.load import LoadedPolicy
from policyengine.domain.near import did_you_mean
from policyengine.domain.values import Json
from policyengine.errors import UsageError

MUTANTS = "mutants"
_WHOLE = Decimal(100)


@dataclass(frozen=True, slots=True)
class Figure:
    """How many of some points are covered."""

    covered: int
    total: int

    def __str__(self) -> str:
        return f"{self.covered}/{self.total}" if self.total else ""

    @property
    def percent(self) -> Decimal:
        """Of the points, 100 where there are none."""
        return _WHOLE * self.covered / self.total if self.total else _WHOLE

    def to_json(self) -> Json:
        """As data."""
        return {"covered": self.covered, "total": self.total}


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """The points of some policies, and those that are missing."""

    points: tuple[Point, ...]
    missing: tuple[Point, ...]

    def policies(self) -> list[str]:
        """Their names, in order."""
        return sorted({point.mark.policy for point in self.points})

    def figure(self, kind: Kind | None = None, policy: str | None = None) -> Figure:
        """Of one kind or all, of one policy or all."""
        total, missing = (_count(each, kind, policy) for each in (self.points, self.missing))
        return Figure(total - missing, total)

    def short_of(self, thresholds: Mapping[str, Decimal]) -> Iterator[str]:
        """Which thresholds are missed, in words: those of `read_thresholds` but for mutants."""
        for name, wanted in thresholds.items():
            if name == MUTANTS:
                continue
            figure = self.figure(Kind(name) if name else None)
            if figure.percent < wanted:
                what = f"coverage of {name}" if name else "coverage"
                yield f"{what} is {shown(figure.percent)} %, below {wanted} % ({figure})"

    def to_json(self) -> dict[str, Json]:
        """As data: totals by kind, by policy and kind, and the list of what is missing."""
        missing: list[Json] = [
            {
                "kind": point.mark.kind.value,
                "policy": point.mark.policy,
                "version": point.mark.version,
                "rule": point.mark.rule or None,
                "file": point.file,
                "line": point.line,
                "column": point.column,
                "text": point.missing,
            }
            for point in self.missing
        ]
        return {
            "percent": shown(self.figure().percent),
            "total": {kind.value: self.figure(kind).to_json() for kind in Kind},
            "policies": {
                name: {kind.value: self.figure(kind, name).to_json() for kind in Kind}
                for name in self.policies()
            },
            "missing": missing,
        }


def coverage_report(policies: Iterable[LoadedPolicy], marks: set[Mark]) -> CoverageReport:
    """Lay what was reached beside what there is."""
    found = tuple(sorted((point for loaded in policies for point in points(loaded)), key=_place))
    return CoverageReport(found, tuple(point for point in found if point.mark not in marks))


def read_thresholds(texts: Sequence[str]) -> dict[str, Decimal]:
    """``95`` for everything together (under ""), ``rules=100`` for a kind, ``mutants=90`` for the killed.

    UsageError for anything else.
    """
    known = [*(kind.value for kind in Kind), MUTANTS]
    found: dict[str, Decimal] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        if equals and name not in known:
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
            raise UsageError(f"--threshold {text}: nothing is called `{name}`; {hint}")
        try:
            percent = Decimal(number.removesuffix("%"))
        except InvalidOperation:
            percent = Decimal(-1)
        if percent.is_nan() or not 0 <= percent <= _WHOLE:
            raise UsageError(f"--threshold {text}: write a percentage such as 95, or rules=100")
        found[name] = percent
    return found


def shown(percent: Decimal) -> str:
    """Rounded down to a tenth, so that 100 means all."""
    tenths = int(percent * 10)
    return f"{tenths // 10}" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"


def _count(found: Iterable[Point], kind: Kind | None, policy: str | None) -> int:
    return sum(kind in (None, point.mark.kind) and policy in (None, point.mark.policy) for point in found)


def _place(point: Point) -> tuple[str, int, int]:
    return point.file, point.line, point.column
