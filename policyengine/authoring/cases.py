"""Runs the cases beside the policies: real events through the real engine, expected against got.

Reading a file of cases is authoring.case_file, comparing is authoring.case_check; what decides is
handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from policyengine.authoring.case_check import differences, relevant
from policyengine.authoring.case_expect import Expectation
from policyengine.authoring.case_file import Case, CaseFile, read_cases
from policyengine.authoring.load import CASES_SUFFIX, LoadedFolder, LoadedPolicy, load_policies, read_bytes
from policyengine.authoring.yaml_source import Path as DataPath
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Decision
from policyengine.domain.events import Rejection
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy import Policy
from policyengine.domain.values import Json, Value
from policyengine.engine.explain import explain
from policyengine.engine.faults import CompileError
from policyengine.errors import Finding, PolicyError

ALL = "all"


class Engine(Protocol):
    """Decides a stream under some policies, from an empty state."""

    def run(
        self, policies: Sequence[Policy], world: Mapping[str, Value], events: Sequence[bytes]
    ) -> list[list[Decision] | Rejection]:
        """For each event its decisions, or why it was rejected."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that did not come out as expected."""

    file: str
    line: int
    column: int
    case: str
    differences: tuple[str, ...]
    trace: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The place, what differs, and the decisions with their traces."""
        yield f"{self.file}:{self.line}:{self.column}: FAILED {self.case}"
        for text in self.differences:
            yield f"  - {text}"
        for text in self.trace:
            yield f"    {text}"

    def to_json(self) -> dict[str, Json]:
        """As data."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "case": self.case,
            "differences": list(self.differences),
            "trace": list(self.trace),
        }


@dataclass(slots=True)
class Report:
    """What came of a folder's cases."""

    passed: int = 0
    failures: list[Failure] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there are cases, and all are sound and came out as expected."""
        return self.passed > 0 and not self.failures and not self.findings

    def lines(self) -> Iterator[str]:
        """The report as plain text."""
        for finding in self.findings:
            yield str(finding)
        for failure in self.failures:
            yield from failure.lines()
        counts = [f"{self.passed} passed", f"{len(self.failures)} failed"]
        if self.findings:
            counts.append(f"{len(self.findings)} malformed")
        yield f"cases: {', '.join(counts)}"
        if not self.passed and not self.failures and not self.findings:
            yield "no case was run: write cases into x.cases.yaml beside x.yaml, or widen --only"

    def to_json(self) -> dict[str, Json]:
        """As data."""
        findings: list[Json] = [
            {
                "file": finding.file,
                "line": finding.line,
                "column": finding.column,
                "code": finding.code,
                "message": finding.message,
                "hint": finding.hint,
            }
            for finding in self.findings
        ]
        failures: list[Json] = [failure.to_json() for failure in self.failures]
        return {"ok": self.ok, "passed": self.passed, "failures": failures, "findings": findings}


def run_cases(folder: Path, catalogue: Catalogue, engine: Engine, only: str | None = None) -> Report:
    """Run every case below a folder, or those whose file or name contains ``only``.

    PolicyError where the policies themselves do not load or compile.
    """
    loaded = load_policies(folder)
    report = Report()
    for path in sorted(folder.rglob(f"*{CASES_SUFFIX}")):
        cases, findings = read_cases(read_bytes(path), path.as_posix(), catalogue)
        report.findings += findings
        if cases is not None:
            _FileRun(loaded, cases, path, engine, report).run(only)
    return report


@dataclass(slots=True)
class _FileRun:
    loaded: LoadedFolder
    cases: CaseFile
    path: Path
    engine: Engine
    report: Report

    def run(self, only: str | None) -> None:
        own = self._own()
        if own is None:
            return
        for case in self.cases.cases:
            if only is not None and only not in case.name and only not in self.path.as_posix():
                continue
            policies = self._in_force(case, own)
            if policies is not None and self._names_known_rules(case, policies):
                self._run_case(case, policies)

    def _own(self) -> set[str] | None:
        """The policy that the file is about: named in it, or in the files beside it."""
        names = {loaded.policy.policy for loaded in self.loaded.policies}
        if self.cases.policy is not None:
            if self.cases.policy in names:
                return {self.cases.policy}
            self._unknown_policy(("policy",), self.cases.policy, names)
            return None
        stem = self.path.name.removesuffix(CASES_SUFFIX)
        beside = [
            loaded.policy.policy
            for loaded in self.loaded.policies
            if Path(loaded.file).parent == self.path.parent and Path(loaded.file).name.startswith(f"{stem}.")
        ]
        if beside:
            return set(beside)
        hint = f"write `policy: name`, or put the cases beside {stem}.yaml"
        self._note((), "PE074", "whose cases these are is not known", hint)
        return None

    def _in_force(self, case: Case, own: set[str]) -> list[LoadedPolicy] | None:
        names = {loaded.policy.policy for loaded in self.loaded.policies}
        if ALL in case.companions:
            return list(self.loaded.policies)
        unknown = [name for name in case.companions if name not in names]
        for name in unknown:
            self._unknown_policy((*case.path, "with"), name, names)
        wanted = own | set(case.companions)
        return None if unknown else [each for each in self.loaded.policies if each.policy.policy in wanted]

    def _names_known_rules(self, case: Case, policies: Sequence[LoadedPolicy]) -> bool:
        """A mistyped rule must not make `lost` or `rules` hold by accident."""
        known = {rule.id for loaded in policies for rule in loaded.policy.rules}
        before = len(self.report.findings)
        for expectation in case.expectations:
            wanted = expectation.wanted
            for key in ("rules", "lost", "unknown", "errors"):
                for rule in wanted.get(key, ()):
                    if rule not in known:
                        hint = did_you_mean(str(rule), known) or f"rules are {', '.join(sorted(known))}"
                        self._note((*expectation.path, key), "PE077", f"unknown rule `{rule}`", hint)
        return len(self.report.findings) == before

    def _run_case(self, case: Case, policies: Sequence[LoadedPolicy]) -> None:
        try:
            results = self.engine.run([each.policy for each in policies], case.world, case.events)
        except CompileError as error:
            part = LoadedFolder(self.loaded.folder, tuple(policies), ())
            raise PolicyError(sorted(part.findings_of(error.faults))) from error
        wrong: list[str] = []
        about: list[Decision] = []
        expected_rejections = {each.after for each in case.expectations if "rejected" in each.wanted}
        for index, result in enumerate(results):
            if isinstance(result, Rejection) and index not in expected_rejections:
                wrong.append(f"event {index + 1} was rejected: {result.code} {result.reason}")
        for expectation in case.expectations if not wrong else ():
            found = differences(expectation, results[expectation.after])
            wrong += _numbered(expectation, found, len(results))
            if found:
                about += _decisions(expectation, results[expectation.after], about)
        if wrong:
            line, column = self.cases.document.position(case.path)
            trace = tuple(text for decision in about for text in explain(decision.to_json()))
            failure = Failure(self.path.as_posix(), line, column, case.name, tuple(wrong), trace)
            self.report.failures.append(failure)
        else:
            self.report.passed += 1

    def _unknown_policy(self, path: DataPath, name: str, known: set[str]) -> None:
        hint = did_you_mean(name, known) or f"policies are {', '.join(sorted(known))}"
        self._note(path, "PE074", f"unknown policy `{name}`", hint)

    def _note(self, path: DataPath, code: str, message: str, hint: str) -> None:
        finding = self.cases.document.finding(path, code, message, hint)
        if finding not in self.report.findings:
            self.report.findings.append(finding)


def _numbered(expectation: Expectation, found: list[str], events: int) -> list[str]:
    if expectation.after == events - 1:
        return found
    return [f"after event {expectation.after + 1}: {text}" for text in found]


def _decisions(
    expectation: Expectation, result: list[Decision] | Rejection, shown: Sequence[Decision]
) -> list[Decision]:
    if isinstance(result, Rejection):
        return []
    return [decision for decision in relevant(expectation, result) if decision not in shown]
