"""`new`: a commented policy and its cases, made of the templates in `templates/`, one for each remedy.

A template has a header of `key: value` lines, the rules and the cases, divided by `---`. `@{name}` is filled
in; behind a date or a time `+14d` and `-6m` count days and months. What comes out is in `fmt`'s form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path

from policyengine.authoring.format_files import format_file
from policyengine.authoring.format_scalars import quoted
from policyengine.authoring.yaml_source import read_yaml
from policyengine.domain.calendar import add_months, time_zone
from policyengine.errors import PolicyError

_FOLDER = Path(__file__).with_name("templates")
_NEEDED = re.compile(r"@\{([a-z_]+)((?:[+-][0-9]+[dm])*)\}")
_STEP = re.compile(r"([+-][0-9]+)([dm])")
_PARTS = 3  # header, rules, cases
_LATER = 200  # days from the beginning of the window to what was booked


@dataclass(frozen=True, slots=True)
class Template:
    """What `new` can write: ``about`` are its subjects, none where it has but one."""

    name: str
    title_en: str
    title_he: str
    what: str
    about: tuple[str, ...]
    money: bool
    rules: str
    cases: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """What whoever asks for a policy has said."""

    policy: str
    owner: str
    basis: str
    starts: date
    zone: str
    title: str | None = None
    about: str | None = None
    currency: str | None = None
    cites: tuple[str, ...] = ()
    schemas: str = "../schemas"  # from the folder of the file


@cache
def templates() -> Mapping[str, Template]:
    """By remedy."""
    found = {}
    for file in sorted(_FOLDER.glob("*.txt")):
        if file.name.endswith(".head.txt"):
            continue
        header, rules, cases = file.read_text("utf-8").split("\n---\n", _PARTS - 1)
        told = dict(line.split(": ", 1) for line in header.splitlines())
        found[file.stem] = Template(
            file.stem,
            told["title_en"],
            told["title_he"],
            told["what"],
            tuple(told.get("about", "").split()),
            "money" in told,
            rules,
            cases,
        )
    return found


@cache
def subjects() -> Mapping[str, Mapping[str, str]]:
    """What a policy can be about, by name; ``what`` says it in words."""
    document, _ = read_yaml((_FOLDER / "subjects.yaml").read_bytes(), "subjects.yaml")
    assert document is not None  # noqa: S101 - it ships with the code
    found: Mapping[str, Mapping[str, str]] = document.data
    return found


def written(template: Template, wishes: Wishes) -> tuple[bytes, bytes]:
    """The policy and its cases; PolicyError where a wish cannot be written, such as a name with blanks."""
    words = {**_words(template, wishes), **_sums(wishes.currency or "ILS")}
    filling = _Filling(words, wishes.starts, wishes.zone)
    head = filling.fill((_FOLDER / "policy.head.txt").read_text("utf-8"))
    policy = re.sub(r"\n{2,}", "\n", head) + template.rules  # without lines for what was not asked for
    cases = (_FOLDER / "cases.head.txt").read_text("utf-8") + template.cases
    files = []
    for text, name in ((policy, f"{wishes.policy}.v1.yaml"), (cases, f"{wishes.policy}.cases.yaml")):
        result = format_file(filling.fill(filling.fill(text)).encode(), name)
        if result.after is None:
            raise PolicyError(list(result.findings))
        files.append(result.after)
    return files[0], files[1]


def _words(template: Template, wishes: Wishes) -> dict[str, str]:
    about = subjects()[wishes.about] if wishes.about is not None else {}
    told = f"Written from the template `{template.name}`"
    told += f", for {about['what']}." if about else "."
    cites = f"cites: [{', '.join(map(quoted, wishes.cites))}]" if wishes.cites else ""
    money = f"currency: {wishes.currency}  # all its amounts are in it; another one is an error"
    return {
        **about,
        "when": _expression(about.get("when", "")),
        "made_event": about.get("made", ""),
        "made_otherwise": about.get("made_otherwise", about.get("made", "")),
        "about_what": told,
        "policy": wishes.policy,
        "policy_schema": f"{wishes.schemas}/policy.schema.json",
        "cases_schema": f"{wishes.schemas}/cases.schema.json",
        "title_en": quoted(wishes.title or template.title_en),
        "title_he": quoted(template.title_he),
        "owner": quoted(wishes.owner),
        "basis": wishes.basis,
        "cites": cites,
        "from": wishes.starts.isoformat(),
        "currency_line": money if wishes.currency else "",
        "zone": wishes.zone,
        "rule": template.name.replace(".", "-"),
    }


def _sums(currency: str) -> dict[str, str]:
    sums = {"sum": 400, "half": 200, "tenth": 40, "sum_and_tenth": 440}
    return {name: f"{amount} {currency}" for name, amount in sums.items()}


def _expression(text: str) -> str:
    return quoted(text) if text[:1] in set("!\"'[{&*|>%@`#-?") or ": " in text or " #" in text else text


@dataclass(frozen=True, slots=True)
class _Filling:
    """Fills in words, and days after the beginning of the window: at noon of the policy's zone."""

    words: Mapping[str, str]
    starts: date
    zone: str

    def fill(self, text: str) -> str:
        """Replace each `@{…}`; once more where a word holds one itself."""
        return _NEEDED.sub(lambda match: self._word(match[1], match[2]), text)

    def _word(self, name: str, steps: str) -> str:
        days = {"made": 10, "made_day": 10, "at": 20, "day": 20, "later": _LATER, "later_at": _LATER}
        if name not in days:
            return self.words[name]
        day = self.starts + timedelta(days=days[name])
        for count, unit in _STEP.findall(steps):
            day = add_months(day, int(count)) if unit == "m" else day + timedelta(days=int(count))
        if name in {"made", "at", "later_at"}:
            return datetime.combine(day, time(12), time_zone(self.zone)).isoformat()
        return day.isoformat()
