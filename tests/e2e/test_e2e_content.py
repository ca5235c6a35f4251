"""What is shipped is complete: the catalogue described, the policies titled, cited, and proved by cases."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.cases import run_cases
from policyengine.authoring.load import CASES_SUFFIX, load_policies
from policyengine.domain.decision import Decision, Verdict
from policyengine.domain.events import Rejection
from policyengine.domain.policy import Policy
from policyengine.domain.remedies import REMEDY_KINDS
from policyengine.domain.values import Value
from policyengine.engine.watch import CaseWatcher
from policyengine.service.case_engine import CaseEngine

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "rules"
SCHEMAS = sorted((ROOT / "schemas").glob("e*s/*.json"))  # entities, events
FILES = sorted(path for path in RULES.rglob("*.yaml") if not path.name.endswith(CASES_SUFFIX))
POLICIES = {loaded.file: loaded.policy for loaded in load_policies(RULES).policies}
NAME = re.compile(r"[a-z][a-z0-9_]*")


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class _Watching:
    """The engine of the cases, which remembers what applied."""

    def __init__(self, engine: CaseEngine) -> None:
        self.engine = engine
        self.applied: set[tuple[str, int, str]] = set()
        self.kinds: set[str] = set()

    def run(
        self,
        policies: Sequence[Policy],
        world: Mapping[str, Value],
        events: Sequence[bytes],
        watcher: CaseWatcher | None = None,
    ) -> list[list[Decision] | Rejection]:
        results = self.engine.run(policies, world, events, watcher)
        for decision in (each for result in results if isinstance(result, list) for each in result):
            for trace in decision.trace:
                if trace.verdict is Verdict.APPLIED:
                    self.applied.add((trace.policy, trace.version, trace.rule))
            offered = [choice.remedies for offer in decision.offers for choice in offer.choices]
            for remedies in (decision.remedies, decision.shadow_remedies, *offered):
                self.kinds.update(remedy.kind for remedy in remedies)
        return results


@pytest.fixture(scope="module")
def watched() -> tuple[_Watching, list[str]]:
    catalogue = load_catalogue([shipped_schemas()])
    engine = _Watching(CaseEngine(catalogue))
    report = run_cases(RULES, catalogue, engine)
    return engine, [] if report.ok else list(report.lines())


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


def test_every_case_comes_out_as_written(watched: tuple[_Watching, list[str]]) -> None:
    assert watched[1] == []


def test_every_rule_applies_in_some_case(watched: tuple[_Watching, list[str]]) -> None:
    shipped = {
        (policy.policy, policy.version, rule.id) for policy in POLICIES.values() for rule in policy.rules
    }
    assert sorted(shipped - watched[0].applied) == []


def test_every_kind_of_remedy_is_shown(watched: tuple[_Watching, list[str]]) -> None:
    assert set(REMEDY_KINDS) - watched[0].kinds == set()


@pytest.mark.parametrize("path", sorted(RULES.rglob(f"*{CASES_SUFFIX}")), ids=_id)
def test_some_case_holds_a_policys_words_in_both_languages(path: Path) -> None:
    cases = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))["cases"]
    wanted = [each for case in cases for each in _expectations(case["expect"])]
    assert {"en", "he"} <= {language for each in wanted for language in each.get("messages", {})}


def _expectations(raw: Any) -> list[dict[str, Any]]:
    many = raw if isinstance(raw, list) else [raw]
    return [each for each in many if isinstance(each, dict)]
