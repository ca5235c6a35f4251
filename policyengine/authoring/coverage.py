"""Which parts of policies a run of cases reached: marks, collected beside the decisions.

What there is to reach is authoring.coverage_points, figures and lists are authoring.coverage_report.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from policyengine.authoring.coverage_points import Kind, Mark
from policyengine.authoring.load import LoadedPolicy
from policyengine.domain.decision import ClauseResult, Decision, RuleTrace, Verdict
from policyengine.domain.kept import offer_id
from policyengine.domain.policy import Cap, Policy, Rule
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.engine.caps import cap_text
from policyengine.engine.decide import with_parameters
from policyengine.engine.facts import Facts
from policyengine.engine.ruleset import CompiledRule, Window
from policyengine.engine.scopes import crisis_clauses
from policyengine.errors import EvaluationError

RuleKey = tuple[str, int, str]  # policy, version, rule
_DAY = timedelta(days=1)


class Coverage:
    """Watches cases. ``marks`` is what they reached, ``asked`` the rules that their events were about."""

    def __init__(self, policies: Iterable[LoadedPolicy]) -> None:
        self.marks: set[Mark] = set()
        self.asked_rules: set[RuleKey] = set()
        self._policies: dict[tuple[str, int], Policy] = {}
        self._rules: dict[RuleKey, Rule] = {}
        self._crisis: dict[tuple[str, int], int] = {}  # how many conditions its `crisis` makes
        self._offers: dict[str, RuleKey] = {}
        self._follow_ups: dict[str, tuple[RuleKey, int]] = {}  # by the id of the timer
        for loaded in policies:
            policy = loaded.policy
            version = policy.policy, policy.version
            self._policies[version] = policy
            self._crisis[version] = 0 if policy.crisis is None else len(crisis_clauses(policy.crisis))
            for rule in policy.rules:
                self._rules[*version, rule.id] = rule

    def begin(self, event: int) -> None:
        """Nothing depends on which event it is."""

    def asked(self, rule: CompiledRule, facts: Facts) -> None:
        """A rule was looked at: note on which side of its windows, and how its conditions come out."""
        policy = rule.policy
        self.asked_rules.add((policy.id, policy.version, rule.id))
        anchor = facts.get(policy.window.anchor)
        if not isinstance(anchor, (date, datetime)):
            return
        self._edges(rule, "effective", policy.window, anchor)
        if not policy.window.contains(anchor):
            return
        if policy.enforced is not None:
            self._edges(rule, "enforced", policy.enforced, anchor)
        values = with_parameters(policy, facts)
        results = [clause.judge(values).result for clause in rule.clauses]
        self._clauses((policy.id, policy.version, rule.id), results)
        if rule.table is not None and all(result is ClauseResult.HELD for result in results):
            try:
                rows = rule.table.fitting(values)
            except EvaluationError:
                rows = ()
            for row in rows:
                self._mark(Kind.ROWS, (policy.id, policy.version, rule.id), number=row)

    def decided(self, decision: Decision) -> None:
        """Something was decided: rules that applied, caps that were reached, choices that were made."""
        for trace in decision.trace:
            self._traced(trace)
        if decision.source == INTERNAL_SOURCE and decision.event_id in self._follow_ups:
            key, number = self._follow_ups[decision.event_id]
            self._mark(Kind.LATER, key, number=number)
        self._to_follow(decision)
        for offer in (*decision.offers, *decision.shadow_offers):
            key = offer.policy, offer.version, offer.rule
            self._offers[offer_id(decision.decision_id, offer.policy, offer.rule)] = key
        for settled in decision.settles:
            rule = self._offers.get(settled.offer)
            if rule is not None and settled.alternative is not None:
                self._mark(Kind.ALTERNATIVES, rule, part=settled.alternative)

    def _to_follow(self, decision: Decision) -> None:
        """Note whose the follow-ups are that a decision sets."""
        if not decision.timers:
            return
        applied = [trace for trace in decision.trace if trace.verdict is Verdict.APPLIED and not trace.shadow]
        pending = {timer.id for timer in decision.timers}
        for trace in applied:
            key = trace.policy, trace.version, trace.rule
            rule = self._rules.get(key)
            for number in range(0 if rule is None else len(rule.follow_up)):
                name = f"{offer_id(decision.decision_id, trace.policy, trace.rule)}/{number}"
                if name in pending:
                    self._follow_ups[name] = key, number

    def _traced(self, trace: RuleTrace) -> None:
        key = trace.policy, trace.version, trace.rule
        if trace.verdict is Verdict.APPLIED:
            self._mark(Kind.RULES, key)
            self._mark(Kind.VERSIONS, (trace.policy, trace.version, ""))
        # a version that reaches back decides past events without asking the index
        self._clauses(key, [clause.result for clause in trace.clauses])
        rule, policy = self._rules.get(key), self._policies.get(key[:2])
        if rule is not None and _reached(rule.cap, trace.because):
            self._mark(Kind.CAPS, key)
        if policy is not None and _reached(policy.cap, trace.because):
            self._mark(Kind.CAPS, (trace.policy, trace.version, ""))

    def _clauses(self, key: RuleKey, results: Iterable[ClauseResult]) -> None:
        of_crisis = self._crisis.get(key[:2], 0)
        for number, result in enumerate(results):
            held = result is ClauseResult.HELD
            if number < of_crisis:
                self._mark(Kind.CLAUSES, (key[0], key[1], ""), number=number, yes=held)
            else:
                self._mark(Kind.CLAUSES, key, number=number - of_crisis, yes=held)

    def _edges(self, rule: CompiledRule, name: str, window: Window, anchor: date | datetime) -> None:
        key = rule.policy.id, rule.policy.version, ""
        for end, bound, after_is_inside in (("from", window.start, True), ("until", window.until, False)):
            if bound is None:
                continue
            passed = _since(bound, anchor)
            if -_DAY <= passed < _DAY:
                inside = (passed >= timedelta()) is after_is_inside
                self._mark(Kind.WINDOWS, key, part=f"{name}.{end}", yes=inside)

    def _mark(self, kind: Kind, key: RuleKey, part: str = "", number: int = 0, *, yes: bool = True) -> None:
        self.marks.add(Mark(kind, *key, part, number, yes))


def _since(bound: date | datetime, anchor: date | datetime) -> timedelta:
    """How long after a bound the anchor is; both are days or both are instants."""
    if isinstance(bound, datetime) and isinstance(anchor, datetime):
        return anchor - bound
    return timedelta(days=anchor.toordinal() - bound.toordinal())


def _reached(cap: Cap | None, because: str) -> bool:
    return cap is not None and cap_text(cap) in because
