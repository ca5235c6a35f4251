"""Stories at a place: a gym, a school, a hall, a stage, a café; and services that businesses subscribe to."""

from __future__ import annotations

from policyengine.domain.decision import Ref
from policyengine.service.chronicle import OPERATIONS, cancellation_id, postponement_id
from policyengine.service.story import CAFE, GYM, HALL, SCHOOL, SHOP, SOFTWARE, STAGE, Data, Story, Telling
from policyengine.service.story_asides import Offer, answer, charge, complains
from policyengine.service.story_year import (
    ANY,
    SECTOR,
    Showing,
    Site,
    allowed,
    closures,
    first_day,
    iso,
    on,
    performance,
    performance_id,
    put_off,
    sites,
)

_ADVANCE = Offer("events/advance-refund", "choose", ("money", "new-date"))
_TERMS = Offer("subscriptions/terms-review", "subscription", ("as-it-is", "pause", "smaller"))
_BUSINESS_TERMS = Offer("subscriptions/terms-review", "business", ("as-it-is", "pay-later", "pause"))
_CANCELLED = Offer("events/show-cancelled", "cancelled", ("money", "similar"), 30)
_MOVED = Offer("events/show-cancelled", "moved", ("keep", "money"), 30)
_REVIEWS = on("2020-03-15")  # from here on agreements are opened again
_BY_LAW = on("2021-01-01")  # from here on the advance is returned without a choice
_LEAVING = Offer("subscriptions/before-you-leave", "another-solution", ("rest", "smaller", "leave"), 3)
_SERVICES = {
    "gym": ("pool", "yoga", "pilates", "gym"),
    "club": ("pool", "tennis"),
    "lessons": ("piano", "violin", "מקהלה"),
    "nursery": ("nursery",),
    "media": ("sport channels", "newspaper"),
    "b2b": ("music", "booking system", "payments"),
}


def subscription(story: Story) -> Telling:
    """A gym, a school or a service that closes, in part or whole, and opens again."""
    kind = story.pick(("gym", "gym", "gym", "club", "lessons", "lessons", "media", "nursery", "b2b"))
    site = _site(story, kind)
    story.source = {"gym": GYM, "club": GYM, "b2b": SOFTWARE}.get(kind, SCHOOL)
    key = {"subscription_id": f"u{story.number}"}
    fee = story.money(90, 420)
    yield "subscription.started", {
        **key, "kind": kind, "service": story.pick(_SERVICES[kind]), "monthly_fee": fee,
        "paid_until": story.day(story.number_between(5, 40)), **({} if site is None else {"site": site.id}),
    }  # fmt: skip
    story.after(3, 25)
    if site is None or story.chance(0.12):
        yield from _interrupted(story, key)
    elif story.chance(0.7):
        yield from _while_closed(story, site, key, fee)
    ends = (_taught, _taught, _left) if kind == "lessons" else (_priced, _taught, _frozen, _left, _left)
    yield from story.pick(ends)(story, kind, key, fee)


def _site(story: Story, kind: str) -> Site | None:
    """invariant: a site that is registered."""
    wanted = {"gym": "gym", "club": "gym", "lessons": "school", "nursery": "school"}.get(kind)
    there = () if wanted is None else sites(wanted, story.region)
    return story.pick(there) if there else None


def _interrupted(story: Story, key: Data) -> Telling:
    """The teacher is ill, or the business that uses it is closed."""
    closed, share = story.day(), story.pick((25, 40, 100))
    yield "subscription.service_interrupted", {**key, "closed_from": closed, "share_percent": share}
    story.after(6, 25)
    yield "subscription.service_restored", {
        **key, "closed_from": closed, "closed_until": story.day(), "share_percent": share,
    }  # fmt: skip
    story.after(1, 6)


def _while_closed(story: Story, site: Site, key: Data, fee: Data) -> Telling:
    """The chronicle has closed the site: it goes on charging, or the customer hears nothing."""
    spell = next((one for one in closures(SECTOR[site.kind], site.region) if one[1] > story.today + 5), None)
    if spell is None:
        return
    story.wait_for(spell[0])
    story.after(1, 5)
    if story.chance(0.25):
        yield from charge(story, key, fee)
        if story.chance(0.4):
            yield from complains(story, "refund")
    elif story.chance(0.15):
        yield from complains(story, "contact")
    story.after(2, 15)


def _priced(story: Story, _kind: str, key: Data, fee: Data) -> Telling:
    yield "price.change_proposed", {
        **key, "old_price": fee, "new_price": story.money(95, 460, fee["currency"]),
        "takes_effect_on": story.day(30),
    }  # fmt: skip
    if story.chance(0.2):
        yield from complains(story, "price")


def _taught(story: Story, kind: str, key: Data, _fee: Data) -> Telling:
    distant = kind not in {"lessons", "nursery"} or allowed("education", story.region, story.today) < ANY
    for _ in range(story.number_between(1, 3)):
        mode = story.pick(("online", "online", "recorded")) if distant else "in_person"
        price = story.money(60, 180, "ILS")
        yield "service.delivered", {**key, "mode": mode, "unit_price": price, "length_percent": 100}
        story.after(6, 8)
    if story.chance(0.5):
        yield "service.unavailable", {"service": story.pick(("music", "pool", "lesson")), **key}


def _frozen(story: Story, _kind: str, key: Data, _fee: Data) -> Telling:
    yield "subscription.frozen", key
    story.after(10, 40)
    yield "subscription.resumed", key


def _left(story: Story, kind: str, key: Data, _fee: Data) -> Telling:
    if story.chance(0.3):
        yield "terms.review_requested", {"wish": story.pick(("pause", "pay_later", "smaller_plan")), **key}
        if story.today > _REVIEWS:
            yield from answer(story, None, _BUSINESS_TERMS if kind == "b2b" else _TERMS)
        story.after(1, 5)
    hard = story.chance(0.5)
    said = {"hardship": hard, "reason": story.pick(("no income", "פוטרתי מהעבודה", "moving"))}
    yield "subscription.cancel_requested", {**key, **said}
    if hard:
        yield from answer(story, Ref("subscription", key["subscription_id"]), _LEAVING)
    elif story.chance(0.5):
        story.after(7, 10)
        yield "subscription.cancelled", key


def celebration(story: Story) -> Telling:
    """A hall with an advance, and most often a feast that may not be held."""
    if story.home.country != "IL":
        yield from show(story)
        return
    story.source = HALL
    venue = story.pick(sites("hall", story.region))
    key = {"event_booking_id": f"e{story.number}"}
    method = story.pick(("cash", "cheque", "cheque", "transfer", "card"))
    ahead, guests = story.number_between(40, 330), story.number_between(40, 450)
    yield "event_booking.made", {
        **key, "venue": venue.id, "region": venue.region,
        "occasion": story.pick(("wedding", "wedding", "bar_mitzvah", "brit", "birthday", "conference")),
        "contract_on": story.day(-story.number_between(5, 200)), "event_on": story.day(ahead),
        "participants": guests, "price_per_person": story.money(90, 350),
        "advance": story.money(2_000, 25_000), "advance_method": method,
    }  # fmt: skip
    feast = story.today + ahead
    story.after(2, 15)
    if story.chance(0.4):
        yield "event_booking.tasting_held", {**key, "tasting_cost": story.money(400, 3_000)}
        story.after(1, 5)
    cashed = method != "cheque"
    if not cashed and story.chance(0.4):
        yield "event_booking.cheque_cashed", key
        story.after(1, 5)
        cashed = True
    yield from _feast(story, venue, key, guests, feast, cashed=cashed)


def _feast(story: Story, venue: Site, key: Data, guests: int, feast: int, *, cashed: bool) -> Telling:
    """invariant: cancelled because of a restriction only on a day on which one forbids so many guests."""
    forbidden = first_day("events", venue.region, range(story.today, feast), guests)
    if forbidden is not None and story.chance(0.85):
        story.wait_for(forbidden)
        because = "restriction" if story.chance(0.85) else "customer"
        yield "event_booking.cancelled", {**key, "cancelled_because": because}
        if because == "restriction" and cashed and story.today < _BY_LAW:
            yield from answer(story, Ref("event_booking", key["event_booking_id"]), _ADVANCE)
        if story.chance(0.2):
            yield from complains(story, "refund")
    elif story.chance(0.5):
        yield "event_booking.postponed", {**key, "event_on": iso(feast + 180)}


def show(story: Story) -> Telling:
    """Tickets for something that may not be played."""
    story.source = STAGE
    stages = sites("theatre", story.region)
    if not stages or story.chance(0.2):
        yield from _season(story)
        return
    stage = story.pick(stages)
    day = performance(stage, story.today + story.number_between(5, 60))
    fate = put_off(stage, day)
    if fate is not None and fate.told <= story.today:
        day = fate.new_day if fate.new_day is not None else day + 364
        fate = put_off(stage, day) if day < _LAST else None
    key, name = {"ticket_id": f"t{story.number}"}, performance_id(stage, day)
    yield "ticket.bought", {
        **key, "show": stage.name, "kind": story.pick(("concert", "theatre")), "performance_id": name,
        "venue": stage.id, "region": stage.region, "bought_on": story.day(), "show_on": iso(day),
        "paid": story.money(60, 900), "events_total": 1,
    }  # fmt: skip
    if fate is None:
        return
    story.wait_for(fate.told + 1)
    cause, offer = _announcement(name, fate)
    yield from answer(story, Ref("ticket", key["ticket_id"]), offer, cause)
    if story.chance(0.3):
        yield from complains(story, "refund")


_LAST = 700


def _announcement(name: str, fate: Showing) -> tuple[tuple[str, str], Offer]:
    if fate.new_day is None:
        return (OPERATIONS, cancellation_id(name)), _CANCELLED
    return (OPERATIONS, postponement_id(name)), _MOVED


def _season(story: Story) -> Telling:
    """Tickets for a club's season, a museum or a course, of which each is cancelled by its organiser."""
    key = {"ticket_id": f"t{story.number}"}
    season = story.chance(0.4)
    yield "ticket.bought", {
        **key, "show": story.pick(("Bloomfield", "Museum night", "קורס צילום")), "region": story.region,
        "kind": "match" if season else story.pick(("museum", "course", "seminar")),
        "bought_on": story.day(-story.number_between(0, 20)), "show_on": story.day(60),
        "paid": story.money(60, 900), "events_total": 12 if season else 1,
    }  # fmt: skip
    story.after(10, 50)
    if story.chance(0.25):
        yield "ticket.show_postponed", {**key, "show_on": story.day(120), "announced_on": story.day()}
        story.after(5, 30)
    restricted = allowed("culture", story.region, story.today) < ANY
    if restricted or story.chance(0.2):
        left = {"events_left": story.number_between(1, 12)} if season else {}
        because = "restriction" if restricted and story.chance(0.7) else "organiser"
        yield "ticket.show_cancelled", {**key, "because": because, **left}


def order(story: Story) -> Telling:
    """Something to eat or to wear, brought to the door."""
    cafes = sites("restaurant", story.region) if story.chance(0.4) else ()
    story.source = CAFE if cafes else SHOP
    closed = bool(cafes) and allowed("food", story.region, story.today) < ANY
    key = {"order_id": f"o{story.number}"}
    mode = story.pick(("no_contact", "collect") if closed else ("door", "door", "no_contact", "collect"))
    fee = {} if mode == "collect" else {"delivery_fee": story.money(0, 35, "ILS")}
    member = {"membership_id": f"m{story.customer}"} if story.member and not cafes else {}
    yield "order.placed", {
        **key, "channel": story.pick(("app", "app", "web", "phone")), "delivery_mode": mode,
        "delivery_area": "domestic", "total": story.money(40, 600, "ILS"), **fee, **member,
        **({"site": story.pick(cafes).id} if cafes else {}),
    }  # fmt: skip
    story.after(0.02, 3)
    if story.chance(0.85):
        yield "order.delivered", key
        if story.chance(0.08):
            yield from complains(story, story.pick(("delivery", "quality")))
    else:
        yield "order.cancelled", key
