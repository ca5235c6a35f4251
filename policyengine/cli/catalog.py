"""`catalog`: the vocabulary that policies are written in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from policyengine.authoring.vocabulary_page import (
    about,
    always_there,
    changed_by,
    effects,
    type_of,
    vocabulary_page,
)
from policyengine.bootstrap import catalogue_of
from policyengine.cli.options import SchemasOption, settings_with
from policyengine.cli.output import out, print_json, say, table
from policyengine.domain.catalogue import Attribute, Catalogue, Scope
from policyengine.domain.near import did_you_mean
from policyengine.errors import UsageError


class CatalogFormat(StrEnum):
    """For whom the vocabulary is."""

    HUMAN = "human"
    JSON = "json"
    MARKDOWN = "markdown"


def catalog(
    name: Annotated[
        str | None, typer.Argument(help="An event type, an entity type, or one of its attributes.")
    ] = None,
    schemas: SchemasOption = None,
    form: Annotated[
        CatalogFormat, typer.Option("--format", help="human, json, or markdown: the page of all of it.")
    ] = CatalogFormat.HUMAN,
) -> None:
    """Show the vocabulary: event and entity types, their properties, types and meanings.

    Without a name, a list of all types and of what every rule can read.
    """
    catalogue = catalogue_of(settings_with(schemas=schemas).schemas)
    if form is CatalogFormat.MARKDOWN:
        if name is not None:
            raise UsageError("the page is of the whole vocabulary: leave the name out")
        say(vocabulary_page(catalogue).rstrip("\n"))
        return
    kind = _type_of(catalogue, name)
    if form is CatalogFormat.JSON:
        print_json({key: value for key, value in catalogue.documents.items() if _wanted(key, kind)})
    elif name is None:
        _show_all(catalogue)
    else:
        _show_one(catalogue, name)


def _type_of(catalogue: Catalogue, name: str | None) -> str | None:
    """The type that a name means: itself, or the one that an attribute is of."""
    if name is None or name in catalogue.events or name in catalogue.entities:
        return name
    entity, _, attribute = name.partition(".")
    known = catalogue.entities.get(entity)
    if known is not None and attribute in known.attributes:
        return entity
    names = [*catalogue.events, *catalogue.entities]
    names += [f"{each.name}.{one}" for each in catalogue.entities.values() for one in each.attributes]
    hint = did_you_mean(name, names)
    message = f"no event or entity type `{name}`; {hint or 'see `policyengine catalog`'}"
    raise UsageError(message)


def _wanted(key: str, name: str | None) -> bool:
    return name is None or key.split("/", 1)[-1] == name


def _show_all(catalogue: Catalogue) -> None:
    for scope, title in ((Scope.CUSTOMER, "What customers have"), (Scope.WORLD, "The world")):
        made = table(title, "entity type", "what it is")
        for entity in catalogue.entities.values():
            if entity.scope is scope:
                made.add_row(entity.name, entity.description)
        out.print(made)
    made = table("Events", "event type", "of", "what happens")
    for event in catalogue.events.values():
        made.add_row(event.name, event.entity or event.scope.value, event.description)
    out.print(made)
    made = table("What every rule can read", "name", "type", "meaning")
    for key, (kind, meaning) in always_there().items():
        made.add_row(key, kind, meaning)
    out.print(made)
    out.print("Attributes and properties: policyengine catalog booking, policyengine catalog booking.made …")


def _show_one(catalogue: Catalogue, name: str) -> None:
    if name in catalogue.events:
        event = catalogue.events[name]
        _show(f"event {name}: {event.description}", event.attributes, "event")
        out.print(f"It {about(event)}. {' '.join(effects(catalogue, event))}\n".replace("`", ""))
    if name in catalogue.entities:
        entity = catalogue.entities[name]
        _show(f"entity {name}: {entity.description}", entity.attributes, name)
        out.print(f"Changed by: {', '.join(changed_by(catalogue, name)) or 'the engine alone'}\n")
    kind, _, attribute = name.partition(".")
    if kind in catalogue.entities and attribute in catalogue.entities[kind].attributes:
        known = catalogue.entities[kind].attributes[attribute]
        _show(f"attribute {name} of {kind}", {attribute: known}, kind)
        events = (each for each in changed_by(catalogue, kind) if _writes(catalogue, each, attribute))
        out.print(f"Written by: {', '.join(events) or 'the engine alone'}\n")


def _writes(catalogue: Catalogue, event: str, attribute: str) -> bool:
    kind = catalogue.events[event]
    return attribute in {*kind.attributes, *kind.sets, *kind.stamps, *kind.clears}


def _show(title: str, attributes: Mapping[str, Attribute], prefix: str) -> None:
    made = table(title, "name", "type", "meaning")
    for attribute in attributes.values():
        kind = " | ".join(attribute.choices) if attribute.choices else type_of(attribute)
        if attribute.required:
            kind += " (required)"
        made.add_row(f"{prefix}.{attribute.name}", kind, attribute.description)
    out.print(made)
