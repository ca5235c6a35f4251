"""What a ledger's entries were made under: policy sets, compiled when asked for, and events read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from policyengine.domain.events import Event, Rejection
from policyengine.domain.validation import Validator
from policyengine.errors import LedgerError
from policyengine.ledger.entries import Entry, Kind, event_key
from policyengine.service.policy_sets import PolicySet, recorded
from policyengine.service.ports import LedgerStore

Progress = Callable[[int], None]


def no_progress(entries: int) -> None:
    """Show nothing."""


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


def cause_of(store: LedgerStore, shard: str, decision: Mapping[str, Any], seq: int) -> Entry:
    """The entry of the event that a decision (``seq`` is its own) names; it stands somewhere before it.

    An event from outside, one of the engine's own for the customer, or one of its own of the world.
    """
    key = event_key(decision["event"]["source"], decision["event"]["id"])
    seen = store.seen(shard, [key]).get(key)
    found = None if seen is None else store.entry(shard, seen.seq)
    if found is not None:
        return found
    of_customer = (
        one
        for one in store.of_customer(shard, decision["customer"])
        if one.kind == Kind.INTERNAL and one.ref == key.hex()
    )
    own = [one for one in (*of_customer, *store.internal_world_events(shard, key.hex())) if one.seq < seq]
    if not own:
        message = f"decision {decision['decision_id']} has no event before it; run `verify`"
        raise LedgerError(message, code="PE712")
    return own[-1]
