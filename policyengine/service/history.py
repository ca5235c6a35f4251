"""What was known when a decision was made: found again from the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState, evolve, evolve_recorded
from policyengine.errors import LedgerError, UsageError
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Recorded, digest_of, revalidate


@dataclass(frozen=True, slots=True)
class Situation:
    """A decision's event, the customer's state then, and the policy set in force."""

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

    What the same event brought about besides is left out: its decisions were made on one state. Whoever
    asks for many hands in what is ``recorded``, so that a policy set is compiled once.
    """
    document = entry.document()
    decided = None if document["entity"] is None else Ref(**document["entity"])
    recorded = Recorded(store) if recorded is None else recorded
    state = CustomerState(document["customer"])
    event: Event | None = None
    for past in store.history(document["customer"]):
        if past.shard != entry.shard:
            continue
        if past.seq >= entry.seq:
            break
        if past.kind == Kind.EVENT:
            policy_set, validator = recorded.at(digest_of(past))
            event = revalidate(validator, past)
            state = evolve(state, event, policy_set.catalogue)
        elif past.kind == Kind.DECISION and past.document()["event"] != document["event"]:
            state = evolve_recorded(state, past.document())
    if event is None:
        message = f"decision {document['decision_id']} has no event before it; run `verify`"
        raise LedgerError(message, code="PE712")
    return Situation(recorded.at(digest_of(entry))[0], state, event, decided)
