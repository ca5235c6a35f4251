"""The chronicle of the year as events: what is told to everybody, between the stories of the customers.

Sites are registered, crises declared, extended and ended, limits imposed, changed and lifted, sites closed
and reopened, flights withdrawn, performances cancelled; the staff is told of policies; marketing plans
campaigns. A few of these events are wrong, as they are in life. What the year was like is
service.story_year's; chance moves the minutes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random
from typing import NamedTuple

from policyengine.service.story import DAY, SPAN, Data
from policyengine.service.story_year import (
    FORTNIGHT,
    ISOLATION,
    LIMITS,
    MONTH,
    PANDEMIC,
    ROUTES,
    SECTOR,
    SITES,
    STORM,
    STRIKE,
    Limit,
    Site,
    Step,
    closures,
    departure,
    flight_id,
    iso,
    on,
    performance,
    performance_id,
    put_off,
    withdrawn,
)

AUTHORITY = "https://authority.example/notices"
OPERATIONS = "https://operations.example/events"
POLICIES = "https://policies.example/events"
MARKETING = "https://marketing.example/events"
DEPARTMENT = "marketing"  # the subject of a campaign
_HOUR = 3_600


class Told(NamedTuple):
    """An event of the chronicle: seconds since the year began, and what it says."""

    when: int
    source: str
    id: str
    type: str
    subject: str
    data: Data


@cache
def _everything() -> list[Told]:
    events = [*_sites(), *_crises(), *_isolation(), *_limits(), *_closures(), *_flights(), *_performances()]
    return [*events, *_surplus(), *_policies(), *_campaigns(), *_wrong()]


def chronicle(rng: Random) -> list[Told]:
    """Everything, in the order of time."""
    # what holds from a day on is told at its midnight; everything else, at about that time
    events = [
        one._replace(when=one.when + rng.randrange(900)) if one.when % DAY else one for one in _everything()
    ]
    return sorted((one for one in events if one.when < SPAN), key=lambda one: (one.when, one.id))


def withdrawal_id(flight: str) -> str:
    """The id of the event that withdraws a flight; its source is OPERATIONS."""
    return f"{flight}/withdrawn"


def cancellation_id(name: str) -> str:
    """The id of the event that cancels a performance; its source is OPERATIONS."""
    return f"{name}/cancelled"


def postponement_id(name: str) -> str:
    """The id of the event that puts a performance off; its source is OPERATIONS."""
    return f"{name}/postponed"


def imposition_id(limit: Limit) -> str:
    """The id of the event that imposes a restriction; its source is AUTHORITY."""
    return f"{limit.id}/imposed/{iso(limit.start)}"


def _at(day: int, hour: float) -> int:
    return day * DAY + int(hour * _HOUR)


def _world(when: int, source: str, subject: str, what: str, key: str, *, data: Data) -> Told:
    verb = what.partition(".")[2].replace("_", "-")
    return Told(when, source, f"{subject}/{verb}", what, subject, {key: subject, **data})


def _sites() -> Iterator[Told]:
    for number, site in enumerate(SITES):
        data = {"name": site.name, "kind": site.kind, "region": site.region}
        yield _world(number * 20, OPERATIONS, site.id, "facility.registered", "facility_id", data=data)


def _crises() -> Iterator[Told]:
    def tell(day: str, crisis: str, what: str, **data: str | list[str]) -> Told:
        told = _world(_at(on(day), 14), AUTHORITY, crisis, f"crisis.{what}", "crisis_id", data=dict(data))
        return told._replace(id=f"{told.id}/{day}")

    yield tell(
        "2020-03-11", PANDEMIC, "declared", kind="pandemic", name="coronavirus", region="world",
        onset_from="2020-03-11", expected_until="2020-05-31",
    )  # fmt: skip
    yield tell("2020-04-19", PANDEMIC, "phase_changed", phase="ongoing", **{"from": "2020-05-01"})
    yield tell("2020-04-28", PANDEMIC, "phase_changed", phase="ongoing", **{"from": "2020-05-04"})
    yield tell("2020-05-18", PANDEMIC, "extended", expected_until="2020-12-31")
    yield tell("2020-09-10", PANDEMIC, "extended", expected_until="2021-06-30")
    yield tell("2021-01-20", PANDEMIC, "phase_changed", phase="recovery", **{"from": "2021-02-21"})
    yield tell("2021-02-14", PANDEMIC, "phase_changed", phase="recovery", **{"from": "2021-03-07"})
    yield tell(
        "2020-11-03", STORM, "declared", kind="storm", name="the November storm", region="north",
        onset_from="2020-11-04", expected_until="2020-11-07",
    )  # fmt: skip
    yield tell("2020-11-06", STORM, "ended", ended_from="2020-11-08")
    yield tell(
        "2020-12-07", STRIKE, "declared", kind="strike", name="strike at the railway", region="DE",
        sectors=["rail"], onset_from="2020-12-08", expected_until="2020-12-12",
    )  # fmt: skip
    yield tell("2020-12-11", STRIKE, "ended", ended_from="2020-12-13")


def _isolation() -> Iterator[Told]:
    for country, rules in ISOLATION.items():
        for start, days in rules:
            data = {"region": country, "days": days, "from": iso(start)}
            told = _world(
                _at(start, 0),
                AUTHORITY,
                f"isolation-{country}",
                "isolation.rules_changed",
                "rule_id",
                data=data,
            )
            yield told._replace(id=f"{told.id}/{days}")


def _limits() -> Iterator[Told]:
    for limit in LIMITS:
        first, *further = limit.steps
        yield _restriction(limit, first, "imposed", _imposed(limit))
        for step in further:
            yield _restriction(limit, step, "changed", {})
        if not limit.lapses:
            yield _restriction(limit, Step(limit.until, None), "lifted", {"until": iso(limit.until)})


def _imposed(limit: Limit) -> Data:
    data: Data = {"region": limit.region, "from": iso(limit.start), "reason": limit.reason}
    kind = "closure" if limit.steps[0].percent == 0 else "gathering"
    data["kind"] = "movement" if limit.sector == "travel" else kind
    if limit.sector is not None:
        data["sector"] = limit.sector
        facility = next((kind for kind, sector in SECTOR.items() if sector == limit.sector), None)
        data.update({} if facility is None else {"facility_kind": facility})
    if limit.lapses:
        data["until"] = iso(limit.until)
    if limit.crisis is not None:
        data["crisis_id"] = limit.crisis
    return data


def _restriction(limit: Limit, step: Step, verb: str, data: Data) -> Told:
    """Changed at the midnight of the day, imposed and lifted on its eve."""
    if step.percent is not None:
        data["capacity_percent"] = step.percent
    if step.people is not None:
        data["max_people"] = step.people
    when = _at(step.start, 0) if verb == "changed" else _at(step.start - 1, 16)
    told = _world(when, AUTHORITY, limit.id, f"restriction.{verb}", "restriction_id", data=data)
    return told._replace(id=f"{told.id}/{iso(step.start)}")


def _closures() -> Iterator[Told]:
    for site in SITES:
        if site.kind in {"hall", "theatre"}:
            continue  # theirs is cancelled one by one
        share = 60 if site.kind == "restaurant" else 100  # one may still take away
        spells = closures(SECTOR[site.kind], site.region)
        for (start, end), (following, _) in zip(spells, (*spells[1:], (on("2021-12-31"), 0)), strict=True):
            yield from _closed(site, start, end, share, "order of the authorities")
            if site.pool and end + 1 < following:
                yield from _closed(site, end, min(end + 35, following - 1), 25, "the pool stays closed")
    pool = next(site for site in SITES if site.id == "gym-carmel")
    yield from _closed(pool, on("2020-02-17"), on("2020-03-02"), 25, "repairs at the pool")


def _closed(site: Site, start: int, end: int, share: int, reason: str) -> Iterator[Told]:
    closed: Data = {"closed_from": iso(start), "share_percent": share}
    for what, when, data in (
        ("facility.closed", _at(start - 1, 18), {**closed, "reason": reason}),
        ("facility.reopened", _at(end, 6), {**closed, "closed_until": iso(end)}),
    ):
        told = _world(when, OPERATIONS, site.id, what, "facility_id", data=data)
        yield told._replace(id=f"{told.id}/{iso(start)}")


def _flights() -> Iterator[Told]:
    for route in ROUTES:
        for day in range(departure(route, 0), on("2021-04-30"), FORTNIGHT):
            announced = withdrawn(route, day)
            if announced is None:
                continue
            spring = day < on("2020-07-01")
            data = {
                "flight_no": route.number, "departs_on": iso(day), "announced_on": iso(announced),
                "cancelled_because": "restriction" if spring else "company",
            }  # fmt: skip
            name = flight_id(route, day)
            told = _world(_at(announced, 9), OPERATIONS, name, "flight.withdrawn", "flight_id", data=data)
            yield told._replace(id=withdrawal_id(name))


def _performances() -> Iterator[Told]:
    for site in SITES:
        if site.kind != "theatre":
            continue
        for day in range(performance(site, 10), on("2021-04-30"), MONTH):
            fate = put_off(site, day)
            if fate is None:
                continue
            data: Data = {"title": site.name, "performance_on": iso(day), "announced_on": iso(fate.told)}
            if fate.new_day is None:
                data["cancelled_because"] = "restriction"
            else:
                data["new_date"] = iso(fate.new_day)
            what = "performance.cancelled" if fate.new_day is None else "performance.postponed"
            name = performance_id(site, day)
            yield _world(_at(fate.told, 10), OPERATIONS, name, what, "performance_id", data=data)


def _surplus() -> Iterator[Told]:
    for day, site, region, what, quantity in (
        ("2020-03-15", "cafe-levinsky", "tel-aviv-yafo", "cheese", 40),
        ("2020-03-16", "cafe-hadar", "haifa", "cakes", 25),
        ("2020-09-18", "cafe-levinsky", "tel-aviv-yafo", "meals", 60),
        ("2020-12-27", "cafe-levinsky", "tel-aviv-yafo", "גבינות", 30),
    ):
        data: Data = {"what": what, "quantity": quantity, "region": region, "site": site}
        data.update({"from": day, "until": iso(on(day) + 3)})
        yield _world(
            _at(on(day), 8), OPERATIONS, f"surplus-{site}-{day}", "surplus.declared", "surplus_id", data=data
        )


# Which policies the staff is told of: policy, version, published, acknowledged (None: never)
_STAFF_FIRST: tuple[tuple[str, int, str, str | None], ...] = (
    ("travel/own-initiative", 1, "2020-03-10", "2020-03-12"),
    ("fitness/closure-credit", 2, "2020-04-24", "2020-04-26"),
    ("education/online-credit", 2, "2020-04-27", "2020-05-03"),
    ("events/advance-refund", 2, "2020-12-31", None),
)


def _policies() -> Iterator[Told]:
    def tell(day: str, hour: int, policy: str, version: int, what: str) -> Told:
        name = f"{policy}@{version}"
        data: Data = {"policy": policy, "version": version}
        if what == "staff.acknowledged":
            data = {"by": "branch managers"}
        return _world(_at(on(day), hour), POLICIES, name, what, "policy_version", data=data)

    for policy, version, published, acknowledged in _STAFF_FIRST:
        yield tell(published, 8, policy, version, "policy.published")
        if acknowledged is not None:
            yield tell(acknowledged, 9, policy, version, "staff.acknowledged")
    yield tell("2020-04-24", 7, "fitness/closure-credit", 1, "policy.withdrawn")
    yield tell("2020-12-31", 7, "events/advance-refund", 2, "policy.amended")


def _campaigns() -> Iterator[Told]:
    def tell(day: str, name: str, what: str, **data: str) -> Told:
        told = _world(_at(on(day), 11), MARKETING, name, f"campaign.{what}", "campaign_id", data=dict(data))
        return told._replace(subject=DEPARTMENT)

    def plan(day: str, name: str, *what: str) -> Told:
        data = dict(zip(("topic", "kind", "region", "sends_on"), what, strict=True))
        return tell(day, name, "planned", channel="mail", **data)

    yield plan("2020-02-10", "purim", "Purim at the gym", "in_store", "tel-aviv-yafo", "2020-03-01")
    yield plan("2020-03-05", "spring-weddings", "חתונות באביב", "event", "IL", "2020-03-20")
    yield tell("2020-03-16", "spring-weddings", "changed", sends_on="2020-06-20")
    yield plan("2020-03-18", "easter", "Easter by the lake", "travel", "IT", "2020-04-02")
    yield plan("2020-06-20", "summer", "Summer in Eilat", "reminder", "eilat", "2020-07-05")
    yield plan("2020-09-10", "gym-autumn", "חוזרים לכושר", "in_store", "IL", "2020-10-05")
    yield tell("2020-09-27", "gym-autumn", "cancelled")
    yield plan("2021-03-10", "welcome-back", "Welcome back", "promotion", "IL", "2021-03-21")


def _wrong() -> Iterator[Told]:
    """What the engine refuses, each with a reason of its own."""
    wrong: tuple[tuple[str, str, str, str, Data], ...] = (
        ("2020-04-02", "restriction.imposed", "restriction_id", "atlantis-1",
         {"kind": "closure", "region": "atlantis", "from": "2020-04-03"}),
        ("2020-05-19", "crisis.extended", "crisis_id", "pandemic-2021", {"expected_until": "2021-12-31"}),
        ("2020-06-02", "crisis.phase_changed", "crisis_id", PANDEMIC,
         {"phase": "recovery", "from": "2020-04-01"}),
        ("2020-06-15", "restriction.lifted", "restriction_id", "il-events-1", {"until": "2020-03-01"}),
        ("2020-07-21", "facility.reopened", "facility_id", "gym-atlantis",
         {"closed_from": "2020-07-06", "closed_until": "2020-07-21", "share_percent": 100}),
        ("2020-08-01", "crisis.declared", "crisis_id", PANDEMIC,
         {"kind": "pandemic", "region": "world", "onset_from": "2020-03-11"}),
        ("2020-10-01", "crisis.phase_began", "crisis_id", PANDEMIC, {"phase": "ended", "from": "2020-10-01"}),
    )  # fmt: skip
    for day, what, key, name, data in wrong:
        told = _world(_at(on(day), 15), AUTHORITY, name, what, key, data=data)
        yield told._replace(id=f"wrong/{told.id}")
