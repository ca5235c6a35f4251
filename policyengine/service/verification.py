"""Verify a whole ledger: hashes and rows by ledger.verify, and what it remembers by folding again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from policyengine.ledger.faults import CHANGED, STATE, Fault
from policyengine.ledger.publications import Signed
from policyengine.ledger.remembered import compare
from policyengine.ledger.verify import nothing_signed, verify
from policyengine.service.memory_rows import rows_of, stored_rows
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, no_progress
from policyengine.service.refold import refold


class Expected(NamedTuple):
    """A size and root that were noted earlier."""

    shard: str
    size: int
    root: bytes


_FAULT = ("code", "shard", "table", "column", "row", "seq", "message")


@dataclass(frozen=True, slots=True)
class Verification:
    """Every fault, and each shard's size and root."""

    faults: list[Fault]
    roots: Mapping[str, tuple[int, bytes]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "verified": not self.faults,
            "faults": [{name: _printable(getattr(fault, name)) for name in _FAULT} for fault in self.faults],
            "roots": {
                shard: {"size": size, "root": root.hex()} for shard, (size, root) in self.roots.items()
            },
        }


def _printable(value: object) -> object:
    """As it is; of text that was damaged into something else than text, the bytes."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def verify_ledger(
    store: LedgerStore,
    expected: Expected | None,
    *,
    progress: Progress = no_progress,
    signed: Signed = nothing_signed,
) -> Verification:
    """Recompute everything that a ledger holds; ``signed`` checks the signatures of approvals.

    What is remembered (states, timers, places, ranks, lists) is compared only where the entries themselves
    are sound: from changed entries nothing can be folded.
    """
    odd = [
        Fault(CHANGED, "", table, column, f"row {row}", "holds a value of another type")
        for table, row, column in store.mistyped()
    ]
    if odd:  # nothing that is computed from such rows says anything
        return Verification(odd)
    noted = None if expected is None else {expected.shard: (expected.size, expected.root)}
    faults = list(verify(store, noted, progress, signed))
    if not faults:
        for shard in store.shards():
            faults.extend(_remembered(store, shard))
    heads = {shard: store.head_row(shard)[0] for shard in store.shards() if _printable(shard) == shard}
    return Verification(faults, {shard: (head.size, head.root) for shard, head in heads.items()})


def _remembered(store: LedgerStore, shard: str) -> Iterator[Fault]:
    try:
        tables = list(rows_of(refold(store, shard)))
    except Exception as error:  # noqa: BLE001  whatever a forged entry brings about is a finding, not a crash
        message = f"the entries cannot be folded: {error}"
        yield Fault(STATE, shard, "entry", "body", "some entries", message)
        return
    for layout, expected in tables:
        yield from compare(shard, layout, expected, stored_rows(store, shard, layout))
