"""What was decided before, as facts: `earlier.*` of the entity decided on. Pure; counted by nobody's cap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from policyengine.domain.decision import Ref
from policyengine.domain.holdings import RemedyRecord
from policyengine.domain.kept import DENIED, TRIED
from policyengine.domain.money import Money
from policyengine.domain.offers import open_offers
from policyengine.domain.remedies import WORTH_KINDS
from policyengine.domain.state import CustomerState
from policyengine.domain.values import Value
from policyengine.errors import MoneyError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def earlier_facts(state: CustomerState, ref: Ref | None) -> dict[str, Value]:
    """What was granted, denied and offered before, for an entity (None: for the customer as such)."""
    granted: list[RemedyRecord] = []
    denied: set[str] = set()
    newest: int | None = None
    for record in state.remedies:
        if record.policy.startswith(TRIED):
            continue
        newest = record.time if newest is None or record.time > newest else newest
        if record.entity == ref:
            if record.kind == DENIED:
                denied.add(record.policy)
            elif not record.offered:
                granted.append(record)
    facts: dict[str, Value] = {
        "earlier.kinds": tuple(sorted({record.kind for record in granted})),
        "earlier.policies": tuple(sorted({record.policy for record in granted})),
        "earlier.denied_by": tuple(sorted(denied)),
        "earlier.frozen": _frozen(granted),
        "earlier.offered": bool(open_offers(state, ref)),
    }
    amount = _worth(granted)
    if amount is not None:
        facts["earlier.amount"] = amount
    if newest is not None:
        facts["earlier.last_at"] = _EPOCH + timedelta(microseconds=newest)
    return facts


def _frozen(granted: list[RemedyRecord]) -> bool:
    last = [record.kind for record in granted if record.kind in ("freeze", "unfreeze")][-1:]
    return last == ["freeze"]


def _worth(granted: list[RemedyRecord]) -> Money | None:
    total: Money | None = None
    try:
        for record in granted:
            if record.amount is not None and record.kind in WORTH_KINDS:
                total = record.amount if total is None else total + record.amount
    except MoneyError:
        return None
    return total
