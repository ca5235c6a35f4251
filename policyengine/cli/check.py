"""`check`: everything that is wrong or suspicious in policies, without deciding anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policyengine.bootstrap import Settings, examine
from policyengine.cli.options import SchemasOption, settings_with
from policyengine.cli.output import FINDINGS, counted, err, out, print_json, say
from policyengine.errors import Finding, FindingsError, UsageError

if TYPE_CHECKING:
    from policyengine.service.policy_sets import PolicySet

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Folders of policies, or policy files; POLICYENGINE_RULES where there is none.",
        metavar="PATH...",
    ),
]


class CheckFormat(StrEnum):
    """For whom the findings are: people, programs, GitHub's workflows, code scanning."""

    HUMAN = "human"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def check(
    paths: Paths = None,
    schemas: SchemasOption = None,
    form: Annotated[
        CheckFormat, typer.Option("--format", help="human, json, github or sarif.")
    ] = CheckFormat.HUMAN,
    strict: Annotated[
        bool, typer.Option("--strict", help="Warnings count as findings, too: exit code 1.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file changes, until Ctrl-C.")
    ] = False,
    on: Annotated[
        datetime | None,
        typer.Option(
            "--on", formats=["%Y-%m-%d"], help="The day for which reviews are due; by default today."
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", help="Show the page of a code, such as PE031, and do nothing else."),
    ] = None,
) -> None:
    """Check policies and show everything that is wrong or suspicious, with its place.

    A folder alone is the whole policy set; of files, only what they say by themselves and of one another
    is checked. Exit code 1 when there is an error; with --strict, also when there is a warning.
    """
    if explain is not None:
        _explain(explain)
        return
    settings = settings_with(schemas=schemas)
    wanted = _paths(paths, settings)
    day = on.date() if on is not None else date.today()  # noqa: DTZ011 - the day of whoever asks
    run = _Run(wanted, settings, day, form, strict)
    if watch:
        from policyengine.cli.watching import watched

        watched([*wanted, *settings.schemas], run.again)
    elif not run.once():
        raise typer.Exit(FINDINGS)


def _paths(paths: Sequence[Path] | None, settings: Settings) -> list[Path]:
    if paths:
        return list(paths)
    if settings.rules is None:
        raise UsageError("nothing to check: give a folder or files, or set POLICYENGINE_RULES")
    return [settings.rules]


def _explain(code: str) -> None:
    from rich.markdown import Markdown

    from policyengine.authoring.code_pages import page

    text = page(code)
    if out.is_terminal:
        out.print(Markdown(text))
    else:
        say(text.rstrip("\n"))


@dataclass(frozen=True, slots=True)
class _Run:
    """One way of checking, as often as asked."""

    paths: list[Path]
    settings: Settings
    on: date
    form: CheckFormat
    strict: bool

    def once(self) -> bool:
        """Check, show, and tell whether all is well."""
        prepared: PolicySet | None = None
        try:
            checked = examine(self.paths, self.settings.schemas, self.on)
            findings, prepared = list(checked.findings), checked.prepared
        except FindingsError as error:  # of the schema files, without which no policy can be read
            findings = error.findings
        try:
            self._show(findings, prepared)
        finally:
            if prepared is not None:
                prepared.ruleset.close()
        counts = _counts(findings)
        return not counts["error"] and not (self.strict and counts["warning"])

    def again(self) -> None:
        """Check and show."""
        self.once()

    def _show(self, findings: Sequence[Finding], prepared: PolicySet | None) -> None:
        from policyengine.cli.check_formats import sarif, workflow_commands

        match self.form:
            case CheckFormat.HUMAN:
                _tell(findings, prepared)
            case CheckFormat.JSON:
                _tell_json(findings, prepared)
            case CheckFormat.GITHUB:
                for line in workflow_commands(findings):
                    say(line)
            case CheckFormat.SARIF:
                print_json(sarif(findings))


def _tell(findings: Sequence[Finding], prepared: PolicySet | None) -> None:
    for finding in findings:
        say(str(finding))
    counts = _counts(findings)
    parts = [f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items() if count]
    found = ", ".join(parts) or "nothing wrong"
    if prepared is None:
        say(f"{found} found")
    else:
        rules = len(prepared.ruleset.rules)
        say(f"{counted(len(prepared.policies), 'policy version')}, {counted(rules, 'rule')}: {found}")
        say(f"Policy set {prepared.digest}")
    if findings and err.is_terminal:
        err.print(f"More about a code: policyengine check --explain {findings[0].code}")


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    counted = Counter(finding.severity for finding in findings)
    return {"error": counted["error"], "warning": counted["warning"], "note": counted["note"]}


def _tell_json(findings: Sequence[Finding], prepared: PolicySet | None) -> None:
    document: dict[str, object] = {
        "findings": [asdict(finding) for finding in findings],
        "counts": _counts(findings),
    }
    if prepared is not None:
        document |= {"policy_set": prepared.digest, "policies": len(prepared.policies)}
    print_json(document)


def print_findings(error: FindingsError) -> None:
    """As one JSON document."""
    print_json({"findings": [asdict(finding) for finding in error.findings]})
