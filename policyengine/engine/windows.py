"""When a version governs: its window on its anchor, its dated parameters, and no two at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from policyengine.domain.calendar import local_midnight
from policyengine.domain.money import Money
from policyengine.domain.policy import Effective, Enforced, Policy
from policyengine.domain.policy_types import Day
from policyengine.domain.state import to_micros
from policyengine.domain.values import ValueType
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.expressions import DECIMAL, ParameterType
from policyengine.engine.faults import Report
from policyengine.engine.ruleset import DatedParameter, Parameter, PolicyVersion, Window
from policyengine.engine.shares import apart, lane
from policyengine.errors import MoneyError

_DAY_ZERO = date(1970, 1, 1).toordinal()


def anchor_window(policy: Policy, span: Effective | Enforced, anchor: str, kind: ValueType) -> Window:
    """A window in the anchor's own type: days for a date, UTC instants for an instant."""
    start = _bound(policy, span.from_, kind)
    until = None if span.until is None else _bound(policy, span.until, kind)
    return Window(anchor, start, until)


def retroactive_window(
    policy: Policy, window: Window, kind: ValueType, number: int, report: Report
) -> Window | None:
    """How far back a version reaches, up to where it ends; PE057 where that is not back at all."""
    if policy.retroactive is None:
        return None
    start = _bound(policy, policy.retroactive.from_, kind)
    if start >= window.start:
        text = "`retroactive` does not reach further back than `effective.from`"
        report.add(number, ("retroactive", "from"), "PE057", text, "name an earlier day, or leave it out")
    return Window(window.anchor, start, window.until)


def _bound(policy: Policy, day: Day, kind: ValueType) -> date | datetime:
    if isinstance(day, datetime):
        aware = day if day.tzinfo is not None else day.replace(tzinfo=policy.zone)
        return aware.astimezone(policy.zone).date() if kind is ValueType.DATE else aware.astimezone(UTC)
    return day if kind is ValueType.DATE else local_midnight(day, policy.zone)


def window_conjuncts(window: Window) -> tuple[Conjunct, ...]:
    """The window as the index knows it."""
    conjuncts = [Conjunct(window.anchor, ">=", _index_bound(window.start))]
    if window.until is not None:
        conjuncts.append(Conjunct(window.anchor, "<", _index_bound(window.until)))
    return tuple(conjuncts)


def _index_bound(bound: date | datetime) -> int:
    return to_micros(bound) if isinstance(bound, datetime) else bound.toordinal() - _DAY_ZERO


def check_overlaps(versions: Iterable[tuple[int, PolicyVersion]], report: Report) -> None:
    """One version governs a customer: PE050 for windows that overlap, PE051 for different anchors."""
    by_id: dict[str, list[tuple[int, PolicyVersion]]] = {}
    for number, version in versions:
        by_id.setdefault(version.id, []).append((number, version))
    for same in by_id.values():
        _check_one_policy(same, report)


def _check_one_policy(same: Sequence[tuple[int, PolicyVersion]], report: Report) -> None:
    first = same[0][1]
    for number, version in same[1:]:
        one, other = _anchor(version.window), _anchor(first.window)
        if one != other:
            text = (
                f"version {version.version} is anchored by {one} and version {first.version} by {other}: "
                "both could govern one event"
            )
            report.add(number, ("effective",), "PE051", text, "use the same `by` in all versions")
            return
    lanes: dict[str, list[tuple[int, PolicyVersion]]] = {}
    for number, version in same:
        lanes.setdefault(lane(version), []).append((number, version))
    for versions in lanes.values():
        ordered = sorted(versions, key=lambda item: (item[1].window.start, item[1].version))
        if any(version.customers is not None for _, version in versions):
            _check_shares(ordered, report)
        else:
            _check_in_turn(ordered, report)


def _check_shares(ordered: Sequence[tuple[int, PolicyVersion]], report: Report) -> None:
    """Versions for other customers may govern at once."""
    for at, (number, later) in enumerate(ordered):
        for _, earlier in ordered[:at]:
            until = earlier.window.until
            at_once = until is None or later.window.start < until
            if at_once and not apart(later.customers, earlier.customers):
                numbers = f"version {later.version} and version {earlier.version} of `{later.id}`"
                text = f"{numbers} overlap, and some customers are in both"
                hint = "give them shares of one group that do not overlap"
                report.add(number, ("effective", "from"), "PE050", text, hint)


def _check_in_turn(ordered: Sequence[tuple[int, PolicyVersion]], report: Report) -> None:
    longest, *others = ordered
    for number, later in others:
        earlier, until = longest[1], longest[1].window.until
        if until is None or later.window.start < until:
            text = f"version {later.version} and version {earlier.version} of `{later.id}` overlap"
            hint = f"let version {earlier.version} end with `until: {_written(later)}`"
            report.add(number, ("effective", "from"), "PE050", text, hint)
        if until is not None and (later.window.until is None or later.window.until > until):
            longest = (number, later)


def _anchor(window: Window) -> str:
    return f"the {'instant' if isinstance(window.start, datetime) else 'date'} `{window.anchor}`"


def _written(version: PolicyVersion) -> str:
    return version.day_of(version.window.start).isoformat()


def read_parameters(
    policy: Policy, number: int, report: Report
) -> tuple[dict[str, ParameterType], dict[str, Parameter], tuple[DatedParameter, ...]]:
    """Types by name, fixed values by `param.` name, and dated ones."""
    types: dict[str, ParameterType] = {}
    fixed: dict[str, Parameter] = {}
    dated: list[DatedParameter] = []
    for name, raw in policy.parameters.items():
        values = raw if isinstance(raw, dict) else {None: raw}
        read = {day: _parameter(value) for day, value in values.items()}
        kinds = {kind for kind, _ in read.values()}
        if len(kinds) != 1:
            text = f"parameter `{name}` has values of several types: {', '.join(sorted(kinds))}"
            report.add(number, ("parameters", name), "PE055", text, "give all its values one type")
            continue
        (types[name],) = kinds
        if not isinstance(raw, dict):
            fixed[f"param.{name}"] = read[None][1]
        else:
            days = sorted(raw)
            dated.append(DatedParameter(f"param.{name}", tuple(days), tuple(read[day][1] for day in days)))
    return types, fixed, tuple(dated)


def _parameter(raw: object) -> tuple[ParameterType, Parameter]:
    match raw:
        case bool():
            return ValueType.FLAG, raw
        case int():
            return ValueType.INTEGER, raw
        case Decimal():
            return DECIMAL, raw
        case date():
            return ValueType.DATE, raw
        case list():
            return ValueType.TEXTS, tuple(str(item) for item in raw)
    return _money_or_text(str(raw))


def _money_or_text(text: str) -> tuple[ParameterType, Parameter]:
    try:
        return ValueType.MONEY, Money.literal(text)
    except MoneyError:
        return ValueType.TEXT, text
