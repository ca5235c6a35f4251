"""A story under way: whose it is, the day it has reached, and the chance that shapes it.

What the stories are is service.stories'; telling them is service.stream's; the year they happen in is
service.story_year's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any, NamedTuple

Data = dict[str, Any]
Telling = Iterator[tuple[str, Data]]

DAY = 86_400
START = date(2020, 2, 1)
SPAN_DAYS = (date(2021, 4, 1) - START).days
SPAN = SPAN_DAYS * DAY
_FIRST_DAY = date(2010, 1, 1)
DAYS = tuple((_FIRST_DAY + timedelta(number)).isoformat() for number in range(9_500))
START_DAY = (START - _FIRST_DAY).days


AIRLINE = "https://airline.example/events"
HOTELS = "https://hotels.example/events"
TOURS = "https://tours.example/events"
HALL = "https://hall.example/events"
GYM = "https://gym.example/events"
SCHOOL = "https://school.example/events"
INSURER = "https://insurer.example/events"
SHOP = "https://shop.example/events"
CAFE = "https://cafe.example/events"
BANK = "https://bank.example/events"
RAIL = "https://rail.example/events"
STAGE = "https://stage.example/events"
SOFTWARE = "https://software.example/events"
HEALTH = "https://health.example/events"
CARE = "https://care.example/events"
_FRACTION = 0.25  # of all amounts have one


class Home(NamedTuple):
    """Where a customer lives: what decides currency, language and which law covers them."""

    country: str
    language: str
    currency: str
    regions: tuple[str, ...]


_ISRAEL = ("north", "haifa", "center", "tel-aviv-yafo", "jerusalem", "beer-sheva", "bnei-brak", "eilat")
HOMES = (
    *(Home("IL", "he", "ILS", _ISRAEL),) * 13,
    *(Home("IL", "en", "ILS", _ISRAEL),) * 2,
    Home("IL", "ar", "ILS", _ISRAEL),
    Home("IL", "ru", "ILS", _ISRAEL),
    *(Home("IT", "it", "EUR", ("IT-21", "IT-25", "IT-34")),) * 2,
    *(Home("DE", "de", "EUR", ("DE-BE", "DE-BY")),) * 2,
    Home("US", "en", "USD", ("US-NY", "US-CA")),
)
# Where customers live, each home with each of its regions in turn
PLACES = tuple((home, home.regions[turn % len(home.regions)]) for turn in range(24) for home in HOMES)


class Story:
    """One story under way: whose it is, its number, and the time (seconds since START) it has reached."""

    __slots__ = ("customer", "home", "member", "now", "number", "random", "region", "source", "told")

    def __init__(
        self, rng: Random, number: int, customer: int, now: int, place: int, *, member: bool
    ) -> None:
        self.random = rng.random
        self.number = number
        self.customer = customer
        self.now = now
        self.home, self.region = PLACES[place]
        self.member = member
        self.source = ""
        self.told = 0  # the number of its last event, which is the event's id

    def after(self, least: float, most: float) -> None:
        """Let so many days pass, at least and at most."""
        self.now += int((least + (most - least) * self.random()) * DAY)

    def day(self, offset: int = 0) -> str:
        """Today, or so many days on, as ISO 8601."""
        return DAYS[START_DAY + self.now // DAY + offset]

    def wait_for(self, day: int) -> None:
        """Let the time pass until that day, if it is still to come."""
        if day > self.now // DAY:
            self.now = day * DAY + int(self.random() * 60_000)

    def chance(self, share: float) -> bool:
        """True for this share of the stories."""
        return self.random() < share

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        return choices[int(self.random() * len(choices))]

    def number_between(self, least: int, most: int) -> int:
        """A whole number; both bounds belong."""
        return least + int(self.random() * (most - least + 1))

    def money(self, least: int, most: int, currency: str | None = None) -> Data:
        """Whole units of money; a quarter of the amounts has a fraction."""
        random = self.random
        whole, cents = least + int(random() * (most - least + 1)), 0
        if whole and random() < _FRACTION:
            whole, cents = whole - 1, 1 + int(random() * 99)
        return {"amount": f"{whole}.{cents:02}", "currency": currency or self.home.currency}

    @property
    def today(self) -> int:
        """The number of the day."""
        return self.now // DAY


def cash(minor: int, currency: str) -> Data:
    """Money of a currency with two decimals, as events carry it."""
    return {"amount": f"{minor // 100}.{minor % 100:02}", "currency": currency}
