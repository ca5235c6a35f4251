"""A decision told to a person, from its recorded document; and why-not for rules that were no candidates.

Text only; colours and tables are the command line's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.decision import ClauseResult, Ref, RuleTrace, Verdict
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.domain.values import instant_to_json, to_json
from policyengine.domain.world import World, world_ref
from policyengine.engine.decide import consider
from policyengine.engine.facts import Facts, ways
from policyengine.engine.network_plan import holds
from policyengine.engine.ruleset import CompiledRule, RuleSet
from policyengine.engine.settle import decided_on

_VERDICTS = {
    Verdict.APPLIED: "applied",
    Verdict.CONDITION: "did not apply",
    Verdict.TABLE: "did not apply",
    Verdict.ERROR: "could not be decided",
    Verdict.CAP: "applied, but its cap is used up",
    Verdict.EXCLUSIVE: "applied, but another was chosen",
    Verdict.PRIORITY: "applied, but was overruled",
    Verdict.FLOOR: "applied, but the law's remedy stands",
    Verdict.BEFORE: "applied, but gives no more than was granted before",
    Verdict.SHARE: "is not for this customer",
    Verdict.ENFORCEMENT: "applied, but is not enforced at that time",
    Verdict.WINDOW: "was not in force",
    Verdict.EVENT: "is about something else",
}
_CLAUSES = {
    ClauseResult.HELD: "✓",
    ClauseResult.FAILED: "✗",
    ClauseResult.UNKNOWN: "?",
    ClauseResult.ERROR: "!",
}


def cause_text(catalogue: Catalogue, event: Event) -> str | None:
    """What happened in the world, for a decision that nobody asked for; None for a customer's own event."""
    ref = world_ref(event, catalogue)
    if ref is None:
        return None
    key = catalogue.events[event.type].key
    told = [f"{name} {_plain(to_json(value))}" for name, value in event.data.items() if name != key]
    return f"{event.type} {ref.id}" + (f" ({', '.join(told)})" if told else "")


def explain(document: Mapping[str, Any], cause: str | None = None) -> Iterator[str]:
    """The decision as lines: what, for whom, under which rule, and why the others lost.

    ``cause`` tells of the event of the world behind it: see ``cause_text``.
    """
    event, entity = document["event"], document["entity"]
    yield f"Decision {document['decision_id']}"
    yield f"  On {event['time']}, {event['type']} ({event['source']}, {event['id']})"
    if cause is not None:
        yield f"  Because {cause}"
    elif event["source"] == INTERNAL_SOURCE:
        yield f"  Because decision {event['id'].partition('/')[0]} let it happen"
    about = "" if entity is None else f", {entity['type']} {entity['id']}"
    yield f"  Customer {document['customer']}{about}"
    if "supplements" in document:
        yield f"  Adds to decision {document['supplements']}"
    yield f"  Outcome: {document['outcome']}"
    yield from _given_lines(document)
    yield from _word_lines(document)
    yield "  Why:"
    if not document["trace"]:
        yield f"    {_without_rules(document)}"
    for rule in document["trace"]:
        yield from rule_lines(rule)
    yield f"  Decided under policy set {document['policy_set']}"


def _without_rules(document: Mapping[str, Any]) -> str:
    if document["remedies"]:
        return "what was offered then holds; no rule in force adds to it"
    if document["messages"]:
        return "the message has waited for the staff; no rule in force adds to it"
    return "no rule in force is about this event and these facts"


def _given_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What the customer gets, may choose, or is refused."""
    for settled in document.get("settles", []):
        yield f"    • {_settled(settled)}"
    for remedy in document["remedies"]:
        yield f"    • {remedy_text(remedy)}"
    for offer in document["offers"]:
        yield from _offer_lines(offer)
    for denial in document["denials"]:
        yield f"    • denied: {denial['reason']}  [{_rule(denial)}]"
    for remedy in document.get("shadow", {}).get("remedies", []):
        yield f"    • in shadow, not published: {remedy_text(remedy)}"


def _word_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What the customer reads now and later, and what will happen."""
    for language, text in sorted(document["messages"].items()):
        yield from _indented(f"  Message ({language}): ", text)
    for held in document.get("held", []):
        known = f"the staff know {held['policy']} v{held['version']}"
        yield f"  Message held until {known}, at the latest until {held['until']}"
    for timer in document.get("timers", []):
        yield f"  Later: {timer['event']} on {timer['at']}"


def _settled(settled: Mapping[str, Any]) -> str:
    if settled["alternative"] is None:
        return f"the offer {settled['offer']} is withdrawn"
    by = {"customer": "chosen by the customer", "silence": "by default, without an answer"}[settled["by"]]
    return f"the offer {settled['offer']} is settled: {settled['alternative']}, {by}"


def _indented(head: str, text: str) -> Iterator[str]:
    first, *rest = text.splitlines() or [""]
    yield head + first
    for line in rest:
        yield " " * len(head) + line


def _offer_lines(offer: Mapping[str, Any]) -> Iterator[str]:
    until = "" if offer["deadline"] is None else f" until {offer['deadline']}"
    yield f"    • a choice{until}  [{_rule(offer)}]"
    for choice in offer["alternatives"]:
        default = " (unless another is chosen)" if choice["id"] == offer["default"] else ""
        given = ", ".join(_what(remedy) for remedy in choice["remedies"])
        yield f"        {choice['id']}{default}: {given}"


def remedy_text(remedy: Mapping[str, Any]) -> str:
    """One line: what is given and under which rule."""
    unenforced = "" if remedy.get("enforced", True) else ", in effect but not enforced"
    return f"{_what(remedy)}  [{_rule(remedy)}, {remedy['basis']}{unenforced}]"


def _rule(part: Mapping[str, Any]) -> str:
    return f"{part['policy']} v{part['version']}, rule {part['rule']}"


def _what(remedy: Mapping[str, Any]) -> str:
    skip = {"kind", "policy", "version", "rule", "basis", "enforced"}
    fields = [f"{name} {_plain(value)}" for name, value in remedy.items() if name not in skip]
    return f"{remedy['kind']}: {', '.join(fields)}" if fields else str(remedy["kind"])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('value', value.get('amount'))} {value['currency']}"
    if isinstance(value, list):
        return " / ".join(str(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def rule_lines(rule: Mapping[str, Any]) -> Iterator[str]:
    """One traced rule and its clauses with the values seen."""
    shadow = " (shadow)" if rule.get("shadow") else ""
    reason = f": {rule['because']}" if rule["because"] else ""
    yield f"    {_rule(rule)}{shadow} {_VERDICTS[Verdict(rule['verdict'])]}{reason}"
    for clause in rule["clauses"]:
        seen = ", ".join(f"{name} = {_plain(value)}" for name, value in clause["values"].items())
        absent = ", ".join(f"{name} is absent" for name in clause.get("absent", []))
        facts = "; ".join(part for part in (seen, absent) if part)
        mark = _CLAUSES[ClauseResult(clause["result"])]
        yield f"      {mark} {clause['clause']}" + (f"   ({facts})" if facts else "")


def why_not(
    ruleset: RuleSet, state: CustomerState, world: World, event: Event, ref: Ref | None
) -> Iterator[RuleTrace]:
    """For each rule that was no candidate, the first reason why: event, window, or a condition.

    ``state`` is the customer's as it was when the decision was made.
    """
    facts, choices = ruleset.facts.surround(state, world, event, ref)
    of_world = ruleset.catalogue.events[event.type].scope is Scope.WORLD
    own = None if of_world else decided_on(ruleset.catalogue, state, event)
    for rule in ruleset.rules:
        seen = list(ways(facts, choices, ruleset.varies[rule.number]))
        whose = ref == own if rule.entity is None else ref is not None and ref.type == rule.entity
        about = whose and event.type in rule.event_types
        if not about or not any(all(holds(one, each) for one in rule.conjuncts) for each in seen):
            yield _not_named(rule, seen[0], event, ref, own=own)


def _not_named(
    rule: CompiledRule, facts: Facts, event: Event, ref: Ref | None, *, own: Ref | None
) -> RuleTrace:
    """The first reason, where several crises or restrictions hold under the first of them."""
    if event.type not in rule.event_types:
        return _trace(rule, Verdict.EVENT, f"it is about {' and '.join(rule.event_types)}")
    if rule.entity is not None and (ref is None or ref.type != rule.entity):
        return _trace(rule, Verdict.EVENT, f"it is decided for each {rule.entity}")
    if rule.entity is None and ref != own:
        whom = "the customer as such" if own is None else "the event's own entity"
        return _trace(rule, Verdict.EVENT, f"it is decided for {whom}")
    return unmatched(rule, facts)


def unmatched(rule: CompiledRule, facts: Facts) -> RuleTrace:
    """What becomes of a rule on its own event and entity: outside its window, or as its conditions say."""
    policy = rule.policy
    anchor = facts.get(policy.window.anchor)
    if not isinstance(anchor, (date, datetime)):
        return _trace(rule, Verdict.WINDOW, f"its anchor {policy.window.anchor} is absent")
    if not policy.window.contains(anchor):
        return _trace(rule, Verdict.WINDOW, _window_reason(policy.window.start, policy.window.until, anchor))
    claim = consider(rule, facts)
    because = "; ".join(claim.because)
    return RuleTrace(policy.id, policy.version, rule.id, claim.verdict, because, claim.clauses, rule.shadow)


def _window_reason(start: date, until: date | None, anchor: date) -> str:
    end = "" if until is None else f" until before {_moment(until)}"
    return f"in force from {_moment(start)}{end}, asked on {_moment(anchor)}"


def _moment(at: date) -> str:
    return instant_to_json(at) if isinstance(at, datetime) else at.isoformat()


def _trace(rule: CompiledRule, verdict: Verdict, because: str) -> RuleTrace:
    return RuleTrace(rule.policy.id, rule.policy.version, rule.id, verdict, because, (), rule.shadow)
