"""The reference of the policy language: complete, and its examples load, compile and pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.case_expect import EXPECTATIONS
from policyengine.authoring.case_later import AWAITED
from policyengine.authoring.case_plan import plans
from policyengine.authoring.cases import run_plans
from policyengine.authoring.check import check_folder
from policyengine.domain.policy import (
    Alternative,
    Cap,
    CrisisScope,
    Deny,
    Effective,
    Enforced,
    Exclusive,
    InputColumn,
    Model,
    Offer,
    OutputColumn,
    Policy,
    Rule,
    Table,
)
from policyengine.domain.remedies import REMEDY_KINDS
from policyengine.service.case_engine import CaseEngine
from policyengine.service.policy_sets import prepare

TEXT = (Path(__file__).parents[2] / "docs" / "policy-language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
MODELS: list[type[Model]] = [
    Policy, Rule, Effective, Enforced, CrisisScope, Exclusive, Cap, Deny, Offer, Alternative, Table,
    InputColumn, OutputColumn,
]  # fmt: skip


def write_examples(folder: Path) -> None:
    for number, block in enumerate(BLOCKS):
        suffix = "cases.yaml" if "\ncases:" in block else "yaml"
        (folder / f"example{number}.{suffix}").write_text(block, encoding="utf-8")


def test_every_example_loads_compiles_and_its_cases_pass(tmp_path: Path) -> None:
    write_examples(tmp_path)
    catalogue = load_catalogue([shipped_schemas()])
    check_folder(tmp_path, catalogue, prepare)
    report = run_plans(plans([tmp_path], catalogue), CaseEngine(catalogue), whole=False)
    assert report.ok, "\n".join(report.lines())
    # keeps points, three examples of the bonus, silver
    assert report.passed == 1 + 3 + 1


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_is_in_the_reference(model: type[Model]) -> None:
    for name, about in model.model_fields.items():
        assert re.search(rf"\b{about.alias or name}\b", TEXT), name


def test_every_remedy_kind_and_field_is_in_the_reference() -> None:
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \|(.*)$", TEXT, re.MULTILINE))
    for kind, model in REMEDY_KINDS.items():
        for name, about in model.model_fields.items():
            if name not in {"kind", "note"}:
                mark = "" if about.is_required() else "?"
                assert f"`{about.alias or name}`{mark} (" in rows[kind]


def test_every_expectation_is_in_the_reference() -> None:
    for name in (*EXPECTATIONS, *AWAITED):
        assert f"| `{name}` |" in TEXT


def test_every_code_of_policy_files_is_in_the_reference() -> None:
    sources = Path(__file__).parents[2] / "policyengine"
    used = {
        code
        for folder in ("authoring", "domain", "engine")
        for file in (sources / folder).glob("*.py")
        for code in re.findall(r'"(PE0[04567][0-9])"', file.read_text(encoding="utf-8"))
    }
    ranges = {f"PE06{digit}" for digit in range(3)}
    assert {code for code in used if f"| {code} |" not in TEXT} - ranges <= {f"PE01{n}" for n in range(10)}
