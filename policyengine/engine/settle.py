"""What becomes of offers and notices in a decision: an answer, silence, a withdrawal, a release.

What was offered is granted as it was computed then, read back from the offer. Whether an answer can be
accepted is domain.offers'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import orjson

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Ref, Remedy, Settled
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entities
from policyengine.domain.kept import HELD, NOTICE, OFFER, OPEN, RELEASING
from policyengine.domain.offers import (
    CHOSEN,
    EXPIRED,
    about,
    admit_choice,
    offers_of,
    open_offers,
    read_offer,
)
from policyengine.domain.state import CustomerState, entity_of
from policyengine.domain.values import Value

_NONE = Entities()


class Settlement(NamedTuple):
    """What a decision holds besides what its rules give."""

    remedies: tuple[Remedy, ...] = ()
    settles: tuple[Settled, ...] = ()
    messages: Mapping[str, str] = MappingProxyType({})


class Answer(NamedTuple):
    """An offer that an event settles: by which alternative, and the offer's id and attributes."""

    offer: str
    values: Mapping[str, Value]
    settled: Settled


NOTHING = Settlement()


def decided_on(catalogue: Catalogue, state: CustomerState, event: Event) -> Ref | None:
    """The entity that a customer's event is decided on: its own, or that of the offer which it settles."""
    answer = answer_of(state, event)
    return entity_of(event, catalogue) if answer is None else about(answer.values)


def answer_of(state: CustomerState, event: Event) -> Answer | None:
    """Which open offer an event settles and how; None where it settles none."""
    if event.type == CHOSEN:
        return _chosen(state, event)
    return _expired(state, event) if event.type == EXPIRED else None


def _chosen(state: CustomerState, event: Event) -> Answer | None:
    if admit_choice(state, event) is not None:
        return None
    ((key, offer),) = offers_of(state, event).items()
    consented = event.data.get("consented") is True
    return Answer(key, offer.values, Settled(key, str(event.data["alternative"]), "customer", consented))


def _expired(state: CustomerState, event: Event) -> Answer | None:
    key = str(event.data["offer_id"])
    offer = state.entities.get(OFFER, _NONE).get(key)
    if offer is None or offer.values.get("status") != OPEN or "document" not in offer.values:
        return None
    default = read_offer(offer.values).default
    return None if default is None else Answer(key, offer.values, Settled(key, default, "silence"))


def settlement(state: CustomerState, event: Event, ref: Ref | None, remedies: Sequence[Remedy]) -> Settlement:
    """What a decision on an entity must hold besides the ``remedies`` and messages of its rules."""
    given = NOTHING
    if event.type in RELEASING and ref is not None and ref.type == NOTICE:
        given = Settlement(messages=_held(state, ref.id))
    answer = answer_of(state, event)
    if answer is not None and ref == about(answer.values):
        given = settle_choice(answer)
    taking_back = [one for one in (*given.remedies, *remedies) if one.kind == "withdraw"]
    withdrawn = _withdrawn(state, ref, taking_back, given.settles) if taking_back else ()
    return given._replace(settles=(*given.settles, *withdrawn)) if withdrawn else given


def settle_choice(answer: Answer) -> Settlement:
    """The chosen alternative's remedies as they were offered, and its title for words."""
    offered = read_offer(answer.values)
    (chosen,) = (choice for choice in offered.choices if choice.id == answer.settled.alternative)
    return Settlement(chosen.remedies, (answer.settled,), chosen.title)


def _held(state: CustomerState, notice: str) -> Mapping[str, str]:
    entity = state.entities.get(NOTICE, _NONE).get(notice)
    if entity is None or entity.values.get("status") != HELD:
        return {}
    document: dict[str, str] = orjson.loads(str(entity.values["document"]))
    return document


def _withdrawn(
    state: CustomerState, ref: Ref | None, remedies: Sequence[Remedy], settled: Sequence[Settled]
) -> list[Settled]:
    """The open offers that each `withdraw` takes back; one that is settled by the same decision is not."""
    gone = {one.offer for one in settled}
    offers: dict[str, None] = {}
    for remedy in remedies:
        offers.update(dict.fromkeys(open_offers(state, ref, str(remedy.values["offers_of"]))))
    return [Settled(offer, None, "rule") for offer in offers if offer not in gone]
