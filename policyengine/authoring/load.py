"""A folder of policy files → policy models, or every fault of every file with its place.

Files and structure only: CEL, tables and overlaps are engine.compile's, whose faults get their
positions here (``LoadedFolder.findings_of``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from policyengine.authoring.structure import structure_findings
from policyengine.authoring.structure_hints import odd_characters
from policyengine.authoring.yaml_source import MAX_BYTES, Document, read_yaml
from policyengine.authoring.yaml_source import Path as DataPath
from policyengine.domain.policy import Policy, flaws
from policyengine.domain.policy_types import split_rows
from policyengine.engine.faults import Fault
from policyengine.errors import Finding, PolicyError, UsageError

CASES_SUFFIX = ".cases.yaml"


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """One policy version, and its file."""

    policy: Policy
    document: Document

    @property
    def file(self) -> str:
        """The file's name, as findings show it."""
        return self.document.file

    def locate(self, path: DataPath, offset: int = 0) -> tuple[int, int]:
        """Line and column, from 1, of a character of the scalar at a path."""
        for depth, key in enumerate(path):
            if key == "rows" and isinstance(row_text := self._at(path[: depth + 1]), str):
                return self._locate_cell(row_text, path[: depth + 1], path[depth + 1 :], offset)
        return self.document.position(path, offset)

    def _locate_cell(self, text: str, rows: DataPath, cell: DataPath, offset: int) -> tuple[int, int]:
        """A cell of a table whose rows are lines of one text."""
        if not cell:
            return self.document.position(rows, offset)
        row = split_rows(text)[int(str(cell[0]))]
        start, _ = row[int(str(cell[1])) if len(cell) > 1 else 0]
        return self.document.position(rows, start + offset)

    def _at(self, path: DataPath) -> object:
        return self.document.at(path) if path in self.document.places else None


@dataclass(frozen=True, slots=True)
class LoadedFolder:
    """The policies of a folder in the order of their files, and what is wrong with the others."""

    folder: Path
    policies: tuple[LoadedPolicy, ...]
    findings: tuple[Finding, ...]

    @property
    def models(self) -> list[Policy]:
        """The policies alone, for engine.compile."""
        return [loaded.policy for loaded in self.policies]

    def findings_of(self, faults: Iterable[Fault]) -> list[Finding]:
        """Give the compiler's faults their places in the files."""
        findings = []
        for fault in faults:
            loaded = self.policies[fault.policy]
            line, column = loaded.locate(fault.path, fault.offset)
            findings.append(Finding(loaded.file, line, column, fault.code, fault.message, fault.hint))
        return findings


def load_policies(folder: Path) -> LoadedFolder:
    """Read a folder; PolicyError carries every finding, UsageError a folder that is not there."""
    loaded = read_policies(folder)
    if loaded.findings:
        raise PolicyError(list(loaded.findings))
    return loaded


def read_policies(folder: Path) -> LoadedFolder:
    """Read a folder; what is sound comes back beside what is wrong, so that both can be checked."""
    files = policy_files(folder)
    loaded = read_files(files)
    findings = [*loaded.findings, *folder_findings(folder, files)]
    return LoadedFolder(folder, loaded.policies, tuple(sorted(findings)))


def read_files(files: Iterable[Path]) -> LoadedFolder:
    """Read some policy files as if they were all of a folder."""
    policies: list[LoadedPolicy] = []
    findings: list[Finding] = []
    for file in files:
        loaded, found = read_policy(read_bytes(file), file.as_posix())
        findings.extend(found)
        if loaded is not None:
            policies.append(loaded)
    findings.extend(_repeated_versions(policies))
    return LoadedFolder(Path(), tuple(policies), tuple(sorted(findings)))


def read_policy(raw: bytes, file: str) -> tuple[LoadedPolicy | None, list[Finding]]:
    """Read one policy file's bytes."""
    document, findings = read_yaml(raw, file)
    if document is None:
        return None, findings
    findings += odd_characters(document)
    seen = {finding.line for finding in findings}  # one thing after the other
    findings += [found for found in structure_findings(document) if found.line not in seen]
    if findings:
        return None, findings
    policy = Policy.model_validate(document.data, by_alias=True, by_name=False)
    loaded = LoadedPolicy(policy, document)
    findings = [document.finding(flaw.path, flaw.code, flaw.message, flaw.hint) for flaw in flaws(policy)]
    return (None if findings else loaded), findings


def policy_files(folder: Path) -> list[Path]:
    """Policy files below a folder, sorted; cases are not among them."""
    if not folder.exists():
        raise UsageError(f"{folder} does not exist")
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    return sorted(
        file for file in folder.rglob("*.yaml") if file.is_file() and not file.name.endswith(CASES_SUFFIX)
    )


def read_bytes(file: Path) -> bytes:
    """A file's bytes, but never much more than a policy file may have."""
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def folder_findings(folder: Path, files: Sequence[Path]) -> list[Finding]:
    """A folder without policies, and policies that would be overlooked for their file's name."""
    found = [
        Finding(file.as_posix(), 0, 0, "PE003", "policy files end in .yaml", "rename the file")
        for file in sorted(folder.rglob("*.yml"))
    ]
    if not files:
        hint = "policies are files that end in .yaml"
        found.append(Finding(str(folder), 0, 0, "PE004", "the folder holds no policy", hint))
    return found


def _repeated_versions(policies: Iterable[LoadedPolicy]) -> list[Finding]:
    seen: dict[tuple[str, int], str] = {}
    findings = []
    for loaded in policies:
        policy = loaded.policy
        other = seen.setdefault((policy.policy, policy.version), loaded.file)
        if other != loaded.file:
            text = f"version {policy.version} of `{policy.policy}` is also in {other}"
            findings.append(loaded.document.finding(("version",), "PE056", text, "give it another number"))
    return findings
