"""Rules that can never apply, and rules that always lose to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from policyengine.domain.policy import Basis
from policyengine.engine.faults import Fault
from policyengine.engine.lint_scope import Clause, Seen
from policyengine.engine.ruleset import PolicyVersion
from policyengine.engine.satisfy import (
    ABSENT,
    NOWHERE,
    Boxes,
    all_of,
    constant,
    implies,
    surely_there,
    term_of,
)
from policyengine.engine.tree import Apply, Attribute, Node
from policyengine.engine.units import Kind

_ALWAYS_COMPUTED = frozenset({"date_of", "add_days", "add_months", "add_years"})  # of what is there
_SHOWN = 60  # characters of a condition that a message quotes


def rule_remarks(seen: Sequence[Seen]) -> Iterator[Fault]:
    """PE080 and PE081."""
    never = set()
    for rule in seen:
        if rule.boxes == NOWHERE:
            never.add((rule.at, rule.place))
            yield _never(rule)
    alive = [rule for rule in seen if (rule.at, rule.place) not in never]
    rivals = _rivals(alive)
    for rule in alive:
        near = {(one.at, one.place): one for key in _keys(rule) for one in rivals[key]}.values()
        winner = next((other for other in near if _always_loses(rule, other, rivals)), None)
        if winner is not None:
            yield _loses(rule, winner)


Rivals = Mapping[tuple[str, str], Sequence[Seen]]


def _keys(rule: Seen) -> Iterator[tuple[str, str]]:
    """By what rules meet: their policy, and their exclusive group."""
    yield "policy", rule.compiled.policy.id
    if rule.compiled.exclusive is not None:
        yield "group", rule.compiled.exclusive.group


def _rivals(rules: Sequence[Seen]) -> Rivals:
    rivals: dict[tuple[str, str], list[Seen]] = {}
    for rule in rules:
        for key in _keys(rule):
            rivals.setdefault(key, []).append(rule)
    return rivals


def _never(rule: Seen) -> Fault:
    """The fewest conditions that exclude one another, told at the last of them."""
    clauses = rule.clauses
    for count in (1, 2, 3):
        for some in combinations(clauses, count):
            if all_of(clause.boxes for clause in some) == NOWHERE:
                return _contradiction(rule, some)
    return _contradiction(rule, clauses)


def _contradiction(rule: Seen, clauses: Sequence[Clause]) -> Fault:
    *before, last = clauses
    shown = _quote(last)
    if not before:
        text = f"{shown} is never true, so rule `{rule.rule.id}` never applies"
    elif len(before) == 1:
        text = (
            f"{shown} and {_quote(before[0])} are never true together, so rule `{rule.rule.id}` never applies"
        )
    else:
        text = f"these conditions are never true together, so rule `{rule.rule.id}` never applies"
    hint = "mend one of them, write `||` where either will do, or remove the rule"
    return Fault(rule.at, last.path, 0, "PE080", text, hint)


def _quote(clause: Clause) -> str:
    if clause.path == ("effective",):
        return "the time in which the version governs"
    text = clause.text if len(clause.text) <= _SHOWN else clause.text[: _SHOWN - 1] + "…"
    return f"`crisis` ({text})" if clause.path[0] == "crisis" else f"`{text}`"


def _loses(rule: Seen, winner: Seen) -> Fault:
    other = f"`{winner.rule.id}`"
    if winner.policy is not rule.policy:
        other += f" of `{winner.policy.policy}`"
    if winner.compiled.deny is not None:
        text = f"rule `{rule.rule.id}` is always denied by rule {other}, which applies wherever this one does"
        hint = "give this one a higher `priority`, or add a condition to the other"
    else:
        text = f"rule `{rule.rule.id}` always loses to rule {other}, which applies wherever this one does"
        hint = "give the rule with more conditions the higher `priority`"
    return Fault(rule.at, (*rule.path, "id"), 0, "PE081", text, hint)


def _always_loses(rule: Seen, other: Seen, rivals: Rivals) -> bool:
    """invariant: true only where whatever happens `other` applies, stands, and beats `rule`."""
    one, two = rule.compiled, other.compiled
    if one is two or one.deny is not None or one.shadow is not two.shadow or one.entity != two.entity:
        return False
    if not set(one.event_types) <= set(two.event_types) or not _beaten(rule, other, rivals):
        return False
    return _governs_too(one.policy, two.policy) and _surely_stands(rule, other)


def _beaten(rule: Seen, other: Seen, rivals: Rivals) -> bool:
    """Whether `other`, where it applies, takes `rule`'s place by a denial or in their group."""
    one, two = rule.compiled, other.compiled
    everyone = [each for key in _keys(other) for each in rivals[key]]
    if two.deny is not None:
        law = one.policy.basis is Basis.STATUTORY and two.policy.basis is not Basis.STATUTORY
        if not _meet(rule, other) or law or one.priority > two.priority:
            return False
        return not any(
            _meet(each, other)
            and each.compiled.deny is None
            and (
                each.compiled.priority > two.priority
                or (each.policy.basis is Basis.STATUTORY and other.policy.basis is not Basis.STATUTORY)
            )
            for each in everyone
        )
    groups = (one.exclusive, two.exclusive)
    if groups[0] is None or groups[1] is None or groups[0].group != groups[1].group:
        return False
    members = [each for each in everyone if each.compiled.exclusive and _meet(each, other)]
    currencies = {each.policy.currency for each in members}
    return (
        groups[0].choose == "first"
        and two.order < one.order
        and (one.policy.basis is Basis.STATUTORY) is (two.policy.basis is Basis.STATUTORY)
        and len(currencies) == 1
        and currencies != {None}
        and not any(_meet(each, other) and each.compiled.deny is not None for each in everyone)
    )


def _meet(one: Seen, other: Seen) -> bool:
    if one.compiled.policy.id == other.compiled.policy.id:
        return True
    groups = (one.compiled.exclusive, other.compiled.exclusive)
    return groups[0] is not None and groups[1] is not None and groups[0].group == groups[1].group


def _governs_too(one: PolicyVersion, two: PolicyVersion) -> bool:
    """Whether the other's version governs wherever this one's does."""
    if one is two:
        return True
    if two.customers is not None or two.trial is not None or two.before:
        return False  # it is not for everybody
    if one.retroactive is not None or two.retroactive is not None or one.window.anchor != two.window.anchor:
        return False
    if one.window.anchor != "event.time" or one.window.start < two.window.start:
        return False
    until, other = one.window.until, two.window.until
    return other is None or (until is not None and until <= other)


def _surely_stands(rule: Seen, other: Seen) -> bool:
    """Whether `other` applies without fail wherever `rule` does: nothing can end it or be in error."""
    two = other.compiled
    if two.table is not None or two.cap is not None or two.policy.cap is not None or two.follow_ups:
        return False
    if two.policy.withhold or (two.offer is not None and two.offer.deadline is not None):
        return False
    if not all(implies(rule.boxes, clause.tree, other.known) for clause in two.clauses):
        return False
    own = {term_of(part.tree) for part in rule.computed} if rule.policy is other.policy else set()
    return all(_never_in_error(part.tree, rule, own) for part in other.computed)


def _never_in_error(node: Node, rule: Seen, own: set[str]) -> bool:
    """Whether an amount or a date has a value that is not below zero wherever `rule` applies.

    What `rule` itself computes is as good: were it in error, `rule` would not apply.
    """
    if term_of(node) in own:
        return True
    value = constant(node, rule.known)
    if value is not None:
        return node.unit.kind not in (Kind.MONEY, Kind.INTEGER) or int(value.value) >= 0
    match node:
        case Attribute(name=name, unit=unit):
            if name not in surely_there(rule.boxes):
                return False
            return unit.kind not in (Kind.MONEY, Kind.INTEGER) or _not_negative(name, rule.boxes)
        case Apply(function=function, arguments=arguments) if function in _ALWAYS_COMPUTED:
            return all(_never_in_error(argument, rule, own) for argument in arguments)
    return False


def _not_negative(name: str, boxes: Boxes) -> bool:
    found = [box.get(name, ABSENT) for box in boxes]
    return all(domain is not ABSENT and domain.low is not None and domain.low >= 0 for domain in found)
