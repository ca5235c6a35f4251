"""What a decision leads to later: its timers, and messages that wait until the staff know.

Timers only; when they fire is service.machine's. Offers that are settled are engine.settle's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from policyengine.domain.calendar import LAST_DAY, local_date, local_midnight
from policyengine.domain.decision import Decision, Held, Remedy, Settled
from policyengine.domain.events import Event
from policyengine.domain.kept import notice_id, offer_id, parts_of, version_id
from policyengine.domain.state import to_micros
from policyengine.domain.timers import Timer
from policyengine.domain.values import Json
from policyengine.domain.world import World
from policyengine.engine.resolve import Claim
from policyengine.engine.ruleset import PolicyVersion, RuleSet
from policyengine.engine.words import messages

OFFER_EXPIRED, REMEDY_ENDED, NOTICE_RELEASED = "offer.expired", "remedy.ended", "notice.released"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_LAST = {"voucher": "valid_until", "freeze": "until"}  # the kinds that end, and the field that says when


def give_time(claims: Sequence[Claim], world: World, event: Event) -> None:
    """invariant: no offer is over when it is made, so silence never answers what nobody could answer.

    Where the event came late, or a version reaches back to it, as many days as there would have been
    are counted from the day on which the offer is made.
    """
    claims = [claim for claim in claims if claim.offers]
    if world.now is None or not claims:
        return
    now = _EPOCH + timedelta(microseconds=world.now)
    for claim in claims:
        zone = claim.rule.policy.zone
        made = local_date(now, zone)
        for nth, offer in enumerate(claim.offers):
            if offer.deadline is not None and offer.deadline < made:
                days = (offer.deadline - local_date(event.time, zone)).days
                moved = min(made + timedelta(days=days), LAST_DAY - _DAY)
                claim.offers[nth] = replace(offer, deadline=moved)
                claim.because.append(
                    f"{offer.deadline.isoformat()} was over when the offer was made: {days} days from then on"
                )


def spoken(
    ruleset: RuleSet, claims: Sequence[Claim], world: World, event: Event
) -> tuple[Mapping[str, str], tuple[Held, ...]]:
    """The messages that are told now, and those that wait until the staff know of their version."""
    if not [claim for claim in claims if claim.rule.policy.staff_first is not None]:
        return messages(claims), ()
    waiting: dict[str, tuple[datetime, list[Claim]]] = {}
    told = []
    for claim in claims:
        policy = claim.rule.policy
        until = None if policy.staff_first is None else _waits_until(ruleset, policy, world, event)
        if until is None:
            told.append(claim)
        else:
            waiting.setdefault(policy.id, (until, []))[1].append(claim)
    held = []
    for until, by in waiting.values():
        text, policy = messages(by), by[0].rule.policy
        if text:
            held.append(Held(policy.id, policy.version, until, text))
    return messages(told), tuple(held)


def _waits_until(ruleset: RuleSet, policy: PolicyVersion, world: World, event: Event) -> datetime | None:
    """Until when a version's messages wait at the longest; None where they may be told."""
    entity = world.entities.get("policy_version", {}).get(version_id(policy.id, policy.version))
    stamps = {} if entity is None else entity.values
    if "acknowledged_at" in stamps or NOTICE_RELEASED not in ruleset.catalogue.events:
        return None
    published = stamps.get("published_at")
    if not isinstance(published, datetime):
        if policy.announced is None:
            return None
        published = local_midnight(policy.announced, policy.zone)
    until = published + timedelta(hours=policy.staff_first or 0)
    now = event.time
    if world.now is not None:  # an event that arrives late is decided now
        now = max(now, _EPOCH + timedelta(microseconds=world.now))
    return until if now < until else None


def timers(ruleset: RuleSet, decision: Decision, claims: Sequence[Claim]) -> tuple[Timer, ...]:
    """Everything that will happen because of a decision, of the event types that the catalogue has.

    ``claims`` are those that it rests on; those that lost and those in shadow leave nothing behind.
    """
    known = ruleset.catalogue.events
    claims = [claim for claim in claims if claim.stands and not claim.rule.shadow]
    made = list(_follow_ups(decision, claims))
    if decision.offers and OFFER_EXPIRED in known:
        made += _deadlines(ruleset, decision)
    if REMEDY_ENDED in known and any(remedy.kind in _LAST for remedy in decision.remedies):
        made += _endings(ruleset, decision, claims)
    if decision.held:
        made += _notices(decision)
    return tuple(made)


def _follow_ups(decision: Decision, claims: Sequence[Claim]) -> Iterator[Timer]:
    for claim in claims:
        for nth, due in enumerate(claim.follow_ups):
            data = dict(due.data)
            if due.key is not None and decision.entity is not None:
                data[due.key] = decision.entity.id
            rule = offer_id(decision.decision_id, claim.rule.policy.id, claim.rule.id)
            yield Timer(due.due, decision.customer, f"{rule}/{nth}", due.event, data)


def _deadlines(ruleset: RuleSet, decision: Decision) -> Iterator[Timer]:
    for offer in decision.offers:
        if offer.deadline is not None:
            name = offer_id(decision.decision_id, offer.policy, offer.rule)
            due = _midnight(offer.deadline + _DAY, zone_of(ruleset, offer.policy, offer.version))
            data: dict[str, Json] = {
                "offer_id": name,
                "decision_id": decision.decision_id,
                "policy": offer.policy,
                "rule": offer.rule,
            }
            yield Timer(due, decision.customer, name, OFFER_EXPIRED, data)


def _endings(ruleset: RuleSet, decision: Decision, claims: Sequence[Claim]) -> Iterator[Timer]:
    """The day after a voucher's last, the day on which a freeze is over."""
    ids = ending_ids(decision.decision_id, decision.settles, decision.remedies)
    settled = len(decision.remedies) - sum(len(claim.remedies) for claim in claims)
    taken_over = [None] * settled + [
        claim.endings.get(nth) for claim in claims for nth in range(len(claim.remedies))
    ]
    for remedy, own, other in zip(decision.remedies, ids, taken_over, strict=True):
        last, name = ends_on(remedy), other or own
        if last is None or name is None:
            continue
        zone = zone_of(ruleset, remedy.policy, remedy.version)
        over = last + _DAY if remedy.kind == "voucher" and last < LAST_DAY else last
        if over <= local_date(decision.time, zone) or last >= LAST_DAY:
            continue  # it never began, or it never ends
        data: dict[str, Json] = {
            "decision_id": decision.decision_id,
            "policy": remedy.policy,
            "version": remedy.version,
            "rule": remedy.rule,
            "remedy": remedy.kind,
            "ended_on": over.isoformat(),
        }
        yield Timer(_midnight(over, zone), decision.customer, name, REMEDY_ENDED, data)


def ending_ids(decision_id: str, settles: Sequence[Settled], remedies: Sequence[Remedy]) -> list[str | None]:
    """The ids of the timers at which remedies end, `<decision>/<policy>/<rule>/ended<n>`; None: it has none.

    The decision is the one that promised it: where an offer is settled, the one that made the offer.
    """
    count: Counter[str] = Counter()
    ids: list[str | None] = []
    for remedy in remedies:
        if ends_on(remedy) is None:
            ids.append(None)
            continue
        offers = [one.offer for one in settles if parts_of(one.offer)[1:] == (remedy.policy, remedy.rule)]
        rule = offers[0] if offers else offer_id(decision_id, remedy.policy, remedy.rule)
        ids.append(f"{rule}/ended{count[rule]}")
        count[rule] += 1
    return ids


def ends_on(remedy: Remedy) -> date | None:
    """The last day of a voucher, the first day after a freeze; None for what does not end by itself."""
    last = remedy.values.get(_LAST.get(remedy.kind, ""))
    return last if isinstance(last, date) else None


def _notices(decision: Decision) -> Iterator[Timer]:
    for held in decision.held:
        name = notice_id(decision.decision_id, held.policy)
        data: dict[str, Json] = {
            "notice_id": name,
            "decision_id": decision.decision_id,
            "policy": held.policy,
            "version": held.version,
        }
        yield Timer(to_micros(held.until), decision.customer, name, NOTICE_RELEASED, data)


def _midnight(day: date, zone: tzinfo) -> int:
    return to_micros(local_midnight(day, zone))


def zone_of(ruleset: RuleSet, policy: str, version: int) -> tzinfo:
    """The zone of a policy's days; of a version that the set no longer has, UTC."""
    for rule in ruleset.rules:
        if (rule.policy.id, rule.policy.version) == (policy, version):
            return rule.policy.zone
    return UTC
