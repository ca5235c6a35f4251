"""YAML files are read strictly, with the place of everything, and never with a traceback."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.authoring.yaml_source import Document, read_yaml


def read(text: str | bytes) -> Document:
    raw = text.encode() if isinstance(text, str) else text
    document, findings = read_yaml(raw, "x.yaml")
    assert findings == []
    assert document is not None
    return document


def fault(text: str | bytes) -> tuple[int, int, str]:
    raw = text.encode() if isinstance(text, str) else text
    _, findings = read_yaml(raw, "x.yaml")
    assert len(findings) == 1, findings
    assert findings[0].message
    return findings[0].line, findings[0].column, findings[0].code


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("7.50", Decimal("7.50")),
        ("0.1", Decimal("0.1")),
        ("true", True),
        ("no", "no"),
        ("on", "on"),
        ("~", None),
        ("2020-03-15", date(2020, 3, 15)),
        ("2020-03-15T08:00:00Z", datetime(2020, 3, 15, 8, tzinfo=UTC)),
        ("2020-03-15 08:00", datetime(2020, 3, 15, 8)),  # noqa: DTZ001 - a wall-clock time of the policy's zone
        ("007", "007"),
        ("1e5", "1e5"),
        (".inf", ".inf"),
        ("'12'", "12"),
        ('"2020-03-15"', "2020-03-15"),
        ("١٢", "١٢"),
        ("9007199254740991", 2**53 - 1),
    ],
)
def test_a_plain_scalar_gets_the_type_that_it_looks_like(plain: str, value: Any) -> None:
    found = read(f"a: {plain}").data["a"]
    assert (found, type(found)) == (value, type(value))


def test_decimals_keep_their_digits() -> None:
    assert str(read("a: 7.50").data["a"]) == "7.50"


def test_date_keys_are_dates_and_other_keys_are_text() -> None:
    assert read("2020-03-15: 1\n5: 2\ntrue: 3").data == {date(2020, 3, 15): 1, "5": 2, "true": 3}


def test_every_value_and_key_has_its_line_and_column() -> None:
    document = read("rules:\n  - id: a\n    when:\n      - x > 1\n      - y\n")
    assert document.position(("rules", 0, "when", 1)) == (5, 9)
    assert document.position(("rules", 0, "id")) == (2, 9)
    assert document.key_position(("rules", 0, "id")) == (2, 5)
    assert document.position(("rules", 0, "nowhere", "deeper")) == (2, 5)


@pytest.mark.parametrize(
    ("text", "needle", "place"),
    [
        ("a: one two", "two", (1, 8)),
        ("a: one\n  two three", "three", (2, 7)),
        ("a: one\n\n  two", "two", (3, 3)),
        ('a: "x \\" two"', "two", (1, 10)),
        ('a: "\\u05d0 two"', "two", (1, 12)),
        ('a: "one \\\n  two"', "two", (2, 3)),
        ("a: 'it''s two'", "two", (1, 11)),
        ("a: |\n  one\n  two\n", "two", (3, 3)),
        ("a: |-\n  one\n    two", "two", (3, 5)),
        ("a: >\n  one\n  two\n\n  three\n", "three", (5, 3)),
        ("a: >-\n  one\n  two three", "three", (3, 7)),
        ("a: שלום two", "two", (1, 9)),
        ("a: 😀 two", "two", (1, 6)),
        ("b: 1\r\na: one\r\n  two", "two", (3, 3)),
    ],
)
def test_an_offset_in_a_text_is_found_in_the_file(text: str, needle: str, place: tuple[int, int]) -> None:
    document = read(text)
    assert document.position(("a",), document.data["a"].index(needle)) == place


def test_an_offset_behind_the_text_is_the_place_after_its_last_character() -> None:
    assert read("a: one").position(("a",), 3) == (1, 7)
    assert read("a: one").position(("a",), 99) == (1, 7)


BILLION_LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (BILLION_LAUGHS, (1, 4, "PE005")),
        ("a: *b", (1, 4, "PE005")),
        ("a: !!python/object:os.system x", (1, 4, "PE005")),
        ("a: !x [1]", (1, 4, "PE005")),
        ("%YAML 1.1\n---\na: no", (2, 1, "PE005")),
        ("a: 1\n---\nb: 2", (2, 1, "PE005")),
        ("[" * 51 + "]" * 51, (1, 51, "PE005")),
        ("- " * 60 + "x", (1, 101, "PE005")),
        ("? [a, b]\n: 1", (1, 3, "PE005")),
        ("a: b\x00c", (1, 1, "PE005")),
        ("x: 1\na: \x1b[31m", (2, 1, "PE005")),
        (b"a: 1\nb: \xff", (2, 1, "PE005")),
        ("a: 1".encode("utf-16"), (1, 1, "PE005")),
        (b"#" * (1024 * 1024 + 1), (0, 0, "PE005")),
        ("a: 1\nb: 2\na: 3", (3, 1, "PE006")),
        ("a:\n\t- b", (2, 1, "PE001")),
        ("a: 'x", (1, 4, "PE001")),
        ("a: b: c", (1, 5, "PE001")),
        ("a: [1, 2", (1, 4, "PE001")),
        ("a: 1\n b: 2", (2, 3, "PE001")),
        ("a: >= 5", (1, 5, "PE001")),
        ("", (0, 0, "PE001")),
        ("# only words", (0, 0, "PE001")),
        ("a: 2020-02-30", (1, 4, "PE003")),
        ("a: 9007199254740992", (1, 4, "PE003")),
        ("a: " + "9" * 5000, (1, 4, "PE003")),
    ],
)
def test_what_is_refused_is_refused_at_its_place(text: str | bytes, place: tuple[int, int, str]) -> None:
    assert fault(text) == place


def test_the_first_of_two_equal_keys_stays_and_reading_goes_on() -> None:
    document, findings = read_yaml(b"a: 1\na: {b: 2}\nc: 3\na: 4\n", "x.yaml")
    assert document is not None
    assert document.data == {"a": 1, "c": 3}
    assert [(finding.line, finding.code) for finding in findings] == [(2, "PE006"), (4, "PE006")]


def test_a_file_of_nothing_but_faults_is_not_read_to_its_end() -> None:
    document, findings = read_yaml(b"a: 1\n" * 1000, "x.yaml")
    assert document is None
    # the first `a` is sound; a hundred repeat it, in lines 2 to 101; then the value in line 101 is too much
    assert [finding.line for finding in findings[:100]] == list(range(2, 102))
    assert (findings[100].line, findings[100].code) == (101, "PE005")
    assert len(findings) == 101


def test_a_file_with_very_many_values_is_refused() -> None:
    # the list is the first value, so that the 50,001st value is its 50,000th item
    assert fault("- a\n" * 60_000) == (50_000, 3, "PE005")


def test_a_byte_order_mark_and_windows_line_ends_are_harmless() -> None:
    assert read("\ufeffa: 1\r\nb: 2\r\n".encode()).data == {"a": 1, "b": 2}


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab1:-[]{}\"'|>#&*!%?,. \n\t~\\\r@`=<\u05d0")) | st.text())
def test_any_text_gives_data_or_findings(text: str) -> None:
    document, findings = read_yaml(text.encode("utf-8", "surrogatepass"), "x.yaml")
    assert document is not None or findings
    for finding in findings:
        assert 0 <= finding.line <= text.count("\n") + text.count("\r") + 2
        assert finding.code in {"PE001", "PE003", "PE005", "PE006"}
    if document is not None:
        for path in document.places:
            document.position(path)
            document.position(path, 2)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_data_or_findings(raw: bytes) -> None:
    document, findings = read_yaml(raw, "x.yaml")
    assert document is not None or findings


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(alphabet="ab \"'\\#é\u05d0", min_size=1, max_size=8), min_size=1, max_size=3),
    st.sampled_from(["'", '"', "|"]),
)
def test_quoted_and_block_texts_are_mapped_character_by_character(words: list[str], style: str) -> None:
    if style == "|":
        text = "".join(f"x{word}\n" for word in words)
        source = "a: |\n" + "".join(f"  x{word}\n" for word in words)
    else:
        text = "x" + "x".join(words) + "x"
        inner = text.replace("'", "''") if style == "'" else text.replace("\\", "\\\\").replace('"', '\\"')
        source = f"a: {style}{inner}{style}\n"
    document = read(source)
    assert document.data["a"] == text
    lines = source.split("\n")
    for offset, char in enumerate(text):
        line, column = document.position(("a",), offset)
        found = (lines[line - 1] + "\n")[column - 1]
        assert found == char or (found == "\\" and char in '\\"')
