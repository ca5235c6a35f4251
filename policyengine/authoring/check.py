"""A folder of policy files, checked: everything that is wrong, each with file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from policyengine.authoring.load import read_policies
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.policy import Policy
from policyengine.engine.faults import CompileError
from policyengine.errors import PolicyError

Prepared = TypeVar("Prepared")


def check_folder(
    folder: Path, catalogue: Catalogue, prepare: Callable[[Sequence[Policy], Catalogue], Prepared]
) -> Prepared:
    """Load and compile a folder with ``prepare``; PolicyError carries every finding, sorted."""
    loaded = read_policies(folder)
    findings = list(loaded.findings)
    if not loaded.policies:
        raise PolicyError(findings)
    try:
        prepared = prepare(loaded.models, catalogue)
    except CompileError as error:
        findings += loaded.findings_of(error.faults)
        raise PolicyError(sorted(findings)) from error
    if findings:
        raise PolicyError(findings)
    return prepared
