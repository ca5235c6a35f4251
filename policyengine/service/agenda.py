"""What a policy set itself lets happen at a set time: versions that are looked at again or reach back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from policyengine.domain.calendar import local_midnight
from policyengine.domain.catalogue import Scope
from policyengine.domain.kept import version_id
from policyengine.domain.state import to_micros
from policyengine.domain.timers import Timer
from policyengine.domain.values import Json
from policyengine.domain.world import World
from policyengine.engine.ruleset import PolicyVersion, RuleSet

TOOK_EFFECT, REVIEW_DUE = "policy.took_effect", "policy.review_due"
POLICY_VERSION = "policy_version"


def versions(ruleset: RuleSet) -> Mapping[str, PolicyVersion]:
    """The versions of a set by `policy@version`."""
    return {version_id(rule.policy.id, rule.policy.version): rule.policy for rule in ruleset.rules}


def policy_timers(ruleset: RuleSet, world: World) -> dict[str, Timer]:
    """By id, the timers of a set's versions that have not fired yet.

    A review that was due before the set is adopted is overdue, which is shown elsewhere; what reaches back
    does so however late it is adopted, once.
    """
    wanted: dict[str, Timer] = {}
    known = ruleset.catalogue.events
    fired = world.entities.get(POLICY_VERSION, {})
    for key, version in versions(ruleset).items():
        data: dict[str, Json] = {POLICY_VERSION: key, "policy": version.id, "version": version.version}
        if version.review is not None and REVIEW_DUE in known:
            due = to_micros(local_midnight(version.review, version.zone))
            if world.now is None or due > world.now:
                timer = Timer(due, "", f"{REVIEW_DUE}:{key}", REVIEW_DUE, data)
                wanted[timer.id] = timer
        if version.retroactive is not None and TOOK_EFFECT in known:
            entity = fired.get(key)
            if entity is None or "took_effect_at" not in entity.values:
                timer = Timer(_takes_effect(version), "", f"{TOOK_EFFECT}:{key}", TOOK_EFFECT, data)
                wanted[timer.id] = timer
    return wanted


def _takes_effect(version: PolicyVersion) -> int:
    """When a version reaches back: on the day it was announced, else on the first that it governs."""
    day = version.window.start if version.announced is None else version.announced
    return to_micros(day if isinstance(day, datetime) else local_midnight(day, version.zone))


def reached_back(ruleset: RuleSet, key: str) -> frozenset[str]:
    """The customers' event types that the rules of a retroactive version are on; none where it is gone."""
    return frozenset(
        event_type
        for rule in ruleset.rules
        if rule.policy.retroactive is not None and version_id(rule.policy.id, rule.policy.version) == key
        for event_type in rule.event_types
        if ruleset.catalogue.events[event_type].scope is Scope.CUSTOMER
    )
