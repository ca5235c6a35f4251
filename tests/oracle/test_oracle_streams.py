"""Whole streams decided by the engine and by the oracle: the same decisions, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from decide_oracle import Oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import booked, cancelled, catalogue, draft, event, line, policy

from policyengine.authoring.load import load_policies
from policyengine.domain.catalogue import Scope
from policyengine.domain.events import Event
from policyengine.domain.policy import Policy
from policyengine.domain.state import CustomerState, evolve, evolve_decided
from policyengine.domain.validation import Validator
from policyengine.domain.world import World
from policyengine.engine.decide import decide
from policyengine.ledger.canonical import canonical
from policyengine.service.policy_sets import prepare
from policyengine.service.stream import generate

RULES = Path(__file__).parents[2] / "rules"


def events_of(documents: Sequence[dict[str, Any]]) -> list[Event]:
    validator = Validator(catalogue())
    events = [validator.validate(line(one)) for one in documents]
    assert all(isinstance(one, Event) for one in events), events
    return events  # type: ignore[return-value]


def compare(
    policies: Sequence[Policy], events: Sequence[Event], world: dict[str, Any]
) -> list[dict[str, Any]]:
    """Decide each event both ways; the engine's documents."""
    prepared = prepare(policies, catalogue())
    oracle = Oracle(policies, catalogue(), prepared.digest)
    states: dict[str, CustomerState] = {}
    seen = []
    for happened in events:
        state = states.get(happened.subject, CustomerState(happened.subject))
        state = evolve(state, happened, prepared.catalogue)
        decisions = decide(prepared.ruleset, state, World(world), happened)
        for decision in decisions:
            state = evolve_decided(state, decision)
        states[happened.subject] = state
        answers = [one.to_json() for one in decisions]
        expected = oracle.decide(happened, world)
        for one, other in zip(answers, expected, strict=True):
            if (
                one.pop("answer", None) is not None
            ):  # its words are engine.answers', which has tests of its own
                one["messages"] = other["messages"] = {}
        assert answers == expected
        assert [canonical(one) for one in answers] == [canonical(one) for one in expected]
        seen += answers
    prepared.ruleset.close()
    return seen


# --- generated policies and events ---------------------------------------------------------------

CLAUSES = [
    "booking.nights > 2", "booking.nights * 1 <= 3", "booking.nights != 3", "2 < booking.nights", "!(booking.nights > 2)",
    'booking.country in ["IL", "ישראל"]', 'booking.country == "IL" || booking.nights > 2', "booking.refundable",
    "!booking.refundable", "present(booking.country)", "!present(booking.change_fee)", "10 / booking.nights > 2",
    'booking.paid >= money("100 ILS")', 'booking.paid > money("100 ILS")', 'booking.price < money("150 EUR")',
    'booking.starts_on < date("2020-06-01")', 'booking.starts_on <= date("2020-06-01")', "booking.paid < booking.price",
    "between(booking.nights, 2, 3)", 'booking.status == "cancelled"', "booking.cancelled_at >= booking.made_at",
    'subscription.kind == "gym"', 'subscription.monthly_fee > money("100 ILS")', 'customer.region == "north"',
    'customer.id == "c1"', "payment.amount > subscription.monthly_fee", 'event.time < timestamp("2020-03-01T00:00:00Z")',
    "present(customer.region)", 'crisis.kind == "pandemic"', "param.most > booking.nights", "!earlier.frozen",
    '"refund" in earlier.kinds', "size(earlier.denied_by) == 0", "!earlier.offered", 'earlier.amount < money("200 ILS")',
    "earlier.last_at < event.time",
]  # fmt: skip
PLAIN = [
    "booking.paid", 'money("40 ILS")', 'money("100 ILS")', 'money("130 ILS")', 'money("7.55 ILS")',
    "percent(booking.paid, param.share)",
]  # fmt: skip
ODD = [
    "booking.price", "booking.change_fee", 'money("30 EUR")', "prorate(booking.paid, booking.nights, 7)",
    "booking.paid + booking.price", 'booking.paid - money("60 ILS")', "subscription.monthly_fee",
    'money("90071992547409.90 ILS")',
]  # fmt: skip
AMOUNTS = st.sampled_from([*PLAIN * 4, *ODD])
DATES = st.sampled_from(["2020-12-31", "add_months(booking.starts_on, 1)", "date_of(event.time)"])
SAYINGS = [
    "You get {amount}.", "{booking.nights} nights, {refund.amount}", "{param.share} % until {until}", "{deadline}",
    "Hello, {booking.country}",
]  # fmt: skip
ON = [["booking.cancelled"]] * 7 + [
    ["booking.paid", "booking.cancelled"],
    ["payment.missed"],
    ["policy.asked"],
]
ZONES = ["UTC", "Asia/Jerusalem", "America/New_York", "Pacific/Auckland"]
GROUPS = {"g": "best", "h": "first", "i": "all"}
DAYS = ["2020-01-01", "2020-03-01", "2020-03-27", "2020-03-29", "2020-06-01", "2020-10-25", "2021-01-01"]
ANCHORS = ["event.time", "event.time", "event.time", "booking.made_at", "booking.starts_on"]
PAYING = ("refund", "credit", "voucher", "compensation", "waive_fee")
YES = st.just(value=True)
Drawn = st.SearchStrategy[Any]


def sometimes(draw: st.DrawFn, chances: dict[str, tuple[Drawn, int]]) -> dict[str, Any]:
    """Each key once in so many times."""
    return {
        key: draw(strategy) for key, (strategy, parts) in chances.items() if draw(st.integers(1, parts)) == 1
    }


@st.composite
def remedies(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from([*PAYING, "refund", "credit", "freeze", "gesture"]))
    spec: dict[str, Any] = {"kind": kind}
    if kind in PAYING:
        spec["amount"] = draw(AMOUNTS)
    if kind == "freeze":
        spec["until"] = draw(DATES)
    return spec | {"waive_fee": {"fee": "change"}, "gesture": {"gift": "flowers"}}.get(kind, {})


CAPS = st.builds(
    lambda limit, per, period: {**limit, "per": per, "period": period},
    st.sampled_from(
        [{"count": 1}, {"count": 2}, {"amount": "120 ILS"}, {"amount": "210 ILS"}, {"amount": "30 EUR"}]
    ),
    st.sampled_from(["customer", "entity"]),
    st.sampled_from(["ever", "year", "month", "week", "day", "30 days", "100 days", "1 days"]),
)
EXCLUSIVE = st.sampled_from(["g", "g", "g", "h", "h", "i"]).map(
    lambda name: {"group": name, "choose": GROUPS[name]}
)
ROWS = st.tuples(
    st.sampled_from(["<= 2", "[2..3]", "> 2", "-", "3"]),
    st.sampled_from(["10 ILS", "= booking.paid", "60 ILS"]),
)
TABLES = st.builds(
    lambda hit, rows: {
        "hit": hit,
        "columns": [{"when": "booking.nights", "type": "integer"}, {"set": "give", "type": "money"}],
        "rows": [list(row) for row in rows],
    },
    st.sampled_from(["unique", "first", "collect"]),
    st.lists(ROWS, min_size=1, max_size=3),
)


@st.composite
def offers(draw: st.DrawFn) -> dict[str, Any]:
    first = [draw(remedies())]
    offer: dict[str, Any] = {
        "alternatives": [{"id": "x", "grant": first}, {"id": "y", "grant": [draw(remedies())]}]
    }
    if draw(st.booleans()) and first[0]["kind"] != "voucher":
        offer |= {"default": "x", "deadline": draw(DATES), "consent": draw(st.booleans())}
    return offer


@st.composite
def actions(draw: st.DrawFn) -> dict[str, Any]:
    match draw(st.sampled_from(["grant"] * 5 + ["table", "offer", "deny"])):
        case "table":
            spec = {"kind": draw(st.sampled_from(["refund", "voucher"])), "amount": "row.give"}
            return {"table": draw(TABLES), "grant": [spec]}
        case "offer":
            return {"offer": draw(offers())}
        case "deny":
            return {"deny": {"reason": "no"}}
    return {"grant": draw(st.lists(remedies(), min_size=1, max_size=3))}


LATER = st.lists(
    st.sampled_from(
        [
            {"at": "2020-12-31", "event": "customer.updated"},
            {
                "at": "add_days(booking.starts_on, 3)",
                "event": "booking.paid",
                "data": {"booking_id": '"b1"', "paid": "booking.paid"},
            },
        ]
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def rules(draw: st.DrawFn, number: int) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": f"r{number}",
        "on": draw(st.sampled_from(ON)),
        "priority": draw(st.integers(-1, 1)),
        "when": draw(st.just([]) | st.lists(st.sampled_from(CLAUSES), max_size=2)),
        **draw(actions()),
        **sometimes(draw, {
            "for": (st.just("booking"), 8), "exclusive": (EXCLUSIVE, 3), "cap": (CAPS, 4), "shadow": (YES, 8), "follow_up": (LATER, 6),
        }),
    }  # fmt: skip
    saying = draw(st.sampled_from(SAYINGS))
    return rule | {"say": {"en": saying}} if sayable(rule, saying) else rule


def sayable(rule: dict[str, Any], saying: str) -> bool:
    """Whether loading would accept the message: its fields are those of one remedy of the rule."""
    specs = rule.get("grant", [])
    fields = [name for spec in specs for field in spec for name in (field, f"{spec['kind']}.{field}")]
    fields += ["deadline"] if "offer" in rule else []
    needed = [name for name in ("amount", "refund.amount", "until", "deadline") if f"{{{name}}}" in saying]
    return all(fields.count(name) == 1 for name in needed)


@st.composite
def versions(draw: st.DrawFn, name: str) -> list[str]:
    """One to three versions of a policy whose windows do not overlap."""
    bounds = ["2020-01-01", *sorted(draw(st.lists(st.sampled_from(DAYS[1:]), max_size=2, unique=True)))]
    ends = [*bounds[1:], draw(st.sampled_from([None, "2020-12-01", "2022-01-01"]))]
    anchor, zone = draw(st.sampled_from(ANCHORS)), draw(st.sampled_from(ZONES))
    texts = []
    for number, (first, until) in enumerate(zip(bounds, ends, strict=True), 1):
        keys: dict[str, Any] = {
            "version": number,
            "effective": {"from": first, "by": anchor} | ({"until": until} if until and until > first else {}),
            "timezone": zone,
            "basis": draw(st.sampled_from(["goodwill", "contractual", "statutory"])),
            "rounding": draw(st.sampled_from(["half_up", "half_even", "down", "up"])),
            "parameters": {"share": draw(st.sampled_from([15, 7.5])), "most": {"2020-02-01": 3, "2020-06-01": 2}},
            **sometimes(draw, {
                "currency": (st.just("ILS"), 4), "exclusive": (EXCLUSIVE, 2), "cap": (CAPS, 3), "shadow": (YES, 8),
                "crisis": (st.sampled_from([{"kind": "pandemic"}, {"kind": ["war"], "phases": ["onset"]}]), 10),
                "enforced": (st.sampled_from([{"from": "2020-03-27"}, {"from": "2020-02-01", "until": "2020-06-01", "otherwise": "withhold"}]), 6),
            }),
        }  # fmt: skip
        count = draw(st.integers(1, 3))
        given = [draw(rules(place)) for place in range(count)]
        if any("EUR" in str({key: rule[key] for key in rule if key != "cap"}) for rule in given):
            keys.pop("currency", None)  # would be refused at loading
        texts.append(draft(name, *given, **keys))
    return texts


MIDNIGHTS = [
    datetime(2020, 3, 1, tzinfo=UTC), datetime(2020, 2, 29, 22, tzinfo=UTC), datetime(2020, 3, 26, 22, tzinfo=UTC),
    datetime(2020, 3, 27, 21, tzinfo=UTC), datetime(2020, 10, 24, 21, tzinfo=UTC), datetime(2020, 5, 31, 21, tzinfo=UTC),
    datetime(2020, 12, 31, 22, tzinfo=UTC), datetime(2021, 1, 1, 5, tzinfo=UTC), datetime(2020, 3, 31, tzinfo=UTC),
]  # fmt: skip
ANY_TIME = st.datetimes(datetime(2020, 1, 1), datetime(2021, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001
TIMES = st.builds(
    lambda instant, shift: instant + timedelta(microseconds=shift),
    st.sampled_from(MIDNIGHTS) | ANY_TIME,
    st.sampled_from([-1, 0, 1, 86_400_000_000]),
)
MONEYS = st.builds(
    lambda amount, currency: {"amount": amount, "currency": currency},
    st.sampled_from(["0.00", "60.00", "99.99", "100.00", "100.01", "200.55"]),
    st.sampled_from(["ILS"] * 7 + ["EUR"]),
)
TYPES = [
    *["booking.cancelled"] * 8, "booking.made", "booking.paid", "policy.asked", "payment.missed", "customer.updated",
    "subscription.started", "payment.due",
]  # fmt: skip
BOOKINGS = st.sampled_from(["b1", "b2"])
REQUIRED: dict[str, dict[str, Drawn]] = {
    "booking.made": {
        "booking_id": BOOKINGS, "kind": st.just("hotel"), "starts_on": st.sampled_from(DAYS), "price": MONEYS, "paid": MONEYS,
    },
    "booking.paid": {"booking_id": BOOKINGS, "paid": MONEYS},
    "booking.cancelled": {"booking_id": BOOKINGS, "cancelled_because": st.just("crisis")},
    "policy.asked": {"about": st.just("x")},
    "payment.due": {"payment_id": st.just("p1"), "amount": MONEYS, "due_on": st.just("2020-04-01")},
    "payment.missed": {"payment_id": st.just("p1")},
    "customer.updated": {},
    "subscription.started": {"subscription_id": st.sampled_from(["s1", "s2"]), "kind": st.just("gym"), "monthly_fee": MONEYS},
}  # fmt: skip
OPTIONAL: dict[str, dict[str, Drawn]] = {
    "booking.made": {
        "nights": st.integers(0, 4), "country": st.sampled_from(["IL", "ישראל", "FR"]), "refundable": st.booleans(),
        "change_fee": MONEYS,
    },
    "payment.due": {"subscription_id": st.sampled_from(["s1", "s2", "s9"]), "booking_id": st.sampled_from(["b1", "b9"])},
    "customer.updated": {"region": st.sampled_from(["north", "south"])},
}  # fmt: skip


@st.composite
def happenings(draw: st.DrawFn, number: int) -> dict[str, Any]:
    kind = draw(st.sampled_from(TYPES))
    data = draw(st.fixed_dictionaries(REQUIRED[kind], optional=OPTIONAL.get(kind, {})))
    customer = draw(st.sampled_from(["c1"] * 5 + ["c2"]))
    return event(kind, draw(TIMES).isoformat(), customer, event_id=f"e{number}", **data)


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Two bookings of one customer, and then whatever happens."""
    known = {"country": "IL", "refundable": True, "starts_on": "2020-06-01"}
    first = [
        booked("b1", "2020-01-01T05:00:00Z", nights=3, **known),
        booked("b2", "2020-01-01T06:00:00Z", nights=2, **known),
    ]
    return first + [draw(happenings(number)) for number in range(draw(st.integers(4, 14)))]


POLICIES = (
    st.lists(st.sampled_from(["a", "b", "c/d"]), min_size=2, max_size=3, unique=True)
    .flatmap(lambda names: st.tuples(*(versions(name) for name in names)))
    .map(lambda of_names: [text for texts in of_names for text in texts])
)
WORLDS = st.sampled_from([{}, {"crisis.kind": "pandemic", "crisis.phase": "onset"}, {"crisis.kind": "war"}])


def of_world(happened: Event) -> bool:
    """Whether it is nobody's own: whom it reaches is decided by others than ``step``."""
    return catalogue().events[happened.type].scope is Scope.WORLD


@cache
def shipped() -> tuple[Policy, ...]:
    return tuple(loaded.policy for loaded in load_policies(RULES).policies)


@pytest.mark.parametrize(
    "world", [{}, {"crisis.kind": "pandemic", "crisis.phase": "ongoing"}], ids=["calm", "pandemic"]
)
def test_the_shipped_policies_decide_a_realistic_stream_as_the_oracle_does(world: dict[str, Any]) -> None:
    validator, events, seen = Validator(catalogue()), [], set()
    for raw in generate(7, 60, 900):
        happened = validator.validate(raw)
        if isinstance(happened, Event) and happened.id not in seen and not of_world(happened):
            seen.add(happened.id)
            events.append(happened)
    answers = compare(shipped(), events, world)
    granting = {remedy["policy"] for answer in answers for remedy in answer["remedies"]}
    assert len(answers) > 500
    assert len(granting) > 5  # the stream is about what the policies are about


@given(POLICIES, streams(), WORLDS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_generated_policies_decide_generated_streams_as_the_oracle_does(
    texts: list[str], stream: list[dict[str, Any]], world: dict[str, Any]
) -> None:
    compare([policy(text) for text in texts], events_of(stream), world)


@st.composite
def rivals(draw: st.DrawFn) -> list[str]:
    """Policies of one rule each in one exclusive group, on one event."""
    group = draw(st.sampled_from(["g", "h"]))
    texts = []
    for name in ("a", "b", "c", "d")[: draw(st.integers(2, 4))]:
        does: dict[str, Any] = draw(
            st.lists(remedies(), min_size=1, max_size=2).map(lambda specs: {"grant": specs})
            | st.sampled_from(WORTHS).map(lambda spec: {"grant": [spec]})
            | actions()
        )
        rule = {"id": "r", "on": "booking.cancelled", "priority": draw(st.integers(0, 1)), **does}
        rule |= {"exclusive": {"group": group, "choose": GROUPS[group]}} | sometimes(draw, {"cap": (CAPS, 4)})
        texts.append(
            draft(
                name, rule, basis=draw(st.sampled_from(["goodwill", "statutory"])), parameters={"share": 50}
            )
        )
    return texts


WORTHS = [
    {"kind": kind, "amount": f'money("{amount}")'}
    for kind in ("refund", "voucher")
    for amount in ("40 ILS", "100 ILS", "130 ILS", "100 EUR")
]


@given(rivals())
@settings(max_examples=120, deadline=None)
def test_rivals_of_one_group_are_settled_as_the_oracle_does(texts: list[str]) -> None:
    times = ["2020-03-01T00:00:00Z", "2020-03-20T00:00:00Z", "2020-03-10T00:00:00Z"]
    events = [booked(nights=3), *(cancelled(at=at) for at in times)]
    compare([policy(text) for text in texts], events_of(events), {})
