"""Everything that the sources ask for has its row, and what the row names is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML

from policyengine.authoring.load import CASES_SUFFIX
from policyengine.cli.commands import COMMANDS as TABLE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/coverage-of-sources.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
WANTED = [f"S{number:02}" for number in (*range(1, 24), *range(30, 43))]
COMMANDS = frozenset(TABLE)


class Row(NamedTuple):
    """One thing that the sources ask for."""

    name: str
    files: list[str]
    commands: list[str]
    cases: list[str]


def _row(line: str) -> Row:
    name, _source, _asked, where, proof = (cell.strip() for cell in line.strip("|").split(" | "))
    named = re.findall(r"`([^`]+)`", where)
    commands = [text.split()[1] for text in named if text.startswith("policyengine ")]
    return Row(
        name.strip("| "),
        [text for text in named if text.endswith(".yaml")],
        commands,
        re.findall(r'"([^"]+)"', proof),
    )


ROWS = [_row(line) for line in PAGE.splitlines() if re.match(r"\| S\d\d ", line)]


def _cases() -> dict[str, set[str]]:
    """The names of the cases, as written, by the policy file's path without its version."""
    reader = YAML(typ="safe", pure=True)
    found = {}
    for path in sorted((ROOT / "rules").rglob(f"*{CASES_SUFFIX}")):
        raw = reader.load(path.read_text(encoding="utf-8"))
        found[path.relative_to(ROOT).as_posix().removesuffix(CASES_SUFFIX)] = {
            case["name"] for case in raw["cases"]
        }
    return found


CASES = _cases()


def test_every_row_is_there_once_and_in_order() -> None:
    assert [row.name for row in ROWS] == WANTED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_names_what_proves_it(row: Row) -> None:
    assert row.files or row.commands
    assert row.cases


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_its_files_and_commands_are_there(row: Row) -> None:
    assert [file for file in row.files if not (ROOT / file).is_file()] == []
    assert [name for name in row.commands if name not in COMMANDS] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_its_cases_are_there_and_each_policy_has_one_of_them(row: Row) -> None:
    own = {re.sub(r"\.v\d+\.yaml$", "", file) for file in row.files}
    known = set().union(*(CASES[name] for name in own)) if own else set().union(*CASES.values())
    assert [case for case in row.cases if case not in known] == []
    assert [name for name in sorted(own) if CASES[name].isdisjoint(row.cases)] == []


def test_every_pack_is_described() -> None:
    packs = {path.name for path in (ROOT / "rules").iterdir() if path.is_dir()}
    described = set(re.findall(r"^\| \[(\w+)\]\(\.\./rules/\1\)", PAGE, re.MULTILINE))
    assert packs == described
    assert packs <= set(re.findall(r"`(\w+)`", README))
