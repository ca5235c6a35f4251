"""The JSON Schema from which editors complete and check policy files, made of the models and a catalogue.

Draft 7, the newest that the YAML support of VS Code reads whole. Choices are followed by `if` and `then`
instead of `oneOf`, so that an editor names the one key that is wrong, and not twenty kinds of remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from babel import Locale
from babel.core import get_global

from policyengine.authoring.schema_words import CHOICES, KIND_OF_VALUE, LANGUAGES
from policyengine.domain.calendar import zone_names
from policyengine.domain.catalogue import Catalogue, EventType, Scope
from policyengine.domain.money import currency_digits
from policyengine.domain.policy import Policy
from policyengine.domain.remedies import REMEDY_KINDS, expression_fields
from policyengine.domain.values import ValueType
from policyengine.errors import MoneyError

DRAFT = "http://json-schema.org/draft-07/schema#"
Schema = dict[str, Any]

# what the YAML support of VS Code says instead of the pattern
_PATTERNS = {
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "write a date such as 2020-03-15",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$": "write a date such as "
    "2020-03-15, or a time such as 2020-03-15T08:00:00Z",
    r"^-?[0-9]+(\.[0-9]+)? ?[A-Z]{3}$": "write an amount and its currency, such as 500 ILS",
    "^(ever|year|month|week|day|[1-9][0-9]{0,4} days)$": "write ever, year, month, week, day, or a number of "
    "days such as 30 days",
    "^[a-z0-9][a-z0-9._-]*$": "write small letters, digits, `-`, `_` and `.`",
    "^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$": "write small letters, digits, `-`, `_` and `.`; parts "
    "divided by `/`, such as airline/points-kept",
    "^[a-z][a-z0-9_]*$": "write small letters, digits and `_`, a letter first",
}


def policy_schema(catalogue: Catalogue) -> Schema:
    """The schema of a policy file, with the event and entity types of the catalogue."""
    schema = Policy.model_json_schema(by_alias=True, ref_template="#/definitions/{model}")
    definitions: dict[str, Schema] = schema.pop("$defs")
    definitions["Policy"] = {"properties": schema["properties"]}
    _document_remedies(definitions)
    _document_choices(definitions)
    definitions["Basis"] = definitions["Rounding"] = {}
    _use_catalogue(definitions, catalogue)
    _make_rules_strict(definitions)
    schema["properties"] = definitions.pop("Policy")["properties"]
    for unused in ("Basis", "Rounding"):
        del definitions[unused]
    plain = _plain({**schema, "definitions": definitions})
    title = "A policy: one version of it"
    return {"$schema": DRAFT, "title": title, **plain}


def documented(words: Mapping[str, str]) -> Schema:
    """A choice among words, each with what it says."""
    return {"type": "string", "enum": list(words), "enumDescriptions": list(words.values())}


def event_words(events: Iterable[EventType]) -> dict[str, str]:
    """Event types by name, and what each says."""
    return {
        event.name: event.description + (f" ({event.entity})" if event.entity is not None else "")
        for event in events
    }


def happens_to_somebody(event: EventType) -> bool:
    """Whether a rule may be on it: events of the world without an entity reach nobody."""
    return event.scope is Scope.CUSTOMER or event.entity is not None


def currencies() -> dict[str, str]:
    """ISO 4217 codes and their names."""
    names = Locale("en").currencies
    return {code: str(names.get(code, code)) for code in sorted(get_global("all_currencies")) if _known(code)}


def _known(code: str) -> bool:
    try:
        currency_digits(code)
    except MoneyError:
        return False
    return True


def _document_remedies(definitions: dict[str, Schema]) -> None:
    """One remedy, whose fields follow from its kind."""
    branches, words = [], {}
    for kind, model in REMEDY_KINDS.items():
        made = definitions[model.__name__]
        words[kind] = made["description"]
        expressions = expression_fields(model)
        for name, field in made["properties"].items():
            if name in expressions:
                field["description"] += f" — {KIND_OF_VALUE[expressions[name].value]}"
        kind_field = {**made["properties"].pop("kind"), "description": words[kind]}
        own = {name: field for name, field in made["properties"].items() if name != "note"}
        made["properties"] = {"kind": kind_field, **own, "note": made["properties"]["note"]}
        test = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
        branches.append({"if": test, "then": {"$ref": f"#/definitions/{model.__name__}"}})
    kinds = {"description": "what is granted; its fields follow from it", **documented(words)}
    definitions["Remedy"] = {
        "type": "object",
        "description": "A remedy: its kind, and the fields of that kind.",
        "properties": {"kind": kinds},
        "required": ["kind"],
        "allOf": branches,
    }
    for owner in ("Rule", "Alternative"):
        definitions[owner]["properties"]["grant"]["items"] = {"$ref": "#/definitions/Remedy"}


def _document_choices(definitions: dict[str, Schema]) -> None:
    names = {kind: model.__name__ for kind, model in REMEDY_KINDS.items()}
    for (owner, key), words in CHOICES.items():
        owners = ("InputColumn", "OutputColumn") if owner == "Column" else (names.get(owner, owner),)
        for name in owners:
            field = definitions[name]["properties"][key]
            target = field["items"] if field.get("type") == "array" else field
            for old in ("$ref", "const", "enum", "type"):
                target.pop(old, None)
            target.update(documented(words))


def _use_catalogue(definitions: dict[str, Schema], catalogue: Catalogue) -> None:
    of_somebody = [event for event in catalogue.events.values() if happens_to_somebody(event)]
    follows = [event for event in of_somebody if event.scope is Scope.CUSTOMER and not event.internal]
    definitions["EventType"] = documented(event_words(of_somebody))
    rule, policy = definitions["Rule"]["properties"], definitions["Policy"]["properties"]
    one = {"$ref": "#/definitions/EventType"}
    rule["on"] = {
        "description": rule["on"]["description"],
        "anyOf": [one, {"type": "array", "items": one, "minItems": 1}],
    }
    customers = {
        name: entity.description
        for name, entity in catalogue.entities.items()
        if entity.scope is Scope.CUSTOMER
    }
    rule["for"] = {"description": rule["for"]["description"], **documented(customers)}
    follow_up = definitions["FollowUp"]["properties"]
    follow_up["event"] = {
        "description": follow_up["event"]["description"],
        **documented(event_words(follows)),
    }
    by = definitions["Effective"]["properties"]["by"]
    by["anyOf"] = [documented(_anchors(catalogue)), {"type": by.pop("type")}]
    if catalogue.regions:
        regions = {code: region.names.get("en", code) for code, region in catalogue.regions.items()}
        definitions["CrisisScope"]["properties"]["regions"]["items"] = documented(regions)
    policy["currency"].update(documented(currencies()))
    policy["currency"].pop("pattern")
    policy["timezone"].update({"type": "string", "enum": sorted(zone_names())})


def _anchors(catalogue: Catalogue) -> dict[str, str]:
    """The dates and times by which versions may be compared."""
    found = {"event.time": "when the event happened"}
    for entity in catalogue.entities.values():
        for attribute in entity.attributes.values():
            if attribute.type in (ValueType.DATE, ValueType.INSTANT):
                found[f"{entity.name}.{attribute.name}"] = attribute.description
    return found


def _make_rules_strict(definitions: dict[str, Schema]) -> None:
    """What the models check besides single keys, as far as an editor can show it."""
    actions = ("grant", "offer", "deny", "follow_up")
    definitions["Rule"]["anyOf"] = [{"required": [key]} for key in actions]
    definitions["Rule"]["dependencies"] = {
        "deny": {"not": {"anyOf": [{"required": ["grant"]}, {"required": ["offer"]}]}}
    }
    definitions["Cap"]["oneOf"] = [{"required": ["count"]}, {"required": ["amount"]}]
    definitions["Offer"]["dependencies"] = {"default": ["deadline"], "deadline": ["default"]}
    columns = definitions["Table"]["properties"]["columns"]
    columns["items"] = {
        "type": "object",
        "description": "A condition (`when`) or a result (`set`), and its type.",
        "if": {"required": ["set"]},
        "then": {"$ref": "#/definitions/OutputColumn"},
        "else": {"$ref": "#/definitions/InputColumn"},
    }


def _plain(schema: Any, *, names: bool = False) -> Any:
    """Without what is of no use to an editor: titles made of names, double backquotes."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema.replace("``", "`") if isinstance(schema, str) else schema
    if schema.get("pattern") in _PATTERNS:
        schema = {**schema, "patternErrorMessage": _PATTERNS[schema["pattern"]]}
    if names:  # the keys are those of a policy file
        return {key: _plain(value) for key, value in schema.items()}
    made = {
        key: _plain(value, names=key in {"properties", "patternProperties", "definitions"})
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str)) and key != "discriminator"
    }
    of_texts = made.get("additionalProperties")
    if isinstance(of_texts, dict) and of_texts.get("type") == "string":
        made["properties"] = {code: {**of_texts, "description": words} for code, words in LANGUAGES.items()}
    return made
