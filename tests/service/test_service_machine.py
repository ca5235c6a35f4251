"""A shard as a story: what happens because of an event, and in which order."""

from __future__ import annotations

from functools import cache

import orjson
import pytest

from policyengine.domain.decision import Decision
from policyengine.domain.timers import Timer
from policyengine.domain.world import Job
from policyengine.service.machine import REACH, TURNS, Happened, Machine, Refused
from policyengine.service.policy_sets import PolicySet
from tests.service.machines import (
    Telling,
    closed,
    crisis,
    member,
    micros,
    names,
    pool,
    reached,
    read,
    subscribed,
)
from tests.support import booked, cancelled, draft, event, policy_set

CREDIT = {"kind": "credit", "amount": 'money("10 ILS")'}
CLOSED = draft(
    "fitness/closed", {"id": "credit", "on": "facility.closed", "for": "subscription", "grant": [CREDIT]}
)
LATER = draft(
    "travel/later",
    {
        "id": "ask",
        "on": "booking.cancelled",
        "grant": [{"kind": "notify"}],
        "follow_up": [{"at": "add_days(date_of(event.time), 3)", "event": "booking.completed"}],
    },
    {"id": "then", "on": "booking.completed", "grant": [{"kind": "notify", "to": "staff"}]},
)
CHOICE = draft(
    "travel/choice",
    {
        "id": "choose",
        "on": "booking.cancelled",
        "offer": {
            "alternatives": [
                {"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
                {"id": "later", "grant": [{"kind": "postpone", "until": "2021-05-01"}]},
            ],
            "default": "later",
            "deadline": "add_days(date_of(event.time), 7)",
        },
    },
)


@cache
def closing() -> PolicySet:
    """Whoever swims at a pool that closes gets 10 ILS."""
    return policy_set(CLOSED)


def granted(decisions: list[Decision]) -> list[str]:
    """What was granted in short: kind, and money or a day."""
    return [
        f"{one.kind} {one.amount or one.values.get('until') or one.values.get('valid_until')}"
        for decision in decisions
        for one in decision.remedies
    ]


def of(happenings: list[Happened | Refused], kind: str) -> Happened:
    """The one event of a type."""
    (found,) = (one for one in happenings if isinstance(one, Happened) and one.event.type == kind)
    return found


class TestReach:
    def test_a_closure_reaches_each_subscription_there_in_the_order_of_segments(self) -> None:
        tell = Telling(closing())
        tell(
            pool(),
            pool(key="gym"),
            member("nobody"),
            member("regular", segment="regular"),
            member("loyal", segment="loyal"),
            member("b-core", core=True, segment="regular"),
            member("a-core", core=True),
            *(subscribed(one) for one in ("nobody", "regular", "loyal", "b-core", "a-core", "stranger")),
            subscribed("loyal", key="s-second"),
            subscribed("elsewhere", "gym"),
        )
        assert names(tell(closed())) == ["facility.closed"]
        (job,) = tell.memory.world.jobs
        assert (job.total, job.done) == (6, 0)
        happened = tell.work_off()
        # core customers first, then the loyal (two subscriptions, by id), the regular, then the rest by name
        assert names(happened) == ["*customers.reached"]
        assert reached(happened) == ["a-core", "b-core", "loyal", "loyal", "regular", "nobody", "stranger"]
        piece = of(happened, "customers.reached")
        assert [decision.entity.id for decision in piece.decisions if decision.entity][2:4] == [
            "s-loyal", "s-second",
        ]  # fmt: skip
        assert all(one.event_id == read(closed()).id for one in piece.decisions)
        assert granted(piece.decisions) == ["credit 10.00 ILS"] * 7
        assert tell.machine.idle()

    def test_a_piece_says_which_event_it_is_for_and_how_far_it_is(self) -> None:
        tell = Telling(closing())
        tell(pool(), subscribed("c1"), closed(at="2020-03-15T08:00:00Z"))
        (happened,) = tell.work_off()
        assert isinstance(happened, Happened)
        assert happened.event.document == {
            "specversion": "1.0",
            "source": "urn:policyengine",
            "id": "1/1",
            "type": "customers.reached",
            "subject": "world",
            "time": "2020-03-15T08:00:00Z",
            "data": {
                "cause_source": "test", "cause_id": read(closed()).id, "cause_type": "facility.closed",
                "job": 1, "customers": 1, "done": 1, "total": 1,
            },
        }  # fmt: skip

    def test_who_moved_away_is_not_reached_and_who_moved_in_is(self) -> None:
        home = draft("care/home", {"id": "r", "on": "crisis.declared", "grant": [{"kind": "notify"}]})
        tell = Telling(policy_set(home))
        tell(
            member("stays", region="north"),
            member("leaves", region="north"),
            member("comes", region="south"),
            event("customer.updated", "2020-02-01T08:00:00Z", "leaves", region="south"),
            event("customer.updated", "2020-02-01T08:00:00Z", "comes", region="haifa"),
            event("customer.updated", "2020-02-02T08:00:00Z", "comes", region="north"),
            crisis(),
        )
        assert reached(tell.work_off()) == ["comes", "stays"]

    def test_a_late_event_does_not_bring_back_where_somebody_was(self) -> None:
        home = draft("care/home", {"id": "r", "on": "crisis.declared", "grant": [{"kind": "notify"}]})
        tell = Telling(policy_set(home))
        tell(
            event("customer.updated", "2020-02-02T08:00:00Z", "c1", region="south"),
            event("customer.updated", "2020-02-01T08:00:00Z", "c1", region="north"),
            crisis(),
        )
        assert tell.machine.idle()

    def test_an_event_that_touches_nobody_leaves_no_job(self) -> None:
        tell = Telling(closing())
        tell(pool(), subscribed("c1", "gym"))
        assert names(tell(closed())) == ["facility.closed"]
        assert tell.machine.idle()
        assert tell.piece() == []
        assert tell.memory.world.next_job == 1

    def test_two_world_events_at_once_are_worked_off_one_after_the_other(self) -> None:
        tell = Telling(closing())
        tell(pool(), pool(key="gym"), subscribed("c1"), subscribed("c2", "gym"), subscribed("c2", key="s2"))
        tell(closed(), closed(key="gym"))
        assert [(job.number, job.total) for job in tell.memory.world.jobs] == [(1, 2), (2, 1)]
        first, second = tell.work_off()
        assert reached([first]) == ["c1", "c2"]
        assert reached([second]) == ["c2"]
        # the later decision knows the earlier one: two credits count
        assert len(tell.memory.state("c2").remedies) == 2

    def test_others_take_their_turn_between_the_pieces_of_a_job(self) -> None:
        tell = Telling(closing())
        customers = [f"c{number:03}" for number in range(2 * REACH + 10)]
        tell(pool(), *(subscribed(customer) for customer in customers), closed())
        passing = [booked(f"b{number}", "2020-03-15T08:00:00Z") for number in range(2 * REACH)]
        happened = tell(*passing)
        # a piece after the 64th and the 128th event
        at = [number for number, name in enumerate(names(happened)) if name == "*customers.reached"]
        assert at == [REACH, 2 * REACH + 1]
        assert reached(happened) == customers[: 2 * REACH]
        assert tell.memory.world.jobs[0].done == 2 * REACH
        assert reached(tell.work_off()) == customers[2 * REACH :]
        assert tell.memory.lists == {}

    def test_customers_take_their_turn_as_the_streams_time_passes(self) -> None:
        tell = Telling(closing())
        customers = [f"c{number:04}" for number in range((TURNS + 2) * REACH)]
        tell(pool(), *(subscribed(customer) for customer in customers), closed())
        # 99 ms are too short for a piece, 100 ms are one, a day is as many as an event waits for
        for at, pieces in (("15T08:00:00.099", 0), ("15T08:00:00.1", 1), ("16T08:00:00", TURNS)):
            happened = tell(booked(f"b{at}", f"2020-03-{at}Z"))
            assert names(happened) == ["*customers.reached"] * pieces + ["booking.made"]
        assert reached(tell(booked("b", "2020-03-17T08:00:00Z"))) == customers[(TURNS + 1) * REACH :]
        assert tell.memory.world.jobs == ()

    def test_a_cap_per_event_counts_over_the_pieces(self) -> None:
        scarce = draft(
            "food/surplus",
            {
                "id": "r", "on": "surplus.declared", "grant": [{"kind": "gesture", "gift": "cheese"}],
                "cap": {"count": REACH + 1, "per": "event"},
            },
        )  # fmt: skip
        tell = Telling(policy_set(scarce))
        tell(*(member(f"c{number:03}", region="north") for number in range(REACH + 5)))
        data = {"surplus_id": "x", "what": "cheese", "quantity": 65, "region": "north"}
        tell(event("surplus.declared", "2020-04-01T08:00:00Z", "x", **data))
        first, second = tell.work_off()
        assert isinstance(first, Happened)
        assert isinstance(second, Happened)
        assert [bool(one.remedies) for one in first.decisions] == [True] * REACH
        assert [bool(one.remedies) for one in second.decisions] == [True] + [False] * 4

    def test_customers_are_decided_by_what_they_have_when_their_turn_comes(self) -> None:
        tell = Telling(closing())
        tell(pool(), subscribed("c1"), closed())
        tell(subscribed("c1", key="new", at="2020-03-15T08:00:00Z"))
        (piece,) = tell.work_off()
        assert isinstance(piece, Happened)
        assert [one.entity.id for one in piece.decisions if one.entity] == ["new", "s-c1"]


class TestTime:
    def test_a_timer_fires_before_an_event_of_the_same_instant(self) -> None:
        tell = Telling(policy_set(LATER))
        tell(booked(), cancelled(at="2020-03-02T10:00:00Z"))
        (timer,) = tell.memory.pending.values()
        assert timer.due == micros("2020-03-05T00:00:00Z")
        assert names(tell(booked("b2", "2020-03-04T23:59:59.999999Z"))) == ["booking.made"]
        assert names(tell(booked("b3", "2020-03-05T00:00:00Z"))) == ["*booking.completed", "booking.made"]
        fired = tell.all[-2]
        assert isinstance(fired, Happened)
        assert fired.event.document["time"] == "2020-03-05T00:00:00Z"
        assert fired.event.data == {"booking_id": "b1"}
        assert [one.values["to"] for one in fired.decisions[0].remedies] == ["staff"]
        assert tell.memory.pending == {}

    def test_timers_fire_in_the_order_of_time_customer_and_name(self) -> None:
        tell = Telling(policy_set(LATER))
        for customer, key, day in (("b", "1", 3), ("a", "2", 3), ("a", "1", 3), ("z", "1", 2)):
            tell(
                {**booked(key), "subject": customer, "id": f"{customer}{key}"},
                {
                    **cancelled(key, f"2020-03-0{day}T10:00:00Z"),
                    "subject": customer,
                    "id": f"-{customer}{key}",
                },
            )
        fired = [
            one for one in tell(booked("last", "2020-06-01T00:00:00Z"))[:-1] if isinstance(one, Happened)
        ]
        assert [one.event.subject for one in fired] == ["z", "a", "a", "b"]
        assert [one.event.id for one in fired[1:3]] == sorted(one.event.id for one in fired[1:3])

    def test_a_late_event_is_decided_and_moves_no_time(self) -> None:
        tell = Telling(policy_set(LATER))
        tell(booked(), cancelled(at="2020-03-02T10:00:00Z"))
        assert names(tell(booked("b2", "2020-01-01T00:00:00Z"))) == ["booking.made"]
        assert tell.memory.world.now == micros("2020-03-02T10:00:00Z")

    def test_what_is_due_already_happens_at_once(self) -> None:
        tell = Telling(policy_set(LATER))
        tell(booked(), booked("b2", "2020-06-01T00:00:00Z"))
        # cancelled in March, told in June: three days after the cancellation are long over
        assert names(tell(cancelled(at="2020-03-02T10:00:00Z"))) == [
            "booking.cancelled",
            "*booking.completed",
        ]
        fired = tell.all[-1]
        assert isinstance(fired, Happened)
        assert fired.event.document["time"] == "2020-03-05T00:00:00Z"
        assert tell.memory.world.now == micros("2020-06-01T00:00:00Z")

    def test_phases_begin_on_their_days_and_reach_whom_they_touch(self) -> None:
        told = draft(
            "care/phases",
            {"id": "r", "on": "crisis.phase_began", "when": ['event.phase == "ongoing"'], "grant": [{"kind": "notify"}]},
        )  # fmt: skip
        tell = Telling(policy_set(told))
        tell(member("c1", region="north"))
        happened = tell(crisis(onset_from="2020-03-10"))
        assert names(happened) == ["crisis.declared", "*crisis.phase_began"]  # its first day has begun
        changed = {"crisis_id": "c", "phase": "ongoing", "from": "2020-03-20"}
        tell(event("crisis.phase_changed", "2020-03-12T08:00:00Z", "c", **changed))
        tell.work_off()
        # midnight of 20 March in Israel
        assert names(tell(booked("b", "2020-03-19T21:59:59Z"))) == ["booking.made"]
        assert names(tell(booked("b", "2020-03-19T22:00:00Z"))) == ["*crisis.phase_began", "booking.made"]
        (piece,) = tell.work_off()
        assert isinstance(piece, Happened)
        assert granted(piece.decisions) == ["notify None"]

    def test_a_follow_up_of_a_follow_up_is_later_so_that_it_comes_to_an_end(self) -> None:
        forever = draft(
            "travel/forever",
            {
                "id": "r", "on": "booking.completed", "grant": [{"kind": "notify"}],
                "follow_up": [{"at": "date_of(event.time)", "event": "booking.completed"}],
            },
        )  # fmt: skip
        tell = Telling(policy_set(forever))
        happened = tell(event("booking.completed", "2020-03-02T10:00:00Z", booking_id="b1"))
        # that of the same day happens at once; the one after it would, too, and for ever
        assert names(happened) == ["booking.completed", "*booking.completed"]
        last = happened[-1]
        assert isinstance(last, Happened)
        (error,) = last.decisions[0].errors
        assert error.because == (
            "PE225 `date_of(event.time)` gives 2020-03-02, which does not begin after this event of the engine's "
            "own: it could go on for ever"
        )
        assert tell.memory.pending == {}

    def test_what_the_state_refuses_leaves_only_its_time_behind(self) -> None:
        tell = Telling(policy_set(LATER))
        tell(booked(), cancelled(at="2020-03-02T10:00:00Z"))
        unknown = crisis("2020-03-09T08:00:00Z", region="atlantis", onset_from="2020-03-09")
        assert names(tell(unknown)) == ["*booking.completed", "EV100"]
        assert tell.memory.world.now == micros("2020-03-09T08:00:00Z")
        assert tell.memory.world.entities == {}

    def test_a_clock_ticks_only_where_something_is_due(self) -> None:
        tell = Telling(policy_set(LATER))
        tell(booked(), cancelled(at="2020-03-02T10:00:00Z"))
        assert tell.tick("2020-03-04T23:00:00Z") == []
        assert tell.memory.world.now == micros("2020-03-02T10:00:00Z")
        ticked, fired = tell.tick("2020-03-05T06:00:00Z")
        assert isinstance(ticked, Happened)
        assert isinstance(fired, Happened)
        assert (ticked.event.type, ticked.event.document["time"]) == ("clock.ticked", "2020-03-05T06:00:00Z")
        assert (fired.event.type, fired.event.document["time"]) == (
            "booking.completed",
            "2020-03-05T00:00:00Z",
        )
        assert tell.memory.world.now == micros("2020-03-05T06:00:00Z")
        assert tell.tick("2020-03-05T07:00:00Z") == []

    def test_an_event_that_the_catalogue_no_longer_takes_does_not_happen_and_its_loss_is_told(self) -> None:
        tell = Telling(policy_set(LATER))
        stale = Timer(micros("2020-03-05T00:00:00Z"), "c1", "t", "booking.vanished", {"booking_id": "b1"})
        tell.memory.set_timer(stale)
        assert names(tell(booked("b", "2020-06-01T00:00:00Z"))) == ["*timer.lost", "booking.made"]
        assert tell.memory.pending == {}


class TestOffers:
    def chosen(
        self, at: str, alternative: str, customer: str = "c1", event_id: str = ""
    ) -> dict[str, object]:
        return event(
            "remedy.chosen",
            at,
            customer,
            event_id=event_id,
            decision_id=self.offered,
            alternative=alternative,
        )

    def telling(self) -> Telling:
        tell = Telling(policy_set(CHOICE))
        tell(booked())
        offer = of(tell(cancelled(at="2020-03-02T10:00:00Z")), "booking.cancelled")
        self.offered = offer.decisions[0].decision_id
        return tell

    def test_of_two_answers_the_first_counts_and_the_deadline_passes_in_silence(self) -> None:
        tell = self.telling()
        (answer,) = tell(self.chosen("2020-03-03T10:00:00Z", "money"))
        assert isinstance(answer, Happened)
        assert granted(answer.decisions) == ["refund 100.00 ILS"]
        (second,) = tell(self.chosen("2020-03-03T10:00:01Z", "later"))
        assert isinstance(second, Refused)
        assert second.code == "EV113"
        assert tell.memory.pending == {}
        assert names(tell(booked("b2", "2020-06-01T00:00:00Z"))) == ["booking.made"]

    def test_silence_takes_the_default_at_the_deadline_and_an_answer_after_it_is_refused(self) -> None:
        tell = self.telling()
        # 2 March and 7 days: 9 March is the last day, in UTC
        happened = tell(self.chosen("2020-03-10T00:00:00Z", "money"))
        assert names(happened) == ["*offer.expired", "EV113"]
        assert granted(of(happened, "offer.expired").decisions) == ["postpone 2021-05-01"]

    def test_an_answer_of_the_last_day_counts(self) -> None:
        tell = self.telling()
        assert names(tell(self.chosen("2020-03-09T23:59:59Z", "money"))) == ["remedy.chosen"]

    def test_nobody_answers_for_another_customer(self) -> None:
        tell = self.telling()
        (refused,) = tell(self.chosen("2020-03-03T10:00:00Z", "money", "c2"))
        assert isinstance(refused, Refused)
        assert refused.code == "EV110"


class TestPolicySets:
    FIRST = draft(
        "travel/back",
        {"id": "r", "on": "booking.cancelled", "grant": [{"kind": "refund", "amount": "percent(booking.paid, 50)"}]},
        effective={"from": "2020-01-01", "until": "2020-06-01"},
    )  # fmt: skip
    SECOND = draft(
        "travel/back",
        {"id": "r", "on": "booking.cancelled", "grant": [{"kind": "refund", "amount": "percent(booking.paid, 80)"}]},
        version=2, effective={"from": "2020-06-01"}, retroactive={"from": "2020-03-01"},
    )  # fmt: skip

    def told(self) -> Telling:
        """Half goes back of three bookings, one of them cancelled before March."""
        tell = Telling(policy_set(self.FIRST, self.SECOND))
        for customer, at in (
            ("b", "2020-03-05T10:00:00Z"),
            ("a", "2020-03-01T00:00:00Z"),
            ("c", "2020-02-28T10:00:00Z"),
        ):
            tell(
                {**booked("x"), "subject": customer, "id": f"made-{customer}"},
                {**cancelled("x", at), "subject": customer, "id": f"off-{customer}"},
            )  # fmt: skip
        return tell

    def test_a_version_that_reaches_back_grants_the_difference_once_it_takes_effect(self) -> None:
        tell = self.told()
        happened = tell(booked("later", "2020-06-01T00:00:00Z"))
        assert names(happened) == ["*policy.took_effect", "booking.made"]
        (job,) = tell.memory.world.jobs
        assert job == Job(
            1, "retroactive", of(happened, "policy.took_effect").event.document, "travel/back", 2, total=3
        )
        (piece,) = tell.work_off()
        assert isinstance(piece, Happened)
        # 80 - 50 of 100 ILS; what was cancelled in February is out of reach
        assert [(one.customer, granted([one])) for one in piece.decisions] == [
            ("a", ["refund 30.00 ILS"]), ("b", ["refund 30.00 ILS"]),
        ]  # fmt: skip
        first = tell.all[3]
        assert isinstance(first, Happened)
        assert piece.decisions[0].supplements == first.decisions[0].decision_id
        assert piece.decisions[0].event_id == "off-a"

    def test_it_does_so_once_whatever_is_adopted_later(self) -> None:
        tell = self.told()
        tell(booked("later", "2020-06-01T00:00:00Z"))
        tell.work_off()
        tell.machine.adopt(policy_set(self.FIRST, self.SECOND, LATER).ruleset)
        assert names(tell(booked("last", "2020-07-01T00:00:00Z"))) == ["booking.made"]

    def test_an_event_that_comes_late_gets_what_it_would_have_got(self) -> None:
        tell = self.told()
        tell(booked("later", "2020-06-02T00:00:00Z"))
        tell.work_off()
        (late,) = tell(cancelled("later", "2020-05-01T00:00:00Z"))
        assert isinstance(late, Happened)
        assert granted(late.decisions) == ["refund 50.00 ILS", "refund 30.00 ILS"]
        assert [one.supplements for one in late.decisions] == [None, late.decisions[0].decision_id]
        (timely,) = tell({**cancelled("later", "2020-06-03T00:00:00Z"), "id": "again"})
        assert isinstance(timely, Happened)
        assert granted(timely.decisions) == ["refund 80.00 ILS"]

    def test_reviews_are_due_on_their_day_and_not_after_a_version_is_gone(self) -> None:
        reviewed = draft(
            "care/old", {"id": "r", "on": "booking.made", "grant": [{"kind": "notify"}]}, review="2020-03-01"
        )
        other = draft(
            "care/new", {"id": "r", "on": "booking.made", "grant": [{"kind": "notify"}]}, review="2020-04-01"
        )
        tell = Telling(policy_set(reviewed))
        assert [timer.id for timer in tell.memory.timers("")] == ["policy.review_due:care/old@1"]
        tell.machine.adopt(policy_set(other).ruleset)
        happened = tell(booked("b", "2020-05-01T00:00:00Z"))
        assert names(happened) == ["*policy.review_due", "booking.made"]
        due = of(happened, "policy.review_due").event
        assert due.data == {"policy_version": "care/new@1", "policy": "care/new", "version": 1}
        assert due.document["time"] == "2020-04-01T00:00:00Z"
        # a review that was due before anybody adopted the version is overdue, and no news
        tell.machine.adopt(policy_set(other, reviewed).ruleset)
        assert tell.memory.timers("") == []


class TestAgain:
    def story(self) -> list[dict[str, object]]:
        return [
            pool(),
            *(member(f"c{number}", region="north", segment=("loyal", "regular")[number % 2]) for number in range(8)),
            *(subscribed(f"c{number}") for number in range(6)),
            booked("b1", "2020-02-01T10:00:00Z"),
            cancelled("b1", "2020-03-02T10:00:00Z"),
            crisis(),
            closed(),
            booked("b2", "2020-03-10T09:00:00Z"),
            cancelled("b2", "2020-03-20T10:00:00Z"),
            booked("b3", "2020-06-01T10:00:00Z"),
        ]  # fmt: skip

    def test_whoever_goes_on_from_what_is_remembered_goes_on_alike(self) -> None:
        prepared = policy_set(CLOSED, LATER, CHOICE)
        whole = Telling(prepared)
        whole(*self.story())
        whole.work_off()
        again = Telling(prepared)
        for document in self.story():
            again.machine = Machine(prepared.ruleset, again.memory)  # as after a restart
            again(document)
        while not again.machine.idle():
            again.machine = Machine(prepared.ruleset, again.memory)
            again.piece()
        assert told(whole) == told(again)
        assert len(told(whole)) > 30


def told(tell: Telling) -> list[bytes]:
    """Everything that happened, as bytes."""
    found = []
    for one in tell.all:
        if isinstance(one, Refused):
            found.append(orjson.dumps(one))
        else:
            found.append(orjson.dumps(one.event.document))
            found += [orjson.dumps(decision.to_json()) for decision in one.decisions]
    return found


@pytest.mark.parametrize("pieces", [1, 5, 64])
def test_the_size_of_pieces_does_not_change_what_is_decided(pieces: int) -> None:
    tell = Telling(closing())
    tell(pool(), *(subscribed(f"c{number}") for number in range(9)), closed())
    decisions = []
    while not tell.machine.idle():
        decisions += [each for one in tell.machine.piece(pieces) for each in one.decisions]
    assert [one.customer for one in decisions] == [f"c{number}" for number in range(9)]
