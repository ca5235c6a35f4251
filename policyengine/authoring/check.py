"""A folder of policy files, checked: everything that is wrong, each with file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from policyengine.authoring.load import LoadedFolder, load_policies
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.policy import Policy
from policyengine.engine.faults import CompileError, Fault
from policyengine.errors import Finding, PolicyError

Prepared = TypeVar("Prepared")


def check_folder(
    folder: Path, catalogue: Catalogue, prepare: Callable[[Sequence[Policy], Catalogue], Prepared]
) -> Prepared:
    """Load and compile a folder with ``prepare``; PolicyError carries every finding, sorted."""
    loaded = load_policies(folder)
    try:
        prepared = prepare(loaded.policies, catalogue)
    except CompileError as error:
        findings = [*loaded.findings, *(_located(loaded, fault) for fault in error.faults)]
    else:
        findings = loaded.findings
    if findings:
        raise PolicyError(sorted(findings))
    return prepared


def _located(loaded: LoadedFolder, fault: Fault) -> Finding:
    line, column = loaded.locate(fault.policy, fault.path, fault.offset)
    return Finding(loaded.files[fault.policy], line, column, fault.code, fault.message, fault.hint)
