"""A report of cases as JUnit XML, as CI systems read it: a suite per file, a test case per case."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from policyengine.authoring.case_report import Outcome, Report
from policyengine.errors import Finding

# what XML 1.0 cannot hold, not even escaped
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> bytes:
    """The document: failures hold expected, got and the trace; findings are errors of their own suite."""
    root = ET.Element("testsuites", name="policyengine test")
    for file, outcomes in groupby(sorted(report.outcomes, key=_place), key=lambda one: one.file):
        _suite(root, file, list(outcomes))
    if report.findings:
        suite = ET.SubElement(root, "testsuite", name="findings")
        for finding in report.findings:
            _error(suite, finding)
        _count(suite, len(report.findings), errors=len(report.findings))
    _count(root, len(report.outcomes) + len(report.findings), len(report.failures), len(report.findings))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _place(outcome: Outcome) -> tuple[str, int, int]:
    return outcome.file, outcome.line, outcome.column


def _suite(root: ET.Element, file: str, outcomes: Sequence[Outcome]) -> None:
    suite = ET.SubElement(root, "testsuite", name=_text(file))
    _count(suite, len(outcomes), sum(outcome.failed for outcome in outcomes))
    suite.set("time", _seconds(sum(outcome.seconds for outcome in outcomes)))
    for outcome in outcomes:
        case = ET.SubElement(
            suite,
            "testcase",
            name=_text(outcome.case),
            classname=_text(file),
            file=_text(file),
            line=str(outcome.line),
            time=_seconds(outcome.seconds),
        )
        if outcome.failed:
            first = _text(str(outcome.differences[0]))
            failure = ET.SubElement(case, "failure", message=first, type="difference")
            failure.text = _text("\n".join(outcome.lines()))


def _error(suite: ET.Element, finding: Finding) -> None:
    name = f"{finding.file}:{finding.line}:{finding.column}"
    case = ET.SubElement(
        suite, "testcase", name=_text(name), classname=_text(finding.file), line=str(finding.line)
    )
    error = ET.SubElement(case, "error", message=_text(finding.message), type=finding.code)
    error.text = _text(str(finding))


def _count(element: ET.Element, tests: int, failures: int = 0, errors: int = 0) -> None:
    for name, count in (("tests", tests), ("failures", failures), ("errors", errors)):
        element.set(name, str(count))


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
