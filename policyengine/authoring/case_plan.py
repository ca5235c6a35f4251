"""Which cases are to be run, and which policies are in force in each: folders and files → a plan.

Reading a file of cases is authoring.case_file; running a plan is authoring.cases.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path

from policyengine.authoring.case_file import Case, CaseFile, read_cases
from policyengine.authoring.case_later import said
from policyengine.authoring.load import (
    CASES_SUFFIX,
    LoadedFolder,
    LoadedPolicy,
    load_policies,
    read_bytes,
    read_policies,
)
from policyengine.authoring.yaml_source import Path as DataPath
from policyengine.authoring.yaml_source import plain_value
from policyengine.domain.calendar import FIRST_DAY, LAST_DAY, local_date
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.near import did_you_mean
from policyengine.errors import Finding, UsageError

ALL = "all"
_ReadCases = tuple[CaseFile | None, list[Finding]]


@dataclass(frozen=True, slots=True)
class Planned:
    """A case, the file it stands in, and the policies in force; ``own`` are those it is about."""

    cases: CaseFile
    case: Case
    policies: tuple[LoadedPolicy, ...]
    own: frozenset[str]

    @property
    def file(self) -> str:
        """The file's name, as findings show it."""
        return self.cases.document.file

    @property
    def place(self) -> tuple[int, int]:
        """Line and column of the case."""
        return self.cases.document.position(self.case.path)

    @property
    def zones(self) -> dict[str, tzinfo]:
        """The zone of each policy's days."""
        return {loaded.policy.policy: loaded.policy.zone for loaded in self.policies}

    @property
    def zone(self) -> tzinfo:
        """The zone of the days that the case names: that of the policies it is about."""
        return next(zone for name, zone in self.zones.items() if name in self.own)

    @property
    def until(self) -> datetime | None:
        """How long to look at what happens by itself after the last event."""
        return None if self.case.later is None else self.case.later.until(self.zone)


@dataclass(slots=True)
class Plan:
    """The cases of one folder of policies; ``about``: the policies asked for, by name."""

    loaded: LoadedFolder
    about: frozenset[str]
    cases: list[Planned] = field(default_factory=list)
    files: list[CaseFile] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    owned: set[str] = field(default_factory=set)  # policies that some file of cases is about

    def without_cases(self) -> Iterator[Finding]:
        """The policies asked for that no case is about: PE078, at the first version's file."""
        named = self.owned | {name for planned in self.cases for name in planned.own}
        for loaded in self.loaded.policies:
            policy = loaded.policy.policy
            if policy in self.about and policy not in named:
                named.add(policy)
                stem = Path(loaded.file).name.partition(".")[0]
                hint = f"write some into {stem}{CASES_SUFFIX} beside it"
                yield loaded.document.finding(("policy",), "PE078", f"`{policy}` has no case", hint)


def plans(targets: Sequence[Path], catalogue: Catalogue, only: str | None = None) -> list[Plan]:
    """A plan for each target: a folder of policies, a policy file or a file of cases.

    ``only``: the cases whose file or name contains it. PolicyError where policies do not load.
    """
    return [_plan(target, catalogue, only) for target in dict.fromkeys(targets)]


def case_findings(paths: Sequence[Path], loaded: LoadedFolder, catalogue: Catalogue) -> list[Finding]:
    """What is wrong with the cases below folders and beside policy files, without running any.

    ``loaded``: the policies of these, as far as they are sound. Whether cases name what there is, is asked
    only where all policies of their folder are sound.
    """
    found: set[Finding] = set()
    for path in paths:
        folder = path if path.is_dir() else path.parent
        files = path.rglob(f"*{CASES_SUFFIX}") if path.is_dir() else [_beside(path)]
        read = [_read(file, catalogue) for file in sorted(files) if file.is_file()]
        found.update(finding for _, findings in read for finding in findings)
        policies = loaded if [folder] == list(paths) else read_policies(folder) if read else loaded
        if not policies.findings:
            plan = Plan(_with_companions(policies, folder, read, whole=path.is_dir()), frozenset())
            found.update(_filled(plan, read, None).findings)
    return sorted(found)


def _plan(target: Path, catalogue: Catalogue, only: str | None) -> Plan:
    if not target.is_file():
        inside = load_policies(target)
        read = [_read(file, catalogue) for file in sorted(target.rglob(f"*{CASES_SUFFIX}"))]
        plan = Plan(_with_companions(inside, target, read), _names(inside))
        return _filled(plan, read, only)
    if target.suffix != ".yaml":
        raise UsageError(f"{target} is neither a policy file nor a file of cases: both end in .yaml")
    beside = _beside(target)
    read = [_read(beside, catalogue)] if beside.is_file() else []
    loaded = _with_companions(load_policies(target.parent), target.parent, read, whole=False)
    plan = Plan(loaded, frozenset())
    if target != beside:
        here = {each.policy.policy for each in loaded.policies if Path(each.file) == target}
        plan.about = frozenset(here)
    return _filled(plan, read, only, whole=target == beside)


def _with_companions(
    loaded: LoadedFolder, folder: Path, read: Sequence[_ReadCases], *, whole: bool = True
) -> LoadedFolder:
    """The policies of a folder, or of one above it where a case names one that is not there.

    ``whole``: `with: all` means the policies of this folder; else those of the next one that is sound.
    """
    files = [cases for cases, _ in read if cases is not None]
    wanted = {cases.policy for cases in files} | {
        name for cases in files for case in cases.cases for name in case.companions
    }
    enough = {*_names(loaded), None, *([ALL] if whole else [])}
    for above in () if wanted <= enough else _above(folder):
        higher = read_policies(above)
        if not higher.findings:
            loaded = higher  # where the name is nowhere, the most is known that it could have meant
            if wanted <= {*_names(higher), None, ALL}:
                break
    return loaded


def _beside(policy: Path) -> Path:
    """The file of cases beside a policy file."""
    return policy.with_name(policy.name.partition(".")[0] + CASES_SUFFIX)


def _names(loaded: LoadedFolder) -> frozenset[str]:
    return frozenset(each.policy.policy for each in loaded.policies)


def _above(folder: Path) -> list[Path]:
    """The folders above one, but never the working directory nor what is above or beside that."""
    here = Path.cwd()
    return [above for above in folder.parents if here in above.resolve().parents]


def _read(file: Path, catalogue: Catalogue) -> _ReadCases:
    return read_cases(read_bytes(file), file.as_posix(), catalogue)


def _filled(
    plan: Plan,
    read: Sequence[_ReadCases],
    only: str | None,
    *,
    whole: bool = False,
) -> Plan:
    """Add the files; ``whole``: the plan is about what they are about."""
    for cases, findings in read:
        plan.findings += findings
        if cases is not None:
            plan.files.append(cases)
            planner = _Planner(plan, cases)
            own = planner.own()
            plan.owned |= own
            if whole:
                plan.about |= own
            planner.add(frozenset(own), only)
    return plan


@dataclass(frozen=True, slots=True)
class _Planner:
    plan: Plan
    cases: CaseFile

    def add(self, own: frozenset[str], only: str | None) -> None:
        file = self.cases.document.file
        for case in self.cases.cases if own else ():
            if only is not None and only not in case.name and only not in file:
                continue
            policies = self.in_force(case, own)
            if policies is not None and self.names_known_rules(case, policies):
                planned = Planned(self.cases, case, tuple(policies), own)
                if self.looks_ahead(planned):
                    self.plan.cases.append(planned)

    def own(self) -> set[str]:
        """The policy that the file is about: named in it, or in the files beside it."""
        names = {loaded.policy.policy for loaded in self.plan.loaded.policies}
        if self.cases.policy is not None:
            if self.cases.policy in names:
                return {self.cases.policy}
            self.unknown_policy(("policy",), self.cases.policy, names)
            return set()
        path = Path(self.cases.document.file)
        stem = path.name.removesuffix(CASES_SUFFIX)
        beside = {
            loaded.policy.policy
            for loaded in self.plan.loaded.policies
            if Path(loaded.file).parent == path.parent and Path(loaded.file).name.startswith(f"{stem}.")
        }
        if not beside:
            hint = f"write `policy: name`, or put the cases beside {stem}.yaml"
            self.note((), "PE074", "whose cases these are is not known", hint)
        return beside

    def in_force(self, case: Case, own: frozenset[str]) -> list[LoadedPolicy] | None:
        loaded = self.plan.loaded.policies
        names = {each.policy.policy for each in loaded}
        if ALL in case.companions:
            return list(loaded)
        unknown = [name for name in case.companions if name not in names]
        for name in unknown:
            self.unknown_policy((*case.path, "with"), name, names)
        wanted = own | set(case.companions)
        return None if unknown else [each for each in loaded if each.policy.policy in wanted]

    def names_known_rules(self, case: Case, policies: Sequence[LoadedPolicy]) -> bool:
        """A mistyped rule must not make `lost` or `rules` hold by accident."""
        known = {rule.id for loaded in policies for rule in loaded.policy.rules}
        before = len(self.plan.findings)
        awaited = () if case.later is None else case.later.awaited
        named = [((*each.path, "rule"), each.rule) for each in awaited if each.rule is not None]
        for expectation in (*case.expectations, *(one for each in awaited for one in each.expectations)):
            for key in ("rules", "lost", "unknown", "errors"):
                named += [((*expectation.path, key), str(rule)) for rule in expectation.wanted.get(key, ())]
        for path, rule in named:
            if rule not in known:
                hint = did_you_mean(rule, known) or f"rules are {', '.join(sorted(known))}"
                self.note(path, "PE077", f"unknown rule `{rule}`", hint)
        return len(self.plan.findings) == before

    def looks_ahead(self, planned: Planned) -> bool:
        """What comes later comes after the last event."""
        later, last = planned.case.later, _last_time(planned.case.events)
        if later is None or last is None:
            return True
        before = len(self.plan.findings)
        for awaited in later.awaited:
            event = last if isinstance(awaited.on, datetime) else local_date(last, planned.zone)
            if awaited.on < event:
                text = f"{said(awaited.on)} is before the last event of the case, which is on {said(event)}"
                hint = "what happens before it is expected on a step `clock.ticked` in between, with `after`"
                self.note((*awaited.path, "on"), "PE070", text, hint)
        return len(self.plan.findings) == before

    def unknown_policy(self, path: DataPath, name: str, known: set[str]) -> None:
        hint = did_you_mean(name, known) or f"policies are {', '.join(sorted(known))}"
        self.note(path, "PE074", f"unknown policy `{name}`", hint)

    def note(self, path: DataPath, code: str, message: str, hint: str) -> None:
        finding = self.cases.document.finding(path, code, message, hint)
        if finding not in self.plan.findings:
            self.plan.findings.append(finding)


def _last_time(events: Sequence[bytes]) -> datetime | None:
    """When the last of the events happens, as far as they say so."""
    told = (plain_value(str(event.get("time"))) for event in map(json.loads, events))
    times = (time for time in told if isinstance(time, datetime) and time.tzinfo is not None)
    return max((time for time in times if FIRST_DAY.year < time.year < LAST_DAY.year), default=None)
