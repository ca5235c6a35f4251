"""The year as it was, the same for every seed: places, sites, limits, flights and performances, by day.

Lookups for the stories; the events that tell of it are service.chronicle's. Days are whole numbers, counted
from 1 February 2020.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import NamedTuple

from policyengine.service.story import DAYS, SPAN_DAYS, START, START_DAY

ANY = 1_000_000  # so many people may meet where nothing is restricted


def on(day: str) -> int:
    """The number of an ISO date."""
    return date.fromisoformat(day).toordinal() - START.toordinal()


def iso(day: int) -> str:
    """The ISO date of a number."""
    return DAYS[START_DAY + day]


# Each place with what it lies in, from the inside out; as in schemas/regions.json
AROUND: dict[str, tuple[str, ...]] = {
    place: (place, *around, "world")
    for place, around in {
        **dict.fromkeys(("north", "haifa", "center", "tel-aviv", "jerusalem", "south"), ("IL",)),
        **dict.fromkeys(("tel-aviv-yafo", "bnei-brak"), ("tel-aviv", "IL")),
        **dict.fromkeys(("eilat", "beer-sheva"), ("south", "IL")),
        **dict.fromkeys(("IT-21", "IT-25", "IT-34"), ("IT",)),
        **dict.fromkeys(("DE-BE", "DE-BY"), ("DE",)),
        **dict.fromkeys(("US-NY", "US-CA"), ("US",)),
        **dict.fromkeys(("IL", "IT", "DE", "US", "GR"), ()),
    }.items()
}
AROUND["world"] = ("world",)


class Site(NamedTuple):
    """A place of business, registered before the crisis."""

    id: str
    kind: str
    region: str
    name: str
    pool: bool = False


SITES = (
    Site("gym-dizengoff", "gym", "tel-aviv-yafo", "Kosher Guf Dizengoff", pool=True),
    Site("gym-bnei-brak", "gym", "bnei-brak", "כושר גוף בני ברק"),
    Site("gym-carmel", "gym", "haifa", "Kosher Guf Carmel", pool=True),
    Site("gym-kfar-saba", "gym", "center", "כושר גוף כפר סבא", pool=True),
    Site("gym-galil", "gym", "north", "Kosher Guf Galil"),
    Site("gym-jerusalem", "gym", "jerusalem", "כושר גוף ירושלים"),
    Site("gym-negev", "gym", "beer-sheva", "Kosher Guf Negev"),
    Site("gym-milano", "gym", "IT-25", "Palestra Navigli", pool=True),
    Site("gym-berlin", "gym", "DE-BE", "Studio Kreuzberg"),
    Site("gym-new-york", "gym", "US-NY", "Hudson Fitness", pool=True),
    Site("gym-los-angeles", "gym", "US-CA", "Sunset Fitness"),
    Site("hall-hapekan", "hall", "tel-aviv-yafo", "Gan HaPekan"),
    Site("hall-sharon", "hall", "center", "אולמי השרון"),
    Site("hall-galil", "hall", "north", "Villa Rosa"),
    Site("hall-jerusalem", "hall", "jerusalem", "היכל הבירה"),
    Site("school-tel-aviv", "school", "tel-aviv-yafo", "School of Notes"),
    Site("school-haifa", "school", "haifa", "בית הצלילים"),
    Site("school-jerusalem", "school", "jerusalem", "School of Notes Jerusalem"),
    Site("cafe-levinsky", "restaurant", "tel-aviv-yafo", "Café Levinsky"),
    Site("cafe-hadar", "restaurant", "haifa", "קפה הדר"),
    Site("stage-habima", "theatre", "tel-aviv-yafo", "Habima"),
    Site("stage-hall-of-music", "theatre", "tel-aviv-yafo", "הפילהרמונית"),
    Site("stage-scala", "theatre", "IT-25", "La Scala"),
    Site("stage-berlin", "theatre", "DE-BE", "Philharmonie"),
    Site("stage-new-york", "theatre", "US-NY", "Lincoln Center"),
)
SECTOR = {
    "gym": "fitness",
    "hall": "events",
    "school": "education",
    "restaurant": "food",
    "theatre": "culture",
    "hotel": "tourism",
}


@cache
def sites(kind: str, region: str) -> tuple[Site, ...]:
    """Those of a kind that lie in a region; where there are none, in the country."""
    around = AROUND[region]
    near = tuple(site for site in SITES if site.kind == kind and region in AROUND[site.region])
    return near or tuple(site for site in SITES if site.kind == kind and around[-2] in AROUND[site.region])


class Step(NamedTuple):
    """From a day on so much is allowed: a share of the capacity, a number of people, or both."""

    start: int
    percent: int | None
    people: int | None = None


class Limit(NamedTuple):
    """A restriction: its steps, and the first day without it. ``lapses``: the end was set at once."""

    id: str
    region: str
    sector: str | None
    steps: tuple[Step, ...]
    until: int
    lapses: bool = False
    crisis: str | None = None
    reason: str = "coronavirus"

    @property
    def start(self) -> int:
        """The first day."""
        return self.steps[0].start


PANDEMIC, STORM, STRIKE = "pandemic-2020", "storm-2020-11", "rail-strike-2020-12"
STRIKE_DAYS = range(on("2020-12-08"), on("2020-12-13"))
_DECLARED = on("2020-03-11")


def _limit(name: str, region: str, sector: str | None, *steps: tuple[str, int | None, int | None]) -> Limit:
    """The last step is the end: lifted on that day; with the number 1 for people, set at once."""
    *starts, (end, _, lapses) = steps
    made = tuple(Step(on(day), percent, people) for day, percent, people in starts)
    crisis = PANDEMIC if made[0].start > _DECLARED else None
    return Limit(name, region, sector, made, on(end), lapses=lapses == 1, crisis=crisis)


def _shut(name: str, region: str, sector: str | None, start: str, end: str, *, lapses: bool = False) -> Limit:
    return _limit(name, region, sector, (start, 0, None), (end, None, 1 if lapses else None))


LIMITS = (
    _shut("it-25-all-1", "IT-25", None, "2020-03-08", "2020-05-18"),
    _shut("it-all-1", "IT", None, "2020-03-10", "2020-05-18"),
    _limit(
        "il-events-1", "IL", "events",
        ("2020-03-11", None, 100), ("2020-03-15", None, 10), ("2020-06-14", None, 250),
        ("2020-07-06", None, 50), ("2020-07-10", None, 20), ("2020-09-18", 0, None),
        ("2021-03-07", 50, 300), ("2021-06-01", None, None),
    ),
    _limit(
        "il-culture-1", "IL", "culture",
        ("2020-03-11", None, 100), ("2020-03-15", 0, None), ("2020-06-14", None, None),
    ),
    _shut("us-ny-culture-1", "US-NY", "culture", "2020-03-13", "2021-04-02"),
    _shut("il-education-1", "IL", "education", "2020-03-13", "2020-05-17"),
    _shut("il-fitness-1", "IL", "fitness", "2020-03-15", "2020-05-18"),
    _shut("il-food-1", "IL", "food", "2020-03-15", "2020-05-27"),
    _limit(
        "us-ny-fitness-1", "US-NY", "fitness",
        ("2020-03-16", 0, None), ("2020-09-02", 33, None), ("2021-03-22", None, None),
    ),
    _shut("de-all-1", "DE", None, "2020-03-17", "2020-05-15"),
    _shut("travel-1", "world", "travel", "2020-03-18", "2020-06-15"),
    _shut("us-ca-all-1", "US-CA", None, "2020-03-19", "2020-06-12"),
    _shut("us-tourism-1", "US", "tourism", "2020-03-20", "2020-06-08"),
    _shut("il-tourism-1", "IL", "tourism", "2020-03-25", "2020-05-03"),
    _shut("bnei-brak-1", "bnei-brak", None, "2020-04-03", "2020-04-17", lapses=True),
    _shut("il-fitness-2", "IL", "fitness", "2020-07-06", "2020-07-20"),
    _shut("il-culture-2", "IL", "culture", "2020-07-06", "2021-02-21"),
    _shut("us-ca-fitness-2", "US-CA", "fitness", "2020-07-13", "2021-03-15"),
    _shut("il-education-2", "IL", "education", "2020-09-17", "2020-11-01"),
    _shut("il-fitness-3", "IL", "fitness", "2020-09-18", "2021-02-21"),
    _shut("il-food-2", "IL", "food", "2020-09-18", "2021-03-07"),
    _shut("il-tourism-2", "IL", "tourism", "2020-09-18", "2020-10-18"),
    _shut("it-fitness-2", "IT", "fitness", "2020-10-26", "2021-03-29"),
    _shut("it-culture-2", "IT", "culture", "2020-10-26", "2021-03-22"),
    _shut("de-fitness-2", "DE", "fitness", "2020-11-02", "2021-03-08"),
    _shut("de-culture-2", "DE", "culture", "2020-11-02", "2021-03-15"),
    _shut("de-tourism-2", "DE", "tourism", "2020-11-02", "2021-03-15"),
    _shut("north-storm-1", "north", None, "2020-11-04", "2020-11-08", lapses=True)._replace(
        crisis=STORM, reason="storm"
    ),
    _shut("it-tourism-2", "IT", "tourism", "2020-12-21", "2021-01-16", lapses=True),
    _shut("il-tourism-3", "IL", "tourism", "2020-12-27", "2021-02-07"),
    _shut("il-education-3", "IL", "education", "2021-01-08", "2021-02-11", lapses=True),
)  # fmt: skip


@cache
def _by_day(sector: str, region: str) -> tuple[int, ...]:
    """How many people may meet there, day by day; a year beyond the end of the story too."""
    allowed = [ANY] * (SPAN_DAYS + 400)
    for limit in LIMITS:
        if limit.region not in AROUND[region] or limit.sector not in {None, sector}:
            continue
        for step, end in zip(
            limit.steps, (*(step.start for step in limit.steps[1:]), limit.until), strict=True
        ):
            most = 0 if step.percent == 0 else ANY if step.people is None else step.people
            for day in range(step.start, end):
                allowed[day] = min(allowed[day], most)
    return tuple(allowed)


def allowed(sector: str, region: str, day: int) -> int:
    """How many people may meet in a trade, somewhere, on a day."""
    return _by_day(sector, region)[day]


@cache
def closures(sector: str, region: str) -> tuple[tuple[int, int], ...]:
    """When nobody may come at all: first day, and the first day again."""
    spells: list[tuple[int, int]] = []
    for day, most in enumerate(_by_day(sector, region)):
        if most:
            continue
        if spells and spells[-1][1] == day:
            spells[-1] = (spells[-1][0], day + 1)
        else:
            spells.append((day, day + 1))
    return tuple(spells)


# Days at home, by country: from which day on how many
ISOLATION: dict[str, tuple[tuple[int, int], ...]] = {
    "IL": ((on("2020-02-27"), 14), (on("2020-11-01"), 12), (on("2020-12-20"), 10)),
    "IT": ((on("2020-02-21"), 14), (on("2020-10-12"), 10)),
    "DE": ((on("2020-03-01"), 14), (on("2020-12-01"), 10)),
    "US": ((on("2020-03-11"), 14), (on("2020-12-02"), 10)),
}


def isolation_days(country: str, day: int) -> int | None:
    """How long who goes into isolation on that day must stay; None before there is a rule."""
    return next((days for start, days in reversed(ISOLATION[country]) if start <= day), None)


class Route(NamedTuple):
    """A flight every fortnight. ``gaps``: days from .. until on which the airline withdraws it."""

    number: str
    home: str
    first: int
    km: int
    gaps: tuple[tuple[int, int], ...]
    domestic: bool = False


def _gap(start: str, end: str) -> tuple[int, int]:
    return on(start), on(end)


_SPRING, _SECOND = _gap("2020-03-15", "2020-06-15"), _gap("2020-09-18", "2020-10-18")
_THIRD = _gap("2020-12-27", "2021-02-07")
ROUTES = (
    Route("XA101", "IL", 3, 2_610, (_SPRING, _SECOND, _THIRD)),
    Route("XA301", "IL", 8, 9_130, (_SPRING, _SECOND, _THIRD)),
    Route("XA205", "IT", 5, 1_190, (_gap("2020-03-10", "2020-06-03"), _gap("2020-11-06", "2021-01-16"))),
    Route("XA411", "DE", 9, 1_830, (_gap("2020-03-17", "2020-06-15"), _gap("2020-12-16", "2021-01-31"))),
    Route("XA777", "US", 11, 3_980, (_gap("2020-03-20", "2020-05-31"),), domestic=True),
)  # fmt: skip
FORTNIGHT, _NOTICE = 14, (4, 10, 21)


def flight_id(route: Route, day: int) -> str:
    """As flights are called: number and day."""
    return f"{route.number}-{iso(day)}"


def departure(route: Route, earliest: int) -> int:
    """The first day from that one on which it departs."""
    return earliest + (route.first - earliest) % FORTNIGHT


def withdrawn(route: Route, day: int) -> int | None:
    """The day on which the airline withdraws the departure of that day, if it does."""
    for start, end in route.gaps:
        if start <= day < end:
            return max(start - 1, day - _NOTICE[(day - route.first) // FORTNIGHT % 3])
    return None


class Showing(NamedTuple):
    """What becomes of a performance: on which day it is told, and the new day if there is one."""

    told: int
    new_day: int | None


MONTH = 28
_PLAYS = {site.id: 5 * number for number, site in enumerate(SITES)}


def performance_id(stage: Site, day: int) -> str:
    """As performances are called: stage and day."""
    return f"{stage.id.removeprefix('stage-')}-{iso(day)}"


def performance(stage: Site, earliest: int) -> int:
    """The first day from that one on which the stage plays: every four weeks."""
    return earliest + (_PLAYS[stage.id] - earliest) % MONTH


@cache
def put_off(stage: Site, day: int) -> Showing | None:
    """What becomes of the performance of that day; None: it is played."""
    if allowed("culture", stage.region, day):
        return None
    first = next(start for start, end in closures("culture", stage.region) if start <= day < end)
    told = max(first - 1, day - 12)
    if day // MONTH % 3:
        return Showing(told, None)
    return Showing(told, performance(stage, max(day + 180, closures("culture", stage.region)[-1][1])))


def first_day(sector: str, region: str, days: range, people: int = 1) -> int | None:
    """The first of these days on which so many people may not meet."""
    by_day = _by_day(sector, region)
    return next((day for day in days if by_day[day] < people), None)
