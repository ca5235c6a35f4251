"""The commands by name, each imported when it is called, and what the exit codes mean.

0 clean, 1 findings, 2 usage or input and output, 3 the ledger does not verify.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from policyengine import __version__
from policyengine.cli.interrupts import ends_at_once
from policyengine.cli.output import FINDINGS, USAGE, reader_is_gone
from policyengine.errors import FindingsError, PolicyEngineError, UsageError


class Entry(NamedTuple):
    """Where a command is, and how it is listed."""

    panel: str
    module: str
    about: str


_DECIDE, _WRITE, _PUBLISH = "Decide", "Write a policy, and prove it", "Put it in force"
_COST, _AUDIT, _TREATED, _MORE = "What it costs and changes", "Audit", "How customers are treated", "More"

# The first line of each one's help stands here too, since listing them imports none.
COMMANDS = {
    "run": Entry(_DECIDE, "stream", "Decide a stream of events into the ledger."),
    "decide": Entry(
        _DECIDE,
        "stream",
        "Decide a stream without storing anything: a dry run that prints decisions as JSON lines.",
    ),
    "requeue": Entry(
        _DECIDE, "kafka", "Send what was set aside again, as it came, to the topic that it came from."
    ),
    "new": Entry(
        _WRITE,
        "new",
        "Write a commented policy and its cases, from a template; on a terminal it asks for what is missing.",
    ),
    "check": Entry(
        _WRITE, "check", "Check policies and show everything that is wrong or suspicious, with its place."
    ),
    "test": Entry(
        _WRITE, "cases", "Run the cases beside the policies (`x.cases.yaml`): given events, expect remedies."
    ),
    "fmt": Entry(
        _WRITE,
        "fmt",
        "Write policies and cases in one form: order of keys, indentation, quotes, empty lines.",
    ),
    "catalog": Entry(
        _WRITE,
        "catalog",
        "Show the vocabulary: event and entity types, their properties, types and meanings.",
    ),
    "simulate": Entry(
        _COST,
        "simulate",
        "Decide recorded history, or a made-up year, under other policies: what it would cost, and change.",
    ),
    "diff": Entry(
        _COST,
        "diff",
        "Say in words what changed between two policy sets; with a ledger, for whom, and what it costs.",
    ),
    "affected": Entry(
        _COST,
        "affected",
        "List what a version that reaches back would add to past decisions, before it is published.",
    ),
    "publish": Entry(
        _PUBLISH,
        "publishing",
        "Record a policy set in the ledger, in full: it is in force for what is decided from then on.",
    ),
    "approve": Entry(
        _PUBLISH,
        "publishing",
        "Approve what somebody else has proposed; with the last approval that it takes, it holds.",
    ),
    "withdraw": Entry(
        _PUBLISH,
        "publishing",
        "Take back what waits for approval, or what is to take effect later. One person can.",
    ),
    "rollback": Entry(
        _PUBLISH,
        "publishing",
        "Publish again what was in force before, out of the ledger; no file is needed.",
    ),
    "shadow-report": Entry(
        _PUBLISH,
        "trials",
        "Compare what is on trial in shadow with what was decided: by policy, month and currency.",
    ),
    "keys": Entry(_PUBLISH, "keys", "Keys that approve policy sets, and whose they are."),
    "verify": Entry(
        _AUDIT, "audit", "Recompute every hash, root and state of a ledger, and say precisely what is wrong."
    ),
    "replay": Entry(_AUDIT, "audit", "Decide every entry again from the ledger alone and compare the bytes."),
    "explain": Entry(_AUDIT, "audit", "Why a customer got this, and why not something else."),
    "timeline": Entry(
        _TREATED,
        "conduct",
        "Tell one customer's story: what happened, what was decided, why, and what they were told.",
    ),
    "asked": Entry(
        _TREATED,
        "conduct",
        "Say which version of a policy governs on a day, and what it gives: as a customer is answered.",
    ),
    "gaps": Entry(
        _TREATED,
        "conduct",
        "Count the events and complaints on which no policy applied, and the signals that were raised.",
    ),
    "consistency": Entry(
        _TREATED,
        "conduct",
        "Group the decisions on equal facts, whatever the channel, and show any that differ, with the cause.",
    ),
    "due": Entry(
        _TREATED,
        "conduct",
        "Say what is overdue: reviews, offers, held messages, customers who heard nothing; and what is next.",
    ),
    "demo": Entry(
        _MORE,
        "demo",
        "Tell a year of a crisis: make events, decide them into a new ledger, show and verify it.",
    ),
    "simulate-stream": Entry(
        _MORE,
        "simulate_stream",
        "Make up a year of a crisis as a stream of events, of the world and of any number of customers.",
    ),
    "config": Entry(_MORE, "config", "Show the settings in force and the variables that set them."),
    "schema": Entry(
        _MORE, "schema", "JSON Schemas of policy files, decisions and entries; AsyncAPI of the topics."
    ),
}


class Commands(TyperGroup):
    """The group of all commands: listed from the table, imported one at a time."""

    def __init__(self, **keys: Any) -> None:
        super().__init__(**keys)
        self.commands = {
            name: TyperCommand(name, help=entry.about, rich_help_panel=entry.panel)
            for name, entry in COMMANDS.items()
        }
        self._keys = {**keys, "commands": self.commands}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command itself, from its module."""
        del ctx
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take `help COMMAND` for `COMMAND --help`, as people try it."""
        if args == ["help"]:
            typer.echo(ctx.get_help())
            raise typer.Exit
        if args[0] == "help":
            args = [*args[1:], "--help"]
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show help as a group whose commands are their lines of the table."""
        TyperGroup(**self._keys).format_help(ctx, formatter)


def load(name: str) -> Any:
    """A command, or a group of them, ready to be called."""
    with ends_at_once():
        module = import_module(f"policyengine.cli.{COMMANDS[name].module}")
    found = getattr(module, name.replace("-", "_"))
    holder = typer.Typer(rich_markup_mode="markdown")
    holder.callback()(lambda: None)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    return get_group(holder).commands[name]


app = typer.Typer(
    name="policyengine",
    cls=Commands,
    help="Decides what each customer is owed when a crisis strikes, and keeps the proof.",
    epilog="Exit codes: 0 clean, 1 findings, 2 usage or input and output, 3 the ledger does not verify.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"policyengine {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Read the settings and set up logging."""
    del version
    with ends_at_once():
        from policyengine.bootstrap import configure_logging, read_settings
    configure_logging(read_settings())


def run() -> None:
    """Run the command line; every error of ours is told in a line, without a traceback."""
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, TextIOWrapper):
            output.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app()
    except FindingsError as error:
        _fail(str(error), FINDINGS)
    except PolicyEngineError as error:
        _fail(f"error: {error}", USAGE)
    except OSError as error:
        _fail(f"error: {UsageError.code} {error}", USAGE)
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            reader_is_gone()


def _fail(text: str, code: int) -> None:
    typer.echo(text, err=True)
    raise SystemExit(code)
