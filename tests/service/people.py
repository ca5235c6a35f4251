"""People with keys, and a desk where they publish: time stands still unless a test lets it pass."""

from __future__ import annotations

from base64 import b64encode
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policyengine.adapters.keys import signed
from policyengine.adapters.store import SqlLedgerStore
from policyengine.ledger.publications import Approver, Roster
from policyengine.service.approvals import Desk
from tests.service.runs import salts

NOON = 1_796_126_400_000_000  # 2026-12-01T12:00:00Z in µs
HOUR = 3_600_000_000


class Person:
    """Somebody's key, the same in every run of the tests."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._private = Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))

    @property
    def key(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return b64encode(self._private.sign(message))


@cache
def person(name: str) -> Person:
    """Dana, Noa, or whoever."""
    return Person(name)


def roster(*names: str, needed: int = 2, until: str | None = None) -> Roster:
    """These people may approve."""
    return Roster(needed, tuple(Approver(name, person(name).key, until) for name in names))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


def desk(store: SqlLedgerStore, clock: Clock | None = None) -> Desk:
    """A desk that never waits."""
    return Desk(
        store,
        engine="0.1.0",
        salts=salts(),
        signed=signed,
        now=clock or Clock(),
        wait=lambda _: None,
    )


def open_roster(at: Desk, *names: str, needed: int = 2) -> None:
    """From now on it takes these people."""
    at.trust(lambda _: roster(*(names or ("dana", "noa", "uri")), needed=needed), None)
