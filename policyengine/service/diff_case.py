"""The smallest history of a customer on which two policy sets decide otherwise, found by leaving things out.

Delta debugging (Zeller and Hildebrandt, 2002) over the events that a ledger recorded for the customer and of
the world, then over what each of them says. How it is written down is authoring.words_case's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from typing import Any

import orjson

from policyengine.domain.decision import Decision
from policyengine.ledger.entries import Kind
from policyengine.service.dry_run import Answer, dry_run
from policyengine.service.machine import TICKED
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.simulate_given import Given, of_decision, same

Document = Mapping[str, Any]
_TRIES = 600  # runs of both policy sets, at the most
_SOURCE, _CUSTOMER = "/cases", "c1"  # what a case says where nothing is written


@dataclass(frozen=True, slots=True)
class SmallestCase:
    """Events as documents, the last of which is decided otherwise; what either side gives (None: nothing).

    ``whole``: how many events there were to begin with. ``minimal``: nothing more can be left out.
    """

    events: Sequence[Document]
    before: Given | None
    after: Given | None
    whole: int
    minimal: bool


def smallest_case(
    store: LedgerStore, shard: str, target: Given, before: PolicySet, after: PolicySet
) -> SmallestCase | None:
    """From the recorded events of a decision's customer; None where they alone do not show a difference.

    That is so where it hangs on other customers: on a cap per event that others have used up.
    """
    events = list(_recorded(store, shard, target.about.customer))
    search = _Search(target, before, after)
    found = search.ending(events)
    if found is None:
        return None
    kept = search.fewer(found)
    kept = search.shorter(kept)
    kept = search.named(kept)
    pair = search.difference(kept)
    if pair is None:
        return None
    return SmallestCase(kept, *pair, len(events), search.tries < _TRIES)


def _recorded(store: LedgerStore, shard: str, customer: str) -> Iterator[Document]:
    """The events from outside of a customer and of the world, in the order in which they came."""
    of_world = store.world_events(shard, store.head(shard).size)
    for entry in merge(store.of_customer(shard, customer), of_world, key=attrgetter("seq")):
        if entry.kind == Kind.EVENT:
            yield entry.document()["event"]


class _Search:
    def __init__(self, target: Given, before: PolicySet, after: PolicySet) -> None:
        self.tries = 0
        self._target = target
        self._sets = before, after
        self._customer = target.about.customer

    def difference(self, events: Sequence[Document]) -> tuple[Given | None, Given | None] | None:
        """What both sides make of the last event for the customer, where that is not the same.

        None as well where an event is refused: a case is to hold together by itself.
        """
        self.tries += 1
        lines = [orjson.dumps(event) for event in events]
        sides: list[dict[str, Given]] = []
        for policy_set in self._sets:
            last: Answer | None = None
            for answer in dry_run(policy_set, lines, clock=True):
                if answer.rejection is not None:
                    return None
                last = answer
            sides.append(self._given([] if last is None else last.decisions))
        return self._first(*sides)

    def _given(self, decisions: Sequence[Decision]) -> dict[str, Given]:
        found = map(of_decision, decisions)
        return {one.about.decision_id: one for one in found if one.about.customer == self._customer}

    def _first(
        self, was: Mapping[str, Given], now: Mapping[str, Given]
    ) -> tuple[Given | None, Given | None] | None:
        """The decision that was looked for, else the first that gives something otherwise."""
        changed = [key for key in {**now, **was} if not same(was.get(key), now.get(key))]
        changed.sort(key=lambda key: key != self._target.about.decision_id)
        return (was.get(changed[0]), now.get(changed[0])) if changed else None

    def ending(self, events: Sequence[Document]) -> list[Document] | None:
        """The events up to the first that is decided otherwise; with time passing, where that decides."""
        lines = [orjson.dumps(event) for event in events]
        end = self._tick(max((event["time"] for event in events), default=""), later=True)
        runs = [dry_run(each, [*lines, orjson.dumps(end)], clock=True) for each in self._sets]
        kept: list[Document] = []
        known: tuple[dict[str, Given], dict[str, Given]] = {}, {}
        for number, answers in enumerate(zip(*runs, strict=True)):
            if any(answer.rejection is not None for answer in answers):
                continue  # by other customers' history it may be allowed, or it was never
            event = end if number == len(events) else events[number]
            for early in (True, False):
                for side, answer in zip(known, answers, strict=True):
                    side.update(self._given(answer.earlier if early else answer.decisions))
                pair = self._first(*known)
                if pair is not None and (early or event is end):
                    one = pair[1] or pair[0]
                    return None if one is None else [*kept, self._tick(one.about.time)]
                if pair is not None:
                    return [*kept, event]
            kept.append(event)
        return None

    def _tick(self, time: str, *, later: bool = False) -> Document:
        at = f"{int(time[:4]) + 2}-01-01T00:00:00Z" if later and time else time
        return {
            "specversion": "1.0", "id": "tick", "source": _SOURCE, "type": TICKED, "time": at,
            "subject": "world", "data": {},
        }  # fmt: skip

    # --- leaving out --------------------------------------------------------------------------------

    def fewer(self, events: list[Document]) -> list[Document]:
        """Without any event that the difference does not need; the last stays."""
        *kept, last = events
        return [*self._reduced(kept, lambda some: [*some, last]), last]

    def _reduced(
        self, kept: list[Document], whole: Callable[[list[Document]], list[Document]]
    ) -> list[Document]:
        size = max(len(kept) // 2, 1)
        while kept and self.tries < _TRIES:
            start, shrunk = len(kept), False
            while start > 0 and self.tries < _TRIES:  # from the end: what comes late is needed least
                without = kept[: max(start - size, 0)] + kept[start:]
                if self.difference(whole(without)) is not None:
                    kept, shrunk = without, True
                start -= size
            if size == 1 and not shrunk:
                break
            size = max(size // 2, 1)
        return kept

    def shorter(self, events: list[Document]) -> list[Document]:
        """Without any property that the difference does not need."""
        for number, event in enumerate(events):
            for name in sorted(event["data"]):
                if self.tries >= _TRIES:
                    return events
                data = {key: value for key, value in events[number]["data"].items() if key != name}
                tried = [*events[:number], {**events[number], "data": data}, *events[number + 1 :]]
                if self.difference(tried) is not None:
                    events = tried
        return events

    def named(self, events: list[Document]) -> list[Document]:
        """With the names that a case has by itself, as far as nothing refers to the others."""
        customer, self._customer = self._customer, _CUSTOMER
        renamed: list[Document] = [
            {**event, "subject": _CUSTOMER if event["subject"] == customer else event["subject"]}
            for event in events
        ]
        plain: list[Document] = [
            {**event, "source": _SOURCE, "id": f"e{number}"} for number, event in enumerate(renamed, 1)
        ]
        for tried in (plain, renamed):
            if self.difference(tried) is not None:
                return tried
        self._customer = customer
        return events
