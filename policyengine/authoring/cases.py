"""Runs the cases beside the policies: real events through the real engine, expected against got.

Which cases and policies is authoring.case_plan, comparing is authoring.case_check, telling what came of
it is authoring.case_report; what decides is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

from policyengine.authoring.case_check import Difference, differences
from policyengine.authoring.case_expect import Expectation
from policyengine.authoring.case_plan import Plan, Planned, plans
from policyengine.authoring.case_report import Outcome, Report
from policyengine.authoring.case_trace import Recorder, relevant_lines, steps_of, whole_lines
from policyengine.authoring.load import LoadedFolder
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Decision
from policyengine.domain.events import Rejection
from policyengine.domain.policy import Policy
from policyengine.domain.values import Value
from policyengine.engine.faults import CompileError
from policyengine.engine.watch import CaseWatcher
from policyengine.errors import PolicyError

Results = Sequence[list[Decision] | Rejection]
Watch = Callable[[Planned], CaseWatcher]


class Engine(Protocol):
    """Decides a stream under some policies, from an empty state."""

    def run(
        self,
        policies: Sequence[Policy],
        world: Mapping[str, Value],
        events: Sequence[bytes],
        watcher: CaseWatcher | None = None,
    ) -> Results:
        """For each event its decisions, or why it was rejected."""


def run_cases(folder: Path, catalogue: Catalogue, engine: Engine, only: str | None = None) -> Report:
    """Run every case below a folder, or those whose file or name contains ``only``.

    PolicyError where the policies themselves do not load or compile.
    """
    return run_plans(plans([folder], catalogue, only), engine, whole=only is None)


def run_plans(
    planned: Sequence[Plan],
    engine: Engine,
    *,
    whole: bool = True,
    trace: bool = False,
    watch: Watch | None = None,
) -> Report:
    """Run what is planned. ``whole``: a policy without any case is a finding. ``trace``: show every rule.

    ``watch`` gives the watcher of each case.
    """
    report = Report()
    for plan in planned:
        report.findings += plan.findings
        if whole:
            report.findings += plan.without_cases()
        for case in plan.cases:
            watcher = None if watch is None else watch(case)
            report.outcomes.append(_run(case, plan.loaded, engine, watcher, trace=trace))
    return report


def _run(
    planned: Planned, loaded: LoadedFolder, engine: Engine, watcher: CaseWatcher | None, *, trace: bool
) -> Outcome:
    case = planned.case
    models = [each.policy for each in planned.policies]
    start = perf_counter()
    try:
        results = engine.run(models, case.world, case.events, watcher)
    except CompileError as error:
        part = LoadedFolder(loaded.folder, planned.policies, ())
        raise PolicyError(sorted(part.findings_of(error.faults))) from error
    wrong, about = judge(case.expectations, results)
    seconds = perf_counter() - start
    place = planned.place
    if not wrong:
        return Outcome(planned.file, *place, case.name, seconds=seconds)
    recorder = Recorder()
    engine.run(models, case.world, case.events, recorder)
    lines: list[str] = []
    for number, step in steps_of(recorder, about):
        if len(case.events) > 1:
            lines.append(f"on event {number + 1}:")
        if trace:
            lines += whole_lines(step)
        else:
            rules = [rule for difference in wrong for rule in difference.rules]
            lines += relevant_lines(step, rules, planned.own)
    return Outcome(planned.file, *place, case.name, tuple(wrong), tuple(lines), seconds)


def judge(
    expectations: Sequence[Expectation], results: Results
) -> tuple[list[Difference], list[Expectation]]:
    """What differs, and the expectations that do not hold."""
    awaited = {each.after for each in expectations if "rejected" in each.wanted}
    refused = [
        Difference(f"event {index + 1}", "accepted", f"rejected: {result.code} {result.reason}")
        for index, result in enumerate(results)
        if isinstance(result, Rejection) and index not in awaited
    ]
    if refused:
        return refused, []
    wrong: list[Difference] = []
    about: list[Expectation] = []
    for expectation in expectations:
        found = differences(expectation, results[expectation.after])
        wrong += _numbered(expectation, found, len(results))
        if found:
            about.append(expectation)
    return wrong, about


def _numbered(expectation: Expectation, found: list[Difference], events: int) -> list[Difference]:
    if expectation.after == events - 1:
        return found
    where = f" after event {expectation.after + 1}"
    return [Difference(one.what + where, one.expected, one.got, one.rules) for one in found]
