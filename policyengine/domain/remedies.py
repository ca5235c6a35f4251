"""The remedy kinds a policy may grant, each a typed model as written in a policy file.

Fields that hold CEL carry an ``Expression`` mark with the type that the expression must have;
the others are literal. What a remedy becomes once computed is domain.decision.Remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from policyengine.domain.values import ValueType


@dataclass(frozen=True, slots=True)
class Expression:
    """Marks a field as CEL source of the given type."""

    type: ValueType


MoneyExpr = Annotated[
    str,
    Expression(ValueType.MONEY),
    Field(description='CEL that gives money, such as `percent(booking.paid, 5)` or `money("100 ILS")`'),
]
IntExpr = Annotated[
    int | str,
    Expression(ValueType.INTEGER),
    Field(description="a whole number, or CEL that gives one"),
]
DateExpr = Annotated[
    date | str,
    Expression(ValueType.DATE),
    Field(description="a date, or CEL that gives one, such as `add_months(membership.ends_on, 6)`"),
]
TextExpr = Annotated[
    str,
    Expression(ValueType.TEXT),
    Field(description="CEL that gives text; a literal needs quotes of its own"),
]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class RemedySpec(BaseModel):
    """What every remedy may carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    note: Text | None = Field(None, description="for whoever carries the remedy out")


class Refund(RemedySpec):
    """Money back by the way it was paid."""

    kind: Literal["refund"]
    amount: MoneyExpr
    due: DateExpr | None = Field(None, description="last day on which it must be paid")
    method: Literal["original", "bank", "cash"] = "original"


class Credit(RemedySpec):
    """Money set against the customer's next bills."""

    kind: Literal["credit"]
    amount: MoneyExpr
    valid_until: DateExpr | None = None


class Voucher(RemedySpec):
    """A voucher worth ``amount``."""

    kind: Literal["voucher"]
    amount: MoneyExpr
    valid_until: DateExpr | None = None
    refundable_from: DateExpr | None = Field(
        None, description="from this day an unused voucher is paid out in money"
    )
    transferable: bool = False


class Compensation(RemedySpec):
    """Money beyond what was paid."""

    kind: Literal["compensation"]
    amount: MoneyExpr
    due: DateExpr | None = None


class WaiveFee(RemedySpec):
    """A fee is not charged."""

    kind: Literal["waive_fee"]
    fee: Text
    amount: MoneyExpr | None = None


class Postpone(RemedySpec):
    """Another date instead of the one agreed; with ``until``, any date up to then."""

    kind: Literal["postpone"]
    new_date: DateExpr | None = None
    until: DateExpr | None = None


class Freeze(RemedySpec):
    """Payments and obligations rest."""

    kind: Literal["freeze"]
    from_: DateExpr | None = Field(None, alias="from")
    until: DateExpr | None = None


class Unfreeze(RemedySpec):
    """A freeze ends."""

    kind: Literal["unfreeze"]
    from_: DateExpr | None = Field(None, alias="from")


class PointsExtend(RemedySpec):
    """Points stay valid until."""

    kind: Literal["points.extend"]
    until: DateExpr


class PointsBonus(RemedySpec):
    """Extra points; ``on`` says when they are credited."""

    kind: Literal["points.bonus"]
    points: IntExpr
    on: Text | None = None


class TierExtend(RemedySpec):
    """A loyalty tier is kept until."""

    kind: Literal["tier.extend"]
    until: DateExpr
    tier: TextExpr | None = None


class BlockCharge(RemedySpec):
    """A charge that is about to happen is stopped."""

    kind: Literal["block_charge"]
    amount: MoneyExpr | None = None
    reason: Text | None = None


class ReverseCharge(RemedySpec):
    """A charge that happened is taken back."""

    kind: Literal["reverse_charge"]
    amount: MoneyExpr
    reason: Text | None = None


class DenyChange(RemedySpec):
    """A change to the customer's disadvantage is refused; ``until`` says how long."""

    kind: Literal["deny_change"]
    reason: Text
    until: DateExpr | None = None


class Substitute(RemedySpec):
    """Another service instead of the one that cannot be given."""

    kind: Literal["substitute"]
    services: list[Text] = Field(min_length=1)


class Channel(RemedySpec):
    """The channels through which the service is given."""

    kind: Literal["channel"]
    channels: list[Text] = Field(min_length=1)


class DeliveryMode(RemedySpec):
    """How an order is delivered; ``prompt`` asks the customer for a note."""

    kind: Literal["delivery_mode"]
    mode: Text
    prompt: Text | None = None


class Gesture(RemedySpec):
    """A kindness, with what it is worth where that is known."""

    kind: Literal["gesture"]
    gift: Text
    amount: MoneyExpr | None = None


class Notify(RemedySpec):
    """Somebody is told; the words are the rule's ``say``."""

    kind: Literal["notify"]
    to: Text = "customer"


class Escalate(RemedySpec):
    """A person takes over."""

    kind: Literal["escalate"]
    to: Text
    reason: Text | None = None


class Signal(RemedySpec):
    """A fact worth counting; it grants nothing."""

    kind: Literal["signal"]
    name: Text
    value: TextExpr | None = None


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
    | Signal,
    Field(discriminator="kind"),
]
# Remedies that pay or promise money: what `best` compares, and what statutory floors protect.
MONEY_KINDS = frozenset({"refund", "credit", "compensation", "reverse_charge"})
