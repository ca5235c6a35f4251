"""The rows that entries fold to, against those that are stored: states, timers, places, ranks, lists.

What entries fold to is the service's to recompute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from policyengine.ledger.faults import STATE, Fault


class Layout(NamedTuple):
    """A table: the columns that tell its rows apart within a shard, and the others."""

    table: str
    keys: tuple[str, ...]
    values: tuple[str, ...] = ()


STATES = Layout("state", ("customer", "part"), ("body",))
TIMERS = Layout("timer", ("customer", "id"), ("due", "event", "data"))
PLACES = Layout("place", ("key", "customer", "part"))
RANKS = Layout("ranking", ("customer",), ("rank",))
QUEUES = Layout("queue", ("job", "position"), ("customer",))
Row = tuple[Any, ...]


def compare(
    shard: str, layout: Layout, expected: Mapping[Row, Row], stored: Iterable[Row]
) -> Iterator[Fault]:
    """Name every row that was changed, added or removed.

    ``expected`` are the rows that the entries fold to, values by keys; ``stored`` the rows as they are,
    keys and then values.
    """
    table, keys, values = layout
    missing = dict.fromkeys(expected)
    for row in stored:
        key, found = row[: len(keys)], row[len(keys) :]
        missing.pop(key, None)
        wanted = expected.get(key)
        if wanted is None:
            columns = " or ".join(keys)
            yield Fault(STATE, shard, table, columns, _name(layout, key), "no entry makes this row")
            continue
        for column, is_, should in zip(values, found, wanted, strict=True):
            if is_ != should:
                yield Fault(
                    STATE, shard, table, column, _name(layout, key), "is not what the entries fold to"
                )
    for key in sorted(missing):
        yield Fault(STATE, shard, table, "", _name(layout, key), "is missing")


def _name(layout: Layout, key: Row) -> str:
    return ", ".join(f"{column} `{value}`" for column, value in zip(layout.keys, key, strict=True))
