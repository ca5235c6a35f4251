"""What happens to customers in a year of a crisis: short stories, each a run of events that belong together.

A story says what comes next and when. Here are those of the insurer, the bank, the health office and
customer care, and how often each story of all is told; others are in service.story_places and
service.story_travel. To whom they are told, and as which bytes, is service.stream's.
"""

from __future__ import annotations

from collections.abc import Callable

from policyengine.service.story import BANK, CARE, HEALTH, INSURER, Story, Telling
from policyengine.service.story_places import celebration, order, show, subscription
from policyengine.service.story_travel import booking, flight, train, voucher
from policyengine.service.story_year import iso, isolation_days, on

_DEFERRALS = on("2020-03-18")  # from here on loans are put off
_ASKED = (
    "airline/eu261", "events/advance-refund", "airline/points-kept", "fitness/closure-credit",
    "travel/italy-voucher", "travel/package-de",
)  # fmt: skip


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
        story.after(1, 20)
        yield from isolation(story)
    story.source = INSURER
    story.after(5, 25)
    if story.chance(0.3):
        yield "insurance.renewed", {**key, "valid_until": story.day(365)}
    elif story.chance(0.3):
        yield "insurance.ended", {**key, "valid_until": story.day()}


def isolation(story: Story) -> Telling:
    """Days at home, as many as the rule of the country asks for on the first of them."""
    days = isolation_days(story.home.country, story.today)
    if days is None:
        yield from question(story)
        return
    story.source = HEALTH
    key, first = {"isolation_id": f"s{story.number}"}, story.today
    known = {"isolated_until": iso(first + days)} if story.chance(0.7) else {}
    yield "isolation.started", {**key, "isolated_from": iso(first), **known}
    story.wait_for(first + days)
    yield "isolation.ended", {**key, "isolated_from": iso(first), "isolated_until": iso(first + days)}


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
    if story.today > _DEFERRALS and story.chance(0.6):
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
    as_of = {"as_of": story.day(story.pick((-10, -60, 14)))} if story.chance(0.6) else {}
    yield "policy.asked", {"about": story.pick(_ASKED), **as_of}
    if story.chance(0.4):
        story.after(1, 30)
        yield "customer.updated", {"region": story.pick(story.home.regions), "core": story.chance(0.3)}


# How often each is told, out of a hundred
STORIES: tuple[tuple[Callable[[Story], Telling], int], ...] = (
    (order, 25), (booking, 15), (subscription, 15), (flight, 9), (insurance, 5), (isolation, 5),
    (celebration, 5), (show, 4), (train, 4), (instalment, 4), (voucher, 3), (complaint, 3), (question, 3),
)  # fmt: skip
