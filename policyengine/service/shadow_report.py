"""What versions on trial in shadow would have given, beside what was given: by policy, month and currency.

Read from decisions as they are recorded; nothing is decided again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from policyengine.domain.money import Money
from policyengine.ledger.entries import Kind
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, no_progress

_EXAMPLES = 10
_OFFER = "offer"


class Cell(NamedTuple):
    """What a line is about; ``currency`` "" counts what is not money, by ``kind``."""

    policy: str
    version: int
    month: str
    currency: str
    kind: str


@dataclass(slots=True)
class Line:
    """Minor units, or how many where it is no money; by customer what the trial gives more (or less)."""

    live: int = 0
    tried: int = 0
    by_customer: dict[str, int] = field(default_factory=dict)

    @property
    def more(self) -> int:
        """How many customers would get more."""
        return sum(one > 0 for one in self.by_customer.values())

    @property
    def less(self) -> int:
        """How many would get less."""
        return sum(one < 0 for one in self.by_customer.values())


@dataclass(slots=True)
class ShadowReport:
    """Every version that was tried: in how many decisions it would govern, and what it would give."""

    decisions: dict[tuple[str, int], int] = field(default_factory=dict)
    lines: dict[Cell, Line] = field(default_factory=dict)
    examples: list[tuple[int, str, str, Cell]] = field(
        default_factory=list
    )  # by how much, decision, customer

    def note(self, document: Mapping[str, Any]) -> None:
        """Take a recorded decision in."""
        shadow = document.get("shadow") or {}
        for name in shadow.get("tried", ()):
            policy, _, number = name.rpartition("@")
            version = int(number)
            self.decisions[policy, version] = self.decisions.get((policy, version), 0) + 1
            live = _given(document, policy, None)
            tried = _given(shadow, policy, version)
            month = document["event"]["time"][:7]
            for currency, kind in sorted({*live, *tried}):
                cell = Cell(policy, version, month, currency, kind)
                self._add(cell, document, live.get((currency, kind), 0), tried.get((currency, kind), 0))

    def _add(self, cell: Cell, document: Mapping[str, Any], live: int, tried: int) -> None:
        line, customer = self.lines.setdefault(cell, Line()), document["customer"]
        line.live += live
        line.tried += tried
        if live != tried:
            line.by_customer[customer] = line.by_customer.get(customer, 0) + tried - live
            self.examples.append((tried - live, document["decision_id"], customer, cell))
            self.examples.sort(key=lambda one: (-abs(one[0]), one[1]))
            del self.examples[_EXAMPLES:]

    def to_json(self) -> dict[str, Any]:
        """For programs; money as text."""
        return {
            "decisions": [
                {"policy": policy, "version": version, "decisions": count}
                for (policy, version), count in sorted(self.decisions.items())
            ],
            "lines": [
                {
                    **cell._asdict(),
                    "live": amount(line.live, cell),
                    "tried": amount(line.tried, cell),
                    "more": line.more,
                    "less": line.less,
                }
                for cell, line in sorted(self.lines.items())
            ],
            "examples": [
                {
                    "decision_id": decision,
                    "customer": customer,
                    "policy": cell.policy,
                    "currency": cell.currency,
                    "kind": cell.kind,
                    "difference": amount(by, cell),
                }
                for by, decision, customer, cell in self.examples
            ],
        }


def amount(number: int, cell: Cell) -> str:
    """Money as written in decisions; a count as it is."""
    return Money(number, cell.currency).value if cell.currency else str(number)


def _given(part: Mapping[str, Any], policy: str, version: int | None) -> dict[tuple[str, str], int]:
    """Money by currency, and how many of each other kind, that a policy (or one version) gave."""
    found: dict[tuple[str, str], int] = {}
    for remedy in _of(part, "remedies", policy, version):
        money = remedy.get("amount")
        if money is None:
            key, number = ("", remedy["kind"]), 1
        else:
            key, number = (money["currency"], ""), Money.parse(money["value"], money["currency"]).minor
        found[key] = found.get(key, 0) + number
    offers = sum(1 for _ in _of(part, "offers", policy, version))
    if offers:
        found["", _OFFER] = offers
    return found


def _of(part: Mapping[str, Any], name: str, policy: str, version: int | None) -> Iterator[Mapping[str, Any]]:
    for one in part.get(name, ()):
        if one["policy"] == policy and version in (None, one["version"]):
            yield one


def shadow_report(store: LedgerStore, *, progress: Progress = no_progress) -> ShadowReport:
    """Over every shard of a ledger."""
    report = ShadowReport()
    for shard in store.shards():
        for entry in store.entries(shard):
            progress(1)
            if entry.kind == Kind.DECISION:
                report.note(entry.document())
    return report
