"""What the engine itself fails at is passed over wherever it lies in wait: the shard goes on, the ledger says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from policyengine.adapters.kafka_requeue import message_again
from policyengine.domain.decision import Decision
from policyengine.domain.schema import read_catalogue
from policyengine.errors import UsageError
from policyengine.ledger.entries import Kind
from policyengine.service import machine, pipeline
from policyengine.service.announcements import refused
from policyengine.service.counterfactual import counterfactual
from policyengine.service.policy_sets import prepare
from policyengine.service.ports import DEAD_LETTERS
from policyengine.service.replay import replay
from policyengine.service.set_aside import set_aside, waiting
from policyengine.service.shards import Pace
from policyengine.service.verification import verify_ledger
from tests.service.machines import member, micros
from tests.service.runs import entries, opened
from tests.service.test_service_worker import Broker, Run, publish, recorded, send
from tests.support import booked, cancelled, catalogue, draft, event, line, policy_set, refund

AFTER = [{"at": "2020-04-01", "event": "booking.completed"}]
POLICIES = policy_set(
    draft("travel/half-back", refund("booking.paid", follow_up=AFTER)),
    draft("travel/thanks", {"id": "t", "on": "booking.completed", "grant": [{"kind": "notify"}]}),
    draft("care/word", {"id": "w", "on": "crisis.declared", "grant": [{"kind": "notify"}]}),
)
DECLARED = event(
    "crisis.declared",
    "2020-03-10T08:00:00Z",
    "k1",
    crisis_id="k1",
    kind="pandemic",
    region="IL",
    onset_from="2020-03-10",
)
LATER = booked("late", "2020-04-02T08:00:00Z")


class Fault:
    """Lets the engine fail at some decisions, so often as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch, self.times = monkeypatch, 10**9
        self.tries = 0

    def at(self, name: str, bad: Callable[..., bool], error: type[Exception] = ZeroDivisionError) -> None:
        """``name`` of what the machine calls; ``bad`` of its state and arguments."""
        sound = getattr(machine, name)

        def decide(*arguments: Any) -> list[Decision]:
            if self.tries < self.times and bad(*arguments[1:]):
                self.tries += 1
                raise error("of the engine's own")
            return sound(*arguments)  # type: ignore[no-any-return]

        self._patch.setattr(machine, name, decide)


@pytest.fixture(autouse=True)
def _logged() -> Iterator[None]:
    """A traceback with all that its frames hold takes a second to be drawn."""
    with capture_logs():
        yield


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    return Fault(monkeypatch)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with opened(tmp_path) as store:
        publish(store, POLICIES)
        made = Run(store, Broker())
        yield made
        monkeypatch.undo()  # a replay under a mended engine comes out the same
        assert verify_ledger(store, None).faults == []
        for shard in store.shards():
            assert list(replay(store, shard)) == []
            assert counterfactual(store, shard, POLICIES).changed == 0


def completes(which: str) -> Callable[..., bool]:
    """The follow-up of that booking is decided on."""
    return lambda _, __, one: one.type == "booking.completed" and one.data["booking_id"] == which


def internal(run: Run) -> list[dict[str, Any]]:
    return [one.document()["event"] for one in entries(run.store, Kind.INTERNAL, "a-0")]


def letters(run: Run) -> list[dict[str, Any]]:
    return [one["data"] for one in run.broker.published["a-0"][DEAD_LETTERS]]


def sound(run: Run) -> None:
    """Everything is published, and decides itself again the same while the fault is still there."""
    assert run.broker.decided() == recorded(run)
    assert list(replay(run.store, "a-0")) == []


def test_a_timer_before_an_event_is_set_aside_and_everything_else_happens(run: Run, fault: Fault) -> None:
    fault.at("decide", completes("b1"))
    send(run, booked(), cancelled(), booked("b2"), cancelled("b2"), LATER)
    run.rounds()
    lost, fired = internal(run)
    assert (lost["type"], fired["type"]) == ("timer.lost", "booking.completed")
    assert (lost["data"]["code"], lost["data"]["customer"]) == ("EV095", "c1")
    assert "ZeroDivisionError: of the engine's own" in lost["data"]["reason"]
    assert (fault.tries, run.meters.set_aside, len(recorded(run))) == (3, 1, 6)
    (letter,) = letters(run)
    assert (letter["code"], letter["source"], letter["reason"]) == (
        "EV095", "urn:policyengine", lost["data"]["reason"]
    )  # fmt: skip
    would_have = orjson.loads(letter["raw"])
    assert (would_have["type"], would_have["data"]) == ("booking.completed", {"booking_id": "b1"})
    assert (would_have["time"], would_have["subject"]) == ("2020-04-01T00:00:00Z", "c1")
    assert next(iter(run.store.timers("a-0", None, 9)), None) is None
    sound(run)


def test_a_timer_that_the_clock_fires_is_set_aside(
    run: Run, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault.at("decide", completes("b1"))
    run.worker._pace = Pace(batch=2, tick_every=0.5, publish_every=0, look_every=0)
    monkeypatch.setattr(run.clock, "now", lambda: micros("2020-04-01T00:00:01Z"))
    send(run, booked(), cancelled())
    run.rounds()
    assert [one["type"] for one in internal(run)] == ["clock.ticked", "timer.lost"]
    assert (run.meters.set_aside, len(letters(run))) == (1, 1)
    sound(run)


def test_a_timer_that_is_due_at_once_costs_neither_its_event_nor_those_after_it(
    run: Run, fault: Fault
) -> None:
    """It was due at the day's midnight, and the event comes in the morning."""
    fault.at("decide", completes("b1"))
    send(run, booked(), cancelled(at="2020-04-01T08:00:00Z"), booked("b2", "2020-04-01T10:00:00Z"))
    run.rounds()
    types = [
        one.document()["event"]["type"]
        for one in entries(run.store, shard="a-0")
        if one.kind in {"event", "internal"}
    ]
    assert types == ["booking.made", "booking.cancelled", "timer.lost", "booking.made"]
    sound(run)


def test_customers_of_a_piece_are_passed_over_and_the_others_reached(run: Run, fault: Fault) -> None:
    """Two of five; they stand in the piece by name, and each in a dead letter."""
    fault.at("decide_reached", lambda state, *_: state.customer in {"c2", "c4"}, RecursionError)
    for number in range(1, 6):
        send(run, member(f"c{number}", country="IL", region="haifa"))
    run.rounds()
    run.broker.world.append(line(DECLARED))
    run.rounds()
    (piece,) = [one for one in internal(run) if one["type"] == "customers.reached"]
    assert piece["data"]["passed_over"] == ["c2", "c4"]
    assert (piece["data"]["customers"], piece["data"]["total"]) == (5, 5)
    reached = [one.document() for one in entries(run.store, Kind.DECISION, "a-0")]
    assert [one["customer"] for one in reached if one["event"]["type"] == "crisis.declared"] == [
        "c1",
        "c3",
        "c5",
    ]
    assert (fault.tries, run.meters.set_aside) == (6, 2)
    told = [orjson.loads(letter["raw"]) for letter in letters(run)]
    assert [one["customer"] for one in told] == ["c2", "c4"]
    assert {one["event"]["data"]["cause_id"] for one in told} == {DECLARED["id"]}
    assert list(run.store.queue_rows("a-0")) == []
    sound(run)


def test_what_fails_once_or_twice_is_decided(run: Run, fault: Fault) -> None:
    fault.times = 2
    fault.at("decide", completes("b1"))
    send(run, booked(), cancelled(), LATER)
    run.rounds()
    assert [one["type"] for one in internal(run)] == ["booking.completed"]
    assert (fault.tries, run.meters.set_aside) == (2, 0)
    assert entries(run.store, Kind.REJECTED, "a-0") == []
    sound(run)


def test_an_event_a_timer_and_a_customer_of_one_batch_are_each_set_aside(run: Run, fault: Fault) -> None:
    fault.at(
        "decide", lambda _, __, one: one.type == "booking.completed" or one.data.get("booking_id") == "late"
    )
    fault.at("decide_reached", lambda state, *_: state.customer == "c1")
    send(run, member("c1", country="IL"), booked(), cancelled())
    run.rounds()
    run.broker.world.append(line(DECLARED))
    send(run, LATER, booked("b9", "2020-04-02T09:00:00Z"))
    run.rounds()
    sources = sorted(str(letter["source"]) for letter in letters(run))
    assert sources == ["test", "urn:policyengine", "urn:policyengine"]
    found = {one.what: (one.type, one.subject) for one in waiting(run.store)}
    assert found == {
        "event": ("booking.made", "c1"),
        "timer": ("booking.completed", "c1"),
        "customer": ("crisis.declared", "c1"),
    }
    assert [one.seq for one in waiting(run.store, "a-0")] == [
        one.seq for one in entries(run.store, Kind.REJECTED, "a-0")
    ]
    assert run.meters.set_aside == 3
    sound(run)


def test_only_events_from_outside_are_there_to_be_sent_again(run: Run, fault: Fault) -> None:
    fault.at(
        "decide", lambda _, __, one: one.type == "booking.completed" or one.data.get("booking_id") == "late"
    )
    send(run, booked(), cancelled(), LATER, booked("b3", "2020-04-02T09:00:00Z"))
    run.rounds()
    assert len(entries(run.store, Kind.REJECTED, "a-0")) == 2
    ((shard, seq),) = set_aside(run.store)
    entry = run.store.entry(shard, seq)
    assert entry is not None
    assert refused(entry).event["data"]["id"] == LATER["id"]
    (timer,) = [one for one in entries(run.store, Kind.REJECTED, "a-0") if one.seq != seq]
    with pytest.raises(UsageError, match="came from no topic"):
        message_again(timer)


def test_a_decision_that_no_ledger_can_hold_is_the_engines_own_fault(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2^60 is beyond what canonical JSON holds."""
    sound_body = pipeline.decision_body

    def body(document: dict[str, Any]) -> Any:
        bad = (document["entity"] or {}).get("id") == "bad"
        return sound_body({**document, "points": 2**60} if bad else document)

    monkeypatch.setattr(pipeline, "decision_body", body)
    send(run, booked(), booked("bad"), cancelled())
    run.rounds()
    (letter,) = letters(run)
    assert letter["code"] == "EV095"
    assert "no canonical JSON form" in letter["reason"]
    assert len(recorded(run)) == 2


def test_a_fault_of_no_single_event_stops_the_shard_until_it_is_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(run, booked())
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "impostor", lambda *_: 1 // 0)
        run.rounds(3)
        assert run.meters.set_aside == 0
    run.rounds(20)
    assert len(recorded(run)) == 1
    assert entries(run.store, Kind.REJECTED, "a-0") == []


def test_under_a_catalogue_without_such_events_the_shard_waits_for_the_policies_to_be_published_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost unsaid."""
    old = {name: one for name, one in catalogue().documents.items() if name != "events/timer.lost"}
    with opened(tmp_path) as store, monkeypatch.context() as patch:
        Fault(patch).at("decide", completes("b1"))
        publish(store, prepare(POLICIES.policies, read_catalogue(old)))
        run = Run(store, Broker())
        send(run, booked(), cancelled(), LATER)
        run.rounds()
        assert (len(recorded(run)), run.meters.set_aside) == (2, 0)
        assert store.timers("a-0", None, 9) != []
        publish(store, POLICIES)
        run.rounds(40)
        assert [one["type"] for one in internal(run)] == ["timer.lost"]
        assert (len(recorded(run)), run.meters.set_aside) == (3, 1)
        assert list(replay(store, "a-0")) == []
        assert verify_ledger(store, None).faults == []
