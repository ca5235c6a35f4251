"""A small crisis for tests: policies with choices, deadlines, follow-ups and world events, and its stream.

Everything that makes the engine act of its own accord is in it, so that whoever stops it anywhere stops
it in the middle of something.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from policyengine.domain.decision import Ref, decision_id
from policyengine.service.policy_sets import PolicySet
from tests.support import draft, event, ils, line, policy_set

START = datetime(2020, 2, 1, 8, tzinfo=UTC)
HOMES = ("IL", "haifa", "tel-aviv", "jerusalem", "IT", "IT-25", "DE-BE")
INTERNAL = {"crisis.phase_began", "customers.reached", "offer.expired", "remedy.ended", "silence.due"}

CHOICE = draft(
    "travel/choice",
    {
        "id": "choose",
        "on": "booking.cancelled",
        "offer": {
            "alternatives": [
                {"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
                {
                    "id": "voucher",
                    "grant": [
                        {
                            "kind": "voucher",
                            "amount": "percent(booking.paid, 110)",
                            "valid_until": "add_days(date_of(event.time), 8)",
                        }
                    ],
                },
            ],
            "default": "voucher",
            "deadline": "add_days(date_of(event.time), 7)",
        },
        "say": {"en": "Choose by {deadline}."},
    },
    timezone="Asia/Jerusalem",
)
WORD = draft(
    "care/word",
    {
        "id": "traveller",
        "on": "crisis.phase_began",
        "for": "booking",
        "when": ['event.phase == "onset"', 'booking.paid > money("0 ILS")'],
        "grant": [{"kind": "credit", "amount": "percent(booking.paid, 10)"}],
        "say": {"en": "We are with you."},
    },
    {
        "id": "everybody",
        "on": "crisis.phase_began",
        "when": ['event.phase == "ongoing"'],
        "grant": [{"kind": "notify"}],
        "follow_up": [
            {
                "at": "add_days(date_of(event.time), 3)",
                "event": "silence.due",
                "data": {"crisis_id": "event.crisis_id"},
            }
        ],
    },
    {
        "id": "again",
        "on": "silence.due",
        "grant": [{"kind": "escalate", "to": "a person", "reason": "silence"}],
    },
    timezone="Asia/Jerusalem",
)
LIMITED = draft(
    "care/first-ten",
    {
        "id": "ten",
        "on": "crisis.declared",
        "grant": [{"kind": "points.bonus", "points": "100"}],
        "cap": {"per": "event", "count": 10},
    },
)


@cache
def policies() -> PolicySet:
    """The policies of the small crisis."""
    return policy_set(CHOICE, WORD, LIMITED)


def texts() -> dict[str, str]:
    """The same as files, by name."""
    return {"choice.v1.yaml": CHOICE, "word.v1.yaml": WORD, "first-ten.v1.yaml": LIMITED}


def stream(seed: int, customers: int, count: int) -> bytes:
    """So many events and bad lines, two hours apart, of so many customers."""
    return b"".join(one + b"\n" for one in _lines(Random(seed), customers, count))


def _lines(rng: Random, customers: int, count: int) -> Iterator[bytes]:
    bookings: list[tuple[str, str]] = []
    offers: list[tuple[str, str]] = []
    crises = 0
    for number in range(count):
        at = (START + timedelta(hours=2 * number)).isoformat().replace("+00:00", "Z")
        day = (START + timedelta(hours=2 * number)).date()
        who = f"c{rng.randrange(customers)}"
        chance = rng.random()
        if number < customers:
            core = number % 7 == 0
            home = HOMES[number % len(HOMES)]
            yield _line(
                number, "customer.registered", at, f"c{number}", region=home, core=core, language="en"
            )
        elif number % 97 == 0:
            crises += 1
            yield _line(
                number, "crisis.declared", at, f"k{crises}", crisis_id=f"k{crises}", kind="pandemic",
                region=rng.choice(("IL", "IT", "world")), onset_from=str(day + timedelta(days=rng.randrange(-1, 3))),
            )  # fmt: skip
        elif crises and number % 41 == 0:
            crisis = f"k{rng.randint(1, crises)}"
            until = str(day + timedelta(days=rng.randrange(1, 4)))
            phase = "ongoing" if rng.random() < 0.8 else "ended"
            yield _line(
                number, "crisis.phase_changed", at, crisis, crisis_id=crisis, phase=phase, **{"from": until}
            )
        elif chance < 0.5 or not bookings:
            bookings.append((who, f"b{number}"))
            yield _line(
                number, "booking.made", at, who, booking_id=f"b{number}", kind="hotel", region=rng.choice(HOMES),
                starts_on=str(day + timedelta(days=60)), price=ils("100.00"), paid=ils(f"{rng.randrange(1, 100)}.00"),
            )  # fmt: skip
        elif chance < 0.75:
            who, booking = rng.choice(bookings)
            offers.append((who, decision_id("test", str(number), Ref("booking", booking))))
            yield _line(number, "booking.cancelled", at, who, booking_id=booking, cancelled_because="crisis")
        elif chance < 0.9 and offers:
            who, decision = rng.choice(offers)
            chosen = rng.choice(("money", "voucher", "neither"))
            yield _line(number, "remedy.chosen", at, who, decision_id=decision, alternative=chosen)
        else:
            yield rng.choice(
                (b"{", b"", _line(number, "booking.maid", at, who), _line(3, "booking.made", at, who))
            )


def _line(number: int, name: str, at: str, subject: str, /, **data: Any) -> bytes:
    return line({**event(name, at, subject, event_id=str(number)), "data": data})
