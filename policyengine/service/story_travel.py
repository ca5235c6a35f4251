"""Stories on the way: holidays, flights, trains, vouchers, and the memberships that go with them."""

from __future__ import annotations

from functools import cache

from policyengine.domain.decision import Ref
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.service.chronicle import AUTHORITY, OPERATIONS, imposition_id, withdrawal_id
from policyengine.service.story import AIRLINE, DAY, HOTELS, RAIL, SHOP, TOURS, Data, Story, Telling, cash
from policyengine.service.story_asides import Offer, answer, charge, complains
from policyengine.service.story_year import (
    ANY,
    AROUND,
    LIMITS,
    PANDEMIC,
    ROUTES,
    STRIKE_DAYS,
    Route,
    allowed,
    departure,
    flight_id,
    iso,
    on,
    withdrawn,
)

_EU = frozenset({"IT", "DE"})
_LAST_VOUCHER = on("2020-03-08")  # packages booked before it may be exchanged for a voucher
_PACKAGE = Offer("travel/package-de", "choice", ("money", "voucher", "new-date"))
_OTHER_WAY = Offer("airline/eu261", "refund-or-other-way", ("refund", "other-way"), 30)
_FLIGHT = Offer("airline/withdrawn-flight", "choose", ("money", "other-day", "voucher"), 30)
_LATER = Offer("travel/own-initiative", "choose", ("new-date", "money"))
_CLOSED_THERE = Offer("travel/own-initiative", "closed-there", ("new-date", "money"))
_OF_TRAVEL = frozenset({None, "tourism", "travel"})
_AT_ONCE = 21  # days before the journey in which the money comes back without a choice
# When the crisis itself reaches bookings: told on that day, for journeys before the other
_CRISIS = (
    (on("2020-03-11"), on("2020-05-31"), (INTERNAL_SOURCE, f"crisis.phase_began:{PANDEMIC}:onset_from:1")),
    (on("2020-05-18"), on("2020-12-31"), (AUTHORITY, f"{PANDEMIC}/extended/2020-05-18")),
    (on("2020-09-10"), on("2021-06-30"), (AUTHORITY, f"{PANDEMIC}/extended/2020-09-10")),
)
_STAYS = (
    ("IL", "eilat"), ("IL", "north"), ("IL", "jerusalem"), ("IL", "tel-aviv-yafo"), ("IT", "IT-34"),
    ("IT", "IT-25"), ("DE", "DE-BY"), ("DE", "DE-BE"), ("GR", None), ("US", "US-NY"),
)  # fmt: skip
_AT_HOME = {home: tuple(stay for stay in _STAYS if stay[0] == home) for home in ("IL", "IT", "DE", "US")}
_ROUTES = {home: tuple(route for route in ROUTES if route.home == home) for home in ("IL", "IT", "DE", "US")}


def membership(story: Story) -> Telling:
    """A membership year that ends in the crisis."""
    story.source = story.pick((AIRLINE, SHOP, HOTELS))
    key = {"membership_id": f"m{story.customer}"}
    program = {AIRLINE: "Sky Club", SHOP: "Shop Friends"}.get(story.source, "Hotel Honors")
    tier = story.pick(("basic", "basic", "silver", "gold", "platinum"))
    points, last = story.number_between(0, 30_000), story.number_between(20, 300)
    yield "membership.started", {
        **key, "program": program, "tier": tier, "points": points,
        "ends_on": story.day(last), "tier_earned_in": story.pick((2018, 2019)), "tier_until": story.day(last),
    }  # fmt: skip
    end = story.now + last * DAY
    story.after(2, 15)
    earned = story.number_between(1, 500)
    yield "membership.points_changed", {**key, "points": points + earned, "reason": "purchase"}
    if story.chance(0.15):
        story.after(1, 4)
        yield "membership.upgraded", {**key, "tier": "platinum", "tier_until": story.day(365)}
    if story.chance(0.5):
        story.now = max(story.now, end - 10 * DAY)
        yield "membership.tier_expiring", {**key, "tier_until": story.day(10)}
    story.now = max(story.now, end + DAY)
    if story.chance(0.55):
        yield "membership.renewed", {**key, "ends_on": story.day(365)}
    else:
        yield "membership.ended", key


def booking(story: Story) -> Telling:
    """A holiday that is paid, moved, cancelled, or takes place after all."""
    story.source = story.pick((HOTELS, TOURS))
    key = {"booking_id": f"b{story.number}"}
    kind = "hotel" if story.source == HOTELS else story.pick(("package", "tour", "package", "cruise"))
    price, ahead = story.number_between(400, 9_000) * 100, story.number_between(25, 150)
    country, region = story.pick(_AT_HOME[story.home.country] if story.chance(0.55) else _STAYS)
    yield "booking.made", {
        **key, "kind": kind, "starts_on": story.day(ahead), "ends_on": story.day(ahead + 5), "nights": 5,
        "travellers": story.number_between(1, 5), "country": country,
        **({} if region is None else {"region": region}),
        "price": cash(price, story.home.currency), "paid": cash(price // 4, story.home.currency),
        "change_fee": story.money(40, 250),
    }  # fmt: skip
    made, start, early = story.today, story.now + ahead * DAY, story.today < _LAST_VOUCHER
    story.after(3, 20)
    if story.chance(0.4):
        yield "booking.paid", {**key, "paid": cash(price // 2, story.home.currency)}
        story.after(0.5, 4)
    place = region or country
    reached = _reached(place, made, start // DAY)
    if reached is not None:
        day, offer, cause = reached
        story.wait_for(day + 1)
        chosen = None
        if offer is not None:
            chosen = yield from answer(story, Ref("booking", key["booking_id"]), offer, cause)
        if chosen == "new-date":
            story.after(1, 5)
            yield "booking.postponed", {**key, "starts_on": story.day(400), "ends_on": story.day(405)}
        if chosen is not None or story.chance(0.7):
            return  # the company has acted, and there is nothing to ask for
    if not _closed_to(story, place):
        story.now = max(story.now, start - story.number_between(2, 20) * DAY)
    yield from _end_of_booking(story, key, place, start, price, package=kind == "package" and early)


def _reached(place: str, made: int, start: int) -> tuple[int, Offer | None, tuple[str, str]] | None:
    """When the world first reaches a booking, what it offers (nothing: money at once), and the event."""
    for told, until, offer, cause in _reaching(place):
        if made < told < start < until:
            return told, None if offer is _LATER and start - told <= _AT_ONCE else offer, cause
    return None


@cache
def _reaching(place: str) -> tuple[tuple[int, int, Offer, tuple[str, str]], ...]:
    """What reaches journeys there, in its order: told on that day, for journeys before the other."""
    crisis = [(told, until, _LATER, cause) for told, until, cause in _CRISIS]
    orders = [
        (
            limit.start - 1,
            limit.until if limit.lapses else ANY,
            _CLOSED_THERE,
            (AUTHORITY, imposition_id(limit)),
        )
        for limit in LIMITS
        if limit.sector in _OF_TRAVEL and limit.region in AROUND[place]
    ]
    return tuple(sorted([*crisis, *orders], key=lambda one: one[0]))


def _closed_to(story: Story, place: str) -> bool:
    """Whether a restriction keeps the traveller away today."""
    abroad = story.home.country not in AROUND[place]
    return allowed("tourism", place, story.today) < ANY or (
        abroad and allowed("travel", place, story.today) < ANY
    )


def _end_of_booking(story: Story, key: Data, place: str, start: int, price: int, *, package: bool) -> Telling:
    """invariant: cancelled because of the crisis only while a restriction keeps the traveller away."""
    closed = _closed_to(story, place)
    if closed and story.chance(0.3):
        wish = {"new_date": story.day(story.number_between(100, 700))} if story.chance(0.8) else {}
        yield "booking.postponement_requested", {**key, "reason": "crisis", **wish}
        story.after(0.1, 2)
        yield "booking.postponed", {**key, "starts_on": story.day(200), "ends_on": story.day(205)}
    elif story.chance(0.75 if closed else 0.1):
        because = (
            "crisis" if closed and story.chance(0.85) else story.pick(("customer", "illness", "company"))
        )
        yield "booking.cancelled", {**key, "cancelled_because": because}
        ref = Ref("booking", key["booking_id"])
        if because == "crisis" and story.home.country == "DE" and package:
            yield from answer(story, ref, _PACKAGE)
        if story.chance(0.25):
            story.after(1, 10)
            yield from charge(story, key, cash(price // 2, story.home.currency))
        if story.chance(0.2):
            yield from complains(story, "refund")
    else:
        story.now = max(story.now, start + 6 * DAY)
        yield "booking.completed", key


def flight(story: Story) -> Telling:
    """A flight of the airline's own or of a partner's: withdrawn, cancelled, late, full, or as planned."""
    story.source = AIRLINE
    country = story.home.country
    key = {"flight_booking_id": f"f{story.number}"}
    route: Route = story.pick(_ROUTES[country])
    own = story.chance(0.7)
    day = departure(route, story.today + story.number_between(6, 60))
    while own and (told := withdrawn(route, day)) is not None and told <= story.today:
        day += 14  # nobody can book what has been withdrawn
    seats, fare = story.number_between(1, 4), story.number_between(40, 900) * 100
    number = {"flight": route.number, "flight_id": flight_id(route, day)} if own else {"flight": "PA88"}
    yield "flight_booking.made", {
        **key, **number, "departs_at": f"{iso(day)}T08:30:00Z", "distance_km": route.km,
        "intra_eu": country in _EU, "eu_covered": country in _EU, "il_covered": country == "IL",
        "us_covered": country == "US", "domestic": route.domestic, "passengers": seats,
        "price": cash(2 * fare * seats, story.home.currency), "one_way_fare": cash(fare, story.home.currency),
    }  # fmt: skip
    announced = withdrawn(route, day)
    if own and announced is not None:
        yield from _withdrawn(story, key, flight_id(route, day), announced)
    elif not own and story.chance(0.5 if allowed("travel", "world", story.today) < ANY else 0.3):
        yield from _cancelled(story, key, day)
    else:
        yield from _departs(story, key, day)


def _withdrawn(story: Story, key: Data, flight: str, announced: int) -> Telling:
    """The airline has withdrawn the flight for everybody; what is left is an answer, or a complaint."""
    story.wait_for(announced + 1)
    if story.home.country == "US":  # elsewhere the law gives the money back without a question
        ref = Ref("flight_booking", key["flight_booking_id"])
        yield from answer(story, ref, _FLIGHT, (OPERATIONS, withdrawal_id(flight)))
    if story.chance(0.25):
        yield from complains(story, "refund")


def _cancelled(story: Story, key: Data, day: int) -> Telling:
    days = story.number_between(0, max(0, day - story.today - 1))
    story.wait_for(day - days)
    why = {"extraordinary": story.chance(0.3)}
    other = _other_way(story)
    yield "flight.cancelled", {**key, "informed_days": days, **other, **why}
    if story.home.country in _EU and other["rerouted"]:
        yield from answer(story, Ref("flight_booking", key["flight_booking_id"]), _OTHER_WAY)


def _departs(story: Story, key: Data, day: int) -> Telling:
    story.wait_for(day)
    if story.chance(0.4 if story.home.country == "US" else 0.1):
        late = {"arrives_late_minutes": story.number_between(20, 500)} if story.chance(0.8) else {}
        yield "flight.denied_boarding", {**key, "volunteered": story.chance(0.3), **late}
    elif story.chance(0.5):
        minutes = story.number_between(10, 700)
        yield "flight.delayed", {**key, "departs_late_minutes": minutes, "arrives_late_minutes": minutes}
        if story.chance(0.15):
            yield from complains(story, "quality")


def _other_way(story: Story) -> Data:
    if not story.chance(0.35):
        return {"rerouted": False}
    early, late = story.number_between(0, 180), story.number_between(0, 400)
    return {"rerouted": True, "departs_early_minutes": early, "arrives_late_minutes": late}


def train(story: Story) -> Telling:
    """A train that is late; very late while the railway is on strike."""
    story.source = RAIL
    key = {"rail_ticket_id": f"r{story.number}"}
    yield "rail_ticket.bought", {
        **key, "operator": "Example Rail", "kind": story.pick(("single", "return")),
        "price": story.money(8, 160, "EUR"), "travels_on": story.day(2),
    }  # fmt: skip
    story.after(2, 3)
    strike = story.home.country == "DE" and story.today in STRIKE_DAYS
    minutes = story.number_between(120, 600) if strike else story.number_between(5, 200)
    yield "train.delayed", {**key, "arrives_late_minutes": minutes}
    if story.chance(0.4 if strike else 0.1):
        yield from complains(story, "quality")


def voucher(story: Story) -> Telling:
    """A voucher that is used, runs out, or is asked back in money."""
    story.source = TOURS
    key = {"voucher_id": f"v{story.number}"}
    minor, age = story.number_between(80, 2_000) * 100, story.number_between(200, 360)
    yield "voucher.issued", {
        **key, "issued_on": story.day(-age), "valid_until": story.day(365 - age),
        "amount": cash(minor, story.home.currency), "unused": cash(minor, story.home.currency),
        "kind": story.pick(("travel", "package", "stay", "transport", "live_event")),
    }  # fmt: skip
    end = story.now + (366 - age) * DAY
    story.after(5, 30)
    if story.chance(0.4):
        yield "voucher.redeemed", {**key, "unused": cash(minor // 3, story.home.currency)}
        story.after(2, 20)
    if story.chance(0.3):
        yield "voucher.payout_requested", key
    story.now = max(story.now, end)
    yield "voucher.expired", key
