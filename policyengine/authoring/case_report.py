"""What came of running cases: failures with expected beside got, findings, totals; as text and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest

from policyengine.authoring.case_check import Difference
from policyengine.domain.values import Json
from policyengine.errors import Finding

_WIDEST = 44  # characters of a column; what is longer stands on lines of its own


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case that was run; ``differences`` and ``trace`` where it failed. ``seconds`` is how long it took."""

    file: str
    line: int
    column: int
    case: str
    differences: tuple[Difference, ...] = ()
    trace: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether something is not as expected."""
        return bool(self.differences)

    def lines(self) -> Iterator[str]:
        """The place, expected beside got, and the trace."""
        yield f"{self.file}:{self.line}:{self.column}: FAILED {self.case}"
        yield from side_by_side(self.differences)
        for text in self.trace:
            yield f"    {text}"

    def to_json(self) -> dict[str, Json]:
        """As data."""
        differences: list[Json] = [difference.to_json() for difference in self.differences]
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "case": self.case,
            "differences": differences,
            "trace": list(self.trace),
        }


def side_by_side(differences: Sequence[Difference]) -> Iterator[str]:
    """A table of what was expected and what came; long texts one below the other."""
    rows = [(one.what, one.expected or "nothing more", one.got) for one in differences]
    short = [row for row in rows if all(len(cell) <= _WIDEST for cell in row)]
    table = [("", "expected", "got"), *short]
    widths = [max(len(cell) for cell in column) for column in zip_longest(*table, fillvalue="")]
    for row in table if short else ():
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield f"    {'   '.join(padded)}".rstrip()
    for what, expected, got in (row for row in rows if row not in short):
        yield f"    {what}"
        yield f"      expected  {expected}"
        yield f"      got       {got}"


@dataclass(slots=True)
class Report:
    """What came of the cases of some folders and files."""

    outcomes: list[Outcome] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """How many cases came out as expected."""
        return sum(not outcome.failed for outcome in self.outcomes)

    @property
    def failures(self) -> list[Outcome]:
        """The cases that did not."""
        return [outcome for outcome in self.outcomes if outcome.failed]

    @property
    def ok(self) -> bool:
        """Whether there are cases, and all are sound and came out as expected."""
        return self.passed > 0 and not self.failures and not self.findings

    def lines(self) -> Iterator[str]:
        """The report as plain text."""
        for finding in self.findings:
            yield str(finding)
        for failure in self.failures:
            yield from failure.lines()
            yield ""
        counts = [f"{self.passed} passed", f"{len(self.failures)} failed"]
        if self.findings:
            counts.append(f"{len(self.findings)} found wrong")
        yield f"cases: {', '.join(counts)}"
        if not self.outcomes and not self.findings:
            yield "no case was run: write cases into x.cases.yaml beside x.yaml, or widen --only"

    def to_json(self) -> dict[str, Json]:
        """As data."""
        findings: list[Json] = [asdict(finding) for finding in self.findings]
        failures: list[Json] = [failure.to_json() for failure in self.failures]
        return {"ok": self.ok, "passed": self.passed, "failures": failures, "findings": findings}
