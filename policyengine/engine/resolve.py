"""Which of the claims on one event and entity stand: caps, denials, exclusive groups, floors.

In this order: what earlier grants have used up of a cap; denials; exclusive groups, in which
statutory remedies are floors; what the claims of this very decision use up of a shared cap.
Shadow claims are settled among themselves and never touch the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from policyengine.domain.decision import ClauseTrace, Denied, Offered, Ref, Remedy, Verdict
from policyengine.domain.events import Event
from policyengine.domain.kept import version_id
from policyengine.domain.money import Money
from policyengine.domain.policy import Basis
from policyengine.domain.policy_model import SHADOW
from policyengine.domain.remedies import MONEY_KINDS, WORTH_KINDS
from policyengine.domain.state import CustomerState
from policyengine.domain.values import Value
from policyengine.engine.caps import NOTHING_GRANTED, CapLedger
from policyengine.engine.follow_ups import Due
from policyengine.engine.ruleset import CompiledRule, PolicyVersion
from policyengine.errors import MoneyError

_APPLIED = Verdict.APPLIED  # a member of an enumeration costs a look-up each time


@dataclass(slots=True)
class Claim:
    """A candidate on its way to a verdict: what it would give, and why it lost if it did."""

    rule: CompiledRule
    clauses: tuple[ClauseTrace, ...]
    remedies: list[Remedy] = field(default_factory=list)
    offers: list[Offered] = field(default_factory=list)
    denial: Denied | None = None
    verdict: Verdict = Verdict.APPLIED
    because: list[str] = field(default_factory=list)
    enforced: bool = True
    message_values: Mapping[str, Value] = field(default_factory=dict)
    follow_ups: list[Due] = field(default_factory=list)
    tried: PolicyVersion | None = None  # the version on trial that would govern in place of the rule's
    told: Sequence[Remedy] = ()  # its remedies as messages tell them, where that is not as they are granted
    endings: dict[int, str] = field(default_factory=dict)  # by remedy: the timer whose place its own takes

    def lose(self, verdict: Verdict, because: str) -> None:
        """It does not stand."""
        self.verdict = verdict
        self.because.append(because)

    @property
    def stands(self) -> bool:
        """Still applied."""
        return self.verdict is _APPLIED

    @property
    def statutory(self) -> bool:
        """Owed by law."""
        return self.rule.policy.basis is Basis.STATUTORY

    @property
    def name(self) -> str:
        """As reasons call it."""
        return f"{self.rule.policy.id}/{self.rule.id}"

    def worth(self) -> Money | None:
        """Its money and vouchers; of an offer, the best alternative. MoneyError on two currencies."""
        total = _sum(self.remedies)
        for offer in self.offers:
            for choice in offer.choices:
                value = _sum(choice.remedies)
                if value is not None and (total is None or (value - total).minor > 0):
                    total = value
        return total


def _sum(remedies: Sequence[Remedy]) -> Money | None:
    total: Money | None = None
    for remedy in remedies:
        amount = remedy.amount
        if amount is not None and remedy.kind in WORTH_KINDS:
            total = amount if total is None else total + amount
    return total


def one_version(claims: Sequence[Claim], under: Mapping[int, str]) -> None:
    """Of each policy one version governs: the one that applies under the first crisis; the others lose.

    ``under``: by a rule's number, what its version's anchor is an attribute of, where several cover the
    entity. No two versions govern by the same anchor, so the ids tell them apart.
    """
    first: dict[tuple[str, bool], Claim] = {}
    standing = [claim for claim in claims if claim.stands and claim.rule.number in under]
    for claim in sorted(standing, key=lambda one: (under[one.rule.number], one.rule.number)):
        governs = first.setdefault((claim.rule.policy.id, claim.rule.shadow), claim)
        version = governs.rule.policy.version
        if claim.rule.policy.version != version:
            name = under[governs.rule.number]
            claim.lose(Verdict.EXCLUSIVE, f"version {version} governs, by `{name}`: one version does")


def resolve(
    claims: Sequence[Claim],
    state: CustomerState,
    event: Event,
    ref: Ref | None,
    granted: Mapping[str, int] = NOTHING_GRANTED,
) -> None:
    """Settle the claims in place; those that lose say why. ``granted`` is for caps per event.

    What is on trial in shadow is settled with what would stand beside it; that leaves no trace on the latter.
    """
    on_trial: list[Claim] = []
    live: list[Claim] = []
    in_shadow: list[Claim] = []
    for claim in claims:
        if claim.verdict is _APPLIED:
            rule = claim.rule
            (on_trial if rule.policy.trial == SHADOW else in_shadow if rule.shadow else live).append(claim)
    beside = [_copy(claim) for claim in claims if on_trial and claim.stands and _stays(claim)]

    def caps(*, trial: bool = False) -> CapLedger:
        return CapLedger(state, event, ref, granted, trial=trial)

    if live:
        _settle(live, caps)
    if in_shadow:
        _settle(in_shadow, caps)
    if on_trial:
        _settle([*on_trial, *beside], partial(caps, trial=True))


def _stays(claim: Claim) -> bool:
    """Whether it would stand beside what is on trial: no version would govern in its place."""
    return not claim.rule.shadow and claim.tried is None


def _copy(claim: Claim) -> Claim:
    """For a trial, in which it may win or lose otherwise than in life."""
    return replace(
        claim,
        remedies=list(claim.remedies),
        offers=list(claim.offers),
        because=list(claim.because),
        follow_ups=list(claim.follow_ups),
    )


def tried(claims: Sequence[Claim]) -> tuple[str, ...]:
    """The versions on trial in shadow that would govern, by what the claims know."""
    found = {
        (one.id, one.version)
        for claim in claims
        for one in (claim.rule.policy if claim.rule.policy.trial == SHADOW else claim.tried,)
        if one is not None
    }
    return tuple([version_id(*one) for one in sorted(found)]) if found else ()


def _settle(claims: list[Claim], counting: Callable[[], CapLedger]) -> None:
    """``counting`` makes what caps are counted by, where there are any."""
    if len(claims) > 1:
        claims = sorted(claims, key=_order)
    capped = [claim for claim in claims if claim.rule.cap or claim.rule.policy.cap]
    if capped:
        caps = counting()
        for claim in claims:
            apply_caps(claim, caps, used_now=False)
    if len(claims) > 1:
        _denials(claims)
        _groups(claims)
    if capped:
        for claim in claims:
            if claim.stands:
                apply_caps(claim, caps, used_now=True)


def apply_caps(claim: Claim, caps: CapLedger, *, used_now: bool) -> None:
    """Hold a claim to its rule's and its policy's caps; with ``used_now``, count it from here on."""
    rule = claim.rule
    for cap, scope in ((rule.cap, rule.id), (rule.policy.cap, None)):
        if cap is None or claim.denial is not None or not claim.stands:
            continue
        room = caps.room(cap, rule.policy, scope)
        if room.error:
            claim.lose(Verdict.ERROR, room.error)
        elif room.count is not None and room.count <= 0:
            claim.lose(Verdict.CAP, f"{room.text} is used up")
        elif room.amount is not None:
            _limit(claim, room.amount, room.text)
    if used_now and claim.stands:
        caps.use(rule.policy.id, rule.id, claim.remedies)


def _limit(claim: Claim, left: Money, text: str) -> None:
    """Reduce a claim's money to what is left of a cap."""
    try:
        worth = _sum(claim.remedies)
    except MoneyError as error:
        claim.lose(Verdict.ERROR, f"{error}: {text} cannot be applied")
        return
    if worth is None:
        return
    if worth.currency != left.currency:
        claim.lose(Verdict.ERROR, f"PE204 {text} is in {left.currency}, the remedy in {worth.currency}")
    elif left.minor <= 0:
        claim.lose(Verdict.CAP, f"{text} is used up")
    elif worth.minor > left.minor:
        claim.remedies = _reduced(claim.remedies, worth - left)
        claim.because.append(f"reduced to {left}: {text}")


def _reduced(remedies: Sequence[Remedy], by: Money) -> list[Remedy]:
    """Take ``by`` off the money remedies, the last first; those that come to nothing go."""
    rest = by.minor
    kept: list[Remedy] = []
    for remedy in reversed(remedies):
        amount = remedy.amount
        if amount is None or remedy.kind not in WORTH_KINDS or rest == 0:
            kept.append(remedy)
            continue
        taken = min(rest, amount.minor)
        rest -= taken
        if amount.minor > taken:
            smaller = Money(amount.minor - taken, amount.currency)
            kept.append(remedy._replace(values={**remedy.values, "amount": smaller}))
    return kept[::-1]


def _denials(claims: Sequence[Claim]) -> None:
    """A denial beats the grants of its policy or group, of its priority or a lower one.

    It never beats a statutory grant, unless it is statutory itself.
    """
    for denial in (claim for claim in claims if claim.stands and claim.denial is not None):
        rivals = [claim for claim in claims if claim.stands and claim.denial is None and _meet(denial, claim)]
        for rival in rivals:
            if rival.statutory and not denial.statutory:
                denial.lose(Verdict.FLOOR, f"{rival.name} is owed by law")
                break
            if rival.rule.priority > denial.rule.priority:
                denial.lose(Verdict.PRIORITY, f"{rival.name} has the higher priority")
                break
        if denial.stands:
            for rival in rivals:
                rival.lose(Verdict.PRIORITY, f"denied by {denial.name}")


def _meet(one: Claim, other: Claim) -> bool:
    if one.rule.policy.id == other.rule.policy.id:
        return True
    groups = (one.rule.exclusive, other.rule.exclusive)
    return groups[0] is not None and groups[1] is not None and groups[0].group == groups[1].group


def _groups(claims: Sequence[Claim]) -> None:
    groups: dict[str, list[Claim]] = {}
    for claim in claims:
        exclusive = claim.rule.exclusive
        if claim.stands and claim.denial is None and exclusive is not None and exclusive.choose != "all":
            groups.setdefault(exclusive.group, []).append(claim)
    for name, members in groups.items():
        if len(members) > 1:
            _choose_in_group(name, members)


def _choose_in_group(name: str, members: list[Claim]) -> None:
    if not _one_currency(name, members):
        return
    members = [claim for claim in members if _has_worth(claim)]
    if not members:
        return
    exclusive = members[0].rule.exclusive
    best = exclusive is not None and exclusive.choose == "best"
    floor = _winner(name, [claim for claim in members if claim.statutory], best=best)
    other = _winner(name, [claim for claim in members if not claim.statutory], best=best)
    if floor is not None and other is not None:
        _on_top(floor, other)


def _one_currency(name: str, members: list[Claim]) -> bool:
    """Two currencies cannot be compared: every claim that is not statutory loses with an error."""
    currencies = {
        remedy.amount.currency
        for claim in members
        for remedies in (claim.remedies, *(choice.remedies for o in claim.offers for choice in o.choices))
        for remedy in remedies
        if remedy.amount is not None
    }
    if len(currencies) <= 1:
        return True
    listed = " and ".join(sorted(currencies))
    for claim in members:
        if not claim.statutory:
            claim.lose(Verdict.ERROR, f"PE204 group {name} has {listed}, which cannot be compared")
    return False


def _has_worth(claim: Claim) -> bool:
    """False, and lost with an error, where its money is more than can be added up exactly."""
    try:
        claim.worth()
    except MoneyError as error:
        claim.lose(Verdict.ERROR, str(error))
        return False
    return True


def _winner(name: str, members: list[Claim], *, best: bool) -> Claim | None:
    if not members:
        return None
    winner, *losers = sorted(members, key=_worth_then_order if best else _order)
    for loser in losers:
        why = "is worth at least as much" if best else "comes first"
        loser.lose(Verdict.EXCLUSIVE, f"in group {name}, {winner.name} {why}")
    return winner


def _order(claim: Claim) -> tuple[int, str, str]:
    return claim.rule.order


def _worth_then_order(claim: Claim) -> tuple[int, int, tuple[int, str, str]]:
    """The most first; of the same worth, money before vouchers and choices."""
    cash = sum(
        remedy.amount.minor for remedy in claim.remedies if remedy.amount and remedy.kind in MONEY_KINDS
    )
    worth = claim.worth()
    return (0 if worth is None else -worth.minor, -cash, claim.rule.order)


def _on_top(floor: Claim, other: Claim) -> None:
    """Goodwill adds to what the law gives, never replaces it.

    The difference in money is granted on top; a voucher in place of statutory money is not, nor is
    an offer; what is not money (a gesture, a message) stays.
    """
    owed = floor.worth()
    if other.offers:
        other.lose(Verdict.FLOOR, f"{floor.name} is owed by law and is not exchanged for an offer")
        return
    had_voucher = owed is not None and any(remedy.kind == "voucher" for remedy in other.remedies)
    remedies = [remedy for remedy in other.remedies if owed is None or remedy.kind != "voucher"]
    worth = _sum(remedies)
    if owed is not None and worth is not None:
        remedies = _reduced(remedies, owed if owed.minor < worth.minor else worth)
    if not remedies:
        why = "no voucher takes its place" if had_voucher else "is worth as much in money"
        other.lose(Verdict.FLOOR, f"{floor.name} is owed by law and {why}")
        return
    if owed is not None and worth is not None:
        other.because.append(f"on top of {owed} owed by law under {floor.name}")
    if had_voucher:
        other.because.append(f"no voucher in place of what {floor.name} owes")
    other.remedies = remedies
