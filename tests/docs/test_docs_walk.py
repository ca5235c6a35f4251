"""Whoever follows a page to the letter gets what it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.walk import ANYTHING, ROOT, Command, File, Shown, blocks, do, is_as, steps, walk
from tests.support import event

DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *(DOCS / "how-to").glob("*.md"),
        *(DOCS / f"{name}.md" for name in ("conduct", "events", "faq", "publishing", "tutorial")),
    ]
)
SHOWN = {"text", "json"}
TYPED = ("POLICYENGINE_KEY_PASSPHRASE", "what a person types")
README = (ROOT / "README.md").read_text("utf-8")
HAPPENED = [
    {**event(kind, at, customer, **data), "channel": channel}
    for customer, points, channel in (("c17", 1200, "web"), ("c18", 1200, "phone"), ("c19", 0, "web"))
    for kind, at, data in (
        ("membership.started", "2019-04-01T08:00:00Z", {"membership_id": "m1", "tier": "gold", "points": points, "ends_on": "2020-03-31"}),
        ("membership.ended", "2020-04-01T00:00:00Z", {"membership_id": "m1"}),
        *([] if points else [("complaint.received", "2020-04-02T10:00:00Z", {"complaint_id": "k1", "topic": "price"})]),
    )
]  # fmt: skip
LOCKER = [
    text
    for kind, text in blocks((DOCS / "events.md").read_text("utf-8"))
    if kind == "json" and '"x-entity"' in text
]
EVENTS = next(
    step for step in steps((DOCS / "how-to" / "publish.md").read_text("utf-8")) if isinstance(step, File)
)
BEFORE: dict[str, tuple[File | Command, ...]] = {  # what a page takes for granted
    "events": (
        File("our-types/entities/locker.json", LOCKER[0]),
        File(
            "our-types/events/locker.returned.json",
            LOCKER[1].replace('"x-entity": "locker"', '"x-entity": "loker"'),
        ),
    ),
    "conduct": (
        File("rules/points.v1.yaml", next(text for kind, text in blocks(README) if kind == "yaml")),
        File("events.jsonl", "".join(f"{json.dumps(one)}\n" for one in HAPPENED)),
        Command("policyengine run --rules rules --events events.jsonl", ANYTHING),
    ),
    "publishing": (
        Command(
            "policyengine new travel/half-back --remedy refund --about booking --currency ILS"
            " --owner care@travel.example --starts 2020-03-01",
            ANYTHING,
        ),
        Command("policyengine keys new noa.key --no-passphrase", ANYTHING),
        Command("policyengine keys new uri.key --no-passphrase", ANYTHING),
        EVENTS,
    ),
}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_does_what_it_says(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    do(BEFORE.get(path.stem, ()), tmp_path)
    do(steps(path.read_text("utf-8")), tmp_path, **dict([TYPED]))


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
