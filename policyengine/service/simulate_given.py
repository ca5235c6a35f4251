"""What a decision gives its customer, from the decision or from its recorded document, and how two compare.

Traces, words and versions are left out: they are how it was decided and told, not what is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from policyengine.domain.decision import Decision
from policyengine.domain.money import Money
from policyengine.domain.values import instant_to_json

Document = Mapping[str, Any]
_NAMES = ("version", "rule", "title")
A_CHOICE, A_DENIAL = "a choice", "a denial"  # beside the kinds of remedies


class About(NamedTuple):
    """Which decision it is: the same on both sides."""

    decision_id: str
    customer: str
    event_type: str
    event_id: str
    time: str  # of the event, RFC 3339 in UTC
    entity: tuple[str, str] | None  # type and id


@dataclass(frozen=True, slots=True)
class Given:
    """What one side gives: remedies and offers as documents, denials as their reasons."""

    about: About
    outcome: str
    remedies: Sequence[Document] = ()
    offers: Sequence[Document] = ()
    denials: Sequence[Document] = ()

    @property
    def is_something(self) -> bool:
        """Whether anything is given or offered."""
        return bool(self.remedies or self.offers)

    def money(self) -> dict[str, int]:
        """Minor units by currency: everything that has an amount, paid, promised or not charged."""
        found: dict[str, int] = {}
        for remedy in self.remedies:
            money = money_of(remedy)
            if money is not None:
                found[money.currency] = found.get(money.currency, 0) + money.minor
        return found

    def kinds(self) -> Counter[str]:
        """What is not told by an amount: remedies without one, offers, denials."""
        found = Counter(remedy["kind"] for remedy in self.remedies if "amount" not in remedy)
        if self.offers:
            found[A_CHOICE] = len(self.offers)
        if self.denials:
            found[A_DENIAL] = len(self.denials)
        return found


def money_of(remedy: Document) -> Money | None:
    """A remedy's amount, where it has one."""
    amount = remedy.get("amount")
    return None if amount is None else _parsed(amount["value"], amount["currency"])


@lru_cache(maxsize=10_000)
def _parsed(value: str, currency: str) -> Money:
    return Money.parse(value, currency)


def of_document(document: Document) -> Given:
    """What a recorded decision gives."""
    event, entity = document["event"], document["entity"]
    about = About(
        document["decision_id"], document["customer"], event["type"], event["id"], event["time"],
        None if entity is None else (entity["type"], entity["id"]),
    )  # fmt: skip
    return Given(about, document["outcome"], document["remedies"], document["offers"], document["denials"])


def of_decision(decision: Decision) -> Given:
    """What a decision gives; the same as that of its document."""
    entity = None if decision.entity is None else (decision.entity.type, decision.entity.id)
    about = About(
        decision.decision_id, decision.customer, decision.event_type, decision.event_id,
        instant_to_json(decision.time), entity,
    )  # fmt: skip
    return Given(
        about,
        decision.outcome.value,
        _documents(decision.remedies),
        _documents(decision.offers),
        _documents(decision.denials),
    )


def _documents(parts: Iterable[Any]) -> list[Document]:
    """As JSON reads them back."""
    made = [part.to_json() for part in parts]
    return orjson.loads(orjson.dumps(made, option=orjson.OPT_SORT_KEYS)) if made else made


def same(one: Given | None, other: Given | None) -> bool:
    """Whether the customer gets the same of both; None gives nothing, and is not the same as a decision."""
    if one is None or other is None:
        return one is other
    if one.outcome != other.outcome:
        return False
    alike = one.remedies == other.remedies and one.offers == other.offers and one.denials == other.denials
    return alike or substance(one) == substance(other)


def substance(given: Given) -> Any:
    """What counts as a change: remedies, offers, reasons of denials; not versions, names or words."""
    return bare(given.remedies), bare(given.offers), [denial["reason"] for denial in given.denials]


def bare(part: Any) -> Any:
    """Remedies or offers without the names of what gave them and of what they are called."""
    if isinstance(part, Mapping):
        return {key: bare(value) for key, value in part.items() if key not in _NAMES}
    return [bare(value) for value in part] if isinstance(part, (list, tuple)) else part
