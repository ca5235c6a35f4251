"""What an index may know of a condition: comparisons of one attribute with constants.

invariant: a condition that held satisfies every conjunct drawn from it; what cannot be represented
exactly yields no conjunct. How an index uses them is engine.match.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in"]


@dataclass(frozen=True, slots=True)
class Conjunct:
    """``attribute operator value``.

    The value is what an index holds: text as it is, a flag, an integer, money in minor units, a
    date in days and an instant in microseconds since 1970-01-01 UTC. ``currency`` is set for money.
    """

    attribute: str
    operator: Comparison
    value: str | int | bool | tuple[str | int, ...]
    currency: str | None = None
