"""The catalogue: which event types exist, what they carry, and what they do to which entity.

The shapes only. Reading schema files is adapters.schemas; checking events against them is
domain.validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class EntityType:
    """Something a customer has: a booking, a membership. ``customer`` itself is one too."""

    name: str
    description: str
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class EventType:
    """One CloudEvents ``type``.

    ``entity``/``key``: the entity type it concerns and the data property that holds its id.
    ``sets``: constants written on the entity (`x-set`). ``stamps``: entity attributes that take
    the event's time (`x-stamp`). Data properties that the entity has by name are written too.
    """

    name: str
    description: str
    attributes: Mapping[str, Attribute]
    scope: Scope = Scope.CUSTOMER
    entity: str | None = None
    key: str | None = None
    sets: Mapping[str, Value] = field(default_factory=dict)
    stamps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All event and entity types, and the documents they were read from.

    ``documents`` are the schema files as parsed JSON, sorted by name: what a policy-set entry
    publishes, so that a replay needs no files.
    """

    events: Mapping[str, EventType]
    entities: Mapping[str, EntityType]
    documents: Mapping[str, Json] = field(default_factory=dict)
