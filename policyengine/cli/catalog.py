"""`catalog`: the vocabulary that policies are written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from policyengine.bootstrap import catalogue_of
from policyengine.cli.options import FormatOption, SchemasOption, settings_with
from policyengine.cli.output import Format, out, print_json, table
from policyengine.domain.catalogue import Attribute, Catalogue
from policyengine.domain.near import did_you_mean
from policyengine.domain.values import ValueType
from policyengine.errors import UsageError


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
