"""The same data in every way that YAML has of writing it, with comments wherever one may stand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

from policyengine.authoring.yaml_source import plain_value

SPECIAL = set("\n\t\\\"'#:,[]{}&*!|>%@`?-=<~\u200f\u00a0 ")


@dataclass
class Writer:
    """Writes data at random; what comments it left is in ``comments``, in order."""

    random: Random
    commented: bool = True
    lines: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def file(self, data: dict[str, Any]) -> str:
        self.above(0)
        self.mapping(data, 0)
        self.above(0)
        return "\n".join(self.lines) + self.random.choice(["\n", "", "\n\n"])

    def comment(self) -> str:
        text = f"# note {len(self.comments)}{self.random.choice(['', ': # [x', ' {a: 1}', ' ויש עוד'])}"
        self.comments.append(text)
        return text

    def above(self, indent: int) -> None:
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            if self.commented and self.random.random() < 0.5:
                self.lines.append(" " * indent + self.comment())
            else:
                self.lines.append(" " * self.random.randint(0, indent))  # more would belong to a text above

    def behind(self) -> str:
        wanted = self.commented and self.random.random() < 0.2
        return self.random.choice([" ", "   "]) + self.comment() if wanted else ""

    def mapping(self, data: dict[str, Any], indent: int, first: str | None = None) -> None:
        for key, value in data.items():
            if first is None:
                self.above(indent)
                start = " " * indent
            else:
                start, first = first, None
            self.value(f"{start}{self.word(key)}:", value, indent)

    def sequence(self, items: list[Any], indent: int, first: str | None = None) -> None:
        for item in items:
            if first is None:
                self.above(indent)
                start = " " * indent
            else:
                start, first = first, None
            inner = indent + 2
            if isinstance(item, dict) and item and self.random.random() < 0.7:
                self.mapping(item, inner, f"{start}- ")
            elif isinstance(item, list) and item and self.random.random() < 0.7:
                self.sequence(item, inner, f"{start}- ")
            else:
                self.value(f"{start}-", item, indent)

    def value(self, start: str, value: Any, indent: int) -> None:
        deeper = indent + self.random.choice([2, 2, 4])
        if isinstance(value, (dict, list)) and value and self.random.random() < 0.6:
            self.lines.append(start + self.behind())
            below = self.mapping if isinstance(value, dict) else self.sequence
            below(value, deeper)
        elif isinstance(value, (dict, list)):
            text = self.flow(value, indent + 4, broken=self.random.random() < 0.3)
            self.lines.append(f"{start} {text}{self.behind()}")
        elif isinstance(value, str) and self.random.random() < 0.3 and self.block(start, value, deeper):
            return
        else:
            self.lines.append(f"{start} {self.scalar(value, block=True)}{self.behind()}")

    def flow(self, value: Any, indent: int, *, broken: bool) -> str:
        if not isinstance(value, (dict, list)):
            return self.scalar(value, block=False)
        left, right = "{}" if isinstance(value, dict) else "[]"
        members = []
        for number, item in enumerate(value.items() if isinstance(value, dict) else value):
            gap = ""
            if broken and self.random.random() < 0.5:
                gap = (self.behind() if number == 0 else "") + "\n" + " " * indent
                if self.commented and self.random.random() < 0.3:
                    gap += self.comment() + "\n" + " " * indent
            if isinstance(value, dict):
                text = f"{self.word(item[0])}: {self.flow(item[1], indent + 2, broken=broken)}"
            else:
                text = self.flow(item, indent + 2, broken=broken)
            members.append(gap + text)
        return left + ", ".join(members) + right

    def block(self, start: str, value: str, indent: int) -> bool:
        lines = value.split("\n")
        plain = all(line and line.strip() == line for line in lines) and "\t" not in value
        if not plain or any(
            not (" " <= char < "\x7f" or "א" <= char <= "ת" or char == "\n") for char in value
        ):
            return False
        style = "|" if len(lines) > 1 else self.random.choice("|>")
        self.lines.append(f"{start} {style}-{self.behind()}")
        if style == ">" and " " in value and "  " not in value:
            lines = value.split(" ")
            if any(not line for line in lines):
                return False
        self.lines += [" " * indent + line for line in lines]
        return True

    def word(self, key: str) -> str:
        return self.scalar(key, block=False)

    def scalar(self, value: Any, *, block: bool) -> str:
        if value is None:
            return "null"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (int, Decimal, date)):
            return str(value)
        unquoted = value and not SPECIAL & set(value.replace(" ", "")) and value == value.strip()
        if unquoted and value.isprintable() and plain_value(value) == value and self.random.random() < 0.7:
            return str(value)
        if value.isprintable() and self.random.random() < 0.5:
            text = value.replace("'", "''")
            return f"'{self.broken(text) if block else text}'"
        return json.dumps(value, ensure_ascii=self.random.random() < 0.5)

    def broken(self, text: str) -> str:
        """A quoted text over several lines, where a single blank may be a line break."""
        words = text.split(" ")
        if len(words) < 2 or not all(words) or self.random.random() < 0.7:
            return text
        return ("\n" + " " * 12).join(words)
