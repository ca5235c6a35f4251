"""`diff`: what changed between two policy sets, in words, and what that costs on recorded history."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from policyengine.adapters.git import folder_at
from policyengine.authoring.words import compare
from policyengine.authoring.words_case import case_text
from policyengine.bootstrap import open_ledger, policy_set_of
from policyengine.cli.diff_show import Diff, human, markdown
from policyengine.cli.options import SchemasOption, settings_with
from policyengine.cli.output import FINDINGS, print_json, say
from policyengine.cli.simulate import JobsOption
from policyengine.cli.simulate_run import carry_out, of_ledger, policies_of
from policyengine.domain.money import Money
from policyengine.errors import MoneyError, UsageError
from policyengine.service.diff import case_of, limits, unlimited
from policyengine.service.diff_case import SmallestCase
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.simulate_report import SimulationReport


class Form(StrEnum):
    """For whom the output is."""

    HUMAN = "human"
    JSON = "json"
    MARKDOWN = "markdown"


def diff(
    before: Annotated[
        str, typer.Argument(metavar="A", help="A folder, REVISION:FOLDER in git, or a digest in the ledger.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="The same for what it is to become.")],
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="Database URL of recorded history: whose decisions change?")
    ] = None,
    max_cost: Annotated[
        list[str] | None,
        typer.Option("--max-cost", help="Most that may be given more, such as 50000ILS; may be repeated."),
    ] = None,
    schemas: SchemasOption = None,
    jobs: JobsOption = None,
    form: Annotated[Form, typer.Option("--format", help="human, json or markdown.")] = Form.HUMAN,
) -> None:
    """Say in words what changed between two policy sets; with a ledger, for whom, and what it costs.

    Exit code 1 when the change gives more than --max-cost allows, in any of its currencies.

    Example: `policyengine diff HEAD~1:rules rules --ledger sqlite:///policyengine.db --max-cost 50000ILS`
    """
    most = [_money(text) for text in max_cost or ()]
    if most and ledger is None:
        message = "--max-cost needs recorded history to count on: add --ledger URL"
        raise UsageError(message)
    folders = settings_with(schemas=schemas).schemas
    store = None if ledger is None else open_ledger(ledger, read_only=True)
    try:
        old, new = (_policies(named, folders, store) for named in (before, after))
    finally:
        if store is not None:
            store.close()  # invariant: no connection is open when processes are made
    found = Diff(before, after, old.digest, new.digest, compare(old.policies, new.policies))
    if ledger is not None:
        found = _with_history(found, ledger, old, new, jobs, most)
    if form is Form.JSON:
        print_json(found.to_json())
    else:
        for line in (markdown if form is Form.MARKDOWN else human)(found):
            say(line)
    _judge(found, most)


def _policies(named: str, schemas: list[Path], store: LedgerStore | None) -> PolicySet:
    if ":" in named and not Path(named).exists():
        with folder_at(named, Path.cwd()) as folder:
            return policy_set_of(folder, schemas)
    return policies_of(named, schemas, store)


def _money(text: str) -> Money:
    try:
        return Money.literal(text)
    except MoneyError as error:
        message = f"--max-cost: {error.message}"
        raise UsageError(message) from error


def _with_history(
    found: Diff, url: str, old: PolicySet, new: PolicySet, jobs: int | None, most: list[Money]
) -> Diff:
    store = open_ledger(url, read_only=True)
    history = of_ledger(url, store)
    store.close()
    totals = carry_out(history, new, old, jobs=jobs, out=None)
    report = SimulationReport(history.text, new.digest, f"policy set {old.digest[:16]}…", totals)
    case = None
    if totals.changed:
        store = open_ledger(url, read_only=True)
        try:
            case = case_of(store, totals, old, new)
        finally:
            store.close()
    text = None if case is None else _text(case, new)
    return found.with_history(report, limits(report, most), case, text)


def _text(case: SmallestCase, new: PolicySet) -> str:
    last = case.events[-1]
    given = case.after
    expected = None
    if given is not None:
        expected = {
            "entity": given.about.entity, "outcome": given.outcome,
            "remedies": given.remedies, "offers": given.offers, "denials": given.denials,
        }  # fmt: skip
    return case_text(f"what changes on {last['type']}", case.events, new.catalogue, expected)


def _judge(found: Diff, most: list[Money]) -> None:
    if found.report is not None and most:
        for money in unlimited(found.report, most):
            typer.echo(f"no limit for {money.currency}: {money} more", err=True)
    exceeded = [one for one in found.limits if one.is_exceeded]
    for one in exceeded:
        typer.echo(f"too dear: {one.more} more, at most {one.most} are allowed", err=True)
    if exceeded:
        raise typer.Exit(FINDINGS)
