"""Whether a ledger abides by its approvals: every policy set that a shard took up was approved by then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from policyengine.ledger.entries import Entry
from policyengine.ledger.faults import APPROVALS, Fault, entry_fault
from policyengine.ledger.publications import POLICIES, Publications, Signed, folded

Adopted = tuple[int, str]  # the sequence of an entry `policy_set`, and its digest


def check_approvals(
    entries: Iterator[Entry], adopted: Mapping[str, Sequence[Adopted]], signed: Signed
) -> Iterator[Fault]:
    """Faults of the shard of publications (its ``entries``), and of shards that went their own way."""
    publications = folded(entries, signed)
    for seq, why in publications.faults:
        yield entry_fault(APPROVALS, POLICIES, seq, "body", why)
    if publications.roster is None:
        return
    for shard, sets in sorted(adopted.items()):
        if shard != POLICIES:
            yield from _check_shard(publications, shard, sets)


def _check_shard(publications: Publications, shard: str, sets: Iterable[Adopted]) -> Iterator[Fault]:
    """A shard takes up what was published, in its order; it may leave some out, and never goes back.

    invariant: what it had taken up before the first roster needed no approval.
    """
    size, digest = publications.heads.get(shard, (0, ""))
    opened = publications.opened or 0
    before = {one.digest for one in publications.activations(shard) if (one.complete or 0) < opened}
    free = {*publications.base, *before, digest}
    order = [one.digest for one in publications.activations(shard) if (one.complete or 0) > opened]
    at = -1
    for seq, taken_up in sets:
        if seq < size:
            continue
        later = next((nth for nth in range(at + 1, len(order)) if order[nth] == taken_up), None)
        if later is not None:
            at = later
        elif at >= 0 or taken_up not in free:
            message = f"puts policy set {taken_up} in force, which was not approved then"
            yield entry_fault(APPROVALS, shard, seq, "body", message)
