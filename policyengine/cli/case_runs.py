"""One run of `test`: cases, coverage, mutants; shown to a person or as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from policyengine.authoring.case_plan import Plan, plans
from policyengine.authoring.case_report import Report
from policyengine.authoring.cases import run_plans
from policyengine.authoring.coverage import Coverage
from policyengine.authoring.coverage_points import Kind
from policyengine.authoring.coverage_report import MUTANTS, CoverageReport, coverage_report, shown
from policyengine.authoring.load import LoadedPolicy
from policyengine.authoring.mutate import Mutation
from policyengine.authoring.mutate_pool import fates
from policyengine.authoring.mutate_report import MutationReport, mutation_report
from policyengine.bootstrap import case_engine, catalogue_of
from policyengine.cli.check import print_findings
from policyengine.cli.options import settings_with
from policyengine.cli.output import Format, out, print_json, progress, say, table
from policyengine.domain.near import did_you_mean
from policyengine.domain.values import Json
from policyengine.errors import FindingsError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is asked for; ``once`` does it, as often as it is called."""

    targets: list[Path]
    schemas: list[Path] | None
    only: str | None
    trace: bool
    coverage: bool
    mutate: bool
    thresholds: Mapping[str, Decimal]
    policy: str | None
    jobs: int | None
    junit: Path | None
    form: Format

    def once(self) -> bool:
        """Run, show, and tell whether all is well."""
        try:
            return self._run()
        except FindingsError as error:
            if self.form is not Format.JSON:
                raise
            print_findings(error)
            return False

    def _run(self) -> bool:
        catalogue = catalogue_of(settings_with(schemas=self.schemas).schemas)
        planned = plans(self.targets, catalogue, self.only)
        self._check_policy(planned)
        watcher = Coverage(_policies(planned, None)) if self.coverage else None
        report = run_plans(
            planned,
            case_engine(catalogue),
            whole=self.only is None,
            trace=self.trace,
            watch=None if watcher is None else lambda _: watcher,
        )
        if self.junit is not None:
            self._write(report, self.junit)
        document = report.to_json()
        well = report.ok
        self._show(report)
        if watcher is not None:
            covered = coverage_report(_policies(planned, self.policy), watcher.marks)
            short = list(covered.short_of(self.thresholds))
            well = well and not short
            document["coverage"] = {**covered.to_json(), "short": list(short)}
            if self.form is Format.HUMAN:
                _show_coverage(covered, short)
        if self.mutate and report.ok:
            mutated = self._mutated(planned)
            lacking = mutated.short_of(self.thresholds.get(MUTANTS))
            well = well and lacking is None and not mutated.findings
            document["mutation"] = {**mutated.to_json(), "short": lacking}
            if self.form is Format.HUMAN:
                _show_mutation(mutated, lacking)
        elif self.mutate and self.form is Format.HUMAN:
            say("mutants are tried once all cases pass")
        if self.form is Format.JSON:
            print_json({**document, "ok": well})
        return well

    def _check_policy(self, planned: Sequence[Plan]) -> None:
        known = {name for plan in planned for name in plan.about}
        if self.policy is not None and self.policy not in known:
            hint = did_you_mean(self.policy, known) or f"there are {', '.join(sorted(known))}"
            raise UsageError(f"no policy `{self.policy}` here; {hint}")

    def _show(self, report: Report) -> None:
        if self.form is Format.HUMAN:
            for line in report.lines():
                say(line)

    def _mutated(self, planned: Sequence[Plan]) -> MutationReport:
        catalogue = catalogue_of(settings_with(schemas=self.schemas).schemas)
        mutation = Mutation.of(planned, case_engine(catalogue), self.policy)
        again = partial(mutation_of, self.targets, self.schemas, self.only, self.policy)
        found = []
        with progress("mutants", len(mutation.mutants)) as advance:
            for fate in fates(mutation, again, self.jobs):
                found.append(fate)
                advance(1)
        return mutation_report(planned, mutation.mutants, found)

    def _write(self, report: Report, file: Path) -> None:
        from policyengine.authoring.junit import junit

        file.write_bytes(junit(report))


def mutation_of(
    targets: list[Path], schemas: list[Path] | None, only: str | None, policy: str | None
) -> Mutation:
    """The same mutants again, in a process that starts empty."""
    catalogue = catalogue_of(settings_with(schemas=schemas).schemas)
    return Mutation.of(plans(targets, catalogue, only), case_engine(catalogue), policy)


def _policies(planned: Sequence[Plan], policy: str | None) -> list[LoadedPolicy]:
    """The versions that were asked for, each once however many targets hold it."""
    found = {
        loaded.file: loaded
        for plan in planned
        for loaded in plan.loaded.policies
        if loaded.policy.policy in plan.about and policy in (None, loaded.policy.policy)
    }
    return list(found.values())


def _show_coverage(report: CoverageReport, short: Sequence[str]) -> None:
    kinds = [kind.value for kind in Kind]
    made = table("Coverage", "policy", *kinds, "%", right=(*kinds, "%"))
    made.padding = (0, 1, 0, 0)  # so that all columns find room
    for name in report.policies():
        figures = [str(report.figure(kind, name)) for kind in Kind]
        made.add_row(name, *figures, shown(report.figure(None, name).percent))
    made.add_section()
    made.add_row("all", *(str(report.figure(kind)) for kind in Kind), shown(report.figure().percent))
    out.print(made)
    for point in report.missing:
        say(str(point))
    for text in short:
        say(text)


def _show_mutation(report: MutationReport, lacking: str | None) -> None:
    for line in report.lines():
        say(line)
    for title, counts in (("Mutants by policy", report.by_policy()), ("Mutants by kind", report.by_kind())):
        words: dict[str, Json] = {word: word for each in counts.values() for word in each}
        made = table(title, title.rpartition(" ")[2], *words, "score", right=(*words, "score"))
        for name, each in counts.items():
            tried = each["killed"] + each["survived"]
            score = shown(Decimal(100) * each["killed"] / tried) if tried else ""
            made.add_row(name, *(str(count or "") for count in each.values()), score)
        out.print(made)
    say(f"mutants: {report.score} killed, {shown(report.score.percent)} %")
    if lacking is not None:
        say(lacking)
