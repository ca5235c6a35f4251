"""What an event of the world decides for a customer whom it reaches: a decision for each thing it touches.

One customer at a time. Who is reached is found by the keys of domain.places; how a list of customers is
worked off is service.machine's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from policyengine.domain.decision import Decision, Ref
from policyengine.domain.events import Event
from policyengine.domain.kept import HELD, NOTICE, RELEASING
from policyengine.domain.places import CUSTOMER, touches
from policyengine.domain.state import CustomerState, evolve_decided
from policyengine.domain.world import World, world_ref
from policyengine.engine.decide import decide_entity, decision_of
from policyengine.engine.ruleset import RuleSet


def reached_types(ruleset: RuleSet, event_type: str) -> tuple[str, ...]:
    """The entity types that are decided on when an event of the world happens; `customer`: as such, first.

    They are those that some rule on it is for; and notices, where the event lets them go.
    """
    return ruleset.reached_types.get(event_type, ())


def touched(ruleset: RuleSet, state: CustomerState, world: World, event: Event) -> list[Ref | None]:
    """What an event of the world touches of a customer: the customer as such (None), then by type and id."""
    cause = world_ref(event, ruleset.catalogue)
    if cause is None:
        return []
    kinds = reached_types(ruleset, event.type)
    found = touches(ruleset.catalogue, world, cause, state, kinds, event.time)
    others: list[Ref | None] = [
        ref for ref in found if ref.type != CUSTOMER and _waits(ruleset, state, event, ref)
    ]
    return [None, *others] if any(ref.type == CUSTOMER for ref in found) else others


def _waits(ruleset: RuleSet, state: CustomerState, event: Event, ref: Ref) -> bool:
    """Whether there is something to let go; a notice that has gone out is not decided on once more."""
    if (
        ref.type != NOTICE
        or event.type not in RELEASING
        or NOTICE in ruleset.decided_types.get(event.type, ())
    ):
        return True
    notice = state.entities[NOTICE][ref.id]
    return notice is not None and notice.values.get("status") == HELD


def decide_reached(
    ruleset: RuleSet, state: CustomerState, world: World, event: Event, granted: Mapping[str, int]
) -> list[Decision]:
    """The decisions for one customer, in order; each counts towards the caps of those that follow.

    ``granted``: how often the event's rules have granted something to other customers, by `policy/rule`,
    as ``grants_of`` names them. The world is as it stands when the customer's turn comes.
    """
    decisions: list[Decision] = []
    counted = Counter(granted)
    for ref in touched(ruleset, state, world, event):
        if decisions:
            state = evolve_decided(state, decisions[-1])
        if event.type in ruleset.read_types:
            made = decide_entity(ruleset, state, world, event, ref, own=None, granted=counted)
        else:  # no rule is on it: it lets notices go
            made = decision_of(ruleset, state, world, event, ref, claims=())
        counted.update(grants_of(made))
        decisions.append(made)
    return decisions


def grants_of(decision: Decision) -> tuple[str, ...]:
    """The rules that granted or offered something, as `policy/rule`, each once: what caps per event count."""
    granted = {f"{remedy.policy}/{remedy.rule}" for remedy in decision.remedies}
    return tuple(sorted(granted | {f"{offer.policy}/{offer.rule}" for offer in decision.offers}))
