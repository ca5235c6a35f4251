"""What was decided before, as facts: `earlier.*` of the entity decided on. Pure; counted by nobody's cap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from policyengine.domain.decision import Ref
from policyengine.domain.holdings import RemedyRecord
from policyengine.domain.kept import DENIED
from policyengine.domain.money import Money
from policyengine.domain.offers import open_offers
from policyengine.domain.remedies import WORTH_KINDS
from policyengine.domain.state import CustomerState
from policyengine.domain.values import Value
from policyengine.errors import MoneyError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def earlier_facts(state: CustomerState, ref: Ref | None) -> dict[str, Value]:
    """What was granted, denied and offered before, for an entity (None: for the customer as such)."""
    records = list(state.remedies)
    own = [record for record in records if record.entity == ref]
    granted = [record for record in own if not record.offered and record.kind != DENIED]
    facts: dict[str, Value] = {
        "earlier.kinds": _texts({record.kind for record in granted}),
        "earlier.policies": _texts({record.policy for record in granted}),
        "earlier.denied_by": _texts({record.policy for record in own if record.kind == DENIED}),
        "earlier.frozen": _frozen(granted),
        "earlier.offered": bool(open_offers(state, ref)),
    }
    amount = _worth(granted)
    if amount is not None:
        facts["earlier.amount"] = amount
    if records:
        newest = max(record.time for record in records)
        facts["earlier.last_at"] = _EPOCH + timedelta(microseconds=newest)
    return facts


def _texts(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


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
