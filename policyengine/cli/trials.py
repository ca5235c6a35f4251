"""A candidate tried beside what is in force: the merged set that `publish` takes, and `shadow-report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import Settings, catalogue_of, open_ledger, policy_set_of
from policyengine.cli.options import FormatOption, LedgerOption, settings_with
from policyengine.cli.output import Format, out, print_json, progress, say, table
from policyengine.engine.faults import CompileError
from policyengine.errors import PublishingError, UsageError
from policyengine.service.policy_sets import PolicySet, prepare, recorded
from policyengine.service.shadow_report import Cell, ShadowReport, amount
from policyengine.service.shadow_report import shadow_report as read_report
from policyengine.service.trials import canaried, shadowed

CandidateArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[CANDIDATE]", help="Folder of what is to be tried, with --shadow or --canary."),
]
ShadowOption = Annotated[
    bool, typer.Option("--shadow", help="Try it beside what is in force, and publish nothing of it.")
]
CanaryOption = Annotated[
    int | None,
    typer.Option("--canary", min=1, max=99, help="Try it on so many percent of the customers."),
]
GroupOption = Annotated[
    str, typer.Option("--group", help="The draw of a canary: another name draws other customers.")
]


def tried_set(
    store: SqlLedgerStore,
    settings: Settings,
    live_in: Path | str | None,
    candidate: Path,
    canary: int | None,
    group: str,
) -> PolicySet:
    """What is in force (a folder, or the set of a digest) with the candidate's new versions on trial."""
    tried = policy_set_of(candidate, settings.schemas).policies
    if isinstance(live_in, Path):
        live = policy_set_of(live_in, settings.schemas).policies
    else:
        raw = store.policy_set(live_in) if live_in else None
        if raw is None:
            raise UsageError("nothing is in force yet that it could be tried beside: `publish` first")
        live = recorded(raw).policies
    merged = shadowed(live, tried) if canary is None else canaried(live, tried, canary, group)
    try:
        return prepare(merged, catalogue_of(settings.schemas))
    except CompileError as error:
        faults = "; ".join(f"{fault.code} {fault.message}" for fault in error.faults)
        text = f"it cannot be tried beside what is in force: {faults}"
        raise PublishingError(text, code="PE737") from error


def shadow_report(ledger: LedgerOption = None, form: FormatOption = Format.HUMAN) -> None:
    """Compare what is on trial in shadow with what was decided: by policy, month and currency.

    Who would have got more, and who less, in the decisions that were made while it was on trial.
    """
    settings = settings_with(ledger=ledger)
    with open_ledger(settings.ledger, read_only=True) as store:
        total = sum(store.head(shard).size for shard in store.shards())
        with progress("reading", total) as advance:
            report = read_report(store, progress=advance)
    if form is Format.JSON:
        print_json(report.to_json())
        return
    if not report.decisions:
        say("nothing was on trial in any decision: see `publish --shadow`")
        return
    _show(report)


def _show(report: ShadowReport) -> None:
    for (policy, version), count in sorted(report.decisions.items()):
        say(f"{policy} version {version}: would have governed {count:,} decisions")
    figures = ("live", "on trial", "difference", "get more", "get less")
    lines = table("Live and on trial", "policy", "month", "what", *figures, right=figures)
    for cell, line in sorted(report.lines.items()):
        lines.add_row(
            f"{cell.policy}@{cell.version}",
            cell.month,
            cell.currency or cell.kind,
            amount(line.live, cell),
            amount(line.tried, cell),
            _signed(line.tried - line.live, cell),
            f"{line.more:,}",
            f"{line.less:,}",
        )
    out.print(lines)
    if report.examples:
        made = table("Largest differences", "decision", "customer", "policy", "difference")
        for by, decision, customer, cell in report.examples:
            made.add_row(decision, customer, cell.policy, f"{_signed(by, cell)} {cell.currency or cell.kind}")
        out.print(made)


def _signed(number: int, cell: Cell) -> str:
    return ("+" if number > 0 else "") + amount(number, cell)
