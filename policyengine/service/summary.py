"""What a ledger's decisions add up to: who got what under which policy, and the money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policyengine.domain.money import Money
from policyengine.domain.remedies import WORTH_KINDS
from policyengine.ledger.entries import Kind
from policyengine.service.ports import LedgerStore


@dataclass(slots=True)
class Line:
    """One policy version: customers, remedies, and money in minor units by currency.

    ``given`` is paid or promised; ``spared`` is what was not charged.
    """

    customers: set[str] = field(default_factory=set)
    remedies: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    spared: Counter[str] = field(default_factory=Counter)


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
            line.customers.add(document["customer"])
        for remedy in document["remedies"]:
            line = summary.policies[remedy["policy"], remedy["version"]]
            line.remedies[remedy["kind"]] += 1
            amount = remedy.get("amount")
            if amount is not None:
                money = Money.parse(amount["value"], amount["currency"])
                side = line.given if remedy["kind"] in WORTH_KINDS else line.spared
                side[money.currency] += money.minor
        for offer in document["offers"]:
            summary.policies[offer["policy"], offer["version"]].remedies["a choice"] += 1
        score = _telling(document)
        if score > best:
            best, summary.showcase = score, document["decision_id"]
    return summary


def _telling(document: Mapping[str, Any]) -> int:
    """How much there is to see: words in two languages, rules that lost for several reasons, money."""
    if len(document["messages"]) <= 1:
        return 0
    verdicts = {rule["verdict"] for rule in document["trace"]}
    money = any("amount" in remedy for remedy in document["remedies"])
    return 10 * len(verdicts) + 20 * money + 3 * len(document["remedies"]) + len(document["trace"])
