"""What was decided for one event and one entity, and why: values, and their JSON.

How a decision comes about is engine.decide; how it is told to a person is engine.explain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, NamedTuple

from policyengine.domain.money import Money
from policyengine.domain.timers import Timer
from policyengine.domain.values import Json, Value, instant_to_json, to_json


class Outcome(StrEnum):
    """The first that is true, in this order."""

    GRANTED = "granted"
    OFFERED = "offered"
    DENIED = "denied"
    NONE = "none"


class ClauseResult(StrEnum):
    """How a condition came out; only ``held`` lets a rule apply."""

    HELD = "held"
    FAILED = "failed"
    UNKNOWN = "unknown"  # an attribute that it needs is absent
    ERROR = "error"  # overflow, division by zero, two currencies


class Verdict(StrEnum):
    """What became of a candidate rule, and why it lost."""

    APPLIED = "applied"
    CONDITION = "condition"  # a clause failed or is unknown
    TABLE = "table"  # no row of its table fits
    ERROR = "error"  # a clause or an amount could not be computed
    CAP = "cap"
    EXCLUSIVE = "exclusive"
    PRIORITY = "priority"  # a denial of higher priority, or a grant over a denial
    FLOOR = "floor"  # a statutory remedy stands in its place
    BEFORE = "before"  # a version that reaches back gives no more than was granted before
    SHARE = "share"  # the version is not for this customer
    ENFORCEMENT = "enforcement"  # outside `enforced`, and the policy withholds
    WINDOW = "window"  # only in why-not: the version was not in force
    EVENT = "event"  # only in why-not: another event type or entity


class Ref(NamedTuple):
    """An entity: its type and id."""

    type: str
    id: str

    def to_json(self) -> dict[str, Json]:
        """As in a decision."""
        return {"type": self.type, "id": self.id}


class Remedy(NamedTuple):
    """A computed remedy: its kind's fields as values, and the rule it comes from."""

    kind: str
    values: Mapping[str, Value]
    policy: str
    version: int
    rule: str
    basis: str
    enforced: bool = True

    @property
    def amount(self) -> Money | None:
        """Its money, where it has any."""
        value = self.values.get("amount")
        return value if isinstance(value, Money) else None

    def to_json(self) -> dict[str, Json]:
        """As in a decision: money as {value, currency}, dates as ISO 8601."""
        out: dict[str, Json] = {"kind": self.kind, "policy": self.policy, "version": self.version}
        out["rule"] = self.rule
        out["basis"] = self.basis
        for name, value in self.values.items():
            out[name] = _field_json(value)
        if not self.enforced:
            out["enforced"] = False
        return out


def _field_json(value: Value) -> Json:
    if type(value) is Money:
        return {"value": value.value, "currency": value.currency}
    return to_json(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One alternative of an offer, computed."""

    id: str
    remedies: tuple[Remedy, ...]
    title: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offered:
    """What the customer may choose from, until when, and what holds without an answer."""

    policy: str
    version: int
    rule: str
    basis: str
    choices: tuple[Choice, ...]
    default: str | None = None
    deadline: date | None = None
    consent: bool = False

    def to_json(self) -> dict[str, Json]:
        """As in a decision."""
        choices: list[Json] = [
            {
                "id": choice.id,
                "title": dict(choice.title),
                "remedies": [remedy.to_json() for remedy in choice.remedies],
            }
            for choice in self.choices
        ]
        return {
            "policy": self.policy,
            "version": self.version,
            "rule": self.rule,
            "basis": self.basis,
            "alternatives": choices,
            "default": self.default,
            "deadline": None if self.deadline is None else self.deadline.isoformat(),
            "consent": self.consent,
        }


class Denied(NamedTuple):
    """A refusal and its reason."""

    policy: str
    version: int
    rule: str
    reason: str

    def to_json(self) -> dict[str, Json]:
        """As in a decision."""
        return {
            "policy": self.policy,
            "version": self.version,
            "rule": self.rule,
            "reason": self.reason,
        }


class Settled(NamedTuple):
    """Which offer this decision settles (an entity `offer`), by which alternative, and who chose it.

    ``by``: the customer; silence, at the deadline; or a rule that withdrew it (no alternative).
    """

    offer: str
    alternative: str | None
    by: Literal["customer", "silence", "rule"]
    consented: bool = False

    def to_json(self) -> dict[str, Json]:
        """As in a decision."""
        return {
            "offer": self.offer,
            "alternative": self.alternative,
            "by": self.by,
            "consented": self.consented,
        }


class Held(NamedTuple):
    """Messages that wait until the staff know of a policy version, at the latest until ``until``.

    Its notice is an entity `notice` with the id ``<decision_id>/<policy>``.
    """

    policy: str
    version: int
    until: datetime
    messages: Mapping[str, str]

    def to_json(self) -> dict[str, Json]:
        """As recorded; publishing leaves the messages out."""
        return {
            "policy": self.policy,
            "version": self.version,
            "until": instant_to_json(self.until),
            "messages": dict(self.messages),
        }


class ClauseTrace(NamedTuple):
    """One condition with the values it saw; ``absent`` names what was missing."""

    text: str
    result: ClauseResult
    values: dict[str, Json]
    absent: tuple[str, ...] = ()
    detail: str = ""

    def to_json(self) -> dict[str, Json]:
        """As in a trace."""
        out: dict[str, Json] = {
            "clause": self.text,
            "result": self.result._value_,  # `value` is a property, and this is the busiest place
            "values": self.values,
        }
        if self.absent:
            out["absent"] = list(self.absent)
        if self.detail:
            out["detail"] = self.detail
        return out


class RuleTrace(NamedTuple):
    """What became of one candidate rule."""

    policy: str
    version: int
    rule: str
    verdict: Verdict
    because: str
    clauses: tuple[ClauseTrace, ...]
    shadow: bool = False

    def to_json(self) -> dict[str, Json]:
        """As in a trace."""
        out: dict[str, Json] = {
            "policy": self.policy,
            "version": self.version,
            "rule": self.rule,
            "verdict": self.verdict._value_,
            "because": self.because,
            "clauses": [clause.to_json() for clause in self.clauses],
        }
        if self.shadow:
            out["shadow"] = True
        return out


class Decision(NamedTuple):
    """The answer for one event and one entity (None: the customer as such).

    The event is its cause: a customer's own, one of the world that touches the entity, or one of the
    engine's own (a deadline that passed).

    ``decision_id`` is derived from the event's (source, id) and the entity: see ``decision_id``.
    """

    decision_id: str
    source: str
    event_id: str
    event_type: str
    time: datetime
    customer: str
    entity: Ref | None
    outcome: Outcome
    policy_set: str
    remedies: tuple[Remedy, ...] = ()
    offers: tuple[Offered, ...] = ()
    denials: tuple[Denied, ...] = ()
    messages: Mapping[str, str] = MappingProxyType({})
    shadow_remedies: tuple[Remedy, ...] = ()
    shadow_offers: tuple[Offered, ...] = ()
    tried: tuple[str, ...] = ()  # versions on trial in shadow that would govern: `policy@version`
    trace: tuple[RuleTrace, ...] = ()
    timers: tuple[Timer, ...] = ()  # what will happen because of it, unless it is settled before
    settles: tuple[Settled, ...] = ()
    held: tuple[Held, ...] = ()
    supplements: str | None = None  # the decision that it adds to, after a retroactive amendment
    answer: Mapping[str, Json] | None = None  # to a customer who asked which policy holds: engine.answers

    @property
    def errors(self) -> tuple[RuleTrace, ...]:
        """The rules that could not be decided: two currencies, an overflow."""
        return tuple(rule for rule in self.trace if rule.verdict is Verdict.ERROR)

    def to_json(self) -> dict[str, Json]:
        """The recorded document; ``shadow`` is in it, and is what publishing leaves out."""
        out: dict[str, Json] = {
            "decision_id": self.decision_id,
            "event": {
                "source": self.source,
                "id": self.event_id,
                "type": self.event_type,
                "time": instant_to_json(self.time),
            },
            "customer": self.customer,
            "entity": None if self.entity is None else self.entity.to_json(),
            "outcome": self.outcome._value_,
            "remedies": [remedy.to_json() for remedy in self.remedies],
            "offers": [offer.to_json() for offer in self.offers],
            "denials": [denial.to_json() for denial in self.denials],
            "messages": dict(self.messages),
            "policy_set": self.policy_set,
            "trace": [rule.to_json() for rule in self.trace],
        }
        if self.shadow_remedies or self.shadow_offers or self.tried:
            shadow: dict[str, Json] = {
                "remedies": [remedy.to_json() for remedy in self.shadow_remedies],
                "offers": [offer.to_json() for offer in self.shadow_offers],
            }
            if self.tried:
                shadow["tried"] = list(self.tried)
            out["shadow"] = shadow
        if self.timers:
            out["timers"] = [timer.to_json() for timer in self.timers]
        if self.settles:
            out["settles"] = [settled.to_json() for settled in self.settles]
        if self.held:
            out["held"] = [held.to_json() for held in self.held]
        if self.supplements is not None:
            out["supplements"] = self.supplements
        if self.answer is not None:
            out["answer"] = dict(self.answer)
        return out


def decision_id(source: str, event_id: str, entity: Ref | None, *more: str) -> str:
    """``d-`` and 32 hex digits of SHA-256 over the length-prefixed parts.

    ``more`` tells apart what one event decides several times: by customer, for an event of the world; by
    `policy@version`, for a retroactive amendment.

    invariant: lengths are part of the digest, so no two tuples of parts collide by concatenation.
    """
    parts: tuple[str, ...] = (source, event_id)
    if entity is not None:
        parts = (*parts, entity.type, entity.id)
    if more:  # no entity has an empty type
        parts = (*parts, "", *more)
    encoded = [part.encode() for part in parts]
    framed = b"".join([len(raw).to_bytes(8, "big") + raw for raw in encoded])
    return "d-" + sha256(framed).hexdigest()[:32]
