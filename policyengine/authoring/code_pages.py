"""The pages of docs/codes: one for each code, what it means and how to mend what it is about.

`check --explain` shows them; ``python -m policyengine.authoring.code_pages`` prints their index.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import policyengine
from policyengine.domain.near import did_you_mean
from policyengine.errors import UsageError

_TITLE = re.compile(r"# ((?:PE|EV)[0-9]{3}): (.+)")
_CODE = re.compile(r"(?:PE|EV)[0-9]{3}")
_GROUPS = (
    ("PE00", "Files"), ("PE01", "Event and entity types"), ("PE03", "Expressions"), ("PE04", "Tables"),
    ("PE05", "Versions, windows, parameters"), ("PE06", "Messages"), ("PE07", "Cases"),
    ("PE08", "Warnings"), ("PE09", "Warnings"), ("PE2", "In decisions"), ("PE70", "The ledger refuses"),
    ("PE71", "The ledger refuses"), ("PE72", "Kafka"), ("PE7", "Publishing"),
    ("PE8", "The ledger does not verify"), ("PE9", "Usage"), ("EV", "Rejected events"),
)  # fmt: skip


def pages_folder() -> Path:
    """Where the pages are: in a wheel beside the code, else in the repository."""
    package = Path(policyengine.__file__).parent
    for folder in (package / "_data" / "codes", package.parent / "docs" / "codes"):
        if folder.is_dir():
            return folder
    raise UsageError("the pages of the codes are missing; install the engine again")


def page(code: str) -> str:
    """The page of a code, as Markdown; UsageError where there is none."""
    wanted = code.strip().upper()
    file = pages_folder() / f"{wanted}.md"
    if _CODE.fullmatch(wanted) is None or not file.is_file():
        hint = did_you_mean(wanted, titles()) if _CODE.match(wanted) else "codes look like PE031 or EV012"
        raise UsageError(f"there is no code `{code}`; {hint or 'docs/codes/README.md lists them all'}")
    return file.read_text(encoding="utf-8")


@cache
def titles() -> dict[str, str]:
    """Every code that has a page, and the page's title, in order."""
    found = {}
    files = sorted(pages_folder().glob("*.md"), key=lambda file: (file.name.startswith("EV"), file.name))
    for file in files:
        match = _TITLE.match(file.read_text(encoding="utf-8"))
        if match is not None:
            found[match[1]] = match[2].strip()
    return found


def index() -> str:
    """The index of all pages, as Markdown."""
    lines = [
        "# Codes",
        "",
        "Every error, warning and rejection has a code that stays the same from version to version, and a",
        "page that says what is wrong and how to mend it. `policyengine check --explain PE031` shows one.",
        "A new code needs a page here and a test that names it; `make codes` writes this index.",
    ]
    last = ""
    for code, title in titles().items():
        group = next((name for start, name in _GROUPS if code.startswith(start)), "Others")
        if group != last:
            lines += ["", f"## {group}", "", "| Code | |", "|---|---|"]
            last = group
        lines.append(f"| [{code}]({code}.md) | {title} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(index(), end="")  # noqa: T201 - `make codes` writes it
