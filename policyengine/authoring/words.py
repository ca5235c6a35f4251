"""What changed between two policy sets, in words that a policy owner would use; by policy, then by version.

Whole policies and versions here; what changed within a rule is authoring.words_rule's. Nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from policyengine.authoring.words_rule import Said, arrow, plain, rule_changes, rule_words
from policyengine.domain.policy import Policy

Document = Mapping[str, Any]
_TOLD = {
    "owner": "owner", "basis": "basis", "announced": "announced", "review": "review date",
    "currency": "currency", "rounding": "rounding", "timezone": "time zone", "shadow": "shadow",
    "enforced": "enforced", "retroactive": "reaches back", "staff_first": "staff first", "crisis": "crisis",
    "exclusive": "exclusive group", "cap": "cap over all rules",
}  # fmt: skip
_WORDS = ("title", "description")


class Change(NamedTuple):
    """One thing that changed; ``rule`` is None where it concerns the version as a whole.

    ``since``: the day from which it holds, where that is part of the change.
    """

    rule: str | None
    text: str
    before: str | None = None
    after: str | None = None
    since: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """For programs."""
        return self._asdict()

    def __str__(self) -> str:
        since = "" if self.since is None else f" from {self.since}"
        return f"{'' if self.rule is None else f'{self.rule}: '}{self.text}{since}"


@dataclass(frozen=True, slots=True)
class Changed:
    """A version of a policy, and what is new about it; ``what``: added, removed or changed."""

    policy: str
    version: int
    what: str
    changes: Sequence[Change]
    compared_with: int | None = None  # the version before an added one

    @property
    def heading(self) -> str:
        """What happened to the version."""
        after = "" if self.compared_with is None else f", after version {self.compared_with}"
        return f"version {self.version} {self.what}{after}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "policy": self.policy,
            "version": self.version,
            "what": self.what,
            "compared_with": self.compared_with,
            "changes": [change.to_json() for change in self.changes],
        }


def compare(before: Sequence[Policy], after: Sequence[Policy]) -> list[Changed]:
    """What changed, by policy and version; an added version is compared with the one before it."""
    old, new = _by_name(before), _by_name(after)
    found: list[Changed] = []
    for name in sorted({*old, *new}):
        was, now = old.get(name, {}), new.get(name, {})
        for version in sorted({*was, *now}):
            if version not in now:
                found.append(Changed(name, version, "removed", list(_whole(was[version]))))
            elif version not in was:
                found.append(_added(name, version, was, now))
            elif was[version] != now[version]:
                changes = list(_changes(was[version], now[version], since=None))
                found.append(Changed(name, version, "changed", changes))
    return found


def _by_name(policies: Sequence[Policy]) -> dict[str, dict[int, Document]]:
    found: dict[str, dict[int, Document]] = {}
    for policy in policies:
        document = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
        found.setdefault(policy.policy, {})[policy.version] = document
    return found


def _added(name: str, version: int, was: Mapping[int, Document], now: Mapping[int, Document]) -> Changed:
    """Beside the version before it, as it is now, or as it was where it is gone."""
    known = {**was, **now}
    earlier = max((number for number in known if number < version), default=None)
    added = now[version]
    if earlier is None:
        return Changed(name, version, "added", list(_whole(added)))
    since = str(added["effective"]["from"])[:10]
    changes = [Change(None, f"window {_window(added)}"), *_changes(known[earlier], added, since=since)]
    return Changed(name, version, "added", changes, earlier)


def _whole(document: Document) -> Iterator[Change]:
    """A version without anything to compare with."""
    yield Change(None, f"window {_window(document)}, basis {document['basis']}")
    for name, value in document.get("parameters", {}).items():
        yield Change(None, f"parameter {name}: {plain(value)}")
    for rule in document["rules"]:
        yield Change(rule["id"], rule_words(rule))


def _window(document: Document) -> str:
    effective = document["effective"]
    until = effective.get("until")
    ends = "on" if until is None else f"until {until}"
    return f"from {effective['from']} {ends}, by {effective['by']}"


def _changes(old: Document, new: Document, *, since: str | None) -> Iterator[Change]:
    """What is other in a version; ``since``: it is a later one, whose own window is told already."""
    if since is None and old["effective"] != new["effective"]:
        was, now = _window(old), _window(new)
        yield Change(None, f"window moved: {arrow(was, now)}", was, now)
    for key, label in _TOLD.items():
        if old.get(key) != new.get(key) and not (since is not None and key in {"announced", "review"}):
            one, other = plain(old.get(key)), plain(new.get(key))
            yield Change(None, f"{label} {arrow(one, other)}", one, other, since)
    if old.get("cites", []) != new.get("cites", []):
        yield from _cites(old.get("cites", []), new.get("cites", []))
    for key in _WORDS:
        if old.get(key) != new.get(key):
            yield Change(None, f"{key} changed")
    yield from _parameters(old.get("parameters", {}), new.get("parameters", {}), since)
    yield from _rules(old["rules"], new["rules"], since)


def _cites(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    for text in new:
        if text not in old:
            yield Change(None, f"cites {text}", None, text)
    for text in old:
        if text not in new:
            yield Change(None, f"no longer cites {text}", text, None)


def _parameters(old: Document, new: Document, since: str | None) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        if name not in old:
            now = _parameter(new[name])
            yield Change(None, f"parameter {name} added: {now}", None, now, since)
        elif name not in new:
            was = _parameter(old[name])
            yield Change(None, f"parameter {name} removed (was {was})", was, None, since)
        elif old[name] != new[name]:
            yield from _values(name, _dated(old[name]), _dated(new[name]), since)


def _dated(value: Any) -> dict[str, Any]:
    """By the day from which each value holds; "" is always. A date itself is written `{date: …}`."""
    if isinstance(value, Mapping) and set(value) != {"date"}:
        return {str(day): each for day, each in value.items()}
    return {"": value}


def _parameter(value: Any) -> str:
    values = _dated(value).items()
    return ", ".join(f"{_value(each)} from {day}" if day else _value(each) for day, each in values)


def _value(value: Any) -> str:
    return plain(value["date"] if isinstance(value, Mapping) else value)


def _values(name: str, old: Mapping[str, Any], new: Mapping[str, Any], since: str | None) -> Iterator[Change]:
    """Value by value, from each day on which one side sets one, but not before a later version begins."""
    days = sorted({*old, *new} if since is None else {since, *(day for day in (*old, *new) if day > since)})
    for day in days:
        was, now = _on(old, day), _on(new, day)
        if was != now:
            text = f"parameter {name} {arrow(was, now)}"
            yield Change(None, text, was, now, day or None)


def _on(values: Mapping[str, Any], day: str) -> str:
    """The value that holds on a day."""
    known = [each for each in values if each <= day]
    return _value(values[max(known)]) if known else "none"


def _rules(old: Sequence[Document], new: Sequence[Document], since: str | None) -> Iterator[Change]:
    was, now = ({rule["id"]: rule for rule in rules} for rules in (old, new))
    gone = [name for name in was if name not in now]
    come = [name for name in now if name not in was]
    for name in list(come):
        twin = next((one for one in gone if _body(was[one]) == _body(now[name])), None)
        if twin is not None:
            gone.remove(twin)
            come.remove(name)
            yield Change(name, f"rule renamed, was {twin}", twin, name, since)
    for name in gone:
        yield Change(name, f"rule removed ({rule_words(was[name])})", rule_words(was[name]), None, since)
    for name in come:
        yield Change(name, f"rule added ({rule_words(now[name])})", None, rule_words(now[name]), since)
    for name in was:
        if name in now and was[name] != now[name]:
            for said in rule_changes(was[name], now[name]):
                yield _of_rule(name, said, since)


def _of_rule(name: str, said: Said, since: str | None) -> Change:
    return Change(name, said.text, said.before, said.after, since)


def _body(rule: Document) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if key != "id"}
