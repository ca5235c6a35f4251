"""How `simulate` is carried out: where policies and history come from, processes, and the files it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policyengine.adapters.files import open_events
from policyengine.adapters.parquet import TableFile
from policyengine.adapters.processes import Link, cores, in_parts
from policyengine.bootstrap import keep_what_is_loaded, open_ledger, policy_set_of, without_password
from policyengine.cli.output import progress
from policyengine.errors import UsageError
from policyengine.ledger.entries import Kind
from policyengine.service.door import Door
from policyengine.service.policy_sets import PolicySet, recorded
from policyengine.service.ports import LedgerStore
from policyengine.service.simulate import Compared, Run, shard_sizes, simulate_ledger, simulate_lines
from policyengine.service.simulate_parts import Part
from policyengine.service.simulate_rows import DECISIONS, REMEDIES, in_order, line_of
from policyengine.service.simulate_tally import Totals, merge
from policyengine.service.stream import generate

_DIGEST, _SHORTEST = 64, 8  # hex digits of a digest, and of what may stand for one
_WORTH_A_PROCESS = 2_000  # entries or lines
_BATCH = 500


@dataclass(frozen=True, slots=True)
class History:
    """What is decided again: in words, its size, and how one part goes through it."""

    text: str
    size: int | None
    go: Callable[[Run], Totals]


def policies_of(named: str, schemas: list[Path], store: LedgerStore | None) -> PolicySet:
    """A policy set by its folder, or by its digest in a ledger."""
    folder = Path(named)
    if folder.exists() or not _is_hex(named):
        return policy_set_of(folder, schemas)
    if store is None:
        message = f"`{named}` is no folder, and a digest needs --ledger"
        raise UsageError(message)
    digest = named if len(named) == _DIGEST else _completed(named, store)
    raw = store.policy_set(digest)
    if raw is None:
        message = f"the ledger holds no policy set {named}; `timeline` and `explain` name those it does"
        raise UsageError(message)
    return recorded(raw)


def _is_hex(text: str) -> bool:
    return _SHORTEST <= len(text) <= _DIGEST and set(text) <= set("0123456789abcdef")


def _completed(start: str, store: LedgerStore) -> str:
    """The one digest in the ledger that begins so."""
    found = {
        str(entry.ref)
        for shard in store.shards()
        for entry in store.entries(shard)
        if entry.kind in {Kind.POLICY_SET, Kind.STAGED} and (entry.ref or "").startswith(start)
    }
    if len(found) != 1:
        listed = f"begins with {start}" if not found else f"is meant: {', '.join(sorted(found))}"
        message = f"{'no' if not found else 'more than one'} policy set in the ledger {listed}"
        raise UsageError(message)
    return found.pop()


def of_ledger(url: str, store: LedgerStore) -> History:
    """All shards of a ledger as they stand now; every process opens it by itself."""
    sizes = shard_sizes(store)

    def go(run: Run) -> Totals:
        own = open_ledger(url, read_only=True)
        try:
            return simulate_ledger(own, sizes, run)
        finally:
            own.close()

    size = sum(sizes.values())
    return History(f"{size:,} entries of {without_password(url)}", size, go)


def of_file(path: Path, door: Door, name: str) -> History:
    """The lines of a file of events."""

    def go(run: Run) -> Totals:
        with open_events(path, 0, b"") as source:
            lines = (record.raw for records in source.batches(_BATCH) for record in records)
            return simulate_lines(lines, run, door)

    return History(f"the events of {name}", None, go)


def of_stream(seed: int, customers: int, events: int | None, door: Door) -> History:
    """A made-up stream."""

    def go(run: Run) -> Totals:
        return simulate_lines(generate(seed, customers, events), run, door)

    wanted = "" if events is None else f", {events:,} events"
    return History(f"a made-up year of {customers:,} customers{wanted}, seed {seed}", events, go)


def carry_out(
    history: History,
    candidate: PolicySet,
    against: PolicySet | None,
    *,
    jobs: int | None,
    out: Path | None,
) -> Totals:
    """Simulate in so many processes, and leave the tables in a folder."""
    count = jobs or _worth(history.size)
    keep_what_is_loaded()
    with ExitStack() as stack:
        parts = None if out is None else stack.enter_context(_parts_of(out))

        def work(number: int, link: Link) -> Totals:
            part = Part(number, count, link.gather)
            with ExitStack() as of_part:
                sink = None if parts is None else of_part.enter_context(_written(parts / str(number)))
                return history.go(Run(candidate, against, part, sink, link.progress))

        totals = merge(in_parts(count, work, partial(progress, "simulating", history.size)))
        if out is not None and parts is not None:
            _tables(out, [parts / str(number) for number in range(count)])
    return totals


def _worth(size: int | None) -> int:
    return cores() if size is None else min(cores(), 1 + size // _WORTH_A_PROCESS)


@contextmanager
def _parts_of(out: Path) -> Iterator[Path]:
    """A folder for the rows of parts, gone afterwards."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".simulate-", dir=out) as folder:
            yield Path(folder)
    except OSError as error:
        message = f"cannot write to {out}: {error.strerror or error}"
        raise UsageError(message) from error


@contextmanager
def _written(path: Path) -> Iterator[Callable[[Compared], Any]]:
    with path.open("wb") as target:
        yield lambda one: target.write(line_of(one))


def _tables(out: Path, parts: list[Path]) -> None:
    with ExitStack() as stack:
        decisions = stack.enter_context(TableFile(out, "decisions", DECISIONS))
        remedies = stack.enter_context(TableFile(out, "remedies", REMEDIES))
        for rows in in_order([stack.enter_context(path.open("rb")) for path in parts]):
            decisions.write(rows.decision)
            for row in rows.remedies:
                remedies.write(row)
