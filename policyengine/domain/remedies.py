"""The remedy kinds a policy may grant, each a typed model as written in a policy file.

Fields that hold CEL carry an ``Expression`` mark with the type that the expression must have;
the others are literal. What a remedy becomes once computed is domain.decision.Remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictInt,
    Tag,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from policyengine.domain.policy_types import Cel, Date, Text, fault
from policyengine.domain.values import ValueType


@dataclass(frozen=True, slots=True)
class Expression:
    """Marks a field as CEL source of the given type."""

    type: ValueType


def _money(raw: Any) -> Any:
    if not isinstance(raw, str):
        written = f'money("{raw} ILS")' if isinstance(raw, (int, Decimal)) else 'money("100 ILS")'
        raise fault("PE003", "an amount of money needs its currency", f"write {written}, or booking.paid")
    return raw


def _looks_like_a_date(raw: Any) -> str:
    is_iso = isinstance(raw, str) and raw[:4].isdigit() and raw[4:5] == "-" and len(raw) == len("2020-03-15")
    return "date" if is_iso or not isinstance(raw, str) else "cel"


MoneyExpr = Annotated[
    Cel,
    Expression(ValueType.MONEY),
    BeforeValidator(_money),
    Field(
        description='CEL that gives money, such as `percent(booking.paid, 5)` or `money("100 ILS")`',
        examples=["booking.paid", 'money("100 ILS")'],
    ),
]
IntExpr = Annotated[
    Annotated[StrictInt, Field(ge=0), Tag("number")] | Annotated[Cel, Tag("cel")],
    Discriminator(lambda raw: "cel" if isinstance(raw, str) else "number"),
    Expression(ValueType.INTEGER),
    Field(description="a whole number, or CEL that gives one"),
]
DateExpr = Annotated[
    Annotated[Date, Tag("date")] | Annotated[Cel, Tag("cel")],
    Discriminator(_looks_like_a_date),
    WithJsonSchema({"type": "string", "minLength": 1}),
    Expression(ValueType.DATE),
    Field(
        description="a date, or CEL that gives one, such as `add_months(membership.ends_on, 6)`",
        examples=["2020-12-31", "add_months(membership.ends_on, 6)"],
    ),
]
TextExpr = Annotated[
    Cel,
    Expression(ValueType.TEXT),
    Field(description="CEL that gives text; a literal needs quotes of its own"),
]


def without_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """The schema of an object whose optional keys are left out, never null."""
    for field in schema.get("properties", {}).values():
        options = field.get("anyOf", [])
        if {"type": "null"} in options:
            options.remove({"type": "null"})
            if field.get("default", "") is None:
                del field["default"]
            if len(options) == 1:
                del field["anyOf"]
                field.update({**options[0], **field})
    return schema


class RemedySpec(BaseModel):
    """What every remedy may carry."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    note: Text | None = Field(None, description="for whoever carries the remedy out")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """An absent key is left out of a file, never written as null."""
        return without_null(handler(core_schema))


class Refund(RemedySpec):
    """Money back by the way it was paid."""

    kind: Literal["refund"] = Field(description="the kind of remedy")
    amount: MoneyExpr = Field(description="what is paid back")
    due: DateExpr | None = Field(None, description="last day on which it must be paid")
    method: Literal["original", "bank", "cash"] = Field("original", description="way of payment")


class Credit(RemedySpec):
    """Money set against the customer's next bills."""

    kind: Literal["credit"] = Field(description="the kind of remedy")
    amount: MoneyExpr = Field(description="what is set against the next bills")
    valid_until: DateExpr | None = Field(None, description="last day of the credit")


class Voucher(RemedySpec):
    """A voucher worth ``amount``."""

    kind: Literal["voucher"] = Field(description="the kind of remedy")
    amount: MoneyExpr = Field(description="what the voucher is worth")
    valid_until: DateExpr | None = Field(None, description="last day on which it can be used")
    refundable_from: DateExpr | None = Field(
        None, description="from this day an unused voucher is paid out in money"
    )
    transferable: StrictBool = Field(False, description="may be given to somebody else")


class Compensation(RemedySpec):
    """Money beyond what was paid."""

    kind: Literal["compensation"] = Field(description="the kind of remedy")
    amount: MoneyExpr = Field(description="what is paid on top")
    due: DateExpr | None = Field(None, description="last day on which it must be paid")


class WaiveFee(RemedySpec):
    """A fee is not charged."""

    kind: Literal["waive_fee"] = Field(description="the kind of remedy")
    fee: Text = Field(description="which fee")
    amount: MoneyExpr | None = Field(None, description="what the fee would have been")


class Postpone(RemedySpec):
    """Another date instead of the one agreed; with ``until``, any date up to then."""

    kind: Literal["postpone"] = Field(description="the kind of remedy")
    new_date: DateExpr | None = Field(None, description="the new date")
    until: DateExpr | None = Field(None, description="last day that may be chosen")


class Freeze(RemedySpec):
    """Payments and obligations rest."""

    kind: Literal["freeze"] = Field(description="the kind of remedy")
    from_: DateExpr | None = Field(
        None, alias="from", description="first day of rest; the event's day where absent"
    )
    until: DateExpr | None = Field(None, description="first day on which payments go on")


class Unfreeze(RemedySpec):
    """A freeze ends."""

    kind: Literal["unfreeze"] = Field(description="the kind of remedy")
    from_: DateExpr | None = Field(None, alias="from", description="first day on which payments go on")


class PointsExtend(RemedySpec):
    """Points stay valid until."""

    kind: Literal["points.extend"] = Field(description="the kind of remedy")
    until: DateExpr = Field(description="last day on which the points are valid")


class PointsBonus(RemedySpec):
    """Extra points; ``on`` says when they are credited."""

    kind: Literal["points.bonus"] = Field(description="the kind of remedy")
    points: IntExpr = Field(description="how many")
    on: Text | None = Field(None, description="when they are credited, such as renewal")


class TierExtend(RemedySpec):
    """A loyalty tier is kept until."""

    kind: Literal["tier.extend"] = Field(description="the kind of remedy")
    until: DateExpr = Field(description="last day of the tier")
    tier: TextExpr | None = Field(None, description="which tier, where it is not the present one")


class BlockCharge(RemedySpec):
    """A charge that is about to happen is stopped."""

    kind: Literal["block_charge"] = Field(description="the kind of remedy")
    amount: MoneyExpr | None = Field(None, description="what would have been charged")
    reason: Text | None = Field(None, description="why, for the record")


class ReverseCharge(RemedySpec):
    """A charge that happened is taken back."""

    kind: Literal["reverse_charge"] = Field(description="the kind of remedy")
    amount: MoneyExpr = Field(description="what is given back")
    reason: Text | None = Field(None, description="why, for the record")


class DenyChange(RemedySpec):
    """A change to the customer's disadvantage is refused; ``until`` says how long."""

    kind: Literal["deny_change"] = Field(description="the kind of remedy")
    reason: Text = Field(description="why, for the record")
    until: DateExpr | None = Field(None, description="last day on which the change is refused")


class Substitute(RemedySpec):
    """Another service instead of the one that cannot be given."""

    kind: Literal["substitute"] = Field(description="the kind of remedy")
    services: list[Text] = Field(min_length=1, description="what is given instead")


class Channel(RemedySpec):
    """The channels through which the service is given."""

    kind: Literal["channel"] = Field(description="the kind of remedy")
    channels: list[Text] = Field(min_length=1, description="channels that stay open")


class DeliveryMode(RemedySpec):
    """How an order is delivered; ``prompt`` asks the customer for a note."""

    kind: Literal["delivery_mode"] = Field(description="the kind of remedy")
    mode: Text = Field(description="how, such as no_contact")
    prompt: Text | None = Field(None, description="what the customer is asked")


class Gesture(RemedySpec):
    """A kindness, with what it is worth where that is known."""

    kind: Literal["gesture"] = Field(description="the kind of remedy")
    gift: Text = Field(description="what is given")
    amount: MoneyExpr | None = Field(None, description="what it is worth")


class Notify(RemedySpec):
    """Somebody is told; the words are the rule's ``say``."""

    kind: Literal["notify"] = Field(description="the kind of remedy")
    to: Text = Field("customer", description="who is told")


class Escalate(RemedySpec):
    """A person takes over."""

    kind: Literal["escalate"] = Field(description="the kind of remedy")
    to: Text = Field(description="who takes over")
    reason: Text | None = Field(None, description="why, for the record")


class Signal(RemedySpec):
    """A fact worth counting; it grants nothing."""

    kind: Literal["signal"] = Field(description="the kind of remedy")
    name: Text = Field(description="what is counted")
    value: TextExpr | None = Field(None, description="CEL text that tells signals of one name apart")


class Withdraw(RemedySpec):
    """Offers of a policy that this entity has not answered yet are taken back: never without a message."""

    kind: Literal["withdraw"] = Field(description="the kind of remedy")
    offers_of: Text = Field(description="name of the policy whose open offers are taken back")
    reason: Text = Field(description="why, for the record")


AnyRemedy = Annotated[
    Refund
    | Credit
    | Voucher
    | Compensation
    | WaiveFee
    | Postpone
    | Freeze
    | Unfreeze
    | PointsExtend
    | PointsBonus
    | TierExtend
    | BlockCharge
    | ReverseCharge
    | DenyChange
    | Substitute
    | Channel
    | DeliveryMode
    | Gesture
    | Notify
    | Escalate
    | Signal
    | Withdraw,
    Field(discriminator="kind"),
]
REMEDY_KINDS: Mapping[str, type[RemedySpec]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in RemedySpec.__subclasses__()
}
# Remedies that pay or promise money: what statutory floors protect.
MONEY_KINDS = frozenset({"refund", "credit", "compensation", "reverse_charge"})
# Besides money, what is worth as much as its amount says: what `best` adds up and caps count.
WORTH_KINDS = MONEY_KINDS | {"voucher"}


@cache
def expression_fields(model: type[RemedySpec]) -> Mapping[str, ValueType]:
    """The fields of a remedy that hold CEL, by their name in the file, and the type wanted."""
    marked = {}
    for name, field in model.model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, Expression)]
        for option in get_args(field.annotation):
            marks += [mark for mark in getattr(option, "__metadata__", ()) if isinstance(mark, Expression)]
        if marks:
            marked[field.alias or name] = marks[0].type
    return marked
