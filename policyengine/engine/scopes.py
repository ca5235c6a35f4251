"""Whom a policy is about: which crisis, and whether a rule's events, entities and caps go together.

Deciding under the world is engine.decide's and engine.reach's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from policyengine.domain.catalogue import Catalogue, EntityType, Scope
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy import CrisisScope, Policy, Rule
from policyengine.domain.regions import suggestion
from policyengine.engine.faults import Path
from policyengine.engine.vocabulary import CUSTOMER


class ScopeFault(NamedTuple):
    """A fault of one policy by its place in the document."""

    path: Path
    code: str
    message: str
    hint: str = ""


def scope_faults(catalogue: Catalogue, place: int, rule: Rule) -> Iterator[ScopeFault]:
    """What is wrong with whom the rule at ``place`` is about."""
    scopes: dict[Scope, str] = {}
    for nth, event_type in enumerate(rule.event_types):
        path: Path = ("rules", place, "on") if isinstance(rule.on, str) else ("rules", place, "on", nth)
        kind = catalogue.events.get(event_type)
        if kind is None:
            hint = did_you_mean(event_type, catalogue.events)
            yield ScopeFault(path, "PE030", f"unknown event type `{event_type}`", hint)
            continue
        scopes.setdefault(kind.scope, event_type)
        wanted = catalogue.entities.get(rule.for_ or CUSTOMER)
        if kind.scope is Scope.WORLD and wanted is not None and wanted.scope is Scope.CUSTOMER:
            yield from _out_of_reach(catalogue, event_type, wanted, path)
    if len(scopes) > 1:
        text = (
            f"`{scopes[Scope.WORLD]}` is an event of the world and `{scopes[Scope.CUSTOMER]}` is a customer's"
        )
        yield ScopeFault(("rules", place, "on"), "PE038", text, "write two rules")
    yield from _entity_faults(catalogue, place, rule)
    if rule.cap is not None and rule.cap.per == "event" and Scope.CUSTOMER in scopes:
        yield _cap_fault(("rules", place, "cap", "per"), scopes[Scope.CUSTOMER])


def policy_scope_faults(catalogue: Catalogue, policy: Policy) -> Iterator[ScopeFault]:
    """What is wrong with the policy's crisis and with its own cap."""
    regions = (policy.crisis.regions if policy.crisis is not None else None) or ()
    for nth, code in enumerate(regions):
        if code not in catalogue.regions:
            hint = suggestion(catalogue.regions, code)
            yield ScopeFault(("crisis", "regions", nth), "PE038", f"unknown region `{code}`", hint)
    if policy.cap is None or policy.cap.per != "event":
        return
    for event_type in (event_type for rule in policy.rules for event_type in rule.event_types):
        kind = catalogue.events.get(event_type)
        if kind is not None and kind.scope is Scope.CUSTOMER:
            yield _cap_fault(("cap", "per"), event_type)
            return


def _entity_faults(catalogue: Catalogue, place: int, rule: Rule) -> Iterator[ScopeFault]:
    if rule.for_ is None:
        return
    path: Path = ("rules", place, "for")
    entity = catalogue.entities.get(rule.for_)
    if entity is None:
        hint = did_you_mean(rule.for_, catalogue.entities)
        yield ScopeFault(path, "PE030", f"unknown entity type `{rule.for_}`", hint)
    elif entity.scope is Scope.WORLD:
        text = f"a `{rule.for_}` is everybody's; a rule is for something that a customer has"
        yield ScopeFault(path, "PE038", text, "name a customer's entity, or leave `for` out")


def _out_of_reach(
    catalogue: Catalogue, event_type: str, wanted: EntityType, path: Path
) -> Iterator[ScopeFault]:
    """A rule on an event of the world that could never find anybody."""
    concerned = catalogue.events[event_type].entity
    if concerned is not None and catalogue.entities[concerned].covers is not None:
        return
    referring = sorted(
        entity.name
        for entity in catalogue.entities.values()
        if entity.scope is Scope.CUSTOMER
        and concerned is not None
        and any(attribute.refers_to == concerned for attribute in entity.attributes.values())
    )
    if wanted.name not in referring:
        hint = f"it reaches what refers to it: for: {' or '.join(referring)}" if referring else ""
        yield ScopeFault(path, "PE038", f"`{event_type}` reaches no {wanted.name}", hint)


def _cap_fault(path: Path, event_type: str) -> ScopeFault:
    text = f"a cap per event counts those whom an event of the world reaches; `{event_type}` is a customer's"
    return ScopeFault(path, "PE058", text, "count per customer or per entity")


def crisis_clauses(scope: CrisisScope) -> list[tuple[str, str]]:
    """A crisis scope as conditions: (key in the file, CEL).

    Without a kind any crisis will do; without phases, as long as it has not ended.
    """
    out = []
    for key, attribute, wanted in (
        ("kind", "crisis.kind", scope.kind),
        ("phases", "crisis.phase", scope.phases),
    ):
        if wanted is not None:
            out.append((key, f"{attribute} in {_listed([wanted] if isinstance(wanted, str) else wanted)}"))
    if not out:
        out.append(("", "present(crisis.kind)"))
    if scope.phases is None:
        out.append(("", '!present(crisis.phase) || crisis.phase != "ended"'))
    if scope.regions is not None:
        out.append(("regions", f"place.regions.exists(r, r in {_listed(scope.regions)})"))
    if scope.sectors is not None:
        touched = f"crisis.sectors.exists(s, s in {_listed(scope.sectors)})"
        out.append(("sectors", f"!present(crisis.sectors) || {touched}"))
    return out


def _listed(values: Sequence[str]) -> str:
    return f"[{', '.join(_quote(value) for value in values)}]"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
