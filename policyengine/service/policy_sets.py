"""A policy set as it is published: policies and catalogue in full, named by their digest.

What is recorded is enough to decide again without any file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.policy import Policy
from policyengine.domain.schema import read_catalogue
from policyengine.engine.compile import compile_policies
from policyengine.engine.ruleset import RuleSet
from policyengine.ledger.entries import Body, policy_set_body


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Policies ready to decide with, and the body that records them."""

    ruleset: RuleSet
    policies: tuple[Policy, ...]
    body: Body

    @property
    def digest(self) -> str:
        """Names the set: SHA-256 of its recorded body, in hex."""
        return self.ruleset.digest

    @property
    def catalogue(self) -> Catalogue:
        """The event and entity types it was checked against."""
        return self.ruleset.catalogue


def prepare(policies: Sequence[Policy], catalogue: Catalogue) -> PolicySet:
    """Compile a policy set and its record; CompileError carries every fault.

    invariant: the digest does not depend on the order in which files were read.
    """
    ordered = tuple(sorted(policies, key=lambda policy: (policy.policy, policy.version)))
    documents = [policy.model_dump(mode="json", by_alias=True, exclude_none=True) for policy in ordered]
    body = policy_set_body(documents, dict(catalogue.documents))
    return PolicySet(compile_policies(policies, catalogue, body.ref or ""), ordered, body)


def recorded(raw: bytes) -> PolicySet:
    """Read a policy set back from its recorded body."""
    document: Mapping[str, Any] = orjson.loads(raw)
    policies = [Policy.model_validate(policy) for policy in document["policies"]]
    return prepare(policies, read_catalogue(document["catalogue"]))
