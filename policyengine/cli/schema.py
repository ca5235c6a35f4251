"""`schema`: the generated schemas, for editors and for whoever reads decisions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer

from policyengine.adapters.schemas import shipped_schemas
from policyengine.authoring.policy_reference import reference
from policyengine.authoring.schema_export import export, for_editors, generated, stale
from policyengine.bootstrap import catalogue_of
from policyengine.cli.options import FormatOption, SchemasOption, settings_with
from policyengine.cli.output import FINDINGS, Format, print_json, say
from policyengine.errors import UsageError
from policyengine.service import asyncapi

schema = typer.Typer(
    no_args_is_help=True, help="JSON Schemas of policy files, decisions and entries; AsyncAPI of the topics."
)


@schema.command("export")
def schema_export(
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where to; by default the shipped folder.")
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when a file is stale.")
    ] = False,
    schemas: SchemasOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Write the generated schemas, for editors and for whoever reads decisions.

    With `--schemas`, editors know a catalogue of your own; give it a folder of its own with `--out`.
    """
    own = settings_with(schemas=schemas).schemas
    if own and folder is None:
        raise UsageError("a catalogue of your own is exported to a folder of your own: add --out DIR")
    target, files = folder or shipped_schemas(), _generated(own)
    paths = stale(target, files) if check_only else export(target, files)
    if form is Format.JSON:
        print_json({"stale" if check_only else "written": [str(path) for path in paths]})
    elif check_only:
        for path in paths:
            say(f"stale: {path}; run `policyengine schema export`")
        if not paths:
            say("schemas are fresh")
    else:
        for path in paths:
            say(f"written: {path}")
    if check_only and paths:
        raise typer.Exit(FINDINGS)


def _generated(own: Sequence[Path]) -> dict[str, bytes]:
    """File name → content: the schemas of our own formats, and the topics that they go through."""
    catalogue, schemas = catalogue_of(own), generated()
    envelope, decision = (
        orjson.loads(schemas[name]) for name in ("envelope.schema.json", "decision.schema.json")
    )
    topics = asyncapi.rendered(catalogue, envelope, decision)
    return {**schemas, **for_editors(catalogue), "asyncapi.json": topics}


@schema.command("reference")
def schema_reference(form: FormatOption = Format.HUMAN) -> None:
    """Print the page of all that a policy file may hold, in Markdown."""
    page = reference()
    if form is Format.JSON:
        print_json({"reference": page})
    else:
        say(page.rstrip("\n"))
