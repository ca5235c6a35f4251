"""Deciding without a ledger: nothing is stored, duplicates and conflicts are told as usual."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Decision
from policyengine.domain.events import Event, Rejection
from policyengine.domain.policy import Policy
from policyengine.domain.state import CustomerState
from policyengine.domain.validation import Validator
from policyengine.domain.values import Value
from policyengine.domain.world import World
from policyengine.ledger.entries import content_digest, event_key
from policyengine.service.pipeline import conflict
from policyengine.service.policy_sets import PolicySet, prepare
from policyengine.service.step import NO_WORLD, step


def dry_run(
    policy_set: PolicySet, lines: Iterable[bytes], world: World = NO_WORLD
) -> Iterator[list[Decision] | Rejection]:
    """For each line its decisions, or why it was rejected; a duplicate decides nothing."""
    validator = Validator(policy_set.catalogue)
    states: dict[str, CustomerState] = {}
    seen: dict[bytes, bytes] = {}
    for line in lines:
        event = validator.validate(line)
        if not isinstance(event, Event):
            yield event
            continue
        key, digest = event_key(event.source, event.id), content_digest(event.document)
        if key in seen:
            yield [] if seen[key] == digest else conflict(event, line)
            continue
        seen[key] = digest
        state = states.get(event.subject) or CustomerState(event.subject)
        states[event.subject], decisions = step(policy_set.ruleset, state, event, world)
        yield decisions


class CaseEngine:
    """Runs the cases of policy files; a policy set is compiled once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._prepared: dict[tuple[tuple[str, int], ...], PolicySet] = {}

    def run(
        self, policies: Sequence[Policy], world: Mapping[str, Value], events: Sequence[bytes]
    ) -> list[list[Decision] | Rejection]:
        """What the policies decide on the events, in order; CompileError as in `check`."""
        key = tuple(sorted((policy.policy, policy.version) for policy in policies))
        if key not in self._prepared:
            self._prepared[key] = prepare(policies, self._catalogue)
        return list(dry_run(self._prepared[key], events, World(world)))
