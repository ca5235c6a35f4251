"""Mutants tried on cases: which are noticed, which survive, and what is accepted with a reason."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from policyengine.authoring.mutate import Fate, Mutation
from policyengine.authoring.mutate_pool import fates
from policyengine.authoring.mutate_report import MutationReport, mutation_report
from policyengine.errors import UsageError
from policyengine.service.case_engine import CaseEngine
from tests.authoring.owned import HALF, POLICY, case, folder, planned
from tests.support import catalogue

# just above and just below ten shekels; three nights and four
GOOD = (
    HALF
    + case("ten is too little", "none", paid="10")
    + case(
        "a little more is enough", "{remedies: [{kind: refund, amount: 5.01 ILS}]}", paid="10.01"
    )  # 5.005 up
    + case("four nights, four fifths", "{remedies: [{kind: refund, amount: 80 ILS}]}", nights=4)
    + case(
        "never more than 200", "{remedies: [{kind: refund, amount: 200 ILS}]}", nights=4, paid="400"
    )  # 320
)


def mutation(place: Path) -> Mutation:
    return Mutation.of(planned(place), CaseEngine(catalogue()))


def tried(place: Path) -> MutationReport:
    made = mutation(place)
    return mutation_report(planned(place), made.mutants, [made.fate(mutant) for mutant in made.mutants])


def survivors(report: MutationReport) -> list[str]:
    return [f"{one.line}:{one.column} {one.after}" for one in report.survived]


def test_one_case_notices_what_changes_its_result(tmp_path: Path) -> None:
    report = tried(folder(tmp_path))
    killed = {f"{one.line}:{one.column} {one.after}" for one in report.killed}
    assert killed == {
        "12:9 no such rule",
        "22:9 < 3",  # with three nights no row fits
        "22:9 no such row",
        "22:16 49",
        "22:16 51",
        "23:9 -",  # two rows fit, where only one may
        "23:9 >= 3",
    }


def test_good_cases_leave_the_window_the_cap_and_what_no_case_is_about(tmp_path: Path) -> None:
    report = tried(folder(tmp_path, GOOD))
    assert survivors(report) == [
        "6:19 2020-02-29", "6:19 2020-03-02", "6:38 2020-05-31", "6:38 2020-06-02",
        "14:10 nothing", "14:18 2",
        "26:9 no such rule", "30:58 2020-12-30", "30:58 2021-01-01",
        "33:47 add_days(date_of(event.time), 6)", "33:47 add_days(date_of(event.time), 8)",
    ]  # fmt: skip
    # 30 mutants; 100 - 50 is 50, but 100 - 80 is 20
    assert (str(report.score), report.short_of(None)) == ("19/30", "11 mutants that no case notices")
    assert report.by_kind()["windows"] == {"killed": 0, "survived": 4, "accepted": 0, "refused": 0}
    # 19 / 30 = 63.3 %
    assert report.short_of(Decimal(63)) is None
    assert report.short_of(Decimal(64)) == "19/30 mutants are killed, below 64 %"
    lines = list(report.lines())
    assert lines[0].endswith(
        "part-back.yaml:6:19: survived (windows): effective.from: 2020-03-01 → 2020-02-29"
    )
    assert lines[1] == "    write a case with event.time on 2020-02-29"


def test_what_check_would_find_is_no_mutant(tmp_path: Path) -> None:
    place = folder(tmp_path)
    later = POLICY.replace("version: 1", "version: 2").replace(
        "from: 2020-03-01, until: 2020-06-01", "from: 2020-06-01"
    )
    (place / "part-back.v2.yaml").write_text(later)
    report = tried(place)
    # two versions would govern on one day
    assert [f"{one.version} {one.change}" for one in report.refused] == [
        "2 effective.from: 2020-06-01 → 2020-05-31",
        "1 effective.until: 2020-06-01 → 2020-06-02",
    ]


def test_a_survivor_is_accepted_with_a_reason(tmp_path: Path) -> None:
    head = (
        "accepted_mutants:\n"
        '  - {change: "cap.count: 1 -> 2", rule: back, reason: nobody cancels three times}\n'
        '  - {change: "row 1, column 2: 50 → 49", reason: a case kills it}\n'
        '  - {change: "cap.count: 1 → 3", version: 1, reason: there is none}\n'
    )
    report = tried(folder(tmp_path, GOOD, head))
    assert [(one.after, reason) for one, reason in report.accepted] == [("2", "nobody cancels three times")]
    assert "14:18 2" not in survivors(report)
    assert str(report.score) == "19/29"
    assert [f"{one.line}:{one.column} {one.code} {one.message}" for one in report.findings] == [
        "3:14 PE079 no mutant survives that is `row 1, column 2: 50 → 49`",
        "4:14 PE079 no mutant survives that is `cap.count: 1 → 3`",
    ]


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("accepted_mutants: 3\n", "1:19: PE070 accepted mutants are a list"),
        ("accepted_mutants: [{change: x}]\n", "1:20: PE070 an accepted mutant has a `change` and a `reason`"),
        ("accepted_mutants: [{chang: x}]\n", "1:21: PE070 unknown key `chang`; did you mean `change`?"),
        ("accepted_mutants: [{change: x, reason: y, version: z}]\n", "1:20: PE070 `version` is a number"),
    ],
)
def test_an_acceptance_that_is_malformed(tmp_path: Path, head: str, told: str) -> None:
    (plan,) = planned(folder(tmp_path, head=head))
    assert any(told in str(finding) for finding in plan.findings)


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    place = folder(tmp_path, GOOD)
    made = mutation(place)
    alone = list(fates(made, partial(mutation, place), 1))
    assert list(fates(made, partial(mutation, place), 2)) == alone
    assert alone.count(Fate.KILLED) == 19


def test_mutants_are_tried_on_cases_that_pass(tmp_path: Path) -> None:
    place = folder(tmp_path, HALF.replace("50 ILS", "51 ILS"))
    with pytest.raises(UsageError, match=r"one fails: .*half of a hundred"):
        mutation(place)


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no policy `travel/part` to mutate; did you mean `travel/part-back`"
    ):
        Mutation.of(planned(folder(tmp_path)), CaseEngine(catalogue()), "travel/part")
