"""Findings as programs read them: GitHub's workflow commands, and SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from policyengine import __version__
from policyengine.authoring.code_pages import titles
from policyengine.errors import Finding

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def workflow_commands(findings: Iterable[Finding]) -> list[str]:
    """A line each, which GitHub shows beside the line of the file that it is about."""
    return [_command(finding) for finding in findings]


def _command(finding: Finding) -> str:
    places = {"file": finding.file}
    if finding.line:
        places |= {"line": str(finding.line), "col": str(max(finding.column, 1))}
    places["title"] = finding.code
    given = ",".join(f"{name}={_property(value)}" for name, value in places.items())
    return f"::{_COMMANDS[finding.severity]} {given}::{_data(said(finding))}"


def said(finding: Finding) -> str:
    """What is wrong and what to do, in one text."""
    return f"{finding.message}; {finding.hint}" if finding.hint else finding.message


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(findings: Sequence[Finding]) -> Mapping[str, Any]:
    """One run of `policyengine check`, as code scanning services take it."""
    codes = sorted({finding.code for finding in findings})
    severities = {finding.code: finding.severity for finding in findings}
    known = titles()
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "policyengine check",
                        "version": __version__,
                        "rules": [
                            {
                                "id": code,
                                "shortDescription": {"text": known.get(code, code)},
                                "help": {"text": f"policyengine check --explain {code}"},
                                "defaultConfiguration": {"level": severities[code]},
                            }
                            for code in codes
                        ],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, codes.index(finding.code)) for finding in findings],
            }
        ],
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if finding.line:
        place["region"] = {"startLine": finding.line, "startColumn": max(finding.column, 1)}
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": said(finding)},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
