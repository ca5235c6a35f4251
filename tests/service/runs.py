"""A run of the service in a test: a ledger file, a policy set, and lines of events decided into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from policyengine.adapters.files import LineSource
from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.events import Record
from policyengine.ledger.entries import Body, Entry, Header, Kind, Place, content_digest, seal
from policyengine.ledger.merkle import Tree
from policyengine.ledger.records import Batch, Checkpoint, Seen
from policyengine.service.pipeline import Pipeline, Tally
from policyengine.service.policy_sets import PolicySet
from tests.support import booked, cancelled, draft, line, policy_set, refund

INPUT = "events.jsonl"

HALF = draft("travel/half-back", refund("percent(booking.paid, 50)"))
FULL = draft("travel/half-back", refund("booking.paid"), version=2)


@cache
def half() -> PolicySet:
    """Half of what was paid for a cancelled booking goes back."""
    return policy_set(HALF)


def url(path: Path) -> str:
    """The ledger of a folder."""
    return f"sqlite:///{path / 'ledger.db'}"


@contextmanager
def opened(path: Path, *, read_only: bool = False) -> Iterator[SqlLedgerStore]:
    """The ledger of a folder, given back at the end."""
    with SqlLedgerStore(url(path), read_only=read_only) as store:
        yield store


def salts() -> Callable[[int], bytes]:
    """Salts that count up: what is random in life."""
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def pipeline(store: SqlLedgerStore, prepared: PolicySet, **keys: Any) -> Pipeline:
    """A writer of shard 0 that has published its policies; ``keys`` are the pipeline's others."""
    place = Place(keys.pop("shard", "0"), "0.1.0", keys.pop("input_name", INPUT))
    writer = Pipeline(store, prepared, **{"place": place, "salts": salts(), **keys})
    writer.publish()
    return writer


def feed(writer: Pipeline, raw: bytes, size: int = 500, stop: int | None = None) -> Tally:
    """Decide the bytes of a file from where the writer stands; ``stop`` after so many batches."""
    stream = BytesIO(raw)
    stream.seek(writer.offset)
    tally = Tally()
    for number, records in enumerate(LineSource(stream, writer.offset).batches(size)):
        if number == stop:
            break
        tally.add(writer.process(records))
    return tally


def lines(*events: Mapping[str, Any] | bytes) -> bytes:
    """Events, or bytes as they are, a line each."""
    return b"".join((one if isinstance(one, bytes) else line(one)) + b"\n" for one in events)


def records(*events: Mapping[str, Any] | bytes) -> list[Record]:
    """The same as records."""
    (batch,) = LineSource(BytesIO(lines(*events)), 0).batches(10_000)
    return batch


def entries(store: SqlLedgerStore, kind: str | None = None, shard: str = "0") -> list[Entry]:
    """The entries of a shard, or those of a kind."""
    return [entry for entry in store.entries(shard) if kind in (None, entry.kind)]


def bodies(store: SqlLedgerStore, shard: str = "0") -> list[tuple[str, bytes]]:
    """Kind and body of every entry."""
    return [(entry.kind, entry.body) for entry in store.entries(shard)]


def amounts(found: Sequence[Entry]) -> list[list[str]]:
    """The money of each decision's remedies."""
    return [
        [f"{one['amount']['value']} {one['amount']['currency']}" for one in entry.document()["remedies"]]
        for entry in found
    ]


STREAM = lines(
    booked("b1"),  # 100 ILS, all paid
    booked("b2"),
    cancelled("b1"),
    b"{",  # not JSON
    cancelled("b1"),  # the same again
    {
        **cancelled("b1"),
        "data": {"booking_id": "b2", "cancelled_because": "crisis"},
    },  # its id with other content
    b"",
    cancelled("b2"),
    booked("b3", price={"amount": "80.00", "currency": "ILS"}, paid={"amount": "33.33", "currency": "ILS"}),
    cancelled("b3"),
)


def forge(source: SqlLedgerStore, folder: Path, change: Callable[[Entry], Sequence[Body]]) -> None:
    """Write the shard's entries, changed, into a new ledger with every hash, root and row made to fit.

    This is what a keeper of the database can do who has the program, too; only what the shard remembers stays as it was.
    """
    tree, made, seen = Tree(), list[Entry](), dict[bytes, Seen]()
    place = Place("0", "0.1.0", INPUT)
    fresh, policies, offset = salts(), "", 0
    for entry in source.entries("0"):
        offset = Header.from_bytes(entry.header).offset
        for body in change(entry):
            policies = str(body.ref) if body.kind == Kind.POLICY_SET else policies
            sealed = seal(place, body, fresh(32), seq=len(made), offset=offset, policy_set=policies)
            made.append(sealed)
            tree.append(sealed.leaf)
            if body.kind == Kind.EVENT:
                key = bytes.fromhex(str(body.ref))
                seen[key] = Seen(content_digest(sealed.document()["event"]), sealed.seq)
    states: dict[str, dict[str, bytes]] = {}
    for customer, part, body in source.state_rows("0"):
        states.setdefault(customer, {})[part] = body
    queues: dict[int, list[str]] = {}
    for job, _, customer in source.queue_rows("0"):
        queues.setdefault(job, []).append(customer)
    batch = Batch(
        tree.root(), tree.to_bytes(), policies, made, states, seen, Checkpoint(INPUT, offset),
        timers={(timer.customer, timer.id): timer for timer in source.timers("0", None, 10_000)},
        places=dict.fromkeys(source.place_rows("0"), True),
        ranks=dict(source.rank_rows("0")),
        queues=queues,
    )  # fmt: skip
    with opened(folder) as store:
        store.commit("0", batch, store.claim("0"))


def as_it_is(entry: Entry) -> Body:
    """The body of an entry."""
    return Body(entry.kind, entry.body, entry.ref, entry.customer)
