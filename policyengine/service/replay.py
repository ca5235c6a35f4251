"""Decide again from the ledger alone: the same policies must give the same bytes.

``replay`` compares; ``refold`` rebuilds the states without deciding. Deciding with another policy
set is service.counterfactual.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.events import Event, Rejection
from policyengine.domain.schema import read_catalogue
from policyengine.domain.state import CustomerState, evolve, evolve_recorded
from policyengine.domain.validation import Validator
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Kind, rejected_body
from policyengine.service.pipeline import CONFLICT
from policyengine.service.policy_sets import PolicySet, recorded
from policyengine.service.ports import LedgerStore
from policyengine.service.step import step

Progress = Callable[[int], None]


def no_progress(entries: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that comes out otherwise when decided again."""

    shard: str
    seq: int
    what: str
    recorded: bytes
    replayed: bytes


class Recorded:
    """The policy sets that a ledger holds, compiled when an entry asks for them."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._sets: dict[str, tuple[PolicySet, Validator]] = {}

    def at(self, digest: str) -> tuple[PolicySet, Validator]:
        """The policy set of a digest, compiled once."""
        known = self._sets.get(digest)
        if known is None:
            raw = self._store.policy_set(digest)
            if raw is None:
                message = f"the ledger names policy set {digest} but does not hold it; run `verify`"
                raise LedgerError(message, code="PE712")
            policy_set = recorded(raw)
            known = policy_set, Validator(policy_set.catalogue)
            self._sets[digest] = known
        return known


def digest_of(entry: Entry) -> str:
    """The policy set in force at an entry, by its header; LedgerError PE708 where that is damaged."""
    return _in_header(entry, "policy_set")


def engine_of(entry: Entry) -> str:
    """The engine that made an entry, by its header; LedgerError PE708 where that is damaged."""
    return _in_header(entry, "engine")


def _in_header(entry: Entry, key: str) -> str:
    try:
        return str(orjson.loads(entry.header)[key])
    except (ValueError, TypeError, KeyError) as error:
        message = f"the header of entry {entry.seq} of shard `{entry.shard}` is damaged; run `verify`"
        raise LedgerError(message, code="PE708") from error


def revalidate(validator: Validator, entry: Entry) -> Event:
    """The event of an entry, validated again; LedgerError when it no longer is one."""
    event = validated(validator, entry)
    if not isinstance(event, Event):
        message = f"the event of entry {entry.seq} is refused now: {event.code} {event.reason}; run `verify`"
        raise LedgerError(message, code="PE712")
    return event


def validated(validator: Validator, entry: Entry) -> Event | Rejection:
    """The event of an entry, validated again, or why it is none."""
    return validator.validate(orjson.dumps(entry.document().get("event")))


def replay(store: LedgerStore, shard: str, *, progress: Progress = no_progress) -> Iterator[Difference]:
    """Every entry of a shard that comes out otherwise; none when the replay is identical."""
    engine = Recorded(store)
    states: dict[str, CustomerState] = {}
    due: list[bytes] = []  # decisions that the last event must be followed by
    last = -1
    for entry in store.entries(shard):
        progress(1)
        if entry.kind == Kind.DECISION:
            again = due.pop(0) if due else b""
            if again != entry.body:
                yield Difference(shard, entry.seq, "decision", entry.body, again)
            continue
        yield from _missing(shard, last, due)
        last = entry.seq
        if entry.kind == Kind.EVENT:
            policy_set, validator = engine.at(digest_of(entry))
            event = validated(validator, entry)
            if not isinstance(event, Event):
                yield Difference(shard, entry.seq, "event", entry.body, rejected_body(event).raw)
                continue
            state = states.get(event.subject) or CustomerState(event.subject)
            states[event.subject], decisions = step(policy_set.ruleset, state, event)
            due.extend(canonical(decision.to_json()) for decision in decisions)
        elif entry.kind == Kind.REJECTED:
            yield from _reject_again(engine, entry)
        else:
            again = engine.at(digest_of(entry))[0].body.raw
            if again != entry.body:
                yield Difference(shard, entry.seq, "policy set", entry.body, again)
    yield from _missing(shard, last, due)


def _missing(shard: str, seq: int, due: list[bytes]) -> Iterator[Difference]:
    for body in due:
        yield Difference(shard, seq, "decision missing", b"", body)
    due.clear()


def _reject_again(engine: Recorded, entry: Entry) -> Iterator[Difference]:
    document = entry.document()
    if document.get("code") == CONFLICT:
        return  # it was refused for what came before it, not for what it is
    _, validator = engine.at(digest_of(entry))
    try:
        raw = b64decode(str(document.get("raw")))
    except ValueError:  # the body was changed
        raw = b""
    again = validator.validate(raw)
    body = b"" if isinstance(again, Event) else rejected_body(again).raw
    if body != entry.body:
        yield Difference(entry.shard, entry.seq, "rejection", entry.body, body)


def refold(store: LedgerStore, shard: str) -> dict[str, CustomerState]:
    """The states that a shard's events and decisions add up to, without deciding anything."""
    states: dict[str, CustomerState] = {}
    catalogues: dict[str, tuple[Catalogue, Validator]] = {}
    for entry in store.entries(shard):
        if entry.kind == Kind.EVENT:
            catalogue, validator = _catalogue(store, catalogues, digest_of(entry))
            event = revalidate(validator, entry)
            state = states.get(event.subject) or CustomerState(event.subject)
            states[event.subject] = evolve(state, event, catalogue)
        elif entry.kind == Kind.DECISION:
            document = entry.document()
            customer = document["customer"]
            states[customer] = evolve_recorded(states[customer], document)
    return states


def _catalogue(
    store: LedgerStore, known: dict[str, tuple[Catalogue, Validator]], digest: str
) -> tuple[Catalogue, Validator]:
    if digest not in known:
        raw = store.policy_set(digest)
        if raw is None:
            message = f"the ledger names policy set {digest} but does not hold it; run `verify`"
            raise LedgerError(message, code="PE712")
        catalogue = read_catalogue(orjson.loads(raw)["catalogue"])
        known[digest] = catalogue, Validator(catalogue)
    return known[digest]
