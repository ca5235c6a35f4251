"""Every small mistake that a policy file could have: what a set of cases ought to notice.

What a version shares is authoring.mutants_version's, its rules are authoring.mutants_rule's, expressions
authoring.mutants_cel's, cells authoring.mutants_cells's. Trying them is authoring.mutate.
"""

from __future__ import annotations

from policyengine.authoring.load import LoadedPolicy
from policyengine.authoring.mutant import Maker, Mutant
from policyengine.authoring.mutants_rule import RuleMutants
from policyengine.authoring.mutants_version import VersionMutants


def mutants(loaded: LoadedPolicy) -> list[Mutant]:
    """The mutants of one file, in the order of their places."""
    maker = Maker(loaded)
    found = list(VersionMutants(maker).all())
    for place, rule in enumerate(loaded.policy.rules):
        found += RuleMutants(maker, place, rule).all()
    return sorted(found, key=lambda one: (one.line, one.column, one.kind, one.after))
