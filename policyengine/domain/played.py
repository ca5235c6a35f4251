"""What came of the events of a case, and what happened after them by itself: values.

Playing a case is service.case_engine's; comparing it with what a case expects is authoring's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from policyengine.domain.decision import Decision
from policyengine.domain.events import Rejection
from policyengine.domain.kept import parts_of
from policyengine.domain.timers import Timer

_NOTICE = "notice.released"
_OF_A_RULE = frozenset({"offer.expired", "remedy.ended"})  # these say whose they are


class Happening(NamedTuple):
    """A timer that fired after the last event, and what was decided on it, for everybody whom it reaches."""

    timer: Timer
    decisions: list[Decision]


class Played(NamedTuple):
    """``answers``: of each event its decisions, or why it was rejected. ``pending``: what is to come."""

    answers: Sequence[list[Decision] | Rejection]
    later: Sequence[Happening] = ()
    pending: Sequence[Timer] = ()


def origin(timer: Timer) -> tuple[str, str]:
    """The policy and the rule that let it happen; no rule for held messages, neither for the world's."""
    if not timer.customer:
        return "", ""
    if timer.event == _NOTICE:
        return str(timer.data.get("policy", "")), ""
    if timer.event in _OF_A_RULE:
        return str(timer.data.get("policy", "")), str(timer.data.get("rule", ""))
    _, policy, rule = parts_of(timer.id.rpartition("/")[0])  # a follow-up, see engine.aftermath
    return policy, rule
