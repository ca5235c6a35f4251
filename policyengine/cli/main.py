"""The command `policyengine`: its commands, and what its exit codes mean.

0 clean, 1 findings, 2 usage or input and output, 3 the ledger does not verify.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from policyengine import __version__
from policyengine.bootstrap import configure_logging, read_settings
from policyengine.cli import (
    affected,
    audit,
    cases,
    catalog,
    check,
    conduct,
    config,
    demo,
    diff,
    fmt,
    kafka,
    keys,
    new,
    publishing,
    schema,
    simulate,
    simulate_stream,
    stream,
    trials,
)
from policyengine.cli.output import FINDINGS, INTERRUPTED, USAGE, reader_is_gone
from policyengine.errors import FindingsError, PolicyEngineError, UsageError

app = typer.Typer(
    name="policyengine",
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
    configure_logging(read_settings())


for command in (
    stream.run,
    stream.decide,
    publishing.publish,
    publishing.approve,
    publishing.withdraw,
    publishing.rollback,
    trials.shadow_report,
    kafka.requeue,
    audit.verify,
    audit.replay,
    audit.explain,
    conduct.gaps,
    conduct.consistency,
    conduct.due,
    conduct.timeline,
    conduct.asked,
    check.check,
    cases.test,
    fmt.fmt,
    new.new,
    affected.affected,
    catalog.catalog,
    config.config,
    simulate.simulate,
    diff.diff,
    simulate_stream.simulate_stream,
    demo.demo,
):
    app.command()(command)
app.add_typer(keys.keys, name="keys")
app.add_typer(schema.schema, name="schema")


def main() -> None:
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
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            reader_is_gone()


def _fail(text: str, code: int) -> None:
    typer.echo(text, err=True)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
