"""A realistic stream of events, from a seed: one year of a crisis, for demonstrations, tests and benchmarks.

What the chronicle tells to everybody, and between it the stories of customers: which, whose and when, and
the bytes they become, in the order of time, with the share of duplicates, latecomers and broken lines that
real streams have. The chronicle is service.chronicle's, the stories are service.stories'. Pure: the seed is
the only source of chance, and no clock is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random

import orjson

from policyengine.service.chronicle import Told, chronicle
from policyengine.service.stories import STORIES
from policyengine.service.story import CARE, DAY, DAYS, PLACES, SPAN, START_DAY, Data, Story, Telling
from policyengine.service.story_travel import membership

EVENTS_PER_CUSTOMER = 12
# Of the events 0.6 % are sent twice, 0.4 % come late, 0.3 % come broken besides
_TWICE, _LATE, _BROKEN = 0.006, 0.010, 0.013
_JOINS, _CORE = 0.3, 0.15  # who becomes a member, who belongs to the loyal core
_TRADES = ("food", "events", "tourism", "fitness", "culture", "retail")  # of customers that are businesses
_MINUTES = tuple(f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1_440))
_SECONDS = tuple(f"{second:02}Z" for second in range(60))
_TOLD = tuple(tell for tell, share in STORIES for _ in range(share))
_UNSEEN, _KNOWN, _MEMBER = 0, 1, 2
_FUTURE_DAY, _FUTURE = 190, "2099-01-01T00:00:00Z"  # when a clock goes wrong, and what it shows
_NEVER = 2 * SPAN
_OVER = Told(_NEVER, "", "", "", "", {})  # after everything that is told
_Waiting = bytes | tuple[Story, Telling, str, Data]  # a line as it is, or a story's next event


def generate(seed: int, customers: int, events: int | None) -> Iterator[bytes]:
    """Lines without their line feed, from February 2020 to March 2021; ``events`` of them in all.

    By default twelve to a customer, and the chronicle besides. Where fewer are asked for than twice the
    chronicle, half of them are customers', and the stream ends before the year does. The same arguments
    give the same bytes. Lazy: held are only the chronicle and the stories under way.
    """
    rng = Random(seed)  # noqa: S311  # chance that can be repeated
    told = chronicle(rng)
    of_customers = customers * EVENTS_PER_CUSTOMER
    if events is not None:
        of_customers = max(events - len(told), events // 2, 1)
    count = of_customers + len(told) if events is None else events
    return _Stream(rng, customers, told).lines(count, of_customers)


class _Stream:
    """The stories under way, by the time at which each goes on."""

    def __init__(self, rng: Random, customers: int, told: list[Told]) -> None:
        self._rng = rng
        self._seen = bytearray(customers)
        self._offset = rng.randrange(1_000)
        self._waiting: list[tuple[int, int, _Waiting]] = []
        self._stories = self._queued = self._sent = self._last = 0
        self._told = told

    def lines(self, count: int, share: int) -> Iterator[bytes]:
        """invariant: times never go back, but for lines that are late, sent again or broken."""
        self._wait(_FUTURE_DAY * DAY, self._in_the_future())
        told = iter(self._told)
        world = next(told)
        waiting, clock, of_customers = self._waiting, 0, 0  # lines told of customers set the pace
        for _ in range(count):
            line = None
            while line is None:
                due = waiting[0][0] if waiting else _NEVER
                if world.when <= clock and world.when <= due:
                    line = self._announce(max(self._last, world.when), world)
                    world = next(told, _OVER)
                    of_customers -= 1
                elif due > clock:
                    line = self._begin(max(self._last, clock))
                else:
                    what = heappop(waiting)[2]
                    line = what if isinstance(what, bytes) else self._tell(max(self._last, due), *what)
            if of_customers < share:
                of_customers += 1
                clock = of_customers * SPAN // share
            yield line

    def _announce(self, now: int, told: Told) -> bytes:
        """An event of the chronicle; some publishers repeat themselves."""
        document = orjson.loads(self._line(now, told.source, 0, told.type, told.data))
        self._sent -= 1  # it has an id of its own
        line = orjson.dumps({**document, "id": told.id, "subject": told.subject})
        if self._rng.random() < _TWICE:
            self._wait(now + int(self._rng.random() * 3_600), line)
        return line

    def _in_the_future(self) -> bytes:
        """A question by a customer whose clock has gone wrong."""
        document = orjson.loads(self._line(0, CARE, 0, "policy.asked", {"about": "airline/points-kept"}))
        return orjson.dumps({**document, "time": _FUTURE})

    def _begin(self, now: int) -> bytes | None:
        """A new story; a customer who is not known yet is registered first."""
        customer = int(self._rng.random() * len(self._seen))
        known = self._seen[customer]
        self._stories += 1
        place = (customer + self._offset) % len(PLACES)
        story = Story(self._rng, self._stories, customer, now, place, member=known == _MEMBER)
        tell = _TOLD[int(self._rng.random() * len(_TOLD))]
        if known != _MEMBER and story.chance(_JOINS):
            tell = membership
        self._seen[customer] = _MEMBER if tell is membership else max(known, _KNOWN)
        telling = tell(story)
        name, data = next(telling)
        if known == _UNSEEN:
            self._wait(story.now, (story, telling, name, data))
            return self._line(now, CARE, customer, "customer.registered", _registration(story))
        if story.now > now:
            self._wait(story.now, (story, telling, name, data))
            return None
        return self._tell(now, story, telling, name, data)

    def _tell(self, now: int, story: Story, telling: Telling, name: str, data: Data) -> bytes | None:
        """The next event of a story; None when it comes late."""
        line = self._line(now, story.source, story.customer, name, data)
        story.now, story.told = now, self._sent
        following = next(telling, None)
        if following is not None:
            self._queued += 1
            heappush(self._waiting, (story.now, self._queued, (story, telling, *following)))
        chance = self._rng.random()
        if chance < _TWICE:
            self._wait(now + story.number_between(1, 3_600), line)
        elif chance < _LATE:
            self._wait(now + story.number_between(3_600, 5 * DAY), line)
            return None
        elif chance < _BROKEN:
            self._wait(now + story.number_between(0, 60), self._broken(line))
        return line

    def _wait(self, due: int, what: _Waiting) -> None:
        self._queued += 1  # invariant: no two entries are equal up to here, so contents are never compared
        heappush(self._waiting, (due, self._queued, what))

    def _line(self, now: int, source: str, customer: int, name: str, data: Data) -> bytes:
        self._sent += 1
        self._last = now
        second = now % DAY
        time = DAYS[START_DAY + now // DAY] + _MINUTES[second // 60] + _SECONDS[second % 60]
        # no name or source of ours has anything to escape
        head = f'{{"specversion":"1.0","id":"{self._sent}","source":"{source}","type":"{name}"'
        return f'{head},"time":"{time}","subject":"c{customer}","data":'.encode() + orjson.dumps(data) + b"}"

    def _broken(self, line: bytes) -> bytes:
        """The same event as a careless publisher would have sent it, under an id of its own."""
        self._sent += 1
        document = orjson.loads(line)
        document["id"] = str(self._sent)
        return BREAKAGES[int(self._rng.random() * len(BREAKAGES))](document)


def _registration(story: Story) -> Data:
    segment = story.pick(("new", "regular", "regular", "regular", "loyal", "loyal", "business"))
    trade = {"sector": story.pick(_TRADES)} if segment == "business" else {}
    return {
        "language": story.home.language,
        "country": story.home.country,
        "region": story.region,
        "segment": segment,
        "core": story.chance(_CORE),
        **trade,
    }


def _cut(document: Data) -> bytes:
    whole = orjson.dumps(document)
    return whole[: len(whole) // 2]


def _without_zone(document: Data) -> bytes:
    return orjson.dumps({**document, "time": document["time"].removesuffix("Z")})


def _mistyped(document: Data) -> bytes:
    return orjson.dumps({**document, "type": document["type"].replace("e", "3", 1)})


def _with_money(document: Data, money: Data) -> bytes:
    """Its first amount of money as given; without one the event is sent without data."""
    data = document["data"]
    name = next((name for name, value in data.items() if type(value) is dict), None)
    if name is None:
        return _no_data(document)
    return orjson.dumps({**document, "data": {**data, name: {**data[name], **money}}})


def _floating(document: Data) -> bytes:
    return _with_money(document, {"amount": 12.5})


def _unknown_currency(document: Data) -> bytes:
    return _with_money(document, {"currency": "NIS"})


def _old(document: Data) -> bytes:
    return orjson.dumps({**document, "specversion": "0.3"})


def _other_encoding(document: Data) -> bytes:
    return orjson.dumps(document)[:-1] + ',"note":"שלום"}'.encode("iso-8859-8")


def _twice_named(document: Data) -> bytes:
    return orjson.dumps(document)[:-1] + b',"subject":"c0"}'


def _no_data(document: Data) -> bytes:
    return orjson.dumps({name: value for name, value in document.items() if name != "data"})


BREAKAGES = (
    _cut, _without_zone, _mistyped, _floating, _unknown_currency, _old, _other_encoding, _twice_named,
    _no_data,
)  # fmt: skip
