"""A validated CloudEvent, and a rejected one. How bytes become either is domain.validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from policyengine.domain.values import Json, Value


@dataclass(frozen=True, slots=True)
class Event:
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
    document: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an input is no event: a stable code and a reason that its publisher can act on.

    ``raw`` is the input, byte for byte. ``source``, ``id`` where they could be read.
    """

    code: str
    reason: str
    raw: bytes
    source: str | None = None
    id: str | None = None


class Record(NamedTuple):
    """One line or message of input, and the position in the input after it.

    ``refused``: whoever read it has refused it already, by what the bytes alone do not tell.
    """

    raw: bytes
    offset: int
    refused: Rejection | None = None
