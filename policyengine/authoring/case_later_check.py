"""What was to come later against what came: the same things on the same days, and nothing else, in words.

Reading what a case expects is authoring.case_later, comparing decisions authoring.case_check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import NamedTuple

from policyengine.authoring.case_check import Difference, differences
from policyengine.authoring.case_later import Awaited, Later, said
from policyengine.domain.calendar import local_date
from policyengine.domain.decision import Decision
from policyengine.domain.played import Happening, Played, origin
from policyengine.domain.timers import Timer
from policyengine.domain.values import instant_to_json

_MOST = 3  # things that are named where something else was to happen, or nothing


class _One(NamedTuple):
    """Something that happened, or that is still to come; ``number`` counts what happened."""

    timer: Timer
    policy: str
    rule: str
    day: date
    number: int | None
    decisions: list[Decision]


@dataclass(slots=True)
class LaterCheck:
    """Compares one case's; ``own`` are its policies, whose timers may not come unnoticed."""

    later: Later
    own: Collection[str]
    zones: Mapping[str, tzinfo]
    zone: tzinfo  # of the policies that the case is about
    wrong: list[Difference] = field(default_factory=list)
    steps: list[int | None] = field(default_factory=list)  # which happenings are not as expected

    def compare(self, played: Played) -> None:
        """Note what differs. invariant: what the case's own policies let happen is expected, or is told."""
        last = self.later.last(self.zone)
        happened = [self._one(*one, number) for number, one in enumerate(played.later)]
        left = [one for one in happened if last is not None and one.day <= last]
        waiting = [one for one in happened if one not in left]
        waiting += [self._one(timer, [], None) for timer in played.pending]
        missing = []
        for awaited in sorted(self.later.awaited, key=_detail, reverse=True):
            found = self._found(awaited, left)
            if found is None:
                missing.append(awaited)
            else:
                left.remove(found)
                self._decided(awaited, found)
        for awaited in sorted(missing, key=lambda each: each.day(self.zone)):
            self._missing(awaited, left, waiting)
        unasked = [one for one in left if self._counts(one)]
        if self.later.ends:
            unasked += [one for one in waiting if self._counts(one)]
        for one in unasked[:_MOST]:
            self._note(Difference(_named(one), "", f"on {one.day.isoformat()}", _rules(one)), one)
        if more := unasked[_MOST:]:
            got = f"{len(more)} more, the last on {more[-1].day.isoformat()}"
            self._note(Difference("and so on", "", got, _rules(more[-1])), more[-1])

    def _one(self, timer: Timer, decisions: list[Decision], number: int | None) -> _One:
        policy, rule = origin(timer)
        zone = self.zones.get(policy, self.zone)
        return _One(timer, policy, rule, local_date(timer.at, zone), number, decisions)

    def _counts(self, one: _One) -> bool:
        return bool(one.timer.customer) and one.policy in self.own

    def _found(self, awaited: Awaited, left: Sequence[_One]) -> _One | None:
        """What happened on the day; of several what was decided as expected, and the case's own first."""
        fitting = [one for one in left if _is_when(awaited, one) and _is_what(awaited, one)]
        fitting.sort(key=lambda one: (bool(list(_decisions(awaited, one))), not self._counts(one)))
        return next(iter(fitting), None)

    def _decided(self, awaited: Awaited, one: _One) -> None:
        for wrong in _decisions(awaited, one):
            named = f"{wrong.what} on {_moment(awaited, one)}"
            self._note(Difference(named, wrong.expected, wrong.got, wrong.rules), one)

    def _missing(self, awaited: Awaited, left: list[_One], waiting: list[_One]) -> None:
        """It happens on another day, or nothing of the kind happens at all: then what does."""
        for others in (left, waiting):
            near = next((one for one in others if self._is_near(awaited, one)), None)
            if near is not None:
                others.remove(near)
                expected, got = f"on {said(awaited.on)}", f"on {_moment(awaited, near)}"
                self._note(Difference(_named(near), expected, got, _rules(near)), near)
                return
        others = sorted((one for one in (*left, *waiting) if self._counts(one)), key=lambda one: one.timer)
        instead = [f"{_named(one)} on {one.day.isoformat()}" for one in others[:_MOST]]
        instead += ["…"] if len(others) > _MOST else []
        got = f"nothing; there is {', '.join(instead)}" if instead else "nothing, nor on any other day"
        rules = () if awaited.rule is None else (awaited.rule,)
        self._note(Difference(f"on {said(awaited.on)}", _wanted(awaited), got, rules), None)

    def _is_near(self, awaited: Awaited, one: _One) -> bool:
        return (awaited.happens is not None or self._counts(one)) and _is_what(awaited, one)

    def _note(self, difference: Difference, one: _One | None) -> None:
        self.wrong.append(difference)
        self.steps.append(None if one is None else one.number)


def _detail(awaited: Awaited) -> int:
    """What says most is found first."""
    return sum(each is not None for each in (awaited.happens, awaited.rule, awaited.customer))


def _is_when(awaited: Awaited, one: _One) -> bool:
    return one.timer.at == awaited.on if isinstance(awaited.on, datetime) else one.day == awaited.on


def _is_what(awaited: Awaited, one: _One) -> bool:
    return (
        awaited.happens in (None, one.timer.event)
        and awaited.rule in (None, one.rule)
        and awaited.customer in (None, one.timer.customer)
    )


def _decisions(awaited: Awaited, one: _One) -> Iterator[Difference]:
    for expectation in awaited.expectations:
        yield from differences(expectation, one.decisions)


def _wanted(awaited: Awaited) -> str:
    words = [awaited.happens or "something"]
    words += [] if awaited.rule is None else [f"of rule {awaited.rule}"]
    words += [] if awaited.customer is None else [f"for {awaited.customer}"]
    return " ".join(words)


def _named(one: _One) -> str:
    return f"{one.timer.event} of rule {one.rule}" if one.rule else one.timer.event


def _rules(one: _One) -> tuple[str, ...]:
    decided = [trace.rule for decision in one.decisions for trace in decision.trace]
    return tuple(dict.fromkeys([*([one.rule] if one.rule else []), *decided]))


def _moment(awaited: Awaited, one: _One) -> str:
    """When it happened, as exactly as the case says it."""
    return instant_to_json(one.timer.at) if isinstance(awaited.on, datetime) else one.day.isoformat()


def label(happening: Happening, zone: tzinfo) -> str:
    """Above the trace of what was decided then."""
    return f"on {local_date(happening.timer.at, zone).isoformat()}, {happening.timer.event}:"
