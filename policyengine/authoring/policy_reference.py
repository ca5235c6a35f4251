"""The page of all that a policy file may hold, made of the models: every key, its values, its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from policyengine.domain.policy import Policy

_HEAD = """# Reference of the policy file

Every key, made from the models that read the files: `policyengine schema reference` writes this page.
What the keys are for, with examples, is in [policy-language.md](policy-language.md); functions are in
[functions.md](functions.md). A key marked with * must be there. *CEL* is an expression; where it says
*date or CEL*, a date may be written as it is.
"""
_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MONEY = "[A-Z]{3}$"


def reference() -> str:
    """The page in Markdown."""
    schema = Policy.model_json_schema(by_alias=True)
    definitions: Mapping[str, Any] = schema["$defs"]
    models = {"Policy": schema, **{name: definitions[name] for name in _reached(schema, definitions)}}
    sections = (
        "\n".join(_section(name, model, definitions))
        for name, model in models.items()
        if "properties" in model
    )
    return "\n".join([_HEAD, *sections])


def _reached(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    """Definitions in the order in which a reader meets them: what a thing holds comes after it."""
    found: dict[str, None] = {}
    waiting = list(_named({key: value for key, value in schema.items() if key != "$defs"}))
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting[:0] = [one for one in _named(definitions[name]) if one not in found]
    return list(found)


def _named(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        reference_ = node.get("$ref")
        if isinstance(reference_, str):
            yield reference_.rsplit("/", 1)[-1]
        for key, value in node.items():
            if key != "discriminator":
                yield from _named(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named(value)


def _section(name: str, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[str]:
    kind = schema["properties"].get("kind", {}).get("const")
    yield f"## {_title(name, definitions)}"
    yield ""
    if text := _meaning(schema):
        yield text
        yield ""
    yield "| Key | Value | Meaning |"
    yield "|---|---|---|"
    required = schema.get("required", ())
    for key, value in schema["properties"].items():
        if key == "kind" and kind is not None:
            continue
        star = " *" if key in required else ""
        yield f"| `{key}`{star} | {_cell(_value(value, definitions))} | {_cell(_about(value))} |"
    yield ""


def _title(name: str, definitions: Mapping[str, Any]) -> str:
    schema = definitions.get(name, {})
    kind = schema.get("properties", {}).get("kind", {}).get("const")
    if kind is not None:
        return f"Remedy `{kind}`"
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return words[0].upper() + words[1:]


def _anchor(name: str, definitions: Mapping[str, Any]) -> str:
    title = _title(name, definitions).lower()
    return "".join(letter for letter in title if letter.isalnum() or letter in " -_").replace(" ", "-")


def _meaning(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).replace("``", "`").replace("\n", " ")


def _about(schema: Mapping[str, Any]) -> str:
    parts = [_meaning(schema)]
    if "default" in schema:
        parts.append(f"Default: `{_shown(schema['default'])}`")
    if schema.get("examples"):
        parts.append("Such as " + ", ".join(f"`{_shown(one)}`" for one in schema["examples"]))
    return ". ".join(part.rstrip(".") for part in parts if part)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _value(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What may be written, in words."""
    if "$ref" in schema:
        return _other(schema["$ref"].rsplit("/", 1)[-1], definitions)
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return _either([f"`{_shown(one)}`" for one in choices])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return _either(list(dict.fromkeys(_value(one, definitions) for one in schema[key])))
    if schema.get("type") == "array":
        return f"list of {_value(schema.get('items', {}), definitions)}"
    if schema.get("type") == "object":
        return _mapping(schema, definitions)
    return _scalar(schema)


def _other(name: str, definitions: Mapping[str, Any]) -> str:
    """Another model: a link to its section; values of its own where it has none."""
    target = definitions[name]
    if "properties" not in target:
        return _value(target, definitions)
    kind = target["properties"].get("kind", {}).get("const")
    shown = _title(name, definitions) if kind is None else f"`{kind}`"
    return f"[{shown}](#{_anchor(name, definitions)})"


def _mapping(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    inner = schema.get("additionalProperties")
    patterns = schema.get("patternProperties", {})
    if isinstance(inner, Mapping):
        return f"{_grouped(_value(inner, definitions))} by name"
    if patterns:
        ((pattern, value),) = patterns.items()
        return f"{_grouped(_value(value, definitions))} by {'day' if _DATE in pattern else 'name'}"
    return "mapping"


def _grouped(text: str) -> str:
    return f"({text})" if " or " in text else text


def _scalar(schema: Mapping[str, Any]) -> str:
    pattern = str(schema.get("pattern", ""))
    if _DATE in pattern:
        return "date"
    if pattern.endswith(_MONEY):
        return "currency" if pattern == "^[A-Z]{3}$" else "money"
    text = _KINDS.get(str(schema.get("type")), "value")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{text}, {low} to {high}"
    return f"{text} from {low}" if low is not None else text


def _either(several: Sequence[str]) -> str:
    return several[0] if len(several) == 1 else f"{', '.join(several[:-1])} or {several[-1]}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
