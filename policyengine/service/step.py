"""One event through the pure core: fold, decide, fold what was decided. The same for every use.

``run``, ``decide``, ``replay`` and the cases of a policy are this step with other inputs.
"""

from __future__ import annotations

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState, evolve, evolve_decided
from policyengine.domain.world import World
from policyengine.engine.decide import decide
from policyengine.engine.ruleset import RuleSet

NO_WORLD = World()


def step(
    ruleset: RuleSet, state: CustomerState, event: Event, world: World = NO_WORLD
) -> tuple[CustomerState, list[Decision]]:
    """The customer's state after the event and its decisions, and those decisions in order."""
    state = evolve(state, event, ruleset.catalogue)
    decisions = decide(ruleset, state, world, event)
    for decision in decisions:
        state = evolve_decided(state, decision)
    return state, decisions
