"""A validated CloudEvent, and a rejected one. How bytes become either is domain.validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from policyengine.domain.values import Json, Value

_NO_DOCUMENT: Mapping[str, Json] = {}


class Event(NamedTuple):
    """A CloudEvents 1.0 event whose type and data the catalogue accepts.

    ``time`` is UTC. ``data`` holds typed values; ``document`` is the whole event as parsed JSON
    (what the ledger records and what content conflicts are judged by).
    """

    source: str
    id: str
    type: str
    time: datetime
    subject: str
    data: Mapping[str, Value]
    document: Mapping[str, Json] = _NO_DOCUMENT


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an input is no event: a stable code and a reason that its publisher can act on.

    ``raw`` is the input, byte for byte. ``source``, ``id`` where they could be read. ``message``: what it
    came in, where there is more to that.
    """

    code: str
    reason: str
    raw: bytes
    source: str | None = None
    id: str | None = None
    message: bytes | None = None


class Record(NamedTuple):
    """One line or message of input, and the position in the input after it.

    ``refused``: whoever read it has refused it already, by what the bytes alone do not tell. ``message``
    gives what they came in, for whoever sends it again.
    """

    raw: bytes
    offset: int
    refused: Rejection | None = None
    message: Callable[[], bytes] | None = None

    def refuse(self, rejection: Rejection) -> Rejection:
        """A rejection of it, with what it came in."""
        return rejection if self.message is None else replace(rejection, message=self.message())
