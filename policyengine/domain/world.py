"""The world that policies may refer to: crises, restrictions, facilities, as facts.

The events that fill it are not folded yet: `World.facts` stays empty outside of cases and tests,
so a clause on `crisis.*` is unknown and its rule does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policyengine.domain.catalogue import Attribute
from policyengine.domain.values import Value, ValueType


def _text(name: str, description: str) -> Attribute:
    return Attribute(name, ValueType.TEXT, description=description)


WORLD_ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        _text("crisis.id", "the crisis that covers the customer's region"),
        _text("crisis.kind", "pandemic, war, strike, storm …"),
        _text("crisis.phase", "onset, ongoing, recovery or ended"),
        _text("crisis.region", "the region for which it was declared"),
        _text("crisis.sector", "the trade it touches"),
        _text("restriction.kind", "what is restricted"),
        Attribute("restriction.capacity_percent", ValueType.INTEGER, description="share still allowed"),
        _text("facility.status", "open or closed"),
    )
}


@dataclass(frozen=True, slots=True)
class World:
    """Facts by vocabulary name."""

    facts: Mapping[str, Value] = field(default_factory=dict)
