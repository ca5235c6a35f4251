"""What is wrong with a policy document's structure, in a policy owner's words.

Pydantic finds it (domain.policy); here its errors get their place, our code, and a hint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from policyengine.authoring.structure_hints import (
    key_hint,
    odd_parameters,
    one_of,
    remedy_without_kind,
    wrong_name,
    wrong_type,
)
from policyengine.authoring.yaml_source import MAX_FAULTS, Document, Path
from policyengine.domain.policy import (
    Alternative,
    Cap,
    CrisisScope,
    Deny,
    Effective,
    Enforced,
    Exclusive,
    FollowUp,
    InputColumn,
    Offer,
    OutputColumn,
    Policy,
    Retroactive,
    Rule,
    StaffFirst,
    Table,
)
from policyengine.domain.remedies import REMEDY_KINDS
from policyengine.errors import Finding

_MODELS: Mapping[str, type[BaseModel]] = {
    "effective": Effective,
    "enforced": Enforced,
    "crisis": CrisisScope,
    "retroactive": Retroactive,
    "staff_first": StaffFirst,
    "exclusive": Exclusive,
    "cap": Cap,
    "rules": Rule,
    "follow_up": FollowUp,
    "deny": Deny,
    "offer": Offer,
    "alternatives": Alternative,
    "table": Table,
}


def structure_findings(document: Document) -> list[Finding]:
    """Everything that keeps a document from being a policy; empty when it is one."""
    if not isinstance(document.data, dict):
        hint = "begin with `policy: name/of-it`; `policyengine new` writes one to start from"
        return [document.finding((), "PE003", "a policy file holds `key: value` lines", hint)]
    findings = list(_without_value(document, document.data, ()))
    try:
        Policy.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        faults = error.errors(include_url=False)[:MAX_FAULTS]
        findings += [_finding(document, details) for details in faults if details["input"] is not None]
    findings += odd_parameters(document)
    return sorted(set(findings))


def _without_value(document: Document, value: Any, path: Path) -> Iterator[Finding]:
    """invariant: a key without a value is never silently the same as an absent key."""
    if value is None and path:
        name = path[-1]
        what = "an item" if isinstance(name, int) else f"`{name}`"
        hint = "write `-` for any" if "rows" in path else "write one, or remove the line"
        if isinstance(name, str) and " " in name:
            hint = "text with a comma inside of `{ }` needs quotes"
        yield document.finding(path, "PE003", f"{what} has no value", hint, key=True)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _without_value(document, item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _without_value(document, item, (*path, index))


def data_path(data: Any, loc: tuple[int | str, ...]) -> Path:
    """Pydantic's place of an error without the names of union members."""
    path: list[Any] = []
    for step, part in enumerate(loc):
        kind = data.get("kind") if isinstance(data, dict) else None
        if part == kind and path and isinstance(path[-1], int) and step + 1 < len(loc):
            continue  # the tag of a remedy, even where a key has the same name
        if isinstance(data, dict):
            key = part if part in data else next((key for key in data if _is_written(key, part)), None)
            if key is None:
                continue
            path.append(key)
            data = data[key]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)


def _is_written(key: Any, part: int | str) -> bool:
    """Pydantic names a date key by its text."""
    return not isinstance(key, str) and str(key) == str(part)


def _finding(document: Document, details: ErrorDetails) -> Finding:
    loc, kind, context = details["loc"], details["type"], details.get("ctx", {})
    path = data_path(document.data, loc)
    is_key = loc[-1:] == ("[key]",)
    if kind.startswith("PE"):
        at = context.get("at")
        here = document.data if not path else document.at(path)
        if at and isinstance(here, dict) and at in here:
            path = (*path, at)
        return document.finding(path, kind, details["msg"], str(context.get("hint", "")), key=is_key)
    if kind == "extra_forbidden":
        return _unknown_key(document, path)
    if kind == "missing":
        return _missing(document, path, str(loc[-1]))
    if kind == "invalid_key":
        return document.finding(path, "PE002", "a key must be text", "put it in quotes", key=True)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _unknown_kind(document, path)
    message, hint = _explained(details, path)
    return document.finding(path, "PE003", message, hint, key=is_key)


def _unknown_key(document: Document, path: Path) -> Finding:
    model = _model_at(document, path[:-1])
    keys = [field.alias or name for name, field in model.model_fields.items()]
    word = str(path[-1])
    remedy = str(document.at(path[:-1]).get("kind"))
    what = f"`{remedy}` has no field `{word}`" if remedy in REMEDY_KINDS else f"unknown key `{word}`"
    present = set(map(str, document.at(path[:-1])))
    hint = key_hint(word, [key for key in keys if key not in present]) or f"keys are {', '.join(keys)}"
    if remedy in REMEDY_KINDS and "keys are" not in hint:
        hint += f" Its fields are {', '.join(keys)}"
    return document.finding(path, "PE002", what, hint, key=True)


def _missing(document: Document, path: Path, name: str) -> Finding:
    field = next(
        (
            field
            for key, field in _model_at(document, path).model_fields.items()
            if name in {key, field.alias}
        ),
        None,
    )
    hint = "" if field is None else field.description or ""
    return document.finding(path, "PE004", f"`{name}` is missing", hint)


def _unknown_kind(document: Document, path: Path) -> Finding:
    remedy = document.at(path)
    kinds = f"kinds are {', '.join(sorted(REMEDY_KINDS))}"
    if not isinstance(remedy, dict):
        return document.finding(path, "PE003", "a remedy is written `kind: …` and its fields", kinds)
    if "kind" not in remedy:
        hint = remedy_without_kind(remedy) or kinds
        return document.finding(path, "PE004", "`kind` is missing", hint)
    word = str(remedy["kind"])
    hint = key_hint(word, list(REMEDY_KINDS)) or kinds
    return document.finding((*path, "kind"), "PE003", f"unknown remedy kind `{word}`", hint)


def _explained(details: ErrorDetails, path: Path) -> tuple[str, str]:
    kind, got = details["type"], details["input"]
    found = wrong_type(kind, got, path)
    if found is not None:
        return found
    if kind in {"enum", "literal_error"}:
        choices = _choices(str(details.get("ctx", {}).get("expected", "")))
        return f"`{got}` is not one of {', '.join(choices)}", one_of(got, choices)
    if kind == "string_pattern_mismatch":
        return f"`{got}` cannot stand here", wrong_name(str(details["ctx"]["pattern"]), got)
    if kind in {"too_short", "string_too_short"}:
        return "nothing is written here", "write at least one"
    message = details["msg"]
    return message[:1].lower() + message[1:], ""


def _choices(expected: str) -> list[str]:
    return [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]


def _model_at(document: Document, path: Path) -> type[BaseModel]:
    """The model that describes the mapping at a path."""
    name = next((part for part in reversed(path) if isinstance(part, str)), None)
    if name is None:
        return Policy
    here = document.at(path)
    if name == "columns":
        return OutputColumn if isinstance(here, dict) and "set" in here else InputColumn
    if name == "grant" and isinstance(here, dict):
        return REMEDY_KINDS.get(str(here.get("kind")), Policy)
    return _MODELS.get(name, Policy)
