"""What must hold of a group's topics and ledger whatever happened to its workers: every fault in a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from policyengine.adapters.store import SqlLedgerStore
from policyengine.ledger.entries import Header, Kind
from policyengine.service.policy_sets import PolicySet
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.kafka.streams import committed
from tests.kafka.workers import Group

_SHOWN = 3


def faults_of(group: Group, policies: PolicySet | None = None) -> list[str]:
    """What is wrong. ``policies``: compare also with whoever decides under them and is never disturbed.

    That is for customers' events alone: where an event of the world takes effect between theirs is chance.
    """
    with SqlLedgerStore(group.ledger, read_only=True) as store:
        found = [f"verify: {fault}" for fault in verify_ledger(store, None).faults]
        for shard in store.shards():
            found += [f"replay of {shard}: {one}" for one in replay(store, shard)]
        found += _published(group, store)
        found += _taken(group, store)
    return found if policies is None else [*found, *_undisturbed(group, policies)]


def _published(group: Group, store: SqlLedgerStore) -> Iterator[str]:
    """What is in the topics is what is in the ledger, each once, in order."""
    told = group.decision_headers()
    letters = Counter((str(one["shard"]), int(one["seq"])) for one in group.dead_letters())
    for shard in group.shards():
        recorded = [
            (entry.seq, str(entry.ref)) for entry in store.entries(shard) if entry.kind == Kind.DECISION
        ]
        yield from _unequal(f"decisions of {shard}: topic against ledger", told[shard], recorded)
        refused = [entry.seq for entry in store.entries(shard) if entry.kind == Kind.REJECTED]
        out = sorted(seq for of, seq in letters.elements() if of == shard)
        yield from _unequal(f"dead letters of {shard}: topic against ledger", out, refused)


def _taken(group: Group, store: SqlLedgerStore) -> Iterator[str]:
    """Each message was taken in once by whoever it concerns, but for copies of one that was before."""
    customers = [
        committed(group.bootstrap, group.kafka.customer_topic, one) for one in range(group.partitions)
    ]
    world = committed(group.bootstrap, group.kafka.world_topic)
    for shard, own in zip(group.shards(), customers, strict=True):
        for name, messages in ((shard, own), (f"{group.kafka.world_topic}-0", world)):
            at: Counter[int] = Counter()
            ids = set()
            for entry in store.entries(shard):
                header = Header.from_bytes(entry.header)
                if entry.kind in {Kind.EVENT, Kind.REJECTED} and header.input == name:
                    at[header.offset] += 1
                    if entry.kind == Kind.EVENT:
                        ids.add(_id(orjson.dumps(entry.document()["event"])))
            yield from (f"{shard} took {name} at {one} {n} times" for one, n in at.items() if n > 1)
            yield from (
                f"{shard} did not take {name} at {one.offset + 1}"
                for one in messages
                if one.offset + 1 not in at and _id(one.value or b"") not in ids
            )


def _id(value: bytes) -> tuple[str, str]:
    document = orjson.loads(value)
    return document["source"], document["id"]


def _undisturbed(group: Group, policies: PolicySet) -> Iterator[str]:
    """The same decisions, byte for byte, as without any disturbance."""
    expected, refused = group.undisturbed(policies)
    found = group.decisions()

    def canonical(decisions: list[dict[str, object]]) -> list[bytes]:
        return [orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in decisions]

    for shard, decisions in expected.items():
        yield from _unequal(
            f"decisions of {shard}: topic against undisturbed", canonical(found[shard]), canonical(decisions)
        )
    out = Counter((one["shard"], one["offset"]) for one in group.dead_letters())
    if out != refused:
        yield f"dead letters: {out - refused} too many, {refused - out} missing"


def _unequal(what: str, found: list[Any], expected: list[Any]) -> Iterator[str]:
    if found == expected:
        return
    first = next(
        (n for n, (one, other) in enumerate(zip(found, expected, strict=False)) if one != other),
        min(len(found), len(expected)),
    )
    more, less = _beyond(found, expected), _beyond(expected, found)
    yield (
        f"{what}: {len(found)} against {len(expected)}, different from number {first} on; "
        f"{len(more)} too many {more[:_SHOWN]}, {len(less)} missing {less[:_SHOWN]}"
    )


def _beyond(these: list[Any], those: list[Any]) -> list[Any]:
    return list((Counter(these) - Counter(those)).elements())
