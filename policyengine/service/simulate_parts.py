"""One part of a shard's customers by itself, beside other parts of the same history: who couples them.

Customers are independent but for two things: the list of whom an event of the world reaches, with its
order, and what a cap per event counts. These are gathered from all parts when they are asked for; how
parts talk to each other is not here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Any
from zlib import crc32

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event
from policyengine.domain.world import Job, World
from policyengine.engine.reach import grants_of
from policyengine.engine.ruleset import RuleSet
from policyengine.service.in_memory import InMemory
from policyengine.service.machine import Machine

Gather = Callable[[Any], Sequence[Any]]  # one's own in, everybody's out, by the number of the part
_LAST = 2**63  # the rank of those who have none


def _alone(item: Any) -> Sequence[Any]:
    return (item,)


@dataclass(frozen=True, slots=True)
class Part:
    """Number ``number`` of ``of`` parts; all of them go through the same history.

    invariant: every part gathers the same number of times, in the same order, for what makes it gather is
    of the world, and that is the same in all of them.
    """

    number: int = 0
    of: int = 1
    gather: Gather = _alone

    def holds(self, customer: str) -> bool:
        """Whether the customer is one of this part's."""
        return self.of == 1 or crc32(customer.encode()) % self.of == self.number


WHOLE = Part()


class PartMemory(InMemory):
    """The memory of a part's customers, which knows whom an event of the world reaches in all parts."""

    def __init__(self, part: Part, world: World | None = None, *, remember: bool = False) -> None:
        super().__init__(world, remember=remember)
        self._part = part
        self._lean = remember

    def note(self, event: Event, decisions: Sequence[Decision], *, customer: str, internal: bool) -> None:
        """What happened, without how it was decided: the past is asked what was given."""
        if self._lean:
            decisions = [one._replace(trace=(), messages={}) for one in decisions]
        super().note(event, decisions, customer=customer, internal=internal)

    def touched(self, keys: Sequence[str]) -> list[str]:
        """The customers of all parts, by rank and then by customer."""
        own = super().touched(keys)
        if self._part.of == 1:
            return own
        ranked = [(self.ranks.get(customer, _LAST), customer) for customer in own]
        return [customer for _, customer in sorted(chain(*self._part.gather(ranked)))]

    def customers_with(self, event_types: AbstractSet[str]) -> list[str]:
        """Whoever had such an event, in all parts."""
        own = super().customers_with(event_types)
        return own if self._part.of == 1 else sorted(chain(*self._part.gather(own)))


class PartMachine(Machine):
    """Decides for a part's customers; pieces of jobs are those of all customers."""

    def __init__(self, ruleset: RuleSet, memory: PartMemory, part: Part) -> None:
        super().__init__(ruleset, memory)
        self._part = part
        self._capped = _capped_types(ruleset)

    def adopt(self, ruleset: RuleSet) -> None:
        """Decide under another policy set from here on."""
        super().adopt(ruleset)
        self._capped = _capped_types(ruleset)

    def _reach(self, job: Job, customer: str, granted: Counter[str]) -> list[Decision]:
        mine = self._part.holds(customer)
        decisions = super()._reach(job, customer, granted) if mine else []
        if self._part.of > 1 and job.event is not None and job.event.get("type") in self._capped:
            own = [name for decision in decisions for name in grants_of(decision)]
            for others in self._part.gather(own):
                if not mine:
                    granted.update(others)
        return decisions


def _capped_types(ruleset: RuleSet) -> frozenset[str]:
    """The event types on which some rule has a cap per event, of its own or its policy's."""
    return frozenset(
        event_type
        for rule in ruleset.rules
        if any(cap is not None and cap.per == "event" for cap in (rule.cap, rule.policy.cap))
        for event_type in rule.event_types
    )
