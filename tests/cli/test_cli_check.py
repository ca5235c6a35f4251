"""`check` for people, for programs, for GitHub and for code scanning; its exit codes; its pages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import jsonschema
import pytest

from policyengine.cli.check_formats import sarif, workflow_commands
from policyengine.errors import Finding
from tests.cli.commands import Place, call, is_one_clear_line
from tests.support import draft, refund

SCHEMA = json.loads((Path(__file__).parent / "sarif-schema-2.1.0.json").read_text("utf-8"))


@pytest.fixture
def suspicious(place: Place) -> Path:
    """A warning (never applies) and a note (its review is due), no error."""
    rule = refund("booking.paid", when=["1 > 2"])
    place.policy(draft("a/one", rule, review="2020-05-01"), "one.v1.yaml")
    return place.folder / "rules"


class TestSeverities:
    def test_warnings_alone_are_no_failure_but_with_strict(self, suspicious: Path) -> None:
        plain = call("check", suspicious)
        assert (plain.code, plain.err) == (0, "")
        assert "PE080 warning: `1 > 2` is never true" in plain.out
        assert "1 policy version, 1 rule: 1 warning, 1 note" in plain.out
        assert call("check", suspicious, "--strict").code == 1

    def test_notes_alone_never_are(self, place: Place) -> None:
        rules = place.policy(draft("a/one", refund("booking.paid"), review="2020-05-01"))
        assert call("check", rules, "--strict").code == 0

    def test_reviews_are_due_on_the_day_that_is_asked_for(self, suspicious: Path) -> None:
        assert "PE090" in call("check", suspicious, "--on", "2020-05-01").out
        assert "PE090" not in call("check", suspicious, "--on", "2020-04-30").out
        assert call("check", suspicious, "--on", "1.5.2020").code == 2

    def test_files_are_checked_as_folders_are(self, suspicious: Path) -> None:
        file = suspicious / "one.v1.yaml"
        assert f"{file.as_posix()}:" in call("check", file).out
        assert call("check", file, "--strict").code == 1
        assert is_one_clear_line(call("check", suspicious / "none.yaml"), 2, "does not exist")


class TestFormats:
    def test_json_counts_by_severity(self, suspicious: Path) -> None:
        told = call("check", suspicious, "--format", "json").json
        assert told["counts"] == {"error": 0, "warning": 1, "note": 1}
        assert [one["severity"] for one in told["findings"]] == ["note", "warning"]
        assert told["policies"] == 1

    def test_github_shows_each_beside_its_line(self, suspicious: Path) -> None:
        lines = call("check", suspicious, "--format", "github").out.splitlines()
        file = (suspicious / "one.v1.yaml").as_posix()
        assert lines[0].startswith(f"::notice file={file},line=1,col=")
        assert lines[1].startswith(f"::warning file={file},line=1,col=")
        assert ",title=PE080::`1 > 2` is never true" in lines[1]

    def test_what_github_would_misread_is_escaped(self) -> None:
        odd = Finding("a,b:c.yaml", 3, 5, "PE001", "100 %\nof it", "", "error")
        whole = Finding("x.yaml", 0, 0, "PE001", "empty", "write a policy")
        assert workflow_commands([odd, whole]) == [
            "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=PE001::100 %25%0Aof it",
            "::error file=x.yaml,title=PE001::empty; write a policy",
        ]

    def test_sarif_is_what_its_schema_says(self, suspicious: Path) -> None:
        document = call("check", suspicious, "--format", "sarif").json
        jsonschema.Draft4Validator(SCHEMA).validate(document)
        (run,) = document["runs"]
        assert [one["level"] for one in run["results"]] == ["note", "warning"]
        assert [one["id"] for one in run["tool"]["driver"]["rules"]] == ["PE080", "PE090"]
        for result in run["results"]:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]

    def test_sarif_of_nothing_and_of_whole_files_is_valid_too(self) -> None:
        validator = jsonschema.Draft4Validator(SCHEMA)
        validator.validate(sarif([]))
        validator.validate(sarif([Finding("a b/שלום.yaml", 0, 0, "PE004", "nothing there")]))
        assert sarif([Finding("a b.yaml", 0, 0, "PE004", "x")])["runs"][0]["results"][0]["locations"] == [
            {"physicalLocation": {"artifactLocation": {"uri": "a%20b.yaml"}}}
        ]

    def test_schema_files_at_fault_are_told_in_each_format(self, place: Place) -> None:
        (place.folder / "mine" / "events").mkdir(parents=True)
        (place.folder / "mine" / "events" / "x.json").write_text("{}")
        for form in ("human", "json", "github", "sarif"):
            result = call("check", place.rules, "--schemas", "mine", "--format", form)
            assert (result.code, result.err) == (1, "")
            assert "mine/events/x.json" in result.out


class TestExplain:
    def test_a_code_has_a_page(self) -> None:
        result = call("check", "--explain", "pe080")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("# PE080: ")

    @pytest.mark.parametrize("code", ["PE999", "7", "../README", "PE08"])
    def test_a_code_that_is_none_is_told(self, code: str) -> None:
        assert is_one_clear_line(call("check", "--explain", code), 2, f"there is no code `{code}`")


def _line_with(code: str, lines: Iterable[str]) -> str:
    return next((line for line in lines if code in line), "it ended")


def test_watching_checks_again_on_a_change_and_ends_quietly(place: Place) -> None:
    """As its user meets it: a first look, a change, Ctrl-C."""
    rules = place.rules
    (file,) = rules.rglob("*.yaml")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("POLICYENGINE_")}
    command = [sys.executable, "-m", "policyengine.cli.main", "check", str(rules), "--watch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert "nothing wrong" in process.stdout.readline()
            assert "watching for changes" in process.stderr.readline()
            wrong = file.read_text("utf-8").replace("paid", "payd")
            seen: Queue[str] = Queue()
            Thread(target=lambda: seen.put(_line_with("PE031", process.stdout or [])), daemon=True).start()
            for _ in range(240):  # the watch may take a moment to be there
                file.write_text(wrong, "utf-8")
                with suppress(Empty):
                    assert "PE031" in seen.get(timeout=1)
                    break
            assert "watching for changes" in process.stderr.readline()
        finally:
            process.send_signal(signal.SIGINT)
        _, left = process.communicate(timeout=240)
        assert "Traceback" not in left
        assert process.returncode in (0, 130)
