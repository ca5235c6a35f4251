"""The generated page names every key of every model, and is what is in docs."""

from __future__ import annotations

import re
from pathlib import Path

from policyengine.authoring.policy_reference import reference
from policyengine.domain.policy import Policy
from policyengine.domain.remedies import REMEDY_KINDS

PAGE = reference()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_the_page_in_docs_is_the_one_that_is_made_now() -> None:
    """`policyengine schema reference > docs/reference.md` writes it."""
    written = (Path(__file__).parents[2] / "docs" / "reference.md").read_text("utf-8")
    assert written.strip() == PAGE.strip()


def test_every_key_of_every_model_has_a_row_with_a_meaning() -> None:
    schema = Policy.model_json_schema(by_alias=True)
    keys = [
        key
        for model in (schema, *schema["$defs"].values())
        for key in model.get("properties", {})
        if key != "kind" or "const" not in model["properties"]["kind"]
    ]
    rows = re.findall(r"^\| `([a-z_]+)`(?: \*)? \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
    assert sorted(key for key, _, _ in rows) == sorted(keys)
    assert "value" not in {value for _, value, _ in rows}


def test_every_remedy_has_a_section() -> None:
    for kind in REMEDY_KINDS:
        assert f"## Remedy `{kind}`\n" in PAGE


def test_what_must_be_there_and_what_may_be_written_is_shown() -> None:
    policy = section("Policy")
    assert "| `version` * | whole number, 1 to 1000000 |" in policy
    assert "| `basis` * | `statutory`, `contractual` or `goodwill` |" in policy
    assert "| `effective` * | [Effective](#effective) |" in policy
    assert "| `announced` | date |" in policy
    assert "Default: `UTC`" in policy


def test_links_lead_to_sections() -> None:
    anchors = {
        re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
