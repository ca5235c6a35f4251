"""The world as rows of the table `state`, those of customer "": one for each entity, the clock and the jobs.

How the world comes about is domain.world's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import orjson

from policyengine.domain.holdings import Entity, pack_entity, unpack_entity
from policyengine.domain.world import Job, World

CUSTOMER = ""  # nobody has this name: a subject is never empty
CLOCK, JOBS = "@clock", "@jobs"
_OPTIONS = orjson.OPT_SORT_KEYS


def world_of_parts(parts: Mapping[str, bytes]) -> World:
    """Put a world together of all its parts."""
    entities: dict[str, dict[str, Entity]] = {}
    for part, packed in parts.items():
        if part not in (CLOCK, JOBS):
            kind, _, key = part.partition("/")
            entities.setdefault(kind, {})[key] = unpack_entity(packed)
    jobs = tuple(Job(**job) for job in orjson.loads(parts.get(JOBS, b"[]")))
    clock: dict[str, Any] = orjson.loads(parts.get(CLOCK, b"{}"))  # as in ``_clock``
    return World(entities=entities, jobs=jobs, **clock)


def parts_of_world(world: World) -> dict[str, bytes]:
    """All its parts."""
    every = frozenset((kind, key) for kind, of_type in world.entities.items() for key in of_type)
    return changed_parts(world._replace(changed=every), World())


def settled(world: World) -> World:
    """The same when what changed has been written."""
    return world._replace(changed=frozenset()) if world.changed else world


def changed_parts(world: World, before: World) -> dict[str, bytes]:
    """The parts that changed since it was ``before``."""
    parts = {f"{kind}/{key}": pack_entity(world.entities[kind][key]) for kind, key in sorted(world.changed)}
    if (clock := _clock(world)) != _clock(before):
        parts[CLOCK] = orjson.dumps(clock, option=_OPTIONS)
    if world.next_job > 1 and (world.jobs != before.jobs or before.next_job == 1):
        parts[JOBS] = orjson.dumps([_job_document(job) for job in world.jobs], option=_OPTIONS)
    return parts


def _clock(world: World) -> dict[str, Any]:
    return {
        "now": world.now, "since": world.since, "paced": world.paced, "turns": world.turns,
        "next_job": world.next_job,
    }  # fmt: skip


def _job_document(job: Job) -> dict[str, Any]:
    return {field.name: getattr(job, field.name) for field in fields(job)}
