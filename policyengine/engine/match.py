"""The rule index: facts in, candidate rules out, by durable-rules' network. Nothing else imports it.

durable-rules is used as a stateless index: one fact is asserted under a fixed id, the actions that
it starts are read off, the fact is retracted. Its C functions are called directly, because all that
its Python layer would add is decoding JSON that was encoded a moment before. No clock, thread or
timer of its own runs. How facts and rules become a network is `engine.network_plan`'s.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from threading import Lock
from types import TracebackType
from typing import Self

import durable_rules_engine as durable
import orjson

from policyengine.domain.values import Value
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.network_limits import Entry, Leaf, Test
from policyengine.engine.network_plan import Plan, Planner, holds
from policyengine.errors import PolicyEngineError

_MATCHED, _UNMATCHED = 0, 1
_SID = "0"
_RETRACT = '{"id":1}'
_SENTINEL = '{"id":1,"0":1}'
_OPERATORS = {"!=": "$neq", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_names = count()


@dataclass(frozen=True, slots=True)
class IndexedRule:
    """What the index knows of a rule.

    ``entity``: the type of entity that the rule decides on; None matches only a decision on no
    entity. ``conjuncts`` must all hold; what else the rule asks for is not the index's business.
    """

    number: int
    event_types: tuple[str, ...]
    entity: str | None
    conjuncts: tuple[Conjunct, ...]


class IndexBrokenError(PolicyEngineError):
    """durable-rules answered what it never should; the network was rebuilt."""

    code = "PE299"


class Index:
    """Finds the rules whose conjuncts all hold on the facts; see ``network_plan.holds``.

    One call at a time: a lock makes threads wait for each other. ``close`` (or the end of the
    object) gives the networks' memory back.
    """

    def __init__(self, rules: Sequence[IndexedRule]) -> None:
        grouped: dict[tuple[str, str], list[tuple[int, tuple[Conjunct, ...]]]] = {}
        for rule in sorted(rules, key=lambda rule: rule.number):
            for event_type in dict.fromkeys(rule.event_types):
                grouped.setdefault((event_type, rule.entity or ""), []).append((rule.number, rule.conjuncts))
        self._lock = Lock()
        self._networks: list[_Network] = []
        self._free = weakref.finalize(self, _close_all, self._networks)
        self._by_type: dict[tuple[str, str], tuple[Plan, tuple[_Network, ...]]] = {}
        for key, of_type in grouped.items():
            plan = Planner().plan(of_type)
            networks = tuple(_Network(leaves) for leaves in plan.shards)
            self._networks.extend(networks)
            self._by_type[key] = (plan, networks)

    def candidates(self, event_type: str, entity: str | None, facts: Mapping[str, Value]) -> list[int]:
        """Numbers of the rules to decide on, ascending, each once."""
        found = self._by_type.get((event_type, entity or ""))
        if found is None:
            return []
        plan, networks = found
        numbers = [entry.number for entry in plan.always if _remains(entry, facts)]
        if networks:
            fact = '{"id":1' + plan.fact(facts) + "}"
            with self._lock:
                for network in networks:
                    for leaf in network.match(fact):
                        numbers += [entry.number for entry in leaf.entries if _remains(entry, facts)]
        numbers.sort()
        return numbers

    @property
    def network_count(self) -> int:
        """How many networks there are: for measurements."""
        return len(self._networks)

    def close(self) -> None:
        """Give the memory back; `candidates` must not be called afterwards."""
        with self._lock:
            self._by_type.clear()
            self._free()
            self._networks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _remains(entry: Entry, facts: Mapping[str, Value]) -> bool:
    return not entry.residual or all(holds(conjunct, facts) for conjunct in entry.residual)


def _close_all(networks: Iterable[_Network]) -> None:
    for network in networks:
        network.close()


class _Network:
    """One network of durable-rules and the leaves that its actions are named after."""

    def __init__(self, leaves: tuple[Leaf, ...]) -> None:
        self._leaves = leaves
        self._handle: int | None = None
        self._open()

    def match(self, fact: str) -> list[Leaf]:
        """The leaves whose tests all hold; ``fact`` is the JSON text with the id 1.

        invariant: the fact and its actions are gone afterwards, whatever happens.
        """
        try:
            return [self._leaves[number] for number in self._actions(fact)]
        except BaseException:
            # an interrupt or an error in between may leave a fact or a started action behind
            self.close()
            self._open()
            raise

    def _actions(self, fact: str) -> list[int]:
        handle = self._handle
        outcome, state = durable.assert_fact(handle, fact)
        if outcome == _UNMATCHED:
            return []
        if outcome != _MATCHED:
            message = f"the rule network answered {outcome} to a fact; the index was rebuilt, try again"
            raise IndexBrokenError(message)
        started = durable.start_action_for_state(handle, state)
        action = None if started is None else started[1]
        numbers: list[int] = []
        while action is not None:
            # {"17":{"m":…}}: the action is named after the leaf
            numbers.append(int(action[2 : action.index('"', 2)]))
            action = durable.complete_and_start_action(handle, state)
        durable.retract_fact(handle, _RETRACT)
        return numbers

    def _open(self) -> None:
        rules = {str(number): _definition(leaf.path) for number, leaf in enumerate(self._leaves)}
        sentinel = len(self._leaves)
        rules[str(sentinel)] = _definition((Test("0", "==", 1),))
        self._handle = durable.create_ruleset(f"policies-{next(_names)}", orjson.dumps(rules).decode())
        # The C code frees pointers of a state that it initialises with the first action only:
        # so run one now, before anything can be deleted.
        if self._actions(_SENTINEL) != [sentinel]:
            message = "the rule network does not answer; reinstall durable-rules 2.0.28"
            raise IndexBrokenError(message)

    def close(self) -> None:
        """Free the state first: deleting a network alone forgets it (12 kB for each rule)."""
        handle, self._handle = self._handle, None
        if handle is not None:
            durable.delete_state(handle, _SID)
            durable.delete_ruleset(handle)


def _definition(path: Sequence[Test]) -> dict[str, object]:
    tests: list[object] = [
        {test.key: test.value}
        if test.operator == "=="
        else {_OPERATORS[test.operator]: {test.key: test.value}}
        for test in path
    ]
    return {"all": [{"m": tests[0] if len(tests) == 1 else {"$and": tests}}]}
