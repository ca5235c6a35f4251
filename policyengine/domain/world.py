"""The world that policies may refer to: crises, restrictions, facilities, folded from world events.

Small, and in memory as a whole. Who is touched by it is domain.places'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from policyengine.domain.holdings import Entity
from policyengine.domain.values import Json, Value


@dataclass(frozen=True, slots=True)
class Job:
    """Customers to be decided on one after the other: a world event's, or a retroactive amendment's.

    ``event`` is the world event's document; ``policy`` and ``version`` name the amendment. ``total``
    customers are on the job's list, ``done`` of them have been worked off. ``granted`` counts what rules
    with a cap per event have granted so far, by `policy/rule` (`policy` for the policy's own cap).
    """

    number: int
    kind: Literal["reach", "retroactive"]
    event: Mapping[str, Json] | None = None
    policy: str = ""
    version: int = 0
    total: int = 0
    done: int = 0
    granted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """Entities by type and id, the time that the stream has reached, and the jobs that are under way.

    ``given`` are facts that a case sets; they go before what the entities say. ``now`` is the latest time
    (µs) of any event or clock tick, None before the first. ``jobs`` are worked off in their order;
    ``next_job`` is the number of the next one; ``since`` counts the events since the last piece of one.
    ``changed`` names what is new since it was loaded or settled: (type, id).
    """

    given: Mapping[str, Value] = field(default_factory=dict)
    entities: Mapping[str, Mapping[str, Entity]] = field(default_factory=dict)
    now: int | None = None
    jobs: tuple[Job, ...] = ()
    next_job: int = 1
    since: int = 0
    changed: frozenset[tuple[str, str]] = frozenset()
