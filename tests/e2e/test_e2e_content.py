"""What is shipped is complete: the catalogue described, the policies titled, cited, and proved by cases."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.case_plan import plans
from policyengine.authoring.case_report import Report
from policyengine.authoring.cases import run_plans
from policyengine.authoring.coverage import Coverage
from policyengine.authoring.coverage_report import CoverageReport, coverage_report, read_thresholds
from policyengine.authoring.load import CASES_SUFFIX, LoadedPolicy, load_policies
from policyengine.authoring.yaml_source import read_yaml
from policyengine.domain.decision import Decision
from policyengine.domain.remedies import REMEDY_KINDS
from policyengine.service.case_engine import CaseEngine

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "rules"
SCHEMAS = sorted((ROOT / "schemas").glob("e*s/*.json"))  # entities, events
FILES = sorted(path for path in RULES.rglob("*.yaml") if not path.name.endswith(CASES_SUFFIX))
POLICIES = {loaded.file: loaded.policy for loaded in load_policies(RULES).policies}
NAME = re.compile(r"[a-z][a-z0-9_]*")


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class _Watching(Coverage):
    """Notes what the cases reach, and which kinds of remedy they show."""

    def __init__(self, policies: Sequence[LoadedPolicy]) -> None:
        super().__init__(policies)
        self.kinds: set[str] = set()

    def decided(self, decision: Decision) -> None:
        super().decided(decision)
        offered = [choice.remedies for offer in decision.offers for choice in offer.choices]
        for remedies in (decision.remedies, decision.shadow_remedies, *offered):
            self.kinds.update(remedy.kind for remedy in remedies)


@pytest.fixture(scope="module")
def watched() -> tuple[_Watching, Report, CoverageReport]:
    """The one run of all shipped cases, as `policyengine test rules --coverage` does it."""
    catalogue = load_catalogue([shipped_schemas()])
    (plan,) = plans([RULES], catalogue)
    watching = _Watching(plan.loaded.policies)
    report = run_plans([plan], CaseEngine(catalogue), watch=lambda _: watching)
    return watching, report, coverage_report(plan.loaded.policies, watching.marks)


def _day(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


@pytest.mark.parametrize("path", SCHEMAS, ids=_id)
def test_everything_in_a_schema_is_described(path: Path) -> None:
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert schema["title"] == path.stem
    assert schema["$id"] == f"{path.parent.name}/{path.stem}"
    assert schema["description"]
    for name, definition in schema["properties"].items():
        assert NAME.fullmatch(name), name
        assert len(definition["description"]) > 5, name


@pytest.mark.parametrize("path", [path for path in SCHEMAS if path.parent.name == "events"], ids=_id)
def test_an_event_says_the_same_as_its_entity(path: Path) -> None:
    event = json.loads(path.read_text(encoding="utf-8"))
    if "x-entity" not in event:
        return
    entity = json.loads((ROOT / "schemas/entities" / f"{event['x-entity']}.json").read_text(encoding="utf-8"))
    for name, definition in event["properties"].items():
        wanted = entity["properties"].get(name, definition)
        assert {**definition, "description": ""} == {**wanted, "description": ""}, name
    assert set(event.get("x-set", {})) <= set(entity["properties"])
    assert event.get("x-key") in {*event["required"], None}


def test_every_file_loads() -> None:
    assert len(POLICIES) == len(FILES)


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: Path(file).stem)
def test_a_policy_is_titled_cited_and_dated(file: str) -> None:
    policy = POLICIES[file]
    path = Path(file)
    assert path.name == f"{policy.policy.rpartition('/')[2]}.v{policy.version}.yaml"
    assert path.parent.name == policy.policy.partition("/")[0]
    assert {"en", "he"} <= set(policy.title)
    assert policy.cites
    assert path.with_name(path.name.partition(".")[0] + CASES_SUFFIX).is_file()
    # every measure is looked at again on a day, after it begins; one of goodwill ends, or is bound to a crisis
    assert policy.review is not None
    assert policy.effective.by != "event.time" or policy.review > _day(policy.effective.from_)
    if policy.basis == "goodwill":
        assert policy.effective.until or policy.crisis


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: Path(file).stem)
def test_messages_are_in_hebrew_and_english(file: str) -> None:
    for rule in POLICIES[file].rules:
        silent = {remedy.kind for remedy in rule.grant} <= {"signal", "escalate"} and not rule.offer
        if rule.say or not silent or rule.deny:
            assert {"en", "he"} <= set(rule.say), rule.id
        titles = [rule.title, *(each.title for each in (rule.offer.alternatives if rule.offer else ()))]
        assert all({"en", "he"} <= set(title) for title in titles if title)


def test_versions_are_numbered_without_gaps() -> None:
    numbers: dict[str, list[int]] = {}
    for policy in POLICIES.values():
        numbers.setdefault(policy.policy, []).append(policy.version)
    assert all(sorted(versions) == list(range(1, len(versions) + 1)) for versions in numbers.values())


def test_every_case_comes_out_as_written(watched: tuple[_Watching, Report, CoverageReport]) -> None:
    assert watched[1].ok, "\n".join(watched[1].lines())


def test_the_cases_reach_every_rule_row_and_version_and_nearly_everything_else(
    watched: tuple[_Watching, Report, CoverageReport],
) -> None:
    wanted = read_thresholds(["rules=100", "rows=100", "versions=100", "clauses=98", "windows=100", "95"])
    short = list(watched[2].short_of(wanted))
    assert short == [], "\n".join([*short, *map(str, watched[2].missing)])


def test_every_kind_of_remedy_is_shown(watched: tuple[_Watching, Report, CoverageReport]) -> None:
    assert set(REMEDY_KINDS) - watched[0].kinds == set()


@pytest.mark.parametrize("path", sorted(RULES.rglob(f"*{CASES_SUFFIX}")), ids=_id)
def test_some_case_holds_a_policys_words_in_both_languages(path: Path) -> None:
    document, _ = read_yaml(path.read_bytes(), path.name)
    assert document is not None
    cases = document.data["cases"]
    wanted = [each for case in cases for each in _expectations(case.get("expect"))]
    assert {"en", "he"} <= {language for each in wanted for language in each.get("messages", {})}


def _expectations(raw: Any) -> list[dict[str, Any]]:
    many = raw if isinstance(raw, list) else [raw]
    return [each for each in many if isinstance(each, dict)]
