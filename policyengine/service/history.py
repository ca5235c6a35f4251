"""What was known when a decision was made: found again from the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from policyengine.domain.catalogue import Scope
from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState, evolve, evolve_recorded
from policyengine.domain.world import World, evolve_world
from policyengine.errors import LedgerError, UsageError
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Recorded, cause_of, digest_of, revalidate


@dataclass(frozen=True, slots=True)
class Situation:
    """A decision's event, the customer's state then, and the policy set in force.

    The event is the customer's own, one of the engine's own for them, or one of the world.
    """

    policy_set: PolicySet
    state: CustomerState
    event: Event
    entity: Ref | None


def find_decision(store: LedgerStore, decision_id: str) -> Entry:
    """The entry of a decision; UsageError when there is none."""
    found = store.find_decisions(decision_id)
    if not found:
        message = f"the ledger has no decision `{decision_id}`"
        raise UsageError(message)
    if found[0].document().get("decision_id") != decision_id:
        message = f"the decision `{decision_id}` (entry {found[0].seq}) has another's body; run `verify`"
        raise LedgerError(message, code="PE708")
    return found[0]


def situation(store: LedgerStore, entry: Entry, recorded: Recorded | None = None) -> Situation:
    """Fold the customer's events and decisions up to the one in question.

    What the same event brought about besides is left out: its decisions were made on one state. A
    supplement was made on the state of the event that it comes back to. ``recorded`` spares whoever asks
    often that policy sets are compiled each time.
    """
    document = entry.document()
    decided = None if document["entity"] is None else Ref(**document["entity"])
    recorded = Recorded(store) if recorded is None else recorded
    cause = cause_of(store, entry.shard, document, entry.seq)
    stop = entry.seq if document.get("supplements") is None else cause.seq + 1
    state = CustomerState(document["customer"])
    for past in store.of_customer(entry.shard, document["customer"]):
        if past.seq >= stop:
            break
        if past.kind != Kind.DECISION:
            policy_set, validator = recorded.at(digest_of(past))
            state = evolve(state, revalidate(validator, past), policy_set.catalogue)
        elif past.document()["event"] != document["event"]:
            state = evolve_recorded(state, past.document())
    event = revalidate(recorded.at(digest_of(cause))[1], cause)
    return Situation(recorded.at(digest_of(entry))[0], state, event, decided)


def world_before(store: LedgerStore, entry: Entry, recorded: Recorded | None = None) -> World:
    """The world as it was when an entry was written: its entities, without what was under way."""
    recorded = Recorded(store) if recorded is None else recorded
    world = World()
    for past in store.world_events(entry.shard, entry.seq):
        policy_set, validator = recorded.at(digest_of(past))
        event = revalidate(validator, past)
        if policy_set.catalogue.events[event.type].scope is Scope.WORLD:
            world = evolve_world(world, event, policy_set.catalogue)
    return world
