"""What a version that reaches back would grant if it were published now: for the owner, before it is.

Nothing is written: the shard's machine goes on in memory from where the ledger stands, under the other
policy set, until the version has been through with everybody. What it grants is engine.supplement's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson

from policyengine.domain.catalogue import Scope
from policyengine.domain.decision import Decision, decision_id
from policyengine.domain.kept import parts_of, version_id
from policyengine.domain.money import Money
from policyengine.domain.near import did_you_mean
from policyengine.domain.remedies import WORTH_KINDS
from policyengine.domain.state import to_micros
from policyengine.engine.ruleset import PolicyVersion, RuleSet
from policyengine.engine.supplement import retroactive_versions, takes_effect
from policyengine.errors import UsageError
from policyengine.ledger.canonical import canonical
from policyengine.service.agenda import TOOK_EFFECT, took_effect
from policyengine.service.ledger_memory import LedgerMemory
from policyengine.service.machine import REACHED, Happened, Machine
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, no_progress
from policyengine.service.refold import Folding

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Touched:
    """A decision that would be added to: the supplement's document, and the policy's remedies before it."""

    shard: str
    version: int
    supplement: Document
    granted: Sequence[Document]

    def to_json(self) -> dict[str, Any]:
        """For programs; ``decision_id`` is the decision that is added to, None where there was none."""
        made = self.supplement
        return {
            "shard": self.shard,
            "version": self.version,
            "decision_id": made.get("supplements"),
            "supplement": made["decision_id"],
            "customer": made["customer"],
            "entity": made["entity"],
            "event": made["event"],
            "granted": list(self.granted),
            "added": made["remedies"],
            "offers": made["offers"],
            "messages": made["messages"],
        }


@dataclass(slots=True)
class Reach:
    """A version that reaches back: when, in which shards it has, and how many customers it looks at."""

    version: int
    takes_effect: datetime
    took_effect: list[str] = field(default_factory=list)  # shards
    looked_at: int = 0

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "version": self.version,
            "takes_effect": self.takes_effect.isoformat(),
            "took_effect": self.took_effect,
            "looked_at": self.looked_at,
        }


@dataclass(frozen=True, slots=True)
class Affected:
    """What would be added, in the order in which it would be recorded, and what it adds up to."""

    policy: str
    versions: list[Reach]
    decisions: list[Touched]

    @property
    def customers(self) -> int:
        """How many customers would be granted something."""
        return len({one.supplement["customer"] for one in self.decisions})

    def kinds(self) -> Counter[str]:
        """The remedies that would be granted, by kind."""
        return Counter(remedy["kind"] for remedy in self._remedies())

    def offers(self) -> int:
        """The choices that would be offered."""
        return sum(len(one.supplement["offers"]) for one in self.decisions)

    def money(self) -> list[Money]:
        """What would be paid or promised, by currency; what would not be charged is not in it."""
        minor: Counter[str] = Counter()
        for remedy in self._remedies():
            amount = remedy.get("amount")
            if amount is not None and remedy["kind"] in WORTH_KINDS:
                money = Money.parse(amount["value"], amount["currency"])
                minor[money.currency] += money.minor
        return [Money(minor[currency], currency) for currency in sorted(minor)]

    def _remedies(self) -> Iterator[Document]:
        return (remedy for one in self.decisions for remedy in one.supplement["remedies"])

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "policy": self.policy,
            "versions": [one.to_json() for one in self.versions],
            "decisions": [one.to_json() for one in self.decisions],
            "customers": self.customers,
            "money": [{"currency": one.currency, "value": one.value} for one in self.money()],
            "kinds": dict(sorted(self.kinds().items())),
            "offers": self.offers(),
        }


def find_affected(
    store: LedgerStore, policy_set: PolicySet, policy: str, *, progress: Progress = no_progress
) -> Affected:
    """What the policy's versions that have not taken effect would grant for the past of every shard.

    As the ledger stands: no more events come. Where a version takes effect at a later time, that time
    passes first, and whatever is due by then happens. UsageError where the set has no such policy.
    """
    known = sorted({one.policy for one in policy_set.policies})
    if policy not in known:
        hint = did_you_mean(policy, known)
        message = f"no policy `{policy}`; {hint or 'see the folder of rules'}"
        raise UsageError(message)
    versions = [one for one in retroactive_versions(policy_set.ruleset) if one.id == policy]
    reaches = {one.version: Reach(one.version, takes_effect(one)) for one in versions}
    found = Affected(policy, list(reaches.values()), [])
    for shard in store.shards() if versions else ():
        imagined = _Imagined(store, shard, policy_set.ruleset, progress)
        waiting = [one for one in versions if not took_effect(one, imagined.memory.world)]
        for one in versions:
            if one not in waiting:
                reaches[one.version].took_effect.append(shard)
        if waiting:
            found.decisions.extend(imagined.publish(waiting, reaches))
    return found


class _Imagined:
    """A shard as the ledger holds it, which goes on in memory under another policy set."""

    def __init__(self, store: LedgerStore, shard: str, ruleset: RuleSet, progress: Progress) -> None:
        folding, upto = Folding(store, shard), 0
        for entry in store.entries(shard):
            progress(1)
            folding.entry(entry)
            upto = entry.seq + 1
        folding.settle()
        self.memory: LedgerMemory = folding.memory
        self.memory.imagine(upto)
        self._shard = shard
        self._ruleset = ruleset
        self._machine = Machine(ruleset, self.memory)

    def publish(self, versions: Sequence[PolicyVersion], reaches: Mapping[int, Reach]) -> Iterator[Touched]:
        """Adopt the policy set, let the versions take effect, and reach whoever is to be reached.

        They add to what is decided in between, too: by a job that is under way, by timers.
        """
        self._machine.adopt(self._ruleset)
        names = {f"{TOOK_EFFECT}:{version_id(one.id, one.version)}": one.version for one in versions}
        for happened in self._until(max(to_micros(takes_effect(one)) for one in versions)):
            data = happened.event.data
            if happened.event.type == REACHED and data.get("cause_id") in names:
                reaches[names[str(data["cause_id"])]].looked_at += int(str(data["customers"]))
            yield from self._noted(happened, versions)

    def _until(self, time: int) -> Iterator[Happened]:
        """What happens by then, and until everybody has been reached."""
        yield from self._machine.advance(time)
        while not self._machine.idle():
            yield from self._machine.piece()

    def _noted(self, happened: Happened, versions: Sequence[PolicyVersion]) -> Iterator[Touched]:
        """The supplements among what happened; then it is part of the past."""
        event = happened.event
        for customer, made in groupby(happened.decisions, lambda one: one.customer):
            yield from self._touched(customer, list(made), versions)
        of_world = self._ruleset.catalogue.events[event.type].scope is Scope.WORLD
        customer = "" if of_world else event.subject
        self.memory.note(event, happened.decisions, customer=customer, internal=happened.internal)

    def _touched(
        self, customer: str, made: Sequence[Decision], versions: Sequence[PolicyVersion]
    ) -> Iterator[Touched]:
        """The versions' supplements for a customer, beside what was granted before them."""
        before: list[Document] | None = None
        for number, decision in enumerate(made):
            version = _version_of(decision, versions)
            if version is None:
                continue
            if before is None:
                before = [document for past in self.memory.past(customer) for document in past.decisions]
            document: Document = orjson.loads(canonical(decision.to_json()))
            known = [*before, *(one.to_json() for one in made[:number])]
            yield Touched(self._shard, version.version, document, list(_granted(known, document, version.id)))


def _version_of(decision: Decision, versions: Sequence[PolicyVersion]) -> PolicyVersion | None:
    """Whose supplement a decision is, by its id; of an event of the world, the customer is part of it."""
    for one in versions:
        name = version_id(one.id, one.version)
        for more in ((name,), (decision.customer, name)):
            if decision.decision_id == decision_id(
                decision.source, decision.event_id, decision.entity, *more
            ):
                return one
    return None


def _granted(before: Iterable[Document], supplement: Document, policy: str) -> Iterator[Document]:
    """What the policy granted for the event and entity of a supplement, and what was chosen of its offers."""
    event, entity, ids = supplement["event"], supplement["entity"], set[str]()
    for document in before:
        own = document["entity"] == entity and all(document["event"][k] == event[k] for k in ("source", "id"))
        if own:
            ids.add(document["decision_id"])
        chosen = {
            parts[1:]
            for parts in (parts_of(one["offer"]) for one in document.get("settles", ()))
            if parts[0] in ids
        }
        for remedy in document["remedies"]:
            if remedy["policy"] == policy and (own or (policy, remedy["rule"]) in chosen):
                yield remedy
