"""A candidate tried beside a live policy set: merged into one set, so that one digest says what was decided.

Versions of the candidate that the live set does not have go before those that it has: for a share of the
customers (canary), or for nobody (shadow). How they are decided is engine.shares'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from policyengine.domain.policy import Policy
from policyengine.domain.policy_model import CANARY, SHADOW, Customers
from policyengine.errors import PublishingError

GROUP = "canary"
_CODE = "PE737"
Key = tuple[str, int]


def live_alone(policies: Iterable[Policy]) -> list[Policy]:
    """A policy set without what is on trial in it."""
    return [one for one in policies if one.trial is None]


def shadowed(live: Sequence[Policy], candidate: Sequence[Policy]) -> list[Policy]:
    """The live set with the candidate's new versions in shadow.

    What reaches back is not tried (`affected` tells what it would add), nor are reviews and the staff's.
    """
    unset = {"retroactive": None, "staff_first": None, "review": None}
    return _merged(live, candidate, {"trial": SHADOW, **unset})


def canaried(
    live: Sequence[Policy], candidate: Sequence[Policy], percent: int, group: str = GROUP
) -> list[Policy]:
    """The live set with the candidate's new versions for a share of the customers.

    invariant: the share begins at the first hundredth, so that widening it takes nobody out.
    """
    customers = Customers(group=group, from_=0, until=percent)
    return _merged(live, candidate, {"trial": CANARY, "customers": customers})


def _merged(live: Sequence[Policy], candidate: Sequence[Policy], mark: dict[str, Any]) -> list[Policy]:
    kept = live_alone(live)
    known = {_key(one): one for one in kept}
    tried = []
    for one in candidate:
        if one.trial is not None:
            text = f"version {one.version} of `{one.policy}` says `trial` itself: leave it out of the file"
            raise PublishingError(text, code=_CODE)
        before = known.get(_key(one))
        if before is None:
            tried.append(one.model_copy(update=mark))
        elif before != one and _but_for_its_end(before) != _but_for_its_end(one):
            text = f"version {one.version} of `{one.policy}` is not the live one, and has its number"
            raise PublishingError(f"{text}: give it the next number", code=_CODE)
    if not tried:
        text = "the candidate has no version that the live set does not have: there is nothing to try"
        raise PublishingError(text, code=_CODE)
    _check_ends(known, candidate, {one.policy for one in tried})
    return [*kept, *tried]


def _check_ends(known: dict[Key, Policy], candidate: Iterable[Policy], tried: set[str]) -> None:
    """A version that ends where its successor begins is no change by itself: the successor goes before it."""
    for one in candidate:
        before = known.get(_key(one))
        if before is not None and before != one and one.policy not in tried:
            text = f"version {one.version} of `{one.policy}` only ends at another time, without a successor"
            raise PublishingError(f"{text}: that cannot be tried, `publish` it", code=_CODE)


def _but_for_its_end(policy: Policy) -> Policy:
    return policy.model_copy(update={"effective": policy.effective.model_copy(update={"until": None})})


def _key(policy: Policy) -> Key:
    return policy.policy, policy.version
