"""What is going to happen at a set time: a timer, and the internal event that it becomes.

Who sets timers is engine.decide's and domain.world's, when they fire is service.machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from policyengine.domain.values import Json, instant_to_json

INTERNAL_SOURCE = "urn:policyengine"  # events of this source come from the engine, never from outside
LOST = "timer.lost"  # the event in place of one that the catalogue in force refuses
TimerOrder = tuple[int, str, str]  # due, customer, id: by these they fire
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timer(NamedTuple):
    """An event of type ``event`` with ``data`` (as JSON) that happens at ``due`` (µs since 1970, UTC).

    Timers fire in their order: by due time, customer ("" is the world) and id. A timer with the id of one
    that is pending takes its place.
    """

    due: int
    customer: str
    id: str
    event: str
    data: Mapping[str, Json]

    @property
    def at(self) -> datetime:
        """``due`` as an instant."""
        return _EPOCH + timedelta(microseconds=self.due)

    def to_json(self) -> dict[str, Json]:
        """As in a decision, which names the customer itself."""
        return {"id": self.id, "at": instant_to_json(self.at), "event": self.event, "data": dict(self.data)}

    def document(self) -> dict[str, Json]:
        """The CloudEvent that it becomes."""
        return internal_event(self.id, self.event, self.at, self.customer or "world", self.data)


def internal_event(
    event_id: str, event_type: str, time: datetime, subject: str, data: Mapping[str, Json]
) -> dict[str, Json]:
    """A CloudEvent of the engine's own."""
    return {
        "specversion": "1.0",
        "source": INTERNAL_SOURCE,
        "id": event_id,
        "type": event_type,
        "time": instant_to_json(time),
        "subject": subject,
        "data": dict(data),
    }
