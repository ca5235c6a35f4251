"""Commands that a page shows without what they print: each does what it is shown for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import call
from tests.docs.walk import ROOT, Command, Shown, blocks, run, steps

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


LIVE = """\
policy: airline/flight-topup
version: 1
title: {en: On top}
owner: care@airline.example
basis: goodwill
effective: {from: 2020-03-01}
currency: EUR
rules:
  - id: a-tenth-on-top
    on: flight.cancelled
    grant:
      - {kind: credit, amount: "percent(flight_booking.price, %d)", valid_until: "add_months(date_of(event.time), 24)"}
"""


def test_the_smallest_case_that_is_shown_holds_under_one_policy_and_not_under_the_other(
    tmp_path: Path,
) -> None:
    """1812.00 x 120 % = 2174.40; under 110 % it fails, as the page says."""
    shown = next(text for kind, text in blocks(SIMULATE) if kind == "yaml" and text.startswith("  - name: "))
    (tmp_path / "topup.cases.yaml").write_text(
        f"policy: airline/flight-topup\ncases:\n{shown}", encoding="utf-8"
    )
    for percent, code in ((120, 0), (110, 1)):
        (tmp_path / "topup.yaml").write_text(LIVE % percent, encoding="utf-8")
        result = call("test", tmp_path)
        assert result.code == code, result


def test_a_policy_begins_with_the_line_that_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = next(text for kind, text in blocks(EDITOR) if kind == "indented")
    succeed(next(commands(EDITOR)), folder=tmp_path)
    assert Path("rules/travel/half-back.v1.yaml").read_text("utf-8").startswith(line)
