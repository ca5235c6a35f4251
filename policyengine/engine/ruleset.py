"""The compiled shapes: what a policy set is once every expression has been checked.

Built by engine.compile; used by engine.decide and engine.explain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from policyengine.domain.calendar import local_date
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.policy import Basis, Cap, Exclusive
from policyengine.domain.policy_model import Customers
from policyengine.domain.values import Value
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.expressions import Compiled
from policyengine.engine.facts import FactBuilder, Facts
from policyengine.engine.messages import Template
from policyengine.engine.tables import CompiledTable

Parameter = Value | Decimal


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [start, until) on an anchor; both in the anchor's own type."""

    anchor: str
    start: date | datetime
    until: date | datetime | None

    def contains(self, at: date | datetime) -> bool:
        """Whether the anchor's value falls in it."""
        return self.start <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class DatedParameter:
    """A parameter's values, each from its day on; without a day, always."""

    name: str
    starts: tuple[date, ...]
    values: tuple[Parameter, ...]

    def on(self, day: date) -> Parameter | None:
        """The value that applies on ``day``; None before the first."""
        at = bisect_right(self.starts, day) - 1
        return None if at < 0 else self.values[at]


@dataclass(frozen=True, slots=True)
class CompiledRemedy:
    """A remedy's kind, its literal fields, and those still to be computed."""

    kind: str
    literals: Mapping[str, Value]
    computed: tuple[tuple[str, Compiled], ...]


@dataclass(frozen=True, slots=True)
class CompiledAlternative:
    """One alternative of an offer."""

    id: str
    title: Mapping[str, str]
    remedies: tuple[CompiledRemedy, ...]


@dataclass(frozen=True, slots=True)
class CompiledOffer:
    """An offer; its deadline is a date or an expression that gives one."""

    alternatives: tuple[CompiledAlternative, ...]
    default: str | None
    deadline: Compiled | date | None
    consent: bool


@dataclass(frozen=True, slots=True)
class CompiledFollowUp:
    """An event to come: its day, type and data; ``key``: the property that takes the entity's id.

    ``check`` raises Refusal for data that the event type does not take.
    """

    at: Compiled | date | None
    event: str
    data: tuple[tuple[str, Compiled], ...]
    key: str | None
    check: Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """What the rules of one file share."""

    id: str
    version: int
    basis: Basis
    zone: ZoneInfo
    currency: str | None
    window: Window
    enforced: Window | None
    withhold: bool
    fixed: Mapping[str, Parameter]  # `param.x` → value, where it never changes
    dated: tuple[DatedParameter, ...]
    cap: Cap | None
    title: Mapping[str, str] = field(default_factory=dict)
    cites: tuple[str, ...] = ()
    announced: date | None = None
    review: date | None = None
    retroactive: Window | None = None  # how far it reaches back, and until when it governs
    staff_first: int | None = None  # hours
    shadow: bool = False
    customers: Customers | None = None
    trial: str | None = None
    before: tuple[PolicyVersion, ...] = ()  # versions of the policy that are on trial in its place

    def day_of(self, anchor: date | datetime) -> date:
        """The civil day of an anchor's value in the policy's time zone."""
        return local_date(anchor, self.zone) if isinstance(anchor, datetime) else anchor


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule of one version; ``number`` is its place in the sorted set."""

    number: int
    policy: PolicyVersion
    id: str
    priority: int
    event_types: tuple[str, ...]
    entity: str | None
    clauses: tuple[Compiled, ...]
    conjuncts: tuple[Conjunct, ...]
    table: CompiledTable | None
    grant: tuple[CompiledRemedy, ...]
    deny: str | None
    offer: CompiledOffer | None
    say: Mapping[str, Template]
    exclusive: Exclusive | None
    cap: Cap | None
    shadow: bool
    title: Mapping[str, str] = field(default_factory=dict)
    follow_ups: tuple[CompiledFollowUp, ...] = ()

    @property
    def reads(self) -> frozenset[str]:
        """Every name that it reads, to decide and to speak."""
        alternatives = () if self.offer is None else self.offer.alternatives
        remedies = (*self.grant, *(remedy for choice in alternatives for remedy in choice.remedies))
        parts = [*self.clauses, *(part for remedy in remedies for _, part in remedy.computed)]
        if self.offer is not None and isinstance(self.offer.deadline, Compiled):
            parts.append(self.offer.deadline)
        for follow_up in self.follow_ups:
            parts += [] if not isinstance(follow_up.at, Compiled) else [follow_up.at]
            parts += [part for _, part in follow_up.data]
        names = {self.policy.window.anchor, *(name for part in parts for name in part.refs)}
        names.update(name for template in self.say.values() for name in template.placeholders)
        return frozenset(names) | (frozenset() if self.table is None else self.table.reads)

    @property
    def order(self) -> tuple[int, str, str]:
        """Who comes first among several: priority, then policy and rule by name."""
        return (-self.priority, self.policy.id, self.id)


class Candidates(Protocol):
    """Names the rules to decide on: engine.match's index, or one that looks at every rule."""

    def candidates(self, event_type: str, entity: str | None, facts: Facts) -> list[int]:
        """Numbers of the rules to decide on, ascending, each once; never without one that applies."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A policy set ready to decide with; ``digest`` names it in every decision.

    By event type: ``decided_types``, the entity types that some rule is `for`; ``read_types``, those
    whose attributes some rule reads. An event type that no rule is on is in neither. ``reached_types``:
    of an event of the world, whom its rules are for, in order; ``customer`` is the customer as such.

    ``varies``: by rule number, the types of the world that it reads and of which several may hold at once
    (crises, restrictions), by name; ``mixtures``: by event type, which of these sets its rules have.
    """

    digest: str
    catalogue: Catalogue
    rules: tuple[CompiledRule, ...]
    index: Candidates
    facts: FactBuilder
    decided_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    read_types: Mapping[str, frozenset[str]] = field(default_factory=dict)
    reached_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    varies: tuple[tuple[str, ...], ...] = ()
    mixtures: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)

    def close(self) -> None:
        """Free the index's network."""
        self.index.close()
