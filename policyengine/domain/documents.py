"""The documents that others read, as typed models: CloudEvents envelope, decision, ledger entry.

They are exported to `schemas/`; a test holds every document that the engine writes to them. The
core itself works on domain.events and domain.decision.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from policyengine.domain.decision import ClauseResult, Outcome, Verdict

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DecisionId = Annotated[str, Field(pattern=r"^d-[0-9a-f]{32}$")]


class Document(BaseModel):
    """Unknown keys are errors unless a model says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Envelope(Document):
    """A CloudEvents 1.0 event in JSON: what an upstream system publishes.

    Extension attributes are kept. `data` must fit the schema of `type`, in `schemas/events/`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    specversion: Literal["1.0"]
    id: str = Field(min_length=1, max_length=512, description="unique within its source")
    source: str = Field(min_length=1, max_length=512, description="the system that published it")
    type: str = Field(min_length=1, description="an event type of the catalogue, such as booking.made")
    time: datetime = Field(description="when it happened, with an offset from UTC")
    subject: str = Field(min_length=1, max_length=512, description="the customer's id")
    datacontenttype: Literal["application/json"] | None = None
    data: dict[str, Any] = Field(description="what happened, by the event type's schema")


class EventRef(Document):
    """The event that was decided on."""

    source: str
    id: str
    type: str
    time: datetime


class EntityRef(Document):
    """The entity that was decided on."""

    type: str
    id: str


class Amount(Document):
    """Money: a decimal string in major units, and its ISO 4217 currency."""

    value: str = Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", examples=["250.00"])
    currency: str = Field(pattern=r"^[A-Z]{3}$", examples=["ILS"])


class Source(Document):
    """The rule that something comes from."""

    policy: str
    version: int = Field(ge=1)
    rule: str


class RemedyDocument(Source):
    """A remedy; which fields it has depends on its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    kind: str
    basis: Literal["statutory", "contractual", "goodwill"]
    enforced: bool = Field(True, description="false: in effect, but not enforced at that time")
    amount: Amount | None = None
    due: date | None = None
    until: date | None = None
    valid_until: date | None = None
    refundable_from: date | None = None
    new_date: date | None = None
    from_: date | None = Field(None, alias="from")
    points: int | None = None
    tier: str | None = None
    method: str | None = None
    transferable: bool | None = None
    fee: str | None = None
    on: str | None = None
    reason: str | None = None
    services: list[str] | None = None
    channels: list[str] | None = None
    mode: str | None = None
    prompt: str | None = None
    gift: str | None = None
    to: str | None = None
    name: str | None = None
    value: str | None = None
    offers_of: str | None = None
    note: str | None = None


class AlternativeDocument(Document):
    """One thing that the customer may choose."""

    id: str
    title: dict[str, str]
    remedies: list[RemedyDocument]


class OfferDocument(Source):
    """A choice, until when, and what holds without an answer."""

    basis: Literal["statutory", "contractual", "goodwill"]
    alternatives: list[AlternativeDocument]
    default: str | None
    deadline: date | None
    consent: bool


class DenialDocument(Source):
    """A refusal."""

    reason: str


class ClauseDocument(Document):
    """One condition and the values that it saw."""

    clause: str
    result: ClauseResult
    values: dict[str, Any]
    absent: list[str] = []
    detail: str = ""


class RuleTraceDocument(Source):
    """What became of one candidate rule, and why."""

    verdict: Verdict
    because: str
    clauses: list[ClauseDocument]
    shadow: bool = False


class ShadowDocument(Document):
    """What rules in shadow would have given: recorded, never published."""

    remedies: list[RemedyDocument]
    offers: list[OfferDocument]
    tried: list[str] = Field([], description="versions on trial that would govern, `policy@version`")


class AnswerWindow(Document):
    """When a version governs: half-open, compared with ``by``."""

    by: str
    from_: str = Field(alias="from", description="a date, or an instant where `by` is one")
    until: str | None
    timezone: str


class AnswerChoice(Document):
    """One thing that a rule lets the customer choose, and the kinds of remedies it holds."""

    id: str
    title: dict[str, str]
    kinds: list[str]


class AnswerRule(Document):
    """What a rule of the governing version gives."""

    rule: str
    title: dict[str, str]
    on: list[str]
    for_: str | None = Field(alias="for")
    grants: list[str] = Field(description="kinds of remedies")
    offers: list[AnswerChoice]
    denies: str | None


class AnswerVersion(Document):
    """The version that governs."""

    policy: str
    version: int = Field(ge=1)
    title: dict[str, str]
    basis: Literal["statutory", "contractual", "goodwill"]
    cites: list[str]
    announced: date | None
    window: AnswerWindow
    rules: list[AnswerRule]


class AnswerNext(Document):
    """The next version, where none governs."""

    version: int = Field(ge=1)
    from_: str = Field(alias="from")


class AnswerDocument(Document):
    """Which version of a policy governs at a time, to a customer who asked."""

    about: str
    as_of: str = Field(description="a day, or the moment of the question")
    known: bool = Field(description="whether there is such a policy")
    governs: AnswerVersion | None
    next: AnswerNext | None
    hint: str = ""


class TimerDocument(Document):
    """An event that will happen because of the decision, unless it is settled before."""

    id: str
    at: datetime = Field(description="when, in UTC")
    event: str = Field(description="its type")
    data: dict[str, Any] = Field(description="its data")


class SettledDocument(Document):
    """An offer that is settled, or taken back."""

    offer: str = Field(description="`<decision>/<policy>/<rule>`")
    alternative: str | None = Field(description="what is taken; null: the offer is withdrawn")
    by: Literal["customer", "silence", "rule"]
    consented: bool


class HeldDocument(Document):
    """Messages that wait until the staff know of a policy version."""

    policy: str
    version: int = Field(ge=1)
    until: datetime = Field(description="when they are sent at the latest")
    messages: dict[str, str] = Field({}, description="by language; recorded, not published")


class DecisionDocument(Document):
    """What was decided for one event and one entity, and why."""

    decision_id: DecisionId
    event: EventRef
    customer: str
    entity: EntityRef | None
    outcome: Outcome
    remedies: list[RemedyDocument]
    offers: list[OfferDocument]
    denials: list[DenialDocument]
    messages: dict[str, str] = Field(description="by language, a line for each rule that applied")
    policy_set: Digest
    trace: list[RuleTraceDocument]
    shadow: ShadowDocument | None = None
    timers: list[TimerDocument] = []
    settles: list[SettledDocument] = []
    held: list[HeldDocument] = []
    supplements: DecisionId | None = Field(
        None, description="the decision that it adds to, after a retroactive amendment"
    )
    answer: AnswerDocument | None = Field(None, description="to `policy.asked`: which version governs")


class InputPosition(Document):
    """Where an entry comes from: the input, and the position after the record."""

    name: str
    offset: int = Field(ge=0)


class EntryHeader(Document):
    """The header of a ledger entry: the leaf of the Merkle tree, as canonical JSON."""

    v: Literal[1]
    shard: str
    seq: int = Field(ge=0)
    kind: Literal["event", "internal", "rejected", "decision", "policy_set", "staged", "proposal", "approval"]
    policy_set: str
    engine: str
    input: InputPosition
    commitment: Digest
