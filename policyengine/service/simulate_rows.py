"""A simulation's decisions and remedies as rows of two tables, and the rows of several parts in one order.

Which files they become is adapters.parquet's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from typing import Any, Literal, NamedTuple

import orjson

from policyengine.service.simulate import Compared
from policyengine.service.simulate_given import Document, Given

_Column = tuple[str, Literal["text", "integer", "flag", "money"]]
DECISIONS: Sequence[_Column] = (
    ("shard", "text"), ("decision_id", "text"), ("customer", "text"), ("segment", "text"), ("region", "text"),
    ("event_type", "text"), ("event_id", "text"), ("event_time", "text"),
    ("entity_type", "text"), ("entity_id", "text"),
    ("baseline_outcome", "text"), ("candidate_outcome", "text"), ("changed", "flag"),
)  # fmt: skip
REMEDIES: Sequence[_Column] = (
    ("shard", "text"), ("decision_id", "text"), ("customer", "text"), ("side", "text"), ("kind", "text"),
    ("policy", "text"), ("version", "integer"), ("rule", "text"), ("basis", "text"),
    ("currency", "text"), ("amount", "money"), ("terms", "text"),
)  # fmt: skip
_OWN = frozenset({"kind", "policy", "version", "rule", "basis", "amount"})


class Rows(NamedTuple):
    """What one compared decision becomes: a row of decisions, and the rows of its remedies and offers."""

    place: Sequence[Any]
    decision: Sequence[Any]
    remedies: Sequence[Sequence[Any]]


def line_of(one: Compared) -> bytes:
    """The rows of a decision as a line, for a file of one part."""
    given = one.candidate or one.baseline
    if given is None:
        return b""
    about = given.about
    key = one.shard, about.decision_id, about.customer
    decision = (
        *key, one.who.segment, one.who.region, about.event_type, about.event_id, about.time,
        *(about.entity or (None, None)),
        None if one.baseline is None else one.baseline.outcome,
        None if one.candidate is None else one.candidate.outcome,
        one.changed,
    )  # fmt: skip
    sides = ("baseline", one.baseline), ("candidate", one.candidate)
    remedies = [(*key, side, *row) for side, of_side in sides if of_side for row in _given_rows(of_side)]
    return orjson.dumps((one.place, decision, remedies)) + b"\n"


def _given_rows(given: Given) -> Iterator[Sequence[Any]]:
    for remedy in given.remedies:
        amount: Mapping[str, str] = remedy.get("amount", {})
        yield _row(remedy["kind"], remedy, amount.get("currency"), amount.get("value"))
    for offer in given.offers:
        yield _row("offer", offer, None, None)


def _row(kind: str, one: Document, currency: str | None, amount: str | None) -> Sequence[Any]:
    terms = {name: value for name, value in one.items() if name not in _OWN}
    text = orjson.dumps(terms, option=orjson.OPT_SORT_KEYS).decode()
    return kind, one["policy"], one["version"], one["rule"], one["basis"], currency, amount, text


def in_order(parts: Sequence[Iterable[bytes]]) -> Iterator[Rows]:
    """The lines of all parts in the order of their places: the same, however the customers were parted."""
    read = [(Rows(*orjson.loads(line)) for line in part) for part in parts]
    return merge(*read, key=lambda rows: tuple(rows.place))
