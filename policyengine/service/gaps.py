"""Where no policy applied, and what customers' signals say: counted from a ledger.

A gap is an event on which nothing was granted, offered, denied or answered to the customer whom it
concerns. Why a rule lost is read from traces; where the index passed over every rule, it is found out
again for some examples of each group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from policyengine.domain.catalogue import Attribute, Scope
from policyengine.domain.decision import Verdict
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.domain.values import Json, ValueType
from policyengine.domain.world import World, evolve_world
from policyengine.engine.explain import why_not
from policyengine.errors import LedgerError
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.history import situation
from policyengine.service.ports import LedgerStore
from policyengine.service.published import Books, Homes, Period
from policyengine.service.recorded import Progress, Recorded, digest_of, no_progress, revalidate

DIMENSIONS = ("type", "region", "reason")
_REASONS = frozenset(("reason", "because", "topic", "cause", "about"))
_TOGETHER = 500  # customers whose homes are looked up at once


@dataclass(slots=True)
class Group:
    """The gaps of one kind of event, region and reason; ``because``: why rules lost, by policy and rule."""

    key: tuple[str, ...]
    no_rule: int = 0
    lost: int = 0
    error: int = 0
    because: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: list[tuple[str, int]] = field(default_factory=list)  # shard and sequence: looked at closer
    example: str | None = None  # a decision's id

    @property
    def events(self) -> int:
        """All of them."""
        return self.no_rule + self.lost + self.error


@dataclass(slots=True)
class Gaps:
    """What there is to hear: gaps by group, signals, and versions under which nothing was ever decided."""

    by: tuple[str, ...]
    events: int = 0
    groups: dict[tuple[str, ...], Group] = field(default_factory=dict)
    signals: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    considered: Counter[tuple[str, int]] = field(default_factory=Counter)
    applied: Counter[tuple[str, int]] = field(default_factory=Counter)
    versions: dict[tuple[str, int], str] = field(default_factory=dict)  # in force → title

    def largest(self) -> list[Group]:
        """Groups, the largest first."""
        return sorted(self.groups.values(), key=lambda group: (-group.events, group.key))

    def heard(self) -> list[tuple[tuple[str, str, str, str], int]]:
        """Signals by name, value, policy and region, the commonest first."""
        return sorted(self.signals.items(), key=lambda item: (-item[1], item[0]))

    def silent(self) -> list[tuple[str, int]]:
        """Versions in force under which nothing was granted, offered or denied."""
        return sorted(key for key in self.versions if not self.applied[key])

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        return {
            "events": self.events,
            "gaps": sum(group.events for group in self.groups.values()),
            "groups": [self._group(group) for group in self.largest()],
            "signals": [
                {"name": name, "value": value, "policy": policy, "region": region, "count": count}
                for (name, value, policy, region), count in self.heard()
            ],
            "without_decision": [
                {"policy": policy, "version": version, "considered": self.considered[policy, version]}
                for policy, version in self.silent()
            ],
        }

    def _group(self, group: Group) -> dict[str, Json]:
        because: list[Json] = [
            {"policy": policy, "rule": rule, "because": text, "count": count}
            for (policy, rule, text), count in group.because.most_common()
        ]
        return {
            **dict(zip(self.by, group.key, strict=True)),
            "events": group.events,
            "no_rule": group.no_rule,
            "lost": group.lost,
            "error": group.error,
            "examined": len(group.examples),
            "because": because,
            "example": group.example,
        }


def find_gaps(
    store: LedgerStore,
    *,
    by: Sequence[str] = DIMENSIONS,
    period: Period = Period(),  # noqa: B008  # a value
    examine: int = 20,
    progress: Progress = no_progress,
) -> Gaps:
    """Read a ledger once; then look closer at ``examine`` examples of each group whose traces are empty."""
    gaps = Gaps(tuple(name for name in DIMENSIONS if name in by))
    books = Books(store)
    for shard in store.shards():
        reader = _Reader(store, shard, gaps, books, _Ask(period, examine))
        for entry in store.entries(shard):
            progress(1)
            reader.read(entry)
        reader.end()
        head = store.head(shard).policy_set
        if head:
            gaps.versions.update(books.at(head).titles())
    _look_closer(store, gaps)
    return gaps


def _look_closer(store: LedgerStore, gaps: Gaps) -> None:
    """Why the rules lost that the index passed over, in the examples of each group."""
    recorded = Recorded(store)
    examples = sorted((example, group.key) for group in gaps.groups.values() for example in group.examples)
    worlds: dict[str, _Worlds] = {}
    for (shard, seq), key in examples:
        entry = store.entry(shard, seq)
        if entry is None:
            message = f"entry {seq} of shard {shard} is gone; run `verify`"
            raise LedgerError(message, code="PE712")
        was = situation(store, entry, recorded)
        world = worlds.setdefault(shard, _Worlds(store, shard, recorded)).before(seq)
        ruleset = was.policy_set.ruleset
        on = {
            (one.policy.id, one.policy.version, one.id)
            for one in ruleset.rules
            if was.event.type in one.event_types
        }
        found = why_not(ruleset, was.state, world, was.event, was.entity)
        lost = [rule for rule in found if (rule.policy, rule.version, rule.rule) in on and not rule.shadow]
        # where every rule is for something else that a customer may have, that is the reason
        rules = [rule for rule in lost if rule.verdict is not Verdict.EVENT] or lost
        in_force = {rule.policy for rule in rules if rule.verdict is not Verdict.WINDOW}
        for rule in rules:
            if rule.verdict is not Verdict.WINDOW or rule.policy not in in_force:
                gaps.groups[key].because[rule.policy, rule.rule, why_lost(rule.to_json())] += 1


class _Worlds:
    """The world before one entry after the other, in the order of their sequence."""

    def __init__(self, store: LedgerStore, shard: str, recorded: Recorded) -> None:
        self._entries = store.world_events(shard, store.head(shard).size)
        self._next = next(self._entries, None)
        self._recorded = recorded
        self._world = World()

    def before(self, seq: int) -> World:
        """The world as it was when that entry was written."""
        while self._next is not None and self._next.seq < seq:
            policy_set, validator = self._recorded.at(digest_of(self._next))
            event = revalidate(validator, self._next)
            if policy_set.catalogue.events[event.type].scope is Scope.WORLD:
                self._world = evolve_world(self._world, event, policy_set.catalogue)
            self._next = next(self._entries, None)
        return self._world


class _Ask(NamedTuple):
    """Which events count, and how many examples of a group are looked at closer."""

    period: Period
    examine: int


@dataclass(slots=True)
class _Case:
    """An event, and what was decided for the customer whom it concerns; of the world's, for all of them."""

    source: str
    id: str
    customer: str
    type: str
    digest: str
    data: Mapping[str, Any]
    decision: str | None = None
    seq: int = -1
    answered: bool = False
    error: bool = False
    counts: bool = True
    because: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def take(self, other: _Case) -> None:
        """Add what the same event of the world came to for one customer."""
        if self.decision is None:
            self.decision, self.seq = other.decision, other.seq
        self.answered = self.answered or other.answered
        self.error = self.error or (other.error and not other.answered)
        self.because.update(other.because)


class _Reader:
    """Reads the entries of one shard in order: an event, then the decisions on it."""

    def __init__(self, store: LedgerStore, shard: str, gaps: Gaps, books: Books, ask: _Ask) -> None:
        self._shard = shard
        self._gaps = gaps
        self._books = books
        self._ask = ask
        self._homes = Homes(store, shard)
        self._last: tuple[str, str, Mapping[str, Any]] = ("", "", {})
        self._world: dict[tuple[str, str], _Case] = {}  # events that reach customers
        self._case: _Case | None = None
        self._waiting: list[tuple[_Case | None, str, list[tuple[str, str, str]]]] = []

    def read(self, entry: Entry) -> None:
        """Take the next entry in."""
        if entry.kind == Kind.DECISION:
            self._decision(entry)
            return
        self._close()
        if entry.kind in (Kind.EVENT, Kind.INTERNAL):
            self._event(entry)

    def end(self) -> None:
        """There are no more entries: what became of the events of the world is known now."""
        self._close()
        for case in self._world.values():
            reached = case.decision is not None
            if case.counts and (case.error or not case.answered) and (reached or not self._is_on(case)):
                self._count(case, str(case.data.get("region", "")))
        self._place()

    def _event(self, entry: Entry) -> None:
        event = entry.document()["event"]
        source, key, kind, data = event["source"], event["id"], event["type"], event["data"]
        self._last = (source, key, data)
        book = self._books.at(digest_of(entry))
        if book.catalogue.events[kind].scope is not Scope.WORLD:
            return
        case = self._world[source, key] = _Case(source, key, "", kind, digest_of(entry), data)
        case.counts = source != INTERNAL_SOURCE and self._ask.period.holds(
            datetime.fromisoformat(event["time"])
        )
        self._gaps.events += case.counts

    def _decision(self, entry: Entry) -> None:
        document = entry.document()
        event, customer = document["event"], document["customer"]
        if not self._ask.period.holds(datetime.fromisoformat(event["time"])):
            self._close()
            return
        case = self._case
        if case is None or (case.source, case.id, case.customer) != (event["source"], event["id"], customer):
            self._close()
            case = self._case = self._new(entry, event, customer)
        if case.decision is None:
            case.decision, case.seq = document["decision_id"], entry.seq
        self._look(case, document)
        signals = [
            (one["name"], one.get("value", ""), one["policy"])
            for one in document["remedies"]
            if one["kind"] == "signal"
        ]
        if signals:
            self._wait(None, customer, signals)

    def _new(self, entry: Entry, event: Mapping[str, Any], customer: str) -> _Case:
        key = (event["source"], event["id"])
        data = self._last[2] if self._last[:2] == key else {}
        return _Case(*key, customer, event["type"], digest_of(entry), data)

    def _is_on(self, case: _Case) -> bool:
        """Whether some rule is on such an event."""
        return case.type in self._books.at(case.digest).on

    def _look(self, case: _Case, document: Mapping[str, Any]) -> None:
        answer = document.get("answer")
        governed = answer is not None and answer["governs"] is not None
        if governed or document["outcome"] != "none" or document.get("settles"):
            case.answered = True
        for rule in document["trace"]:
            if rule.get("shadow"):
                continue
            version = (rule["policy"], rule["version"])
            self._gaps.considered[version] += 1
            if rule["verdict"] == Verdict.APPLIED:
                self._gaps.applied[version] += 1
                case.answered = True
            else:
                case.error = case.error or rule["verdict"] == Verdict.ERROR
                case.because[rule["policy"], rule["rule"], why_lost(rule)] += 1

    def _close(self) -> None:
        case, self._case = self._case, None
        if case is None or case.source == INTERNAL_SOURCE:
            return
        world = self._world.get((case.source, case.id))
        if world is not None:
            world.take(case)
            return
        self._gaps.events += 1
        if not case.answered:
            self._wait(case, case.customer, [])

    def _wait(self, case: _Case | None, customer: str, signals: list[tuple[str, str, str]]) -> None:
        self._waiting.append((case, customer, signals))
        if len(self._waiting) >= _TOGETHER:
            self._place()

    def _place(self) -> None:
        """Look up where those live who wait to be counted, and count them."""
        homes = self._homes.of([customer for _, customer, _ in self._waiting])
        for case, customer, signals in self._waiting:
            for name, value, policy in signals:
                self._gaps.signals[name, value, policy, homes[customer]] += 1
            if case is not None:
                self._count(case, homes[customer])
        self._waiting.clear()

    def _count(self, case: _Case, region: str) -> None:
        book = self._books.at(case.digest)
        reason = reason_of(book.catalogue.events[case.type].attributes, case.data)
        dimensions = {"type": case.type, "region": region, "reason": reason}
        key = tuple(dimensions[name] for name in self._gaps.by)
        group = self._gaps.groups.setdefault(key, Group(key))
        group.example = group.example or case.decision
        if case.error:
            group.error += 1
        elif case.because or self._is_on(case):
            group.lost += 1
            if not case.because and len(group.examples) < self._ask.examine:
                group.examples.append((self._shard, case.seq))
        else:
            group.no_rule += 1
        group.because.update(case.because)


def why_lost(rule: Mapping[str, Any]) -> str:
    """Why a traced rule lost, in the same words for every event: the first clause that did not hold."""
    if rule["verdict"] == Verdict.WINDOW:
        return "not in force then"
    for clause in rule["clauses"]:
        if clause["result"] == "failed":
            return f"`{clause['clause']}` does not hold"
        if clause["result"] != "held":
            absent = ", ".join(clause.get("absent", []))
            told = f"{absent} absent" if absent else "cannot be computed"
            return f"`{clause['clause']}`: {told}"
    return str(rule["because"])


def reason_of(attributes: Mapping[str, Attribute], data: Mapping[str, Any]) -> str:
    """What an event gives as its reason: its texts that are called reason, because, topic, cause or about."""
    texts = (one.name for one in attributes.values() if one.type is ValueType.TEXT)
    named = sorted(name for name in texts if _REASONS & set(name.split("_")))
    return ", ".join(str(data[name]) for name in named if name in data)
