"""Short ways to write what most tests need: policies as YAML text, events, and deciding them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.load import read_policy
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Decision
from policyengine.domain.policy import Policy
from policyengine.domain.values import Value
from policyengine.domain.world import World
from policyengine.service.dry_run import dry_run
from policyengine.service.policy_sets import PolicySet, prepare


@cache
def catalogue() -> Catalogue:
    """The shipped catalogue."""
    return load_catalogue([shipped_schemas()])


def policy(text: str) -> Policy:
    """A policy of YAML text; whatever is wrong fails the test with its findings."""
    loaded, findings = read_policy(text.encode(), "test.yaml")
    assert loaded is not None, "\n".join(map(str, findings))
    return loaded.policy


def policy_set(*texts: str) -> PolicySet:
    """Policies of YAML texts, compiled with the shipped catalogue."""
    return prepare([policy(text) for text in texts], catalogue())


def event(kind: str, at: str, /, customer: str = "c1", *, event_id: str = "", **data: Any) -> dict[str, Any]:
    """A CloudEvent; its id is made of its content unless given."""
    return {
        "specversion": "1.0",
        "id": event_id or f"{kind}-{at}-{customer}-{json.dumps(data, sort_keys=True)}"[:512],
        "source": "test",
        "type": kind,
        "time": at,
        "subject": customer,
        "data": data,
    }


def line(document: Mapping[str, Any]) -> bytes:
    """An event as a line of JSON."""
    return json.dumps(document, ensure_ascii=False).encode()


def ils(amount: str) -> dict[str, str]:
    """Money as events carry it."""
    return {"amount": amount, "currency": "ILS"}


def decide_all(
    prepared: PolicySet, *events: Mapping[str, Any], world: Mapping[str, Value] | None = None
) -> list[list[Decision]]:
    """The decisions of each event; an event that is rejected fails the test.

    Those of timers that were due before an event are not among them; `clock.ticked` shows them.
    """
    answers = []
    for answer in dry_run(prepared, [line(one) for one in events], World(world or {}), clock=True):
        assert answer.rejection is None, f"{answer.rejection.code} {answer.rejection.reason}"
        answers.append(answer.decisions)
    return answers


def draft(name: str, *rules: Mapping[str, Any], **keys: Any) -> str:
    """A policy file's text: goodwill, in force from 2020, unless ``keys`` say otherwise."""
    document = {
        "policy": name,
        "version": 1,
        "title": {"en": name},
        "owner": "owner@company.example",
        "basis": "goodwill",
        "effective": {"from": "2020-01-01"},
        **keys,
        "rules": rules,
    }
    return json.dumps(document, ensure_ascii=False)


def refund(amount: str, rule: str = "r", on: str = "booking.cancelled", **keys: Any) -> dict[str, Any]:
    """A rule that refunds an amount, as CEL; ``keys`` are the rule's others."""
    return {"id": rule, "on": on, "grant": [{"kind": "refund", "amount": amount}], **keys}


def booked(key: str = "b1", at: str = "2020-02-01T10:00:00Z", **data: Any) -> dict[str, Any]:
    """A hotel booking of 100 ILS, all paid, for 1 May 2020, unless ``data`` say otherwise."""
    data = {"kind": "hotel", "starts_on": "2020-05-01", "price": ils("100.00"), "paid": ils("100.00"), **data}
    return event("booking.made", at, booking_id=key, **data)


def cancelled(key: str = "b1", at: str = "2020-03-02T10:00:00Z", because: str = "crisis") -> dict[str, Any]:
    """That booking is cancelled."""
    return event("booking.cancelled", at, booking_id=key, cancelled_because=because)


def last(
    prepared: PolicySet, *events: Mapping[str, Any], world: Mapping[str, Value] | None = None
) -> Decision:
    """The only decision of the last event."""
    (decision,) = decide_all(prepared, *events, world=world)[-1]
    return decision
