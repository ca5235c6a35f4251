"""Days on which something is missing: no version of a policy governs, or a parameter has no value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from policyengine.engine.faults import Fault
from policyengine.engine.lint_scope import Seen
from policyengine.engine.ruleset import PolicyVersion


def version_remarks(seen: Sequence[Seen]) -> Iterator[Fault]:
    """PE085 and PE086."""
    versions = {rule.at: rule.compiled.policy for rule in seen}
    yield from _gaps(versions)
    for at, version in versions.items():
        yield from _without_value(at, version, [rule for rule in seen if rule.at == at])


def _gaps(versions: dict[int, PolicyVersion]) -> Iterator[Fault]:
    by_policy: dict[str, list[tuple[int, PolicyVersion]]] = {}
    for at, version in versions.items():
        by_policy.setdefault(version.id, []).append((at, version))
    for same in by_policy.values():
        first, *others = sorted(same, key=lambda item: item[1].window.start)
        earlier = first[1]  # of those before, the one that governs longest
        for at, later in others:
            until = earlier.window.until
            if until is not None and until < later.window.start:
                text = f"{_span(earlier, later)} no version of `{later.id}` governs"
                hint = (
                    f"let version {earlier.version} end with `until: {_written(later, later.window.start)}`"
                )
                yield Fault(at, ("effective", "from"), 0, "PE085", text, hint)
            ends = later.window.until
            if until is not None and (ends is None or ends > until):
                earlier = later


def _span(earlier: PolicyVersion, later: PolicyVersion) -> str:
    until, start = earlier.window.until, later.window.start
    assert until is not None  # noqa: S101 - the caller has asked
    first, after = earlier.day_of(until), later.day_of(start)
    if first == after:
        return f"from {_written(earlier, until)} to {_written(later, start)}"
    last = after - timedelta(days=1)
    return f"on {first.isoformat()}" if first == last else f"from {first.isoformat()} to {last.isoformat()}"


def _written(version: PolicyVersion, bound: date | datetime) -> str:
    """A bound as a file would have it: a day where it is a midnight."""
    if not isinstance(bound, datetime):
        return bound.isoformat()
    local = bound.astimezone(version.zone)
    return (
        local.date().isoformat()
        if (local.hour, local.minute, local.second) == (0, 0, 0)
        else local.isoformat()
    )


def _without_value(at: int, version: PolicyVersion, rules: Sequence[Seen]) -> Iterator[Fault]:
    read = {name for rule in rules for name in rule.compiled.reads}
    read -= {name for rule in rules for name in rule.asks}  # who asks knows that it may be absent
    windows = [one for one in (version.window, version.retroactive) if one is not None]
    begins = min(version.day_of(one.start) for one in windows)
    for parameter in version.dated:
        first = parameter.starts[0]
        if parameter.name in read and first > begins:
            name = parameter.name.removeprefix("param.")
            last = first - timedelta(days=1)
            span = (
                f"on {begins.isoformat()}"
                if begins == last
                else f"from {begins.isoformat()} to {last.isoformat()}"
            )
            text = f"`{name}` has no value {span}, when the version governs already"
            hint = f"write a value from {begins.isoformat()} on"
            yield Fault(at, ("parameters", name), 0, "PE086", text, hint)
