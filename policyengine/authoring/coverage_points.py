"""What cases can cover of a policy file: rules, conditions both ways, rows, windows, choices, what follows.

Each point has the mark that a run leaves when it is covered (authoring.coverage) and its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from policyengine.authoring.load import LoadedPolicy
from policyengine.authoring.yaml_source import Path as DataPath
from policyengine.domain.policy import Cap, Rule
from policyengine.engine.caps import cap_text
from policyengine.engine.scopes import crisis_clauses


class Kind(StrEnum):
    """What there is to cover."""

    VERSIONS = "versions"  # some rule of the version applied
    RULES = "rules"  # applied: granted, offered, denied, or at least decided in shadow
    CLAUSES = "clauses"  # a condition held, and another time did not
    ROWS = "rows"  # a row of a table fitted
    WINDOWS = "windows"  # a case within a day of each bound, on each side
    ALTERNATIVES = "alternatives"  # the customer chose it, or it became theirs by silence
    CAPS = "caps"  # a cap was reached
    LATER = "later"  # what a rule lets happen later has happened


class Mark(NamedTuple):
    """What a run leaves behind: of which version, which rule ("" is the version as such), which part."""

    kind: Kind
    policy: str
    version: int
    rule: str = ""
    part: str = ""
    number: int = 0
    yes: bool = True


@dataclass(frozen=True, slots=True)
class Point:
    """Something to cover, where it stands, and what to say while it is not."""

    mark: Mark
    file: str
    line: int
    column: int
    missing: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.missing}"


def points(loaded: LoadedPolicy) -> Iterator[Point]:
    """Everything to cover in one file, in the order of the language's reference."""
    return _Points(loaded).all()


@dataclass(frozen=True, slots=True)
class _Points:
    loaded: LoadedPolicy

    def all(self) -> Iterator[Point]:
        policy = self.loaded.policy
        yield self._point(Kind.VERSIONS, ("version",), f"no case is decided by version {policy.version}")
        yield from self._windows()
        if policy.crisis is not None:
            for number, (key, text) in enumerate(crisis_clauses(policy.crisis)):
                path: DataPath = ("crisis", key) if key else ("crisis",)
                yield from self._both_ways(path, "", number, text)
        if policy.cap is not None:
            yield self._cap(policy.cap, ("cap",), "")
        for place, rule in enumerate(policy.rules):
            yield from self._rule(("rules", place), rule)

    def _rule(self, here: DataPath, rule: Rule) -> Iterator[Point]:
        what = f"rule {rule.id} never denies" if rule.deny is not None else f"rule {rule.id} never applies"
        yield self._point(Kind.RULES, (*here, "id"), what, rule=rule.id)
        for number, text in enumerate(rule.when):
            yield from self._both_ways((*here, "when", number), rule.id, number, text)
        for number in range(1, 1 + (0 if rule.table is None else len(rule.table.rows))):
            text = f"row {number} of rule {rule.id} never fits"
            yield self._point(
                Kind.ROWS, (*here, "table", "rows", number - 1), text, rule=rule.id, number=number
            )
        for number, choice in enumerate(rule.offer.alternatives if rule.offer is not None else ()):
            text = f"nobody chooses `{choice.id}` of rule {rule.id}"
            path = (*here, "offer", "alternatives", number, "id")
            yield self._point(Kind.ALTERNATIVES, path, text, rule=rule.id, part=choice.id)
        for number, later in enumerate(rule.follow_up):
            text = f"`{later.event}`, which follows from rule {rule.id}, never happens"
            path = (*here, "follow_up", number, "event")
            yield self._point(Kind.LATER, path, text, rule=rule.id, number=number)
        if rule.cap is not None:
            yield self._cap(rule.cap, (*here, "cap"), rule.id)

    def _windows(self) -> Iterator[Point]:
        policy = self.loaded.policy
        for key, span in (("effective", policy.effective), ("enforced", policy.enforced)):
            if span is None:
                continue
            for end, bound in (("from", span.from_), ("until", span.until)):
                if bound is None:
                    continue
                for inside in (True, False):
                    side = "inside" if inside else "outside"
                    text = (
                        f"no case just {side} `{key}.{end}: {bound}` (within a day, by {policy.effective.by})"
                    )
                    yield self._point(Kind.WINDOWS, (key, end), text, part=f"{key}.{end}", yes=inside)

    def _both_ways(self, path: DataPath, rule: str, number: int, text: str) -> Iterator[Point]:
        short = " ".join(text.split())
        for held in (True, False):
            said = f"`{short}` never {'holds' if held else 'fails'}"
            yield self._point(Kind.CLAUSES, path, said, rule=rule, number=number, yes=held)

    def _cap(self, cap: Cap, path: DataPath, rule: str) -> Point:
        return self._point(Kind.CAPS, path, f"{cap_text(cap)} is never reached", rule=rule)

    def _point(
        self,
        kind: Kind,
        path: DataPath,
        missing: str,
        *,
        rule: str = "",
        part: str = "",
        number: int = 0,
        yes: bool = True,
    ) -> Point:
        policy = self.loaded.policy
        mark = Mark(kind, policy.policy, policy.version, rule, part, number, yes)
        return Point(mark, self.loaded.file, *self.loaded.locate(path), missing)
