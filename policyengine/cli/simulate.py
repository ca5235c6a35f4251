"""`simulate`: what a policy set would decide, cost and change, on recorded history or on a made-up year."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from policyengine.adapters.parquet import check_pyarrow
from policyengine.adapters.reports import check_plotly, html_report
from policyengine.bootstrap import Settings, door_of, open_ledger
from policyengine.cli.options import FormatOption, LedgerOption, SchemasOption, rules_of, settings_with
from policyengine.cli.output import Format, print_json
from policyengine.cli.simulate_run import History, carry_out, of_file, of_ledger, of_stream, policies_of
from policyengine.cli.simulate_show import show
from policyengine.cli.simulate_stream import SEED
from policyengine.errors import UsageError
from policyengine.service.policy_sets import PolicySet
from policyengine.service.simulate_report import SimulationReport

STDIN = "-"
_CUSTOMERS = 400
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, max=256, help="Processes; by default one for each core.")
]


def simulate(
    rules: Annotated[
        str | None,
        typer.Option("--rules", help="The candidate: a folder of policy files, or a digest in the ledger."),
    ] = None,
    ledger: LedgerOption = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", help="Compare with these policies (folder or digest); else with what was recorded."
        ),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option("--events", help="Instead of a ledger: a file of events, -, or how many to make up."),
    ] = None,
    customers: Annotated[
        int | None, typer.Option("--customers", min=1, help="Make up a year of so many customers.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Make up a year by this seed.")] = None,
    schemas: SchemasOption = None,
    jobs: JobsOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a report with plots that opens offline.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for decisions and remedies as Parquet and CSV.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show also what stays as it is.")] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Decide recorded history, or a made-up year, under other policies: what it would cost, and change.

    State, caps, timers and offers are included. Nothing is written to the ledger. The result is the same
    whatever the number of processes.

    Example: `policyengine simulate --rules rules --ledger sqlite:///policyengine.db --html report.html`
    """
    settings = settings_with(ledger=ledger, schemas=schemas)
    made_up = customers is not None or seed is not None or (events or "").isdecimal()
    if ledger is not None and (made_up or events is not None):
        message = "--ledger is history by itself: leave out --events, --customers and --seed"
        raise UsageError(message)
    if made_up and events is not None and not events.isdecimal():
        message = "--events names a file: leave out --customers and --seed"
        raise UsageError(message)
    named = rules or str(rules_of(settings))
    _check_files(html, out)
    if events is None and not made_up:
        report = _of_ledger(settings, named, against, jobs, out)
    else:
        with _stream(settings, events, customers, seed) as history:
            candidate = policies_of(named, settings.schemas, None)
            other = None if against is None else policies_of(against, settings.schemas, None)
            report = _report(history, candidate, other, jobs, out, recorded=False)
    _write_html(html, report)
    if form is Format.JSON:
        print_json(report.to_json())
    else:
        show(report, everything=everything)


def _of_ledger(
    settings: Settings, named: str, against: str | None, jobs: int | None, out: Path | None
) -> SimulationReport:
    store = open_ledger(settings.ledger, read_only=True)
    try:
        history = of_ledger(settings.ledger, store)
        candidate = policies_of(named, settings.schemas, store)
        other = None if against is None else policies_of(against, settings.schemas, store)
    finally:
        store.close()  # invariant: no connection is open when processes are made
    return _report(history, candidate, other, jobs, out, recorded=True)


def _report(
    history: History,
    candidate: PolicySet,
    against: PolicySet | None,
    jobs: int | None,
    out: Path | None,
    *,
    recorded: bool,
) -> SimulationReport:
    totals = carry_out(history, candidate, against, jobs=jobs, out=out)
    baseline = "what was recorded" if recorded else None
    if against is not None:
        baseline = f"policy set {against.digest[:16]}…"
    return SimulationReport(history.text, candidate.digest, baseline, totals)


@contextmanager
def _stream(
    settings: Settings, events: str | None, customers: int | None, seed: int | None
) -> Iterator[History]:
    door = door_of(settings)
    if events is None or events.isdecimal():
        number = None if events is None else int(events)
        yield of_stream(SEED if seed is None else seed, customers or _CUSTOMERS, number, door)
    elif events == STDIN:
        with NamedTemporaryFile(prefix="events-", suffix=".jsonl") as copy:  # read once by every process
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
            yield of_file(Path(copy.name), door, "standard input")
    else:
        yield of_file(Path(events), door, Path(events).name)


def _check_files(html: Path | None, out: Path | None) -> None:
    """What cannot be written is told before anything is decided."""
    if html is not None:
        check_plotly()
        if html.is_dir() or not html.absolute().parent.is_dir():
            message = (
                f"cannot write to {html}: {'it is a folder' if html.is_dir() else 'there is no such folder'}"
            )
            raise UsageError(message)
    if out is not None:
        check_pyarrow()
        if out.exists() and not out.is_dir():
            message = f"cannot write to {out}: it is a file; name a folder"
            raise UsageError(message)


def _write_html(path: Path | None, report: SimulationReport) -> None:
    if path is None:
        return
    page = html_report(report.to_json())
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        message = f"cannot write to {path}: {error.strerror}"
        raise UsageError(message) from error
