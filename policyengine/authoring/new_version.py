"""`new --from`: the next version of a policy, which governs where the last one ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from policyengine.authoring.format_comments import tree_of
from policyengine.authoring.format_files import APART
from policyengine.authoring.format_order import order_policy
from policyengine.authoring.format_tree import Collection, Entry, Scalar
from policyengine.authoring.format_write import write
from policyengine.authoring.load import read_bytes, read_policy
from policyengine.domain.policy import Policy
from policyengine.errors import PolicyError, UsageError

_VERSIONED = re.compile(r"(.*)\.v[0-9]+\.yaml")
_DATED = ("announced", "review", "retroactive")  # of the old version alone


@dataclass(frozen=True, slots=True)
class NextVersion:
    """A file that is not there yet, and what to look at in it."""

    path: Path
    content: bytes
    notes: tuple[str, ...]


def next_version(old: Path, starts: date | None, today: date) -> NextVersion:
    """The same rules under the next number, from ``starts``, else from where the window ends."""
    loaded, findings = read_policy(read_bytes(old), old.as_posix())
    if loaded is None:
        raise PolicyError(findings)
    policy = loaded.policy
    begins = _beginning(policy, starts)
    root = tree_of(loaded.document.text)
    assert root is not None  # noqa: S101 - it is a policy
    order_policy(root)
    removed = [entry.key.value for entry in root.entries if entry.key and entry.key.value in _DATED]
    root.entries = [entry for entry in root.entries if entry.key is None or entry.key.value not in _DATED]
    number = policy.version + 1
    _set(root, "version", str(number))
    window = next(entry.value for entry in root.entries if _is(entry, "effective"))
    assert isinstance(window, Collection)  # noqa: S101 - it is a policy
    _set(window, "from", begins)
    window.entries = [entry for entry in window.entries if not _is(entry, "until")]
    if policy.staff_first is not None:
        at = next(place for place, entry in enumerate(root.entries) if _is(entry, "effective"))
        word = Scalar(0, 0, today.isoformat(), "", "")
        root.entries.insert(at, Entry(root, 0, Scalar(0, 0, "announced", "", ""), word))
    named = _VERSIONED.fullmatch(old.name)
    stem = named[1] if named is not None else old.name.removesuffix(".yaml")
    notes = [f"It says what version {policy.version} says, from {begins} on: change what is to be new."]
    if policy.effective.until is None:
        notes.append(f"Two versions never govern at once: write `until: {begins}` in {old}.")
    if removed:
        notes.append(f"Left out, since it was said of version {policy.version}: {', '.join(removed)}.")
    notes.append(f"Both versions share {stem}.cases.yaml: add cases on either side of {begins}.")
    content = write(root, APART).encode()
    return NextVersion(old.with_name(f"{stem}.v{number}.yaml"), content, tuple(notes))


def _beginning(policy: Policy, starts: date | None) -> str:
    window = policy.effective
    if starts is None:
        if window.until is None:
            message = f"version {policy.version} has no end: say from when the next one governs"
            raise UsageError(f"{message}, such as --starts 2020-07-01")
        return _text(window.until)
    # an instant has no day before its policy's zone is asked; the compiler compares exactly
    first = str(window.until if window.until is not None else window.from_)[:10]
    if starts.isoformat() < first or (window.until is None and starts.isoformat() == first):
        message = f"version {policy.version} governs {'until' if window.until else 'from'} {first}: "
        raise UsageError(f"{message}--starts must be {'that day or ' if window.until else ''}later")
    return starts.isoformat()


def _text(day: date | datetime) -> str:
    return day.isoformat()


def _is(entry: Entry, key: str) -> bool:
    return entry.key is not None and entry.key.value == key


def _set(collection: Collection, key: str, value: str) -> None:
    for entry in collection.entries:
        if _is(entry, key) and isinstance(entry.value, Scalar):
            entry.value = Scalar(0, 0, value, "", value)
