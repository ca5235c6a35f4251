"""JUnit XML: a suite per file, a test case per case, failures with what was expected."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from policyengine.authoring.case_check import Difference
from policyengine.authoring.case_report import Outcome, Report
from policyengine.authoring.junit import junit
from policyengine.errors import Finding


def parsed(report: Report) -> ET.Element:
    return ET.fromstring(junit(report))  # noqa: S314  (made a line before)


def test_a_suite_for_each_file_and_a_test_case_for_each_case() -> None:
    report = Report(
        [
            Outcome("a.cases.yaml", 3, 5, "holds", seconds=0.0015),
            Outcome("b.cases.yaml", 3, 5, "other file"),
            Outcome(
                "a.cases.yaml", 9, 5, "fails", (Difference("refund amount", "50 ILS", "40 ILS"),), ("why",)
            ),
        ]
    )
    root = parsed(report)
    assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
    }
    suites = [(one.get("name"), one.get("tests"), one.get("failures")) for one in root]
    assert suites == [("a.cases.yaml", "2", "1"), ("b.cases.yaml", "1", "0")]
    holds, fails = root[0]
    assert (holds.get("name"), holds.get("classname"), holds.get("line"), holds.get("time"), len(holds)) == (
        "holds", "a.cases.yaml", "3", "0.002", 0,
    )  # fmt: skip
    (failure,) = fails
    assert failure.get("message") == "expected refund amount 50 ILS, got 40 ILS"
    assert "a.cases.yaml:9:5: FAILED fails" in (failure.text or "")
    assert "why" in (failure.text or "")


def test_findings_are_errors() -> None:
    root = parsed(
        Report([], [Finding("x.cases.yaml", 2, 3, "PE072", "a case without expectations", "write some")])
    )
    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    (error,) = root[0][0]
    assert (error.get("type"), error.get("message")) == ("PE072", "a case without expectations")


def test_what_xml_cannot_hold_is_replaced() -> None:
    hebrew = "שלום \u200f<b>&\x00\x1b\ufffe"
    root = parsed(Report([Outcome("a.cases.yaml", 1, 1, hebrew)]))
    assert (
        root[0][0].get("name") == "שלום \u200f<b>&\N{REPLACEMENT CHARACTER}" + "\N{REPLACEMENT CHARACTER}" * 2
    )
