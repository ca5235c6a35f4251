"""What verification finds wrong: a value, and the names of what can be wrong. Finding is in verify."""

from __future__ import annotations

from dataclasses import dataclass

CHANGED = "PE801"  # a column of an entry is not what it must be
MISSING = "PE802"  # an entry or a root is not there
ADDED = "PE803"  # a row is there that belongs to nothing
ROOT = "PE804"  # a stored root or frontier is not that of the entries
NOTED = "PE805"  # the ledger is not the one whose size and root were noted
BOOKKEEPING = "PE806"  # head, checkpoint, outbox or seen do not fit the entries
STATE = "PE807"  # a stored state, timer, place, rank or list is not what the entries fold to
APPROVALS = "PE808"  # a policy set, a roster or an approval that the roster does not allow


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    ``column`` names one column, or several joined by "or" where the fault cannot be told closer.
    ``seq`` is the entry's sequence where the fault is an entry's.
    """

    code: str
    shard: str
    table: str
    column: str
    row: str
    message: str
    seq: int | None = None

    def __str__(self) -> str:
        column = f".{self.column}" if self.column else ""
        text = f"{self.code} shard `{self.shard}`, {self.row}, {self.table}{column}: {self.message}"
        # a changed byte may have left text that is no UTF-8 and that no terminal prints
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def entry_fault(code: str, shard: str, seq: int, column: str, message: str) -> Fault:
    """A fault of one entry."""
    return Fault(code, shard, "entry", column, f"sequence {seq}", message, seq)


def show(value: object) -> str:
    """A hash in hex; whatever else stands in its place as Python writes it."""
    return value.hex() if isinstance(value, bytes) else repr(value)
