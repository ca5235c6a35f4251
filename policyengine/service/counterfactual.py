"""What another policy set would have decided on the recorded events, state included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from policyengine.domain.money import Money
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Kind
from policyengine.service.machine import Happened
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, no_progress
from policyengine.service.simulate_drive import Alternative, aside_of
from policyengine.service.simulate_given import Document, of_document, substance

EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Change:
    """One decision that would come out otherwise; a side is None where there is no decision."""

    decision_id: str
    customer: str
    recorded: Mapping[str, Any] | None
    replayed: Mapping[str, Any] | None


@dataclass(slots=True)
class Report:
    """What would have changed. Money in minor units by (policy, currency)."""

    events: int = 0
    refused: int = 0  # recorded events that the other catalogue, or the other state, does not accept
    decisions: int = 0
    changed: int = 0
    customers: set[str] = field(default_factory=set)
    recorded_money: Counter[tuple[str, str]] = field(default_factory=Counter)
    replayed_money: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[Change] = field(default_factory=list)

    def note(self, recorded: Mapping[str, Any] | None, replayed: Mapping[str, Any] | None) -> None:
        """Compare one decision: what the customer gets, not how it was traced."""
        one = recorded or replayed
        if one is None:
            return
        self.decisions += 1
        _add_money(self.recorded_money, recorded)
        _add_money(self.replayed_money, replayed)
        if _substance(recorded) != _substance(replayed):
            self.changed += 1
            self.customers.add(one["customer"])
            if len(self.examples) < EXAMPLES:
                self.examples.append(Change(one["decision_id"], one["customer"], recorded, replayed))

    def take(
        self, document: Document, here: dict[str, Document], there: dict[str, Document], *, is_recorded: bool
    ) -> None:
        """Compare a decision with its counterpart on the other side, or let it wait for that."""
        key = document["decision_id"]
        counterpart = there.pop(key, None)
        if counterpart is None:
            here[key] = document
        else:
            self.note(*((document, counterpart) if is_recorded else (counterpart, document)))

    def money(self) -> list[tuple[str, Money, Money]]:
        """Policy, what was granted, what would have been; one for each policy and currency."""
        return [
            (key[0], Money(self.recorded_money[key], key[1]), Money(self.replayed_money[key], key[1]))
            for key in sorted({*self.recorded_money, *self.replayed_money})
        ]

    def to_json(self, shard: str) -> dict[str, Any]:
        """For programs."""
        return {
            "shard": shard,
            "events": self.events,
            "decisions": self.decisions,
            "changed": self.changed,
            "customers": len(self.customers),
            "refused": self.refused,
            "money": [
                {"policy": policy, "currency": was.currency, "recorded": was.value, "replayed": now.value}
                for policy, was, now in self.money()
            ],
            "examples": [
                {
                    "decision_id": one.decision_id,
                    "customer": one.customer,
                    "recorded": one.recorded,
                    "replayed": one.replayed,
                }
                for one in self.examples
            ],
        }


def _substance(document: Document | None) -> Any:
    """What counts as a change: outcome, remedies, offers, denials; not versions, words or traces."""
    return None if document is None else (document["outcome"], substance(of_document(document)))


def _add_money(totals: Counter[tuple[str, str]], document: Mapping[str, Any] | None) -> None:
    for remedy in () if document is None else document["remedies"]:
        amount = remedy.get("amount")
        if amount is not None:
            minor = Money.parse(amount["value"], amount["currency"]).minor
            totals[remedy["policy"], amount["currency"]] += minor


def counterfactual(
    store: LedgerStore, shard: str, policy_set: PolicySet, *, progress: Progress = no_progress
) -> Report:
    """Decide a shard's recorded events with ``policy_set`` and compare, decision by decision.

    The other policies have timers of their own, and reach whom they reach. The world is the recorded one.
    """
    report, recorded, replayed = Report(), dict[str, Document](), dict[str, Document]()
    other = Alternative(policy_set, aside=aside_of(store, shard, store.head(shard).size))

    def decide(happenings: Iterable[Happened]) -> None:
        for happened in happenings:
            for decision in happened.decisions:
                document = orjson.loads(canonical(decision.to_json()))
                report.take(document, replayed, recorded, is_recorded=False)

    for entry in store.entries(shard):
        progress(1)
        if entry.kind == Kind.DECISION:
            report.take(entry.document(), recorded, replayed, is_recorded=True)
        else:
            report.events += entry.kind == Kind.EVENT
            decide(other.entry(entry))
    decide(other.end())
    report.refused = other.refused
    for document in recorded.values():
        report.note(document, None)
    for document in replayed.values():
        report.note(None, document)
    return report
