"""What is overdue or about to be: reviews, offers, notices, duties to speak, jobs and timers of a ledger.

Reads what is in force, what is remembered and what was decided; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from policyengine.domain.holdings import unpack_entity
from policyengine.domain.kept import HELD, NOTICE, OFFER, OPEN
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.domain.values import Json, Value, instant_to_json
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.ports import LedgerStore
from policyengine.service.published import Books
from policyengine.service.recorded import Progress, digest_of, no_progress
from policyengine.service.world_rows import CLOCK, CUSTOMER, JOBS

LISTED = 1_000  # of each kind, the most urgent; all are counted
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TELLING = frozenset(("escalate", "notify"))
T = TypeVar("T")


class Review(NamedTuple):
    """A version in force that somebody must look at: since ``review``, or it has neither review nor end."""

    policy: str
    version: int
    title: str
    owner: str
    review: date | None

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        review = None if self.review is None else self.review.isoformat()
        return {**self._asdict(), "review": review}


class Waiting(NamedTuple):
    """An offer without an answer, or a message that is held: until when, and whether that is over."""

    customer: str
    id: str
    policy: str
    version: int
    until: date | None
    past: bool

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        return {**self._asdict(), "until": None if self.until is None else self.until.isoformat()}


class Duty(NamedTuple):
    """Somebody was told to speak to a customer, and nothing was said to them since."""

    customer: str
    decision_id: str
    event: str
    since: datetime
    to: str

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        return {**self._asdict(), "since": instant_to_json(self.since)}


class Pending(NamedTuple):
    """A timer, or a job that is under way."""

    shard: str
    what: str
    at: datetime | None
    done: int = 0
    total: int = 0

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        return {**self._asdict(), "at": None if self.at is None else instant_to_json(self.at)}


class Most(Generic[T]):
    """The most urgent of many, and how many there are."""

    def __init__(self, key: Callable[[T], Any]) -> None:
        self._key = key
        self._kept: list[T] = []
        self.count = 0

    def add(self, item: T) -> None:
        """One more."""
        self.count += 1
        self._kept.append(item)
        if len(self._kept) > 2 * LISTED:
            self._kept = self.listed()

    def listed(self) -> list[T]:
        """At most a thousand, the most urgent first."""
        return sorted(self._kept, key=self._key)[:LISTED]


def _by_until(waiting: Waiting) -> tuple[date, str, str]:
    return (waiting.until or date.max, waiting.customer, waiting.id)


@dataclass(slots=True)
class Due:
    """Everything that waits, seen on a day."""

    on: date
    reached: datetime | None = None
    overdue: list[Review] = field(default_factory=list)
    endless: list[Review] = field(default_factory=list)
    offers: Most[Waiting] = field(default_factory=lambda: Most(_by_until))
    open_offers: int = 0
    notices: Most[Waiting] = field(default_factory=lambda: Most(_by_until))
    duties: list[Duty] = field(default_factory=list)
    jobs: list[Pending] = field(default_factory=list)
    timers: list[Pending] = field(default_factory=list)
    timer_count: int = 0

    @property
    def late(self) -> bool:
        """Whether anything should have happened already."""
        waiting = [*self.offers.listed(), *self.notices.listed()]
        return bool(self.overdue or self.endless or self.duties or any(one.past for one in waiting))

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        return {
            "on": self.on.isoformat(),
            "reached": None if self.reached is None else instant_to_json(self.reached),
            "reviews": {
                "overdue": [one.to_json() for one in self.overdue],
                "neither_review_nor_end": [one.to_json() for one in self.endless],
            },
            "offers": {
                "open": self.open_offers,
                "near_or_past": self.offers.count,
                "listed": [one.to_json() for one in self.offers.listed()],
            },
            "notices": {
                "held": self.notices.count,
                "listed": [one.to_json() for one in self.notices.listed()],
            },
            "duties": [one.to_json() for one in self.duties],
            "jobs": [one.to_json() for one in self.jobs],
            "timers": {"pending": self.timer_count, "next": [one.to_json() for one in self.timers]},
        }


def find_due(
    store: LedgerStore,
    on: date | None = None,
    *,
    within: int = 7,
    timers: int = 10,
    progress: Progress = no_progress,
) -> Due:
    """What is due on a day; by default the one that the stream has reached. ``within``: how near is near."""
    shards = store.shards()
    times = [time for shard in shards if (time := reached(store, shard)) is not None]
    latest = max(times, default=None)
    if on is None:
        on = date.min if latest is None else latest.date()
    due = Due(on, latest)
    books = Books(store)
    due.overdue, due.endless = _reviews(store, books, shards, on)
    for shard in shards:
        _remembered(store, shard, due, within)
        due.duties += _duties(store, shard, progress)
        due.timer_count += store.timer_count(shard)
        due.timers += [
            Pending(shard, f"{timer.event}, {timer.customer or 'everybody'}", timer.at)
            for timer in store.timers(shard, None, timers)
        ]
    due.duties.sort(key=lambda duty: (duty.since, duty.customer))
    due.timers = sorted(due.timers, key=lambda one: (one.at or _EPOCH, one.what))[:timers]
    return due


def reached(store: LedgerStore, shard: str) -> datetime | None:
    """The time that a shard's stream has reached; None before its first event."""
    clock = store.states(shard, [CUSTOMER]).get(CUSTOMER, {}).get(CLOCK)
    now = None if clock is None else orjson.loads(clock)["now"]
    return None if now is None else _EPOCH + timedelta(microseconds=now)


def _reviews(
    store: LedgerStore, books: Books, shards: list[str], on: date
) -> tuple[list[Review], list[Review]]:
    overdue: dict[tuple[str, int], Review] = {}
    endless: dict[tuple[str, int], Review] = {}
    for digest in {store.head(shard).policy_set for shard in shards} - {""}:
        for policy in books.at(digest).policies:
            key = (policy["policy"], policy["version"])
            review = policy.get("review")
            one = Review(
                *key, _title(policy), policy["owner"], date.fromisoformat(review) if review else None
            )
            until = policy["effective"].get("until")
            if one.review is None and until is None:
                endless[key] = one
            elif one.review is not None and one.review <= on and not _over(policy["effective"], on):
                overdue[key] = one
    return (
        sorted(overdue.values(), key=lambda one: (one.review or date.max, one.policy, one.version)),
        sorted(endless.values()),
    )


def _title(policy: Mapping[str, Any]) -> str:
    title = policy["title"]
    return str(title.get("en") or next(iter(title.values())))


def _over(effective: Mapping[str, Any], on: date) -> bool:
    """A version compared with the event's time is over after its end; any other may still be asked."""
    until = effective.get("until")
    by_time = effective.get("by", "event.time") == "event.time"
    return by_time and until is not None and datetime.fromisoformat(until).date() <= on


def _remembered(store: LedgerStore, shard: str, due: Due, within: int) -> None:
    near = due.on + timedelta(days=within) if due.on < date.max - timedelta(days=within) else date.max
    for customer, part, body in store.state_rows(shard):
        kind, _, key = part.partition("/")
        if customer == CUSTOMER and part == JOBS:
            due.jobs += [_job(shard, job) for job in orjson.loads(body)]
        elif kind == OFFER and (values := unpack_entity(body).values)["status"] == OPEN:
            due.open_offers += 1
            until = _day(values.get("deadline"))
            if until is not None and until <= near:
                due.offers.add(_waiting(customer, key, values, until, until < due.on))
        elif kind == NOTICE and (values := unpack_entity(body).values)["status"] == HELD:
            until = _day(values.get("until"))
            due.notices.add(_waiting(customer, key, values, until, until is not None and until < due.on))


def _job(shard: str, job: Mapping[str, Any]) -> Pending:
    cause = (
        f"{job['policy']}@{job['version']}" if job["policy"] else str((job["event"] or {}).get("type", ""))
    )
    return Pending(shard, f"{job['kind']}: {cause}", None, job["done"], job["total"])


def _waiting(customer: str, key: str, values: Mapping[str, Value], until: date | None, past: bool) -> Waiting:
    return Waiting(customer, key, str(values["policy"]), int(str(values["version"])), until, past)


def _day(value: Value | None) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else None


def _duties(store: LedgerStore, shard: str, progress: Progress) -> Iterator[Duty]:
    """Held are only the duties that are open; a later message to the customer ends theirs."""
    books = Books(store)
    pending: dict[str, list[Duty]] = {}
    for entry in store.entries(shard):
        progress(1)
        if entry.kind != Kind.DECISION:
            continue
        document = entry.document()
        customer = document["customer"]
        if document["messages"]:  # what was raised before is answered, what this decision raises is not
            pending.pop(customer, None)
        if document["event"]["source"] == INTERNAL_SOURCE:
            raised = list(_raised(books, entry, document))
            if raised:
                pending.setdefault(customer, []).extend(raised)
    for duties in pending.values():
        yield from duties


def _raised(books: Books, entry: Entry, document: Mapping[str, Any]) -> Iterator[Duty]:
    """A follow-up of some rule that told somebody of the staff to speak."""
    event = document["event"]
    kind = books.at(digest_of(entry)).catalogue.events.get(event["type"])
    if kind is None or kind.internal:
        return
    told = [one["to"] for one in document["remedies"] if one["kind"] in _TELLING and one["to"] != "customer"]
    if told:
        since = datetime.fromisoformat(event["time"])
        yield Duty(document["customer"], document["decision_id"], event["type"], since, ", ".join(told))
