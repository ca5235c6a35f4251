"""The catalogue: which event types exist, what they carry, and what they do to which entity.

The shapes only. Reading schema files is adapters.schemas; checking events against them is
domain.validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from policyengine.domain.values import Json, Value, ValueType


class Scope(StrEnum):
    """Whom an event concerns: one customer, or everybody."""

    CUSTOMER = "customer"
    WORLD = "world"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One typed property of an event's data or of an entity."""

    name: str
    type: ValueType
    required: bool = False
    description: str = ""
    choices: tuple[str, ...] = ()  # JSON Schema `enum`, for text
    refers_to: str | None = None  # `x-ref`: this text holds the id of an entity of that type
    place: bool = False  # `x-place`: this text is the code of a region


@dataclass(frozen=True, slots=True)
class EntityType:
    """Something a customer has: a booking, a membership. ``customer`` itself is one too.

    Of scope ``world`` it is everybody's: a crisis, a restriction, a facility. ``covers`` says whom one
    with a place concerns (`x-covers`): ``place``, what lies there (or, where that is unknown, whose
    owner lives there); ``either``, what lies there or whose owner lives there; None, only what refers to
    it. ``reach`` orders a fan-out (`x-reach`, on ``customer`` alone): a customer's rank is the first
    matcher whose attributes all are equal to theirs. ``order``: pairs of dates that must not run
    backwards (`x-order`).
    """

    name: str
    description: str
    attributes: Mapping[str, Attribute]
    scope: Scope = Scope.CUSTOMER
    covers: Literal["place", "either"] | None = None
    reach: tuple[Mapping[str, Value], ...] = ()
    order: tuple[tuple[str, str], ...] = ()


class TimerRule(NamedTuple):
    """`x-timer`: when the day ``at`` of the entity begins there, the world event ``event`` happens."""

    at: str
    event: str


@dataclass(frozen=True, slots=True)
class EventType:
    """One CloudEvents ``type``.

    ``entity``/``key``: the entity type it concerns and the data property that holds its id.
    ``sets``: constants written on the entity (`x-set`). ``stamps``: entity attributes that take
    the event's time (`x-stamp`). ``clears``: entity attributes that are forgotten (`x-clear`) unless the
    event gives them. Data properties that the entity has by name are written too. ``must_exist``: an
    event of the world is refused where its entity is new (True) or known (False). ``internal``: the
    engine alone makes such events.
    """

    name: str
    description: str
    attributes: Mapping[str, Attribute]
    scope: Scope = Scope.CUSTOMER
    entity: str | None = None
    key: str | None = None
    sets: Mapping[str, Value] = field(default_factory=dict)
    stamps: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()
    must_exist: bool | None = None
    internal: bool = False
    timers: tuple[TimerRule, ...] = ()


class Region(NamedTuple):
    """A place that lies in another: a city in a district, a district in a country, a country in `world`.

    ``zone`` is its IANA time zone; None: that of the region around it, UTC in the end.
    """

    parent: str | None
    zone: str | None = None
    names: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All event and entity types, and the documents they were read from.

    ``documents`` are the schema files as parsed JSON, sorted by name: what a policy-set entry
    publishes, so that a replay needs no files; `regions` is among them.
    """

    events: Mapping[str, EventType]
    entities: Mapping[str, EntityType]
    documents: Mapping[str, Json] = field(default_factory=dict)
    regions: Mapping[str, Region] = field(default_factory=dict)
    # what others work out of the catalogue once; a changed copy begins with none
    memo: dict[str, Any] = field(init=False, default_factory=dict, compare=False, repr=False)
