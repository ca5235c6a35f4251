"""Where something that is to be published stands: what it takes still, and who can give it."""

from __future__ import annotations

from typing import Any

from policyengine.cli.output import Format, print_json, say
from policyengine.ledger.publications import ROSTER
from policyengine.service.approvals import Standing, told


def show_standing(standing: Standing, form: Format, **more: Any) -> None:
    """Say it; ``more`` goes into the JSON."""
    proposal = standing.proposal
    if form is Format.JSON:
        print_json(
            {
                "proposal": proposal.seq,
                "purpose": proposal.purpose,
                "policy_set" if proposal.purpose != ROSTER else "roster": proposal.digest,
                "at": proposal.at,
                "new": standing.new,
                "complete": standing.complete,
                "withdrawn": proposal.withdrawn,
                "approved": list(standing.approved),
                "lacking": standing.lacking,
                "may_approve": list(standing.may) if standing.lacking else [],
                "size": standing.size,
                "root": standing.root.hex(),
                **more,
            }
        )
        return
    say(_sentence(standing))
    if standing.approved and proposal.purpose != ROSTER:
        say(f"Approved by {', '.join(standing.approved)}")
    if standing.lacking:
        people = "another person" if standing.lacking == 1 else f"{standing.lacking} people"
        say(f"It waits for {people}: {', '.join(standing.may)}")
        say(f"  policyengine approve {proposal.digest} --key FILE")
    say(f"Size and root: {standing.size}:{standing.root.hex()}")


def _sentence(standing: Standing) -> str:
    proposal = standing.proposal
    what = "The roster" if proposal.purpose == ROSTER else f"Policy set {proposal.digest}"
    if proposal.withdrawn:
        return f"{told(proposal)} is withdrawn"
    if not standing.complete:
        return f"{what} is staged as proposal {proposal.seq}: not in force"
    if proposal.at is not None:
        return f"{what} takes effect at {proposal.at} (proposal {proposal.seq})"
    already = "" if standing.new else " already"
    return f"{what} {'is' if standing.new else 'was'} in force{already}"
