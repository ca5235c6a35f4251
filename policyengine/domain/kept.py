"""What a customer's state keeps of a decision, from the decision itself or from its document: the same.

Remedies, offers and denials of the past, offers as entities that wait for an answer, messages that wait
as notices. Folding it into a state is domain.state's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from policyengine.domain.decision import Decision, Held, Ref, Settled
from policyengine.domain.money import Money
from policyengine.domain.values import Value

OFFER, NOTICE = "offer", "notice"  # entity types; the first is also the kind of an offer's record
DENIED = "denied"  # the kind of a denial's record
TRIED = "~"  # before the policy, in records of what was given in shadow on trial: no policy begins so
OPEN, SETTLED, WITHDRAWN = "open", "settled", "withdrawn"
HELD, RELEASED = "held", "released"
RELEASING = frozenset({"notice.released", "staff.acknowledged"})  # event types that let a notice go
_SORTED = orjson.OPT_SORT_KEYS


class Given(NamedTuple):
    """A remedy, an offer or a denial, as records name it."""

    policy: str
    version: int
    rule: str
    kind: str
    amount: Money | None


class Kept(NamedTuple):
    """A decision as far as a state keeps it; ``offers`` are documents."""

    decision_id: str
    entity: Ref | None
    event_type: str
    time: datetime
    given: list[Given]
    offers: list[Mapping[str, Any]]
    settles: tuple[Settled, ...]
    held: list[Held]
    supplements: str | None

    @property
    def released(self) -> str | None:
        """The notice whose messages go out with the decision."""
        if self.entity is None or self.entity.type != NOTICE or self.event_type not in RELEASING:
            return None
        return self.entity.id

    def promised_by(self, policy: str, rule: str) -> str:
        """The decision that first promised a grant: what caps count once.

        That of the offer which the customer has chosen from, or the one that is supplemented.
        """
        for settled in self.settles:
            made_by, of, by = parts_of(settled.offer)
            if (of, by) == (policy, rule):
                return made_by
        return self.supplements or self.decision_id

    def opened(self) -> Iterator[tuple[Ref, dict[str, Value]]]:
        """The entities that it opens: offers that wait for an answer, messages that wait for the staff."""
        for offer in self.offers:
            ref = Ref(OFFER, offer_id(self.decision_id, offer["policy"], offer["rule"]))
            yield ref, _offer(self.decision_id, self.entity, offer)
        for held in self.held:
            yield Ref(NOTICE, notice_id(self.decision_id, held.policy)), _notice(self.decision_id, held)


def offer_id(decision_id: str, policy: str, rule: str) -> str:
    """The id of the entity `offer` that a rule's offer becomes."""
    return f"{decision_id}/{policy}/{rule}"


def parts_of(offer: str) -> tuple[str, str, str]:
    """Decision, policy and rule of an offer's id; a policy's name may hold `/`, the others do not."""
    made_by, _, rest = offer.partition("/")
    policy, _, rule = rest.rpartition("/")
    return made_by, policy, rule


def notice_id(decision_id: str, policy: str) -> str:
    """The id of the entity `notice` that a policy's held messages become."""
    return f"{decision_id}/{policy}"


def version_id(policy: str, version: int) -> str:
    """The id of the world's entity `policy_version`."""
    return f"{policy}@{version}"


def _offer(decision_id: str, entity: Ref | None, offer: Mapping[str, Any]) -> dict[str, Value]:
    values: dict[str, Value] = {
        "policy": offer["policy"],
        "version": offer["version"],
        "rule": offer["rule"],
        "decision_id": decision_id,
        "status": OPEN,
        "consent": offer["consent"],
        "document": orjson.dumps(offer, option=_SORTED).decode(),
    }
    if offer["deadline"] is not None:
        values["deadline"] = datetime.fromisoformat(offer["deadline"]).date()
    if entity is not None:
        values.update(about_type=entity.type, about_id=entity.id)
    return values


def _notice(decision_id: str, held: Held) -> dict[str, Value]:
    return {
        "policy_version": version_id(held.policy, held.version),
        "policy": held.policy,
        "version": held.version,
        "status": HELD,
        "until": held.until,
        "document": orjson.dumps(dict(held.messages), option=_SORTED).decode(),
        "decision_id": decision_id,
    }


def kept_of_decision(decision: Decision) -> Kept:
    """What a state keeps of a decision."""
    given = [Given(one.policy, one.version, one.rule, one.kind, one.amount) for one in decision.remedies]
    given += [Given(one.policy, one.version, one.rule, OFFER, None) for one in decision.offers]
    given += [Given(one.policy, one.version, one.rule, DENIED, None) for one in decision.denials]
    if decision.tried:
        tried = [one.to_json() for one in decision.shadow_remedies]
        given += _tried(decision.tried, tried, [one.to_json() for one in decision.shadow_offers])
    return Kept(
        decision.decision_id, decision.entity, decision.event_type, decision.time, given,
        [offer.to_json() for offer in decision.offers],
        decision.settles, list(decision.held), decision.supplements,
    )  # fmt: skip


def kept_of_document(document: Mapping[str, Any]) -> Kept:
    """The same of a decision as the ledger holds it."""
    entity, event = document["entity"], document["event"]
    given = [
        _given(one, kind or one["kind"])
        for kind, parts in (("", "remedies"), (OFFER, "offers"), (DENIED, "denials"))
        for one in document[parts]
    ]
    shadow = document.get("shadow")
    if shadow is not None and "tried" in shadow:
        given += _tried(shadow["tried"], shadow["remedies"], shadow["offers"])
    settles = tuple(
        Settled(one["offer"], one["alternative"], one["by"], one["consented"])
        for one in document.get("settles", ())
    )
    held = [
        Held(one["policy"], one["version"], datetime.fromisoformat(one["until"]), one["messages"])
        for one in document.get("held", ())
    ]
    return Kept(
        document["decision_id"], None if entity is None else Ref(entity["type"], entity["id"]),
        event["type"], datetime.fromisoformat(event["time"]), given,
        document["offers"], settles, held, document.get("supplements"),
    )  # fmt: skip


def _tried(
    versions: Sequence[str], remedies: Iterable[Mapping[str, Any]], offers: Iterable[Mapping[str, Any]]
) -> Iterator[Given]:
    """What versions on trial in shadow gave: their own caps count it, and nothing else does."""
    for raw, kind in (*((one, one["kind"]) for one in remedies), *((one, OFFER) for one in offers)):
        if version_id(raw["policy"], raw["version"]) in versions:
            given = _given(raw, kind)
            yield given._replace(policy=TRIED + given.policy)


def _given(raw: Mapping[str, Any], kind: str) -> Given:
    amount = raw.get("amount")
    money = None if amount is None else Money.parse(amount["value"], amount["currency"])
    return Given(raw["policy"], raw["version"], raw["rule"], kind, money)
