"""In which order `fmt` writes the keys of policies and of cases: that of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from policyengine.authoring.format_tree import Collection, Entry, Scalar
from policyengine.domain.policy import InputColumn, OutputColumn, Policy
from policyengine.domain.remedies import REMEDY_KINDS, RemedySpec

_CASES = ("policy", "with", "world", "cases", "accepted_mutants")
_ACCEPTED = ("version", "rule", "change", "reason")
_CASE = ("name", "description", "with", "world", "examples", "given", "events", "expect", "later")
_EVENT = ("at", "customer", "source", "id")
_ENVELOPE = ("specversion", "id", "source", "type", "subject", "time")
_EXPECT = (
    "after", "customer", "entity", "rejected", "outcome", "remedies", "not", "offers", "denials", "shadow",
    "rules", "lost", "unknown", "errors", "messages",
)  # fmt: skip
_LATER = ("on", "happens", "rule", "customer", "expect")


def order_policy(root: Collection) -> None:
    """Sort the keys of a policy file's tree."""
    _order_model(root, Policy)


def order_cases(root: Collection) -> None:
    """Sort the keys of a tree of cases; properties of events stay as they were written."""
    _sort(root, _CASES)
    for accepted in _items(root, "accepted_mutants"):
        _sort(accepted, _ACCEPTED)
    for case in _items(root, "cases"):
        _sort(case, _CASE)
        for step in _items(case, "given"):
            for entry in step.entries:
                if isinstance(entry.value, Collection):
                    _sort(entry.value, _EVENT)
        for event in _items(case, "events"):
            _sort(event, _ENVELOPE)
        _order_expected(case)
        for later in (*_items(case, "later"), *_values(case, "later")):
            _sort(later, _LATER)
            _order_expected(later)


def _order_expected(case: Collection) -> None:
    for expected in (*_items(case, "expect"), *_values(case, "expect")):
        _sort(expected, _EXPECT)
        for key in ("remedies", "shadow"):
            for remedy in _items(expected, key):
                _sort(remedy, _remedy_keys(remedy))


def _order_model(collection: Collection, model: type[BaseModel]) -> None:
    if issubclass(model, RemedySpec):
        _sort(collection, _remedy_keys(collection))
        return
    fields = {about.alias or name: about.annotation for name, about in model.model_fields.items()}
    _sort(collection, tuple(fields))
    for entry in collection.entries:
        inner = fields.get(_key(entry))
        for below in _below(entry.value):
            found = _model_of(inner, below)
            if found is not None:
                _order_model(below, found)


def _below(value: Any) -> Iterator[Collection]:
    if isinstance(value, Collection):
        if value.mapping:
            yield value
        else:
            yield from (each.value for each in value.entries if isinstance(each.value, Collection))


def _model_of(annotation: Any, collection: Collection) -> type[BaseModel] | None:
    """The model among the alternatives of a field's type that a mapping is written as."""
    found = list(_models(annotation))
    if not collection.mapping or not found:
        return None
    if issubclass(found[0], RemedySpec):
        return RemedySpec
    if found[0] in (InputColumn, OutputColumn):
        return OutputColumn if any(_key(entry) == "set" for entry in collection.entries) else InputColumn
    return found[0]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _remedy_keys(remedy: Collection) -> Sequence[str]:
    """The kind, its own fields, then what every remedy may carry."""
    kind = next(
        (
            each.value.value
            for each in remedy.entries
            if _key(each) == "kind" and isinstance(each.value, Scalar)
        ),
        "",
    )
    fields = REMEDY_KINDS[kind].model_fields if kind in REMEDY_KINDS else {}
    own = [about.alias or name for name, about in fields.items() if name not in {"kind", "note"}]
    return ("kind", *own, "note")


def _items(collection: Collection, key: str) -> Iterator[Collection]:
    """The mappings in the list below a key."""
    for value in _values(collection, key, mapping=False):
        yield from (
            each.value for each in value.entries if isinstance(each.value, Collection) and each.value.mapping
        )


def _values(collection: Collection, key: str, *, mapping: bool = True) -> Iterator[Collection]:
    for entry in collection.entries:
        if _key(entry) == key and isinstance(entry.value, Collection) and entry.value.mapping is mapping:
            yield entry.value


def _key(entry: Entry) -> str:
    return "" if entry.key is None else entry.key.value


def _sort(collection: Collection, keys: Sequence[str]) -> None:
    """Known keys first, in their order; others after them, as they were."""
    if not collection.mapping:
        return
    places: Mapping[str, int] = {key: place for place, key in enumerate(keys)}
    rank: Callable[[Entry], int] = lambda entry: places.get(_key(entry), len(places))  # noqa: E731
    collection.entries.sort(key=rank)
