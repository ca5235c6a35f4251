"""Recorded history under other policies: what it adds up to, by hand, and the same in any number of parts."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import orjson
import pytest

from policyengine.service.counterfactual import counterfactual
from policyengine.service.door import Door
from policyengine.service.dry_run import dry_run
from policyengine.service.policy_sets import PolicySet
from policyengine.service.replay import replay
from policyengine.service.simulate import Run, simulate_lines
from policyengine.service.simulate_parts import Part
from policyengine.service.simulate_report import SimulationReport
from policyengine.service.simulate_tally import ALL, KIND, MONTH, POLICY, REGION, SEGMENT, Figure, merge
from tests.service.runs import HALF, STREAM, half, lines, opened
from tests.service.simulations import recorded_in, simulated, together
from tests.service.worlds import CHOICE, LIMITED, WORD, policies, stream
from tests.support import booked, cancelled, draft, event, policy_set, refund

NOTHING = (0, 0)
# a word to everybody is held until the staff know; a version reaches back; caps, a choice, silence
HELD = WORD.replace('"version": 1', '"version": 1, "announced": "2020-02-12", "staff_first": {"hours": 48}')
BACK = draft(
    "travel/back",
    refund("percent(booking.paid, 20)"),
    announced="2020-02-10", effective={"from": "2020-02-10"}, retroactive={"from": "2020-01-01"},
)  # fmt: skip
FEWER = LIMITED.replace('"count": 10', '"count": 4')


def weeks(seed: int) -> bytes:
    """Some weeks of a crisis, in which the staff come to know a policy."""
    told = event(
        "staff.acknowledged", "2020-02-11T08:30:00Z", "care/word@1", policy_version="care/word@1",
    )  # fmt: skip
    made = stream(seed, 70, 170).splitlines(keepends=True)
    return b"".join([*made[:121], lines(told), *made[121:]])


@cache
def other() -> PolicySet:
    """Policies that couple customers in every way there is."""
    return policy_set(CHOICE.replace("110", "120"), HELD, FEWER, BACK)


class TestByHand:
    """Half of what was paid went back; what if all of it did."""

    RAW = lines(
        event("customer.registered", "2020-01-01T00:00:00Z", region="haifa", segment="loyal", language="en"),
        booked("b1", paid={"amount": "90.00", "currency": "ILS"}),
        cancelled("b1"),
        {**booked("e1", paid={"amount": "30.00", "currency": "EUR"}), "subject": "c2"},
        {**cancelled("e1", at="2020-04-02T10:00:00Z"), "subject": "c2"},
    )
    FULL = HALF.replace("percent(booking.paid, 50)", "booking.paid")

    def test_figures_by_policy_kind_segment_region_and_month(self, tmp_path: Path) -> None:
        with recorded_in(tmp_path, half(), self.RAW):
            totals, _ = simulated(tmp_path, policy_set(self.FULL))
        one = ({"ILS": 4500}, {"ILS": 9000})
        two = ({"EUR": 1500}, {"EUR": 3000})
        both = ({"ILS": 4500, "EUR": 1500}, {"ILS": 9000, "EUR": 3000})
        assert totals.figures == {
            (ALL, ""): Figure((2, 2), (2, 2), both),
            (POLICY, "travel/half-back"): Figure((2, 2), (2, 2), both),
            (KIND, "refund"): Figure((2, 2), (2, 2), both),
            (SEGMENT, "loyal"): Figure((1, 1), (1, 1), one),
            (SEGMENT, "unknown"): Figure((1, 1), (1, 1), two),
            (REGION, "haifa"): Figure((1, 1), (1, 1), one),
            (REGION, "unknown"): Figure((1, 1), (1, 1), two),
            (MONTH, "2020-03"): Figure((1, 1), (1, 1), one),
            (MONTH, "2020-04"): Figure((1, 1), (1, 1), two),
        }
        # registered, booked twice, cancelled twice
        assert (totals.events, totals.decisions, totals.changed, totals.changed_customers) == (
            5,
            [5, 5],
            2,
            2,
        )

    def test_who_gains_by_currency(self, tmp_path: Path) -> None:
        with recorded_in(tmp_path, half(), self.RAW):
            totals, _ = simulated(tmp_path, policy_set(self.FULL))
            back, _ = simulated(tmp_path, policy_set(HALF.replace("50", "40")))
        assert {one: (each.customers, each.amount, each.largest) for one, each in totals.more.items()} == {
            "ILS": (1, 4500, ((-4500, "c1"),)), "EUR": (1, 1500, ((-1500, "c2"),)),
        }  # fmt: skip
        assert totals.less == {}
        assert totals.sorts == Counter(better=2)
        # 36 instead of 45 ILS, 12 instead of 15 EUR
        assert {one: (each.customers, each.amount) for one, each in back.less.items()} == {
            "ILS": (1, 900), "EUR": (1, 300),
        }  # fmt: skip
        assert back.sorts == Counter(worse=2)

    def test_what_is_not_money_is_told_apart(self, tmp_path: Path) -> None:
        called = draft(
            "travel/half-back", {"id": "r", "on": "booking.cancelled", "grant": [{"kind": "notify"}]}
        )
        with recorded_in(tmp_path, half(), self.RAW):
            totals, _ = simulated(tmp_path, policy_set(called))
        assert totals.kinds == {("notify", True): (2, 2)}
        assert {one: each.amount for one, each in totals.less.items()} == {"ILS": 4500, "EUR": 1500}

    def test_caps_count_what_would_have_been_granted(self, tmp_path: Path) -> None:
        capped = draft(
            "travel/half-back", refund("percent(booking.paid, 50)"), currency="ILS",
            cap={"amount": "60 ILS", "per": "customer", "period": "year"},
        )  # fmt: skip
        with recorded_in(tmp_path, half(), STREAM):
            totals, _ = simulated(tmp_path, policy_set(capped))
        # 50 for b1, 10 of the 60 are left for b2, nothing of 16.67 for b3
        assert totals.figures[ALL, ""].money == ({"ILS": 5000 + 5000 + 1667}, {"ILS": 5000 + 1000})

    def test_the_largest_difference_is_first(self, tmp_path: Path) -> None:
        with recorded_in(tmp_path, half(), self.RAW):
            totals, _ = simulated(tmp_path, policy_set(self.FULL))
        (case,) = totals.largest_changes["ILS"]
        assert case.money == (4500, 9000)
        report = SimulationReport("", "d", "what was recorded", totals).to_json()
        assert [(one["customer"], one["difference"]) for one in report["largest"]] == [
            ("c2", "15.00"), ("c1", "45.00"),
        ]  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which the policies have decided some weeks."""
    path = tmp_path_factory.mktemp("weeks")
    with recorded_in(path, policies(), weeks(7)):
        return path


class TestTheSameComputation:
    """invariant: the policies that decided a history decide it again, to the last remedy."""

    def test_the_recorded_policies_change_nothing(self, recorded: Path) -> None:
        totals, _ = simulated(recorded, policies())
        with opened(recorded) as store:
            assert list(replay(store, "0")) == []
        assert (totals.changed, totals.refused) == (0, 0)
        assert totals.decisions[0] == totals.decisions[1] > 200
        assert all(one.money[0] == one.money[1] for one in totals.figures.values())

    def test_policies_that_couple_customers_change_nothing_either(self, tmp_path: Path) -> None:
        with recorded_in(tmp_path, other(), weeks(5)):
            totals, _ = simulated(tmp_path, other())
        assert (totals.changed, totals.refused) == (0, 0)

    def test_it_is_what_a_counterfactual_replay_says_in_any_number_of_parts(self, recorded: Path) -> None:
        totals, lines_of_whole = simulated(recorded, other())
        parted, lines_of_parts = simulated(recorded, other(), parts=3)
        with opened(recorded) as store:
            report = counterfactual(store, "0", other())
        assert (report.events, report.refused, report.changed, len(report.customers)) == (
            totals.events, totals.refused, totals.changed, totals.changed_customers,
        )  # fmt: skip
        assert totals.changed > 50
        for side, money in enumerate((report.recorded_money, report.replayed_money)):
            of_policies = {
                (name, currency): minor
                for (dimension, name), figure in totals.figures.items()
                for currency, minor in figure.money[side].items()
                if dimension == POLICY
            }
            assert of_policies == {key: minor for key, minor in money.items() if minor}
        assert parted == totals
        assert lines_of_parts == lines_of_whole
        reports = (SimulationReport("h", "d", "b", one).to_json() for one in (totals, parted))
        assert len({orjson.dumps(one) for one in reports}) == 1

    def test_against_other_policies_it_is_they_that_are_the_baseline(self, recorded: Path) -> None:
        totals, _ = simulated(recorded, other(), against=other(), parts=2)
        assert totals.changed == 0
        assert totals.decisions[0] > 0


class TestStreams:
    """Without a ledger: what `decide` would say."""

    def test_it_decides_what_a_dry_run_decides(self) -> None:
        raw = weeks(4).splitlines()
        answers = list(dry_run(other(), raw))
        made = [one for answer in answers for one in (*answer.earlier, *answer.decisions)]
        totals = simulate_lines(raw, Run(other()), Door())
        assert totals.decisions == [0, len(made)]
        assert totals.outcomes[1] == Counter(one.outcome.value for one in made)
        assert totals.refused == sum(answer.rejection is not None for answer in answers)
        assert totals.changed == 0  # there is nothing to compare with

    def test_two_policy_sets_side_by_side_in_any_number_of_parts(self) -> None:
        raw = weeks(4).splitlines()

        def work(part: Part) -> object:
            return simulate_lines(raw, Run(other(), policies(), part), Door())

        whole, parted = (merge(together(count, work)) for count in (1, 3))
        assert parted == whole
        assert whole.changed > 10
