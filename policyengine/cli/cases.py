"""`test`: the cases beside the policies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from policyengine.authoring.case_report import Report
from policyengine.bootstrap import case_engine, catalogue_of
from policyengine.cli.check import print_findings
from policyengine.cli.options import FormatOption, SchemasOption, settings_with
from policyengine.cli.output import FINDINGS, Format, print_json, say
from policyengine.errors import FindingsError

Targets = Annotated[
    list[Path],
    typer.Argument(help="Folders of policies, policy files, or files of cases.", metavar="DIR|FILE..."),
]


def test(
    targets: Targets,
    schemas: SchemasOption = None,
    only: Annotated[
        str | None, typer.Option("--only", help="Run only the cases whose name or file contains this.")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="With a failure, show every rule and not only those that matter.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the results here too, as JUnit XML.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Run again whenever a file changes, until Ctrl-C.")
    ] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Run the cases beside the policies (`x.cases.yaml`): given events, expect remedies.

    A failure shows what was expected beside what came, and why. Exit code 1 when a case fails, a policy
    has none, or there are none at all.
    """
    run = _Run(targets, schemas, only, trace, junit, form)
    if watch:
        from policyengine.cli.watching import watched

        watched([*targets, *(schemas or ())], run.once)
    elif not run.once():
        raise typer.Exit(FINDINGS)


@dataclass(frozen=True, slots=True)
class _Run:
    """One way of running the cases, as often as asked."""

    targets: list[Path]
    schemas: list[Path] | None
    only: str | None
    trace: bool
    junit: Path | None
    form: Format

    def once(self) -> bool:
        """Run, show, and tell whether all is well."""
        from policyengine.authoring.case_plan import plans
        from policyengine.authoring.cases import run_plans

        settings = settings_with(schemas=self.schemas)
        try:
            catalogue = catalogue_of(settings.schemas)
            planned = plans(self.targets, catalogue, self.only)
            report = run_plans(planned, case_engine(catalogue), whole=self.only is None, trace=self.trace)
        except FindingsError as error:
            if self.form is not Format.JSON:
                raise
            print_findings(error)
            return False
        if self.junit is not None:
            self._write(report, self.junit)
        if self.form is Format.JSON:
            print_json(report.to_json())
        else:
            for line in report.lines():
                say(line)
        return report.ok

    def _write(self, report: Report, file: Path) -> None:
        from policyengine.authoring.junit import junit

        file.write_bytes(junit(report))
