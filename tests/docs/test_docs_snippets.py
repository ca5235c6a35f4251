"""Every snippet is executed by a test, or it is written here why not.

Whoever adds a page, a fence or an indented block gets to know by a failure: a page whose commands and files
are walked through is listed in test_docs_walk.PAGES; what another test executes, in ELSEWHERE; what is
parsed only, in PARSED; what is no program at all, in SHOWN.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from policyengine.cli.commands import COMMANDS, load
from tests.docs.test_docs_walk import PAGES
from tests.docs.walk import ROOT, blocks

DOCS = ROOT / "docs"
ALL = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

# (page, kind of block): the test that executes all of them, and how many there are where it takes so many only
ELSEWHERE: dict[tuple[str, str], tuple[str, int | None]] = {
    ("README.md", "yaml"): ("tests/cli/test_cli_docs.py", 1),
    ("docs/editor.md", "sh"): ("tests/docs/test_docs_commands.py", None),
    ("docs/events.md", "json"): ("tests/domain/test_domain_validation.py", None),
    ("docs/ledger.md", "json"): ("tests/ledger/test_ledger_format.py", 1),
    ("docs/ledger.md", "python"): ("tests/ledger/test_ledger_format.py", 2),
    ("docs/policy-language.md", "yaml"): ("tests/authoring/test_authoring_reference.py", None),
    ("docs/simulate.md", "console"): ("tests/docs/test_docs_commands.py", None),
    ("docs/testing.md", "console"): ("tests/cli/test_cli_cases.py", None),
    ("docs/testing.md", "yaml"): ("tests/cli/test_cli_cases.py", None),
}
CODES = "tests/authoring/test_authoring_codes.py"  # takes every fence of every page in docs/codes

# (page, how the block begins): the test that executes it
HELD = {
    ("README.md", '{"specversion"'): "tests/cli/test_cli_docs.py",
    ("README.md", ".venv/bin/policyengine"): "tests/cli/test_cli_docs.py",
    ("docs/editor.md", "# yaml-language-server"): "tests/docs/test_docs_commands.py",
    ("docs/operations.md", "pg_dump"): "tests/e2e/test_e2e_deployment.py",
    ("docs/operations.md", "sqlite3"): "tests/e2e/test_e2e_deployment.py",
    ("docs/simulate.md", "  - name: "): "tests/docs/test_docs_commands.py",
}

# (page, how the block begins): why its commands are not run; that they parse, with options that there are, is tested here
PARSED = {
    (
        "README.md",
        "make demo",
    ): "sets up an environment; the demo itself is run by tests/cli/test_cli_owner.py",
    ("docs/benchmarks.md", "make bench"): "measures for minutes",
    (
        "docs/operations.md",
        "docker compose",
    ): "needs Docker; compose.yaml is read by tests/e2e/test_e2e_deployment.py",
    (
        "docs/operations.md",
        "policyengine check rules",
    ): "publishes for workers into PostgreSQL: tests/kafka does",
    (
        "docs/policy-language.md",
        "policyengine check rules",
    ): "an overview; docs/tutorial.md and editor.md run the same",
    (
        "docs/simulate.md",
        "# .github/workflows",
    ): "is run by GitHub; its commands are those of the page, which are run",
}

# (page, how the block begins): what it is, since it is no program
SHOWN = {
    ("README.md", "events (CloudEvents)"): "a drawing",
    ("docs/architecture.md", "line ──validate"): "a drawing",
    ("docs/operations.md", "customer-events ──"): "a drawing",
    ("docs/simulate.md", "travel/refunds"): "how changes are worded; tutorial.md shows and runs a diff",
}


class Block(NamedTuple):
    """Something on a page that looks like it could be run."""

    page: str
    kind: str
    text: str

    def among(self, table: dict[tuple[str, str], str]) -> str | None:
        """What a table says of it: under its page, by its beginning."""
        return next((told for (page, start), told in table.items() if self.begins(page, start)), None)

    def begins(self, page: str, start: str) -> bool:
        return self.page == page and self.text.startswith(start)


@cache
def found() -> tuple[Block, ...]:
    """All blocks of all pages."""
    return tuple(
        Block(str(path.relative_to(ROOT)), kind, text)
        for path in ALL
        for kind, text in blocks(path.read_text("utf-8"))
    )


def is_executed(block: Block) -> bool:
    """Whether a test executes it."""
    walked = ROOT / block.page in PAGES and (block.kind == "console" or "title=" in block.kind)
    of_a_code = Path(block.page).parent.name == "codes" and block.kind.split()[0] in {
        "yaml",
        "json",
        "console",
    }
    return walked or of_a_code or (block.page, block.kind) in ELSEWHERE or block.among(HELD) is not None


def is_shown(block: Block) -> bool:
    """Whether it is the expected text of something, on a page that is walked."""
    return block.among(SHOWN) is not None or (ROOT / block.page in PAGES and block.kind == "text")


def test_every_snippet_is_executed_or_it_is_written_why_not() -> None:
    lost = [
        block for block in found()
        if not (is_executed(block) or block.among(PARSED) is not None or is_shown(block))
    ]  # fmt: skip
    assert lost == [], "nothing executes these: see the module's first lines"


@pytest.mark.parametrize("table", [HELD, PARSED, SHOWN], ids=["held", "parsed", "shown"])
def test_what_is_written_is_still_there(table: dict[tuple[str, str], str]) -> None:
    for page, start in table:
        assert any(block.begins(page, start) for block in found()), (page, start)


def test_who_executes_a_snippet_elsewhere_reads_the_page() -> None:
    tests = {(page, test) for (page, _), (test, _) in ELSEWHERE.items()} | {
        (page, test) for (page, _), test in HELD.items()
    }
    for page, test in tests:
        assert Path(page).name.removesuffix(".md").lower() in (ROOT / test).read_text("utf-8").lower(), (
            page,
            test,
        )


def test_there_are_no_more_of_them_than_that_test_takes() -> None:
    there = Counter((block.page, block.kind) for block in found())
    for key, (_, count) in ELSEWHERE.items():
        assert there[key] == count if count else there[key] > 0, key


def commands_of(block: Block) -> Iterator[list[str]]:
    """The words of each `policyengine` in it, up to where a shell would end it."""
    text = block.text.replace("\\\n", " ")
    if block.kind == "yaml":
        text = "\n".join(
            step["run"]
            for job in yaml.safe_load(text)["jobs"].values()
            for step in job["steps"]
            if "run" in step
        )
    for line in re.findall(r"\bpolicyengine ([^&|>\n]+)", text):
        yield shlex.split(line.partition("  ")[0])


PARSED_COMMANDS = [
    (block.page, words) for block in found() if block.among(PARSED) for words in commands_of(block)
]


@pytest.mark.parametrize(
    ("page", "words"), PARSED_COMMANDS, ids=lambda one: " ".join(one) if isinstance(one, list) else one
)
def test_a_command_that_is_not_run_is_one_with_these_options(page: str, words: list[str]) -> None:
    name, *more = words
    assert name in COMMANDS
    command = load(name)
    while hasattr(command, "commands"):
        command = command.commands[more.pop(0)]
    command.make_context(name, more).close()


def test_what_is_parsed_only_is_as_much_as_that() -> None:
    assert Counter(page for page, _ in PARSED_COMMANDS) == {
        "docs/operations.md": 3,
        "docs/policy-language.md": 4,
        "docs/simulate.md": 5,
    }


def test_what_make_is_told_to_do_it_can() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    told = {
        target
        for path in ALL
        for target in re.findall(r"(?:^ {4}|`)make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert {"demo", "test", "bench", "chaos"} <= told <= targets


def test_every_page_is_looked_at() -> None:
    """A page without a block has nothing to run; these are all that have some."""
    assert {block.page for block in found()} >= {str(path.relative_to(ROOT)) for path in PAGES}
    assert len(found()) > 200
