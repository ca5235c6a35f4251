"""What happens to customers in a year of a crisis: short stories, each a run of events that belong together.

A story says what comes next and when. Which stories are told, to whom, and as which bytes is
service.stream's.
"""

from __future__ import annotations

from collections.abc import Callable

from policyengine.domain.decision import Ref, decision_id
from policyengine.service.story import DAY, Data, Story, Telling, cash

AIRLINE = "https://airline.example/events"
HOTELS = "https://hotels.example/events"
TOURS = "https://tours.example/events"
HALL = "https://hall.example/events"
GYM = "https://gym.example/events"
SCHOOL = "https://school.example/events"
INSURER = "https://insurer.example/events"
SHOP = "https://shop.example/events"
BANK = "https://bank.example/events"
RAIL = "https://rail.example/events"
STAGE = "https://stage.example/events"
HEALTH = "https://health.example/events"
CARE = "https://care.example/events"
_EU = frozenset({"IT", "DE"})


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
    yield "booking.made", {
        **key, "kind": kind, "starts_on": story.day(ahead), "ends_on": story.day(ahead + 5), "nights": 5,
        "travellers": story.number_between(1, 5), "country": story.pick(("IL", "IT", "GR", "DE")),
        "price": cash(price, story.home.currency), "paid": cash(price // 4, story.home.currency),
        "change_fee": story.money(40, 250),
    }  # fmt: skip
    start = story.now + ahead * DAY
    story.after(3, 20)
    if story.chance(0.4):
        yield "booking.paid", {**key, "paid": cash(price // 2, story.home.currency)}
        story.after(0.5, 4)
    if story.crisis and story.chance(0.3):
        wish = {"new_date": story.day(story.number_between(100, 700))} if story.chance(0.8) else {}
        yield "booking.postponement_requested", {**key, "reason": "crisis", **wish}
        story.after(0.1, 2)
        yield "booking.postponed", {**key, "starts_on": story.day(200), "ends_on": story.day(205)}
    elif story.chance(0.75 if story.crisis else 0.1):
        because = "crisis" if story.crisis and story.chance(0.85) else story.pick(("customer", "illness"))
        yield "booking.cancelled", {**key, "cancelled_because": because}
        if story.chance(0.3):
            story.after(1, 10)
            yield from _charge(
                story, {"booking_id": key["booking_id"]}, cash(price // 2, story.home.currency)
            )
    else:
        story.now = max(story.now, start + 6 * DAY)
        yield "booking.completed", key


def _charge(story: Story, what: Data, amount: Data) -> Telling:
    key = {"charge_id": f"h{story.number}"}
    said = {} if story.chance(0.4) else {"delivered": story.chance(0.5)}
    yield "charge.attempted", {**key, "amount": amount, **what, **said}
    if story.chance(0.5):
        story.now += story.number_between(1, 30)
        yield "charge.taken", {**key, "amount": amount, **what, **said}


def celebration(story: Story) -> Telling:
    """A hall with an advance, and most often a cancelled feast."""
    story.source = HALL
    event = f"e{story.number}"
    key = {"event_booking_id": event}
    method = story.pick(("cash", "cheque", "cheque", "transfer", "card"))
    ahead = story.number_between(40, 330)
    yield "event_booking.made", {
        **key, "venue": story.pick(("Gan HaPekan", "אולמי השרון", "Villa Rosa")),
        "occasion": story.pick(("wedding", "wedding", "bar_mitzvah", "brit", "birthday", "conference")),
        "contract_on": story.day(-story.number_between(5, 200)), "event_on": story.day(ahead),
        "participants": story.number_between(40, 450), "price_per_person": story.money(90, 350, "ILS"),
        "advance": story.money(2_000, 25_000, "ILS"), "advance_method": method,
    }  # fmt: skip
    story.after(2, 15)
    if story.chance(0.4):
        yield "event_booking.tasting_held", {**key, "tasting_cost": story.money(400, 3_000, "ILS")}
        story.after(1, 5)
    if method == "cheque" and story.chance(0.4):
        yield "event_booking.cheque_cashed", key
        story.after(1, 5)
    if story.crisis and story.chance(0.85):
        because = "restriction" if story.chance(0.8) else "customer"
        yield "event_booking.cancelled", {**key, "cancelled_because": because}
        if because == "restriction" and method != "cheque" and story.chance(0.4):
            decision = decision_id(story.source, story.event_id, Ref("event_booking", event))
            story.after(1, 20)
            yield "remedy.chosen", {
                "decision_id": decision, "policy": "events/advance-refund", "rule": "choose",
                "alternative": story.pick(("money", "new-date")), "consented": True,
            }  # fmt: skip
    elif story.chance(0.5):
        yield "event_booking.postponed", {**key, "event_on": story.day(365)}


def show(story: Story) -> Telling:
    """Tickets for something that may not be played."""
    story.source = STAGE
    key = {"ticket_id": f"t{story.number}"}
    season = story.chance(0.2)
    yield "ticket.bought", {
        **key, "show": story.pick(("Habima", "הפילהרמונית", "Bloomfield")),
        "kind": "match" if season else story.pick(("concert", "theatre", "museum", "course", "seminar")),
        "bought_on": story.day(-story.number_between(0, 60)), "show_on": story.day(60),
        "paid": story.money(60, 900), "events_total": 12 if season else 1,
    }  # fmt: skip
    story.after(20, 110)
    if story.chance(0.25):
        yield "ticket.show_postponed", {**key, "show_on": story.day(120), "announced_on": story.day()}
        story.after(5, 30)
    if story.crisis:
        left = {"events_left": story.number_between(1, 12)} if season else {}
        yield "ticket.show_cancelled", {**key, "because": story.pick(("restriction", "organiser")), **left}


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


def subscription(story: Story) -> Telling:
    """A gym, a course or a club that closes, in part or whole, and opens again."""
    story.source = GYM if story.chance(0.6) else SCHOOL
    name = f"u{story.number}"
    key = {"subscription_id": name}
    kinds = (
        ("gym", "gym", "club") if story.source == GYM else ("lessons", "lessons", "media", "nursery", "b2b")
    )
    kind = story.pick(kinds)
    fee = story.money(90, 420, "ILS")
    yield "subscription.started", {
        **key, "kind": kind, "site": story.pick(story.home.regions),
        "service": story.pick(("pool", "yoga", "piano", "מקהלה")), "monthly_fee": fee,
        "paid_until": story.day(story.number_between(5, 40)),
    }  # fmt: skip
    story.after(3, 25)
    if story.crisis and story.chance(0.6):
        share = story.pick((25, 40, 100, 100))
        closed = story.day()
        yield "subscription.service_interrupted", {**key, "closed_from": closed, "share_percent": share}
        story.after(10, 45)
        yield "subscription.service_restored", {
            **key, "closed_from": closed, "closed_until": story.day(), "share_percent": share,
        }  # fmt: skip
        story.after(1, 6)
    yield from story.pick((_priced, _taught, _frozen, _left, _charged))(story, key, fee)


def _priced(story: Story, key: Data, fee: Data) -> Telling:
    yield "price.change_proposed", {
        **key, "old_price": fee, "new_price": story.money(95, 460, "ILS"), "takes_effect_on": story.day(30),
    }  # fmt: skip


def _taught(story: Story, key: Data, _fee: Data) -> Telling:
    for _ in range(story.number_between(1, 3)):
        mode = story.pick(("online", "online", "recorded", "in_person"))
        price = story.money(60, 180, "ILS")
        yield "service.delivered", {**key, "mode": mode, "unit_price": price, "length_percent": 100}
        story.after(6, 8)
    if story.chance(0.5):
        yield "service.unavailable", {"service": story.pick(("music", "pool", "lesson")), **key}


def _frozen(story: Story, key: Data, _fee: Data) -> Telling:
    yield "subscription.frozen", key
    story.after(10, 40)
    yield "subscription.resumed", key


def _left(story: Story, key: Data, _fee: Data) -> Telling:
    if story.chance(0.4):
        yield "terms.review_requested", {"wish": story.pick(("pause", "pay_later", "smaller_plan")), **key}
        story.after(1, 5)
    said = {"hardship": story.chance(0.5), "reason": story.pick(("no income", "פוטרתי מהעבודה", "moving"))}
    yield "subscription.cancel_requested", {**key, **said}
    if story.chance(0.5):
        story.after(7, 10)
        yield "subscription.cancelled", key


def _charged(story: Story, key: Data, fee: Data) -> Telling:
    yield from _charge(story, key, fee)


def insurance(story: Story) -> Telling:
    """A policy in the insurer's sense, and sometimes days at home."""
    story.source = INSURER
    key = {"insurance_id": f"i{story.number}"}
    end = story.number_between(30, 300)
    yield "insurance.started", {
        **key, "kind": story.pick(("motor", "motor", "motor", "home", "travel", "life")),
        "premium_monthly": story.money(60, 480, "ILS"),
        "valid_from": story.day(end - 365), "valid_until": story.day(end),
    }  # fmt: skip
    if story.chance(0.4):
        yield from isolation(story)
    story.source = INSURER
    story.after(5, 25)
    if story.chance(0.3):
        yield "insurance.renewed", {**key, "valid_until": story.day(365)}
    elif story.chance(0.3):
        yield "insurance.ended", {**key, "valid_until": story.day()}


def isolation(story: Story) -> Telling:
    """About two weeks at home."""
    story.source = HEALTH
    story.after(1, 20)
    key, first, days = {"isolation_id": f"s{story.number}"}, story.day(), story.number_between(5, 16)
    known = {"isolated_until": story.day(days)} if story.chance(0.7) else {}
    yield "isolation.started", {**key, "isolated_from": first, **known}
    story.now += days * DAY
    yield "isolation.ended", {**key, "isolated_from": first, "isolated_until": story.day()}


def order(story: Story) -> Telling:
    """Something to eat or to wear, brought to the door."""
    story.source = SHOP
    key = {"order_id": f"o{story.number}"}
    mode = story.pick(("door", "door", "no_contact", "collect"))
    fee = {} if mode == "collect" else {"delivery_fee": story.money(0, 35, "ILS")}
    member = {"membership_id": f"m{story.customer}"} if story.member else {}
    yield "order.placed", {
        **key, "channel": story.pick(("app", "app", "web", "phone")), "delivery_mode": mode,
        "delivery_area": "domestic", "total": story.money(40, 600, "ILS"), **fee, **member,
    }  # fmt: skip
    story.after(0.02, 3)
    if story.chance(0.85):
        yield "order.delivered", key
    else:
        yield "order.cancelled", key


def flight(story: Story) -> Telling:
    """A flight that is cancelled, late, full, or leaves as planned."""
    story.source = AIRLINE
    key = {"flight_booking_id": f"f{story.number}"}
    seats, ahead, country = story.number_between(1, 4), story.number_between(6, 60), story.home.country
    fare = story.number_between(40, 900) * 100
    yield "flight_booking.made", {
        **key, "flight": f"XA{story.number_between(100, 999)}", "departs_at": f"{story.day(ahead)}T08:30:00Z",
        "distance_km": story.number_between(300, 9_000), "intra_eu": country in _EU and story.chance(0.7),
        "eu_covered": country in _EU, "il_covered": country == "IL", "us_covered": country == "US",
        "domestic": country == "US" and story.chance(0.5), "passengers": seats,
        "price": cash(2 * fare * seats, story.home.currency), "one_way_fare": cash(fare, story.home.currency),
    }  # fmt: skip
    start = story.now + ahead * DAY
    if story.chance(0.6 if story.crisis else 0.15):
        days = story.number_between(0, ahead - 1)
        story.now = start - days * DAY
        why = {"extraordinary": story.chance(0.3)}
        yield "flight.cancelled", {**key, "informed_days": days, **_other_way(story), **why}
        return
    story.now = start
    if story.chance(0.4 if country == "US" else 0.1):
        late = {"arrives_late_minutes": story.number_between(20, 500)} if story.chance(0.8) else {}
        yield "flight.denied_boarding", {**key, "volunteered": story.chance(0.3), **late}
    elif story.chance(0.5):
        story.now, minutes = start + DAY // 4, story.number_between(10, 700)
        yield "flight.delayed", {**key, "departs_late_minutes": minutes, "arrives_late_minutes": minutes}


def _other_way(story: Story) -> Data:
    if not story.chance(0.35):
        return {"rerouted": False}
    early, late = story.number_between(0, 180), story.number_between(0, 400)
    return {"rerouted": True, "departs_early_minutes": early, "arrives_late_minutes": late}


def train(story: Story) -> Telling:
    """A train that is late."""
    story.source = RAIL
    key = {"rail_ticket_id": f"r{story.number}"}
    yield "rail_ticket.bought", {
        **key, "operator": "Example Rail", "kind": story.pick(("single", "return")),
        "price": story.money(8, 160, "EUR"), "travels_on": story.day(2),
    }  # fmt: skip
    story.after(2, 3)
    yield "train.delayed", {**key, "arrives_late_minutes": story.number_between(5, 200)}


def instalment(story: Story) -> Telling:
    """A loan, its next instalment, and a request to put it off."""
    story.source = BANK
    key = {"loan_id": f"l{story.number}"}
    yield "loan.started", {
        **key, "kind": story.pick(("mortgage", "consumer", "consumer", "business")),
        "balance": story.money(5_000, 900_000, "ILS"),
        "instalment": story.money(300, 6_000, "ILS"), "arrears": story.chance(0.1), "deferred_months": 0,
    }  # fmt: skip
    story.after(3, 20)
    pay = {"payment_id": f"p{story.number}"}
    yield "payment.due", {**pay, "amount": story.money(300, 6_000, "ILS"), "due_on": story.day(5)}
    if story.chance(0.4):
        story.after(5, 8)
        yield "payment.missed", {**pay, "late_fee": story.money(10, 60, "ILS")}
    else:
        story.after(1, 5)
        yield "payment.made", pay
    if story.crisis and story.chance(0.6):
        story.after(1, 10)
        yield "loan.deferral_requested", {**key, "months": story.number_between(1, 9)}


def complaint(story: Story) -> Telling:
    """A complaint, and what would have kept the customer; some complain again."""
    story.source = CARE
    for nth in range(5):
        key = {"complaint_id": f"k{story.number}-{nth}"}
        said = {"would_have_stayed_if": story.pick(("a person who answers", "תשובה מאדם", "my money back"))}
        yield "complaint.received", {
            **key, "topic": story.pick(("cancellation", "refund", "delivery", "quality", "price", "contact")),
            "channel": story.pick(("phone", "chat", "mail")), "leaving": story.chance(0.2),
            **(said if story.chance(0.4) else {}),
        }  # fmt: skip
        story.after(1, 12)
        yield "complaint.resolved", key
        if story.chance(0.6):
            return
        story.after(5, 30)


def question(story: Story) -> Telling:
    """Which policy holds? And by the way, a new address."""
    story.source = CARE
    about = story.pick(("airline/eu261", "events/advance-refund", "airline/points-kept"))
    yield "policy.asked", {"about": about, "as_of": story.day(-10)}
    if story.chance(0.4):
        story.after(1, 30)
        yield "customer.updated", {"region": story.pick(story.home.regions), "core": story.chance(0.3)}


# How often each is told, out of a hundred
STORIES: tuple[tuple[Callable[[Story], Telling], int], ...] = (
    (order, 27), (booking, 14), (subscription, 13), (flight, 9), (complaint, 7), (insurance, 5),
    (isolation, 5), (celebration, 4), (train, 4), (instalment, 4), (show, 3), (voucher, 3), (question, 2),
)  # fmt: skip
