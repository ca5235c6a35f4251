"""What a ledger's decisions add up to: who got what under which policy, and the money."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from policyengine.domain.money import Money
from policyengine.ledger.entries import Kind
from policyengine.service.ports import LedgerStore


@dataclass(slots=True)
class Line:
    """One policy version: decisions it granted or offered in, customers, remedies, money in minor units."""

    decisions: int = 0
    customers: set[str] = field(default_factory=set)
    remedies: Counter[str] = field(default_factory=Counter)
    money: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Summary:
    """All decisions of a shard."""

    outcomes: Counter[str] = field(default_factory=Counter)
    policies: dict[tuple[str, int], Line] = field(default_factory=dict)
    showcase: str | None = None  # a decision worth showing: money, words, several candidates


def summarise(store: LedgerStore, shard: str) -> Summary:
    """Read every decision once."""
    summary = Summary()
    best = 0
    for entry in store.entries(shard):
        if entry.kind != Kind.DECISION:
            continue
        document = entry.document()
        summary.outcomes[document["outcome"]] += 1
        given = [*document["remedies"], *document["offers"]]
        for key in dict.fromkeys((one["policy"], one["version"]) for one in given):
            line = summary.policies.setdefault(key, Line())
            line.decisions += 1
            line.customers.add(document["customer"])
        for remedy in document["remedies"]:
            line = summary.policies[remedy["policy"], remedy["version"]]
            line.remedies[remedy["kind"]] += 1
            amount = remedy.get("amount")
            if amount is not None:
                money = Money.parse(amount["value"], amount["currency"])
                line.money[money.currency] += money.minor
        for offer in document["offers"]:
            summary.policies[offer["policy"], offer["version"]].remedies["a choice"] += 1
        score = (len(document["trace"]) + 2 * len(document["remedies"])) * (len(document["messages"]) > 1)
        if score > best:
            best, summary.showcase = score, document["decision_id"]
    return summary
