"""What a decision saw: the facts by which cases are equal, and the circumstances in which they may differ.

Facts are those that some rule on the event reads. Who the customer is, through which channel they came and
at what moment are no facts; neither is what the engine itself brings along: versions, caps, earlier remedies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState
from policyengine.domain.values import Json, Value, to_json
from policyengine.domain.world import World
from policyengine.engine.expressions import Compiled
from policyengine.engine.facts import Facts
from policyengine.engine.ruleset import CompiledRule, PolicyVersion, RuleSet
from policyengine.ledger.canonical import canonical
from policyengine.service.policy_sets import PolicySet

OWN_IDS = frozenset(("customer.id", "event.id"))
_SOURCE = "event.source"
_ENGINES = ("param.", "row.")  # names that are no facts
_NOT_GIVEN = frozenset(("policy", "version", "rule", "basis"))  # under what, not what


@dataclass(frozen=True, slots=True)
class Seen:
    """One decision's facts; the rules that could have decided it."""

    facts: Facts
    ways: tuple[Facts, ...]  # what else may be true of each crisis or restriction, where several hold
    rules: tuple[CompiledRule, ...]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What may differ between equal cases, by policy: JSON that two decisions are compared by."""

    versions: Mapping[str, Json] = field(default_factory=dict)  # the version, its text, enforcement
    parameters: Mapping[str, Json] = field(default_factory=dict)
    earlier: Mapping[str, Json] = field(default_factory=dict)
    moments: Mapping[str, Json] = field(default_factory=dict)
    others: Mapping[str, Json] = field(default_factory=dict)  # ids of what is referred to
    channel: Mapping[str, Json] = field(default_factory=dict)
    identity: Mapping[str, Json] = field(default_factory=dict)


def relevant(ruleset: RuleSet, event_type: str, entity: str | None) -> tuple[CompiledRule, ...]:
    """The rules that may decide on such an event for such an entity."""
    return tuple(
        rule
        for rule in ruleset.rules
        if event_type in rule.event_types and rule.entity in (None, entity) and not rule.shadow
    )


def look(ruleset: RuleSet, state: CustomerState, world: World, event: Event, ref: Ref | None) -> Seen:
    """The facts as they were when the decision was made."""
    facts, choices = ruleset.facts.surround(state, world, event, ref)
    ways = tuple(way for kind in sorted(choices) for way in choices[kind])
    return Seen(facts, ways, relevant(ruleset, event.type, None if ref is None else ref.type))


def deciding(rule: CompiledRule) -> frozenset[str]:
    """The names by which a rule decides and computes: not its window's anchor, not its messages."""
    alternatives = () if rule.offer is None else rule.offer.alternatives
    remedies = (*rule.grant, *(remedy for choice in alternatives for remedy in choice.remedies))
    parts = [*rule.clauses, *(part for remedy in remedies for _, part in remedy.computed)]
    if rule.offer is not None and isinstance(rule.offer.deadline, Compiled):
        parts.append(rule.offer.deadline)
    names = frozenset(name for part in parts for name in part.refs)
    names |= frozenset() if rule.table is None else rule.table.reads
    return frozenset(name for name in names if not name.startswith(_ENGINES))


class Names:
    """What kind of thing a name of a catalogue stands for."""

    def __init__(self, catalogue: Catalogue, channel: str) -> None:
        self._channel = channel
        self._refers = {
            f"{kind.name}.{attribute.name}"
            for kind in catalogue.entities.values()
            for attribute in kind.attributes.values()
            if attribute.refers_to is not None
        }
        self._keys = {
            name: {kind.key, *(one.name for one in kind.attributes.values() if one.refers_to is not None)}
            for name, kind in catalogue.events.items()
        }

    def kind(self, name: str, event_type: str) -> str:
        """`channel`, `identity`, `reference`, `earlier` or `fact`."""
        owner, _, attribute = name.partition(".")
        if name == _SOURCE or attribute == self._channel:
            return "channel"
        if name in OWN_IDS:
            return "identity"
        is_reference = attribute == "id" or name in self._refers
        if is_reference or (owner == "event" and attribute in self._keys[event_type]):
            return "reference"
        return "earlier" if owner == "earlier" else "fact"


def shown(seen: Seen, names: Iterable[str], kinds: Names, event_type: str) -> dict[str, Json]:
    """The facts among ``names`` as a person reads them."""
    known = ((name, seen.facts.get(name)) for name in sorted(names) if kinds.kind(name, event_type) == "fact")
    return {name: _plain(value) for name, value in known if value is not None}


def equal_by(seen: Seen, names: Iterable[str], kinds: Names, event_type: str) -> bytes:
    """A digest of the facts among ``names``; an instant counts by its day, an id by what it equals.

    invariant: equal digests mean equal facts, whoever asked, through whatever channel.
    """
    facts: dict[str, Json] = {}
    ids: dict[str, Json] = {}
    ways: list[dict[str, Json]] = [{} for _ in seen.ways]
    for name in sorted(names):
        kind = kinds.kind(name, event_type)
        value = seen.facts.get(name)
        if kind == "fact":
            if value is not None:
                facts[name] = _plain(value)
            for way, told in zip(seen.ways, ways, strict=True):
                if name in way:
                    told[name] = _plain(way[name])
        elif kind == "reference" and value is not None:
            ids[name] = list(dict.fromkeys([*ids.values(), to_json(value)])).index(to_json(value))
    document: dict[str, Json] = {"facts": facts, "ids": ids, "ways": [dict(way) for way in ways]}
    return sha256(canonical(document)).digest()[:16]


def _plain(value: Value) -> Json:
    return value.astimezone(UTC).date().isoformat() if isinstance(value, datetime) else to_json(value)


class Texts:
    """Fingerprints of policy versions: the same number may stand for another text in another set."""

    def __init__(self) -> None:
        self._known: dict[str, dict[tuple[str, int], str]] = {}

    def of(self, policy_set: PolicySet) -> Mapping[tuple[str, int], str]:
        """By policy and version."""
        digest = policy_set.digest
        if digest not in self._known:
            self._known[digest] = {
                (one.policy, one.version): sha256(one.model_dump_json().encode()).hexdigest()
                for one in policy_set.policies
            }
        return self._known[digest]


def circumstances(
    seen: Seen, policy: str, kinds: Names, event_type: str, texts: Mapping[tuple[str, int], str]
) -> Circumstances:
    """What besides the facts a policy's rules had to do with."""
    found = Circumstances({}, {}, {}, {}, {}, {}, {})
    for rule in seen.rules:
        if rule.policy.id == policy:
            governs = _governs(rule.policy, seen.facts)
            if governs is not None:
                found.versions.update(_version(rule.policy, governs, texts))  # type: ignore[attr-defined]
                found.parameters.update(_parameters(rule.policy, governs))  # type: ignore[attr-defined]
            for name in sorted(deciding(rule)):
                _note(found, name, kinds.kind(name, event_type), seen.facts.get(name))
    return found


def _note(found: Any, name: str, kind: str, value: Value | None) -> None:
    told = None if value is None else to_json(value)
    if kind == "fact":
        if isinstance(value, datetime):
            found.moments[name] = told
    else:
        part = {"reference": found.others, "earlier": found.earlier}.get(kind)
        (part if part is not None else getattr(found, kind))[name] = told


def _governs(version: PolicyVersion, facts: Facts) -> date | datetime | None:
    anchor = facts.get(version.window.anchor)
    inside = isinstance(anchor, (date, datetime)) and version.window.contains(anchor)
    return anchor if inside else None  # type: ignore[return-value]


def _version(
    version: PolicyVersion, anchor: date | datetime, texts: Mapping[tuple[str, int], str]
) -> dict[str, Json]:
    return {
        "version": version.version,
        "text": texts.get((version.id, version.version)),
        "enforced": version.enforced is None or version.enforced.contains(anchor),
    }


def _parameters(version: PolicyVersion, anchor: date | datetime) -> dict[str, Json]:
    day = version.day_of(anchor)
    values: dict[str, Json] = {}
    for parameter in version.dated:
        value = parameter.on(day)
        values[parameter.name] = None if value is None else str(value)
    return values


def answered(document: Mapping[str, Any]) -> bytes:
    """A digest of what the customer got, without ids, words, policies and their versions."""
    return sha256(canonical(given(document))).digest()[:8]


def given(document: Mapping[str, Any], policy: str | None = None) -> Json:
    """Outcome, remedies, choices, refusals and the answer to a question; of one policy, or of all."""
    told = {
        "remedies": [_remedy(one) for one in _of(document["remedies"], policy)],
        "offers": [_offer(one) for one in _of(document["offers"], policy)],
        "denials": [one["reason"] for one in _of(document["denials"], policy)],
    }
    parts: dict[str, Json] = {name: sorted(listed, key=canonical) for name, listed in told.items()}
    if policy is None:
        parts["outcome"] = document["outcome"]
        answer = document.get("answer") or {}
        parts["answer"] = {name: value for name, value in answer.items() if name != "as_of"}
    return parts


def _of(parts: Sequence[Mapping[str, Any]], policy: str | None) -> list[Mapping[str, Any]]:
    return [one for one in parts if policy in (None, one["policy"])]


def _remedy(remedy: Mapping[str, Any]) -> Json:
    return {name: value for name, value in remedy.items() if name not in _NOT_GIVEN}


def _offer(offer: Mapping[str, Any]) -> Json:
    choices: list[Json] = [
        {"id": choice["id"], "remedies": [_remedy(one) for one in choice["remedies"]]}
        for choice in offer["alternatives"]
    ]
    kept = {name: offer[name] for name in ("default", "deadline", "consent")}
    return {**kept, "alternatives": choices}
