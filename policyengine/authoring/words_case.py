"""A case for a `cases.yaml`, written from events and from what is expected of the last of them.

Reading cases is authoring.case_file's; what is written here is read there as the same events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.values import ValueType

Document = Mapping[str, Any]
_ENVELOPE = frozenset({"at", "customer", "source", "id", "data"})
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "none"})
_ORIGIN = ("version", "basis", "enforced", "note")  # what a case need not say of a remedy


def case_text(name: str, events: Sequence[Document], catalogue: Catalogue, expected: Document | None) -> str:
    """One item below `cases:`; ``expected`` is the decision's part: outcome, remedies, offers, entity."""
    lines = [f"  - name: {_text(name)}", "    with: all", "    given:"]
    for number, event in enumerate(events, 1):
        lines.append(f"      - {event['type']}: {{{', '.join(_event(event, catalogue, number))}}}")
    lines.append("    expect:")
    lines += [f"      {line}" for line in _expected(expected)]
    return "\n".join(lines) + "\n"


def _event(event: Document, catalogue: Catalogue, number: int) -> Iterator[str]:
    kind = catalogue.events[event["type"]]
    yield f"at: {event['time']}"
    own = event["data"].get(kind.key or "", "world") if kind.scope is Scope.WORLD else "c1"
    if event["subject"] != own:
        yield f"customer: {_text(event['subject'])}"
    if event["source"] != "/cases" and not kind.internal:
        yield f"source: {_text(event['source'])}"
    if event["id"] != f"e{number}" and not kind.internal:
        yield f"id: {_text(event['id'])}"
    types = {name: attribute.type for name, attribute in kind.attributes.items()}
    properties = [f"{name}: {_value(value, types.get(name))}" for name, value in event["data"].items()]
    if _ENVELOPE.isdisjoint(event["data"]):
        yield from properties
    else:
        yield f"data: {{{', '.join(properties)}}}"


def _value(value: Any, kind: ValueType | None) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case {"amount": amount, "currency": currency} | {"value": amount, "currency": currency}:
            return f"{amount} {currency}"
        case list():
            return f"[{', '.join(_value(each, ValueType.TEXT) for each in value)}]"
        case str() if kind in {ValueType.DATE, ValueType.INSTANT}:
            return value
    return _text(value)


def _text(value: Any) -> str:
    """As YAML text: bare where it cannot be anything else."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _expected(expected: Document | None) -> Iterator[str]:
    if expected is None:
        yield "outcome: none"
        return
    if expected.get("entity") is not None:
        yield f"entity: {{type: {_text(expected['entity'][0])}, id: {_text(expected['entity'][1])}}}"
    yield f"outcome: {expected['outcome']}"
    if expected["remedies"]:
        yield "remedies:"
        for remedy in expected["remedies"]:
            yield f"  - {{{', '.join(_remedy(remedy))}}}"
    if expected["offers"]:
        yield "offers:"
        for offer in expected["offers"]:
            choices = ", ".join(_text(one["id"]) for one in offer["alternatives"])
            yield f"  - {{{_of(offer)}, alternatives: [{choices}]}}"
    if expected["denials"]:
        yield "denials:"
        for one in expected["denials"]:
            yield f"  - {{{_of(one)}}}"


def _of(one: Document) -> str:
    return f"policy: {_text(one['policy'])}, rule: {_text(one['rule'])}"


def _remedy(remedy: Document) -> Iterator[str]:
    first = {"kind": remedy["kind"], "amount": remedy.get("amount")}
    rest = {name: value for name, value in remedy.items() if name not in first and name not in _ORIGIN}
    for name, value in {**first, **rest}.items():
        if value is not None:
            yield f"{name}: {_value(value, ValueType.DATE if _is_day(value) else None)}"


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False
