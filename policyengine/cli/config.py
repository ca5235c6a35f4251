"""`config`: the settings in force, and the variables that set them."""

from __future__ import annotations

import os
from typing import Any

from policyengine.bootstrap import Settings, read_settings, variable_of, without_password
from policyengine.cli.options import FormatOption
from policyengine.cli.output import Format, out, print_json, table


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
