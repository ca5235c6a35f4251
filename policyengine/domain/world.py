"""The world that policies may refer to: crises, restrictions, facilities, folded from world events.

Small, and in memory as a whole. Who is touched by it is domain.places'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Literal, NamedTuple

from policyengine.domain.calendar import local_midnight
from policyengine.domain.catalogue import Catalogue, EntityType, EventType, Scope
from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entity, merged
from policyengine.domain.near import did_you_mean
from policyengine.domain.phases import FROM, PHASE, PHASES, begins, has_phases, phase_began, runs_backwards
from policyengine.domain.properties import LONGEST_ID, shorten
from policyengine.domain.regions import region_of, suggestion, zone_of
from policyengine.domain.state import entity_of, to_micros
from policyengine.domain.timers import Timer
from policyengine.domain.values import Json, Value, to_json

MARK = "@"  # begins the names of what an entity of the world remembers beside its attributes
_LEFT = f"{MARK}left"  # where it was before it moved, each as `µs/region`, the last ones
_MOVES = 16


@dataclass(frozen=True, slots=True)
class Job:
    """Customers to be decided on one after the other: a world event's, or a retroactive amendment's.

    ``event`` is the world event's document; ``policy`` and ``version`` name the amendment. ``total``
    customers are on the job's list, ``done`` of them have been worked off. ``granted`` counts what rules
    with a cap per event have granted so far, by `policy/rule`.
    """

    number: int
    kind: Literal["reach", "retroactive"]
    event: Mapping[str, Json] | None = None
    policy: str = ""
    version: int = 0
    total: int = 0
    done: int = 0
    granted: Mapping[str, int] = field(default_factory=dict)


class World(NamedTuple):
    """Entities by type and id, the time that the stream has reached, and the jobs that are under way.

    ``given`` are facts that a case sets; they go before what the entities say. ``now`` is the latest time
    (µs) of any event or clock tick, None before the first. ``jobs`` are worked off in their order;
    ``next_job`` is the number of the next one; ``since`` counts the events since the last piece of one, and
    ``paced`` is the time (µs) up to which they have had their share, in ``turns`` pieces since an event came
    from outside.
    ``changed`` names what is new since it was loaded or settled: (type, id).
    """

    given: Mapping[str, Value] = MappingProxyType({})
    entities: Mapping[str, Mapping[str, Entity]] = MappingProxyType({})
    now: int | None = None
    jobs: tuple[Job, ...] = ()
    next_job: int = 1
    since: int = 0
    paced: int = 0
    turns: int = 0
    changed: frozenset[tuple[str, str]] = frozenset()


class Inadmissible(NamedTuple):
    """Why the world as it is does not allow an event: a stable code, and a reason for its publisher."""

    code: str
    reason: str


class WorldTimers(NamedTuple):
    """The world's timers after an event: those that it sets, and the ids of those it makes needless."""

    pending: tuple[Timer, ...]
    dropped: tuple[str, ...]


def world_ref(event: Event, catalogue: Catalogue) -> Ref | None:
    """The entity of the world that an event concerns; None for a customer's, and where there is none."""
    if catalogue.events[event.type].scope is not Scope.WORLD:
        return None
    return entity_of(event, catalogue)


def evolve_world(world: World, event: Event, catalogue: Catalogue) -> World:
    """Fold one event of the world in, in arrival order; what a younger event set stays.

    An internal event leaves a mark on its entity, by which the same date does not fire twice.
    """
    ref = world_ref(event, catalogue)
    if ref is None:
        return world
    entity = _folded(world, ref, event, catalogue)
    of_type = {**world.entities.get(ref.type, {}), ref.id: entity}
    return world._replace(
        entities={**world.entities, ref.type: of_type}, changed=world.changed | {(ref.type, ref.id)}
    )


def _folded(world: World, ref: Ref, event: Event, catalogue: Catalogue) -> Entity:
    kind, entity_type = catalogue.events[event.type], catalogue.entities[ref.type]
    before = world.entities.get(ref.type, {}).get(ref.id)
    update = {name: value for name, value in event.data.items() if name in entity_type.attributes}
    update.update(kind.sets)
    for name in kind.stamps:
        update[name] = event.time
    if has_phases(entity_type):
        phase = update.pop(PHASE, None)  # what stands there is worked out day by day
        if phase is not None and not kind.internal:
            update[begins(str(phase))] = event.data[FROM]
    mark = _mark_of(event, catalogue) if kind.internal else None
    if mark is None:
        return _moved(before, merged(before, update, to_micros(event.time), kind.clears), event, entity_type)
    update.pop(mark.at, None)  # it tells what was set before, and sets nothing
    entity = merged(before, update, to_micros(event.time), kind.clears)
    fired, _ = _fired(entity, mark)
    values = {**entity.values, mark.key: (str(fired + 1), str(to_json(event.data[mark.day])))}
    return Entity(values, {**entity.times, mark.key: to_micros(event.time)})


def _moved(before: Entity | None, entity: Entity, event: Event, entity_type: EntityType) -> Entity:
    """The entity, with the region that it has left because of the event, if it has."""
    left = None if before is None else region_of(entity_type, before.values)
    if left is None or left == region_of(entity_type, entity.values):
        return entity
    time, known = to_micros(event.time), entity.values.get(_LEFT, ())
    moves = (*known, f"{time}/{left}") if isinstance(known, tuple) else ()
    return Entity({**entity.values, _LEFT: moves[-_MOVES:]}, {**entity.times, _LEFT: time})


def left_behind(world: World, ref: Ref, at: datetime | None) -> str | None:
    """The region that something of the world left by what happened to it at an instant."""
    entity = world.entities.get(ref.type, {}).get(ref.id)
    moves = None if at is None or entity is None else entity.values.get(_LEFT)
    if at is None or not isinstance(moves, tuple):
        return None
    time = f"{to_micros(at)}/"
    return next((move.removeprefix(time) for move in moves if move.startswith(time)), None)


def admit_world(world: World, event: Event, catalogue: Catalogue) -> Inadmissible | None:
    """Why the world as it is does not allow the event, if it does not."""
    kind, ref = catalogue.events[event.type], world_ref(event, catalogue)
    if kind.scope is not Scope.WORLD:
        return None
    return (
        _unknown_region(event, kind, catalogue)
        or _unknown_entity(world, event, ref, catalogue)
        or (None if ref is None else _disorder(world, ref, event, catalogue))
    )


def _unknown_region(event: Event, kind: EventType, catalogue: Catalogue) -> Inadmissible | None:
    owner = {} if kind.entity is None else catalogue.entities[kind.entity].attributes
    for name, value in event.data.items():
        place = kind.attributes[name].place or (name in owner and owner[name].place)
        if place and value not in catalogue.regions:
            hint = suggestion(catalogue.regions, str(value))
            return Inadmissible("EV100", f"property `{name}`: unknown region `{shorten(str(value))}`; {hint}")
    return None


def _unknown_entity(world: World, event: Event, ref: Ref | None, catalogue: Catalogue) -> Inadmissible | None:
    kind = catalogue.events[event.type]
    if ref is not None and kind.must_exist is not None:
        known = world.entities.get(ref.type, {})
        if kind.must_exist and ref.id not in known:
            return _not_there(ref, known)
        if not kind.must_exist and ref.id in known:
            reason = f"the {_words(ref.type)} `{shorten(ref.id)}` was declared before"
            return Inadmissible("EV104", f"{reason}; publish what changed, or declare it by another id")
    for name, value in event.data.items():
        target = kind.attributes[name].refers_to
        if target is None or catalogue.entities[target].scope is not Scope.WORLD:
            continue
        if value not in world.entities.get(target, {}):
            return _not_there(Ref(target, str(value)), world.entities.get(target, {}))
    return None


def _not_there(ref: Ref, known: Mapping[str, Entity]) -> Inadmissible:
    hint = did_you_mean(ref.id, known) or "publish first what brings it into the world"
    return Inadmissible("EV101", f"there is no {_words(ref.type)} `{shorten(ref.id)}`; {hint}")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _disorder(world: World, ref: Ref, event: Event, catalogue: Catalogue) -> Inadmissible | None:
    """An end before its beginning, or a phase before the one that it follows."""
    entity_type, values = catalogue.entities[ref.type], _folded(world, ref, event, catalogue).values
    named = f"the {_words(ref.type)} `{shorten(ref.id)}`"
    for first, second in entity_type.order:
        begin, end = values.get(first), values.get(second)
        if isinstance(begin, date) and isinstance(end, date) and end < begin:
            reason = f"{named} would have `{second}` {end.isoformat()} before `{first}` {begin.isoformat()}"
            return Inadmissible("EV103", f"{reason}; give dates in their order")
    backwards = runs_backwards(values) if has_phases(entity_type) else None
    if backwards is None:
        return None
    earlier, later = backwards
    reason = (
        f"the phases of {named} would run backwards: {later} from {to_json(values[begins(later)])}, "
        f"before {earlier} from {to_json(values[begins(earlier)])}"
    )
    return Inadmissible("EV102", f"{reason}; move the other phase first")


def world_timers(world: World, event: Event, catalogue: Catalogue) -> WorldTimers:
    """The timers that an event sets, when it is folded in: at the beginning of days in the region's zone.

    What begins on a day that has passed happens at the event's time. An id stays the same until its timer
    has fired, so that a date that is moved takes the place of the one before; then it is another one.
    """
    kind, ref = catalogue.events[event.type], world_ref(event, catalogue)
    if ref is None or kind.internal:
        return WorldTimers((), ())
    entity, entity_type = world.entities[ref.type][ref.id], catalogue.entities[ref.type]
    zone = zone_of(catalogue.regions, region_of(entity_type, entity.values))
    pending: list[Timer] = []
    dropped: list[str] = []
    for mark in _marks_set_by(kind, catalogue):
        day = entity.values.get(mark.at)
        fired, last = _fired(entity, mark)
        timer_id = _timer_id(ref, mark, fired)
        if not isinstance(day, date) or day.isoformat() == last:
            dropped.append(timer_id)
            continue
        due = max(to_micros(local_midnight(day, zone)), to_micros(event.time))
        data: dict[str, Json] = {str(catalogue.events[mark.event].key): ref.id}
        data |= {**mark.data, mark.day: day.isoformat()}
        pending.append(Timer(due, "", timer_id, mark.event, data))
    return WorldTimers(tuple(pending), tuple(dropped))


class _Mark(NamedTuple):
    """An internal event that happens on the day ``at`` of an entity; it tells the day as ``day``.

    Under ``key`` the entity remembers how often it has happened, and for which day the last time.
    """

    event: str
    at: str
    day: str
    data: Mapping[str, str]

    @property
    def key(self) -> str:
        return f"{MARK}{self.event}:{self.at}"  # no attribute has such a name


def _marks_set_by(kind: EventType, catalogue: Catalogue) -> list[_Mark]:
    marks = [_Mark(timer.event, timer.at, timer.at, {}) for timer in kind.timers]
    event = None if kind.entity is None else phase_began(catalogue, kind.entity)
    if event is not None:
        marks += [_Mark(event, begins(phase), FROM, {PHASE: phase}) for phase in PHASES]
    return marks


def _mark_of(event: Event, catalogue: Catalogue) -> _Mark | None:
    """The mark that an internal event leaves, or None where no date of an entity makes it happen."""
    if PHASE in event.data and FROM in event.data:
        phase = str(event.data[PHASE])
        return _Mark(event.type, begins(phase), FROM, {PHASE: phase})
    for kind in catalogue.events.values():
        for timer in kind.timers:
            if timer.event == event.type and timer.at in event.data:
                return _Mark(event.type, timer.at, timer.at, {})
    return None


def _fired(entity: Entity, mark: _Mark) -> tuple[int, str]:
    found = entity.values.get(mark.key)
    return (int(found[0]), found[1]) if isinstance(found, tuple) else (0, "")


def _timer_id(ref: Ref, mark: _Mark, fired: int) -> str:
    made = f"{mark.event}:{ref.id}:{mark.at}:{fired + 1}"
    if len(made) <= LONGEST_ID:
        return made
    return f"{mark.event}:{sha256(ref.id.encode()).hexdigest()}:{mark.at}:{fired + 1}"
