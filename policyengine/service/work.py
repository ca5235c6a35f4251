"""What a batch has made so far, and what became of its records: values that service.pipeline fills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from policyengine.domain.catalogue import Scope
from policyengine.domain.decision import Decision
from policyengine.ledger.entries import Entry, Place
from policyengine.ledger.merkle import Tree
from policyengine.service.metrics import Part, parts_of
from policyengine.service.ports import Checkpoint, Seen

Fingerprint = Callable[[int], bytes]


@dataclass(slots=True)
class Tally:
    """What became of the records so far, in this run."""

    counts: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    decided: Counter[Part] = field(default_factory=Counter)  # see metrics.parts_of
    committing: float = 0.0  # seconds that the store took for commits

    def decision(self, decision: Decision) -> None:
        """Count a decision in."""
        self.counts["decisions"] += 1
        self.counts[decision.outcome.value] += 1
        for part in parts_of(decision):
            self.decided[part] += 1
        if decision.errors:
            self.counts["errors"] += len(decision.errors)

    def add(self, other: Tally) -> None:
        """Count another batch in."""
        self.counts.update(other.counts)
        self.rejections.update(other.rejections)
        self.decided.update(other.decided)
        self.committing += other.committing


@dataclass(slots=True)
class Reading:
    """How far an input was read, None: not at all; by what it is known again; what headers say of it."""

    place: Place
    since: int | None = None
    fingerprint: bytes = b""

    @classmethod
    def of(cls, place: Place, stored: Checkpoint | None) -> Reading:
        """As it is stored."""
        return cls(place) if stored is None else cls(place, stored.offset, stored.fingerprint)


@dataclass(slots=True)
class Work:
    """What a batch has made since the last commit; ``tally`` is of all of it."""

    tree: Tree
    seq: int
    reading: Reading
    offset: int
    fingerprint: Fingerprint | None
    scope: Scope | None
    entries: list[Entry] = field(default_factory=list)
    seen: dict[bytes, Seen] = field(default_factory=dict)
    known: dict[bytes, Seen] = field(default_factory=dict)
    duplicates: int = 0
    tally: Tally = field(default_factory=Tally)
