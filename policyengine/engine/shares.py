"""Whom a version is for, where not for all: a share of the customers by a stable hash; versions on trial.

A version on trial goes before the others of its policy: for its share of the customers (`canary`), or beside
them and for nobody (`shadow`). Merging a candidate into a live set is service.trials'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256

from policyengine.domain.policy_model import CANARY, SHADOW, Customers
from policyengine.domain.values import Value
from policyengine.engine.ruleset import CompiledRule, PolicyVersion

_DOMAIN = b"policyengine/share/v1\n"
_PERCENT = 100


@lru_cache(maxsize=4096)
def bucket(group: str, customer: str) -> int:
    """Which hundredth of its group a customer is in, 0 to 99, for ever.

    The first 8 bytes of SHA-256 over `policyengine/share/v1`, a newline, the group, a newline and the
    customer, as a number, modulo 100.
    """
    digest = sha256(b"%b%b\n%b" % (_DOMAIN, group.encode(), customer.encode())).digest()
    return int.from_bytes(digest[:8], "big") % _PERCENT


def in_share(customers: Customers, facts: Mapping[str, Value]) -> bool:
    """Whether the customer is in that share."""
    return customers.from_ <= bucket(customers.group, str(facts["customer.id"])) < customers.until


def apart(one: Customers | None, other: Customers | None) -> bool:
    """Whether no customer is in both."""
    if one is None or other is None or one.group != other.group:
        return False
    return one.until <= other.from_ or other.until <= one.from_


def lane(version: PolicyVersion) -> str:
    """Versions of one lane must not govern at once; those of another may."""
    return version.trial or ("shadow" if version.shadow else "")


def not_for(version: PolicyVersion, facts: Mapping[str, Value]) -> str:
    """Why a version is not for this customer; "" where it is."""
    share = version.customers
    if share is not None and not in_share(share, facts):
        at = bucket(share.group, str(facts["customer.id"]))
        bounds = f"[{share.from_}, {share.until})"
        return f"not in this customer's share: {at} of 100 in `{share.group}` is not in {bounds}"
    for one in version.before:
        if one.trial == CANARY and _governs(one, facts) and not not_for(one, facts):
            return f"version {one.version} is on trial for this customer's share"
    return ""


def tried_beside(version: PolicyVersion, facts: Mapping[str, Value]) -> PolicyVersion | None:
    """The version in shadow that would govern in place of this one."""
    return next((one for one in version.before if one.trial == SHADOW and _governs(one, facts)), None)


def _governs(version: PolicyVersion, facts: Mapping[str, Value]) -> bool:
    anchor = facts.get(version.window.anchor)
    return isinstance(anchor, (date, datetime)) and version.window.contains(anchor)


def with_trials(rules: Sequence[CompiledRule]) -> tuple[CompiledRule, ...]:
    """The rules, each version knowing those that go before it while they are on trial."""
    trials = _by_policy(rule.policy for rule in rules if rule.policy.trial is not None)
    if not trials:
        return tuple(rules)
    made: dict[tuple[str, int], PolicyVersion] = {}
    out = []
    for rule in rules:
        policy = rule.policy
        before = () if policy.trial is not None or policy.shadow else trials.get(policy.id, ())
        if before:
            key = policy.id, policy.version
            policy = made.setdefault(key, replace(policy, before=tuple(before)))
            rule = replace(rule, policy=policy)  # noqa: PLW2901 - the same rule of a version that knows more
        out.append(rule)
    return tuple(out)


def _by_policy(versions: Iterable[PolicyVersion]) -> dict[str, list[PolicyVersion]]:
    found: dict[str, list[PolicyVersion]] = {}
    for version in versions:
        of_policy = found.setdefault(version.id, [])
        if version not in of_policy:
            of_policy.append(version)
    return found
