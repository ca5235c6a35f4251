"""Who is let in: events that are refused for their source, their type, their time or what came before.

Whether bytes are an event at all is domain.validation's; what the state does not allow is service.machine's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.events import Event, Rejection
from policyengine.domain.state import to_micros
from policyengine.domain.timers import INTERNAL_SOURCE

CONFLICT, FUTURE, OURS, INTERNAL = "EV090", "EV091", "EV092", "EV093"
WRONG_KEY, SET_ASIDE, MALFORMED, ELSEWHERE = "EV094", "EV095", "EV096", "EV097"
# refused for the moment or the message in which they came, not for what they are: no replay can tell it again
OF_THE_MOMENT = frozenset({CONFLICT, FUTURE, WRONG_KEY, SET_ASIDE, MALFORMED, ELSEWHERE})
_SECOND = 1_000_000  # µs
_DAY = 86_400 * _SECOND


def impostor(event: Event, raw: bytes, catalogue: Catalogue) -> Rejection | None:
    """The rejection of an event from outside that only the engine itself may send."""
    if event.source.startswith(INTERNAL_SOURCE):
        reason = (
            f"the source `{event.source}` is the engine's own; give events from outside a source of their own"
        )
        return Rejection(OURS, reason, raw, event.source, event.id)
    if catalogue.events[event.type].internal:
        reason = f"`{event.type}` comes from the engine itself, never from outside"
        return Rejection(INTERNAL, reason, raw, event.source, event.id)
    return None


def misplaced(event: Event, raw: bytes, catalogue: Catalogue, scope: Scope | None) -> Rejection | None:
    """The rejection of an event that came by an input of another scope; None: the input takes any.

    A customer's event that every shard reads would be decided in each; one of the world that only one
    shard reads would be missing in the others.
    """
    found = catalogue.events[event.type].scope
    if scope is None or found is scope:
        return None
    reason = f"`{event.type}` is an event of scope `{found.value}`; send it to the topic for these"
    return Rejection(ELSEWHERE, reason, raw, event.source, event.id)


def conflict(event: Event, raw: bytes) -> Rejection:
    """The rejection of an event whose (source, id) was accepted before with other content."""
    reason = (
        f"an event with source `{event.source}` and id `{event.id}` was accepted before with "
        "other content; give a correction an id of its own"
    )
    return Rejection(CONFLICT, reason, raw, event.source, event.id)


@dataclass(frozen=True, slots=True)
class Door:
    """How far ahead an event may be: the time of a shard never goes back, so one wrong year would stay.

    ``clock`` says what time it is (µs since 1970), ``skew`` how many seconds an event may be ahead of it.
    ``jump``: how many days an event may be ahead of the latest before it; None: any.
    """

    clock: Callable[[], int] | None = None
    skew: int = 300
    jump: int | None = None

    def too_early(self, event: Event, raw: bytes, now: int | None) -> Rejection | None:
        """The rejection of an event from the future; ``now`` is the time that the stream has reached."""
        time = to_micros(event.time)
        reason = ""
        if self.clock is not None and time > self.clock() + self.skew * _SECOND:
            reason = (
                f"its time is more than {self.skew} seconds ahead of the clock; send it when it has happened"
            )
        elif self.jump is not None and now is not None and time > now + self.jump * _DAY:
            reason = f"its time is more than {self.jump} days ahead of the latest event before it"
        return Rejection(FUTURE, reason, raw, event.source, event.id) if reason else None
