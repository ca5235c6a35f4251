"""What changed within a rule, in words: what is granted, on which conditions, by which table, up to what.

A rule is a document as it is recorded. Versions and policies are authoring.words'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

Document = Mapping[str, Any]
_PERCENT = re.compile(r"percent\((.+), ([0-9][0-9.]*)\)", re.DOTALL)
_MONEY = re.compile(r'money\("([^"]+)"\)')
_LONGEST = 200  # characters of an expression that are told
_SAME = 0.6  # how alike two conditions are to be one that changed
_HEADER = {"on": "event", "for": "for each", "priority": "priority", "exclusive": "exclusive group",
           "cap": "cap", "shadow": "shadow"}  # fmt: skip


class Said(NamedTuple):
    """A change in words, with what stood there and what does now."""

    text: str
    before: str | None = None
    after: str | None = None


def plain(value: Any) -> str:
    """A value as a person would write it."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case str():
            return _short(_MONEY.sub(r"\1", " ".join(value.split())))
        case Mapping():
            return ", ".join(f"{key} {plain(each)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(plain(each) for each in value)
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def arrow(was: str, now: str) -> str:
    """From what to what."""
    return f"{was} → {now}"


def rule_words(rule: Document) -> str:
    """A rule as a whole: what it gives, and when it is asked."""
    parts = [_remedy_words(one) for one in rule.get("grant", ())]
    if "offer" in rule:
        parts.append(f"a choice of {', '.join(one['id'] for one in rule['offer']['alternatives'])}")
    if "deny" in rule:
        parts.append(f"denied: {plain(rule['deny']['reason'])}")
    parts += [f"later {one['event']}" for one in rule.get("follow_up", ())]
    return f"{' and '.join(parts)} on {plain(rule['on'])}"


def _remedy_words(remedy: Document) -> str:
    amount = remedy.get("amount", remedy.get("points"))
    return str(remedy["kind"]) if amount is None else f"{remedy['kind']} {_amount(amount)}"


def _amount(text: Any) -> str:
    found = _PERCENT.fullmatch(text) if isinstance(text, str) else None
    return plain(text) if found is None else f"{found[2]}% of {plain(found[1])}"


def rule_changes(old: Document, new: Document) -> Iterator[Said]:
    """What is other in a rule that both sides have."""
    yield from _grants(old.get("grant", ()), new.get("grant", ()), "")
    yield from _offer(old.get("offer"), new.get("offer"))
    if old.get("deny") != new.get("deny"):
        was, now = (plain((one.get("deny") or {}).get("reason")) for one in (old, new))
        yield Said(f"denial {arrow(was, now)}", was, now)
    yield from _conditions(old.get("when", ()), new.get("when", ()))
    yield from _table(old.get("table"), new.get("table"))
    for key, label in _HEADER.items():
        if old.get(key) != new.get(key):
            yield _cap(old.get(key), new.get(key)) if key == "cap" else _header(label, old, new, key)
    if old.get("follow_up", []) != new.get("follow_up", []):
        was, now = (plain(list(one.get("follow_up", ()))) for one in (old, new))
        yield Said(f"what follows {arrow(was or 'nothing', now or 'nothing')}", was, now)
    yield from _messages(old, new)


def _header(label: str, old: Document, new: Document, key: str) -> Said:
    was, now = plain(old.get(key)), plain(new.get(key))
    return Said(f"{label} {arrow(was, now)}", was, now)


# --- remedies -------------------------------------------------------------------------------------


def _grants(old: Sequence[Document], new: Sequence[Document], where: str) -> Iterator[Said]:
    """Remedies of one kind are compared in their order."""
    left = list(old)
    for remedy in new:
        twin = next((one for one in left if one["kind"] == remedy["kind"]), None)
        if twin is None:
            yield Said(f"{where}{_remedy_words(remedy)} added", None, _remedy_words(remedy))
            continue
        left.remove(twin)
        if twin != remedy:
            yield from _remedy(twin, remedy, where)
    for remedy in left:
        yield Said(f"{where}{_remedy_words(remedy)} removed", _remedy_words(remedy), None)


def _remedy(old: Document, new: Document, where: str) -> Iterator[Said]:
    kind = f"{where}{new['kind']}"
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        if key in {"amount", "points"}:
            yield Said(f"{kind} {_amounts(was, now)}", _told(was), _told(now))
        else:
            name = key.replace("_", " ")
            yield Said(f"{kind} {name} {arrow(plain(was), plain(now))}", _told(was), _told(now))


def _told(value: Any) -> str | None:
    return None if value is None else plain(value)


def _amounts(was: Any, now: Any) -> str:
    """Two percentages of one thing are told as such; the thing itself is all of it."""
    one, other = _share(was), _share(now)
    if one is not None and other is not None and one[0] == other[0] and one[1] != other[1]:
        return f"{one[1]}% → {other[1]}% of {plain(one[0])}"
    return arrow(_amount(was), _amount(now))


def _share(text: Any) -> tuple[str, str] | None:
    if not isinstance(text, str):
        return None
    found = _PERCENT.fullmatch(text.strip())
    return (text.strip(), "100") if found is None else (found[1].strip(), found[2])


def _offer(old: Document | None, new: Document | None) -> Iterator[Said]:
    if old == new:
        return
    if old is None or new is None:
        one = old or new or {}
        choices = ", ".join(each["id"] for each in one["alternatives"])
        yield Said(f"a choice of {choices} {'added' if old is None else 'removed'}")
        return
    was, now = ({one["id"]: one for one in offer["alternatives"]} for offer in (old, new))
    for name in dict.fromkeys((*was, *now)):
        if name not in now:
            yield Said(f"choice {name} removed", name, None)
        elif name not in was:
            given = " and ".join(_remedy_words(one) for one in now[name]["grant"])
            yield Said(f"choice {name} added ({given})", None, name)
        else:
            yield from _grants(was[name]["grant"], now[name]["grant"], f"choice {name}: ")
            if was[name].get("title") != now[name].get("title"):
                yield Said(f"choice {name}: title changed")
    for key in ("default", "deadline", "consent"):
        if old.get(key) != new.get(key):
            label = {"default": "without an answer", "deadline": "answer by", "consent": "consent"}[key]
            yield Said(f"{label} {arrow(plain(old.get(key)), plain(new.get(key)))}")


# --- conditions -----------------------------------------------------------------------------------


def _conditions(old: Sequence[str], new: Sequence[str]) -> Iterator[Said]:
    gone = [text for text in old if text not in new]
    for text in (text for text in new if text not in old):
        twin = max(gone, key=lambda one: _likeness(one, text), default=None)
        if twin is not None and _likeness(twin, text) >= _SAME:
            gone.remove(twin)
            yield Said(f"condition {arrow(plain(twin), plain(text))}", twin, text)
        else:
            yield Said(f"condition added: {plain(text)}", None, text)
    for text in gone:
        yield Said(f"condition removed: {plain(text)}", text, None)


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _cap(old: Document | None, new: Document | None) -> Said:
    was, now = _cap_words(old), _cap_words(new)
    if old is None or new is None:
        return Said(f"cap {'added' if old is None else 'removed'}: {now if old is None else was}", was, now)
    counts = [one.get("count") for one in (old, new)]
    rest = [{key: value for key, value in one.items() if key != "count"} for one in (old, new)]
    if rest[0] == rest[1] and type(counts[0]) is type(counts[1]) is int:
        return Said(f"cap {'raised' if counts[1] > counts[0] else 'lowered'} {arrow(was, now)}", was, now)
    return Said(f"cap {arrow(was, now)}", was, now)


def _cap_words(cap: Document | None) -> str:
    if cap is None:
        return "none"
    most = f"{cap['count']} times" if "count" in cap else str(cap["amount"])
    return f"{most} per {cap['per']}" + ("" if cap["period"] == "ever" else f" and {cap['period']}")


# --- tables and words -----------------------------------------------------------------------------


def _table(old: Document | None, new: Document | None) -> Iterator[Said]:
    if old == new:
        return
    if old is None or new is None:
        yield Said("table added" if old is None else "table removed")
        return
    for key in ("hit", "otherwise"):
        if old.get(key) != new.get(key):
            yield Said(f"table {key} {arrow(plain(old.get(key)), plain(new.get(key)))}")
    names = [str(column.get("set") or plain(column.get("when"))) for column in new["columns"]]
    if old["columns"] != new["columns"]:
        before = [str(column.get("set") or plain(column.get("when"))) for column in old["columns"]]
        yield Said(f"table columns {arrow(plain(before), plain(names))}")
        return
    yield from _rows(old["rows"], new["rows"], names)


def _rows(old: Sequence[Sequence[Any]], new: Sequence[Sequence[Any]], names: Sequence[str]) -> Iterator[Said]:
    was, now = ([tuple(map(plain, row)) for row in rows] for rows in (old, new))
    for tag, first, last, start, stop in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        common = min(last - first, stop - start) if tag == "replace" else 0
        for nth in range(common):
            yield _row(start + nth + 1, was[first + nth], now[start + nth], names)
        if tag in {"replace", "delete"}:
            for row in was[first + common : last]:
                yield Said(f"table row removed: {' | '.join(row)}", " | ".join(row), None)
        if tag in {"replace", "insert"}:
            for number, row in enumerate(now[start + common : stop], start + common + 1):
                yield Said(f"table row {number} added: {' | '.join(row)}", None, " | ".join(row))


def _row(number: int, was: Sequence[str], now: Sequence[str], names: Sequence[str]) -> Said:
    cells = [
        f"{name} {arrow(one, other)}"
        for name, one, other in zip(names, was, now, strict=True)
        if one != other
    ]
    return Said(f"table row {number}: {', '.join(cells)}", " | ".join(was), " | ".join(now))


def _messages(old: Document, new: Document) -> Iterator[Said]:
    was, now = old.get("say", {}), new.get("say", {})
    changed = [language for language in dict.fromkeys((*was, *now)) if was.get(language) != now.get(language)]
    if changed:
        text = f"message {'added' if not was else 'removed' if not now else 'changed'} ({', '.join(changed)})"
        yield Said(text, was.get(changed[0]), now.get(changed[0]))
    if old.get("title", {}) != new.get("title", {}):
        yield Said("title changed")
