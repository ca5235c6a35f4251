"""Whoever knows refunds and not Python is told what to write instead, at the place where it is."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.authoring.check import examine
from policyengine.domain.money import Money
from policyengine.domain.said import date_said, money_said, number_said
from policyengine.service.policy_sets import prepare
from tests.authoring.mistakes import MISTAKES, SOUND
from tests.support import catalogue


def found(folder: Path, raw: bytes) -> list[str]:
    """Findings as `line:column: CODE message; hint`."""
    file = folder / "p.yaml"
    file.write_bytes(raw)
    checked = examine([file], catalogue(), prepare, date(2020, 4, 1))
    if checked.prepared is not None:
        checked.prepared.ruleset.close()
    return [str(one).removeprefix(f"{file.as_posix()}:") for one in checked.findings]


def test_the_file_without_mistakes_is_sound(tmp_path: Path) -> None:
    assert found(tmp_path, SOUND.encode()) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_each_mistake_is_told_with_what_to_write_instead(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    assert old in SOUND
    assert found(tmp_path, SOUND.replace(old, new, 1).encode()) == expected


def test_there_are_at_least_forty_and_each_hint_says_what_to_do() -> None:
    assert len(MISTAKES) >= 40
    for name, _, _, expected in MISTAKES:
        for text in expected:
            assert re.fullmatch(r"\d+:\d+: PE\d{3} .+; .+", text, re.DOTALL), (name, text)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\xef\xbb\xbf" + SOUND.encode(), []),  # a byte order mark, as Notepad writes it
        (SOUND.replace("\n", "\r\n").encode(), []),
        (SOUND.replace("\n", "\r").encode(), []),
        (SOUND.encode("utf-16"), ["1:1: PE005 the file is saved as UTF-16 (Notepad calls it Unicode); save it as UTF-8"]),
        (SOUND.encode("cp1255"), ["3:1: PE005 the file is not saved as UTF-8; save it again with the encoding UTF-8"]),
    ],
    ids=["bom", "crlf", "cr", "utf-16", "windows-1255"],
)  # fmt: skip
def test_what_editors_do_to_files(tmp_path: Path, raw: bytes, expected: list[str]) -> None:
    assert found(tmp_path, raw) == expected


@pytest.mark.parametrize("mark", ["\u200f", "\u200e", "\xa0"])
def test_marks_that_steer_the_direction_may_stand_in_messages(tmp_path: Path, mark: str) -> None:
    """In what people read they have their meaning; a comment is nobody's business."""
    text = SOUND.replace("נחזיר", f"נחזיר{mark}").replace("version: 1", f"version: 1  # first{mark}")
    assert found(tmp_path, text.encode()) == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("20/03/2020", date(2020, 3, 20)),
        ("3.12.2020", date(2020, 12, 3)),  # the day comes first
        ("03/20/2020", date(2020, 3, 20)),  # there is no 20th month
        ("2020/3/20", date(2020, 3, 20)),
        ("20200320", date(2020, 3, 20)),
        ("20 March 2020", date(2020, 3, 20)),
        ("March 20, 2020", date(2020, 3, 20)),
        ("20th Mar 2020", date(2020, 3, 20)),
        ("20 במרץ 2020", date(2020, 3, 20)),
        ("2020–03–20", date(2020, 3, 20)),  # noqa: RUF001
        ("٢٠٢٠-٠٣-٢٠", date(2020, 3, 20)),
        ("31/02/2020", None),
        ("soon", None),
    ],
)
def test_dates_are_understood_as_they_are_said(said: str, meant: date | None) -> None:
    assert date_said(said) == meant


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"[0-9.,/ -]{1,12}", fullmatch=True))
def test_whatever_is_said_a_hint_is_right_or_not_there(said: str) -> None:
    date_said(said)
    number = number_said(said)
    assert number is None or re.fullmatch(r"-?\d+(\.\d+)?", number, re.ASCII)
    money = money_said(said)
    assert money is None or Money.literal(money)
