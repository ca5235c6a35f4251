"""Policy files, checked: everything that is wrong or suspicious, each with file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from policyengine.authoring.case_plan import case_findings
from policyengine.authoring.load import (
    CASES_SUFFIX,
    LoadedFolder,
    LoadedPolicy,
    folder_findings,
    policy_files,
    read_files,
    read_policies,
)
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.policy import Policy
from policyengine.engine.compile import compile_policies
from policyengine.engine.faults import CompileError
from policyengine.engine.lint import SEVERITIES, lint
from policyengine.engine.ruleset import RuleSet
from policyengine.errors import Finding, PolicyError, UsageError


class HasRules(Protocol):
    """What `prepare` makes of policies."""

    @property
    def ruleset(self) -> RuleSet:
        """The policies compiled."""


Prepared = TypeVar("Prepared", bound=HasRules)
Prepare = Callable[[Sequence[Policy], Catalogue], Prepared]


@dataclass(frozen=True, slots=True)
class Checked(Generic[Prepared]):
    """Every finding, of all severities, sorted; ``prepared`` where no policy has an error."""

    findings: tuple[Finding, ...]
    prepared: Prepared | None

    @property
    def errors(self) -> list[Finding]:
        """Those that keep the policies from being used."""
        return [finding for finding in self.findings if finding.severity == "error"]


def check_folder(folder: Path, catalogue: Catalogue, prepare: Prepare[Prepared]) -> Prepared:
    """Load and compile a folder with ``prepare``; PolicyError carries every error, sorted."""
    errors, _, prepared = _prepare(read_policies(folder), catalogue, prepare)
    if prepared is None:
        raise PolicyError(errors)
    return prepared


def examine(
    paths: Sequence[Path], catalogue: Catalogue, prepare: Prepare[Prepared], on: date
) -> Checked[Prepared]:
    """Check files and folders together: errors, what is suspicious on the day ``on``, and their cases.

    A folder alone is taken for the whole policy set; UsageError for what cannot be read.
    """
    loaded = _read(paths)
    of_cases = case_findings(paths, loaded, catalogue)
    whole = len(paths) == 1 and paths[0].is_dir()
    errors, faulty, prepared = _prepare(loaded, catalogue, prepare)
    if prepared is not None:
        remarks = _remarks(loaded.policies, prepared.ruleset, on, whole=whole)
    else:
        sound = [one for number, one in enumerate(loaded.policies) if number not in faulty]
        remarks = _remarks_of_some(sound, catalogue, on)
    return Checked(tuple(sorted([*errors, *of_cases, *remarks])), prepared)


def _read(paths: Sequence[Path]) -> LoadedFolder:
    if len(paths) == 1 and paths[0].is_dir():
        return read_policies(paths[0])
    files: dict[Path, Path] = {}  # each once, however often it was named
    findings: list[Finding] = []
    for path in paths:
        here = policy_files(path) if path.is_dir() else [_policy_file(path)]
        if path.is_dir():
            findings += folder_findings(path, here)
        for file in here:
            files.setdefault(file.resolve(), file)
    loaded = read_files(files.values())
    return LoadedFolder(Path(), loaded.policies, tuple(sorted([*findings, *loaded.findings])))


def _policy_file(path: Path) -> Path:
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if path.name.endswith(CASES_SUFFIX):
        raise UsageError(f"{path} holds cases: run `policyengine test {path.parent}`")
    if path.suffix != ".yaml":
        raise UsageError(f"{path} is no policy file: those end in .yaml")
    return path


def _prepare(
    loaded: LoadedFolder, catalogue: Catalogue, prepare: Prepare[Prepared]
) -> tuple[list[Finding], set[int], Prepared | None]:
    """Errors, which policies have one that compiling found, and what was prepared where there is none."""
    findings = list(loaded.findings)
    if not loaded.policies:
        return findings, set(), None
    try:
        prepared = prepare(loaded.models, catalogue)
    except CompileError as error:
        findings += loaded.findings_of(error.faults)
        return sorted(findings), {fault.policy for fault in error.faults}, None
    if findings:
        prepared.ruleset.close()
        return findings, set(), None
    return [], set(), prepared


def _remarks(policies: Sequence[LoadedPolicy], ruleset: RuleSet, on: date, *, whole: bool) -> list[Finding]:
    loaded = LoadedFolder(Path(), tuple(policies), ())
    found = loaded.findings_of(lint(loaded.models, ruleset, on, whole=whole))
    return [replace(finding, severity=SEVERITIES[finding.code]) for finding in found]


def _remarks_of_some(policies: Sequence[LoadedPolicy], catalogue: Catalogue, on: date) -> list[Finding]:
    """Remarks on those that are sound, where they are by themselves."""
    try:
        ruleset = compile_policies([loaded.policy for loaded in policies], catalogue, "")
    except CompileError:
        return []
    try:
        return _remarks(policies, ruleset, on, whole=False)
    finally:
        ruleset.close()
