"""The rows that a shard's memory makes, as the ledger's tables hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policyengine.domain.state import settle
from policyengine.ledger.canonical import canonical
from policyengine.ledger.remembered import PLACES, QUEUES, RANKS, STATES, TIMERS, Layout, Row
from policyengine.service.ports import Batch, Head, LedgerStore, Place
from policyengine.service.refold import Refolded, refold
from policyengine.service.stored import Changes
from policyengine.service.world_rows import CUSTOMER, parts_of_world

Rows = Mapping[Row, Row]  # values by keys


def states_of(refolded: Refolded) -> dict[str, dict[str, bytes]]:
    """The parts of every state, by customer; "" is the world."""
    states = {customer: settle(state)[1] for customer, state in refolded.states.items()}
    return {**states, CUSTOMER: parts_of_world(refolded.world)}


def changes_of(refolded: Refolded) -> Changes:
    """All of it as something to be written."""
    places = {Place(key, *found): True for found, keys in refolded.places.items() for key in keys}
    return Changes(states_of(refolded), refolded.timers, places, refolded.ranks, refolded.queues)


def rows_of(refolded: Refolded) -> Iterator[tuple[Layout, Rows]]:
    """The rows of each table."""
    states = {customer: settle(state)[1] for customer, state in refolded.states.items()}
    states[CUSTOMER] = parts_of_world(refolded.world)
    yield (
        STATES,
        {(customer, part): (body,) for customer, parts in states.items() for part, body in parts.items()},
    )
    yield (
        TIMERS,
        {at: (timer.due, timer.event, canonical(dict(timer.data))) for at, timer in refolded.timers.items()},
    )
    yield PLACES, {(key, *found): () for found, keys in refolded.places.items() for key in keys}
    yield RANKS, {(customer,): (rank,) for customer, rank in refolded.ranks.items()}
    yield (
        QUEUES,
        {
            (job, position): (customer,)
            for job, customers in refolded.queues.items()
            for position, customer in enumerate(customers)
        },
    )


def stored_rows(store: LedgerStore, shard: str, layout: Layout) -> Iterator[Row]:
    """The rows of a table as they are stored, keys and then values."""
    match layout.table:
        case STATES.table:
            yield from store.state_rows(shard)
        case TIMERS.table:
            yield from store.timer_rows(shard)
        case PLACES.table:
            yield from store.place_rows(shard)
        case RANKS.table:
            yield from store.rank_rows(shard)
        case _:
            yield from store.queue_rows(shard)


def remembered(store: LedgerStore, shard: str, head: Head) -> Batch | None:
    """What follows from the entries of a shard, to be written; None where these are no events.

    A shard of policy sets alone may hold one that only a later version can read.
    """
    if not store.seen_count(shard):
        return None
    changes = changes_of(refold(store, shard))
    return Batch(root=head.root, frontier=head.frontier, policy_set=head.policy_set, **changes._asdict())
