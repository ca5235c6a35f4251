"""Events that a rule lets happen later: checked against the catalogue, computed when the rule applies.

When they fire is service.machine's; the timers of a whole decision are engine.aftermath's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from policyengine.domain.calendar import add_days, local_date, local_midnight
from policyengine.domain.catalogue import Catalogue, EventType, Scope
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy import FollowUp, Rule
from policyengine.domain.properties import Refusal
from policyengine.domain.state import to_micros
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.domain.validation import data_check
from policyengine.domain.values import Json, Value, ValueType, to_json
from policyengine.engine.expressions import Compiled
from policyengine.engine.faults import Path
from policyengine.engine.ruleset import CompiledFollowUp, PolicyVersion
from policyengine.errors import EvaluationError, PolicyEngineError

Fault = Callable[[Path, str, str, str], None]
Compile = Callable[[str, ValueType, Path], Compiled | None]
_IN_THE_PAST, _NO_EVENT = "PE225", "PE226"


class Due(NamedTuple):
    """A follow-up computed: when (µs), which event, and its data; ``key`` is the entity's id to be."""

    due: int
    event: str
    key: str | None
    data: Mapping[str, Json]


def compile_follow_ups(
    rule: Rule, catalogue: Catalogue, compile_: Compile, fault: Fault, here: Path
) -> tuple[CompiledFollowUp, ...]:
    """A rule's follow-ups, checked; what is wrong is told to ``fault`` by its place, ``here`` and below."""
    checker = _Checker(rule, catalogue, compile_, fault)
    compiled = [checker.follow_up(one, (*here, nth)) for nth, one in enumerate(rule.follow_up)]
    return tuple(one for one in compiled if one is not None)


@dataclass(frozen=True, slots=True)
class _Checker:
    rule: Rule
    catalogue: Catalogue
    compile: Compile
    fault: Fault

    def follow_up(self, spec: FollowUp, here: Path) -> CompiledFollowUp | None:
        """One follow-up; what is wrong with it has been told."""
        kind = self._event_type(spec, (*here, "event"))
        if kind is None:
            return None
        at = self._day(spec.at, (*here, "at"))
        key = (
            kind.key if kind.key not in spec.data and _same_entity(self.rule, kind, self.catalogue) else None
        )
        for name, attribute in kind.attributes.items():
            if attribute.required and name not in spec.data and name != key:
                path = (*here, "data") if spec.data else here
                self.fault(path, "PE004", f"`{kind.name}` needs `{name}`", "add it to `data`")
        data = self._data(spec, kind, (*here, "data"))
        check = data_check(kind, self.catalogue, () if key is None else (key,))
        return CompiledFollowUp(at, kind.name, data, key, check)

    def _day(self, at: str | date, path: Path) -> Compiled | date | None:
        return self.compile(at, ValueType.DATE, path) if isinstance(at, str) else at

    def _event_type(self, spec: FollowUp, path: Path) -> EventType | None:
        kind = self.catalogue.events.get(spec.event)
        if kind is not None and _may_follow(kind):
            return kind
        if kind is None:
            known = [name for name, one in self.catalogue.events.items() if _may_follow(one)]
            hint = did_you_mean(spec.event, known)
            self.fault(path, "PE030", f"unknown event type `{spec.event}`", hint)
            return None
        whose = "the engine's own" if kind.internal else "an event of the world"
        text = f"`{spec.event}` is {whose}, which no rule lets happen"
        self.fault(path, "PE039", text, "name a customer's event type")
        return None

    def _data(self, spec: FollowUp, kind: EventType, here: Path) -> tuple[tuple[str, Compiled], ...]:
        data = []
        for name, source in spec.data.items():
            attribute = kind.attributes.get(name)
            if attribute is None:
                hint = did_you_mean(name, kind.attributes)
                self.fault((*here, name), "PE031", f"`{kind.name}` has no property `{name}`", hint)
                continue
            expression = self.compile(source, attribute.type, (*here, name))
            if expression is not None:
                data.append((name, expression))
                self._constant(expression, name, kind, (*here, name))
        return tuple(data)

    def _constant(self, expression: Compiled, name: str, kind: EventType, path: Path) -> None:
        """What no fact changes is refused before anything is decided: PE032."""
        if expression.refs:
            return
        try:
            data_check(kind, self.catalogue, kind.attributes)({name: to_json(expression.value({}))})
        except PolicyEngineError:
            return  # it will be an error in the decision
        except Refusal as refusal:
            text = f"`{kind.name}` does not take this: {refusal.reason}"
            self.fault(path, "PE032", text, f"see `policyengine catalog {kind.name}`")


def _may_follow(kind: EventType) -> bool:
    return kind.scope is Scope.CUSTOMER and not kind.internal


def _same_entity(rule: Rule, kind: EventType, catalogue: Catalogue) -> bool:
    """Whether whatever the rule is decided on has the type that the event concerns."""
    if rule.for_ is not None:
        return rule.for_ == kind.entity
    decided_on = {catalogue.events[event_type].entity for event_type in rule.event_types}
    of_world = any(catalogue.events[one].scope is Scope.WORLD for one in rule.event_types)
    return not of_world and decided_on == {kind.entity}


def follow_ups(
    policy: PolicyVersion, specs: Sequence[CompiledFollowUp], values: Mapping[str, Value]
) -> Iterator[Due]:
    """The follow-ups of a rule that applies; EvaluationError where one cannot be computed, or is past."""
    for spec in specs:
        at = spec.at.value(values) if isinstance(spec.at, Compiled) else spec.at
        text = spec.at.text if isinstance(spec.at, Compiled) else "at"
        day = not_past(policy, at, text, values)
        due = to_micros(local_midnight(day, policy.zone))
        _goes_on(due, day, text, values)
        data = {name: to_json(expression.value(values)) for name, expression in spec.data}
        _check_data(spec, data)
        yield Due(due, spec.event, spec.key, data)


def _goes_on(due: int, day: date, text: str, values: Mapping[str, Value]) -> None:
    """invariant: what the engine lets happen by itself leads to later things alone, so it comes to an end."""
    now = values.get("event.time")
    if values.get("event.source") == INTERNAL_SOURCE and isinstance(now, datetime) and due <= to_micros(now):
        message = (
            f"`{text}` gives {day.isoformat()}, which does not begin after this event of the engine's own: "
            "it could go on for ever"
        )
        raise EvaluationError(message, code=_IN_THE_PAST)


def _check_data(spec: CompiledFollowUp, data: dict[str, Json]) -> None:
    """invariant: what is promised can happen: the event's type takes the data, or the rule does not apply."""
    try:
        spec.check(data)
    except Refusal as refusal:
        message = f"`{spec.event}` cannot follow, it would be refused: {refusal.code} {refusal.reason}"
        raise EvaluationError(message, code=_NO_EVENT) from None


def check_deadline(policy: PolicyVersion, deadline: date, values: Mapping[str, Value]) -> None:
    """EvaluationError PE225 where the last day to choose is over before the offer is made."""
    add_days(not_past(policy, deadline, "deadline", values), 1)


def not_past(policy: PolicyVersion, at: object, text: str, values: Mapping[str, Value]) -> date:
    """The day itself, where the event's own day in the policy's zone is no later."""
    if not isinstance(at, date):
        message = f"`{text}` is no date"
        raise EvaluationError(message)
    now = values.get("event.time")
    if isinstance(now, datetime):
        today = local_date(now, policy.zone)
        if at < today:
            message = f"`{text}` gives {at.isoformat()}, which is before the event's day, {today.isoformat()}"
            raise EvaluationError(message, code=_IN_THE_PAST)
    return at
