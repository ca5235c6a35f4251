"""`test`: the cases beside the policies, what they cover, and which mistakes they would notice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from policyengine.cli.options import FormatOption, SchemasOption
from policyengine.cli.output import FINDINGS, Format

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
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Show which rules, conditions, rows and bounds no case reaches."),
    ] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            help="Fail below this percentage: 95 of everything, rules=100 of a kind, mutants=90 of the "
            "mutants; may be repeated.",
        ),
    ] = None,
    mutate: Annotated[
        bool,
        typer.Option("--mutate", help="Change the policies a little, one change at a time: who notices?"),
    ] = False,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Cover and mutate this policy alone.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Processes for --mutate; one for each core by default."),
    ] = None,
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
    has none, there are none at all, a threshold is missed, or a mutant survives.
    """
    from policyengine.authoring.coverage_report import MUTANTS, read_thresholds
    from policyengine.cli.case_runs import Run

    thresholds = read_thresholds(threshold or ())
    run = Run(
        targets=targets,
        schemas=schemas,
        only=only,
        trace=trace,
        coverage=coverage or bool(thresholds.keys() - {MUTANTS}),
        mutate=mutate or MUTANTS in thresholds,
        thresholds=thresholds,
        policy=policy,
        jobs=jobs,
        junit=junit,
        form=form,
    )
    if watch:
        from policyengine.cli.watching import watched

        watched([*targets, *(schemas or ())], run.once)
    elif not run.once():
        raise typer.Exit(FINDINGS)
