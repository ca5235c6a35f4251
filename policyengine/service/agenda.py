"""What a policy set itself lets happen at a set time: versions that are looked at again or reach back."""

from __future__ import annotations

from policyengine.domain.calendar import local_midnight
from policyengine.domain.kept import version_id
from policyengine.domain.state import to_micros
from policyengine.domain.timers import Timer
from policyengine.domain.values import Json
from policyengine.domain.world import World
from policyengine.engine.ruleset import PolicyVersion, RuleSet
from policyengine.engine.supplement import takes_effect

TOOK_EFFECT, REVIEW_DUE = "policy.took_effect", "policy.review_due"
POLICY_VERSION = "policy_version"


def took_effect(version: PolicyVersion, world: World) -> bool:
    """Whether a version that reaches back has done so."""
    entity = world.entities.get(POLICY_VERSION, {}).get(version_id(version.id, version.version))
    return entity is not None and "took_effect_at" in entity.values


def policy_timers(ruleset: RuleSet, world: World) -> dict[str, Timer]:
    """By id, the timers of a set's versions that have not fired yet.

    A review that was due before the set is adopted is overdue, which is shown elsewhere; what reaches back
    does so however late it is adopted, once.
    """
    wanted: dict[str, Timer] = {}
    known = ruleset.catalogue.events
    versions = {version_id(rule.policy.id, rule.policy.version): rule.policy for rule in ruleset.rules}
    for key, version in versions.items():
        if version.review is not None and REVIEW_DUE in known:
            due = to_micros(local_midnight(version.review, version.zone))
            if world.now is None or due > world.now:
                wanted[f"{REVIEW_DUE}:{key}"] = _timer(due, REVIEW_DUE, key, version)
        if version.retroactive is not None and TOOK_EFFECT in known and not took_effect(version, world):
            due = to_micros(takes_effect(version))
            wanted[f"{TOOK_EFFECT}:{key}"] = _timer(due, TOOK_EFFECT, key, version)
    return wanted


def _timer(due: int, event: str, key: str, version: PolicyVersion) -> Timer:
    data: dict[str, Json] = {POLICY_VERSION: key, "policy": version.id, "version": version.version}
    return Timer(due, "", f"{event}:{key}", event, data)
