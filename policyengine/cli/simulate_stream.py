"""`simulate-stream`: a made-up year of a crisis as a stream of events, the same for the same seed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from policyengine.cli.options import FormatOption
from policyengine.cli.output import Format, print_json, progress, reader_is_gone, say
from policyengine.errors import UsageError
from policyengine.service.stream import generate

SEED = 2020
_CHUNK = 1_000  # lines between two steps of the progress bar


def simulate_stream(
    customers: Annotated[int, typer.Option("--customers", min=1, help="How many customers.")] = 400,
    seed: Annotated[int, typer.Option("--seed", help="Another seed tells of other customers.")] = SEED,
    events: Annotated[
        int | None,
        typer.Option(
            "--events", min=0, help="How many lines; by default twelve a customer and the chronicle."
        ),
    ] = None,
    file: Annotated[str, typer.Option("--out", help="File to write; - is standard output.")] = "-",
    form: FormatOption = Format.HUMAN,
) -> None:
    """Make up a year of a crisis as a stream of events, of the world and of any number of customers."""
    lines = generate(seed, customers, events)
    if file == "-":
        _to_stdout(lines)
        return
    number = write_stream(Path(file), lines, events)
    if form is Format.JSON:
        print_json({"events": number, "file": file, "seed": seed, "customers": customers})
    else:
        say(f"{number:,} events in {file}")


def write_stream(path: Path, lines: Iterator[bytes], expected: int | None = None) -> int:
    """Write the lines as they are made; how many there were. UsageError where that is not possible."""
    number = 0
    try:
        with path.open("wb") as target, progress("making events", expected) as advance:
            for line in lines:
                target.write(line + b"\n")
                number += 1
                if number % _CHUNK == 0:
                    advance(_CHUNK)
    except OSError as error:
        message = f"cannot write to {path}: {error.strerror}"
        raise UsageError(message) from error
    return number


def _to_stdout(lines: Iterator[bytes]) -> None:
    try:
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        reader_is_gone()
