"""The stream of a made-up year: the same from the same seed, in order, coherent, and mostly sound."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import islice, pairwise
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Ref, decision_id
from policyengine.domain.events import Event, Rejection
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.domain.validation import Validator
from policyengine.service.chronicle import chronicle
from policyengine.service.story_year import AROUND, iso
from policyengine.service.stream import BREAKAGES, generate

Told = list[tuple[bytes, Event | Rejection]]

# What the deliberate breakages are rejected as: not UTF-8, cut off, a key twice, an old version, an
# unknown type, a time without zone, no data, money as a number, an unknown currency
BROKEN = {"EV002", "EV004", "EV005", "EV010", "EV011", "EV016", "EV017", "EV020", "EV031", "EV032"}
RULES = shipped_schemas().parent / "rules"
CHRONICLE = len(chronicle(Random(1)))  # events of the world and of marketing


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([shipped_schemas()])


@pytest.fixture(scope="module")
def told(catalogue: Catalogue) -> Told:
    validator = Validator(catalogue)
    return [(line, validator.validate(line)) for line in generate(2020, 1_500, None)]


@pytest.fixture(scope="module")
def events(told: Told) -> list[Event]:
    """Each event once, in the order of its time; without what is wrong on purpose."""
    seen: dict[tuple[str, str], Event] = {}
    for _, result in told:
        if isinstance(result, Event) and not result.id.startswith("wrong/") and result.time.year < 2099:
            seen.setdefault((result.source, result.id), result)
    return sorted(seen.values(), key=lambda event: event.time)


def _of(events: list[Event], *types: str) -> Iterator[Event]:
    return (event for event in events if event.type in types)


def _day(event: Event) -> str:
    return event.time.date().isoformat()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), customers=st.integers(1, 50))
def test_the_same_seed_gives_the_same_bytes(seed: int, customers: int) -> None:
    assert list(generate(seed, customers, 800)) == list(generate(seed, customers, 800))


def test_another_seed_tells_of_other_customers() -> None:
    assert list(generate(1, 20, 800)) != list(generate(2, 20, 800))


def test_the_year_is_the_same_for_every_seed() -> None:
    def year(seed: int) -> list[tuple[str, str]]:
        return [(one.id, iso(one.when // 86_400)) for one in chronicle(Random(seed))]

    assert sorted(year(1)) == sorted(year(2))
    assert 100 < CHRONICLE < 400  # dozens to a few hundreds


@pytest.mark.parametrize("count", [0, 1, 7, 1_000])
def test_there_are_as_many_lines_as_asked_for(count: int) -> None:
    assert sum(1 for _ in generate(5, 30, count)) == count


def test_by_default_there_are_twelve_to_a_customer_and_the_chronicle_besides() -> None:
    assert sum(1 for _ in generate(5, 30, None)) == 30 * 12 + CHRONICLE


def test_a_million_events_begin_at_once() -> None:
    assert len(list(islice(generate(5, 10_000, 1_000_000), 3))) == 3


def test_lines_have_no_line_feed(told: Told) -> None:
    assert not any(b"\n" in line for line, _ in told)


def test_every_line_but_the_deliberately_broken_is_an_event(told: Told) -> None:
    codes = Counter(result.code for _, result in told if isinstance(result, Rejection))
    assert set(codes) <= BROKEN
    assert 0 < codes.total() < len(told) // 100  # about 0.3 %


def test_each_way_of_breaking_an_event_is_rejected(catalogue: Catalogue) -> None:
    document = orjson.loads(next(generate(3, 1, 1)))
    document["type"] = "complaint.received"
    document["data"] = {"complaint_id": "k1", "topic": "price"}
    with_money = {
        **document,
        "type": "charge.taken",
        "data": {"charge_id": "h1", "amount": {"amount": "12.50", "currency": "ILS"}},
    }
    validator = Validator(catalogue)
    for whole in (document, with_money):
        assert isinstance(validator.validate(orjson.dumps(whole)), Event)
        codes = [validator.validate(spoil(dict(whole))) for spoil in BREAKAGES]
        assert {code.code for code in codes if isinstance(code, Rejection)} <= BROKEN
        assert all(isinstance(code, Rejection) for code in codes)


def test_a_few_events_of_the_world_are_wrong_and_one_is_stamped_in_the_far_future(told: Told) -> None:
    # an unknown region, site and crisis, an end and a phase that run backwards, a crisis declared twice,
    # and what the engine alone may tell
    wrong = sorted(result.id for _, result in told if isinstance(result, Event) and "wrong/" in result.id)
    assert wrong == [
        "wrong/atlantis-1/imposed",
        "wrong/gym-atlantis/reopened",
        "wrong/il-events-1/lifted",
        "wrong/pandemic-2020/declared",
        "wrong/pandemic-2020/phase-began",
        "wrong/pandemic-2020/phase-changed",
        "wrong/pandemic-2021/extended",
    ]
    assert sum(1 for _, result in told if isinstance(result, Event) and result.time.year == 2099) == 1


def test_every_shipped_event_type_occurs(events: list[Event], catalogue: Catalogue) -> None:
    """But for the engine's own, and those that are set in time by policies."""
    in_time = {"silence.due", "subscription.silence_due"}
    from_outside = {name for name, kind in catalogue.events.items() if not kind.internal} - in_time
    assert {event.type for event in events} == from_outside


def test_some_events_come_twice_and_some_come_late(told: Told) -> None:
    lines = Counter(line for line, _ in told)
    assert sum(count - 1 for count in lines.values()) > 5
    times = [result.time for line, result in told if isinstance(result, Event) and lines[line] == 1]
    back = sum(1 for earlier, later in pairwise(times) if later < earlier)
    assert 5 < back < len(times) // 50


def test_the_year_is_february_2020_to_march_2021(events: list[Event]) -> None:
    assert events[0].time.isoformat().startswith("2020-02-01")
    assert events[-1].time.isoformat().startswith("2021-03-31")


def test_the_places_of_the_stories_lie_where_the_regions_say(catalogue: Catalogue) -> None:
    for place, around in AROUND.items():
        assert _around(catalogue, place) == around


def _around(catalogue: Catalogue, place: str) -> tuple[str, ...]:
    chain = [place]
    while (parent := catalogue.regions[chain[-1]].parent) is not None:
        chain.append(parent)
    return tuple(chain)


def test_two_crises_at_once_and_a_phase_whose_date_is_moved(events: list[Event]) -> None:
    declared = {event.subject: str(event.data["onset_from"]) for event in _of(events, "crisis.declared")}
    ended = {event.subject: str(event.data["ended_from"]) for event in _of(events, "crisis.ended")}
    assert declared["pandemic-2020"] < min(declared["storm-2020-11"], declared["rail-strike-2020-12"])
    assert sorted(ended) == ["rail-strike-2020-12", "storm-2020-11"]  # the pandemic goes on
    moved = Counter((event.subject, event.data["phase"]) for event in _of(events, "crisis.phase_changed"))
    assert moved == {("pandemic-2020", "ongoing"): 2, ("pandemic-2020", "recovery"): 2}


def test_a_customer_is_registered_before_anything_else(events: list[Event]) -> None:
    known: set[str] = set()
    for event in events:
        if event.type == "customer.registered":
            known.add(event.subject)
        # the registration itself may be on its way when the year ends
        assert event.subject in known or event.type != "customer.updated"


def test_what_ends_has_begun(events: list[Event], catalogue: Catalogue) -> None:
    begun: set[tuple[str, str, str]] = set()
    begins = {
        "membership.started", "booking.made", "event_booking.made", "ticket.bought", "voucher.issued",
        "subscription.started", "insurance.started", "order.placed", "charge.attempted", "payment.due",
        "complaint.received", "isolation.started", "flight_booking.made", "rail_ticket.bought", "loan.started",
        "campaign.planned",
    }  # fmt: skip
    orphans = 0
    for event in events:
        kind = catalogue.events[event.type]
        if kind.entity is None or kind.key is None or kind.scope == "world":
            continue
        entity = (event.subject, kind.entity, str(event.data[kind.key]))
        if event.type in begins:
            begun.add(entity)
        orphans += entity not in begun
    # only where the beginning comes so late that the year is over
    assert orphans <= 3


def test_sites_of_customers_are_registered(events: list[Event]) -> None:
    registered: set[str] = set()
    used: Counter[str] = Counter()
    for event in events:
        if event.type == "facility.registered":
            registered.add(event.subject)
        elif event.type in {"subscription.started", "order.placed", "event_booking.made", "ticket.bought"}:
            site = event.data.get("site", event.data.get("venue"))
            if site is not None:
                assert site in registered
                used[str(site)] += 1
    assert len(used) >= 20


def test_flights_and_performances_that_are_withdrawn_were_booked_before(events: list[Event]) -> None:
    given_up = {
        event.subject: event
        for event in _of(events, "flight.withdrawn", "performance.cancelled", "performance.postponed")
    }
    hit: Counter[str] = Counter()
    for event in _of(events, "flight_booking.made", "ticket.bought"):
        name = str(event.data.get("flight_id", event.data.get("performance_id")))
        if name not in given_up:
            continue
        on = event.data.get("show_on", event.data.get("departs_at"))
        assert name.endswith(str(on)[:10])
        assert event.time < given_up[name].time
        hit[given_up[name].type] += 1
    assert min(hit["flight.withdrawn"], hit["performance.cancelled"], hit["performance.postponed"]) > 5


# events of the world that ask customers something
ASKING = (
    "performance.cancelled", "performance.postponed", "restriction.imposed", "crisis.extended", "flight.withdrawn",
)  # fmt: skip


class Year:
    """The restrictions as the stream has told of them so far."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._restrictions: dict[str, dict[str, object]] = {}

    def tell(self, event: Event) -> None:
        if event.type.startswith("restriction."):
            self._restrictions.setdefault(event.subject, {}).update(event.data)

    def forbids(self, day: str, place: str, sectors: set[str], people: int = 100_000) -> bool:
        """Whether so many may not meet there: closed, or fewer are allowed."""
        return any(
            one["region"] in _around(self._catalogue, place)
            and str(one["from"]) <= day < str(one.get("until", "9999"))
            and one.get("sector") in {None, *sectors}
            and (one.get("capacity_percent") == 0 or int(str(one.get("max_people", 10**6))) < people)
            for one in self._restrictions.values()
        )


def test_what_is_cancelled_because_of_a_restriction_falls_in_one(
    events: list[Event], catalogue: Catalogue
) -> None:
    year, made, homes = Year(catalogue), dict[str, Mapping[str, object]](), dict[str, str]()
    checked: Counter[str] = Counter()
    for event in events:
        year.tell(event)
        data = event.data
        if event.type == "customer.registered":
            homes[event.subject] = str(data["country"])
        if event.type in {"booking.made", "event_booking.made", "ticket.bought"}:
            made[str(next(iter(data.values())))] = data
        because = data.get("cancelled_because", data.get("because"))
        if because not in {"crisis", "restriction"} or event.type.startswith(("flight", "performance")):
            continue
        what = made[str(next(iter(data.values())))]
        place = str(what.get("region", what.get("country")))
        if event.type == "event_booking.cancelled":
            forbidden = year.forbids(_day(event), place, {"events"}, int(str(what["participants"])))
        elif event.type == "ticket.show_cancelled":
            forbidden = year.forbids(_day(event), place, {"culture"})
        else:
            abroad = homes[event.subject] not in _around(catalogue, place)
            forbidden = year.forbids(_day(event), place, {"tourism", "travel"} if abroad else {"tourism"})
        assert forbidden, (event.type, _day(event), place)
        checked[event.type] += 1
    assert sorted(checked) == ["booking.cancelled", "event_booking.cancelled", "ticket.show_cancelled"]


def test_isolation_lasts_as_long_as_the_rule_of_the_day_says(events: list[Event]) -> None:
    rules: dict[str, list[tuple[str, int]]] = {}
    homes, lengths = dict[str, str](), Counter[int]()
    for event in _of(events, "customer.registered", "isolation.rules_changed", "isolation.ended"):
        if event.type == "customer.registered":
            homes[event.subject] = str(event.data["country"])
        elif event.type == "isolation.rules_changed":
            days = int(str(event.data["days"]))
            rules.setdefault(str(event.data["region"]), []).append((str(event.data["from"]), days))
        elif event.subject in homes:
            first = date.fromisoformat(str(event.data["isolated_from"]))
            days = [days for start, days in rules[homes[event.subject]] if start <= first.isoformat()][-1]
            assert str(event.data["isolated_until"]) == (first + timedelta(days)).isoformat()
            lengths[days] += 1
    assert sorted(lengths) == [10, 12, 14]


def test_a_campaign_is_planned_that_a_restriction_contradicts(
    events: list[Event], catalogue: Catalogue
) -> None:
    year, planned = Year(catalogue), dict[str, Event]()
    contradicted: list[str] = []
    for event in events:
        year.tell(event)
        if event.type == "campaign.planned":
            planned[str(event.data["campaign_id"])] = event
        for name, campaign in planned.items():
            sends_on, region = str(campaign.data["sends_on"]), str(campaign.data["region"])
            if name not in contradicted and _day(event) < sends_on:
                contradicted += [name] * year.forbids(sends_on, region, {"events", "fitness"}, people=100)
    # halls for ten people from 15 March; Italy is closed; the lockdown of 18 September
    assert contradicted == ["spring-weddings", "easter", "gym-autumn"]


def test_the_policies_that_are_named_are_shipped(events: list[Event]) -> None:
    """With the rules and the alternatives that customers answer."""
    for event in _of(events, "policy.published", "policy.amended", "policy.withdrawn"):
        assert (RULES / f"{event.data['policy']}.v{event.data['version']}.yaml").exists()
    for event in _of(events, "policy.asked"):
        assert list(RULES.glob(f"{event.data['about']}.v*.yaml"))
    for event in _of(events, "remedy.chosen"):
        text = "".join(path.read_text() for path in RULES.glob(f"{event.data['policy']}.v*.yaml"))
        assert f"- id: {event.data['rule']}\n" in text
        alternative = event.data["alternative"]
        assert alternative == "a holiday on the moon" or f"- id: {alternative}\n" in text


def test_answers_name_decisions_on_what_happened_before(events: list[Event], catalogue: Catalogue) -> None:
    possible: dict[tuple[str, str], str] = {}  # (customer, decision): the event type
    reached: defaultdict[str, list[Ref]] = defaultdict(list)
    answers, wrong, again = Counter[str](), 0, Counter[str]()
    for event in events:
        kind = catalogue.events[event.type]
        if event.type == "remedy.chosen":
            decision = str(event.data["decision_id"])
            answers[possible[event.subject, decision]] += 1
            again[decision] += 1
            wrong += event.data["alternative"] == "a holiday on the moon"
        elif kind.scope == "customer":
            ref = None if kind.key is None else Ref(str(kind.entity), str(event.data[kind.key]))
            possible[event.subject, decision_id(event.source, event.id, ref)] = event.type
            if event.type in {"booking.made", "ticket.bought", "flight_booking.made"} and ref is not None:
                reached[event.subject].append(ref)
        elif event.type in {*ASKING, "crisis.declared"}:
            phase = f"crisis.phase_began:{event.subject}:onset_from:1"  # begins with the crisis
            for source, name in ((event.source, event.id), (INTERNAL_SOURCE, phase)):
                for customer, refs in reached.items():
                    for one in refs:
                        possible[customer, decision_id(source, name, one, customer)] = event.type
    own = {"event_booking.cancelled", "subscription.cancel_requested"}
    assert set(answers) >= {*own, *ASKING} - {"flight.withdrawn"}  # to which few are asked for an answer
    assert 0 < wrong < answers.total() // 5
    assert max(again.values()) == 2
