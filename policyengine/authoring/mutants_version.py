"""Small mistakes in what a whole version shares: its windows, its crisis, its parameters, its cap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from policyengine.authoring.mutant import Maker, Mutant, MutantKind
from policyengine.authoring.mutants_cel import shifted
from policyengine.authoring.yaml_source import Path as DataPath
from policyengine.domain.policy import Cap
from policyengine.engine.caps import cap_text

_DAY = timedelta(days=1)
_STEPS = (-1, 1)


@dataclass(frozen=True, slots=True)
class VersionMutants:
    """The mutants that touch every rule of a file."""

    maker: Maker

    def all(self) -> Iterator[Mutant]:
        """In no particular order."""
        policy = self.maker.loaded.policy
        yield from self._windows()
        case = "about a crisis of another kind, phase, region or sector, or about none"
        for key in () if policy.crisis is None else sorted(policy.crisis.model_fields_set):
            yield self.maker.gone(("crisis", key), f"crisis: {key}", case=case)
        for name, raw in policy.parameters.items():
            yield from self._parameter(name, raw)
        if policy.cap is not None:
            yield from cap_mutants(self.maker, policy.cap, ("cap",), None)

    def _windows(self) -> Iterator[Mutant]:
        policy = self.maker.loaded.policy
        by = policy.effective.by
        spans = [("effective", policy.effective, by), ("enforced", policy.enforced, by)]
        bounds: list[tuple[str, str, Any, str]] = [
            (key, end, bound, anchor)
            for key, span, anchor in spans
            if span is not None
            for end, bound in (("from", span.from_), ("until", span.until))
        ]
        if policy.retroactive is not None:
            bounds.append(("retroactive", "from", policy.retroactive.from_, f"a past event by {by}"))
        for key, end, bound, anchor in bounds:
            for step in _STEPS if bound is not None else ():
                case = f"with {anchor} on {bound if step > 0 else bound - _DAY}"
                moved = bound + step * _DAY
                name = f"{key}.{end}"
                yield self.maker.changed(MutantKind.WINDOWS, (key, end), moved, case=case, name=name)
        if policy.staff_first is not None:
            for step in _STEPS:
                hours = policy.staff_first.hours + step
                path: DataPath = ("staff_first", "hours")
                case = (
                    f"in which the staff acknowledge nothing for {max(policy.staff_first.hours, hours)} hours"
                )
                yield self.maker.changed(
                    MutantKind.THRESHOLDS, path, hours, case=case, name="staff_first.hours"
                )

    def _parameter(self, name: str, raw: Any) -> Iterator[Mutant]:
        if not isinstance(raw, dict):
            yield from self._value(("parameters", name), raw, name)
            return
        for day, value in raw.items():
            yield from self._value(("parameters", name, day), value, name)
            for moved in (day - _DAY, day + _DAY):
                if moved in raw:
                    continue
                yield self.maker.made(
                    MutantKind.PARAMETERS,
                    ("parameters", name),
                    {moved if each == day else each: item for each, item in raw.items()},
                    before=f"{name} from {day}",
                    after=f"from {moved}",
                    case=f"on {min(day, moved)}, whose result depends on param.{name}",
                    place=("parameters", name, day),
                )

    def _value(self, path: DataPath, value: Any, name: str) -> Iterator[Mutant]:
        case = f"whose result depends on param.{name} to the smallest unit"
        if isinstance(value, bool):
            yield self.maker.changed(MutantKind.PARAMETERS, path, not value, case=case, name=name)
            return
        for new in shifts(value):
            yield self.maker.changed(MutantKind.PARAMETERS, path, new, case=case, name=name)


def cap_mutants(maker: Maker, cap: Cap, path: DataPath, rule: int | None) -> Iterator[Mutant]:
    """Without the cap, and with a cap of one more or less."""
    case = f"in which {cap_text(cap)} is reached, and one in which it is just not"
    yield maker.gone(path, cap_text(cap), case=case, rule=rule, kind=MutantKind.CAPS)
    for key, value in (("count", cap.count), ("amount", cap.amount)):
        for new in shifts(value):
            if new != 0:
                name = f"cap.{key}"
                yield maker.changed(MutantKind.THRESHOLDS, (*path, key), new, case=case, name=name, rule=rule)


def shifts(value: Any) -> list[Any]:
    """A number, a date, or money written as text, one unit less and one unit more; of anything else none."""
    match value:
        case bool():
            return []
        case int():
            return [value + step for step in _STEPS]
        case Decimal():
            return [Decimal(text) for text in map(str, _texts(str(value)))]
        case date():
            return [value + step * _DAY for step in _STEPS]
        case str():
            return _texts(value)
    return []


def _texts(value: str) -> list[str]:
    return [text for step in _STEPS if (text := shifted(value, step)) is not None]
