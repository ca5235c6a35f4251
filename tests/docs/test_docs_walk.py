"""Whoever follows a page to the letter gets what it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.walk import ROOT, Command, File, Shown, is_as, steps, walk

PAGES = sorted(
    [*(ROOT / "docs" / "how-to").glob("*.md"), ROOT / "docs" / "faq.md", ROOT / "docs" / "tutorial.md"]
)
SHOWN = {"text"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_does_what_it_says(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    walk(path.read_text("utf-8"), tmp_path)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_nothing_on_a_page_escapes(path: Path) -> None:
    found = list(steps(path.read_text("utf-8")))
    assert any(isinstance(step, Command) for step in found)
    assert {step.kind for step in found if isinstance(step, Shown)} <= SHOWN


PAGE = """
```yaml title=a/b.yaml
x: 1
```
```console
$ cat a/b.yaml
x: 1
$ echo one \\
  two
one two
```
```text
$ rm -rf /
```
"""


def test_files_are_written_and_commands_run(tmp_path: Path) -> None:
    assert list(steps(PAGE)) == [
        File("a/b.yaml", "x: 1\n"),
        Command("cat a/b.yaml", "x: 1"),
        Command("echo one   two", "one two"),
        Shown("text", "$ rm -rf /\n"),
    ]
    walk(PAGE, tmp_path)


def test_other_words_than_the_page_has_are_told(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the page says"):
        walk(PAGE.replace("one two", "two one"), tmp_path)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\nb", "a  \nb\n\n", True),
        ("a\n\u2026\nd", "a\nb\nc\nd\n", True),
        ("a\n\u2026\nd", "a\nd\n", True),
        ("a\n\u2026", "a\nb\nc\n", True),
        ("\u2026\nc", "a\nb\nc\n", True),
        ("a\n\u2026\nd", "a\nb\nc\n", False),
        ("root \u2026, 3 entries", "root 0af3, 3 entries", True),
        ("root \u2026, 3 entries", "root 0af3, 4 entries", False),
        ("a.c", "abc", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_what_stands_for_anything(expected: str, printed: str, same: bool) -> None:
    assert is_as(expected, printed) is same
