"""`test` as a policy owner meets it: failures, files, coverage, mutants, JUnit, watching."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from xml.etree import ElementTree as ET

from tests.authoring.owned import HALF, POLICY, case, folder
from tests.cli.commands import Place, call, is_one_clear_line

ROOT = Path(__file__).parents[2]


class TestTargets:
    def test_a_folder_a_policy_file_or_a_file_of_cases(self, place: Place) -> None:
        folder(place.folder)
        for target in ("rules", "rules/part-back.yaml", "rules/part-back.cases.yaml"):
            assert call("test", target).out == "cases: 1 passed, 0 failed\n"
        assert call("test", "rules", "rules/part-back.yaml").out == "cases: 2 passed, 0 failed\n"

    def test_a_file_finds_the_policies_beside_its_folder(self, place: Place) -> None:
        rules = folder(place.folder)
        (rules / "other").mkdir()
        (rules / "other" / "more.yaml").write_text(POLICY.replace("travel/part-back", "a/more"))
        with_more = f"with: [travel/part-back]\ncases:\n{case('both', '{rules: [back]}')}"
        (rules / "other" / "more.cases.yaml").write_text(with_more)
        assert call("test", "rules/other/more.yaml").out == "cases: 1 passed, 0 failed\n"
        (rules / "other" / "more.cases.yaml").write_text(with_more.replace("part-back]", "part-bck]"))
        assert (
            "PE074 unknown policy `travel/part-bck`; did you mean"
            in call("test", "rules/other/more.yaml").out
        )

    def test_what_is_no_target(self, place: Place) -> None:
        folder(place.folder)
        assert is_one_clear_line(call("test", "none"), 2, "none does not exist")
        assert is_one_clear_line(call("test", place.file("x.txt", b"")), 2, "both end in .yaml")
        assert call("test").code == 2

    def test_a_policy_without_cases_is_named(self, place: Place) -> None:
        rules = folder(place.folder)
        (rules / "bare.yaml").write_text(POLICY.replace("travel/part-back", "a/bare"))
        result = call("test", "rules")
        assert (result.code, result.out.splitlines()[0]) == (
            1,
            "rules/bare.yaml:1:9: PE078 `a/bare` has no case; write some into bare.cases.yaml beside it",
        )
        assert call("test", "rules", "--only", "half").code == 0
        assert call("test", "rules/bare.yaml").code == 1


class TestFailures:
    def test_expected_stands_beside_got_with_the_rule_that_matters(self, place: Place) -> None:
        folder(place.folder, HALF.replace("50 ILS", "49 ILS"))
        assert call("test", "rules").out == (
            "rules/part-back.cases.yaml:2:5: FAILED half of a hundred\n"
            "                    expected   got\n"
            "    refund amount   49 ILS     50.00 ILS\n"
            "    on event 2:\n"
            "      travel/part-back v1, rule back applied\n"
            '        ✓ booking.paid > money("10 ILS")   (booking.paid = 100.00 ILS)\n'
            "\n"
            "cases: 0 passed, 1 failed\n"
        )

    def test_why_nothing_was_granted_is_told_of_rules_that_were_no_candidates(self, place: Place) -> None:
        folder(place.folder, case("nine", "{outcome: granted}", paid="9"))
        out = call("test", "rules").out
        assert "    outcome   granted    none\n" in out
        assert '        ✗ booking.paid > money("10 ILS")   (booking.paid = 9.00 ILS)\n' in out
        assert "choose" not in out
        folder(place.folder, case("too early", "{outcome: granted}", at="2020-02-01T12:00:00Z"))
        out = call("test", "rules").out
        assert "rule back was not in force: in force from 2020-02-29T22:00:00Z until before" in out

    def test_trace_shows_the_whole_decision(self, place: Place) -> None:
        folder(place.folder, HALF.replace("50 ILS", "49 ILS"))
        out = call("test", "rules", "--trace").out
        assert "    Decision d-" in out
        assert "Outcome: granted" in out


class TestCoverage:
    def test_the_table_and_what_is_missing(self, place: Place) -> None:
        folder(place.folder)
        result = call("test", "rules", "--coverage", COLUMNS="140")
        assert (result.code, result.err) == (0, "")
        (row,) = (line.split() for line in result.out.splitlines() if line.strip().startswith("travel/"))
        assert row == ["travel/part-back", "1/1", "1/2", "1/2", "1/2", "0/4", "0/2", "0/1", "28.5"]
        assert "rules/part-back.yaml:26:9: rule choose never applies\n" in result.out

    def test_below_a_threshold_it_fails(self, place: Place) -> None:
        folder(place.folder)
        assert call("test", "rules", "--threshold", "28").code == 0
        result = call("test", "rules", "--threshold", "28", "--threshold", "rules=100")
        assert (result.code, result.out.splitlines()[-1]) == (
            1,
            "coverage of rules is 50 %, below 100 % (1/2)",
        )
        document = call("test", "rules", "--threshold", "rules=100", "--format", "json")
        assert (document.code, document.json["ok"], document.json["passed"]) == (1, False, 1)
        assert document.json["coverage"]["total"]["rules"] == {"covered": 1, "total": 2}
        assert document.json["coverage"]["short"] == ["coverage of rules is 50 %, below 100 % (1/2)"]
        assert is_one_clear_line(call("test", "rules", "--threshold", "x=1"), 2, "nothing is called `x`")


class TestMutate:
    def test_survivors_are_told_with_the_case_to_write(self, place: Place) -> None:
        folder(place.folder)
        result = call("test", "rules", "--mutate", "--jobs", "1")
        assert result.code == 1
        assert "rules/part-back.yaml:14:18: survived (thresholds) rule back: cap.count: 1 → 2\n" in result.out
        assert (
            "    write a case in which the cap of 1 per customer is reached, and one in which it is just not\n"
            in result.out
        )
        # one case kills seven of thirty: 23.3 %
        assert "mutants: 7/30 killed, 23.3 %\n23 mutants that no case notices\n" in result.out

    def test_a_threshold_for_mutants(self, place: Place) -> None:
        folder(place.folder)
        assert call("test", "rules", "--threshold", "mutants=23", "--jobs", "1").code == 0
        result = call(
            "test", "rules", "--mutate", "--threshold", "mutants=24", "--jobs", "1", "--format", "json"
        )
        assert (result.code, result.json["mutation"]["killed"], result.json["mutation"]["survived"]) == (
            1,
            7,
            23,
        )
        assert result.json["mutation"]["short"] == "7/30 mutants are killed, below 24 %"
        first = result.json["mutation"]["survivors"][0]
        assert (first["file"], first["line"], first["column"], first["kind"]) == (
            "rules/part-back.yaml",
            6,
            19,
            "windows",
        )

    def test_failing_cases_come_first(self, place: Place) -> None:
        folder(place.folder, HALF.replace("50 ILS", "49 ILS"))
        result = call("test", "rules", "--mutate")
        assert (result.code, result.out.splitlines()[-1]) == (1, "mutants are tried once all cases pass")

    def test_a_policy_that_is_not_there(self, place: Place) -> None:
        folder(place.folder)
        result = call("test", "rules", "--mutate", "--policy", "travel/part-bak")
        assert is_one_clear_line(
            result, 2, "no policy `travel/part-bak` here; did you mean `travel/part-back`?"
        )


def test_junit_is_written_beside_the_report(place: Place) -> None:
    folder(place.folder)
    assert call("test", "rules", "--junit", "made.xml").code == 0
    root = ET.fromstring((place.folder / "made.xml").read_bytes())  # noqa: S314  (made a line before)
    assert (root.get("tests"), root[0][0].get("name")) == ("1", "half of a hundred")
    assert is_one_clear_line(call("test", "rules", "--junit", "no/where.xml"), 2, "no/where.xml")


def test_watch_runs_again_and_ends_quietly_with_ctrl_c(tmp_path: Path) -> None:
    rules = folder(tmp_path)
    command = [sys.executable, "-m", "policyengine.cli.main", "test", "rules", "--watch"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "cases: 1 passed, 0 failed\n"
        assert "watching for changes" in process.stderr.readline()
        cases = rules / "part-back.cases.yaml"
        changed = cases.read_text() + case("ten is too little", "none", paid="10")
        seen: Queue[str] = Queue()
        Thread(target=lambda: seen.put(process.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
        for _ in range(240):  # the watcher may take a moment to be there
            cases.write_text(changed)
            with suppress(Empty):
                assert seen.get(timeout=1) == "cases: 2 passed, 0 failed\n"
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=240)
        assert (process.returncode, "Traceback" in errors) == (0, False)


def test_the_page_about_testing_shows_what_is_printed(place: Place) -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    policy, cases, _, rest, rest_cases = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    *runs, later = re.findall(r"```console\n\$ policyengine (.*?)\n(.*?)```", page, re.DOTALL)
    assert len(runs) == 3
    rules = place.folder / "rules"
    rules.mkdir(exist_ok=True)
    for text in (rest_cases, rest_cases.replace("on: 2020-04-14", "on: 2020-04-15")):
        (rules / "rest.yaml").write_text(rest)
        (rules / "rest.cases.yaml").write_text(text)
        result = call("test", "rules")
        assert (result.code, result.out == later[1]) == ((1, True) if text == rest_cases else (0, False))
    (rules / "rest.yaml").unlink()
    (rules / "rest.cases.yaml").unlink()
    (rules / "late-arrival.yaml").write_text(policy)
    for number, (arguments, printed) in enumerate(runs):
        right = cases if number == 0 else cases.replace("140 ILS", "150 ILS")
        (rules / "late-arrival.cases.yaml").write_text(right)
        assert call(*arguments.split()).out == printed, arguments
