"""`check`: everything that is wrong in a folder of policies."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from policyengine.bootstrap import policy_set_of
from policyengine.cli.options import FormatOption, SchemasOption, settings_with
from policyengine.cli.output import FINDINGS, Format, print_json, say
from policyengine.errors import FindingsError

FolderArgument = Annotated[Path, typer.Argument(help="Folder of policy files.", metavar="DIR")]


def check(folder: FolderArgument, schemas: SchemasOption = None, form: FormatOption = Format.HUMAN) -> None:
    """Load a folder of policies and show everything that is wrong, with its place.

    Exit code 1 when something is.
    """
    settings = settings_with(schemas=schemas)
    try:
        policy_set = policy_set_of(folder, settings.schemas)
    except FindingsError as error:
        if form is Format.JSON:
            print_findings(error)
        else:
            for finding in error.findings:
                say(str(finding))
            say(f"{len(error.findings)} found")
        raise typer.Exit(FINDINGS) from None
    if form is Format.JSON:
        print_json({"findings": [], "policy_set": policy_set.digest, "policies": len(policy_set.policies)})
    else:
        rules = len(policy_set.ruleset.rules)
        say(f"{len(policy_set.policies)} policy versions, {rules} rules: nothing wrong")
        say(f"Policy set {policy_set.digest}")


def print_findings(error: FindingsError) -> None:
    """As one JSON document."""
    print_json({"findings": [asdict(finding) for finding in error.findings]})
