"""What a policy set that compiles may still have wrong: warnings and notes, each with its place.

Pure: the day on which somebody looks is an argument. Nothing here keeps a policy from being used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from policyengine.domain.policy import Policy
from policyengine.engine.faults import Fault, Report
from policyengine.engine.lint_files import file_remarks
from policyengine.engine.lint_messages import message_remarks
from policyengine.engine.lint_rules import rule_remarks
from policyengine.engine.lint_scope import Seen, seen_rules
from policyengine.engine.lint_tables import table_remarks
from policyengine.engine.lint_versions import version_remarks
from policyengine.engine.ruleset import RuleSet
from policyengine.errors import Severity

SEVERITIES: Mapping[str, Severity] = {
    "PE080": "warning",  # a rule that never applies
    "PE081": "warning",  # a rule that always loses to another
    "PE082": "warning",  # two rows of a unique table in one place
    "PE083": "warning",  # values that no row takes
    "PE084": "warning",  # a row that is never reached
    "PE085": "warning",  # days between two versions on which none governs
    "PE086": "warning",  # a parameter without a value on some day
    "PE087": "warning",  # a message that lacks a language
    "PE088": "warning",  # a placeholder that can be absent
    "PE089": "warning",  # a statutory policy without a citation
    "PE090": "note",  # a review that is due
    "PE091": "warning",  # offers of an unknown policy are withdrawn
    "PE092": "warning",  # a follow-up or deadline before the version governs
    "PE093": "warning",  # a parameter that no rule reads
}


def lint(policies: Sequence[Policy], ruleset: RuleSet, on: date, *, whole: bool) -> list[Fault]:
    """Everything that is suspicious about policies that compile; ``whole``: no policy is missing."""
    report = Report()
    seen = seen_rules(policies, ruleset)
    for fault in _remarks(policies, seen, ruleset, on, whole=whole):
        report.add(fault.policy, fault.path, fault.code, fault.message, fault.hint, offset=fault.offset)
    return report.faults


def _remarks(
    policies: Sequence[Policy], seen: Sequence[Seen], ruleset: RuleSet, on: date, *, whole: bool
) -> Iterator[Fault]:
    yield from file_remarks(policies, seen, on, whole=whole)
    yield from version_remarks(seen)
    yield from message_remarks(policies, seen, ruleset.catalogue, whole=whole)
    yield from rule_remarks(seen)
    yield from table_remarks(seen)
