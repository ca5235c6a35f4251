"""Regions: which lies in which, and what time it is there. Who is in one is domain.places'."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo

from policyengine.domain.calendar import time_zone
from policyengine.domain.catalogue import EntityType, Region
from policyengine.domain.near import nearest
from policyengine.domain.values import Value

Regions = Mapping[str, Region]


def chain(regions: Regions, code: str) -> tuple[str, ...]:
    """A region, the one around it, and so on to the world; nothing for a code that is no region.

    >>> chain({"IL": Region("world"), "world": Region(None)}, "IL")
    ('IL', 'world')
    """
    found = []
    region = regions.get(code)
    while region is not None:
        found.append(code)
        code = region.parent or ""
        region = regions.get(code)
    return tuple(found)


def within(regions: Regions, code: str, region: str) -> bool:
    """Whether ``code`` is ``region`` or lies in it."""
    return region in chain(regions, code)


def zone_of(regions: Regions, code: str | None) -> tzinfo:
    """The time zone of a region: its own, else that of the region around it; UTC in the end."""
    for each in () if code is None else chain(regions, code):
        zone = regions[each].zone
        if zone is not None:
            return time_zone(zone)
    return UTC


def suggestion(regions: Regions, wanted: str) -> str:
    """What may have been meant by a code that is no region: by a region's name, else by its spelling."""
    folded = wanted.casefold()
    for code, region in sorted(regions.items()):
        if folded == code.casefold() or folded in (name.casefold() for name in region.names.values()):
            return f"did you mean `{code}`?"
    choice = nearest(wanted, regions)
    return f"did you mean `{choice}`?" if choice is not None else "regions.json lists the regions there are"


def region_of(entity: EntityType, values: Mapping[str, Value]) -> str | None:
    """The region that something of the world is in: of its places, the first by name."""
    for name in sorted(entity.attributes):
        if entity.attributes[name].place and name in values:
            return str(values[name])
    return None
