"""How a difference between policy sets is shown: for people, for a pull request, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Self

from policyengine.authoring.words import Changed
from policyengine.domain.money import Money
from policyengine.service.diff import Limit
from policyengine.service.diff_case import SmallestCase
from policyengine.service.simulate_report import SimulationReport, texts_of


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two policy sets, and what it does to recorded history."""

    before: str
    after: str
    old: str  # digests
    new: str
    changed: Sequence[Changed]
    report: SimulationReport | None = None
    limits: Sequence[Limit] = ()
    case: SmallestCase | None = None
    text: str | None = None  # the case as it is pasted

    def with_history(
        self, report: SimulationReport, limits: Sequence[Limit], case: SmallestCase | None, text: str | None
    ) -> Self:
        """With what it does to recorded history."""
        return replace(self, report=report, limits=limits, case=case, text=text)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        case = None
        if self.case is not None:
            case = {
                "yaml": self.text,
                "events": list(self.case.events),
                "of": self.case.whole,
                "minimal": self.case.minimal,
                "gave": texts_of(self.case.before),
                "gives": texts_of(self.case.after),
            }
        return {
            "a": {"named": self.before, "policy_set": self.old},
            "b": {"named": self.after, "policy_set": self.new},
            "changes": [one.to_json() for one in self.changed],
            "history": None if self.report is None else self.report.to_json(),
            "limits": [one.to_json() for one in self.limits],
            "case": case,
        }


def human(found: Diff) -> Iterator[str]:
    """For a terminal."""
    if not found.changed:
        yield f"{found.before} and {found.after} say the same"
    for policy, versions in groupby(found.changed, key=lambda one: one.policy):
        yield policy
        for version in versions:
            yield f"  {version.heading}"
            yield from (f"    {change}" for change in version.changes)
    if found.report is not None:
        yield ""
        yield _headline(found.report)
        yield from (f"  {line}" for line in _money_lines(found.report))
        yield from _case_lines(found)


def _headline(report: SimulationReport) -> str:
    totals = report.totals
    if not totals.changed:
        return f"On {report.history} no decision comes out otherwise, of {totals.decisions[1]:,}"
    return (
        f"On {report.history}: {totals.changed:,} of {max(totals.decisions):,} decisions come out otherwise, "
        f"for {totals.changed_customers:,} customers"
    )


def _money_lines(report: SimulationReport) -> Iterator[str]:
    totals = report.totals
    for was, now in report.money():
        more, less = totals.more.get(was.currency), totals.less.get(was.currency)
        if more is None and less is None:
            continue
        parts = [f"{_signed(now.minor - was.minor, was.currency)} ({was} → {now})"]
        if more is not None:
            parts.append(f"{more.customers:,} customers better off by {Money(more.amount, was.currency)}")
        if less is not None:
            parts.append(f"{less.customers:,} worse off by {Money(less.amount, was.currency)}")
        yield "; ".join(parts)
    for kind, (gain, more_of), (loss, fewer) in report.kinds():
        words = [f"{more_of:,} more for {gain:,} customers"] if gain else []
        words += [f"{fewer:,} fewer for {loss:,}"] if loss else []
        yield f"{kind}: {', '.join(words)}"


def _signed(minor: int, currency: str) -> str:
    return f"{'+' if minor > 0 else ''}{Money(minor, currency)}"


def _case_lines(found: Diff) -> Iterator[str]:
    if found.case is None:
        if found.report is not None and found.report.totals.changed:
            yield "No customer's own events show it by themselves: it hangs on other customers"
        return
    case = found.case
    least = "" if case.minimal else ", and perhaps not the smallest"
    yield ""
    yield f"The smallest case that shows it ({len(case.events)} of {case.whole:,} events{least}):"
    yield from (f"  - {text}" for text in texts_of(case.before) or ["nothing"])
    yield from (f"  + {text}" for text in texts_of(case.after) or ["nothing"])
    yield ""
    yield from (found.text or "").splitlines()


def markdown(found: Diff) -> Iterator[str]:
    """For a pull request."""
    yield "## What changed in the policies"
    if not found.changed:
        yield "\nNothing."
    for policy, versions in groupby(found.changed, key=lambda one: one.policy):
        yield f"\n### {_escaped(policy)}"
        for version in versions:
            yield f"\n{version.heading.capitalize()}:\n"
            yield from (f"- {_escaped(str(change))}" for change in version.changes)
    if found.report is None:
        return
    yield f"\n## What it does\n\n{_escaped(_headline(found.report))}.\n"
    yield from (f"- {_escaped(line)}" for line in _money_lines(found.report))
    for one in found.limits:
        verdict = "**too dear**" if one.is_exceeded else "within the limit"
        yield f"- {verdict}: {_signed(one.more.minor, one.more.currency)} of at most {one.most}"
    if found.text is not None and found.case is not None:
        kept, whole = len(found.case.events), found.case.whole
        yield f"\nThe smallest case that shows it ({kept} of {whole:,} events):\n"
        yield f"```yaml\n{found.text.rstrip()}\n```"


def _escaped(text: str) -> str:
    """As text: what a policy holds is no markup of the page."""
    for sign in "\\`*_<[|":
        text = text.replace(sign, f"\\{sign}")
    return text
