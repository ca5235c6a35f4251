"""Codes, their pages, the examples on them, and the tests: the four hold together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.case_plan import plans
from policyengine.authoring.check import examine
from policyengine.authoring.code_pages import index, page, pages_folder, titles
from policyengine.engine.lint import SEVERITIES
from policyengine.errors import CatalogueError
from policyengine.service.dry_run import dry_run
from policyengine.service.policy_sets import PolicySet, prepare
from tests.support import catalogue, draft, policy_set, refund

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\b(?:PE|EV)\d{3}\b")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEAD = {
    "policy": "travel/money-back",
    "version": "1",
    "title": "{en: Money back}",
    "owner": "care@company.example",
    "basis": "goodwill",
    "effective": "{from: 2020-03-01}",
    "currency": "ILS",
    "timezone": "Asia/Jerusalem",
}
RULES = "rules:\n  - id: back\n    on: booking.cancelled\n    grant:\n      - {kind: refund, amount: booking.paid}\n"
TODAY = date(2020, 6, 1)
ELSEWHERE = {"PE000"}  # of the root of the tree of errors: none has it


def used() -> set[str]:
    """The codes that the source names."""
    files = [*(ROOT / "policyengine").rglob("*.py")]
    return {code for file in files for code in CODE.findall(file.read_text("utf-8"))}


def whole(block: str) -> str:
    """A file of what a page shows of one: what it leaves out is as in any other."""
    if re.search(r"^(policy|cases):", block, re.MULTILINE):
        return block
    head = [
        f"{key}: {value}" for key, value in HEAD.items() if not re.search(rf"^{key}:", block, re.MULTILINE)
    ]
    rules = "" if re.search(r"^rules:", block, re.MULTILINE) else RULES
    return "\n".join(head) + "\n" + block + rules


def blocks(code: str) -> list[tuple[str, str, str]]:
    """(language, name, text) of the examples on a page."""
    return BLOCK.findall(page(code))


def checkable() -> Iterator[str]:
    for code in titles():
        if blocks(code):
            yield code


def codes_of_policies(folder: Path) -> set[str]:
    checked = examine([folder], catalogue(), prepare, TODAY)
    if checked.prepared is not None:
        checked.prepared.ruleset.close()
    return {finding.code for finding in checked.findings}


def codes_of_cases(folder: Path) -> set[str]:
    return {
        finding.code
        for plan in plans([folder], catalogue())
        for finding in (*plan.findings, *plan.without_cases())
    }


def codes_of_schemas(folder: Path) -> set[str]:
    try:
        load_catalogue([shipped_schemas(), folder])
    except CatalogueError as error:
        return {finding.code for finding in error.findings}
    return set()


@pytest.fixture(scope="module")
def some_policies() -> PolicySet:
    return policy_set(draft("a/b", refund("booking.paid")))


@pytest.mark.parametrize("code", list(checkable()))
def test_the_example_on_a_page_is_told_with_its_code(
    code: str, tmp_path: Path, some_policies: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # cases look for policies in the folders above, up to here
    folder = tmp_path / "rules"
    (folder / "events").mkdir(parents=True)
    found: set[str] = set()
    for number, (language, name, text) in enumerate(blocks(code)):
        if language == "json" and name == "event":
            (answer,) = dry_run(some_policies, [text.rstrip("\n").encode()])
            assert answer.rejection is not None
            found.add(answer.rejection.code)
        else:
            (folder / (name or f"p{number}.yaml")).write_text(
                whole(text) if language == "yaml" else text, encoding="utf-8"
            )
    names = {name for _, name, _ in blocks(code)}
    if code.startswith("PE07"):
        if "x.yaml" not in names:
            (folder / "x.yaml").write_text(whole(""), encoding="utf-8")
        assert code in codes_of_cases(folder)  # and what comes of it, such as a policy without cases
        return
    if any(name.startswith("events/") for name in names):
        found |= codes_of_schemas(folder)
    elif "event" not in names:
        found |= codes_of_policies(folder)
    assert found == {code}


def test_the_policy_that_pages_leave_out_is_sound(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(whole(""), encoding="utf-8")
    assert codes_of_policies(tmp_path) == set()


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert used() - titles().keys() == set()
    assert titles().keys() - used() == set()


def test_every_page_says_what_is_wrong_shows_it_and_says_what_to_do() -> None:
    for code in titles():
        text = page(code)
        assert text.startswith(f"# {code}: "), code
        assert text.count("\n## How to mend it\n\n") == 1, code
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert (pages_folder() / link).exists(), (code, link)


def test_every_code_of_a_file_has_an_example_that_is_run() -> None:
    of_files = {code for code in titles() if re.match(r"PE0[0-9]{2}", code)}
    # PE045 and PE000 are found when something is decided, PE079 by `test --mutate`
    assert {code for code in of_files if not blocks(code)} == {"PE000", "PE045", "PE079"}


def test_every_code_is_in_a_test() -> None:
    tests = [file for file in (ROOT / "tests").rglob("*.py") if file.name != Path(__file__).name]
    told = {code for file in tests for code in CODE.findall(file.read_text("utf-8"))}
    assert titles().keys() - told - ELSEWHERE - set(checkable()) == set()


def test_the_index_lists_every_page() -> None:
    """Written by `make codes`."""
    assert (pages_folder() / "README.md").read_text("utf-8") == index()


def test_every_warning_is_told_as_one() -> None:
    for code, severity in SEVERITIES.items():
        words = {"warning": "A warning", "note": "A note"}[severity]
        assert words in page(code), code


def test_the_page_of_errors_points_to_the_pages() -> None:
    assert "(codes/README.md)" in (ROOT / "docs" / "errors.md").read_text("utf-8")
