"""The JSON Schemas of our own formats, generated from the models into `schemas/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from policyengine.authoring.schema_cases import cases_schema
from policyengine.authoring.schema_policy import policy_schema
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.documents import DecisionDocument, EntryHeader, Envelope
from policyengine.errors import UsageError

MODELS: Mapping[str, type[BaseModel]] = {
    "decision.schema.json": DecisionDocument,
    "entry-header.schema.json": EntryHeader,
    "envelope.schema.json": Envelope,
}


def generated() -> dict[str, bytes]:
    """File name → content of the formats that are the same whatever the catalogue."""
    return {
        name: _render(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **model.model_json_schema(by_alias=True),
            }
        )
        for name, model in MODELS.items()
    }


def for_editors(catalogue: Catalogue) -> dict[str, bytes]:
    """File name → content of the schemas of the files that people write, with a catalogue's words."""
    return {
        "policy.schema.json": _render(policy_schema(catalogue)),
        "cases.schema.json": _render(cases_schema(catalogue)),
    }


def _render(schema: Mapping[str, Any]) -> bytes:
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def export(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write what was generated; the paths that changed."""
    changed = stale(folder, files)
    for path in changed:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[path.name])
        except OSError as error:
            message = f"cannot write {path}: {error.strerror}"
            raise UsageError(message) from error
    return changed


def stale(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Those that are missing or not what is generated now."""
    return [
        folder / name
        for name, content in files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]
