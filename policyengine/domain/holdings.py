"""What a customer holds: entities and the remedies of the past, packed as bytes until they are asked for.

A long history costs little memory this way, and what changed since it was loaded is known part by
part, so that only that is written. How events change holdings is domain.state's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, overload

import orjson

from policyengine.domain.decision import Ref
from policyengine.domain.money import Money
from policyengine.domain.values import Json, Value, pack, unpack

CHUNK = 16  # remedies to a part
_OVERHEAD = 200  # bytes of the objects around a part
_OPTIONS = orjson.OPT_SORT_KEYS


class Entity(NamedTuple):
    """Attributes of a booking, a membership … and when (µs) the event that set each happened."""

    values: Mapping[str, Value]
    times: Mapping[str, int]


class RemedyRecord(NamedTuple):
    """A remedy granted or offered before: what caps, explanations and reviews need."""

    policy: str
    version: int
    rule: str
    kind: str
    entity: Ref | None
    amount: Money | None
    time: int  # µs
    decision: str  # the decision that granted it
    offered: bool = False


class Entities(Mapping[str, Entity]):
    """The entities of one type by id. Immutable: ``having`` gives another."""

    __slots__ = ("_items", "changed", "weight")

    def __init__(
        self,
        items: Mapping[str, Entity | bytes] | None = None,
        fresh: frozenset[str] = frozenset(),
        weight: int | None = None,
    ) -> None:
        self._items = items or {}
        self.changed = fresh  # the ids of those that are not packed yet
        # bytes of memory that the packed ones take, roughly
        self.weight = sum(map(_weight, self._items.values())) if weight is None else weight

    def __getitem__(self, key: str) -> Entity:
        item = self._items[key]
        return unpack_entity(item) if isinstance(item, bytes) else item

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: str, default: Any = None) -> Any:
        """The entity, or the default: without the detour over an exception."""
        return self[key] if key in self._items else default

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __repr__(self) -> str:
        return f"Entities({dict(self)!r})"

    def having(self, key: str, entity: Entity) -> Entities:
        """The same with one entity new or changed."""
        weight = self.weight - _weight(self._items.get(key))
        return Entities({**self._items, key: entity}, self.changed | {key}, weight)

    def fresh(self) -> dict[str, bytes]:
        """Those that changed since they were loaded or settled, packed."""
        return {key: pack_entity(self[key]) for key in sorted(self.changed)}

    def settled(self, packed: Mapping[str, bytes]) -> Entities:
        """The same when ``fresh`` has been written."""
        weight = self.weight + sum(map(_weight, packed.values()))
        return Entities({**self._items, **packed}, weight=weight)


class _Growing(NamedTuple):
    """A packed part with newer records after it, which it is not unpacked for."""

    packed: bytes
    added: tuple[RemedyRecord, ...]


_Chunk = bytes | _Growing | tuple[RemedyRecord, ...]


class Remedies(Sequence[RemedyRecord]):
    """Remedies granted or offered, oldest first. Immutable: ``extended`` gives another."""

    __slots__ = ("_chunks", "_length")

    def __init__(self, records: Iterable[RemedyRecord] = ()) -> None:
        chunks = tuple(_cut(tuple(records)))
        self._chunks: tuple[_Chunk, ...] = chunks
        self._length = sum(map(len, chunks))

    @classmethod
    def _made(cls, chunks: tuple[_Chunk, ...], length: int) -> Remedies:
        made: Remedies = cls.__new__(cls)
        made._chunks = chunks
        made._length = length
        return made

    @classmethod
    def of_chunks(cls, chunks: Sequence[bytes]) -> Remedies:
        """Read back what ``fresh`` gave: every chunk is full but the last."""
        length = (len(chunks) - 1) * CHUNK + len(orjson.loads(chunks[-1])) if chunks else 0
        return cls._made(tuple(chunks), length)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[RemedyRecord]:
        for chunk in self._chunks:
            yield from _records(chunk)

    @overload
    def __getitem__(self, at: int) -> RemedyRecord: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[RemedyRecord, ...]: ...
    def __getitem__(self, at: int | slice) -> RemedyRecord | tuple[RemedyRecord, ...]:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Remedies, tuple, list)):
            return tuple(self) == tuple(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Remedies({list(self)!r})"

    def extended(self, records: Sequence[RemedyRecord]) -> Remedies:
        """The same and newer ones."""
        chunks, added, room = self._chunks, tuple(records), -self._length % CHUNK
        length = self._length + len(added)
        if room and added:
            chunks = (*chunks[:-1], _grown(chunks[-1], added[:room]))
            added = added[room:]
        return Remedies._made((*chunks, *_cut(added)) if added else chunks, length)

    @property
    def weight(self) -> int:
        """Bytes of memory that the packed ones take, roughly."""
        return sum(map(_weight, self._chunks))

    def fresh(self) -> dict[int, bytes]:
        """The chunks that changed since they were loaded or settled, by number, packed."""
        fresh = {}
        for number in range(len(self._chunks) - 1, -1, -1):
            chunk = self._chunks[number]
            if isinstance(chunk, bytes):
                break  # they change at the end only
            fresh[number] = _packed(chunk)
        return fresh

    def settled(self, packed: Mapping[int, bytes]) -> Remedies:
        """The same when ``fresh`` has been written."""
        chunks = list(self._chunks)
        for number, raw in packed.items():
            chunks[number] = raw
        return Remedies._made(tuple(chunks), self._length)


def merged(
    entity: Entity | None, update: Mapping[str, Value], time: int, forgotten: Iterable[str] = ()
) -> Entity:
    """An entity with what an event of that time (µs) sets, and without what it makes forgotten.

    invariant: an attribute that a younger event set is never overwritten by an older event that
    arrives late; at equal times the later arrival wins.
    """
    values, times = ({}, {}) if entity is None else (dict(entity.values), dict(entity.times))
    for name in forgotten:
        if name not in update and times.get(name, time) <= time:
            values.pop(name, None)
            times[name] = time
    for name, value in update.items():
        if times.get(name, time) <= time:
            values[name] = value
            times[name] = time
    return Entity(values, times)


def _weight(item: object) -> int:
    return len(item) + _OVERHEAD if isinstance(item, bytes) else 0


def _cut(records: tuple[RemedyRecord, ...]) -> Iterator[tuple[RemedyRecord, ...]]:
    for start in range(0, len(records), CHUNK):
        yield records[start : start + CHUNK]


def _grown(chunk: _Chunk, records: tuple[RemedyRecord, ...]) -> _Chunk:
    if isinstance(chunk, bytes):
        return _Growing(chunk, records)
    if isinstance(chunk, _Growing):
        return _Growing(chunk.packed, chunk.added + records)
    return chunk + records


def _records(chunk: _Chunk) -> tuple[RemedyRecord, ...]:
    if isinstance(chunk, bytes):
        return unpack_records(chunk)
    if isinstance(chunk, _Growing):
        return unpack_records(chunk.packed) + chunk.added
    return chunk


def _packed(chunk: _Growing | tuple[RemedyRecord, ...]) -> bytes:
    if isinstance(chunk, _Growing):  # [1,2] and [3] are [1,2,3]
        return chunk.packed[:-1] + b"," + pack_records(chunk.added)[1:]
    return pack_records(chunk)


def pack_entity(entity: Entity) -> bytes:
    """An entity as JSON; attributes sorted, so that equal entities have equal bytes."""
    values = {name: pack(value) for name, value in entity.values.items()}
    return orjson.dumps({"v": values, "t": entity.times}, option=_OPTIONS)


@lru_cache(maxsize=512)  # deciding asks for the same ones over and over; nobody changes what they hold
def unpack_entity(raw: bytes) -> Entity:
    """The inverse of ``pack_entity``."""
    document: dict[str, Any] = orjson.loads(raw)
    return Entity({name: unpack(value) for name, value in document["v"].items()}, document["t"])


def pack_records(records: Sequence[RemedyRecord]) -> bytes:
    """Remedies as JSON, in their order."""
    return orjson.dumps([_record_to_json(record) for record in records])


@lru_cache(maxsize=256)  # 16 records each
def unpack_records(raw: bytes) -> tuple[RemedyRecord, ...]:
    """The inverse of ``pack_records``."""
    return tuple(_record_from_json(record) for record in orjson.loads(raw))


def _record_to_json(record: RemedyRecord) -> Json:
    entity: Json = None if record.entity is None else [record.entity.type, record.entity.id]
    amount: Json = None if record.amount is None else [record.amount.minor, record.amount.currency]
    return [
        record.policy, record.version, record.rule, record.kind,
        entity, amount, record.time, record.decision, record.offered,
    ]  # fmt: skip


def _record_from_json(raw: list[Any]) -> RemedyRecord:
    policy, version, rule, kind, entity, amount, time, decision, offered = raw
    return RemedyRecord(
        policy, version, rule, kind,
        None if entity is None else Ref(*entity),
        None if amount is None else Money(*amount),
        time, decision, offered,
    )  # fmt: skip
