"""What became of mutants, in figures and as a list of what no case notices; as text and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from policyengine.authoring.case_file import Accepted, CaseFile
from policyengine.authoring.case_plan import Plan
from policyengine.authoring.coverage_report import Figure
from policyengine.authoring.mutant import Mutant, MutantKind, cut
from policyengine.authoring.mutate import Fate
from policyengine.domain.values import Json
from policyengine.errors import Finding

_WORDS = ("killed", "survived", "accepted", "refused")


@dataclass(frozen=True, slots=True)
class MutationReport:
    """The mutants by their fate. ``accepted``: survivors with a reason, which no case could tell apart.

    ``refused`` are no policies: `check` finds them, so they are not in the score.
    """

    killed: tuple[Mutant, ...]
    survived: tuple[Mutant, ...]
    accepted: tuple[tuple[Mutant, str], ...]
    refused: tuple[Mutant, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def score(self) -> Figure:
        """The killed, of those that cases could kill."""
        return Figure(len(self.killed), len(self.killed) + len(self.survived))

    def short_of(self, wanted: Decimal | None) -> str | None:
        """Why the score is not enough: survivors, or more of them than a threshold allows."""
        score = self.score
        if wanted is None:
            return f"{len(self.survived)} mutants that no case notices" if self.survived else None
        if score.percent >= wanted:
            return None
        return f"{score} mutants are killed, below {wanted} %"

    def by_kind(self) -> dict[str, dict[str, int]]:
        """Counts by kind: killed, survived, accepted, refused."""
        return self._counts([kind.value for kind in MutantKind], lambda mutant: mutant.kind.value)

    def by_policy(self) -> dict[str, dict[str, int]]:
        """Counts by policy."""
        names = sorted({mutant.policy for each in self._all().values() for mutant in each})
        return self._counts(names, lambda mutant: mutant.policy)

    def _all(self) -> Mapping[str, Sequence[Mutant]]:
        accepted = [mutant for mutant, _ in self.accepted]
        return dict(zip(_WORDS, (self.killed, self.survived, accepted, self.refused), strict=True))

    def _counts(self, names: Sequence[str], name_of: Callable[[Mutant], str]) -> dict[str, dict[str, int]]:
        counted = {word: Counter(map(name_of, each)) for word, each in self._all().items()}
        return {name: {word: counts[name] for word, counts in counted.items()} for name in names}

    def lines(self) -> Iterator[str]:
        """The survivors, each with the case to write."""
        for finding in self.findings:
            yield str(finding)
        for mutant in self.survived:
            about = f" rule {mutant.rule_id}" if mutant.rule_id is not None else ""
            yield f"{mutant.place}: survived ({mutant.kind.value}){about}: {cut(mutant.change)}"
            yield f"    write a case {mutant.case}"

    def to_json(self) -> dict[str, Json]:
        """As data."""
        survivors: list[Json] = [mutant.to_json() for mutant in self.survived]
        accepted: list[Json] = [{**mutant.to_json(), "reason": reason} for mutant, reason in self.accepted]
        return {
            **{word: len(each) for word, each in self._all().items()},
            "by_kind": {name: dict(counts) for name, counts in self.by_kind().items()},
            "by_policy": {name: dict(counts) for name, counts in self.by_policy().items()},
            "survivors": survivors,
            "accepted_mutants": accepted,
        }


def mutation_report(
    planned: Sequence[Plan], mutants: Sequence[Mutant], fates: Sequence[Fate]
) -> MutationReport:
    """Sort the mutants by fate; PE079 for each acceptance that accepts nothing."""
    files = [(cases, _own(plan, cases)) for plan in planned for cases in plan.files if cases.accepted]
    used: Counter[tuple[str, int]] = Counter()
    survived: list[Mutant] = []
    accepted: list[tuple[Mutant, str]] = []
    by_fate: dict[Fate, list[Mutant]] = {fate: [] for fate in Fate}
    for mutant, fate in zip(mutants, fates, strict=True):
        by_fate[fate].append(mutant)
        found = None
        for cases, own in files if fate is Fate.SURVIVED else ():
            for number, one in enumerate(cases.accepted):
                if mutant.policy in own and _accepts(one, mutant):
                    used[cases.document.file, number] += 1
                    found = one
        if found is not None:
            accepted.append((mutant, found.reason))
        elif fate is Fate.SURVIVED:
            survived.append(mutant)
    tried = {mutant.policy for mutant in mutants}
    stale = [
        finding
        for cases, own in files
        if own <= tried
        for number, one in enumerate(cases.accepted)
        if not used[cases.document.file, number]
        for finding in [_stale(cases, one)]
    ]
    return MutationReport(
        tuple(by_fate[Fate.KILLED]),
        tuple(survived),
        tuple(accepted),
        tuple(by_fate[Fate.REFUSED]),
        tuple(stale),
    )


def _own(plan: Plan, cases: CaseFile) -> frozenset[str]:
    found = (planned.own for planned in plan.cases if planned.cases is cases)
    return next(found, frozenset())


def _accepts(one: Accepted, mutant: Mutant) -> bool:
    return (
        one.change.replace(" -> ", " → ") == mutant.change
        and one.version in (None, mutant.version)
        and one.rule in (None, mutant.rule_id)
    )


def _stale(cases: CaseFile, one: Accepted) -> Finding:
    text = f"no mutant survives that is `{cut(one.change)}`"
    return cases.document.finding(
        (*one.path, "change"), "PE079", text, "remove it: a case kills it, or it is gone"
    )
