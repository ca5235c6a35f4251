"""Whichever reader is taken, a file means the same, and its parts stand in the same places."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policyengine.authoring.yaml_events import (
    Event,
    OtherwiseError,
    end_of,
    quick_events,
    start_of,
    strict_events,
)
from policyengine.authoring.yaml_source import read_yaml
from policyengine.bootstrap import shipped_rules

PARTS = [
    *"ab1:-[]{}\"'|>#&*!%?,. \n~\\@`=<\u05d0",
    "\n  ",
    "\n- ",
    ": ",
    "a: b\n",
    '  - "x"\n',
    "|\n  ",
    " # c\n",
    "\U0001f600",
]


def seen(event: Event) -> tuple[Any, ...]:
    name = type(event).__name__
    style = getattr(event, "style", None) or ""
    return name, start_of(event), end_of(event), getattr(event, "value", None), style


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
@example("*a: b")
@example("|# c\n a\n")
@example("a: \n")
@example("a: |\n  b\nc: >-\n  d\n")
def test_what_the_quick_reader_takes_the_strict_one_reads_alike(text: str) -> None:
    with suppress(OtherwiseError):
        assert [seen(one) for one in quick_events(text)] == [seen(one) for one in strict_events(text)]


@pytest.mark.parametrize(
    "text",
    ["a: [", "a:\tb", "&a b", "*a", "!!str a", "%YAML 1.2\n---\na", "a:", "a: | # c\n  b\n"],
)
def test_what_might_be_read_otherwise_is_left_to_the_strict_reader(text: str) -> None:
    with pytest.raises(OtherwiseError):
        list(quick_events(text))


def test_the_shipped_files_are_read_quickly_and_alike() -> None:
    for file in sorted(Path(shipped_rules()).rglob("*.yaml"))[::7]:
        text = file.read_text(encoding="utf-8")
        assert [seen(one) for one in quick_events(text)] == [seen(one) for one in strict_events(text)]


def test_without_libyaml_everything_is_read_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_yaml(b"a: [1, 2]\n", "x.yaml")
    monkeypatch.delattr("yaml.CSafeLoader")
    assert read_yaml(b"a: [1, 2]\n", "x.yaml") == expected
