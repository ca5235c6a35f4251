"""`check`, `test`, `schema`, `catalog` and `config`: what a policy owner works with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from policyengine.adapters.schemas import shipped_schemas
from policyengine.authoring.schema_export import export, generated, stale
from policyengine.bootstrap import (
    Settings,
    case_engine,
    catalogue_of,
    policy_set_of,
    read_settings,
    variable_of,
    without_password,
)
from policyengine.cli.options import FormatOption, SchemasOption, settings_with
from policyengine.cli.output import FINDINGS, Format, out, print_json, say, table
from policyengine.domain.catalogue import Attribute, Catalogue
from policyengine.domain.near import did_you_mean
from policyengine.domain.values import ValueType
from policyengine.errors import FindingsError, UsageError
from policyengine.service import asyncapi

schema = typer.Typer(
    no_args_is_help=True, help="JSON Schemas of policy files, decisions and entries; AsyncAPI of the topics."
)
FolderArgument = Annotated[Path, typer.Argument(help="Folder of policy files.", metavar="DIR")]


def check(folder: FolderArgument, schemas: SchemasOption = None, form: FormatOption = Format.HUMAN) -> None:
    """Load a folder of policies and show everything that is wrong, with its place.

    Exit code 1 when something is.
    """
    settings = settings_with(schemas=schemas)
    try:
        policy_set = policy_set_of(folder, settings.schemas)
    except FindingsError as error:
        if form is Format.JSON:
            _print_findings(error)
        else:
            for finding in error.findings:
                say(str(finding))
            say(f"{len(error.findings)} found")
        raise typer.Exit(FINDINGS) from None
    if form is Format.JSON:
        print_json({"findings": [], "policy_set": policy_set.digest, "policies": len(policy_set.policies)})
    else:
        rules = len(policy_set.ruleset.rules)
        say(f"{len(policy_set.policies)} policy versions, {rules} rules: nothing wrong")
        say(f"Policy set {policy_set.digest}")


def _print_findings(error: FindingsError) -> None:
    print_json({"findings": [asdict(finding) for finding in error.findings]})


def test(
    folder: FolderArgument,
    schemas: SchemasOption = None,
    only: Annotated[
        str | None, typer.Option("--only", help="Run only the cases whose name contains this.")
    ] = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Run the cases beside the policies (`x.cases.yaml`): given events, expect remedies.

    A failure shows what was expected, what came, and the trace. Exit code 1 when a case fails or
    there are none.
    """
    from policyengine.authoring.cases import run_cases

    settings = settings_with(schemas=schemas)
    try:
        catalogue = catalogue_of(settings.schemas)
        report = run_cases(folder, catalogue, case_engine(catalogue), only)
    except FindingsError as error:
        if form is not Format.JSON:
            raise
        _print_findings(error)
        raise typer.Exit(FINDINGS) from None
    if form is Format.JSON:
        print_json(report.to_json())
    else:
        for line in report.lines():
            say(line)
    if not report.ok:
        raise typer.Exit(FINDINGS)


@schema.command("export")
def schema_export(
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where to; by default the shipped folder.")
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when a file is stale.")
    ] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Write the generated schemas, for editors and for whoever reads decisions."""
    target, files = folder or shipped_schemas(), _generated()
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


def _generated() -> dict[str, bytes]:
    """File name → content: the schemas of our own formats, and the topics that they go through."""
    schemas = generated()
    envelope, decision = (
        orjson.loads(schemas[name]) for name in ("envelope.schema.json", "decision.schema.json")
    )
    return {**schemas, "asyncapi.json": asyncapi.rendered(catalogue_of([]), envelope, decision)}


def catalog(
    name: Annotated[str | None, typer.Argument(help="One event or entity type.")] = None,
    schemas: SchemasOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Show the vocabulary: event and entity types, their properties, types and meanings."""
    catalogue = catalogue_of(settings_with(schemas=schemas).schemas)
    _check_known(catalogue, name)
    if form is Format.JSON:
        print_json({key: value for key, value in catalogue.documents.items() if _wanted(key, name)})
        return
    for key, entity in sorted(catalogue.entities.items()):
        if name in (None, key):
            _show(f"entity {key}", entity.description, entity.attributes, key)
    for key, event in sorted(catalogue.events.items()):
        if name in (None, key):
            _show(f"event {key}", event.description, event.attributes, "event")


def _wanted(key: str, name: str | None) -> bool:
    return name is None or key.split("/", 1)[-1] == name


def _check_known(catalogue: Catalogue, name: str | None) -> None:
    if name is not None and name not in catalogue.events and name not in catalogue.entities:
        hint = did_you_mean(name, [*catalogue.events, *catalogue.entities])
        message = f"no event or entity type `{name}`; {hint or 'see `policyengine catalog`'}"
        raise UsageError(message)


def _show(title: str, description: str, attributes: Mapping[str, Attribute], prefix: str) -> None:
    made = table(f"{title}: {description}", "name", "type", "meaning")
    for attribute in attributes.values():
        kind = attribute.type.value
        if attribute.type is ValueType.TEXT and attribute.choices:
            kind = " | ".join(attribute.choices)
        if attribute.required:
            kind += " (required)"
        made.add_row(f"{prefix}.{attribute.name}", kind, attribute.description)
    out.print(made)


def config(form: FormatOption = Format.HUMAN) -> None:
    """Show the settings in force and the variables that set them."""
    settings = read_settings()
    values = settings.model_dump(mode="json")
    values["ledger"] = without_password(settings.ledger)
    if form is Format.JSON:
        print_json(values)
        return
    made = table("Settings", "variable", "value", "meaning")
    for name, field in Settings.model_fields.items():
        made.add_row(variable_of(name), _plain(values[name]), field.description or "")
    out.print(made)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return os.pathsep.join(value)
    return "" if value is None else str(value)
