"""What a ledger's year adds up to: what was declared, who was reached and why, who got what, and the money.

One pass over the entries of a shard. How it is shown is the command line's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from policyengine.domain.money import Money
from policyengine.domain.remedies import WORTH_KINDS
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.agenda import TOOK_EFFECT
from policyengine.service.ports import LedgerStore

_FITS = 16  # events and grants that fit on a page
_UNASKED, _OFFERED, _CHOSE, _TOLD = 1, 2, 4, 8  # what a customer's year may hold


class WorldEvent(NamedTuple):
    """An event of the world: the day on which it was told, its type, its entity's id and its data."""

    day: str
    type: str
    id: str
    data: Mapping[str, Any]


@dataclass(slots=True)
class Line:
    """What came of one policy version, or of one type of event: customers, remedies, and money.

    Money is in minor units by currency: ``given`` is paid or promised, ``spared`` was not charged.
    """

    customers: set[str] = field(default_factory=set)
    decisions: int = 0
    remedies: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    spared: Counter[str] = field(default_factory=Counter)

    def add(self, customer: str, remedies: list[dict[str, Any]], choices: int) -> None:
        """Count a decision in, or one policy's part of it."""
        self.customers.add(customer)
        self.decisions += 1
        if choices:
            self.remedies["a choice"] += choices
        for remedy in remedies:
            self.remedies[remedy["kind"]] += 1
            amount = remedy.get("amount")
            if amount is not None:
                money = Money.parse(amount["value"], amount["currency"])
                side = self.given if remedy["kind"] in WORTH_KINDS else self.spared
                side[money.currency] += money.minor

    def merge(self, other: Line) -> None:
        """Count another line in."""
        self.customers |= other.customers
        self.decisions += other.decisions
        self.remedies.update(other.remedies)
        self.given.update(other.given)
        self.spared.update(other.spared)


@dataclass(slots=True)
class Summary:
    """All that a shard recorded.

    ``unasked``: what events of the world brought about, by type; ``fired``: the engine's own events, by
    type, and ``in_time`` what came of those that are a customer's. ``settled`` counts offers by who
    settled them; ``refused`` codes, each with its first reason.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    world: list[WorldEvent] = field(default_factory=list)
    unasked: dict[str, Line] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    in_time: dict[str, Line] = field(default_factory=dict)
    policies: dict[tuple[str, int], Line] = field(default_factory=dict)
    offers: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    showcase: str | None = None  # a decision worth showing
    customer: str | None = None  # and a customer whose year is


def summarise(store: LedgerStore, shard: str) -> Summary:
    """Read every entry once."""
    reader = _Reader()
    for entry in store.entries(shard):
        reader.read(entry)
    return reader.close()


class _Reader:
    def __init__(self) -> None:
        self._summary = Summary()
        self._of_world: set[str] = set()
        self._best = 0
        self._years: dict[str, int] = {}  # by customer: what their year holds
        self._length: Counter[str] = Counter()

    def read(self, entry: Entry) -> None:
        if entry.kind == Kind.REJECTED:
            document = entry.document()
            self._summary.refused[document["code"]] += 1
            self._summary.reasons.setdefault(document["code"], document["reason"])
        elif entry.kind in {Kind.EVENT, Kind.INTERNAL}:
            self._event(entry)
        elif entry.kind == Kind.DECISION:
            self._decision(entry.document())

    def _event(self, entry: Entry) -> None:
        event = entry.document()["event"]
        if entry.kind == Kind.INTERNAL:
            self._summary.fired[event["type"]] += 1
        if entry.customer is None:
            self._of_world.add(event["type"])
            told = WorldEvent(event["time"][:10], event["type"], event["subject"], event["data"])
            self._summary.world.append(told)
        else:
            self._length[entry.customer] += 1

    def _decision(self, document: dict[str, Any]) -> None:
        summary, customer = self._summary, document["customer"]
        summary.outcomes[document["outcome"]] += 1
        summary.offers += len(document["offers"])
        for settled in document.get("settles", ()):
            summary.settled[settled["by"]] += 1
        event, remedies, offers = document["event"], document["remedies"], document["offers"]
        if not remedies and not offers:
            return
        self._length[customer] += 1
        for key in dict.fromkeys((one["policy"], one["version"]) for one in (*remedies, *offers)):
            line = summary.policies.setdefault(key, Line())
            mine = [one for one in remedies if (one["policy"], one["version"]) == key]
            line.add(customer, mine, sum((one["policy"], one["version"]) == key for one in offers))
        unasked = event["type"] in self._of_world
        if unasked:
            summary.unasked.setdefault(event["type"], Line()).add(customer, remedies, len(offers))
        elif event["source"] == INTERNAL_SOURCE or "supplements" in document:
            cause = TOOK_EFFECT if "supplements" in document else event["type"]
            summary.in_time.setdefault(cause, Line()).add(customer, remedies, len(offers))
        self._show(document, unasked=unasked)

    def _show(self, document: dict[str, Any], *, unasked: bool) -> None:
        """invariant: the same ledger shows the same customer."""
        customer = document["customer"]
        chose = any(settled["by"] == "customer" for settled in document.get("settles", ()))
        told = len(document["messages"]) > 1
        self._years[customer] = (
            self._years.get(customer, 0)
            | _UNASKED * unasked
            | _OFFERED * bool(document["offers"])
            | _CHOSE * chose
            | _TOLD * told
        )
        score = _telling(document) + 50 * unasked
        if told and score > self._best:
            self._best, self._summary.showcase = score, document["decision_id"]

    def close(self) -> Summary:
        summary = self._summary
        if self._years:
            summary.customer = max(
                self._years,
                key=lambda one: (self._years[one].bit_count(), -abs(self._length[one] - _FITS), one),
            )
        return summary


def _telling(document: Mapping[str, Any]) -> int:
    """How much there is to see: rules that lost for several reasons, money, remedies."""
    verdicts = {rule["verdict"] for rule in document["trace"]}
    money = any("amount" in remedy for remedy in document["remedies"])
    return 10 * len(verdicts) + 20 * money + 3 * len(document["remedies"]) + len(document["trace"])
