"""Coverage of policies by cases: what there is to reach, what was reached, what is missing and where."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from policyengine.authoring.cases import run_plans
from policyengine.authoring.coverage import Coverage
from policyengine.authoring.coverage_points import Kind
from policyengine.authoring.coverage_report import CoverageReport, coverage_report, read_thresholds, shown
from policyengine.errors import UsageError
from policyengine.service.case_engine import CaseEngine
from tests.authoring.owned import HALF, POLICY, case, folder, planned
from tests.support import catalogue


def covered(tmp_path: Path, cases: str, policy: str = POLICY) -> CoverageReport:
    plans = planned(folder(tmp_path, cases, policy=policy))
    policies = [loaded for plan in plans for loaded in plan.loaded.policies]
    coverage = Coverage(policies)
    report = run_plans(plans, CaseEngine(catalogue()), watch=lambda _: coverage)
    assert report.ok, "\n".join(report.lines())
    return coverage_report(policies, coverage.marks)


def missing(report: CoverageReport) -> list[str]:
    return [str(point).partition("part-back.yaml:")[2] for point in report.missing]


def test_one_case_reaches_one_rule_one_way(tmp_path: Path) -> None:
    report = covered(tmp_path, HALF)
    assert missing(report) == [
        "6:19: no case just inside `effective.from: 2020-03-01` (within a day, by event.time)",
        "6:19: no case just outside `effective.from: 2020-03-01` (within a day, by event.time)",
        "6:38: no case just inside `effective.until: 2020-06-01` (within a day, by event.time)",
        "6:38: no case just outside `effective.until: 2020-06-01` (within a day, by event.time)",
        "14:10: the cap of 1 per customer is never reached",
        '16:9: `booking.paid > money("10 ILS")` never fails',
        "23:9: row 2 of rule back never fits",
        "26:9: rule choose never applies",
        "30:16: nobody chooses `new-date` of rule choose",
        "31:16: nobody chooses `money` of rule choose",
    ]
    assert [str(report.figure(kind)) for kind in Kind] == [
        "1/1",
        "1/2",
        "1/2",
        "1/2",
        "0/4",
        "0/2",
        "0/1",
        "",
    ]
    # 1 + 2 + 2 + 2 + 4 + 2 + 1 points, 4 of them covered: 4 / 14 = 28.57 %
    assert (str(report.figure()), shown(report.figure().percent)) == ("4/14", "28.5")


def test_a_condition_that_the_index_answers_is_seen_to_fail(tmp_path: Path) -> None:
    report = covered(tmp_path, HALF + case("ten is too little", "none", paid="10"))
    assert not [text for text in missing(report) if "never fails" in text]


@pytest.mark.parametrize(
    ("at", "gone"),
    [
        ("2020-02-29T22:00:00Z", "6:19: no case just inside"),
        ("2020-02-29T21:59:59Z", "6:19: no case just outside"),
        ("2020-05-31T20:59:59Z", "6:38: no case just inside"),
        ("2020-05-31T21:00:00Z", "6:38: no case just outside"),
    ],
)
def test_the_edges_of_a_window_are_midnights_of_the_policys_zone(tmp_path: Path, at: str, gone: str) -> None:
    inside = "inside" in gone
    expect = "{remedies: [{kind: refund, amount: 50 ILS}]}" if inside else "none"
    report = covered(tmp_path, HALF + case("at the edge", expect, at=at))
    assert not [text for text in missing(report) if text.startswith(gone)]
    assert str(report.figure(Kind.WINDOWS)) == "1/4"


def test_a_cap_that_is_used_up_and_a_choice_by_silence_are_reached(tmp_path: Path) -> None:
    again = """\
  - name: only once for a customer
    given:
      - booking.made: {at: 2020-02-01T10:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-07-01, nights: 4, price: 500 ILS, paid: 100 ILS}
      - booking.made: {at: 2020-02-01T11:00:00Z, booking_id: b2, kind: hotel, starts_on: 2020-07-01, nights: 4, price: 500 ILS, paid: 100 ILS}
      - booking.cancelled: {at: 2020-04-01T10:00:00Z, booking_id: b1, cancelled_because: crisis}
      - booking.cancelled: {at: 2020-04-02T10:00:00Z, booking_id: b2, cancelled_because: crisis}
    expect: {lost: {back: cap}}
  - name: nobody answers for a week
    given:
      - booking.made: {at: 2020-02-01T10:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-07-01, nights: 3, price: 500 ILS, paid: 100 ILS}
      - booking.postponed: {at: 2020-04-01T10:00:00Z, booking_id: b1, starts_on: 2020-09-01}
      - clock.ticked: {at: 2020-04-09T00:00:00Z}
    expect: {remedies: [{kind: refund, amount: 100 ILS}]}
"""
    texts = missing(covered(tmp_path, HALF + again))
    assert not [text for text in texts if "cap" in text or "`money`" in text or "row" in text]
    assert [text for text in texts if "nobody" in text] == ["30:16: nobody chooses `new-date` of rule choose"]


def test_the_conditions_of_a_crisis_are_counted_once_for_all_rules(tmp_path: Path) -> None:
    policy = POLICY.replace("currency: ILS\n", "currency: ILS\ncrisis: {kind: pandemic, phases: [ongoing]}\n")
    cases = HALF.replace(
        "    given:", "    world: {crisis.kind: pandemic, crisis.phase: ongoing}\n    given:"
    )
    other = case("no crisis at all", "none")
    report = covered(tmp_path, cases + other, policy)
    # kind and phases, and what `booking.paid` is compared with: both ways, all but the last failed too
    assert str(report.figure(Kind.CLAUSES)) == "5/6"
    assert "8:10: `crisis.kind" not in "\n".join(missing(report))


def test_thresholds_are_for_everything_or_for_a_kind(tmp_path: Path) -> None:
    report = covered(tmp_path, HALF)
    assert list(report.short_of(read_thresholds(["28", "versions=100", "mutants=100"]))) == []
    assert list(report.short_of(read_thresholds(["28.6", "rules=50.1%"]))) == [
        "coverage is 28.5 %, below 28.6 % (4/14)",
        "coverage of rules is 50 %, below 50.1 % (1/2)",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rule=3", "--threshold rule=3: nothing is called `rule`; did you mean `rules`?"),
        ("many", "--threshold many: write a percentage such as 95, or rules=100"),
        ("101", "--threshold 101: write a percentage such as 95, or rules=100"),
        ("nan", "--threshold nan: write a percentage such as 95, or rules=100"),
    ],
)
def test_a_threshold_that_is_none(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        read_thresholds([text])
    assert told in str(error.value)


def test_percentages_are_rounded_down(tmp_path: Path) -> None:
    assert [shown(Decimal(text)) for text in ("99.99", "100", "0", "66.666")] == ["99.9", "100", "0", "66.6"]


def test_as_data(tmp_path: Path) -> None:
    document = covered(tmp_path, HALF).to_json()
    assert document["percent"] == "28.5"
    assert document["policies"]["travel/part-back"]["rules"] == {"covered": 1, "total": 2}  # type: ignore[index,call-overload]
    assert document["missing"][4]["rule"] == "back"  # type: ignore[index,call-overload]
