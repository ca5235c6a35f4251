"""A simulation as it is reported: figures in order, money as money, and JSON for programs.

How it looks in a terminal or a browser is the command line's and adapters.reports'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from policyengine.domain.money import Money
from policyengine.engine.explain import remedy_text
from policyengine.service.simulate_given import Given
from policyengine.service.simulate_tally import ALL, DIMENSIONS, Case, Direction, Figure, Totals

SHOWN = 10  # largest cases and customers that are told; Totals keep more
OUTCOMES = ("granted", "offered", "denied", "none")
SORTS = ("better", "worse", "mixed", "otherwise")


class Row(NamedTuple):
    """One value of a dimension in one currency (None: no money); pairs are baseline and candidate."""

    name: str
    currency: str | None
    money: tuple[int, int]
    decisions: tuple[int, int]
    customers: tuple[int, int]

    def to_json(self, dimension: str) -> dict[str, Any]:
        """For programs."""
        return {
            dimension: self.name,
            "currency": self.currency,
            "baseline": _amount(self.money[0], self.currency),
            "candidate": _amount(self.money[1], self.currency),
            "difference": _amount(self.money[1] - self.money[0], self.currency),
            "decisions": _pair(self.decisions),
            "customers": _pair(self.customers),
        }


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What was simulated, and what came of it.

    ``baseline`` says in words what it is compared with, None where there is nothing; ``notes`` say what
    a reader should know besides.
    """

    history: str
    candidate: str  # digest
    baseline: str | None
    totals: Totals
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def compared(self) -> bool:
        """Whether there is something to compare with."""
        return self.baseline is not None

    @property
    def currencies(self) -> list[str]:
        """Every currency that money is told in."""
        whole = self.whole
        return sorted({*whole.money[0], *whole.money[1]})

    @property
    def whole(self) -> Figure:
        """Over everything."""
        return self.totals.figures.get((ALL, ""), Figure())

    def money(self) -> list[tuple[Money, Money]]:
        """By currency, what the baseline gives and what the candidate gives."""
        was, now = self.whole.money
        return [(Money(was.get(one, 0), one), Money(now.get(one, 0), one)) for one in self.currencies]

    def rows(self, dimension: str) -> list[Row]:
        """The figures of a dimension: by name, then by currency; one row for a name without money."""
        return list(self._rows(dimension))

    def _rows(self, dimension: str) -> Iterator[Row]:
        for key, figure in sorted(self.totals.figures.items()):
            if key[0] != dimension:
                continue
            was, now = figure.money
            currencies: list[str | None] = [*sorted({*was, *now})]
            for currency in currencies or [None]:
                money = (0, 0) if currency is None else (was.get(currency, 0), now.get(currency, 0))
                yield Row(key[1], currency, money, figure.decisions, figure.customers)

    def largest(self) -> dict[str, list[Case]]:
        """By currency, the largest differences; where nothing is compared, the largest grants."""
        found = self.totals.largest_changes if self.compared else self.totals.largest_grants
        return {currency: found[currency][:SHOWN] for currency in sorted(found) if currency}

    def kinds(self) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
        """What is not money, by kind: customers and count of those who get more, and of the others."""
        known = self.totals.kinds
        names = sorted({kind for kind, _ in known})
        return [(name, known.get((name, True), (0, 0)), known.get((name, False), (0, 0))) for name in names]

    def to_json(self) -> dict[str, Any]:
        """For programs; money as decimal strings."""
        totals, whole = self.totals, self.whole
        found: dict[str, Any] = {
            "history": self.history,
            "candidate": self.candidate,
            "baseline": self.baseline,
            "notes": list(self.notes),
            "events": totals.events,
            "refused": totals.refused,
            "decisions": _pair(totals.decisions),
            "giving": _pair(whole.decisions),
            "customers": _pair(whole.customers),
            "outcomes": {
                name: {"baseline": totals.outcomes[0][name], "candidate": totals.outcomes[1][name]}
                for name in OUTCOMES
            },
            "money": [_both(was, now) for was, now in self.money()],
        }
        for dimension in DIMENSIONS:
            found[f"by_{dimension}"] = [row.to_json(dimension) for row in self.rows(dimension)]
        found["largest"] = [_case(case, one) for one, cases in self.largest().items() for case in cases]
        if self.compared:
            found["changes"] = self._changes()
        return found

    def _changes(self) -> dict[str, Any]:
        totals = self.totals
        return {
            "decisions": totals.changed,
            "customers": totals.changed_customers,
            "outcomes": [
                {"baseline": was or None, "candidate": now or None, "decisions": count}
                for (was, now), count in sorted(totals.moves.items())
            ],
            "sorts": {name: totals.sorts[name] for name in SORTS},
            "better_off": _directions(totals.more),
            "worse_off": _directions(totals.less),
            "not_money": [
                {"kind": kind, "more": _whom(more), "fewer": _whom(fewer)}
                for kind, more, fewer in self.kinds()
            ],
        }


def _pair(pair: Sequence[int]) -> dict[str, int]:
    return {"baseline": pair[0], "candidate": pair[1]}


def _amount(minor: int, currency: str | None) -> str | None:
    return None if currency is None else Money(minor, currency).value


def _both(was: Money, now: Money) -> dict[str, str]:
    return {
        "currency": was.currency,
        "baseline": was.value,
        "candidate": now.value,
        "difference": Money(now.minor - was.minor, was.currency).value,
    }


def _directions(found: Mapping[str, Direction]) -> list[dict[str, Any]]:
    return [
        {
            "currency": currency,
            "customers": one.customers,
            "amount": Money(one.amount, currency).value,
            "largest": [
                {"customer": customer, "amount": Money(-size, currency).value}
                for size, customer in one.largest[:SHOWN]
            ],
        }
        for currency, one in sorted(found.items())
    ]


def _whom(pair: tuple[int, int]) -> dict[str, int]:
    return {"customers": pair[0], "count": pair[1]}


def _case(case: Case, currency: str) -> dict[str, Any]:
    one = case.candidate or case.baseline
    about = None if one is None else one.about
    found: dict[str, Any] = {} if about is None else about._asdict()
    entity = found.pop("entity", None)
    return {
        **found,
        "entity": None if entity is None else {"type": entity[0], "id": entity[1]},
        **_both(Money(case.money[0], currency), Money(case.money[1], currency)),
        "gave": texts_of(case.baseline),
        "gives": texts_of(case.candidate),
    }


def texts_of(given: Given | None) -> list[str]:
    """What one side gives, a line each."""
    if given is None:
        return []
    offered = [
        f"a choice of {', '.join(one['id'] for one in offer['alternatives'])}  [{offer['policy']}]"
        for offer in given.offers
    ]
    denied = [f"denied: {one['reason']}  [{one['policy']}]" for one in given.denials]
    return [*(remedy_text(remedy) for remedy in given.remedies), *offered, *denied]
