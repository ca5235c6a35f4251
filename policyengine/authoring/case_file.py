"""A file of cases (`x.cases.yaml`) → events and expectations, or findings with their places.

Cases are written for people: ``- membership.ended: {at: 2020-04-01T00:00:00Z, points: 5}`` becomes a
CloudEvent here. Running them is authoring.cases, comparing is authoring.case_check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from policyengine.authoring.case_expect import EXPECTATIONS, Expectation, ExpectationReader, is_mapping
from policyengine.authoring.case_later import Later, LaterReader
from policyengine.authoring.yaml_source import Document, Path, plain_value, read_yaml
from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.events import Rejection
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy_types import split_rows
from policyengine.domain.validation import Validator
from policyengine.domain.values import Value, ValueType, instant_to_json
from policyengine.engine.vocabulary import world_attributes
from policyengine.errors import Finding

_FILE_KEYS = ("policy", "with", "world", "cases", "accepted_mutants")
_CASE_KEYS = ("name", "description", "with", "world", "given", "events", "examples", "expect", "later")
_ACCEPTED_KEYS = ("change", "reason", "version", "rule")
_ENVELOPE = ("at", "customer", "source", "id", "data")
_PROPERTY = re.compile(r"property `([^`]+)`")
_UNKNOWN_PROPERTY = "EV022"
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MONEY = re.compile(r"(-?[0-9.]+) ?([A-Z]{3})", re.ASCII)
_PYTHON = {ValueType.TEXT: str, ValueType.INTEGER: int, ValueType.FLAG: bool, ValueType.DATE: date}


@dataclass(frozen=True, slots=True)
class Case:
    """One case with its placeholders filled in. ``companions``: None is the file's own policy alone."""

    name: str
    path: Path
    events: tuple[bytes, ...]
    world: Mapping[str, Value]
    companions: tuple[str, ...]
    expectations: tuple[Expectation, ...]
    later: Later | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mutant that may survive, and why; of any rule, of any version, where none is named."""

    path: Path
    change: str
    reason: str
    version: int | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of one file; ``policy`` where the file names it. ``all`` is a companion too."""

    document: Document
    policy: str | None
    cases: tuple[Case, ...]
    accepted: tuple[Accepted, ...] = ()


def read_cases(raw: bytes, file: str, catalogue: Catalogue) -> tuple[CaseFile | None, list[Finding]]:
    """Read a file of cases; cases without fault come back beside the findings of the others."""
    document, findings = read_yaml(raw, file)
    if document is None:
        return None, findings
    reader = _Reader(document, catalogue, findings)
    return reader.file(), sorted(set(reader.findings))


@dataclass(slots=True)
class _Reader:
    document: Document
    catalogue: Catalogue
    findings: list[Finding]
    names: set[str] = field(default_factory=set)
    validator: Validator | None = None

    def file(self) -> CaseFile | None:
        data = self.document.data
        if not self.is_mapping((), data, _FILE_KEYS):
            return None
        cases = data.get("cases")
        if not isinstance(cases, list) or not cases:
            self.note((), "PE070", "the file has no cases", "write them as a list below `cases:`")
            return None
        policy = data.get("policy")
        if policy is not None and not isinstance(policy, str):
            self.note(
                ("policy",), "PE070", "not the name of a policy", "write one such as airline/points-kept"
            )
            policy = None
        read = [case for index, raw in enumerate(cases) for case in self.cases(("cases", index), raw, data)]
        return CaseFile(
            self.document, policy, tuple(read), tuple(self.accepted(data.get("accepted_mutants")))
        )

    def cases(self, path: Path, raw: Any, file: Mapping[str, Any]) -> Iterator[Case]:
        """One case, or one for each of its examples."""
        if not self.is_mapping(path, raw, _CASE_KEYS):
            return
        if not isinstance(raw.get("name"), str):
            self.note(path, "PE070", "a case without a name", "write `name: what it shows`")
            return
        base = {"with": file.get("with"), "world": file.get("world"), **raw}
        rows = list(self.examples(path, raw)) if "examples" in raw else [{}]
        names: list[str] = []
        for number, row in enumerate(rows, 1):
            before = len(self.findings)
            filled = {key: self.fill((*path, key), base[key], row) for key in base if key != "examples"}
            # examples whose names are alike are told apart by their number
            names.append(str(filled["name"]))
            if raw["name"] == names[-1] and len(rows) > 1:
                filled["name"] = f"{names[-1]} [{number}]"
            elif names[-1] in names[:-1]:
                filled["name"] = f"{names[-1]} [{names.count(names[-1])}]"
            case = self.case(path, filled)
            if len(self.findings) == before and case is not None:
                yield case
        if raw.get("examples"):
            self.check_columns(path, raw, rows)

    def case(self, path: Path, raw: Mapping[str, Any]) -> Case | None:
        name = str(raw["name"])
        if name in self.names:
            self.note((*path, "name"), "PE073", f"two cases are called `{name}`", "rename one")
        self.names.add(name)
        events = tuple(self.events(path, raw))
        if not events:
            self.note(path, "PE070", "a case without events", "write them as a list below `given:`")
        expectations = tuple(self.expectations(path, raw, len(events)) if events else ())
        world = dict(self.world((*path, "world"), raw.get("world")))
        companions = tuple(self.companions((*path, "with"), raw.get("with")))
        later = LaterReader(self.note, self.catalogue).read((*path, "later"), raw)
        return Case(name, path, events, world, companions, expectations, later)

    # Placeholders

    def examples(self, path: Path, raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        rows = raw["examples"]
        if isinstance(rows, str):
            header, *lines = ([cell for _, cell in row] for row in split_rows(rows) or [[(0, "")]])
            for number, line in enumerate(lines, 1):
                if len(line) != len(header):
                    text = f"example {number} has {len(line)} cells, its heading {len(header)}"
                    self.note((*path, "examples"), "PE075", text)
                    return
            rows = [dict(zip(header, map(plain_value, line), strict=True)) for line in lines]
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            text = "examples are a list of `{column: value}`, or lines of cells between `|`"
            self.note((*path, "examples"), "PE075", text, "write a heading line first")
            return
        for row in rows:
            yield {str(key): value for key, value in row.items()}

    def check_columns(self, path: Path, raw: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
        text = json.dumps({key: value for key, value in raw.items() if key != "examples"}, default=str)
        used = set(_PLACEHOLDER.findall(text))
        for column in dict.fromkeys(column for row in rows for column in row):
            if column not in used:
                message = f"`{column}` is used nowhere in the case"
                self.note((*path, "examples"), "PE075", message, f"write `${{{column}}}` where it belongs")

    def fill(self, path: Path, value: Any, row: Mapping[str, Any]) -> Any:
        """``${column}`` → the example's value, typed where it stands alone."""
        if isinstance(value, dict):
            return {
                _written(self.fill((*path, key), key, row)) if isinstance(key, str) else key: self.fill(
                    (*path, key), item, row
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.fill((*path, index), item, row) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        for name in _PLACEHOLDER.findall(value):
            if name not in row:
                hint = did_you_mean(name, row) or "write `examples:` with that column"
                self.note(path, "PE075", f"no example has `{name}`", hint)
                return value
        if alone := _PLACEHOLDER.fullmatch(value):
            return row[alone[1]]
        return _PLACEHOLDER.sub(lambda match: _written(row[match[1]]), value)

    # Events

    def events(self, path: Path, raw: Mapping[str, Any]) -> Iterator[bytes]:
        if "given" in raw and "events" in raw:
            self.note((*path, "events"), "PE070", "`given` and `events` together", "write one of the two")
        key = "given" if "given" in raw else "events"
        items = raw.get(key, [])
        if not isinstance(items, list):
            self.note((*path, key), "PE070", "events are a list", "begin each with `- `")
            return
        refused = set(_refused(raw.get("expect"), len(items)))
        for index, item in enumerate(items):
            here = (*path, key, index)
            if key == "events":
                if self.is_mapping(here, item, None):
                    yield _bytes(item)
            else:
                for event in self.given(here, item, index):
                    if index not in refused:
                        self.check_event(here, item, event)
                    yield event

    def check_event(self, path: Path, item: Mapping[str, Any], event: bytes) -> None:
        """What the door would refuse is told where it stands; what the state refuses is told when it runs."""
        if self.validator is None:
            self.validator = Validator(self.catalogue)
        refusal = self.validator.validate(event)
        if not isinstance(refusal, Rejection):
            return
        ((name, data),) = item.items()
        here: Path = (*path, name)
        inner, place = (data["data"], (*here, "data")) if "data" in data else (data, here)
        found = _PROPERTY.search(refusal.reason)
        if found is not None and isinstance(inner, dict) and found[1] in inner:
            here = (*place, found[1])
        text = f"`{name}` would be refused: {refusal.code} {refusal.reason}"
        self.note(here, "PE071", text, key=refusal.code == _UNKNOWN_PROPERTY)

    def given(self, path: Path, item: Any, index: int) -> Iterator[bytes]:
        if not isinstance(item, dict) or len(item) != 1:
            hint = "write `- membership.ended: {at: 2020-04-01T08:00:00Z, …}`"
            self.note(path, "PE070", "an event is its type and its properties", hint)
            return
        ((name, data),) = item.items()
        kind = self.catalogue.events.get(name)
        if kind is None:
            hint = did_you_mean(str(name), self.catalogue.events) or "`policyengine catalog` lists them"
            self.note((*path, name), "PE071", f"unknown event type `{name}`", hint, key=True)
            return
        if not self.is_mapping((*path, name), data, None):
            return
        at = data.get("at")
        at = plain_value(at) if isinstance(at, str) else at  # `${day}T08:00:00Z` is text until now
        if not isinstance(at, datetime) or at.tzinfo is None:
            hint = "write `at: 2020-03-15T08:00:00Z`"
            self.note((*path, name, "at"), "PE070", "an event needs the time at which it happened", hint)
            return
        types = {attribute: kind.attributes[attribute].type for attribute in kind.attributes}
        properties = data.get("data", {key: value for key, value in data.items() if key not in _ENVELOPE})
        of_world = kind.scope is Scope.WORLD
        subject = properties.get(kind.key or "", "world") if of_world else "c1"
        yield _bytes(
            {
                "specversion": "1.0",
                "id": str(data.get("id", f"e{index + 1}")),
                "source": str(data.get("source", "/cases")),
                "type": name,
                "subject": str(data.get("customer", subject)),
                "time": instant_to_json(at),
                "data": {key: _property(value, types.get(key)) for key, value in properties.items()},
            }
        )

    # World, companions, expectations, mutants

    def accepted(self, raw: Any) -> Iterator[Accepted]:
        here: Path = ("accepted_mutants",)
        if raw is not None and not isinstance(raw, list):
            self.note(here, "PE070", "accepted mutants are a list", "begin each with `- change: …`")
            return
        for index, item in enumerate(raw or ()):
            if not self.is_mapping((*here, index), item, _ACCEPTED_KEYS):
                continue
            change, reason, version, rule = (item.get(key) for key in _ACCEPTED_KEYS)
            if not (isinstance(change, str) and isinstance(reason, str) and reason.strip()):
                hint = "copy the change from `policyengine test --mutate`, and say why no case can tell"
                self.note((*here, index), "PE070", "an accepted mutant has a `change` and a `reason`", hint)
            elif type(version) not in (int, type(None)) or not isinstance(rule, (str, type(None))):
                self.note((*here, index), "PE070", "`version` is a number, `rule` the id of a rule")
            else:
                yield Accepted((*here, index), " ".join(change.split()), reason, version, rule)

    def world(self, path: Path, raw: Any) -> Iterator[tuple[str, Value]]:
        if raw is None or not self.is_mapping(path, raw, None):
            return
        known = world_attributes(self.catalogue)
        for name, value in raw.items():
            attribute = known.get(name)
            if attribute is None:
                hint = did_you_mean(str(name), known) or f"there are {', '.join(known)}"
                self.note((*path, name), "PE070", f"unknown fact `{name}`", hint, key=True)
                continue
            fact = _fact(value, attribute.type)
            if fact is None:
                self.note((*path, name), "PE070", f"`{name}` is {attribute.type.value}")
            else:
                yield name, fact

    def companions(self, path: Path, raw: Any) -> Iterator[str]:
        wanted = [raw] if isinstance(raw, str) else raw or []
        if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
            self.note(path, "PE070", "`with` names other policies", "write a list of them, or `all`")
            return
        yield from wanted

    def expectations(self, path: Path, raw: Mapping[str, Any], events: int) -> Iterator[Expectation]:
        here = (*path, "expect")
        wanted = raw.get("expect")
        if wanted is None and "later" in raw:
            return  # what comes later is expected
        if wanted is None or wanted in ({}, []):
            hint = f"write `expect: none`, or keys such as {', '.join(EXPECTATIONS[:4])}"
            self.note(here, "PE072", "a case without expectations", hint, key=wanted is None)
            return
        several = isinstance(wanted, list)
        for index, item in enumerate(wanted if several else [wanted]):
            reader = ExpectationReader(self.note, events)
            yield from reader.read((*here, index) if several else here, item)

    def is_mapping(self, path: Path, raw: Any, keys: tuple[str, ...] | None) -> bool:
        return is_mapping(self.note, path, raw, keys)

    def note(self, path: Path, code: str, message: str, hint: str = "", *, key: bool = False) -> None:
        """Note a finding."""
        self.findings.append(self.document.finding(path, code, message, hint, key=key))


def _refused(expect: Any, events: int) -> Iterator[int]:
    """The events that a case expects to be rejected."""
    for each in expect if isinstance(expect, list) else [expect]:
        if isinstance(each, dict) and "rejected" in each:
            after = each.get("after", events)
            yield after - 1 if isinstance(after, int) else -1


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _property(value: Any, kind: ValueType | None) -> Any:
    if kind is ValueType.MONEY and isinstance(value, str) and (match := _MONEY.fullmatch(value)):
        return {"amount": match[1], "currency": match[2]}
    if kind is ValueType.TEXT and isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return str(value)
    return value


def _fact(value: Any, kind: ValueType) -> Value | None:
    """A fact of the world as it is written in a case, or None where it is of another type."""
    if kind is ValueType.TEXTS and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if type(value) is _PYTHON.get(kind) and isinstance(value, (str, int, date)):
        return value
    return None


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, default=_jsonable).encode()


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_to_json(value) if value.tzinfo is not None else value.isoformat()
    return value.isoformat() if isinstance(value, date) else float(value)
