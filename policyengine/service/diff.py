"""What a change of policies costs on recorded history: limits that it is held to, and a case that shows it.

The figures are service.simulate's, the words authoring.words'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from policyengine.domain.money import Money
from policyengine.service.diff_case import SmallestCase, smallest_case
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.simulate_report import SimulationReport
from policyengine.service.simulate_tally import Case, Totals

_ATTEMPTS = 5  # decisions whose customers' events are tried


class Limit(NamedTuple):
    """How much more may be given in one currency, and how much more it is."""

    most: Money
    more: Money

    @property
    def is_exceeded(self) -> bool:
        """Whether the change costs more than that."""
        return self.more.minor > self.most.minor

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "currency": self.most.currency,
            "most": self.most.value,
            "more": self.more.value,
            "exceeded": self.is_exceeded,
        }


def limits(report: SimulationReport, most: Sequence[Money]) -> list[Limit]:
    """Each limit beside what the change adds in its currency."""
    more = {was.currency: Money(now.minor - was.minor, was.currency) for was, now in report.money()}
    return [Limit(one, more.get(one.currency, Money(0, one.currency))) for one in most]


def unlimited(report: SimulationReport, most: Sequence[Money]) -> list[Money]:
    """What the change adds in currencies that no limit names."""
    named = {one.currency for one in most}
    found = (Money(now.minor - was.minor, was.currency) for was, now in report.money())
    return [one for one in found if one.minor > 0 and one.currency not in named]


def case_of(store: LedgerStore, totals: Totals, before: PolicySet, after: PolicySet) -> SmallestCase | None:
    """The smallest case of one of the largest changes; None where no customer's own events show any."""
    for nth, case in enumerate(_by_size(totals)):
        target = case.candidate or case.baseline
        if nth < _ATTEMPTS and target is not None:
            found = smallest_case(store, case.rank[2], target, before, after)
            if found is not None:
                return found
    return None


def _by_size(totals: Totals) -> Iterator[Case]:
    """The largest change in each currency, the second largest …; those without money at the end."""
    lists = [totals.largest_changes[currency] for currency in sorted(totals.largest_changes) if currency]
    for nth in range(max(map(len, lists), default=0)):
        yield from (cases[nth] for cases in lists if nth < len(cases))
    yield from totals.largest_changes.get("", ())
