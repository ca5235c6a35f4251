"""A rule set in which one policy version is another: only what differs is compiled again.

For trying many small changes of one policy in turn. What it decides is what compiling everything anew
would; it has no network, so that making it costs little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from policyengine.domain.policy import Policy
from policyengine.engine.compile import PolicyCompiler, rule_set
from policyengine.engine.faults import CompileError, Report
from policyengine.engine.ruleset import CompiledRule, PolicyVersion, RuleSet
from policyengine.engine.watch import EveryRule
from policyengine.engine.windows import check_overlaps

Key = tuple[str, int]


def variant(base: RuleSet, changed: Policy, place: int | None = None) -> RuleSet:
    """The rule set with ``changed`` for the version of its name and number; CompileError where it is faulty.

    ``place``: nothing differs but the rule there. Without it everything may, but for what the versions of
    other policies see of it.
    """
    key = changed.policy, changed.version
    before = [rule for rule in base.rules if _key(rule) == key]
    others = [rule for rule in base.rules if _key(rule) != key]
    report = Report()
    compiler = PolicyCompiler(changed, 0, base.catalogue, report)
    version = compiler.version()
    if place is None:
        others_versions = {_key(rule): rule.policy for rule in others if rule.policy.id == changed.policy}
        check_overlaps([(0, version), *((0, each) for each in others_versions.values())], report)
        rules = _compiled(compiler, version, changed)
    else:
        again = compiler.rule(before[place].policy, place, changed.rules[place], before[place].number)
        rules = [*before[:place], *([] if again is None else [again]), *before[place + 1 :]]
    if report.faults:
        raise CompileError(report.faults)
    return with_rules(base, [*others, *rules])


def without(base: RuleSet, policy: str, version: int, rule: str) -> RuleSet:
    """The rule set without one rule."""
    gone = policy, version, rule
    return with_rules(base, [each for each in base.rules if (*_key(each), each.id) != gone])


def with_rules(base: RuleSet, rules: Sequence[CompiledRule]) -> RuleSet:
    """The rule set with these rules, numbered anew in the order of policies, versions and files."""
    ordered = sorted(rules, key=_key)  # stable: the rules of a file keep their order
    numbered = tuple(
        rule if rule.number == number else replace(rule, number=number) for number, rule in enumerate(ordered)
    )
    return rule_set(numbered, base.catalogue, base.digest, EveryRule(numbered))


def _compiled(compiler: PolicyCompiler, version: PolicyVersion, policy: Policy) -> list[CompiledRule]:
    compiled = [compiler.rule(version, place, rule, number=place) for place, rule in enumerate(policy.rules)]
    return [rule for rule in compiled if rule is not None]


def _key(rule: CompiledRule) -> Key:
    return rule.policy.id, rule.policy.version
