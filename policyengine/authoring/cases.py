"""Runs the cases beside the policies: real events through the real engine, expected against got.

Which cases and policies is authoring.case_plan, comparing is authoring.case_check, telling what came of
it is authoring.case_report; what decides is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Protocol

from policyengine.authoring.case_check import Difference, differences
from policyengine.authoring.case_expect import Expectation
from policyengine.authoring.case_later_check import LaterCheck, label
from policyengine.authoring.case_plan import Plan, Planned, plans
from policyengine.authoring.case_report import Outcome, Report
from policyengine.authoring.case_trace import Recorder, relevant_lines, steps_of, whole_lines
from policyengine.authoring.load import LoadedFolder
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.events import Rejection
from policyengine.domain.played import Played
from policyengine.domain.policy import Policy
from policyengine.domain.values import Value
from policyengine.engine.faults import CompileError
from policyengine.engine.watch import CaseWatcher
from policyengine.errors import PolicyError

Watch = Callable[[Planned], CaseWatcher]


class Engine(Protocol):
    """Decides a stream under some policies, from an empty state."""

    def run(
        self,
        policies: Sequence[Policy],
        world: Mapping[str, Value],
        events: Sequence[bytes],
        watcher: CaseWatcher | None = None,
        until: datetime | None = None,
    ) -> Played:
        """What comes of the events, and what happens by itself after the last of them, ``until`` then."""


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
        played = engine.run(models, case.world, case.events, watcher, planned.until)
    except CompileError as error:
        part = LoadedFolder(loaded.folder, planned.policies, ())
        raise PolicyError(sorted(part.findings_of(error.faults))) from error
    wrong, about = judge(planned, played)
    seconds = perf_counter() - start
    place = planned.place
    if not wrong:
        return Outcome(planned.file, *place, case.name, seconds=seconds)
    recorder = Recorder()
    engine.run(models, case.world, case.events, recorder, planned.until)
    lines: list[str] = []
    for number, step in steps_of(recorder, about):
        nth = number - len(case.events)
        if nth >= 0:
            lines.append(label(played.later[nth], planned.zone))
        elif len(case.events) > 1:
            lines.append(f"on event {number + 1}:")
        if trace:
            lines += whole_lines(step)
        else:
            rules = [rule for difference in wrong for rule in difference.rules]
            lines += relevant_lines(step, rules, planned.own)
    return Outcome(planned.file, *place, case.name, tuple(wrong), tuple(lines), seconds)


def judge(planned: Planned, played: Played) -> tuple[list[Difference], list[int]]:
    """What differs, and on which steps: an event, or after the last what happened by itself."""
    expectations, answers = planned.case.expectations, played.answers
    awaited = {each.after for each in expectations if "rejected" in each.wanted}
    refused = [
        Difference(f"event {index + 1}", "accepted", f"rejected: {result.code} {result.reason}")
        for index, result in enumerate(answers)
        if isinstance(result, Rejection) and index not in awaited
    ]
    if refused:
        return refused, []
    wrong: list[Difference] = []
    about: list[int] = []
    for expectation in expectations:
        found = differences(expectation, answers[expectation.after])
        wrong += _numbered(expectation, found, len(answers))
        if found:
            about.append(expectation.after)
    if planned.case.later is not None:
        check = LaterCheck(planned.case.later, planned.own, planned.zones, planned.zone)
        check.compare(played)
        wrong += check.wrong
        about += [len(answers) + (-1 if step is None else step) for step in check.steps]
    return wrong, about


def _numbered(expectation: Expectation, found: list[Difference], events: int) -> list[Difference]:
    if expectation.after == events - 1:
        return found
    where = f" after event {expectation.after + 1}"
    return [Difference(one.what + where, one.expected, one.got, one.rules) for one in found]
