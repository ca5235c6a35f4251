"""What is known of one customer, folded from events and decisions: ``evolve(state, …)``.

Pure and frozen. Loading and storing a state is the store's; facts are made of it in engine.facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.decision import Decision, Ref
from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.values import Json, Value, pack, unpack

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The inverse of ``to_micros``."""
    return _EPOCH + timedelta(microseconds=micros)


class Entity(NamedTuple):
    """Attributes of a booking, a membership … and when (µs) the event that set each happened."""

    values: Mapping[str, Value]
    times: Mapping[str, int]


class RemedyRecord(NamedTuple):
    """A remedy granted or offered before: what caps, explanations and reviews need."""

    policy: str
    version: int
    rule: str
    kind: str
    entity: Ref | None
    amount: Money | None
    time: int  # µs
    decision: str  # the decision that granted it
    offered: bool = False


@dataclass(frozen=True, slots=True)
class CustomerState:
    """Entities by type and id, and the remedies granted or offered, oldest first."""

    customer: str
    entities: Mapping[str, Mapping[str, Entity]] = field(default_factory=dict)
    remedies: tuple[RemedyRecord, ...] = ()


def evolve(state: CustomerState, event: Event, catalogue: Catalogue) -> CustomerState:
    """Fold one event in, in arrival order.

    invariant: an attribute that a younger event set is never overwritten by an older event that
    arrives late; at equal times the later arrival wins.
    """
    kind = catalogue.events[event.type]
    if kind.scope is Scope.WORLD or kind.entity is None:
        return state
    ref = entity_of(event, catalogue)
    if ref is None:
        return state
    entity_type = catalogue.entities[ref.type]
    update: dict[str, Value] = {
        name: value for name, value in event.data.items() if name in entity_type.attributes
    }
    update.update(kind.sets)
    for name in kind.stamps:
        update[name] = event.time
    of_type = state.entities.get(ref.type, {})
    entity = _set(of_type.get(ref.id), update, to_micros(event.time))
    entities = {**state.entities, ref.type: {**of_type, ref.id: entity}}
    return CustomerState(state.customer, entities, state.remedies)


def entity_of(event: Event, catalogue: Catalogue) -> Ref | None:
    """The entity that an event concerns, or None where its type names none."""
    kind = catalogue.events[event.type]
    if kind.entity is None:
        return None
    if kind.key is None:
        return Ref(kind.entity, event.subject)
    return Ref(kind.entity, str(event.data[kind.key]))


def _set(entity: Entity | None, update: Mapping[str, Value], time: int) -> Entity:
    if entity is None:
        return Entity(dict(update), dict.fromkeys(update, time))
    values, times = dict(entity.values), dict(entity.times)
    for name, value in update.items():
        if times.get(name, time) <= time:
            values[name] = value
            times[name] = time
    return Entity(values, times)


def evolve_decided(state: CustomerState, decision: Decision) -> CustomerState:
    """Fold a decision in: its remedies and offers count from now on. Shadow ones do not."""
    if not decision.remedies and not decision.offers:
        return state
    time, made_by = to_micros(decision.time), decision.decision_id
    records = [
        RemedyRecord(
            remedy.policy, remedy.version, remedy.rule, remedy.kind,
            decision.entity, remedy.amount, time, made_by,
        )
        for remedy in decision.remedies
    ]  # fmt: skip
    records += [
        RemedyRecord(
            offer.policy, offer.version, offer.rule, "offer",
            decision.entity, None, time, made_by, offered=True,
        )
        for offer in decision.offers
    ]  # fmt: skip
    return CustomerState(state.customer, state.entities, (*state.remedies, *records))


def evolve_recorded(state: CustomerState, document: Mapping[str, Any]) -> CustomerState:
    """Fold a decision in as the ledger holds it: the same state as ``evolve_decided`` makes."""
    if not document["remedies"] and not document["offers"]:
        return state
    entity = None if document["entity"] is None else Ref(**document["entity"])
    time = to_micros(datetime.fromisoformat(document["event"]["time"]))
    records = []
    for raw in [*document["remedies"], *document["offers"]]:
        amount = raw.get("amount")
        records.append(
            RemedyRecord(
                raw["policy"],
                raw["version"],
                raw["rule"],
                raw.get("kind", "offer"),
                entity,
                None if amount is None else Money.parse(amount["value"], amount["currency"]),
                time,
                document["decision_id"],
                offered="kind" not in raw,
            )
        )
    return CustomerState(state.customer, state.entities, (*state.remedies, *records))


def state_to_json(state: CustomerState) -> dict[str, Json]:
    """Compact JSON: what a store keeps. Attribute order does not matter; remedies keep theirs."""
    return {
        "customer": state.customer,
        "entities": {
            kind: {
                key: {
                    "v": {name: pack(value) for name, value in entity.values.items()},
                    "t": dict(entity.times),
                }
                for key, entity in of_type.items()
            }
            for kind, of_type in state.entities.items()
        },
        "remedies": [_record_to_json(record) for record in state.remedies],
    }


def state_from_json(raw: Mapping[str, Any]) -> CustomerState:
    """The inverse of ``state_to_json``."""
    entities = {
        kind: {
            key: Entity({name: unpack(value) for name, value in entity["v"].items()}, dict(entity["t"]))
            for key, entity in of_type.items()
        }
        for kind, of_type in raw["entities"].items()
    }
    remedies = tuple(_record_from_json(record) for record in raw["remedies"])
    return CustomerState(raw["customer"], entities, remedies)


def _record_to_json(record: RemedyRecord) -> Json:
    entity: Json = None if record.entity is None else [record.entity.type, record.entity.id]
    amount: Json = None if record.amount is None else [record.amount.minor, record.amount.currency]
    return [
        record.policy, record.version, record.rule, record.kind,
        entity, amount, record.time, record.decision, record.offered,
    ]  # fmt: skip


def _record_from_json(raw: list[Any]) -> RemedyRecord:
    policy, version, rule, kind, entity, amount, time, decision, offered = raw
    return RemedyRecord(
        policy, version, rule, kind,
        None if entity is None else Ref(*entity),
        None if amount is None else Money(*amount),
        time, decision, offered,
    )  # fmt: skip
