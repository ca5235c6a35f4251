"""The options that several commands share; their defaults come from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from policyengine.bootstrap import Settings, read_settings
from policyengine.cli.output import Format
from policyengine.errors import UsageError

RulesOption = Annotated[
    Path | None, typer.Option("--rules", help="Folder of policy files.", show_default="POLICYENGINE_RULES")
]
SchemasOption = Annotated[
    list[Path] | None,
    typer.Option("--schemas", help="Folder of event and entity types of your own; may be repeated."),
]
LedgerOption = Annotated[
    str | None,
    typer.Option("--ledger", help="Database URL of the ledger.", show_default="sqlite:///policyengine.db"),
]
FormatOption = Annotated[Format, typer.Option("--format", help="human or json.")]


def settings_with(
    *,
    ledger: str | None = None,
    rules: Path | None = None,
    schemas: list[Path] | None = None,
    batch_size: int | None = None,
    shard: str | None = None,
) -> Settings:
    """The settings with a command's options before them."""
    given = {
        "ledger": ledger,
        "rules": rules,
        "schemas": schemas,
        "batch_size": batch_size,
        "shard": shard,
    }
    return read_settings(**{name: value for name, value in given.items() if value is not None})


def rules_of(settings: Settings) -> Path:
    """The folder of policy files, which this command cannot do without."""
    if settings.rules is None:
        message = "no policies given: use --rules DIR or set POLICYENGINE_RULES"
        raise UsageError(message)
    return settings.rules
