"""What a case expects, read and checked for typing mistakes before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from policyengine.authoring.yaml_source import Path
from policyengine.domain.decision import Outcome, Verdict
from policyengine.domain.near import did_you_mean
from policyengine.domain.remedies import REMEDY_KINDS

EXPECTATIONS = (
    "outcome", "remedies", "offers", "denials", "rules", "lost", "unknown", "errors", "messages", "not",
    "shadow", "rejected", "entity", "customer", "after",
)  # fmt: skip
_ORIGIN = ("kind", "policy", "version", "rule", "basis", "enforced")
_OFFER = ("policy", "version", "rule", "basis", "alternatives", "default", "deadline", "consent")
_ALTERNATIVE = ("id", "title", "remedies")
_DENIAL = ("policy", "version", "rule", "reason")


class Note(Protocol):
    """Notes a finding at a path."""

    def __call__(self, path: Path, code: str, message: str, hint: str = "", *, key: bool = False) -> None:
        """Note it."""


def is_mapping(note: Note, path: Path, raw: Any, keys: tuple[str, ...] | None) -> bool:
    """Whether it is one; notes where it is not, and each key that is none of ``keys``."""
    if not isinstance(raw, dict):
        note(path, "PE070", "expected `key: value` lines", "see the reference")
        return False
    for key in raw:
        if keys is not None and key not in keys:
            hint = did_you_mean(str(key), keys) or f"keys are {', '.join(keys)}"
            note((*path, key), "PE070", f"unknown key `{key}`", hint, key=True)
    return True


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected after one event (``after``: its index), of one entity or customer or of all."""

    path: Path
    after: int
    entity: tuple[str, str] | None
    wanted: Mapping[str, Any] = field(default_factory=dict)
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectationReader:
    """Reads one expectation; what is wrong goes to ``note``."""

    note: Note
    events: int
    keys: tuple[str, ...] = EXPECTATIONS

    def read(self, path: Path, raw: Any) -> Iterator[Expectation]:
        """The expectation, where it is one."""
        if raw == "none":
            raw = {"outcome": "none"}
        if not self._mapping(path, raw, self.keys):
            return
        wanted = {key: value for key, value in raw.items() if key not in {"entity", "customer", "after"}}
        if not wanted:
            self.note(path, "PE072", "a case without expectations", f"keys are {', '.join(self.keys)}")
            return
        self._outcome(path, wanted)
        for key in ("remedies", "shadow"):
            self._remedies((*path, key), wanted.get(key, []))
        self._offers((*path, "offers"), wanted.get("offers", []))
        self._denials((*path, "denials"), wanted.get("denials", []))
        self._kinds((*path, "not"), wanted.get("not", []))
        self._verdicts((*path, "lost"), wanted.get("lost", {}))
        for key in ("unknown", "errors", "messages"):
            self._mapping((*path, key), wanted.get(key, {}), None)
        self._list((*path, "rules"), wanted.get("rules", []))
        customer = None if raw.get("customer") is None else str(raw["customer"])
        yield Expectation(path, self._after(path, raw), self._entity(path, raw), wanted, customer)

    def _after(self, path: Path, raw: Mapping[str, Any]) -> int:
        after = raw.get("after", self.events)
        if type(after) is not int or not 1 <= after <= max(self.events, 1):
            self.note(
                (*path, "after"), "PE070", f"there is no event {after}", f"events are 1 to {self.events}"
            )
            return 0
        return after - 1

    def _entity(self, path: Path, raw: Mapping[str, Any]) -> tuple[str, str] | None:
        entity = raw.get("entity")
        if entity is None:
            return None
        if not isinstance(entity, dict) or set(entity) != {"type", "id"}:
            self.note((*path, "entity"), "PE070", "not an entity", "write `{type: booking, id: b1}`")
            return None
        return str(entity["type"]), str(entity["id"])

    def _outcome(self, path: Path, wanted: Mapping[str, Any]) -> None:
        if "outcome" in wanted:
            self._one_of((*path, "outcome"), wanted["outcome"], [outcome.value for outcome in Outcome])

    def _remedies(self, path: Path, raw: Any) -> None:
        for index, item in enumerate(self._list(path, raw)):
            here = (*path, index)
            if not self._mapping(here, item, None):
                continue
            if "kind" not in item:
                self.note(here, "PE076", "a remedy without `kind`", f"kinds are {', '.join(REMEDY_KINDS)}")
                continue
            if self._one_of((*here, "kind"), item["kind"], REMEDY_KINDS, code="PE076"):
                fields = REMEDY_KINDS[item["kind"]].model_fields.items()
                self._mapping(here, item, (*_ORIGIN, *(about.alias or name for name, about in fields)))

    def _offers(self, path: Path, raw: Any) -> None:
        for index, item in enumerate(self._list(path, raw)):
            here = (*path, index)
            if not self._mapping(here, item, _OFFER):
                continue
            for place, choice in enumerate(self._list((*here, "alternatives"), item.get("alternatives", []))):
                inner: Path = (*here, "alternatives", place)
                if not isinstance(choice, str) and self._mapping(inner, choice, _ALTERNATIVE):
                    self._remedies((*inner, "remedies"), choice.get("remedies", []))

    def _denials(self, path: Path, raw: Any) -> None:
        for index, item in enumerate(self._list(path, raw)):
            if not isinstance(item, str):
                self._mapping((*path, index), item, _DENIAL)

    def _kinds(self, path: Path, raw: Any) -> None:
        for index, kind in enumerate(self._list(path, raw)):
            self._one_of((*path, index), kind, REMEDY_KINDS, code="PE076")

    def _verdicts(self, path: Path, raw: Any) -> None:
        if self._mapping(path, raw, None):
            for rule, verdict in raw.items():
                self._one_of((*path, rule), verdict, [each.value for each in Verdict])

    def _list(self, path: Path, raw: Any) -> list[Any]:
        if isinstance(raw, list):
            return raw
        self.note(path, "PE070", "expected a list", "begin items with `- `, or write `[a, b]`")
        return []

    def _one_of(self, path: Path, word: Any, choices: Iterable[str], *, code: str = "PE070") -> bool:
        known = list(choices)
        if word in known:
            return True
        hint = did_you_mean(str(word), known) or f"there are {', '.join(known)}"
        self.note(path, code, f"unknown `{word}`", hint)
        return False

    def _mapping(self, path: Path, raw: Any, keys: tuple[str, ...] | None) -> bool:
        return is_mapping(self.note, path, raw, keys)
