"""A folder of policies loads whole, or every fault of every file is told with its place and a hint."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.authoring.load import load_policies, read_policies, read_policy
from policyengine.engine.faults import Fault
from policyengine.errors import PolicyError, UsageError

SOUND = """\
policy: airline/points-kept
version: 1
title: {en: Points kept}
owner: loyalty@airline.example
basis: goodwill
effective: {from: 2020-03-15}
rules:
  - id: keep
    on: membership.ended
    when:
      - membership.points > 0
    grant:
      - kind: points.extend
        until: add_months(membership.ends_on, 6)
"""


def texts_of(source: str) -> list[str]:
    _, findings = read_policy(source.encode(), "x.yaml")
    return [str(finding).removeprefix("x.yaml:") for finding in findings]


def changed(old: str, new: str) -> list[str]:
    assert old in SOUND
    return texts_of(SOUND.replace(old, new))


def test_a_sound_file_loads() -> None:
    loaded, findings = read_policy(SOUND.encode(), "x.yaml")
    assert findings == []
    assert loaded is not None
    assert loaded.policy.rules[0].event_types == ("membership.ended",)
    assert loaded.policy.effective.from_ == date(2020, 3, 15)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("owner:", "ownr:", ["1:1: PE004 `owner` is missing; who answers for it", "4:1: PE002 unknown key `ownr`; did you mean `owner`?"]),
        ("version: 1", 'version: "1"', ["2:10: PE003 expected a whole number, got text; write 1, without quotes"]),
        ("version: 1", "version: true", ["2:10: PE003 expected a whole number, got true or false; write digits only, without quotes"]),
        ("version: 1", "version:", ["2:1: PE003 `version` has no value; write one, or remove the line"]),
        ("goodwill", "godwill", ["5:8: PE003 `godwill` is not one of statutory, contractual, goodwill; did you mean `goodwill`?"]),
        ("{from: 2020-03-15}", "{from_: 2020-03-15}", ["6:12: PE004 `from` is missing; first day or moment on which this version governs", "6:13: PE002 unknown key `from_`; did you mean `from`?"]),
        ("rules:", "retroactive: {since: 2020-03-01}\nrules:", ["7:14: PE004 `from` is missing", "7:15: PE002 unknown key `since`; keys are from"]),
        ("rules:", "staff_first: {hours: 4, days: 3}\nrules:", ["7:25: PE002 unknown key `days`; keys are hours"]),
        ("    when:", "    follow_up:\n      - {on: 2020-05-01, event: booking.completed}\n    when:", ["11:9: PE004 `at` is missing", "11:10: PE002 unknown key `on`; keys are at, event, data"]),
        ("2020-03-15", "15.3.2020", ["6:19: PE003 `15.3.2020` is no date or time; write 2020-03-15"]),
        ("2020-03-15", "2020-02-30", ["6:19: PE003 `2020-02-30` is no date of the calendar; there is no 30 February 2020: the last day of that month is 2020-02-29"]),
        ("points.extend", "points.extnd", ["13:15: PE003 unknown remedy kind `points.extnd`; did you mean `points.extend`?"]),
        ("        until:", "        untl:", ["13:9: PE004 `until` is missing; last day on which the points are valid", "14:9: PE002 `points.extend` has no field `untl`; did you mean `until`? Its fields are note, kind, until"]),
        ("kind: points.extend", "knd: points.extend", ["13:9: PE004 `kind` is missing; kinds are"]),
        ("keep", "keep points", ["8:9: PE003 `keep points` cannot stand here; write small letters, digits, `-`, `_` and `.`"]),
        ("{en: Points kept}", "{xx: Points kept}", ["3:9: PE003 unknown language `xx`; write a code such as en or he"]),
        ("rules:", "timezone: Asia/Jerusalm\nrules:", ["7:11: PE003 unknown time zone `Asia/Jerusalm`; did you mean `Asia/Jerusalem`?"]),
        ("rules:", "shadow: yes\nrules:", ["7:9: PE003 expected true or false, got text; write true, without quotes"]),
        ("rules:", "announced: 20200320\nrules:", ["7:12: PE003 `20200320` is no date; write 2020-03-20"]),
        ("rules:", "cap: {per: entity}\nrules:", ["7:6: PE003 a cap has either `count` or `amount`; write one of the two"]),
        ("rules:", "cap: {count: 1, period: 3 weeks}\nrules:", ["7:25: PE003 `3 weeks` cannot stand here; write ever, year, month, week, day, or a number of days such as `30 days`"]),
        ("rules:", "enforced: {from: 2020-05-01, until: 2020-05-01}\nrules:", ["7:37: PE053 `until` is not after `from`: it would never be enforced; the window is half-open: [from, until)"]),
        ("rules:", "parameters: {a: {}}\nrules:", ["7:17: PE003 nothing is written here; write at least one"]),
        ("rules:", "parameters: {a: {soon: 3}}\nrules:", ["7:18: PE003 `soon` is no date; write year-month-day, such as 2020-03-15"]),
        ("    grant:", "    deny: {reason: no}\n    grant:", ["12:11: PE003 a rule that denies cannot also grant or offer; write two rules"]),
        ("kind: points.extend", "kind: refund\n        amount: 100", ['14:17: PE003 an amount of money needs its currency; write money("100 ILS"), or booking.paid', "15:9: PE002 `refund` has no field `until`"]),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_place_code_and_hint(old: str, new: str, expected: list[str]) -> None:
    found = changed(old, new)
    assert len(found) == len(expected), found
    for text, start in zip(found, expected, strict=True):
        assert text.startswith(start)


def test_a_file_that_is_no_mapping_is_told_so() -> None:
    assert texts_of("- a\n") == [
        "1:1: PE003 a policy file holds `key: value` lines; begin with `policy: name/of-it`; `policyengine new` writes one to start from"
    ]


OFFER = """\
    offer:
      default: {default}
      deadline: 2020-12-31
      alternatives:
        - id: voucher
          grant: [{{kind: voucher, amount: booking.paid}}]
        - id: money
          grant: [{{kind: refund, amount: booking.paid}}]
"""


@pytest.mark.parametrize(
    ("basis", "default", "findings"),
    [
        ("statutory", "voucher", 1),
        ("statutory", "money", 0),
        ("goodwill", "voucher", 0),
    ],
)
def test_silence_never_turns_statutory_money_into_a_voucher(basis: str, default: str, findings: int) -> None:
    head, _, _ = SOUND.partition("    grant:")
    source = head.replace("goodwill", basis) + OFFER.format(default=default)
    found = texts_of(source)
    assert len(found) == findings
    for text in found:
        assert text.startswith("13:16: PE052 a voucher never replaces statutory money")


def test_two_rules_with_one_id_are_an_error_at_the_second() -> None:
    twice = SOUND + SOUND.partition("rules:\n")[2]
    assert texts_of(twice) == ["15:9: PE006 two rules have the id `keep`; rename one"]


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SOUND.replace("owner", "ownr"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.yaml").write_text("a: *x")
    (tmp_path / "c.yaml").write_text(SOUND)
    (tmp_path / "d.yaml").write_text(SOUND)
    (tmp_path / "e.yml").write_text(SOUND)
    (tmp_path / "c.cases.yaml").write_text("not: a policy")
    with pytest.raises(PolicyError) as caught:
        load_policies(tmp_path)
    found = [(Path(finding.file).name, finding.line, finding.code) for finding in caught.value.findings]
    assert found == [
        ("a.yaml", 1, "PE004"),
        ("a.yaml", 4, "PE002"),
        ("d.yaml", 2, "PE056"),
        ("b.yaml", 1, "PE005"),
        ("e.yml", 0, "PE003"),
    ]


def test_sound_policies_come_back_beside_the_faults_of_others(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(SOUND)
    (tmp_path / "a.yaml").write_text(SOUND.replace("version: 1", "version: x"))
    folder = read_policies(tmp_path)
    assert [policy.version for policy in folder.models] == [1]
    assert len(folder.findings) == 1


def test_a_missing_folder_and_a_file_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_policies(tmp_path / "nowhere")
    (tmp_path / "x.yaml").write_text(SOUND)
    with pytest.raises(UsageError):
        load_policies(tmp_path / "x.yaml")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="holds no policy"):
        load_policies(tmp_path)


def test_the_compilers_faults_get_their_places(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(SOUND)
    folder = load_policies(tmp_path)
    fault = Fault(0, ("rules", 0, "when", 0), 11, "PE031", "unknown attribute `membership.points`")
    # `      - membership.points > 0`: the text starts in column 9, its twelfth character is in column 20
    assert [(f.line, f.column) for f in folder.findings_of([fault])] == [(11, 20)]


TABLE = """\
    table:
      columns:
        - {when: flight.km, type: integer}
        - {set: amount, type: money}
      rows: |
        <= 1500 | 250 EUR
        > 1500  | = bad
"""


def test_a_fault_in_a_cell_of_a_text_table_has_its_place() -> None:
    head, grant, tail = SOUND.partition("    grant:")
    loaded, findings = read_policy((head + TABLE + grant + tail).encode(), "x.yaml")
    assert findings == []
    assert loaded is not None
    # line 18 is `        > 1500  | = bad`: `=` stands in column 19
    assert loaded.locate(("rules", 0, "table", "rows", 1, 1), 2) == (18, 21)
    assert loaded.locate(("rules", 0, "table", "rows", 1, 0)) == (18, 9)
    assert loaded.locate(("rules", 0, "table", "rows", 0)) == (17, 9)


KEYS = st.sampled_from(
    ["policy", "version", "effective", "from", "rules", "id", "on", "grant", "kind", "refund", "amount", "table",
     "columns", "when", "rows", "parameters", "decimal", "date", "offer", "alternatives", "cap", "say", "en"]
)  # fmt: skip
SCALARS = st.sampled_from([1, True, "x", "refund", "2020-03-15", "7.5", "~", '""', "booking.paid"])
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def flow(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {flow(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(flow, tree)) + "]"
    return str(tree).lower()


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=6), TREES)
def test_any_structure_gives_findings_never_a_traceback(tree: dict[str, Any], rules: Any) -> None:
    source = flow({**tree, "rules": [rules]})
    loaded, findings = read_policy(source.encode(), "x.yaml")
    assert loaded is None
    assert findings
    assert all(finding.line >= 1 for finding in findings)
