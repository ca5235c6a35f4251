"""The policy file as typed models: what a policy owner may write.

Shapes and rules that concern one file alone. Positions and hints are authoring.load's; CEL,
tables and overlaps between versions are engine.compile's.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import (
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)

from policyengine.domain.calendar import time_zone
from policyengine.domain.money import Rounding
from policyengine.domain.policy_model import CANARY, Customers, Model
from policyengine.domain.policy_types import (
    Cel,
    Currency,
    Date,
    Day,
    MoneyText,
    Name,
    OneOrMany,
    Parameters,
    PolicyId,
    Rows,
    RuleId,
    Text,
    Texts,
    TimeZone,
    fault,
)
from policyengine.domain.remedies import MONEY_KINDS, AnyRemedy, DateExpr


class Basis(StrEnum):
    """Why the customer is owed it; statutory remedies are floors."""

    STATUTORY = "statutory"
    CONTRACTUAL = "contractual"
    GOODWILL = "goodwill"


class Effective(Model):
    """When the version governs: half-open [from, until), midnight in the policy's time zone for dates."""

    from_: Day = Field(alias="from", description="first day or moment on which this version governs")
    until: Day | None = Field(None, description="first day or moment on which it no longer governs")
    by: Text = Field(
        "event.time",
        description="the date or time that the window is compared with, such as `booking.made_at`",
        examples=["event.time", "booking.made_at"],
    )


class Enforced(Model):
    """Where enforcement differs from effect; outside it the remedy is granted or withheld."""

    from_: Day = Field(alias="from", description="first day or moment of enforcement")
    until: Day | None = Field(None, description="first day or moment without enforcement")
    otherwise: Literal["grant", "withhold"] = Field(
        "grant", description="outside the window: grant all the same (marked), or withhold"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Enforced:
        if type(self.from_) is type(self.until) and str(self.until) <= str(self.from_):
            text = "`until` is not after `from`: it would never be enforced"
            raise fault("PE053", text, "the window is half-open: [from, until)", at="until")
        return self


class CrisisScope(Model):
    """Only while such a crisis is on: conditions on `crisis.*` facts; all that are given must hold."""

    kind: OneOrMany | None = Field(
        None, description="kind or kinds of crisis", examples=["pandemic", ["war", "strike"]]
    )
    phases: Annotated[list[Literal["onset", "ongoing", "recovery", "ended"]], Field(min_length=1)] | None = (
        Field(None, description="phases of the crisis in which the policy holds")
    )
    regions: Annotated[list[Text], Field(min_length=1)] | None = Field(
        None, description="regions for which the crisis was declared"
    )
    sectors: Annotated[list[Text], Field(min_length=1)] | None = Field(
        None, description="trades that the crisis touches"
    )


class Exclusive(Model):
    """Of all rules in the group, over all policies, one (first, best) or all grant."""

    group: Name = Field(description="name of the group, shared by rules of any policy")
    choose: Literal["first", "best", "all"] = Field(
        "best", description="first by priority, best for the customer in money, or all"
    )


class Cap(Model):
    """At most so many grants, or so much money, per customer or entity and period."""

    count: Annotated[StrictInt, Field(ge=1)] | None = Field(None, description="at most so many grants")
    amount: MoneyText | None = Field(None, description="at most so much money, such as `500 ILS`")
    per: Literal["customer", "entity", "event"] = Field(
        "customer",
        description="whose grants are counted; `event`: those of all customers that one world event reaches",
    )
    period: Annotated[str, Field(pattern=r"^(ever|year|month|week|day|[1-9][0-9]{0,4} days)$")] = Field(
        "ever",
        description="`ever`; a calendar `year`, `month`, `week` or `day` in the policy's time zone; or "
        "`30 days`, rolling, up to and including the event's time",
        examples=["ever", "year", "30 days"],
    )

    @model_validator(mode="after")
    def _one_of(self) -> Cap:
        if (self.count is None) == (self.amount is None):
            raise fault("PE003", "a cap has either `count` or `amount`", "write one of the two")
        if self.per == "event" and (self.count is None or self.period != "ever"):
            text = "a cap per event has a `count` and no `period`"
            raise fault("PE003", text, "write count: 20, per: event", at="per")
        return self


class Deny(Model):
    """The request is refused, with a reason."""

    reason: Text = Field(description="why, for the record; the customer's words are the rule's `say`")


class FollowUp(Model):
    """An event that happens later, on this rule's account; rules are written `on` it like on any other."""

    at: DateExpr = Field(
        description="the day on which it happens (its midnight in the policy's time zone): a date, or CEL"
    )
    event: Text = Field(description="type of the event, a customer's: it concerns the same entity")
    data: dict[Name, Cel] = Field(
        default_factory=dict,
        description="its data, each property as CEL; the entity's id is filled in by itself",
    )


class Retroactive(Model):
    """The version reaches back: past events are decided again and the difference is granted."""

    from_: Day = Field(
        alias="from", description="first day or moment, on the anchor of `effective`, that it reaches back to"
    )


class StaffFirst(Model):
    """Messages wait until the staff have acknowledged this version, at the longest so many hours."""

    hours: Annotated[StrictInt, Field(ge=1, le=10_000)] = Field(
        description="from `policy.published`, or else from `announced`, at the longest"
    )


class Alternative(Model):
    """One thing the customer may choose."""

    id: RuleId = Field(description="name of the choice", examples=["refund", "voucher"])
    title: Texts = Field(default_factory=dict, description="what the customer reads, by language")
    grant: list[AnyRemedy] = Field(min_length=1, description="remedies that this choice grants")


class Offer(Model):
    """The customer chooses; without an answer by the deadline the default holds."""

    alternatives: list[Alternative] = Field(min_length=1, description="what there is to choose from")
    default: RuleId | None = Field(
        None, description="the alternative that holds without an answer by the deadline"
    )
    deadline: DateExpr | None = Field(None, description="last day to choose: a date, or CEL that gives one")
    consent: StrictBool = Field(False, description="the choice must be recorded as the customer's consent")

    @model_validator(mode="after")
    def _consistent(self) -> Offer:
        ids = [alternative.id for alternative in self.alternatives]
        if len(set(ids)) != len(ids):
            raise fault("PE006", "two alternatives have the same id", at="alternatives")
        if self.default is not None and self.default not in ids:
            text = f"default `{self.default}` is none of the alternatives"
            raise fault("PE003", text, f"alternatives are {', '.join(ids)}", at="default")
        if (self.default is None) != (self.deadline is None):
            text = "`default` and `deadline` go together"
            raise fault("PE003", text, "write both, or leave both out")
        return self


ColumnType = Literal["integer", "money", "text", "flag", "date"]


class InputColumn(Model):
    """A column of conditions: ``when`` is CEL, its cells are tests on it."""

    when: Cel = Field(description="CEL that gives the value tested by the cells, such as `booking.paid`")
    type: ColumnType = Field(description="type of that value")


class OutputColumn(Model):
    """A column of results, named ``row.<set>`` in amounts."""

    set: Name = Field(description="name of the result: remedies read it as `row.<name>`")
    type: ColumnType = Field(description="type of the result")


def _column_tag(raw: Any) -> str | None:
    if isinstance(raw, InputColumn) or (isinstance(raw, dict) and "when" in raw):
        return "input"
    if isinstance(raw, OutputColumn) or (isinstance(raw, dict) and "set" in raw):
        return "output"
    return None


Column = Annotated[
    Annotated[InputColumn, Tag("input")] | Annotated[OutputColumn, Tag("output")],
    Discriminator(
        _column_tag,
        custom_error_type="PE004",
        custom_error_message="a column has `when` (a condition) or `set` (a result), and `type`",
    ),
]


class Table(Model):
    """A decision table; DMN's hit policies unique, first and collect."""

    hit: Literal["unique", "first", "collect"] = Field(
        "unique", description="one row may fit, the first that fits counts, or all that fit count"
    )
    columns: list[Column] = Field(min_length=1, description="conditions, then results")
    rows: Rows = Field(
        description="lists of cells, one for each column; or text with one row a line, cells between `|`"
    )
    otherwise: Literal["nothing"] | None = Field(
        None, description="`nothing`: where no row fits, the rule is not meant to apply; `check` is content"
    )


class Rule(Model):
    """When something happens and the conditions hold, this is granted, offered or denied."""

    id: RuleId = Field(description="name of the rule, unique in the file", examples=["keep-points"])
    title: Texts = Field(default_factory=dict, description="what the rule is called, by language")
    on: OneOrMany = Field(
        description="event type or types", examples=["membership.ended", ["booking.cancelled"]]
    )
    for_: Name | None = Field(
        None, alias="for", description="decide for each entity of this type that the customer has"
    )
    priority: StrictInt = Field(
        0, ge=-1_000_000, le=1_000_000, description="the higher goes first; rules of one priority go by name"
    )
    when: list[Cel] = Field(default_factory=list, description="conditions in CEL; all must hold")
    table: Table | None = Field(None, description="a decision table whose results are `row.<name>`")
    grant: list[AnyRemedy] = Field(default_factory=list, description="remedies that are granted")
    deny: Deny | None = Field(None, description="the request is refused")
    offer: Offer | None = Field(None, description="alternatives from which the customer chooses")
    say: Texts = Field(
        default_factory=dict,
        description="message by language; `{membership.points}`, `{until}` … are filled in and formatted",
    )
    follow_up: list[FollowUp] = Field(
        default_factory=list, description="events that happen later because this rule applied"
    )
    exclusive: Exclusive | None = Field(None, description="goes before the policy's `exclusive`")
    cap: Cap | None = Field(None, description="counted besides the policy's `cap`")
    shadow: StrictBool = Field(False, description="decided and recorded, never published")

    @model_validator(mode="after")
    def _does_something(self) -> Rule:
        if not (self.grant or self.deny or self.offer or self.follow_up):
            raise fault("PE004", "the rule does nothing", "write `grant`, `offer`, `deny` or `follow_up`")
        if self.deny and (self.grant or self.offer):
            text = "a rule that denies cannot also grant or offer"
            raise fault("PE003", text, "write two rules", at="deny")
        return self

    @property
    def event_types(self) -> tuple[str, ...]:
        """``on`` as a tuple."""
        return (self.on,) if isinstance(self.on, str) else tuple(self.on)


class Policy(Model):
    """One version of one policy: one file."""

    policy: PolicyId = Field(
        description="name of the policy, the same in all its versions", examples=["airline/points-kept"]
    )
    version: StrictInt = Field(ge=1, le=1_000_000, description="number of this version, from 1")
    title: Texts = Field(
        min_length=1, description="name by language", examples=[{"en": "Points kept", "he": "הנקודות נשמרות"}]
    )
    description: Texts = Field(default_factory=dict, description="what it is about, by language")
    owner: Text = Field(description="who answers for it", examples=["loyalty@airline.example"])
    basis: Basis = Field(description="why the customer is owed it; statutory remedies are floors")
    cites: list[Text] = Field(default_factory=list, description="laws, contracts or announcements behind it")
    announced: Date | None = Field(None, description="day on which it was made public")
    review: Date | None = Field(None, description="day by which somebody looks at it again")
    effective: Effective = Field(description="when this version governs")
    enforced: Enforced | None = Field(None, description="when it is enforced, where that differs")
    retroactive: Retroactive | None = Field(
        None,
        description="decide past events again when this version takes effect (on `announced`, else on "
        "`effective.from`; by `event.time`, on the later of both), and grant what it gives beyond what they "
        "were granted",
    )
    staff_first: StaffFirst | None = Field(
        None, description="customers are told once the staff know; needs `announced`"
    )
    crisis: CrisisScope | None = Field(None, description="only while such a crisis is on")
    currency: Currency | None = Field(
        None, description="the one currency of its amounts; another one in the facts is an error"
    )
    rounding: Rounding = Field(
        Rounding.HALF_UP, description="where a fraction of the smallest unit goes; `up` is away from zero"
    )
    timezone: TimeZone = Field(
        "UTC", description="zone of its midnights and days", examples=["Asia/Jerusalem", "Europe/Rome"]
    )
    parameters: Parameters = Field(
        default_factory=dict,
        description="values that rules read as `param.<name>`; dated ones hold from each day on",
        examples=[{"bonus_percent": {"2020-03-15": 10, "2020-07-01": 15}}],
    )
    exclusive: Exclusive | None = Field(None, description="for all its rules")
    cap: Cap | None = Field(None, description="over all its rules together")
    shadow: StrictBool = Field(False, description="decided and recorded, never published")
    customers: Customers | None = Field(None, description="only for this share of the customers")
    trial: Literal["shadow", "canary"] | None = Field(
        None,
        description="goes before the other versions of the policy: `canary` for its `customers`, `shadow` "
        "beside them, recorded and never published; written by `publish --canary` and `publish --shadow`",
    )
    rules: list[Rule] = Field(min_length=1, description="what is granted, offered or denied, and when")

    @property
    def zone(self) -> ZoneInfo:
        """The policy's time zone, by the pinned `tzdata`: the same days on every machine."""
        return time_zone(self.timezone)


class Flaw(NamedTuple):
    """What is wrong with a policy that is well formed, by its place in the document."""

    path: tuple[str | int, ...]
    code: str
    message: str
    hint: str


def flaws(policy: Policy) -> Iterator[Flaw]:
    """Faults that concern several parts of one file."""
    if policy.staff_first is not None and policy.announced is None:
        text = "`staff_first` needs `announced`: without `policy.published`, the hours count from it"
        yield Flaw(("staff_first",), "PE004", text, "write when it is made public")
    if policy.trial == CANARY and policy.customers is None:
        text = "`trial: canary` needs `customers`: whom it is tried on"
        yield Flaw(("trial",), "PE004", text, "write customers: {group: canary, until: 10}")
    first: dict[str, int] = {}
    for number, rule in enumerate(policy.rules):
        if first.setdefault(rule.id, number) != number:
            yield Flaw(("rules", number, "id"), "PE006", f"two rules have the id `{rule.id}`", "rename one")
        if any(remedy.kind == "withdraw" for remedy in rule.grant) and not rule.say:
            text = "an offer is never withdrawn silently"
            yield Flaw(("rules", number), "PE063", text, "tell the customer with `say`")
        if rule.offer is not None and policy.basis is Basis.STATUTORY:
            yield from _voucher_by_silence(rule.offer, ("rules", number, "offer", "default"))


def _voucher_by_silence(offer: Offer, path: tuple[str | int, ...]) -> Iterator[Flaw]:
    """A voucher never replaces statutory money unless the customer chooses it."""
    paying = [choice.id for choice in offer.alternatives if any(r.kind in MONEY_KINDS for r in choice.grant)]
    for choice in offer.alternatives:
        is_voucher = any(remedy.kind == "voucher" for remedy in choice.grant)
        if choice.id == offer.default and is_voucher and choice.id not in paying and paying:
            text = "a voucher never replaces statutory money unless the customer chooses it"
            yield Flaw(path, "PE052", text, f"let the default be `{paying[0]}`")
