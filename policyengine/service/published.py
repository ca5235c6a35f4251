"""What a ledger says of its policy sets and of customers' homes, read without compiling anything.

Deciding with a recorded set is service.replay's and service.history's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import orjson

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.holdings import unpack_entity
from policyengine.domain.schema import read_catalogue
from policyengine.errors import LedgerError
from policyengine.service.ports import LedgerStore

_HOMES = 20_000  # homes that are remembered


class Period(NamedTuple):
    """Days of events, half-open and in UTC; None has no bound."""

    since: date | None = None
    until: date | None = None

    def holds(self, time: datetime) -> bool:
        """Whether the time lies in it."""
        day = time.astimezone(UTC).date()
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)


@dataclass(frozen=True, slots=True)
class Book:
    """A recorded policy set, read without compiling it."""

    catalogue: Catalogue
    policies: Sequence[Mapping[str, Any]]
    on: frozenset[str]  # event types that some rule is on

    def titles(self) -> Iterator[tuple[tuple[str, int], str]]:
        """Policy and version, with the version's title."""
        for policy in self.policies:
            title = policy["title"]
            yield (policy["policy"], policy["version"]), title.get("en") or next(iter(title.values()))

    @classmethod
    def read(cls, store: LedgerStore, digest: str) -> Book:
        """The set of a digest; LedgerError when the ledger does not hold it."""
        raw = store.policy_set(digest)
        if raw is None:
            message = f"the ledger names policy set {digest} but does not hold it; run `verify`"
            raise LedgerError(message, code="PE712")
        document = orjson.loads(raw)
        rules = (rule for policy in document["policies"] for rule in policy["rules"])
        on = {name for rule in rules for name in ([rule["on"]] if type(rule["on"]) is str else rule["on"])}
        return cls(read_catalogue(document["catalogue"]), document["policies"], frozenset(on))


class Books:
    """The policy sets of a ledger, each read once."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._books: dict[str, Book] = {}

    def at(self, digest: str) -> Book:
        """The set of a digest."""
        if digest not in self._books:
            self._books[digest] = Book.read(self._store, digest)
        return self._books[digest]


class Homes:
    """Where customers live, by their stored state: the last region that is known, else the country."""

    def __init__(self, store: LedgerStore, shard: str) -> None:
        self._store = store
        self._shard = shard
        self._known: dict[str, str] = {}

    def of(self, customers: Sequence[str]) -> Mapping[str, str]:
        """Customer → code of a region; "" where none is known."""
        if len(self._known) > _HOMES:
            self._known.clear()
        missing = [customer for customer in dict.fromkeys(customers) if customer not in self._known]
        if missing:
            stored = self._store.states(self._shard, missing)
            for customer in missing:
                packed = stored.get(customer, {}).get(f"customer/{customer}")
                values = {} if packed is None else unpack_entity(packed).values
                self._known[customer] = str(values.get("region") or values.get("country") or "")
        return self._known
