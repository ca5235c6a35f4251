"""Policies from templates: each remedy there is, sound, tested, in form, whatever is chosen; next versions."""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.cases import run_cases
from policyengine.authoring.check import check_folder, examine
from policyengine.authoring.format_files import format_file
from policyengine.authoring.load import read_policy
from policyengine.authoring.new_policy import Wishes, subjects, templates, written
from policyengine.authoring.new_version import next_version
from policyengine.bootstrap import case_engine
from policyengine.domain.remedies import REMEDY_KINDS
from policyengine.errors import PolicyError, UsageError
from policyengine.service.policy_sets import prepare

CATALOGUE = load_catalogue([shipped_schemas()])
CURRENCIES = ("ILS", "EUR", "JPY", "KWD")  # two decimals, none, three
ZONES = ("Asia/Jerusalem", "America/Los_Angeles", "Pacific/Kiritimati")
STARTS = (date(2020, 3, 1), date(2024, 1, 31), date(2019, 8, 31), date(2099, 12, 31))


def wishes(name: str, about: str | None, number: int) -> Wishes:
    return Wishes(
        policy=f"made/{name}-{number}",
        owner='care: "us", it\'s #1',
        basis=("goodwill", "contractual", "statutory")[number % 3],
        starts=STARTS[number % len(STARTS)],
        zone=ZONES[number % len(ZONES)],
        title=None if number % 2 else 'A title: [with] "marks"',
        about=about,
        currency=CURRENCIES[number % len(CURRENCIES)] if templates()[name].money else None,
        cites=("A law, art. 7: text",) if number % 3 == 2 else (),
    )


def choices() -> list[tuple[str, str | None, int]]:
    """Each template with each of its subjects, the currencies in turn; one of them in every currency."""
    pairs = [(name, about) for name, each in templates().items() for about in each.about or (None,)]
    pairs += [("refund", "order")] * len(CURRENCIES)
    return [(name, about, number) for number, (name, about) in enumerate(pairs)]


@cache
def made(name: str, about: str | None, number: int) -> tuple[bytes, bytes]:
    return written(templates()[name], wishes(name, about, number))


class TestTemplates:
    def test_there_is_one_for_each_remedy_and_for_what_else_a_rule_does(self) -> None:
        assert set(templates()) == {*REMEDY_KINDS, "offer", "deny"}
        for name, template in templates().items():
            assert f"kind: {name}\n" in template.rules or name in {"offer", "deny"}
            assert set(template.about) <= set(subjects())

    def test_what_is_written_passes_check_and_test_and_is_in_form(self, tmp_path: Path) -> None:
        for name, about, number in choices():
            policy, cases = made(name, about, number)
            assert format_file(policy, "x.v1.yaml").after == policy
            assert format_file(cases, "x.cases.yaml").after == cases
            (tmp_path / f"{name}-{number}.v1.yaml").write_bytes(policy)
            (tmp_path / f"{name}-{number}.cases.yaml").write_bytes(cases)
        checked = examine([tmp_path], CATALOGUE, prepare, date(2020, 1, 1))
        assert [str(finding) for finding in checked.findings] == []
        report = run_cases(tmp_path, CATALOGUE, case_engine(CATALOGUE))
        assert report.ok, "\n".join(report.lines())
        assert report.passed >= 2 * len(choices())

    def test_each_line_that_a_newcomer_meets_is_explained(self) -> None:
        for name, about, number in choices():
            policy, cases = (file.decode() for file in made(name, about, number))
            assert policy.count("#") >= 6
            assert "@{" not in policy + cases
            assert re.match(r"# yaml-language-server: \$schema=../schemas/policy.schema.json\n", policy)
            assert re.match(r"# yaml-language-server: \$schema=../schemas/cases.schema.json\n", cases)


OLD = """\
# about it
policy: travel/half-back
version: 1
title: {en: Half back}
owner: care@travel.example
basis: goodwill
announced: 2020-01-01
review: 2020-05-01
effective: {from: 2020-01-01, until: 2020-07-01}
currency: ILS
rules:
  # the one rule
  - id: half
    on: booking.cancelled
    grant:
      - {kind: refund, amount: 'percent(booking.paid, 50)'}
"""


class TestNextVersions:
    def test_it_goes_on_where_the_last_one_ends(self, tmp_path: Path) -> None:
        old = tmp_path / "half-back.v1.yaml"
        old.write_text(OLD)
        made = next_version(old, None, date(2020, 6, 1))
        assert made.path == tmp_path / "half-back.v2.yaml"
        text = made.content.decode()
        loaded, findings = read_policy(made.content, "x")
        assert findings == []
        assert loaded is not None
        policy = loaded.policy
        assert (policy.version, policy.effective.from_, policy.effective.until) == (2, date(2020, 7, 1), None)
        assert (policy.announced, policy.review) == (None, None)
        assert "# about it" in text
        assert "  # the one rule\n" in text
        made.path.write_bytes(made.content)
        assert len(check_folder(tmp_path, CATALOGUE, prepare).policies) == 2

    def test_what_has_no_end_needs_a_day_and_a_word(self, tmp_path: Path) -> None:
        old = tmp_path / "half-back.yaml"
        old.write_text(OLD.replace(", until: 2020-07-01", ""))
        with pytest.raises(UsageError, match="has no end: say from when"):
            next_version(old, None, date(2020, 6, 1))
        made = next_version(old, date(2020, 6, 15), date(2020, 6, 1))
        assert made.path.name == "half-back.v2.yaml"
        assert any("write `until: 2020-06-15`" in note for note in made.notes)

    @pytest.mark.parametrize("starts", [date(2019, 12, 31), date(2020, 6, 30)])
    def test_versions_never_overlap(self, tmp_path: Path, starts: date) -> None:
        old = tmp_path / "half-back.v1.yaml"
        old.write_text(OLD)
        with pytest.raises(UsageError, match="governs until 2020-07-01"):
            next_version(old, starts, date(2020, 6, 1))

    def test_staff_first_is_announced_anew(self, tmp_path: Path) -> None:
        old = tmp_path / "half-back.v1.yaml"
        old.write_text(OLD.replace("currency:", "staff_first: {hours: 48}\ncurrency:"))
        loaded, _ = read_policy(next_version(old, None, date(2020, 6, 1)).content, "x")
        assert loaded is not None
        assert loaded.policy.announced == date(2020, 6, 1)

    def test_a_faulty_one_is_told_with_its_place(self, tmp_path: Path) -> None:
        old = tmp_path / "half-back.v1.yaml"
        old.write_text(OLD.replace("basis: goodwill", "basis: kind"))
        with pytest.raises(PolicyError, match=r"half-back.v1.yaml:6:8: PE003"):
            next_version(old, None, date(2020, 6, 1))
