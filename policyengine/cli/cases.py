"""`test`: the cases beside the policies."""

from __future__ import annotations

from typing import Annotated

import typer

from policyengine.bootstrap import case_engine, catalogue_of
from policyengine.cli.check import FolderArgument, print_findings
from policyengine.cli.options import FormatOption, SchemasOption, settings_with
from policyengine.cli.output import FINDINGS, Format, print_json, say
from policyengine.errors import FindingsError


def test(
    folder: FolderArgument,
    schemas: SchemasOption = None,
    only: Annotated[
        str | None, typer.Option("--only", help="Run only the cases whose name contains this.")
    ] = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Run the cases beside the policies (`x.cases.yaml`): given events, expect remedies.

    A failure shows what was expected, what came, and the trace. Exit code 1 when a case fails or
    there are none.
    """
    from policyengine.authoring.cases import run_cases

    settings = settings_with(schemas=schemas)
    try:
        catalogue = catalogue_of(settings.schemas)
        report = run_cases(folder, catalogue, case_engine(catalogue), only)
    except FindingsError as error:
        if form is not Format.JSON:
            raise
        print_findings(error)
        raise typer.Exit(FINDINGS) from None
    if form is Format.JSON:
        print_json(report.to_json())
    else:
        for line in report.lines():
            say(line)
    if not report.ok:
        raise typer.Exit(FINDINGS)
