"""The policy file as typed models: what a policy owner may write.

Shapes and rules that concern one file alone. Positions and hints are authoring.load's; CEL,
tables and overlaps between versions are engine.compile's.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from policyengine.domain.money import Money, Rounding, currency_digits
from policyengine.domain.remedies import AnyRemedy
from policyengine.errors import MoneyError


class Model(BaseModel):
    """Unknown keys are errors; values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Basis(StrEnum):
    """Why the customer is owed it; statutory remedies are floors."""

    STATUTORY = "statutory"
    CONTRACTUAL = "contractual"
    GOODWILL = "goodwill"


def _language(tag: str) -> str:
    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        message = f"unknown language `{tag}`; write a code such as en or he"
        raise ValueError(message) from error
    return tag


def _currency(code: str) -> str:
    try:
        currency_digits(code)
    except MoneyError as error:
        raise ValueError(error.message) from error
    return code


def _zone(name: str) -> str:
    if name not in available_timezones():
        message = f"unknown time zone `{name}`; write an IANA name such as Asia/Jerusalem"
        raise ValueError(message)
    return name


def _money_text(text: str) -> str:
    try:
        Money.literal(text)
    except MoneyError as error:
        raise ValueError(error.message) from error
    return text


def _read_decimal(raw: Any) -> Any:
    if isinstance(raw, dict) and set(raw) == {"decimal"}:
        return Decimal(str(raw["decimal"]))
    if not isinstance(raw, Decimal):
        message = "not a decimal"
        raise ValueError(message)
    return raw


Language = Annotated[str, AfterValidator(_language)]
Texts = dict[Language, Annotated[str, Field(min_length=1, max_length=5000)]]
Currency = Annotated[str, AfterValidator(_currency)]
MoneyText = Annotated[str, AfterValidator(_money_text)]
Day = datetime | date
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
RuleId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
PolicyId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$", max_length=200)]
# invariant: a decimal parameter (7.5) keeps its digits through JSON: {"decimal": "7.5"}
ExactDecimal = Annotated[
    Decimal, BeforeValidator(_read_decimal), PlainSerializer(lambda value: {"decimal": str(value)})
]
Scalar = bool | int | ExactDecimal | date | str | list[str]


class Effective(Model):
    """Half-open window [from, until): midnight in the policy's time zone for plain dates."""

    from_: Day = Field(alias="from")
    until: Day | None = None
    by: str = Field("event.time", description="the date or time that the window is compared with")


class Enforced(Model):
    """Where enforcement differs from effect; outside it the remedy is granted or withheld."""

    from_: Day = Field(alias="from")
    until: Day | None = None
    otherwise: Literal["grant", "withhold"] = "grant"


class CrisisScope(Model):
    """Only while such a crisis is on: conditions on `crisis.*` facts."""

    kind: str | list[str] | None = None
    phases: list[Literal["onset", "ongoing", "recovery", "ended"]] | None = None
    regions: list[str] | None = None
    sectors: list[str] | None = None


class Exclusive(Model):
    """Of all rules in the group, over all policies, one (first, best) or all grant."""

    group: Name
    choose: Literal["first", "best", "all"] = "best"


class Cap(Model):
    """At most so many grants, or so much money, per customer or entity and period.

    ``period``: `ever`, a calendar `year`, `month`, `week` or `day` in the policy's time zone, or
    `30 days` (rolling, up to and including the event's time).
    """

    count: int | None = Field(None, ge=1)
    amount: MoneyText | None = None
    per: Literal["customer", "entity"] = "customer"
    period: Annotated[str, Field(pattern=r"^(ever|year|month|week|day|[1-9][0-9]{0,4} days)$")] = "ever"

    @model_validator(mode="after")
    def _one_of(self) -> Cap:
        if (self.count is None) == (self.amount is None):
            message = "a cap has either `count` or `amount`"
            raise ValueError(message)
        return self


class Deny(Model):
    """The request is refused, with a reason."""

    reason: str = Field(min_length=1)


class Alternative(Model):
    """One thing the customer may choose."""

    id: RuleId
    title: Texts = Field(default_factory=dict)
    grant: list[AnyRemedy] = Field(min_length=1)


class Offer(Model):
    """The customer chooses; without an answer by the deadline the default holds."""

    alternatives: list[Alternative] = Field(min_length=1)
    default: RuleId | None = None
    deadline: date | str | None = Field(None, description="a date, or CEL that gives one")
    consent: bool = Field(False, description="the choice must be recorded as the customer's consent")

    @model_validator(mode="after")
    def _consistent(self) -> Offer:
        ids = [alternative.id for alternative in self.alternatives]
        if len(set(ids)) != len(ids):
            message = "two alternatives have the same id"
            raise ValueError(message)
        if self.default is not None and self.default not in ids:
            message = f"default `{self.default}` is none of the alternatives: {', '.join(ids)}"
            raise ValueError(message)
        if (self.default is None) != (self.deadline is None):
            message = "`default` and `deadline` go together"
            raise ValueError(message)
        return self


class InputColumn(Model):
    """A column of conditions: ``when`` is CEL, its cells are tests on it."""

    when: str
    type: Literal["integer", "money", "text", "flag", "date"]


class OutputColumn(Model):
    """A column of results, named ``row.<set>`` in amounts."""

    set: Name
    type: Literal["integer", "money", "text", "flag", "date"]


Cell = bool | int | date | str


class Table(Model):
    """A decision table; DMN's hit policies unique, first and collect."""

    hit: Literal["unique", "first", "collect"] = "unique"
    columns: list[InputColumn | OutputColumn] = Field(min_length=1)
    rows: list[list[Cell]] = Field(min_length=1)


class Rule(Model):
    """When something happens and the conditions hold, this is granted, offered or denied."""

    id: RuleId
    title: Texts = Field(default_factory=dict)
    on: str | list[str]
    for_: str | None = Field(
        None, alias="for", description="decide for each entity of this type that the customer has"
    )
    priority: int = 0
    when: list[str] = Field(default_factory=list)
    table: Table | None = None
    grant: list[AnyRemedy] = Field(default_factory=list)
    deny: Deny | None = None
    offer: Offer | None = None
    say: Texts = Field(default_factory=dict)
    exclusive: Exclusive | None = None
    cap: Cap | None = None
    shadow: bool = False

    @model_validator(mode="after")
    def _does_something(self) -> Rule:
        if not (self.grant or self.deny or self.offer):
            message = "a rule needs `grant`, `offer` or `deny`"
            raise ValueError(message)
        if self.deny and (self.grant or self.offer):
            message = "a rule that denies cannot also grant or offer"
            raise ValueError(message)
        return self

    @property
    def event_types(self) -> tuple[str, ...]:
        """``on`` as a tuple."""
        return (self.on,) if isinstance(self.on, str) else tuple(self.on)


class Policy(Model):
    """One version of one policy: one file."""

    policy: PolicyId
    version: int = Field(ge=1)
    title: Texts = Field(min_length=1)
    description: Texts = Field(default_factory=dict)
    owner: str = Field(min_length=1)
    basis: Basis
    cites: list[str] = Field(default_factory=list)
    announced: date | None = None
    review: date | None = None
    effective: Effective
    enforced: Enforced | None = None
    crisis: CrisisScope | None = None
    currency: Currency | None = None
    rounding: Rounding = Rounding.HALF_UP
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    parameters: dict[Name, dict[date, Scalar] | Scalar] = Field(default_factory=dict)
    exclusive: Exclusive | None = None
    cap: Cap | None = None
    shadow: bool = False
    rules: list[Rule] = Field(min_length=1)

    @model_validator(mode="after")
    def _rule_ids(self) -> Policy:
        ids = [rule.id for rule in self.rules]
        for rule_id in ids:
            if ids.count(rule_id) > 1:
                message = f"two rules have the id `{rule_id}`"
                raise ValueError(message)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The policy's time zone."""
        return ZoneInfo(self.timezone)
