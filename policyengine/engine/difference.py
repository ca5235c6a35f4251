"""What one set of remedies gives beyond another: more money, more points, a later last day, something new.

Nothing is ever taken back, so there is no other direction. Which remedies are compared is
engine.supplement's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from policyengine.domain.decision import Remedy
from policyengine.domain.money import Money
from policyengine.domain.remedies import WORTH_KINDS
from policyengine.domain.values import Value

_LAST_DAYS = ("valid_until", "until")  # the later, the better; none at all is best
_WHAT = ("fee", "gift", "on", "name", "value", "to", "mode", "tier", "services", "channels", "offers_of")
_Key = tuple[str, tuple[Value | None, ...]]


class Had(NamedTuple):
    """A remedy that was granted before, and the id of the timer at which it ends."""

    remedy: Remedy
    ending: str | None = None


class More(NamedTuple):
    """What is granted beyond: the remedy with the difference, and in full, as words tell it.

    ``ending``: the timer whose place its own takes, since what was granted before lasts longer now.
    """

    granted: Remedy
    told: Remedy
    ending: str | None = None


@dataclass(slots=True)
class _Pool:
    """What was granted before of one kind and for one thing, added up."""

    amount: Money | None = None
    points: int = 0
    last: dict[str, date | None] = field(default_factory=dict)  # None: without end
    ending: str | None = None

    def add(self, had: Had) -> None:
        values = had.remedy.values
        amount, points = values.get("amount"), values.get("points")
        if isinstance(amount, Money):
            self.amount = amount if self.amount is None else self.amount + amount
        if isinstance(points, int):
            self.points += points
        for name in _LAST_DAYS:
            self.last[name] = _later(self.last.get(name, date.min), _day(had.remedy, name))
        self.ending = self.ending or had.ending


def beyond(remedies: Sequence[Remedy], had: Iterable[Had]) -> list[More | None]:
    """For each remedy, what it gives beyond what was had before; None where that is nothing.

    Money and vouchers are worth what they say: what is left of one kind counts against another.
    MoneyError where two currencies would have to be compared.
    """
    pools: dict[_Key, _Pool] = {}
    for one in had:
        pools.setdefault(_key(one.remedy), _Pool()).add(one)
    rests = _rests(remedies, pools)
    return [
        _more(remedy, pools.get(_key(remedy)), rest) for remedy, rest in zip(remedies, rests, strict=True)
    ]


def _more(remedy: Remedy, pool: _Pool | None, rest: Money | None) -> More | None:
    values, points = dict(remedy.values), remedy.values.get("points")
    if pool is None:
        if rest is None or rest == remedy.amount:
            return More(remedy, remedy)
        if rest.minor == 0:
            return None
        return _told(remedy._replace(values={**values, "amount": rest}), remedy, None)
    more = rest is not None and rest.minor > 0
    if rest is not None:
        values["amount"] = rest
    if isinstance(points, int):
        values["points"] = max(points - pool.points, 0)
        more = more or points > pool.points
    longer = any(_is_longer(remedy, pool, name) for name in _LAST_DAYS)
    if not more and not longer:
        return None
    return _told(remedy._replace(values=values), remedy, pool.ending)


def _told(granted: Remedy, full: Remedy, ending: str | None) -> More:
    """In words an amount is the difference; where that is nothing, what it is all worth."""
    values = {
        name: full.values[name] if _is_nothing(value) else value for name, value in granted.values.items()
    }
    return More(granted, full._replace(values=values), ending)


def _is_nothing(value: Value) -> bool:
    return value.minor == 0 if isinstance(value, Money) else value == 0 and isinstance(value, int)


def _rests(remedies: Sequence[Remedy], pools: dict[_Key, _Pool]) -> list[Money | None]:
    """Of each remedy, the money that was not granted before."""
    left = {key: pool.amount for key, pool in pools.items()}
    rests = [_taken(remedy.amount, left, [_key(remedy)]) for remedy in remedies]
    others = [key for key in left if key[0] in WORTH_KINDS]
    for nth, remedy in enumerate(remedies):
        if remedy.kind in WORTH_KINDS:
            rests[nth] = _taken(rests[nth], left, others)
    return rests


def _taken(amount: Money | None, left: dict[_Key, Money | None], keys: Sequence[_Key]) -> Money | None:
    """An amount less what is left under these keys, which it uses up."""
    for key in keys:
        there = left.get(key)
        if amount is None or there is None:
            continue
        rest = amount - there
        amount = rest if rest.minor > 0 else Money(0, amount.currency)
        left[key] = Money(max(-rest.minor, 0), there.currency)
    return amount


def _is_longer(remedy: Remedy, pool: _Pool, name: str) -> bool:
    day, last = _day(remedy, name), pool.last.get(name)
    return last is not None and (day is None or day > last)


def _later(one: date | None, other: date | None) -> date | None:
    return None if one is None or other is None else max(one, other)


def _day(remedy: Remedy, name: str) -> date | None:
    day = remedy.values.get(name)
    return day if isinstance(day, date) else None


def _key(remedy: Remedy) -> _Key:
    return remedy.kind, tuple(remedy.values.get(name) for name in _WHAT)
