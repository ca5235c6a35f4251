"""Remarks on a file by itself: citations, reviews, withdrawals, days before it governs, idle parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from policyengine.domain.calendar import local_date
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy import Basis, Policy
from policyengine.domain.remedies import RemedySpec, Withdraw
from policyengine.engine.expressions import Compiled
from policyengine.engine.faults import Fault, Path
from policyengine.engine.lint_scope import Seen
from policyengine.engine.tree import Const


def file_remarks(
    policies: Sequence[Policy], seen: Sequence[Seen], on: date, *, whole: bool
) -> Iterator[Fault]:
    """PE089 to PE093."""
    for at, policy in enumerate(policies):
        if policy.basis is Basis.STATUTORY and not policy.cites:
            text = "a statutory policy that cites no law"
            hint = 'name it: cites: ["Regulation (EC) 261/2004, art. 7"]'
            yield Fault(at, ("basis",), 0, "PE089", text, hint)
        yield from _review(at, policy, policies, on)
        if whole:
            yield from _withdrawals(at, policy, policies)
    for rule in seen:
        yield from _too_early(rule)
    yield from _idle_parameters(policies, seen)


def _review(at: int, policy: Policy, policies: Sequence[Policy], on: date) -> Iterator[Fault]:
    """A review that is due concerns whoever still lives by the version."""
    if policy.review is None or policy.review > on:
        return
    until = policy.effective.until
    if until is not None and _day(policy, until) <= on:
        return
    newer = [
        other
        for other in policies
        if other.policy == policy.policy
        and other.version > policy.version
        and _day(other, other.effective.from_) <= on
    ]
    if not newer:
        text = f"the review was due on {policy.review.isoformat()}"
        hint = "look at the policy again and write the next day, or end it with `until`"
        yield Fault(at, ("review",), 0, "PE090", text, hint)


def _day(policy: Policy, day: date) -> date:
    if isinstance(day, datetime):
        return local_date(day if day.tzinfo else day.replace(tzinfo=policy.zone), policy.zone)
    return day


def _withdrawals(at: int, policy: Policy, policies: Sequence[Policy]) -> Iterator[Fault]:
    known = {other.policy for other in policies}
    for path, remedy in _remedies(policy):
        if isinstance(remedy, Withdraw) and remedy.offers_of not in known:
            text = f"there is no policy `{remedy.offers_of}` whose offers could be withdrawn"
            hint = did_you_mean(remedy.offers_of, known) or "write the name as in that policy's `policy:`"
            yield Fault(at, (*path, "offers_of"), 0, "PE091", text, hint)


def _remedies(policy: Policy) -> Iterator[tuple[Path, RemedySpec]]:
    for place, rule in enumerate(policy.rules):
        for nth, remedy in enumerate(rule.grant):
            yield ("rules", place, "grant", nth), remedy
        for choice, alternative in enumerate(rule.offer.alternatives if rule.offer is not None else ()):
            for nth, remedy in enumerate(alternative.grant):
                yield ("rules", place, "offer", "alternatives", choice, "grant", nth), remedy


def _too_early(rule: Seen) -> Iterator[Fault]:
    """A day that is over before the version governs is an error in each of its decisions."""
    version = rule.compiled.policy
    if version.window.anchor != "event.time" or version.retroactive is not None:
        return
    begins = version.day_of(version.window.start)
    days: list[tuple[Path, str, Compiled | date | None]] = [
        ((*rule.path, "follow_up", nth, "at"), "the event", one.at)
        for nth, one in enumerate(rule.compiled.follow_ups)
    ]
    if rule.compiled.offer is not None:
        days.append(((*rule.path, "offer", "deadline"), "the deadline", rule.compiled.offer.deadline))
    for path, what, written in days:
        day = (
            written.tree.value
            if isinstance(written, Compiled) and isinstance(written.tree, Const)
            else written
        )
        if isinstance(day, date) and day < begins:
            text = f"{what} is on {day.isoformat()}, before the version governs on {begins.isoformat()}"
            hint = "write a later day, or count from the event: add_days(date_of(event.time), 14)"
            yield Fault(rule.at, path, 0, "PE092", text, hint)


def _idle_parameters(policies: Sequence[Policy], seen: Sequence[Seen]) -> Iterator[Fault]:
    read: dict[int, set[str]] = {}
    for rule in seen:
        read.setdefault(rule.at, set()).update(rule.compiled.reads)
    for at, policy in enumerate(policies):
        for name in policy.parameters:
            if f"param.{name}" not in read.get(at, set()):
                text = f"no rule reads the parameter `{name}`"
                hint = f"write `param.{name}` where it is meant, or remove it"
                yield Fault(at, ("parameters", name), 0, "PE093", text, hint)
