"""`fmt` and `new`, as whoever writes policies meets them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.commands import Place, call, is_one_clear_line

MESSY = """\
version: 1
policy: 'travel/half-back'   # its name
title: {en: Half back}
owner: care@travel.example
basis: goodwill
effective: {from: 2020-01-01}
rules: [{id: half, on: booking.cancelled, grant: [{kind: notify}]}]
"""
TIDY = """\
policy: travel/half-back  # its name
version: 1
title: {en: Half back}
owner: care@travel.example
basis: goodwill
effective: {from: 2020-01-01}
rules: [{id: half, on: booking.cancelled, grant: [{kind: notify}]}]
"""
REFUND = ("new", "travel/half-back", "--remedy", "refund", "--about", "booking", "--currency", "ILS")
MADE = (*REFUND, "--owner", "care@travel.example", "--starts", "2020-03-01")


@pytest.fixture
def messy(place: Place) -> Path:
    rules = place.folder / "rules"
    rules.mkdir()
    (rules / "half.v1.yaml").write_text(MESSY)
    return rules


class TestFmt:
    def test_it_writes_what_it_can_and_says_so(self, messy: Path) -> None:
        (messy / "bad.v1.yaml").write_text("policy: [")
        result = call("fmt", "rules")
        assert result.code == 1
        assert re.match(r"rules/bad.v1.yaml:1:[0-9]+: PE001 ", result.out)
        assert result.out.endswith("formatted: rules/half.v1.yaml\n")
        assert result.err == "2 files: 1 changed, 1 with errors left alone\n"
        assert (messy / "half.v1.yaml").read_text() == TIDY
        assert (messy / "bad.v1.yaml").read_text() == "policy: ["
        (messy / "bad.v1.yaml").unlink()
        assert call("fmt", POLICYENGINE_RULES="rules").err == "1 files: 0 changed\n"

    def test_check_and_diff_only_look(self, messy: Path) -> None:
        checked = call("fmt", "rules", "--check")
        assert (checked.code, checked.out) == (1, "would be formatted: rules/half.v1.yaml\n")
        shown = call("fmt", "rules", "--diff")
        assert shown.code == 0
        assert "\n-policy: 'travel/half-back'   # its name\n" in shown.out
        assert "\n+policy: travel/half-back  # its name\n" in shown.out
        as_json = call("fmt", "rules", "--check", "--format", "json")
        assert (as_json.code, as_json.json) == (
            1,
            {"files": 1, "changed": ["rules/half.v1.yaml"], "findings": []},
        )
        assert (messy / "half.v1.yaml").read_text() == MESSY

    def test_a_file_keeps_its_permissions_and_a_link_stays_one(self, messy: Path) -> None:
        (messy / "half.v1.yaml").chmod(0o640)
        (messy / "link.yaml").symlink_to("half.v1.yaml")
        assert call("fmt", "rules/link.yaml").code == 0
        assert (messy / "half.v1.yaml").read_text() == TIDY
        assert (messy / "half.v1.yaml").stat().st_mode & 0o777 == 0o640
        assert (messy / "link.yaml").is_symlink()
        assert sorted(path.name for path in messy.iterdir()) == ["half.v1.yaml", "link.yaml"]

    def test_standard_input_goes_to_standard_output(self) -> None:
        assert call("fmt", "-", stdin=MESSY.encode()).out == TIDY
        cases = call("fmt", "-", stdin=b"cases: \r\n- {expect: none, name: a}")
        assert (cases.code, cases.out) == (0, "cases:\n  - {name: a, expect: none}\n")
        faulty = call("fmt", "-", stdin=b"policy: [")
        assert (faulty.code, faulty.out) == (1, "")
        assert re.match(r"-:1:[0-9]+: PE001 ", faulty.err)
        assert call("fmt", "-", "--check", stdin=MESSY.encode()).code == 1

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("nowhere",), "nowhere does not exist"),
            (("empty",), "empty holds no policy"),
            (("-", "empty"), "`-` stands alone"),
            ((), "nothing to format: name a folder or a file, or set POLICYENGINE_RULES"),
        ],
    )
    def test_what_cannot_be_done_is_told_in_a_line(
        self, place: Place, arguments: tuple[str, ...], words: str
    ) -> None:
        (place.folder / "empty").mkdir()
        assert is_one_clear_line(call("fmt", *arguments), 2, words)


class TestNew:
    def test_what_is_written_checks_and_passes_at_once(self, place: Place) -> None:
        result = call(*MADE)
        assert (result.code, result.out) == (
            0,
            "written: rules/travel/half-back.v1.yaml\nwritten: rules/travel/half-back.cases.yaml\n",
        )
        assert "policyengine check rules; policyengine test rules" in result.err
        assert "policyengine schema export --out schemas" in result.err
        for command in (("check", "rules", "--strict"), ("test", "rules"), ("fmt", "--check", "rules")):
            assert call(*command).code == 0, command
        assert call("schema", "export", "--out", "schemas").code == 0
        text = (place.folder / "rules/travel/half-back.v1.yaml").read_text()
        assert text.startswith("# yaml-language-server: $schema=../../schemas/policy.schema.json\n")
        assert (place.folder / "rules/travel/../../schemas/policy.schema.json").is_file()

    def test_nothing_is_overwritten(self, place: Place) -> None:
        assert call(*MADE, "--format", "json").json == {
            "written": ["rules/travel/half-back.v1.yaml", "rules/travel/half-back.cases.yaml"]
        }
        policy, cases = (
            place.folder / "rules/travel" / f"half-back.{end}" for end in ("v1.yaml", "cases.yaml")
        )
        cases.write_text("mine")
        assert is_one_clear_line(call(*MADE), 2, "half-back.v1.yaml is there already")
        policy.unlink()
        assert is_one_clear_line(call(*MADE), 2, "half-back.cases.yaml is there already")
        assert (policy.exists(), cases.read_text()) == (False, "mine")

    def test_the_next_version_stands_beside_the_first(self, place: Place) -> None:
        assert call(*MADE).code == 0
        old = place.folder / "rules/travel/half-back.v1.yaml"
        next_one = ("new", "--from", "rules/travel/half-back.v1.yaml")
        assert is_one_clear_line(call(*next_one), 2, "version 1 has no end")
        old.write_text(old.read_text().replace("from: 2020-03-01", "from: 2020-03-01, until: 2020-07-01"))
        result = call(*next_one)
        assert (result.code, result.out) == (0, "written: rules/travel/half-back.v2.yaml\n")
        assert call("check", "rules", "--strict").code == 0
        assert call("test", "rules").code == 0

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((), "still to be said: NAME, --remedy (block_charge, "),
            (("a/b", "--remedy", "refund"), "--about (booking, event_booking, "),
            (("a/b", "--remedy", "refund", "--about", "booking"), "still to be said: --currency, --owner;"),
            (("a/b", "--remedy", "refnd"), "--remedy: `refnd` is not known; did you mean `refund`?"),
            (("a/b", "--remedy", "refund", "--about", "loan"), "--about: `loan` is not known"),
            (("a/b", "--remedy", "deny", "--about", "loan"), "leave --about out"),
            (("Half back",), "`Half back` cannot be the name of a policy"),
            (("../out",), "`../out` cannot be the name of a policy"),
            ((*REFUND[1:-1], "NIS"), "unknown currency `NIS`; did you mean `ILS`?"),
            ((*MADE[1:-1], "31/02/2020"), "`31/02/2020` is no day; write one such as 2020-03-15"),
            ((*MADE[1:], "--timezone", "Jerusalem"), "unknown time zone `Jerusalem`"),
            ((*MADE[1:], "--basis", "statutory"), "a statutory policy names its law: add --cites"),
            (("a/b", "--from", "x.yaml"), "leave out NAME"),
            (("--from", "x.yaml"), "x.yaml cannot be read"),
        ],
    )
    def test_what_is_missing_or_wrong_is_told_in_a_line(
        self, place: Place, arguments: tuple[str, ...], words: str
    ) -> None:
        assert is_one_clear_line(call("new", *arguments), 2, words)
        assert not (place.folder / "rules").exists()


class TestSchemaOfOnesOwn:
    def test_editors_know_a_catalogue_of_ones_own(self, place: Place) -> None:
        own = place.folder / "own" / "events"
        own.mkdir(parents=True)
        (own / "pool.closed.json").write_text(
            '{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pool.closed", '
            '"description": "the pool is closed", "type": "object", "properties": {"pool": '
            '{"type": "string", "description": "which one"}}, "required": ["pool"]}'
        )
        assert is_one_clear_line(call("schema", "export", "--schemas", "own"), 2, "add --out DIR")
        assert call("schema", "export", "--schemas", "own", "--out", "schemas").code == 0
        for name in ("policy.schema.json", "cases.schema.json"):
            assert '"pool.closed"' in (place.folder / "schemas" / name).read_text()
        assert "### `pool.closed`" in call("catalog", "--schemas", "own", "--format", "markdown").out
        assert is_one_clear_line(call("catalog", "booking", "--format", "markdown"), 2, "leave the name out")
