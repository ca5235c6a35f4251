"""The phases of a crisis: onset, ongoing, recovery, ended; each begins on a date that may be moved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise

from policyengine.domain.catalogue import Catalogue, EntityType, Scope
from policyengine.domain.values import Value, ValueType

PHASES = ("onset", "ongoing", "recovery", "ended")
PHASE, FROM = "phase", "from"  # the properties of an event that moves a phase


def begins(phase: str) -> str:
    """The attribute that holds the first day of a phase."""
    return f"{phase}_from"


def has_phases(entity: EntityType) -> bool:
    """Whether the type is of the world, with an attribute `phase` and the first day of every phase."""
    dates = (entity.attributes.get(begins(phase)) for phase in PHASES)
    return (
        entity.scope is Scope.WORLD
        and PHASE in entity.attributes
        and all(attribute is not None and attribute.type is ValueType.DATE for attribute in dates)
    )


def phase_began(catalogue: Catalogue, entity: str) -> str | None:
    """The internal event that tells that a phase begins, where the catalogue has one."""
    name = f"{entity}.phase_began"
    return name if name in catalogue.events and has_phases(catalogue.entities[entity]) else None


def first_days(values: Mapping[str, Value]) -> list[tuple[str, date]]:
    """The phases that have a date, in the order of phases."""
    found = ((phase, values.get(begins(phase))) for phase in PHASES)
    return [(phase, day) for phase, day in found if isinstance(day, date)]


def phase_on(values: Mapping[str, Value], day: date) -> str | None:
    """The phase whose date is the latest that has come; of two on one day, the later one."""
    for phase in reversed(PHASES):
        first = values.get(begins(phase))
        if isinstance(first, date) and first <= day:
            return phase
    return None


def runs_backwards(values: Mapping[str, Value]) -> tuple[str, str] | None:
    """Two phases of which the later one begins first, if there are such."""
    days = first_days(values)
    for (earlier, first), (later, second) in pairwise(days):
        if second < first:
            return earlier, later
    return None
