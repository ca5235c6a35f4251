"""How much of a cap is left: counted over the remedies granted before, by period.

A policy's cap counts over all its rules and versions, a rule's over that rule's. A cap on money counts
what it can reduce: money and vouchers, not the worth of a gesture or of a fee that nobody charged.
A cap per event counts over all customers whom an event of the world reaches; engine.reach keeps the count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

from policyengine.domain.calendar import Period, calendar_period, local_date, local_midnight
from policyengine.domain.decision import Ref, Remedy
from policyengine.domain.events import Event
from policyengine.domain.holdings import RemedyRecord
from policyengine.domain.kept import DENIED, TRIED
from policyengine.domain.money import Money
from policyengine.domain.policy import Cap
from policyengine.domain.remedies import WORTH_KINDS
from policyengine.domain.state import CustomerState, to_micros
from policyengine.engine.ruleset import PolicyVersion

_DAY = 86_400_000_000  # µs
NOTHING_GRANTED: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of a cap, in grants or in money; ``text`` names the cap."""

    text: str
    count: int | None = None
    amount: Money | None = None
    error: str = ""


class CapLedger:
    """What counts towards caps for one event and entity: earlier records, and claims of now.

    ``trial``: of a policy on trial, what it gave in shadow counts from the first time on, instead of what was
    really granted since. ``granted``: how often the event's rules granted something to others whom it
    reached, by `policy/rule`.
    """

    def __init__(
        self,
        state: CustomerState,
        event: Event,
        ref: Ref | None,
        granted: Mapping[str, int] = NOTHING_GRANTED,
        *,
        trial: bool = False,
    ) -> None:
        self._trial = trial
        self._state = state
        self._event = event
        self._ref = ref
        self._granted = granted
        self._time = to_micros(event.time)
        self._before: dict[str, list[RemedyRecord]] | None = None  # by policy
        self._now: list[tuple[str, str, list[Money]]] = []

    def use(self, policy: str, rule: str, remedies: Sequence[Remedy]) -> None:
        """Count a grant of this decision."""
        amounts = [
            remedy.amount for remedy in remedies if remedy.amount is not None and remedy.kind in WORTH_KINDS
        ]
        self._now.append((policy, rule, amounts))

    def room(self, cap: Cap, policy: PolicyVersion, rule: str | None) -> Room:
        """What is left; ``rule`` None means the policy as a whole."""
        now = [amounts for name, by, amounts in self._now if name == policy.id and rule in (None, by)]
        text = cap_text(cap)
        if cap.per == "event":
            return Room(text, count=(cap.count or 0) - self._granted_by(policy.id, rule) - len(now))
        records = [
            record
            for record in self._records(policy.id)
            if (rule is None or record.rule == rule) and (cap.per == "customer" or record.entity == self._ref)
        ]
        spans = [
            [record for record in records if start <= record.time < until]
            for start, until in self._periods(cap, policy, [record.time for record in records])
        ]
        if cap.count is not None:
            offered = {(record.decision, record.rule) for record in records if record.offered}
            used = max(_grants(span, offered) for span in spans)
            return Room(text, count=cap.count - used - len(now))
        return _money_room(text, Money.literal(cap.amount or ""), spans, now)

    def _records(self, policy: str) -> Sequence[RemedyRecord]:
        """What a policy granted or offered before, read once however many caps ask."""
        if self._before is None:
            self._before = {}
            for record in self._state.remedies:
                if record.kind != DENIED:
                    self._before.setdefault(record.policy, []).append(record)
        real = self._before.get(policy, ())
        tried = self._before.get(TRIED + policy) if self._trial else None
        if not tried:
            return real
        since = min(record.time for record in tried)
        return [*(record for record in real if record.time < since), *tried]

    def _granted_by(self, policy: str, rule: str | None) -> int:
        """How often others were granted it; a rule's name has no `/`, a policy's may."""
        if rule is not None:
            return self._granted.get(f"{policy}/{rule}", 0)
        return sum(count for name, count in self._granted.items() if name.rpartition("/")[0] == policy)

    def _periods(self, cap: Cap, policy: PolicyVersion, times: Sequence[int]) -> list[tuple[int, int]]:
        """Half-open spans of time that hold the event, in each of which the cap must hold."""
        if cap.period == "ever":
            return [(-(2**63), 2**63)]
        if cap.period.endswith(" days"):
            return _rolling(self._time, int(cap.period.split()[0]) * _DAY, times)
        day = local_date(self._event.time, policy.zone)
        first, until = calendar_period(day, cast("Period", cap.period))
        return [
            (to_micros(local_midnight(first, policy.zone)), to_micros(local_midnight(until, policy.zone)))
        ]


def _grants(records: Sequence[RemedyRecord], offered: AbstractSet[tuple[str, str]]) -> int:
    """How often something was granted or offered; an offer counts when it is made, not when it is settled."""
    named = [((record.decision, record.rule), record.offered) for record in records]
    return len({name for name, is_offer in named if is_offer or name not in offered})


def _rolling(now: int, length: int, times: Sequence[int]) -> list[tuple[int, int]]:
    """The spans of a length that hold ``now`` and could be the fullest.

    invariant: no span of that length ever holds more than the cap, also when an event arrives
    late, after grants for younger ones: then each span that begins with an earlier grant counts.
    """
    if all(time <= now for time in times):
        return [(now - length + 1, now + 1)]
    starts = {now, *(time for time in times if now - length < time < now)}
    return [(start, start + length) for start in sorted(starts)]


def _money_room(
    text: str, limit: Money, spans: Sequence[Sequence[RemedyRecord]], now: Sequence[Sequence[Money]]
) -> Room:
    spent = [
        [record.amount for record in span if record.amount is not None and record.kind in WORTH_KINDS]
        for span in spans
    ]
    added = [amount for amounts in now for amount in amounts]
    currencies = {amount.currency for amounts in (*spent, added) for amount in amounts}
    other = sorted(currencies - {limit.currency})
    if other:
        return Room(text, error=f"PE204 {text} is in {limit.currency}, but {', '.join(other)} was granted")
    used = max(sum(amount.minor for amount in amounts) for amounts in spent)
    return Room(
        text, amount=Money(limit.minor - used - sum(amount.minor for amount in added), limit.currency)
    )


def cap_text(cap: Cap) -> str:
    """A cap as a person would say it: ``the cap of 2 per customer and year``."""
    what = f"{cap.count}" if cap.count is not None else f"{cap.amount}"
    period = {"ever": ""}.get(cap.period, f" and {cap.period}")
    return f"the cap of {what} per {cap.per}{period}"
