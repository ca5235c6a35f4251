"""What a simulation adds up to, decision by decision, in memory bounded by customers and not by decisions.

A tally is of one part; ``Totals`` are plain, and those of several parts are merged into the same as one
part would have made. How they are told is service.simulate_report's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush, heappushpop, nsmallest
from typing import NamedTuple

from policyengine.service.simulate_given import Given, money_of, same

BASELINE, CANDIDATE = 0, 1  # the two sides, wherever there are pairs
LARGEST = 20  # cases that are kept, by currency
POLICY, KIND, SEGMENT, REGION, MONTH, ALL = "policy", "kind", "segment", "region", "month", "all"
DIMENSIONS = (POLICY, KIND, SEGMENT, REGION, MONTH)
UNKNOWN = "unknown"
Pair = tuple[Given | None, Given | None]  # baseline and candidate
Key = tuple[str, str]  # a dimension, and one of its values


class Who(NamedTuple):
    """What is known of the customer of a decision when it is compared."""

    segment: str
    region: str


class Case(NamedTuple):
    """One decision with its money in one currency on both sides; ordered by what is largest first."""

    rank: tuple[int, str, str]  # minus the size, then the decision's id and the shard
    baseline: Given | None
    candidate: Given | None
    money: tuple[int, int]  # minor units


class Figure(NamedTuple):
    """Of one value of a dimension, baseline and candidate: decisions that give something, whom, money."""

    decisions: tuple[int, int] = (0, 0)
    customers: tuple[int, int] = (0, 0)
    money: tuple[dict[str, int], dict[str, int]] = ({}, {})  # minor units by currency


class Direction(NamedTuple):
    """Those whom a change does good, or harm: how many, by how much in all, and the largest of them."""

    customers: int = 0
    amount: int = 0
    largest: tuple[tuple[int, str], ...] = ()  # minus the size in minor units, and the customer


@dataclass(slots=True)
class Totals:
    """Plain figures, ready to be sent and merged. Pairs are baseline and candidate."""

    events: int = 0
    refused: int = 0
    decisions: list[int] = field(default_factory=lambda: [0, 0])
    outcomes: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    changed: int = 0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)  # outcomes before and after, changed
    changed_customers: int = 0
    figures: dict[Key, Figure] = field(default_factory=dict)
    more: dict[str, Direction] = field(default_factory=dict)  # better off, by currency
    less: dict[str, Direction] = field(default_factory=dict)
    sorts: Counter[str] = field(default_factory=Counter)  # customers: better, worse, mixed, otherwise
    kinds: dict[tuple[str, bool], tuple[int, int]] = field(default_factory=dict)  # kind, more? → whom, count
    largest_changes: dict[str, list[Case]] = field(default_factory=dict)  # under "" those without money
    largest_grants: dict[str, list[Case]] = field(default_factory=dict)


@dataclass(slots=True)
class _Line:
    decisions: list[int] = field(default_factory=lambda: [0, 0])
    customers: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    money: tuple[dict[str, int], dict[str, int]] = field(default_factory=lambda: ({}, {}))


class Tally:
    """Adds decisions up; ``compared`` is off where there is no baseline."""

    def __init__(self, *, compared: bool = True) -> None:
        self.totals = Totals()
        self._compared = compared
        self._lines: dict[Key, _Line] = {}
        self._nets: dict[str, tuple[Counter[str], Counter[str]]] = {}
        self._changed: set[str] = set()
        self._changes: dict[str, list[_Largest]] = {}
        self._grants: dict[str, list[_Largest]] = {}

    def add(self, shard: str, pair: Pair, who: Callable[[], Who]) -> bool:
        """Count one decision in, as both sides have it; whether it comes out otherwise."""
        baseline, candidate = pair
        alike = same(baseline, candidate)
        for side in (BASELINE, CANDIDATE):
            given = pair[side]
            if given is not None:
                self.totals.decisions[side] += 1
                self.totals.outcomes[side][given.outcome] += 1
        if alike and candidate is not None and candidate.is_something:
            self._count(candidate, who(), (BASELINE, CANDIDATE))
        elif not alike:
            for side in (BASELINE, CANDIDATE):
                given = pair[side]
                if given is not None and given.is_something:
                    self._count(given, who(), (side,))
        if candidate is not None and candidate.remedies:
            self._keep(self._grants, shard, pair, grants=True)
        if alike or not self._compared:
            return False
        self._change(shard, baseline, candidate)
        return True

    # --- figures ------------------------------------------------------------------------------------

    def _count(self, given: Given, who: Who, sides: tuple[int, ...]) -> None:
        """Into the figures of every value that it has in some dimension.

        invariant: decisions that are alike name the same policies, so that one counts for both sides.
        """
        parts: dict[Key, dict[str, int]] = {(POLICY, offer["policy"]): {} for offer in given.offers}
        whole: dict[str, int] = {}
        for remedy in given.remedies:
            money = money_of(remedy)
            for key in ((POLICY, remedy["policy"]), (KIND, remedy["kind"])):
                amounts = parts.setdefault(key, {})
                if money is not None:
                    amounts[money.currency] = amounts.get(money.currency, 0) + money.minor
            if money is not None:
                whole[money.currency] = whole.get(money.currency, 0) + money.minor
        for key in ((SEGMENT, who.segment), (REGION, who.region), (MONTH, given.about.time[:7]), (ALL, "")):
            parts[key] = whole
        for key, amounts in parts.items():
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = _Line()
            for side in sides:
                line.decisions[side] += 1
                line.customers[side].add(given.about.customer)
                money_of_line = line.money[side]
                for currency, minor in amounts.items():
                    money_of_line[currency] = money_of_line.get(currency, 0) + minor

    def _keep(
        self,
        heaps: dict[str, list[_Largest]],
        shard: str,
        pair: Pair,
        *,
        grants: bool = False,
    ) -> None:
        """Among the largest cases, by currency: of what the candidate grants, or of the difference."""
        one = pair[CANDIDATE] or pair[BASELINE]
        if one is None:
            return
        before, after = ({} if given is None else given.money() for given in pair)
        for currency in {**before, **after}:
            was, now = before.get(currency, 0), after.get(currency, 0)
            size = now if grants else abs(now - was)
            if not size:
                continue
            heap = heaps.setdefault(currency, [])
            rank = -size, one.about.decision_id, shard
            # invariant: the heap's first is the last of the largest, in their order
            if len(heap) < LARGEST:
                heappush(heap, _Largest(Case(rank, *pair, (was, now))))
            elif rank < heap[0].case.rank:
                heappushpop(heap, _Largest(Case(rank, *pair, (was, now))))

    def _keep_terms(self, shard: str, pair: Pair) -> None:
        """Among the changes without money, under no currency: the first by name."""
        before, after = ({} if given is None else given.money() for given in pair)
        one = pair[CANDIDATE] or pair[BASELINE]
        if one is not None and before == after:
            heap = self._changes.setdefault("", [])
            heappush(heap, _Largest(Case((0, one.about.decision_id, shard), *pair, (0, 0))))
            if len(heap) > LARGEST:
                heappop(heap)

    # --- changes ------------------------------------------------------------------------------------

    def _change(self, shard: str, baseline: Given | None, candidate: Given | None) -> None:
        one = candidate or baseline
        if one is None:
            return
        totals, customer = self.totals, one.about.customer
        totals.changed += 1
        totals.moves[_outcome(baseline), _outcome(candidate)] += 1
        self._changed.add(customer)
        self._keep(self._changes, shard, (baseline, candidate))
        self._keep_terms(shard, (baseline, candidate))
        net = self._nets.setdefault(customer, (Counter(), Counter()))
        for given, sign in ((baseline, -1), (candidate, 1)):
            if given is not None:
                for counter, more in zip(net, (given.money(), given.kinds()), strict=True):
                    for name, number in more.items():
                        counter[name] += sign * number

    def seal(self) -> Totals:
        """What it all adds up to; nothing is added afterwards."""
        totals = self.totals
        totals.changed_customers = len(self._changed)
        totals.figures = {
            key: Figure(
                (line.decisions[0], line.decisions[1]),
                (len(line.customers[0]), len(line.customers[1])),
                (dict(line.money[0]), dict(line.money[1])),
            )
            for key, line in self._lines.items()
        }
        for heaps, kept in ((self._changes, totals.largest_changes), (self._grants, totals.largest_grants)):
            kept.update(
                {
                    currency: sorted((one.case for one in heap), key=_by_rank)
                    for currency, heap in heaps.items()
                }
            )
        for customer in self._changed:
            _weigh(totals, customer, *self._nets[customer])
        return totals


def _outcome(given: Given | None) -> str:
    return "" if given is None else given.outcome


class _Largest:
    """An item of a heap whose first is the last in order."""

    __slots__ = ("case",)

    def __init__(self, case: Case) -> None:
        self.case = case

    def __lt__(self, other: _Largest) -> bool:
        return self.case.rank > other.case.rank


def _by_rank(case: Case) -> tuple[int, str, str]:
    return case.rank


def _weigh(totals: Totals, customer: str, money: Counter[str], kinds: Counter[str]) -> None:
    """Whether a customer is better or worse off, in each currency; what is not money is told apart."""
    for currency, net in money.items():
        if net:
            side = totals.more if net > 0 else totals.less
            one = Direction(1, abs(net), ((-abs(net), customer),))
            side[currency] = _joined((side.get(currency, Direction()), one))
    for kind, net in kinds.items():
        if net:
            whom, count = totals.kinds.get((kind, net > 0), (0, 0))
            totals.kinds[kind, net > 0] = whom + 1, count + abs(net)
    signs = {net > 0 for net in money.values() if net}
    sort = "mixed" if len(signs) > 1 else "otherwise" if not signs else "better" if True in signs else "worse"
    totals.sorts[sort] += 1


def _joined(directions: Iterable[Direction]) -> Direction:
    every = list(directions)
    largest = nsmallest(LARGEST, (one for each in every for one in each.largest))
    return Direction(sum(one.customers for one in every), sum(one.amount for one in every), tuple(largest))


def merge(parts: Iterable[Totals]) -> Totals:
    """The totals of all parts: the same, however the customers were parted."""
    whole = Totals()
    every = list(parts)
    for part in every:
        whole.events += part.events
        whole.refused += part.refused
        whole.changed += part.changed
        whole.changed_customers += part.changed_customers
        whole.moves.update(part.moves)
        whole.sorts.update(part.sorts)
        for side in (BASELINE, CANDIDATE):
            whole.decisions[side] += part.decisions[side]
            whole.outcomes[side].update(part.outcomes[side])
        for key, figure in part.figures.items():
            whole.figures[key] = _sum(whole.figures.get(key, Figure()), figure)
        for kind, (customers, count) in part.kinds.items():
            known = whole.kinds.get(kind, (0, 0))
            whole.kinds[kind] = known[0] + customers, known[1] + count
    for name in ("more", "less"):
        of_parts = [getattr(part, name) for part in every]
        for currency in {currency for one in of_parts for currency in one}:
            getattr(whole, name)[currency] = _joined(one[currency] for one in of_parts if currency in one)
    for name in ("largest_changes", "largest_grants"):
        of_parts = [getattr(part, name) for part in every]
        for currency in {currency for one in of_parts for currency in one}:
            cases = (case for one in of_parts for case in one.get(currency, ()))
            getattr(whole, name)[currency] = nsmallest(LARGEST, cases, key=_by_rank)
    return whole


def _sum(one: Figure, other: Figure) -> Figure:
    return Figure(
        _pair(one.decisions, other.decisions),
        _pair(one.customers, other.customers),
        (_added(one.money[0], other.money[0]), _added(one.money[1], other.money[1])),
    )


def _pair(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]


def _added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return dict(_items(one, other))


def _items(one: dict[str, int], other: dict[str, int]) -> Iterator[tuple[str, int]]:
    for currency in {**one, **other}:
        yield currency, one.get(currency, 0) + other.get(currency, 0)
