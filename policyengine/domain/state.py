"""What is known of one customer, folded from events and decisions: ``evolve(state, …)``.

Pure and frozen. Loading and storing a state is the store's; facts are made of it in engine.facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.decision import Decision, Ref
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entities, Entity, Remedies, RemedyRecord, merged
from policyengine.domain.kept import (
    NOTICE,
    OFFER,
    RELEASED,
    SETTLED,
    WITHDRAWN,
    Kept,
    kept_of_decision,
    kept_of_document,
)
from policyengine.domain.values import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NONE = Entities()
_NO_REMEDIES = Remedies()
_REMEDIES = "remedies:"
_OVERHEAD = 1_000  # bytes of the objects that every state has


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


class CustomerState(NamedTuple):
    """Entities by type and id, and the remedies granted or offered, oldest first."""

    customer: str
    entities: Mapping[str, Entities] = MappingProxyType({})
    remedies: Remedies = _NO_REMEDIES


def evolve(state: CustomerState, event: Event, catalogue: Catalogue) -> CustomerState:
    """Fold one event in, in arrival order; what a younger event set stays."""
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
    of_type = state.entities.get(ref.type, _NONE)
    entity = merged(of_type.get(ref.id), update, to_micros(event.time), kind.clears)
    entities = {**state.entities, ref.type: of_type.having(ref.id, entity)}
    return CustomerState(state.customer, entities, state.remedies)


def entity_of(event: Event, catalogue: Catalogue) -> Ref | None:
    """The entity that an event concerns, or None where its type names none."""
    kind = catalogue.events[event.type]
    if kind.entity is None:
        return None
    if kind.key is None:
        return Ref(kind.entity, event.subject)
    return Ref(kind.entity, str(event.data[kind.key]))


def evolve_decided(state: CustomerState, decision: Decision) -> CustomerState:
    """Fold a decision in: what it grants, offers, denies, settles and holds back, and what is tried."""
    if (
        decision.remedies
        or decision.offers
        or decision.denials
        or decision.settles
        or decision.held
        or decision.tried
        or _may_release(decision.entity)
    ):
        return _keep(state, kept_of_decision(decision))
    return state


def evolve_recorded(state: CustomerState, document: Mapping[str, Any]) -> CustomerState:
    """Fold a decision in as the ledger holds it: the same state as ``evolve_decided`` makes."""
    return _keep(state, kept_of_document(document))


def _may_release(entity: Ref | None) -> bool:
    return entity is not None and entity.type == NOTICE


def _keep(state: CustomerState, kept: Kept) -> CustomerState:
    # invariant: a decision that grants, offers, denies, settles and holds nothing leaves the state as it is
    time = to_micros(kept.time)
    records = [
        RemedyRecord(
            one.policy, one.version, one.rule, one.kind, kept.entity, one.amount, time,
            kept.promised_by(one.policy, one.rule), one.kind == OFFER,
        )
        for one in kept.given
    ]  # fmt: skip
    entities = state.entities
    for ref, values in kept.opened():
        of_type = entities.get(ref.type, _NONE)
        entity = Entity(values, dict.fromkeys(values, time))
        entities = {**entities, ref.type: of_type.having(ref.id, entity)}
    for ref, values in _closing(kept):
        of_type = entities.get(ref.type, _NONE)
        before = of_type.get(ref.id)
        if before is not None and any(before.values.get(name) != value for name, value in values.items()):
            entity = Entity({**before.values, **values}, {**before.times, **dict.fromkeys(values, time)})
            entities = {**entities, ref.type: of_type.having(ref.id, entity)}
    if not records and entities is state.entities:
        return state
    remedies = state.remedies.extended(records) if records else state.remedies
    return CustomerState(state.customer, entities, remedies)


def _closing(kept: Kept) -> Iterator[tuple[Ref, dict[str, Value]]]:
    """What becomes of offers that are settled and of the notice that goes out, whatever time they have."""
    for settled in kept.settles:
        ref = Ref(OFFER, settled.offer)
        if settled.alternative is None:
            yield ref, {"status": WITHDRAWN, "by": settled.by}
        else:
            yield ref, {"status": SETTLED, "chosen": settled.alternative, "by": settled.by}
    if kept.released is not None:
        yield Ref(NOTICE, kept.released), {"status": RELEASED}


def settle(state: CustomerState) -> tuple[CustomerState, dict[str, bytes]]:
    """The same state, all of it packed, and what changed since it was loaded or settled: part → bytes.

    A part is one entity (`booking/b1`) or sixteen remedies (`remedies:0`), so that a long history is
    neither read whole nor written again with every event.
    """
    parts: dict[str, bytes] = {}
    entities = state.entities
    for kind, of_type in state.entities.items():
        if of_type.changed:
            packed = of_type.fresh()
            entities = {**entities, kind: of_type.settled(packed)}
            for key, raw in packed.items():
                parts[f"{kind}/{key}"] = raw
    chunks = state.remedies.fresh()
    for number, raw in chunks.items():
        parts[f"{_REMEDIES}{number}"] = raw
    remedies = state.remedies.settled(chunks) if chunks else state.remedies
    return CustomerState(state.customer, entities, remedies), parts


def state_of_parts(customer: str, parts: Mapping[str, bytes]) -> CustomerState:
    """Put a state together of all its parts."""
    entities: dict[str, dict[str, Entity | bytes]] = {}
    chunks: dict[int, bytes] = {}
    for part, packed in parts.items():
        if part.startswith(_REMEDIES):
            chunks[int(part.removeprefix(_REMEDIES))] = packed
        else:
            kind, _, key = part.partition("/")
            entities.setdefault(kind, {})[key] = packed
    by_type = {kind: Entities(of_type) for kind, of_type in entities.items()}
    return CustomerState(customer, by_type, Remedies.of_chunks([chunks[n] for n in sorted(chunks)]))


def weight(state: CustomerState) -> int:
    """Bytes of memory that a settled state takes, roughly."""
    return _OVERHEAD + sum(of_type.weight for of_type in state.entities.values()) + state.remedies.weight
