"""Offers that wait for an answer: finding them, admitting an answer, reading back what was offered.

What an answer leads to is engine.settle's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

import orjson

from policyengine.domain.decision import Choice, Offered, Ref, Remedy
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entities, Entity
from policyengine.domain.kept import OFFER, OPEN, SETTLED
from policyengine.domain.money import Money
from policyengine.domain.remedies import REMEDY_KINDS, expression_fields
from policyengine.domain.state import CustomerState
from policyengine.domain.values import Value, ValueType, instant_to_json

CHOSEN, EXPIRED = "remedy.chosen", "offer.expired"
_NONE = Entities()
_SOURCE = frozenset({"kind", "policy", "version", "rule", "basis", "enforced"})


class Refusal(NamedTuple):
    """Why an answer is none: a stable code and a reason."""

    code: str
    reason: str


def open_offers(state: CustomerState, ref: Ref | None, policy: str | None = None) -> list[str]:
    """The ids of the offers about an entity that wait for an answer; with ``policy``, its alone."""
    found = []
    for key, offer in state.entities.get(OFFER, _NONE).items():
        values = offer.values
        if values.get("status") == OPEN and about(values) == ref and policy in (None, values.get("policy")):
            found.append(key)
    return sorted(found)


def about(values: Mapping[str, Value]) -> Ref | None:
    """The entity that an offer is about; None: the customer as such."""
    if "about_type" not in values:
        return None
    return Ref(str(values["about_type"]), str(values["about_id"]))


def offers_of(state: CustomerState, event: Event) -> dict[str, Entity]:
    """The customer's offers that a `remedy.chosen` may mean, by id."""
    wanted = {
        name: event.data[name]
        for name in ("decision_id", "policy", "rule")
        if event.data.get(name) is not None
    }
    return {
        key: offer
        for key, offer in state.entities.get(OFFER, _NONE).items()
        if "document" in offer.values
        and all(offer.values.get(name) == value for name, value in wanted.items())
    }


def admit_choice(state: CustomerState, event: Event) -> Refusal | None:
    """Why a `remedy.chosen` cannot be accepted as things stand; None where it can, and of other events.

    The first of: EV110 no such offer, EV111 several, EV112 no such alternative, EV113 settled, EV114
    withdrawn, EV115 without the consent that it needs.
    """
    if event.type != CHOSEN:
        return None
    meant = offers_of(state, event)
    if not meant:
        named = " / ".join(
            str(event.data[name]) for name in ("decision_id", "policy", "rule") if name in event.data
        )
        return Refusal("EV110", f"customer {event.subject} has no offer {named}")
    if len(meant) > 1:
        listed = ", ".join(
            f"{one.values['policy']} / {one.values['rule']}" for _, one in sorted(meant.items())
        )
        return Refusal("EV111", f"the decision made several offers: name policy and rule of one: {listed}")
    (offer,) = meant.values()
    return _refused(offer.values, event)


def _refused(values: Mapping[str, Value], event: Event) -> Refusal | None:
    chosen = event.data["alternative"]
    ids = [choice["id"] for choice in _document(values)["alternatives"]]
    if chosen not in ids:
        return Refusal("EV112", f"no alternative `{chosen}` was offered; there are {', '.join(ids)}")
    if values["status"] == SETTLED:
        return Refusal("EV113", _settled(values, event))
    if values["status"] != OPEN:
        return Refusal("EV114", "the offer was withdrawn")
    if values["consent"] is True and event.data.get("consented") is not True:
        return Refusal("EV115", "the law asks for the customer's consent: send `consented: true`")
    return None


def _settled(values: Mapping[str, Value], event: Event) -> str:
    """What an answer is told that comes too late, in words that somebody can act on."""
    chosen, deadline = values["chosen"], values.get("deadline")
    if values["by"] != "silence":
        return f"the offer was answered before, with `{chosen}`: the first answer counts"
    reason = f"the offer was settled with `{chosen}` since no answer had come by {deadline}"
    if isinstance(deadline, date) and event.time.date() <= deadline:
        reason += f"; this one is of {instant_to_json(event.time)} and came in after that"
    if event.data["alternative"] == chosen:
        return reason
    return f"{reason}; whether the customer gets `{event.data['alternative']}` after all, a person decides"


def read_offer(values: Mapping[str, Value]) -> Offered:
    """What was offered, back from an offer's document: the same typed values, and the same JSON."""
    raw = _document(values)
    choices = tuple(
        Choice(one["id"], tuple(read_remedy(remedy) for remedy in one["remedies"]), one["title"])
        for one in raw["alternatives"]
    )
    deadline = raw["deadline"]
    return Offered(
        raw["policy"], raw["version"], raw["rule"], raw["basis"], choices,
        raw["default"], None if deadline is None else date.fromisoformat(deadline), raw["consent"],
    )  # fmt: skip


def read_remedy(raw: Mapping[str, Any]) -> Remedy:
    """A remedy back from its JSON."""
    types = expression_fields(REMEDY_KINDS[raw["kind"]])
    values = {name: _field(value, types.get(name)) for name, value in raw.items() if name not in _SOURCE}
    return Remedy(
        raw["kind"], values, raw["policy"], raw["version"], raw["rule"], raw["basis"],
        raw.get("enforced", True),
    )  # fmt: skip


def _field(raw: Any, kind: ValueType | None) -> Value:
    if kind is ValueType.MONEY:
        return Money.parse(raw["value"], raw["currency"])
    if kind is ValueType.DATE:
        return date.fromisoformat(raw)
    return tuple(raw) if isinstance(raw, list) else raw


def _document(values: Mapping[str, Value]) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(str(values["document"]))
    return document
