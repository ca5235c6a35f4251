"""What a failed case shows of how it came about: the rules that matter, each with its conditions.

Also rules that were no candidates: they are what a policy owner asks about when nothing was granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from policyengine.domain.decision import Decision, RuleTrace, Verdict
from policyengine.engine.explain import explain, rule_lines, unmatched
from policyengine.engine.facts import Facts
from policyengine.engine.ruleset import CompiledRule

MOST = 6  # rules that are shown where the differences name none


@dataclass(slots=True)
class Step:
    """What was looked at and decided on one event, and on what was due before it."""

    asked: list[tuple[CompiledRule, Facts]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)


class Recorder:
    """Remembers the steps of one case."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self._step = Step()

    def begin(self, event: int) -> None:
        """What follows is about this event, or about what happens later by itself."""
        self._step = self.steps.setdefault(event, Step())

    def asked(self, rule: CompiledRule, facts: Facts) -> None:
        """A rule was looked at."""
        self._step.asked.append((rule, facts))

    def decided(self, decision: Decision) -> None:
        """Something was decided."""
        self._step.decisions.append(decision)


def relevant_lines(step: Step, rules: Iterable[str], own: Iterable[str]) -> Iterator[str]:
    """The traces of these rules; of all that the case's own policies have, where none is named.

    What happened comes first, versions that were not in force come last.
    """
    named, policies = set(rules), set(own)
    traces = [
        trace for trace in traces_of(step) if (trace.rule in named if named else trace.policy in policies)
    ]
    if not traces:
        yield "  no rule of these policies is about this event"
        return
    traces.sort(key=lambda trace: trace.verdict in (Verdict.WINDOW, Verdict.EVENT))
    shown = traces if named else traces[:MOST]
    for trace in shown:
        yield from (line[2:] for line in rule_lines(trace.to_json()))
    if len(shown) < len(traces):
        yield f"  and {len(traces) - len(shown)} more rules: --trace shows them"


def whole_lines(step: Step) -> Iterator[str]:
    """Every decision in full, and every rule that was no candidate."""
    for decision in step.decisions:
        yield from explain(decision.to_json())
    traced = {_key(trace) for decision in step.decisions for trace in decision.trace}
    others = [trace for trace in traces_of(step) if _key(trace) not in traced]
    if others:
        yield "  Why not:"
        for trace in others:
            yield from rule_lines(trace.to_json())


def traces_of(step: Step) -> list[RuleTrace]:
    """Each rule that was looked at, as it was decided or else as it would have been, each once."""
    found: dict[tuple[str, int, str, Verdict, str], RuleTrace] = {}
    decided = [trace for decision in step.decisions for trace in decision.trace]
    traced = {_key(trace) for trace in decided}
    others = [
        unmatched(rule, facts)
        for rule, facts in step.asked
        if (rule.policy.id, rule.policy.version, rule.id) not in traced
    ]
    for trace in (*decided, *others):
        found.setdefault((*_key(trace), trace.verdict, trace.because), trace)
    return list(found.values())


def _key(trace: RuleTrace) -> tuple[str, int, str]:
    return trace.policy, trace.version, trace.rule


def steps_of(recorder: Recorder, numbers: Iterable[int]) -> Iterator[tuple[int, Step]]:
    """Some of the steps, each once, with its number."""
    for number in sorted(set(numbers)):
        if number in recorder.steps:
            yield number, recorder.steps[number]
