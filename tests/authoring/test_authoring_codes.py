"""Codes, their pages, the examples on them, and the tests: the four hold together."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
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
from tests.docs.walk import ANYTHING, Command, File, Step, do, steps
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
BEFORE = (  # what the pages with a ledger take for granted
    "new travel/half-back --remedy refund --about booking --currency ILS --owner care@travel.example --starts 2020-03-01",
    *(f"keys new {name}.key --no-passphrase" for name in ("dana", "noa", "eve")),
    "keys trust dana=dana.key.pub noa=noa.key.pub",
    "publish --rules rules --key dana.key",
    "approve --rules rules --key noa.key",
    "run --events events.jsonl",
)
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
    """(language, name, text) of the files and events on a page; what is walked through is not among them."""
    return [
        (language, name, text)
        for language, name, text in BLOCK.findall(page(code))
        if language != "console" and not name.startswith("title=")
    ]


def walked() -> list[str]:
    """The codes whose pages show commands and what they print."""
    return [code for code in titles() if "```console\n" in page(code)]


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


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger of five entries under a policy set that Dana and Noa approved; Eve has a key, too."""
    folder = tmp_path_factory.mktemp("decided")
    made = next(
        step for step in steps((ROOT / "docs/how-to/publish.md").read_text("utf-8")) if isinstance(step, File)
    )
    later = (
        made.text.splitlines()[0]
        .replace('"id":"1"', '"id":"3"')
        .replace("2020-02-10", "2020-05-10")
        .replace("b1", "b2")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        do(
            [
                made,
                File("more.jsonl", f"{later}\n"),
                *(Command(f"policyengine {line}", ANYTHING) for line in BEFORE),
            ],
            folder,
        )
    return folder


@pytest.mark.parametrize("code", walked())
def test_the_commands_on_a_page_print_what_it_shows(
    code: str, decided: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    monkeypatch.chdir(tmp_path)
    found = list(steps(page(code)))
    if any(isinstance(step, File) for step in found):
        folder.mkdir()
    else:
        shutil.copytree(decided, folder)
    monkeypatch.chdir(folder)
    do(
        as_noted(
            [replace(step, text=whole(step.text)) if isinstance(step, File) else step for step in found]
        ),
        folder,
    )
    assert any(code in step.expected for step in found if isinstance(step, Command))


def as_noted(found: Sequence[Step]) -> Iterator[Step]:
    """With size and root as they were at the most when a command was begun."""
    noted = (0, b"")
    for step in found:
        if Path("policyengine.db").exists():
            with closing(sqlite3.connect("policyengine.db")) as database:
                noted = max(noted, *database.execute("SELECT size, root FROM shard WHERE shard = '0'"))
        if isinstance(step, Command):
            yield replace(step, line=step.line.replace("SIZE:ROOT", f"{noted[0]}:{noted[1].hex()}"))
        else:
            yield step


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
    # PE000 is the root of all errors, PE079 is found by `test --mutate`
    assert of_files - set(checkable()) - set(walked()) == {"PE000", "PE079"}


def test_every_code_is_in_a_test() -> None:
    tests = [file for file in (ROOT / "tests").rglob("*.py") if file.name != Path(__file__).name]
    told = {code for file in tests for code in CODE.findall(file.read_text("utf-8"))}
    assert titles().keys() - told - ELSEWHERE - set(checkable()) - set(walked()) == set()


def test_the_index_lists_every_page() -> None:
    """Written by `make codes`."""
    assert (pages_folder() / "README.md").read_text("utf-8") == index()


def test_every_warning_is_told_as_one() -> None:
    for code, severity in SEVERITIES.items():
        words = {"warning": "A warning", "note": "A note"}[severity]
        assert words in page(code), code


def test_the_page_of_errors_points_to_the_pages() -> None:
    assert "(codes/README.md)" in (ROOT / "docs" / "errors.md").read_text("utf-8")
