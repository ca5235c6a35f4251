"""What another policy set would have decided on the recorded events, state included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.state import CustomerState
from policyengine.domain.validation import Validator
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, no_progress
from policyengine.service.step import step

EXAMPLES = 10
_NAMES = ("version", "rule", "title")


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
    refused: int = 0  # recorded events that the other catalogue does not accept
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


def _substance(document: Mapping[str, Any] | None) -> Any:
    """What counts as a change: outcome, remedies, offers, denials; not versions, words or traces."""
    if document is None:
        return None
    denials = [denial["reason"] for denial in document["denials"]]
    return document["outcome"], _given(document["remedies"]), _given(document["offers"]), denials


def _given(part: Any) -> Any:
    """Remedies or offers without the names of what gave them and of what they are called."""
    if isinstance(part, Mapping):
        return {key: _given(value) for key, value in part.items() if key not in _NAMES}
    return [_given(value) for value in part] if isinstance(part, list) else part


def _add_money(totals: Counter[tuple[str, str]], document: Mapping[str, Any] | None) -> None:
    for remedy in () if document is None else document["remedies"]:
        amount = remedy.get("amount")
        if amount is not None:
            minor = Money.parse(amount["value"], amount["currency"]).minor
            totals[remedy["policy"], amount["currency"]] += minor


def counterfactual(
    store: LedgerStore, shard: str, policy_set: PolicySet, *, progress: Progress = no_progress
) -> Report:
    """Decide a shard's recorded events with ``policy_set`` and compare, decision by decision."""
    report = Report()
    validator = Validator(policy_set.catalogue)
    states: dict[str, CustomerState] = {}
    for event_entry, decided in _groups(store, shard, progress):
        report.events += 1
        event = validator.validate(orjson.dumps(event_entry.document()["event"]))
        recorded = {document["decision_id"]: document for document in decided}
        replayed: dict[str, Mapping[str, Any]] = {}
        if isinstance(event, Event):
            state = states.get(event.subject) or CustomerState(event.subject)
            states[event.subject], decisions = step(policy_set.ruleset, state, event)
            for decision in decisions:
                replayed[decision.decision_id] = orjson.loads(canonical(decision.to_json()))
        else:
            report.refused += 1
        for key in {**recorded, **replayed}:
            report.note(recorded.get(key), replayed.get(key))
    return report


def _groups(
    store: LedgerStore, shard: str, progress: Progress
) -> Iterator[tuple[Entry, list[dict[str, Any]]]]:
    """Each event entry with the decisions recorded for it."""
    event: Entry | None = None
    decided: list[dict[str, Any]] = []
    for entry in store.entries(shard):
        progress(1)
        if entry.kind == Kind.DECISION:
            decided.append(entry.document())
        elif entry.kind == Kind.EVENT:
            if event is not None:
                yield event, decided
            event, decided = entry, []
    if event is not None:
        yield event, decided
