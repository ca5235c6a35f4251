"""The same answer for the same case, whoever asks and through whatever channel: proved from a ledger.

Decisions are grouped by the facts that rules read (service.circumstances). Where equal cases were answered
differently, the causes that the ledger knows of are named; a difference without one is a finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from policyengine.domain.decision import Ref, Verdict
from policyengine.domain.events import Event
from policyengine.domain.values import Json
from policyengine.errors import LedgerError
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.circumstances import (
    Circumstances,
    Names,
    Seen,
    Texts,
    answered,
    circumstances,
    deciding,
    equal_by,
    given,
    look,
    relevant,
    shown,
)
from policyengine.service.machine import REACHED
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, Recorded, digest_of, engine_of, no_progress, revalidate
from policyengine.service.refold import Folding

UNNAMED = "(not named)"
EXPLAINED = frozenset(
    (
        "version",
        "policy set",
        "parameter",
        "enforcement",
        "cap",
        "group",
        "earlier",
        "time",
        "reference",
        "engine",
        "accepted",
    )
)
_RESOLVED = {
    Verdict.CAP: "cap",
    Verdict.EXCLUSIVE: "group",
    Verdict.FLOOR: "group",
    Verdict.PRIORITY: "group",
}


class Cause(NamedTuple):
    """Why two answers differ, as far as the ledger tells; ``policy`` is "" where no single one did."""

    policy: str
    cause: str
    text: str


@dataclass(slots=True)
class Answer:
    """One of the answers to a case: its first decision, and how often it was given in which channel."""

    entry: Entry
    document: Mapping[str, Any]
    seen: Seen
    event: Event
    channels: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Case:
    """Equal facts that were answered differently."""

    event_type: str
    entity: str | None
    facts: Mapping[str, Json]
    answers: dict[bytes, Answer] = field(default_factory=dict)
    causes: list[Cause] = field(default_factory=list)

    @property
    def explained(self) -> bool:
        """Whether every difference has a cause that is a rule of the engine's, not of the channel."""
        return not any(cause.cause not in EXPLAINED for cause in self.causes)

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        answers: list[Json] = [
            {
                "decision_id": one.document["decision_id"],
                "customer": one.document["customer"],
                "time": one.document["event"]["time"],
                "channels": dict(one.channels),
                "given": given(one.document),
            }
            for one in self.answers.values()
        ]
        return {
            "event": self.event_type,
            "entity": self.entity,
            "facts": dict(self.facts),
            "explained": self.explained,
            "causes": [cause._asdict() for cause in self.causes],
            "answers": answers,
        }


@dataclass(slots=True)
class Channel:
    """What was decided through one channel; ``shared``: cases that came through another one too."""

    decisions: int = 0
    cases: int = 0
    shared: int = 0
    differing: int = 0


@dataclass(slots=True)
class Consistency:
    """The report: how many cases there are, how they came in, and those answered differently."""

    decisions: int = 0
    cases: int = 0
    repeated: int = 0
    channels: dict[str, Channel] = field(default_factory=dict)
    differing: list[Case] = field(default_factory=list)

    @property
    def unexplained(self) -> list[Case]:
        """The findings."""
        return [case for case in self.differing if not case.explained]

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        channels: list[Json] = [
            {
                "channel": name,
                "decisions": one.decisions,
                "cases": one.cases,
                "shared": one.shared,
                "differing": one.differing,
            }
            for name, one in sorted(self.channels.items())
        ]
        return {
            "decisions": self.decisions,
            "cases": self.cases,
            "repeated": self.repeated,
            "channels": channels,
            "differing": [case.to_json() for case in self.differing],
            "unexplained": len(self.unexplained),
        }


class _Found(NamedTuple):
    """A decision that can be compared with others."""

    key: bytes
    result: bytes
    channel: str
    names: frozenset[str]
    answer: Answer


def compare(
    store: LedgerStore,
    *,
    channel: str = "channel",
    accepted: frozenset[str] = frozenset(),
    progress: Progress = no_progress,
) -> Consistency:
    """Go through a ledger once; a second time for the details, where anything differs.

    ``accepted``: policies that may look at the channel, because it is what they are about.
    """
    reader = _Reader(store, channel, accepted)
    report, known, numbers = Consistency(), dict[bytes, list[Any]](), dict[str, int]()
    for found in reader.decisions(progress):
        report.decisions += 1
        report.channels.setdefault(found.channel, Channel()).decisions += 1
        bit = 1 << numbers.setdefault(found.channel, len(numbers))
        case = known.setdefault(found.key, [found.result, 0, 0, False])
        case[1] |= bit
        case[2] += 1
        case[3] = case[3] or case[0] != found.result
    report.cases = len(known)
    for _, through, count, differs in known.values():
        report.repeated += count > 1
        for name, number in numbers.items():
            if through >> number & 1:
                line = report.channels[name]
                line.cases += 1
                line.shared += through.bit_count() > 1
                line.differing += differs and through.bit_count() > 1
    different = {key for key, case in known.items() if case[3]}
    if different:
        report.differing = _details(reader, different)
    return report


def _details(reader: _Reader, different: set[bytes]) -> list[Case]:
    cases: dict[bytes, Case] = {}
    for found in reader.decisions(no_progress):
        if found.key in different:
            answer = found.answer
            case = cases.get(found.key)
            if case is None:
                entity = answer.document["entity"]
                facts = shown(answer.seen, found.names, reader.kinds(answer), answer.event.type)
                case = Case(answer.event.type, None if entity is None else entity["type"], facts)
                cases[found.key] = case
            case.answers.setdefault(found.result, answer).channels[found.channel] += 1
    for case in cases.values():
        first, *others = case.answers.values()
        case.causes = list(dict.fromkeys(cause for other in others for cause in reader.causes(first, other)))
    return sorted(cases.values(), key=lambda case: (case.explained, case.event_type))


class _Reader:
    """Goes through the decisions of a ledger with what each of them saw."""

    def __init__(self, store: LedgerStore, channel: str, accepted: frozenset[str]) -> None:
        self._store = store
        self._accepted = accepted
        self._channel = channel
        self._recorded = Recorded(store)
        self._texts = Texts()
        self._names: dict[tuple[str, str | None], frozenset[str]] = {}
        self._kinds: dict[str, Names] = {}
        self._sets = {
            str(entry.ref): None
            for shard in store.shards()
            for entry in store.entries(shard)
            if entry.kind == Kind.POLICY_SET
        }

    def kinds(self, answer: Answer) -> Names:
        """What names stand for in the catalogue that was in force."""
        digest = digest_of(answer.entry)
        if digest not in self._kinds:
            self._kinds[digest] = Names(self._recorded.at(digest)[0].catalogue, self._channel)
        return self._kinds[digest]

    def decisions(self, progress: Progress) -> Iterator[_Found]:
        """Every decision that follows from facts alone: not one that settles an offer or adds to another."""
        for shard in self._store.shards():
            folding, event, of_event = Folding(self._store, shard), None, UNNAMED
            for entry in self._store.entries(shard):
                progress(1)
                if entry.kind == Kind.DECISION and event is not None:
                    document = entry.document()
                    if not document.get("settles") and not document.get("supplements"):
                        yield from self._look(entry, document, folding, event, of_event)
                folding.entry(entry)
                if entry.kind in (Kind.EVENT, Kind.INTERNAL):
                    event = self._event(entry, folding)
                    of_event = self._channel_of(event)

    def _event(self, entry: Entry, folding: Folding) -> Event:
        """The event that the next decisions are on: the entry's own, or that of the job it is a piece of."""
        validator = self._recorded.at(digest_of(entry))[1]
        event = revalidate(validator, entry)
        if event.type != REACHED:
            return event
        cause = validator.validate(orjson.dumps(folding.memory.world.jobs[0].event))
        if not isinstance(cause, Event):
            message = f"entry {entry.seq} is a piece of a job without an event; run `verify`"
            raise LedgerError(message, code="PE712")
        return cause

    def _channel_of(self, event: Event) -> str:
        named = event.document.get(self._channel)
        data = event.document.get("data")
        if named is None and isinstance(data, Mapping):
            named = data.get(self._channel)
        return UNNAMED if named is None else str(named)

    def _look(
        self, entry: Entry, document: Mapping[str, Any], folding: Folding, event: Event, channel: str
    ) -> Iterator[_Found]:
        ref = None if document["entity"] is None else Ref(**document["entity"])
        names = self._read(event.type, None if ref is None else ref.type)
        if document.get("answer") is not None:
            names |= {"event.about", "event.as_of" if "as_of" in event.data else "event.time"}
        if not names or (document["event"]["source"], document["event"]["id"]) != (event.source, event.id):
            return
        ruleset = self._recorded.at(digest_of(entry))[0].ruleset
        seen = look(ruleset, folding.memory.state(document["customer"]), folding.memory.world, event, ref)
        answer = Answer(entry, document, seen, event)
        digest = equal_by(seen, names, self.kinds(answer), event.type)
        kind = f"{event.type}/{'' if ref is None else ref.type}/".encode()
        yield _Found(kind + digest, answered(document), channel, names, answer)

    def _read(self, event_type: str, entity: str | None) -> frozenset[str]:
        """What the rules of any policy set of the ledger decide by on such an event."""
        key = (event_type, entity)
        if key not in self._names:
            sets = [self._recorded.at(digest)[0].ruleset for digest in self._sets]
            rules = [rule for ruleset in sets for rule in relevant(ruleset, event_type, entity)]
            read = frozenset(name for rule in rules for name in deciding(rule))
            self._names[key] = read | ({"event.type"} if rules else frozenset())
        return self._names[key]

    # --- why -----------------------------------------------------------------------------------------

    def causes(self, one: Answer, other: Answer) -> Iterator[Cause]:
        """Why two answers differ, for each policy that gave something else."""
        policies = {rule.policy.id for answer in (one, other) for rule in answer.seen.rules}
        different = sorted(
            policy for policy in policies if given(one.document, policy) != given(other.document, policy)
        )
        for policy in different:
            yield from self._of_policy(one, other, policy)
        if not different:
            yield _of_sets(one, other)

    def _of_policy(self, one: Answer, other: Answer, policy: str) -> Iterator[Cause]:
        found = [*_in_traces(one, other, policy)]
        found += _in_circumstances(
            policy, self._circumstances(one, policy), self._circumstances(other, policy)
        )
        if not any(cause.cause in EXPLAINED for cause in found) and engine_of(one.entry) != engine_of(
            other.entry
        ):
            engines = f"{engine_of(one.entry)}, then {engine_of(other.entry)}"
            found.append(Cause(policy, "engine", f"decided by {engines}"))
        if policy in self._accepted:
            found = [one._replace(cause="accepted") if one.cause == "channel" else one for one in found]
        yield from found or [Cause(policy, "nothing", "not explained by anything recorded")]

    def _circumstances(self, answer: Answer, policy: str) -> Circumstances:
        policy_set = self._recorded.at(digest_of(answer.entry))[0]
        texts = self._texts.of(policy_set)
        return circumstances(answer.seen, policy, self.kinds(answer), answer.event.type, texts)


def _of_sets(one: Answer, other: Answer) -> Cause:
    sets = [answer.document["policy_set"] for answer in (one, other)]
    if sets[0] != sets[1]:
        return Cause("", "policy set", f"policy set {sets[0][:12]}, then {sets[1][:12]}")
    if one.document.get("answer") is not None and one.event.time != other.event.time:
        return Cause("", "time", f"asked at {one.event.time}, then at {other.event.time}")
    return Cause("", "nothing", "not explained by anything recorded")


def _in_traces(one: Answer, other: Answer, policy: str) -> Iterator[Cause]:
    """Caps, groups and floors: what became of a rule that would have applied."""
    for answer in (one, other):
        for rule in answer.document["trace"]:
            if rule["policy"] != policy or rule.get("shadow"):
                continue
            cause = _RESOLVED.get(Verdict(rule["verdict"]))
            if cause is None and rule["because"].startswith("reduced to"):
                cause = "cap"
            if cause is None and rule["because"].startswith("on top of"):
                cause = "group"
            if cause is not None:
                told = f"rule {rule['rule']}: {rule['because']}"
                yield Cause(policy, cause, f"{told} ({answer.document['decision_id']})")


def _in_circumstances(policy: str, one: Circumstances, other: Circumstances) -> Iterator[Cause]:
    if one.versions.get("version") != other.versions.get("version"):
        told = [
            f"version {part['version']}" if part else "no version" for part in (one.versions, other.versions)
        ]
        yield Cause(policy, "version", f"{told[0]} governed, then {told[1]}")
    elif one.versions.get("text") != other.versions.get("text"):
        yield Cause(policy, "version", f"version {one.versions['version']} was published with another text")
    elif one.versions.get("enforced") != other.versions.get("enforced"):
        yield Cause(policy, "enforcement", "enforced in one case and not in the other")
    for cause, before, after in (
        ("parameter", one.parameters, other.parameters),
        ("earlier", one.earlier, other.earlier),
        ("time", one.moments, other.moments),
        ("reference", one.others, other.others),
        ("channel", one.channel, other.channel),
        ("identity", one.identity, other.identity),
    ):
        for name in sorted({**before, **after}):
            if before.get(name) != after.get(name):
                values = f"{_short(before.get(name))}, then {_short(after.get(name))}"
                yield Cause(policy, cause, f"{name} was {values}")


def _short(value: Json) -> str:
    return "absent" if value is None else orjson.dumps(value).decode()[:80]
