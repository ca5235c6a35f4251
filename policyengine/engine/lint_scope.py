"""What the remarks on a policy set look at: each rule with its file, its conditions and where they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from policyengine.domain.policy import Policy, Rule
from policyengine.engine.domains import interval
from policyengine.engine.expressions import Compiled
from policyengine.engine.faults import Path
from policyengine.engine.ruleset import CompiledRule, RuleSet
from policyengine.engine.satisfy import Box, Boxes, Known, all_of, outcomes
from policyengine.engine.scopes import crisis_clauses
from policyengine.engine.tree import Present, walk
from policyengine.engine.vocabulary import vocabulary
from policyengine.engine.windows import window_conjuncts


class Clause(NamedTuple):
    """A condition and its place in the file; without a tree it is the version's window."""

    path: Path
    text: str
    boxes: Boxes


@dataclass(frozen=True, slots=True)
class Seen:
    """A compiled rule, its text, and where its conditions hold (``boxes``: all of them together)."""

    at: int  # of its policy in the list of policies
    place: int  # among the rules of its file
    policy: Policy
    rule: Rule
    compiled: CompiledRule
    known: Known
    clauses: tuple[Clause, ...]
    boxes: Boxes

    @property
    def path(self) -> Path:
        """Of the rule in its file."""
        return ("rules", self.place)

    @property
    def asks(self) -> Iterator[str]:
        """Names of which it asks whether they are there."""
        for part in (*self.compiled.clauses, *self.computed):
            yield from (node.name for node in walk(part.tree) if isinstance(node, Present))

    @property
    def computed(self) -> Iterator[Compiled]:
        """Every expression of its remedies and offer that must have a value for it to apply."""
        for remedy in self.compiled.grant:
            yield from (part for _, part in remedy.computed)
        offer = self.compiled.offer
        if offer is not None:
            for choice in offer.alternatives:
                for remedy in choice.remedies:
                    yield from (part for _, part in remedy.computed)
            if isinstance(offer.deadline, Compiled):
                yield offer.deadline


def seen_rules(policies: Sequence[Policy], ruleset: RuleSet) -> list[Seen]:
    """The rules in the order of the files."""
    places = {
        (policy.policy, policy.version, rule.id): (at, place)
        for at, policy in enumerate(policies)
        for place, rule in enumerate(policy.rules)
    }
    seen = []
    for compiled in ruleset.rules:
        version = compiled.policy
        at, place = places[version.id, version.version, compiled.id]
        policy = policies[at]
        words = vocabulary(ruleset.catalogue, compiled.event_types)
        choices = {name: term.choices for name, term in words.terms.items() if term.choices}
        known = Known(choices, version.fixed, f"{version.id}@{version.version} ", version.currency)
        clauses = _clauses(policy, place, compiled, known)
        boxes = all_of(clause.boxes for clause in clauses)
        seen.append(Seen(at, place, policy, policy.rules[place], compiled, known, clauses, boxes))
    return sorted(seen, key=lambda one: (one.at, one.place))


def _clauses(policy: Policy, place: int, rule: CompiledRule, known: Known) -> tuple[Clause, ...]:
    paths: list[Path] = []
    if policy.crisis is not None:
        paths = [("crisis", key) if key else ("crisis",) for key, _ in crisis_clauses(policy.crisis)]
    paths += [("rules", place, "when", nth) for nth in range(len(policy.rules[place].when))]
    window = Clause(("effective",), "effective", (_window(rule),))
    return (
        window,
        *(
            Clause(path, " ".join(clause.text.split()), outcomes(clause.tree, known).held)
            for path, clause in zip(paths, rule.clauses, strict=True)
        ),
    )


def _window(rule: CompiledRule) -> Box:
    """The span of the anchor, as far back as the version reaches."""
    windows = [one for one in (rule.policy.window, rule.policy.retroactive) if one is not None]
    bounds = [[int(bound.value) for bound in window_conjuncts(one)] for one in windows]  # type: ignore[arg-type]
    untils = [until for _, *rest in bounds for until in rest]
    start = min(first for first, *_ in bounds)
    return {rule.policy.window.anchor: interval(start, untils[0] - 1 if untils else None)}
