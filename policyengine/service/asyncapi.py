"""The topics as an AsyncAPI 3.0 document, made of the catalogue and the exported schemas.

What the messages are is domain.validation's and service.announcements' business; files are written elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from policyengine import __version__
from policyengine.domain.catalogue import Catalogue, EventType, Scope
from policyengine.service.announcements import DECIDED, REFUSED

ASYNCAPI = "3.0.0"
_STRUCTURED = "application/cloudevents+json"
_KAFKA = "0.5.0"  # version of AsyncAPI's Kafka binding
_TEXT = {"type": "string"}
_FOR_EVER = -1
_NOT_HERE = ("$schema", "$id", "title", "description")  # of a catalogue's schema: the message says them


class Topics(NamedTuple):
    """The names of the topics; these are the defaults of `POLICYENGINE_KAFKA_*_TOPIC`."""

    customer: str = "customer-events"
    world: str = "world-events"
    decisions: str = "policy-decisions"
    dead_letters: str = "dead-letters"


_DEFAULT = Topics()


def rendered(
    catalogue: Catalogue, envelope: Mapping[str, Any], decision: Mapping[str, Any], topics: Topics = _DEFAULT
) -> bytes:
    """The document of ``document`` as a file."""
    made = document(catalogue, envelope, decision, topics)
    return orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def document(
    catalogue: Catalogue, envelope: Mapping[str, Any], decision: Mapping[str, Any], topics: Topics = _DEFAULT
) -> dict[str, Any]:
    """What goes through the four topics; ``envelope`` and ``decision``: their exported JSON Schemas.

    Events that the engine makes itself are in no topic, and so not in it.
    """
    outside = {name: kind for name, kind in sorted(catalogue.events.items()) if not kind.internal}
    events = {scope: [name for name in outside if outside[name].scope is scope] for scope in Scope}
    messages = {name: _event_message(kind) for name, kind in outside.items()}
    messages |= {DECIDED: _decision_message(), REFUSED: _dead_letter_message()}
    schemas = dict(_shared(envelope)) | dict(_shared_of_decisions(decision))
    schemas |= {f"{name}.data": _data(catalogue, name) for name in outside}
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "crisis policy engine",
            "version": __version__,
            "description": "Customers' events and the world's go in, decisions and dead letters come "
            "out. Each message is a CloudEvent 1.0; events are read in structured and in binary mode, "
            "everything is written structured.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _STRUCTURED,
        "channels": _channels(events, topics),
        "operations": _operations(),
        "components": {"messages": messages, "schemas": schemas},
    }


def _channels(events: Mapping[Scope, list[str]], topics: Topics) -> dict[str, Any]:
    return {
        "customerEvents": _channel(
            topics.customer,
            "What happens to one customer. The key is the customer's id, the event's `subject`: another "
            "key, or none, is refused (EV094). A partition is a shard of the ledger, so the number of "
            "partitions stays as it is once there are events.",
            events[Scope.CUSTOMER],
            {},
        ),
        "worldEvents": _channel(
            topics.world,
            "What happens to everybody: crises, restrictions, facilities. One partition, never "
            "deleted from: every worker reads all of it, and new shards from its beginning.",
            events[Scope.WORLD],
            {
                "partitions": 1,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": _FOR_EVER,
                    "retention.bytes": _FOR_EVER,
                },
            },
        ),
        "policyDecisions": _channel(
            topics.decisions,
            "Each decision once, for readers with isolation.level=read_committed; those of one "
            "customer in order.",
            [DECIDED],
            {},
        ),
        "deadLetters": _channel(
            topics.dead_letters,
            "Each message that was refused, with code, reason and its bytes.",
            [REFUSED],
            {},
        ),
    }


def _channel(topic: str, text: str, messages: list[str], kafka: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": text,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": topic, **kafka, "bindingVersion": _KAFKA}},
    }


def _operations() -> dict[str, Any]:
    told = {
        "receiveCustomerEvents": ("receive", "customerEvents", "Decide on what happened to a customer."),
        "receiveWorldEvents": ("receive", "worldEvents", "Decide for every customer whom it reaches."),
        "sendDecisions": ("send", "policyDecisions", "Tell what was decided, and why."),
        "sendDeadLetters": ("send", "deadLetters", "Tell what was refused, and why."),
    }
    return {
        name: {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}
        for name, (action, channel, summary) in told.items()
    }


def _event_message(kind: EventType) -> dict[str, Any]:
    name = kind.name
    key = "the customer's id" if kind.scope is Scope.CUSTOMER else "any, or none"
    data = {"type": {"const": name}, "data": {"$ref": f"#/components/schemas/{name}.data"}}
    payload = {"allOf": [{"$ref": "#/components/schemas/envelope"}, {"properties": data}]}
    return _message(name, kind.description, key, payload, {})


def _decision_message() -> dict[str, Any]:
    payload = _announced(
        DECIDED, ["time", "subject"], {"$ref": "#/components/schemas/decision"}, _described("the customer")
    )
    headers = {
        "decision_id": _described("the event's `id`, too"),
        "ce_subject": _described("the customer"),
        "ce_time": _described("when the event happened that was decided on"),
    }
    return _message(
        DECIDED, "what was decided on an event for one customer", "the customer's id", payload, headers
    )


def _dead_letter_message() -> dict[str, Any]:
    payload = _announced(REFUSED, [], {"$ref": "#/components/schemas/deadLetter"}, None)
    headers = {"code": _described("why it was refused: EV001 … EV115, see docs/events.md")}
    return _message(REFUSED, "a message that was refused, with its reason", "the shard", payload, headers)


def _announced(
    kind: str, required: list[str], data: Mapping[str, Any], subject: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What service.announcements makes."""
    properties: dict[str, Any] = {
        "specversion": {"const": "1.0"},
        "id": {**_TEXT, "minLength": 1},
        "source": {**_TEXT, "pattern": "^urn:policyengine:"},
        "type": {"const": kind},
        "datacontenttype": {"const": "application/json"},
        "data": dict(data),
    }
    if subject is not None:
        properties |= {"subject": dict(subject), "time": {**_TEXT, "format": "date-time"}}
    needed = ["specversion", "id", "source", "type", "datacontenttype", "data", *required]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _message(
    name: str, text: str, key: str, payload: dict[str, Any], headers: dict[str, Any]
) -> dict[str, Any]:
    ours = {"shard": _described("the part of the ledger"), "seq": _described("the entry's number in it")}
    every = {
        "content-type": _described(f"{_STRUCTURED}; charset=UTF-8"),
        "ce_id": _described("the event's `id`"),
        "ce_source": _described("the event's `source`"),
        "ce_type": {"const": name},
    }
    made: dict[str, Any] = {"name": name, "title": name, "summary": text, "contentType": _STRUCTURED}
    if headers:
        written = {**every, **headers, **ours}
        made["headers"] = {"type": "object", "properties": written, "required": list(written)}
    made["payload"] = payload
    made["bindings"] = {"kafka": {"key": _described(key), "bindingVersion": _KAFKA}}
    return made


def _described(text: str) -> dict[str, Any]:
    return {**_TEXT, "description": text}


def _data(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """An event type's schema without the annotations that are the engine's own."""
    raw: Any = catalogue.documents[f"events/{name}"]
    properties = {key: _property(spec) for key, spec in raw.get("properties", {}).items()}
    kept = {key: value for key, value in _plain(raw).items() if key not in _NOT_HERE}
    return {**kept, "properties": properties}


def _property(spec: Mapping[str, Any]) -> dict[str, Any]:
    plain = _plain(spec)
    if plain.pop("$ref", None) is None:
        return plain
    return {**plain, "allOf": [{"$ref": "#/components/schemas/money"}]}  # beside a bare $ref nothing counts


def _plain(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if not key.startswith("x-")}


def _shared(envelope: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "envelope", {key: value for key, value in envelope.items() if key != "$schema"}
    yield (
        "money",
        {
            "type": "object",
            "description": "an amount in major units as text, never a number, and its ISO 4217 currency",
            "properties": {
                "amount": {**_TEXT, "examples": ["250.00"]},
                "currency": {**_TEXT, "pattern": "^[A-Z]{3}$", "examples": ["ILS"]},
            },
            "required": ["amount", "currency"],
            "additionalProperties": False,
        },
    )
    nullable = {"type": ["string", "null"]}
    yield (
        "deadLetter",
        {
            "type": "object",
            "properties": {
                "code": {**_TEXT, "pattern": "^EV[0-9]{3}$"},
                "reason": _TEXT,
                "source": {**nullable, "description": "the event's, where it could be read"},
                "id": {**nullable, "description": "the event's, where it could be read"},
                "shard": _TEXT,
                "seq": {"type": "integer", "minimum": 0},
                "offset": {"type": "integer", "minimum": 0, "description": "in the input, after the message"},
                "message": {
                    "type": "object",
                    "properties": {
                        "headers": {"type": "array", "items": {"type": "array"}},
                        "key": nullable,
                        "value": nullable,
                    },
                    "description": "its key and headers, and its value where that is not `raw`; in base64",
                },
                "raw": _described("the message's bytes, where they are UTF-8"),
                "raw_base64": _described("the message's bytes, where they are not"),
            },
            "required": ["code", "reason", "source", "id", "shard", "seq", "offset"],
            "oneOf": [{"required": ["raw"]}, {"required": ["raw_base64"]}],
            "additionalProperties": False,
        },
    )


def _shared_of_decisions(decision: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The decision's schema, its parts moved to where an AsyncAPI document has them."""
    moved: dict[str, Any] = orjson.loads(
        orjson.dumps(decision).replace(b'"#/$defs/', b'"#/components/schemas/')
    )
    moved.pop("$schema")
    yield from moved.pop("$defs").items()
    yield "decision", moved
