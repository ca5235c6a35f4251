"""The world: what events do to it, which it does not allow, and what is going to happen by itself."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest
from support import catalogue, event, line

from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.holdings import pack_entity, unpack_entity
from policyengine.domain.state import to_micros
from policyengine.domain.timers import Timer
from policyengine.domain.validation import Validator
from policyengine.domain.values import Value
from policyengine.domain.world import (
    Inadmissible,
    World,
    admit_world,
    evolve_world,
    world_ref,
    world_timers,
)

VALIDATOR = Validator(catalogue())


def at(day: str, kind: str, /, **data: Any) -> Event:
    """An event of the world at 10:00 UTC; ``from_`` stands for `from`."""
    data = {name.rstrip("_"): value for name, value in data.items()}
    happened = VALIDATOR.validate(line(event(kind, f"{day}T10:00:00Z", "world", **data)))
    assert isinstance(happened, Event), happened
    return happened


def fold(*events: Event, world: World | None = None) -> World:
    folded = world or World()
    for happened in events:
        assert admit_world(folded, happened, catalogue()) is None
        folded = evolve_world(folded, happened, catalogue())
    return folded


def values(world: World, kind: str, key: str) -> dict[str, Value]:
    """The attributes, without what is remembered beside them."""
    found = world.entities[kind][key].values
    return {name: value for name, value in found.items() if not name.startswith("@")}


def refused(world: World, happened: Event) -> Inadmissible:
    found = admit_world(world, happened, catalogue())
    assert found is not None
    return found


def midnight_in_israel(day: str, *, summer: bool) -> int:
    """Midnight there is 22:00 UTC of the day before, in summer 21:00."""
    hours = 3 if summer else 2
    return to_micros(datetime.fromisoformat(f"{day}T00:00:00+0{hours}:00"))


DECLARED = at("2020-03-10", "crisis.declared", crisis_id="k", kind="pandemic", region="IL", onset_from="2020-03-01")  # fmt: skip
ONGOING = at("2020-03-20", "crisis.phase_changed", crisis_id="k", phase="ongoing", from_="2020-04-01")
IMPOSED = at("2020-03-20", "restriction.imposed", restriction_id="r", kind="closure", region="haifa", from_="2020-03-25", until="2020-05-01")  # fmt: skip
REGISTERED = at("2020-01-01", "facility.registered", facility_id="f", name="Pool", kind="pool", region="hadera")  # fmt: skip


class TestFolding:
    def test_what_an_event_says_is_known_of_its_entity(self) -> None:
        assert values(fold(DECLARED), "crisis", "k") == {
            "kind": "pandemic", "region": "IL", "onset_from": date(2020, 3, 1),
        }  # fmt: skip

    def test_a_phase_that_is_moved_is_its_date_and_never_the_phase_itself(self) -> None:
        moved = at("2020-03-22", "crisis.phase_changed", crisis_id="k", phase="ongoing", from_="2020-04-15")
        found = values(fold(DECLARED, ONGOING, moved), "crisis", "k")
        assert found["ongoing_from"] == date(2020, 4, 15)
        assert "phase" not in found

    def test_the_subject_is_not_what_names_the_entity(self) -> None:
        assert world_ref(DECLARED, catalogue()) == Ref("crisis", "k")
        assert world_ref(at("2020-03-10", "clock.ticked"), catalogue()) is None
        assert world_ref(at("2020-03-10", "customer.updated"), catalogue()) is None

    def test_events_of_customers_and_without_an_entity_leave_the_world_as_it_is(self) -> None:
        world = fold(DECLARED)
        for kind in ("clock.ticked", "customer.updated"):
            assert evolve_world(world, at("2020-03-11", kind), catalogue()) is world

    def test_what_arrives_late_never_overwrites_what_a_younger_event_set(self) -> None:
        events = [at(f"2020-03-{20 + day}", "crisis.extended", crisis_id="k", expected_until=f"2020-06-{day:02}") for day in (1, 2, 3)]  # fmt: skip
        for order in permutations(events):
            assert values(fold(DECLARED, *order), "crisis", "k")["expected_until"] == date(2020, 6, 3)

    def test_a_facility_that_closes_again_has_no_day_of_reopening_yet(self) -> None:
        closed = at("2020-03-15", "facility.closed", facility_id="f", closed_from="2020-03-16", share_percent=100, reason="virus")  # fmt: skip
        opened = at("2020-05-10", "facility.reopened", facility_id="f", closed_from="2020-03-16", closed_until="2020-05-11", share_percent=100)  # fmt: skip
        again = at("2020-09-20", "facility.closed", facility_id="f", closed_from="2020-09-21", share_percent=40)  # fmt: skip
        known = {"name": "Pool", "kind": "pool", "region": "hadera"}
        assert values(fold(REGISTERED, closed, opened, again), "facility", "f") == known | {
            "status": "closed", "closed_from": date(2020, 9, 21), "share_percent": 40,
        }  # fmt: skip
        assert values(fold(REGISTERED, closed, again, opened), "facility", "f") == known | {
            "status": "closed", "closed_from": date(2020, 9, 21), "share_percent": 40,
        }  # fmt: skip

    def test_what_changed_is_named_until_it_is_written(self) -> None:
        assert fold(DECLARED, IMPOSED).changed == {("crisis", "k"), ("restriction", "r")}

    def test_staff_and_policy_versions_are_stamped_with_the_time(self) -> None:
        version = {"policy_version": "a/b@2", "policy": "a/b", "version": 2}
        world = fold(
            at("2020-03-10", "policy.published", **version),
            at("2020-03-11", "staff.acknowledged", policy_version="a/b@2", by="shift lead"),
        )
        assert values(world, "policy_version", "a/b@2") == {
            "policy": "a/b",
            "version": 2,
            "published_at": datetime(2020, 3, 10, 10, tzinfo=UTC),
            "acknowledged_at": datetime(2020, 3, 11, 10, tzinfo=UTC),
        }


class TestWhatTheWorldDoesNotAllow:
    def test_an_unknown_region(self) -> None:
        wrong = at(
            "2020-03-10",
            "crisis.declared",
            crisis_id="k",
            kind="war",
            region="haiffa",
            onset_from="2020-03-01",
        )
        reason = "property `region`: unknown region `haiffa`; did you mean `haifa`?"
        assert refused(World(), wrong) == ("EV100", reason)

    @pytest.mark.parametrize(
        "wrong",
        [
            at("2020-03-20", "crisis.ended", crisis_id="q", ended_from="2020-04-01"),
            at("2020-03-20", "crisis.phase_changed", crisis_id="q", phase="ended", from_="2020-04-01"),
            at("2020-03-20", "restriction.lifted", restriction_id="q", until="2020-04-01"),
            at("2020-03-20", "restriction.changed", restriction_id="q"),
            at(
                "2020-03-20",
                "facility.reopened",
                facility_id="q",
                closed_from="2020-03-01",
                closed_until="2020-04-01",
                share_percent=1,
            ),
            at(
                "2020-03-20",
                "restriction.imposed",
                restriction_id="n",
                kind="closure",
                region="IL",
                from_="2020-04-01",
                crisis_id="q",
            ),
            at(
                "2020-03-20",
                "surplus.declared",
                surplus_id="s",
                what="cheese",
                quantity=3,
                region="IL",
                site="q",
            ),
        ],
        ids=lambda happened: happened.type,
    )
    def test_something_that_is_not_there(self, wrong: Event) -> None:
        found = refused(fold(DECLARED, IMPOSED, REGISTERED), wrong)
        assert found.code == "EV101"
        assert "`q`" in found.reason

    def test_what_is_not_there_may_be_a_slip(self) -> None:
        world = fold(
            at(
                "2020-03-10",
                "crisis.declared",
                crisis_id="corona-2020",
                kind="pandemic",
                region="IL",
                onset_from="2020-03-01",
            )
        )
        slip = at("2020-03-20", "crisis.ended", crisis_id="corona-2002", ended_from="2020-04-01")
        assert refused(world, slip).reason == "there is no crisis `corona-2002`; did you mean `corona-2020`?"

    def test_a_phase_before_the_one_that_it_follows(self) -> None:
        backwards = at(
            "2020-03-21", "crisis.phase_changed", crisis_id="k", phase="recovery", from_="2020-03-31"
        )
        assert refused(fold(DECLARED, ONGOING), backwards) == (
            "EV102",
            (
                "the phases of the crisis `k` would run backwards: recovery from 2020-03-31, before ongoing "
                "from 2020-04-01; move the other phase first"
            ),
        )

    @pytest.mark.parametrize(
        ("wrong", "names"),
        [
            (at("2020-03-21", "crisis.ended", crisis_id="k", ended_from="2020-02-29"), "ended_from"),
            (
                at("2020-03-21", "crisis.extended", crisis_id="k", expected_until="2020-02-29"),
                "expected_until",
            ),
            (at("2020-03-21", "restriction.lifted", restriction_id="r", until="2020-03-24"), "until"),
            (at("2020-03-21", "restriction.changed", restriction_id="r", from_="2020-05-02"), "until"),
            (
                at(
                    "2020-03-21",
                    "facility.reopened",
                    facility_id="f",
                    closed_from="2020-03-16",
                    closed_until="2020-03-15",
                    share_percent=100,
                ),
                "closed_until",
            ),
        ],
    )
    def test_an_end_before_its_beginning(self, wrong: Event, names: str) -> None:
        found = refused(fold(DECLARED, IMPOSED, REGISTERED), wrong)
        assert found.code == "EV103"
        assert f"`{names}`" in found.reason

    def test_an_end_on_the_day_of_the_beginning_is_one(self) -> None:
        fold(IMPOSED, at("2020-03-21", "restriction.lifted", restriction_id="r", until="2020-03-25"))

    @pytest.mark.parametrize("again", [DECLARED, IMPOSED], ids=lambda happened: happened.type)
    def test_a_second_declaration(self, again: Event) -> None:
        assert refused(fold(DECLARED, IMPOSED), again).code == "EV104"

    def test_an_order_is_judged_by_what_the_event_would_leave(self) -> None:
        late = at("2020-03-15", "crisis.ended", crisis_id="k", ended_from="2020-02-01")
        ended = at("2020-05-01", "crisis.ended", crisis_id="k", ended_from="2020-06-01")
        assert admit_world(fold(DECLARED, ended), late, catalogue()) is None  # the younger one stands


class TestWhatHappensByItself:
    def test_a_phase_begins_at_midnight_of_its_day_where_the_crisis_is(self) -> None:
        timers = world_timers(fold(DECLARED, ONGOING), ONGOING, catalogue()).pending
        (ongoing,) = (timer for timer in timers if timer.data["phase"] == "ongoing")
        assert ongoing == Timer(
            midnight_in_israel("2020-04-01", summer=True),
            "",
            "crisis.phase_began:k:ongoing_from:1",
            "crisis.phase_began",
            {"crisis_id": "k", "phase": "ongoing", "from": "2020-04-01"},
        )

    def test_what_begins_on_a_day_that_has_passed_happens_at_once(self) -> None:
        (onset,) = world_timers(fold(DECLARED), DECLARED, catalogue()).pending
        assert (onset.at, onset.data["phase"]) == (DECLARED.time, "onset")

    def test_a_date_that_is_moved_takes_its_timer_along(self) -> None:
        moved = at("2020-03-22", "crisis.phase_changed", crisis_id="k", phase="ongoing", from_="2020-04-15")
        before = world_timers(fold(DECLARED, ONGOING), ONGOING, catalogue()).pending[1]
        after = world_timers(fold(DECLARED, ONGOING, moved), moved, catalogue()).pending[1]
        assert (before.id, after.id) == ("crisis.phase_began:k:ongoing_from:1",) * 2
        assert after.due == midnight_in_israel("2020-04-15", summer=True)

    def test_what_has_happened_for_a_date_does_not_happen_again(self) -> None:
        world = fold(DECLARED, ONGOING)
        began = fire(world, "ongoing", ONGOING)
        world = evolve_world(world, began, catalogue())
        assert world_timers(world, began, catalogue()) == ((), ())
        extended = at("2020-04-02", "crisis.extended", crisis_id="k", expected_until="2020-09-01")
        timers = world_timers(fold(extended, world=world), extended, catalogue())
        assert "crisis.phase_began:k:ongoing_from:2" in timers.dropped
        assert [timer.data["phase"] for timer in timers.pending] == ["onset"]

    def test_a_phase_that_is_moved_after_it_began_begins_again_as_another_event(self) -> None:
        world = fold(DECLARED, ONGOING)
        world = evolve_world(world, fire(world, "ongoing", ONGOING), catalogue())
        moved = at("2020-04-02", "crisis.phase_changed", crisis_id="k", phase="ongoing", from_="2020-04-15")
        again = world_timers(fold(moved, world=world), moved, catalogue()).pending[1]
        assert again.id == "crisis.phase_began:k:ongoing_from:2"
        back = at("2020-04-03", "crisis.phase_changed", crisis_id="k", phase="ongoing", from_="2020-04-01")
        assert again.id in world_timers(fold(moved, back, world=world), back, catalogue()).dropped

    def test_a_restriction_lapses_on_its_until(self) -> None:
        assert world_timers(fold(IMPOSED), IMPOSED, catalogue()) == (
            (
                Timer(
                    midnight_in_israel("2020-05-01", summer=True),
                    "",
                    "restriction.lapsed:r:until:1",
                    "restriction.lapsed",
                    {"restriction_id": "r", "until": "2020-05-01"},
                ),
            ),
            (),
        )

    def test_a_restriction_without_an_until_does_not_lapse(self) -> None:
        imposed = at("2020-03-20", "restriction.imposed", restriction_id="r", kind="closure", region="haifa", from_="2020-03-25")  # fmt: skip
        assert world_timers(fold(imposed), imposed, catalogue()).pending == ()

    def test_what_happens_by_itself_sets_no_date(self) -> None:
        """A change that arrives after the lapse, and happened before it, still counts."""
        world = fold(IMPOSED)
        (lapse,) = world_timers(world, IMPOSED, catalogue()).pending
        lapsed = VALIDATOR.validate(line(lapse.document()))
        assert isinstance(lapsed, Event)
        late = at("2020-04-20", "restriction.changed", restriction_id="r", until="2020-06-01")
        world = fold(late, world=evolve_world(world, lapsed, catalogue()))
        assert values(world, "restriction", "r")["until"] == date(2020, 6, 1)
        assert world_timers(world, late, catalogue()).pending[0].id == "restriction.lapsed:r:until:2"

    def test_a_timers_event_is_one_of_the_catalogue_however_long_the_ids_are(self) -> None:
        longest = "k" * 512
        declared = at("2020-03-10", "crisis.declared", crisis_id=longest, kind="war", region="IL", onset_from="2020-03-01")  # fmt: skip
        (timer,) = world_timers(fold(declared), declared, catalogue()).pending
        assert isinstance(VALIDATOR.validate(line(timer.document())), Event)

    def test_what_has_happened_is_kept_with_the_entity(self) -> None:
        world = fold(DECLARED, ONGOING)
        entity = evolve_world(world, fire(world, "ongoing", ONGOING), catalogue()).entities["crisis"]["k"]
        assert unpack_entity(pack_entity(entity)) == entity


def fire(world: World, phase: str, setting: Event) -> Event:
    """The internal event that a phase's timer becomes."""
    timers = world_timers(world, setting, catalogue()).pending
    (timer,) = (timer for timer in timers if timer.data["phase"] == phase)
    happened = VALIDATOR.validate(line(timer.document()))
    assert isinstance(happened, Event), happened
    return happened
