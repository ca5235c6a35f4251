"""The JSON Schema from which editors complete and check files of cases: event types and what they carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policyengine.authoring import schema_words as words
from policyengine.authoring.case_later import DECIDED
from policyengine.authoring.schema_policy import DRAFT, documented
from policyengine.domain.catalogue import Attribute, Catalogue, EventType
from policyengine.domain.decision import Verdict
from policyengine.domain.remedies import REMEDY_KINDS, expression_fields
from policyengine.domain.values import ValueType
from policyengine.engine.vocabulary import world_attributes

Schema = dict[str, Any]

_PLACEHOLDER: Schema = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_FORMS: Mapping[ValueType, tuple[Schema, str]] = {
    ValueType.TEXT: ({"type": ["string", "number"]}, "text"),
    ValueType.INTEGER: ({"type": "integer"}, "a whole number"),
    ValueType.FLAG: ({"type": "boolean"}, "true or false"),
    ValueType.MONEY: ({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)? ?[A-Z]{3}$"}, "such as 100 ILS"),
    ValueType.DATE: ({"type": "string", "pattern": f"{_DAY}$"}, "such as 2020-03-15"),
    ValueType.INSTANT: ({"type": "string", "pattern": f"{_DAY}[T ]"}, "such as 2020-03-15T08:00:00Z"),
    ValueType.TEXTS: ({"type": "array", "items": {"type": "string"}}, "a list"),
}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def cases_schema(catalogue: Catalogue) -> Schema:
    """The schema of a file of cases, with the event types of the catalogue."""
    expect, later = {"$ref": "#/definitions/Expect"}, {"$ref": "#/definitions/Later"}
    either = [{"enum": ["none"]}, later, _PLACEHOLDER]
    case = {
        "name": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "with": _one_or_many(),
        "world": {"$ref": "#/definitions/World"},
        "given": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/Step"}},
        "events": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "examples": _examples(),
        "expect": _expected(expect),
        "later": {"anyOf": [*either, {"type": "array", "minItems": 1, "items": {"anyOf": either}}]},
    }
    file = {
        "policy": {"type": "string"},
        "with": _one_or_many(),
        "world": {"$ref": "#/definitions/World"},
        "cases": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/Case"}},
        "accepted_mutants": {"type": "array", "items": {"$ref": "#/definitions/Accepted"}},
    }
    accepted = {
        "change": {"type": "string", "minLength": 1},
        "reason": {"type": "string", "minLength": 1},
        "version": {"type": "integer", "minimum": 1},
        "rule": {"type": "string"},
    }
    return {
        "$schema": DRAFT,
        "title": "Cases: what a policy decides on given events",
        **_object(file, words.FILE, required=["cases"]),
        "definitions": {
            "Case": {
                "description": "What happens, and what is decided on it.",
                **_object(case, words.CASE, required=["name"]),
                "oneOf": [{"required": ["given"]}, {"required": ["events"]}],
                "anyOf": [{"required": ["expect"]}, {"required": ["later"]}],
            },
            "Accepted": _object(accepted, words.ACCEPTED, required=["change", "reason"]),
            "World": _world(catalogue),
            "Step": _step(catalogue),
            **dict(_events(catalogue)),
            **_expectations(),
            "Later": _later(catalogue),
        },
    }


def _object(properties: Schema, told: Mapping[str, str], required: list[str] | None = None) -> Schema:
    """An object with these keys alone, each with what it says."""
    described = {key: {"description": told[key], **schema} for key, schema in properties.items()}
    made: Schema = {"type": "object", "properties": described, "additionalProperties": False}
    return {**made, "required": required} if required else made


def _expected(expect: Schema) -> Schema:
    return {"anyOf": [{"enum": ["none"]}, expect, {"type": "array", "minItems": 1, "items": expect}]}


def _later(catalogue: Catalogue) -> Schema:
    on = {"anyOf": [_FORMS[ValueType.DATE][0], _FORMS[ValueType.INSTANT][0], _PLACEHOLDER]}
    events = {name: event.description for name, event in catalogue.events.items()}
    made: Schema = {
        "on": on,
        "happens": {"anyOf": [documented(events), _PLACEHOLDER]},
        "rule": {"type": "string"},
        "customer": {"type": ["string", "number"]},
        "expect": {"anyOf": [_expected({"$ref": "#/definitions/Decided"}), _PLACEHOLDER]},
    }
    return {
        "description": "Something that happens by itself after the last event, and what is decided then.",
        **_object(made, words.LATER, required=["on"]),
    }


def _one_or_many() -> Schema:
    return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _examples() -> Schema:
    rows = {"type": "array", "minItems": 1, "items": {"type": "object"}}
    return {"anyOf": [rows, {"type": "string", "description": "a heading line, then a row a line"}]}


def _world(catalogue: Catalogue) -> Schema:
    facts = {name: _property(attribute) for name, attribute in world_attributes(catalogue).items()}
    return {"type": "object", "properties": facts, "additionalProperties": False}


def _property(attribute: Attribute) -> Schema:
    """A value as a case writes it, or a placeholder that an example fills in."""
    form, words_ = _FORMS[attribute.type]
    if attribute.choices:
        form = {"type": "string", "enum": list(attribute.choices)}
        words_ = "one of a list"
    return {"description": f"{attribute.description} — {words_}", "anyOf": [form, _PLACEHOLDER]}


def _step(catalogue: Catalogue) -> Schema:
    return {
        "type": "object",
        "description": "One event: its type, and below it when it happens and what it carries.",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            name: {"description": event.description, "$ref": f"#/definitions/event.{name}"}
            for name, event in catalogue.events.items()
        },
        "additionalProperties": False,
    }


def _events(catalogue: Catalogue) -> Iterator[tuple[str, Schema]]:
    for name, event in catalogue.events.items():
        yield f"event.{name}", _event(event)


def _event(event: EventType) -> Schema:
    at, _ = _FORMS[ValueType.INSTANT]
    envelope: Schema = {
        "at": {"anyOf": [at, _PLACEHOLDER]},
        "customer": {"type": ["string", "number"]},
        "source": {"type": "string"},
        "id": {"type": ["string", "number"]},
        "data": {"type": "object"},
    }
    described = {key: {"description": words.ENVELOPE[key], **schema} for key, schema in envelope.items()}
    own = {
        name: _property(attribute) for name, attribute in event.attributes.items() if name not in described
    }
    return {
        "type": "object",
        "description": event.description,
        "properties": {**described, **own},
        "additionalProperties": False,
        "required": ["at"],
        "anyOf": [
            {"required": [name for name, each in event.attributes.items() if each.required]},
            {"required": ["data"]},
        ],
    }


def _expectations() -> Schema:
    remedies = {"type": "array", "items": {"$ref": "#/definitions/Remedy"}}
    kinds = {"type": "array", "items": {"enum": list(REMEDY_KINDS)}}
    denial = _object({name: {} for name in ("policy", "version", "rule")}, words.ORIGIN)
    denial["properties"]["reason"] = {"description": "why, for the record", "type": "string"}
    verdicts = {"type": "object", "additionalProperties": {"enum": [each.value for each in Verdict]}}
    expect: Schema = {
        "outcome": documented(words.OUTCOMES),
        "remedies": remedies,
        "offers": {"type": "array", "items": {"$ref": "#/definitions/Offer"}},
        "denials": {"type": "array", "items": {"anyOf": [{"type": "string"}, denial]}},
        "rules": {"type": "array", "items": {"type": "string"}},
        "lost": verdicts,
        "unknown": {"type": "object"},
        "errors": {"type": "object"},
        "messages": _TEXTS,
        "not": kinds,
        "shadow": remedies,
        "rejected": {"type": "string"},
        "entity": _entity(),
        "customer": {"type": ["string", "number"]},
        "after": {"type": "integer", "minimum": 1},
    }
    offer = {
        "alternatives": {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"$ref": "#/definitions/Choice"}]},
        },
        **{key: {} for key in ("default", "deadline", "consent")},
    }
    origin: Schema = {key: {} for key in words.ORIGIN if key != "enforced"}
    choice = {"id": {"type": "string"}, "title": _TEXTS, "remedies": remedies}
    filled = {key: {"anyOf": [schema, _PLACEHOLDER]} for key, schema in expect.items()}
    told: Schema = {"description": "What is decided; only what is written is compared.", "minProperties": 1}
    return {
        "Expect": {**told, **_object(filled, words.EXPECT)},
        "Decided": {**told, **_object({key: filled[key] for key in DECIDED}, words.EXPECT)},
        "Offer": _object({**origin, **offer}, {**words.ORIGIN, **words.OFFER}),
        "Choice": _object(choice, words.CHOICE),
        "Remedy": _remedy(),
    }


def _entity() -> Schema:
    told = {"type": "its type, such as booking", "id": "its id"}
    return _object({"type": {"type": "string"}, "id": {"type": ["string", "number"]}}, told, ["type", "id"])


def _remedy() -> Schema:
    """What a remedy came to: values, where a policy has expressions."""
    origin = {key: {"description": says} for key, says in words.ORIGIN.items()}
    told = {kind: (model.__doc__ or "").replace("``", "`") for kind, model in REMEDY_KINDS.items()}
    branches = []
    for kind, model in REMEDY_KINDS.items():
        expressions = expression_fields(model)
        fields: Schema = {"kind": {"description": told[kind]}, **origin}
        for name, about in model.model_fields.items():
            key = about.alias or name
            if key in expressions:
                fields[key] = _property(Attribute(key, expressions[key], description=about.description or ""))
            elif key != "kind":
                fields[key] = {"description": about.description or ""}
        test = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
        branches.append(
            {"if": test, "then": {"properties": fields, "additionalProperties": False}},
        )
    kind_field = {"description": "the kind of remedy", "anyOf": [documented(told), _PLACEHOLDER]}
    return {"type": "object", "properties": {"kind": kind_field}, "required": ["kind"], "allOf": branches}
