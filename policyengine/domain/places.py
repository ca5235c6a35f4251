"""Where things are, and whom the world touches: places, coverage, and the keys by which it is found.

Which region lies in which is domain.regions'; how the world comes about is domain.world's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import NamedTuple

from policyengine.domain.calendar import local_date
from policyengine.domain.catalogue import Catalogue, EntityType, Scope
from policyengine.domain.decision import Ref
from policyengine.domain.holdings import Entities
from policyengine.domain.phases import PHASE, has_phases, phase_on
from policyengine.domain.regions import chain, region_of, within, zone_of
from policyengine.domain.state import CustomerState
from policyengine.domain.values import Value
from policyengine.domain.world import MARK, World, left_behind

__all__ = [
    "chain", "covering", "covers", "facts_of", "has_left", "home", "keys_of", "keys_reached", "places",
    "rank_of", "regions_around", "touches", "within", "zone_of",
]  # fmt: skip

CUSTOMER = "customer"
_NONE = Entities()
_NOWHERE: frozenset[str] = frozenset()


class _Geography(NamedTuple):
    """What is worked out of a catalogue once."""

    places: Mapping[str, tuple[str, ...]]  # entity type → its attributes that are places; none are left out
    references: Mapping[str, tuple[tuple[str, str], ...]]  # → (attribute, type of the world); none left out
    phased: frozenset[str]
    around: Mapping[str, tuple[str, ...]]  # region → itself and all that hold it
    below: dict[str, tuple[str, ...]]  # region → the keys of the places in it, filled as they are asked for


def _geography(catalogue: Catalogue) -> _Geography:
    known = catalogue.memo.get("geography")
    if isinstance(known, _Geography):
        return known
    kinds = catalogue.entities
    places = {
        name: tuple(sorted(each.name for each in kind.attributes.values() if each.place))
        for name, kind in kinds.items()
    }
    of_world = {name for name, kind in kinds.items() if kind.scope is Scope.WORLD}
    references = {
        name: tuple(
            sorted(
                (each.name, each.refers_to)
                for each in kind.attributes.values()
                if each.refers_to is not None and each.refers_to in of_world
            )
        )
        for name, kind in kinds.items()
    }
    made = _Geography(
        {name: found for name, found in places.items() if found},
        {name: found for name, found in references.items() if found},
        frozenset(name for name, kind in kinds.items() if has_phases(kind)),
        {code: chain(catalogue.regions, code) for code in catalogue.regions},
        {},
    )
    catalogue.memo["geography"] = made
    return made


# --- where ----------------------------------------------------------------------------------------


def home(catalogue: Catalogue, state: CustomerState) -> str | None:
    """Where the customer lives: of the regions that are known of them, the smallest."""
    last = catalogue.memo.get("home")  # asked for again and again while one event is decided
    if isinstance(last, _Home) and last.state is state:
        return last.region
    entity = state.entities.get(CUSTOMER, _NONE).get(state.customer)
    region = None
    if entity is not None:
        geography, values = _geography(catalogue), entity.values
        known = {str(values[name]) for name in geography.places.get(CUSTOMER, ()) if name in values}
        found = [(-len(geography.around[code]), code) for code in known if code in geography.around]
        region = min(found)[1] if found else None
    catalogue.memo["home"] = _Home(state, region)
    return region


class _Home(NamedTuple):
    state: CustomerState
    region: str | None


def places(catalogue: Catalogue, world: World, state: CustomerState, ref: Ref | None) -> frozenset[str]:
    """Where an entity is: its own places, and those of what it refers to in the world; else at home.

    None is the customer as such, who is at home. What is no known region is no place.
    """
    found = set()
    if ref is not None and ref.type != CUSTOMER:
        entity = state.entities.get(ref.type, _NONE).get(ref.id)
        if entity is not None:
            found = _own_places(catalogue, world, ref.type, entity.values)
    if not found:
        at_home = home(catalogue, state)
        return _NOWHERE if at_home is None else frozenset((at_home,))
    return frozenset(found)


def _own_places(
    catalogue: Catalogue, world: World, entity_type: str, values: Mapping[str, Value]
) -> set[str]:
    geography, regions = _geography(catalogue), catalogue.regions
    found = {str(values[name]) for name in geography.places.get(entity_type, ()) if name in values}
    for name, target in geography.references.get(entity_type, ()):
        referred = world.entities.get(target, {}).get(str(values.get(name, "")))
        if referred is not None:
            region = region_of(catalogue.entities[target], referred.values)
            found |= set() if region is None else {region}
    return {code for code in found if code in regions}


def regions_around(
    catalogue: Catalogue, world: World, state: CustomerState, ref: Ref | None
) -> tuple[str, ...]:
    """Every region that holds one of the places, sorted: the fact `place.regions`."""
    return tuple(sorted(_around(catalogue, places(catalogue, world, state, ref))))


def _around(catalogue: Catalogue, codes: Iterable[str]) -> set[str]:
    around = _geography(catalogue).around
    return {each for code in codes for each in around[code]}


# --- whom -----------------------------------------------------------------------------------------


def covers(catalogue: Catalogue, world: World, world_ref: Ref, state: CustomerState, ref: Ref | None) -> bool:
    """Whether something of the world covers an entity of a customer, or the customer as such."""
    region = _region(catalogue, world, world_ref)
    return region is not None and _holds(catalogue, world, world_ref, region, state, ref)


def has_left(  # noqa: PLR0917 - what, whom, when
    catalogue: Catalogue, world: World, world_ref: Ref, state: CustomerState, ref: Ref | None, at: datetime
) -> bool:
    """Whether something of the world covered an entity until it moved at that instant, and does not now."""
    left = left_behind(world, world_ref, at)
    return (
        left is not None
        and _holds(catalogue, world, world_ref, left, state, ref)
        and not covers(catalogue, world, world_ref, state, ref)
    )


def _holds(  # noqa: PLR0917 - what, where, whom
    catalogue: Catalogue, world: World, world_ref: Ref, region: str, state: CustomerState, ref: Ref | None
) -> bool:
    """Whether something of the world, if it is in that region, covers an entity."""
    if region in _around(catalogue, places(catalogue, world, state, ref)):
        return True
    return catalogue.entities[world_ref.type].covers == "either" and _at_home_in(catalogue, state, region)


def _region(catalogue: Catalogue, world: World, world_ref: Ref) -> str | None:
    """The region in which something of the world covers what is there."""
    kind = catalogue.entities[world_ref.type]
    entity = world.entities.get(world_ref.type, {}).get(world_ref.id)
    return None if kind.covers is None or entity is None else region_of(kind, entity.values)


def _at_home_in(catalogue: Catalogue, state: CustomerState, region: str) -> bool:
    at_home = home(catalogue, state)
    return at_home is not None and within(catalogue.regions, at_home, region)


def touches(  # noqa: PLR0917 - what, whom, when
    catalogue: Catalogue,
    world: World,
    world_ref: Ref,
    state: CustomerState,
    kinds: Iterable[str],
    at: datetime | None = None,
) -> list[Ref]:
    """The customer's entities of these types that something of the world touches, by type and id.

    They refer to it, or it covers them, or it has just (``at``) moved away from them.
    `customer` stands for the customer as such, known or not.
    """
    found = []
    for kind in kinds:
        wanted = [name for name, target in _references(catalogue, kind) if target == world_ref.type]
        of_type = state.entities.get(kind, _NONE)
        for key in (state.customer,) if kind == CUSTOMER else of_type:
            ref = Ref(kind, key)
            entity = of_type.get(key) if wanted else None
            if (
                entity is not None and any(entity.values.get(name) == world_ref.id for name in wanted)
            ) or _covers_or_did(catalogue, world, world_ref, state, ref, at):
                found.append(ref)
    return sorted(found)


def _covers_or_did(  # noqa: PLR0917 - what, whom, when
    catalogue: Catalogue,
    world: World,
    world_ref: Ref,
    state: CustomerState,
    ref: Ref | None,
    at: datetime | None,
) -> bool:
    if covers(catalogue, world, world_ref, state, ref):
        return True
    return at is not None and has_left(catalogue, world, world_ref, state, ref, at)


def _references(catalogue: Catalogue, kind: str) -> tuple[tuple[str, str], ...]:
    return _geography(catalogue).references.get(kind, ())


def covering(  # noqa: PLR0917 - what, for whom, when
    catalogue: Catalogue, world: World, kind: str, state: CustomerState, ref: Ref | None, at: datetime
) -> list[tuple[str, dict[str, Value]]]:
    """What of one type of the world is in force at an instant and covers an entity: id and facts, by id."""
    of_type, entity_type = world.entities.get(kind), catalogue.entities[kind]
    if not of_type or entity_type.covers is None:
        return []
    around = _around(catalogue, places(catalogue, world, state, ref))
    if entity_type.covers == "either":
        at_home = home(catalogue, state)
        around |= set() if at_home is None else _around(catalogue, (at_home,))
    found = []
    for key in sorted(of_type):
        values = of_type[key].values
        if region_of(entity_type, values) in around:
            facts = facts_of(catalogue, entity_type, values, at)
            if _in_force(catalogue, entity_type, facts, at):
                found.append((key, facts))
    return found


def _in_force(
    catalogue: Catalogue, entity_type: EntityType, facts: Mapping[str, Value], at: datetime
) -> bool:
    """From its `from` on, until the day before its `until`; a crisis, from its first phase on."""
    if entity_type.name in _geography(catalogue).phased:
        return PHASE in facts
    first, until = facts.get("from"), facts.get("until")
    if first is None and until is None:
        return True
    today = _today(catalogue, entity_type, facts, at)
    return not (isinstance(first, date) and today < first) and not (
        isinstance(until, date) and until <= today
    )


def _today(catalogue: Catalogue, entity_type: EntityType, values: Mapping[str, Value], at: datetime) -> date:
    return local_date(at, zone_of(catalogue.regions, region_of(entity_type, values)))


def facts_of(
    catalogue: Catalogue, entity_type: EntityType, values: Mapping[str, Value], at: datetime
) -> dict[str, Value]:
    """The attributes of something of the world, and what is worked out for an instant: `phase`."""
    facts = {name: value for name, value in values.items() if not name.startswith(MARK)}
    if entity_type.name in _geography(catalogue).phased:
        phase = phase_on(values, _today(catalogue, entity_type, values, at))
        if phase is not None:
            facts[PHASE] = phase
    return facts


# --- how they are found -----------------------------------------------------------------------------


def keys_of(catalogue: Catalogue, entity_type: str, values: Mapping[str, Value]) -> frozenset[str]:
    """The keys under which an entity's owner is found: its places, and what it refers to in the world.

    invariant: whoever ``touches`` names has, on some entity, a key that ``keys_reached`` gives.
    """
    geography = _geography(catalogue)
    own, references = geography.places.get(entity_type), geography.references.get(entity_type)
    if own is None and references is None:
        return _NOWHERE
    keys = {_place_key(str(values[name])) for name in own or () if name in values}
    keys |= {_ref_key(kind, str(values[name])) for name, kind in references or () if name in values}
    return frozenset(keys)


def keys_reached(catalogue: Catalogue, world: World, world_ref: Ref, at: datetime | None = None) -> list[str]:
    """All keys under which something is found that the world's entity may touch, sorted."""
    keys = {_ref_key(*world_ref)}
    for region in (_region(catalogue, world, world_ref), left_behind(world, world_ref, at)):
        if region is None or catalogue.entities[world_ref.type].covers is None:
            continue
        keys |= set(_below(catalogue, region))
        referred = {kind for found in _geography(catalogue).references.values() for _, kind in found}
        for kind in referred:
            entity_type = catalogue.entities[kind]
            for key, entity in world.entities.get(kind, {}).items():
                there = region_of(entity_type, entity.values)
                if there is not None and within(catalogue.regions, there, region):
                    keys.add(_ref_key(kind, key))
    return sorted(keys)


def _below(catalogue: Catalogue, region: str) -> tuple[str, ...]:
    known = _geography(catalogue).below
    if region not in known:
        inside = (code for code in catalogue.regions if within(catalogue.regions, code, region))
        known[region] = tuple(_place_key(code) for code in inside)
    return known[region]


def _place_key(code: str) -> str:
    return f"place:{code}"


def _ref_key(kind: str, key: str) -> str:
    return f"ref:{kind}/{key}"


def rank_of(catalogue: Catalogue, values: Mapping[str, Value]) -> int | None:
    """Where a customer with these attributes stands in a fan-out; None: after those who have a rank."""
    for rank, matcher in enumerate(catalogue.entities[CUSTOMER].reach):
        if all(values.get(name) == wanted for name, wanted in matcher.items()):
            return rank
    return None
