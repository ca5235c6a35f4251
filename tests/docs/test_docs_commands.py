"""Commands that a page shows without what they print: each does what it is shown for."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.walk import ROOT, Command, Shown, run, steps

EDITOR = (ROOT / "docs" / "editor.md").read_text("utf-8")
SIMULATE = (ROOT / "docs" / "simulate.md").read_text("utf-8")


def commands(page: str) -> Iterator[str]:
    """Those in fences, in order."""
    for step in steps(page):
        if isinstance(step, Command):
            yield step.line
        elif isinstance(step, Shown) and step.kind == "sh":
            yield from step.text.splitlines()


def succeed(*lines: str, folder: Path) -> None:
    for line in lines:
        printed, code = run(line, folder)
        assert code == 0, f"$ {line}\n{printed}"


def test_the_editors_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One policy, written by its first command at the beginning of a year."""
    monkeypatch.chdir(tmp_path)
    first, *others = commands(EDITOR)
    succeed(f"{first} --starts 2020-01-01", folder=tmp_path)
    (tmp_path / "our-types" / "events").mkdir(parents=True)
    shutil.copy("rules/travel/half-back.v1.yaml", "draft.yaml")
    succeed(*others, folder=tmp_path)
    assert len(others) == 13
    assert Path("schemas/policy.schema.json").exists()


def test_the_page_of_simulate_and_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder under git with two states of its rules, and a ledger of a small year."""
    monkeypatch.chdir(tmp_path)
    git = "git -c user.name=a -c user.email=a@b.example"
    succeed(
        "policyengine new travel/half-back --remedy refund --about booking --currency ILS"
        " --owner care@travel.example --starts 2020-01-01",
        "policyengine simulate-stream --customers 20 --seed 7 --out events.jsonl",
        "policyengine run --rules rules --events events.jsonl",
        f"git init -q . && git add rules && {git} commit -qm one",
        "cp -r rules new-rules && sed -i 's/refund_percent: 50/refund_percent: 60/' new-rules/travel/half-back.v1.yaml",
        f"{git} commit -q --allow-empty -m two",
        folder=tmp_path,
    )
    found = list(commands(SIMULATE))
    assert [line.split()[1] for line in found] == ["simulate", "diff", "diff"]
    succeed(*found, folder=tmp_path)
    assert Path("report.html").exists()
    assert {path.suffix for path in Path("tables").iterdir()} == {".csv", ".parquet"}


def test_the_page_of_publishing_names_commands_as_they_are(tmp_path: Path) -> None:
    """Its way from end to end is docs/how-to/publish.md, which is walked; here, that its commands parse."""
    page = (ROOT / "docs" / "publishing.md").read_text("utf-8")
    found = re.findall(r"^ {4,}(policyengine .+)$", page, re.MULTILINE)
    assert len(found) >= 10
    for line in found:
        printed, code = run(f"{line} --help", tmp_path)
        assert code == 0, printed
