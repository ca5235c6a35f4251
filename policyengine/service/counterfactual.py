"""What another policy set would have decided on the recorded events, state included."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.engine.supplement import retroactive_versions
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.in_memory import InMemory
from policyengine.service.machine import BY_THE_STATE, REACHED, TICKED, Happened, Machine, Refused
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, no_progress

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
    """Decide a shard's recorded events with ``policy_set`` and compare, decision by decision.

    The other policies have timers of their own, and reach whom they reach. The world is the recorded one.
    """
    other = _Other(policy_set)
    for entry in store.entries(shard):
        progress(1)
        other.entry(entry)
    return other.end()


class _Other:
    """A machine under other policies, fed with what came from outside, beside what was recorded."""

    def __init__(self, policy_set: PolicySet) -> None:
        self._report = Report()
        self._validator = Validator(policy_set.catalogue)
        self._memory = InMemory(remember=bool(retroactive_versions(policy_set.ruleset)))
        self._machine = Machine(policy_set.ruleset, self._memory)
        self._machine.adopt(policy_set.ruleset)
        self._recorded: dict[str, Mapping[str, Any]] = {}  # by decision, until its counterpart comes
        self._replayed: dict[str, Mapping[str, Any]] = {}

    def entry(self, entry: Entry) -> None:
        """Take a recorded decision down; let the other policies decide on what came from outside."""
        document = entry.document()
        if entry.kind == Kind.DECISION:
            self._take(document, self._recorded, self._replayed)
        elif entry.kind == Kind.EVENT:
            self._report.events += 1
            event = self._validator.validate(orjson.dumps(document["event"]))
            if isinstance(event, Event):
                self._decide(self._arrive(event))
            else:
                self._report.refused += 1
        elif entry.kind == Kind.REJECTED:
            if str(document.get("code")).startswith(BY_THE_STATE):
                event = self._validator.validate(b64decode(document["raw"]))
                if isinstance(event, Event):  # the other policies may have made another offer
                    happenings = self._arrive(event)
                    self._decide(one for one in happenings if isinstance(one, Happened))
        elif entry.kind == Kind.INTERNAL:
            event = self._validator.validate(orjson.dumps(document["event"]))
            if isinstance(event, Event) and event.type == TICKED:
                self._decide(self._machine.advance(to_micros(event.time)))
            elif isinstance(event, Event) and event.type == REACHED:
                self._decide(self._machine.piece(int(str(event.data["customers"]))))

    def end(self) -> Report:
        """Reach whom there is to reach still; what has no counterpart is compared with nothing."""
        while not self._machine.idle():
            self._decide(self._machine.piece())
        for document in self._recorded.values():
            self._report.note(document, None)
        for document in self._replayed.values():
            self._report.note(None, document)
        return self._report

    def _arrive(self, event: Event) -> Iterator[Happened | Refused]:
        """An event from outside; customers take their turn where they did, and where they are owed one."""
        if self._machine.owes_piece():
            yield from self._machine.piece()
        yield from self._machine.advance(to_micros(event.time))
        yield self._machine.receive(event)
        yield from self._machine.settle()

    def _decide(self, happenings: Iterable[Happened | Refused]) -> None:
        for one in happenings:
            if isinstance(one, Refused):
                self._report.refused += 1
                continue
            customer = "" if self._machine.effects.is_of_world(one.event) else one.event.subject
            self._memory.note(one.event, one.decisions, customer=customer, internal=one.internal)
            for decision in one.decisions:
                document = orjson.loads(canonical(decision.to_json()))
                self._take(document, self._replayed, self._recorded)

    def _take(
        self,
        document: Mapping[str, Any],
        here: dict[str, Mapping[str, Any]],
        there: dict[str, Mapping[str, Any]],
    ) -> None:
        """Compare a decision with its counterpart, or let it wait for that."""
        key = document["decision_id"]
        counterpart = there.pop(key, None)
        if counterpart is None:
            here[key] = document
        elif here is self._recorded:
            self._report.note(document, counterpart)
        else:
            self._report.note(counterpart, document)
