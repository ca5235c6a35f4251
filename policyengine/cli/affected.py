"""`affected`: what a version that reaches back would add to past decisions, shown before it is published."""

from __future__ import annotations

from typing import Annotated

import typer

from policyengine.bootstrap import policy_set_of
from policyengine.cli.audit import reading
from policyengine.cli.options import (
    FormatOption,
    LedgerOption,
    RulesOption,
    SchemasOption,
    rules_of,
    settings_with,
)
from policyengine.cli.output import Format, print_json, progress, say
from policyengine.engine.explain import remedy_text
from policyengine.service.affected import Affected, Touched, find_affected

_SHOWN = 40  # decisions that people are shown


def affected(
    policy: Annotated[str, typer.Option("--policy", help="Name of the policy, such as travel/refunds.")],
    rules: RulesOption = None,
    ledger: LedgerOption = None,
    schemas: SchemasOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """List what a version that reaches back would add to past decisions, before it is published.

    Nothing is written. It is what publishing the folder would grant as the ledger stands, decision by
    decision; what has taken effect already is not granted again.

    Example: `policyengine affected --policy travel/refunds --rules rules`
    """
    settings = settings_with(ledger=ledger, rules=rules, schemas=schemas)
    policy_set = policy_set_of(rules_of(settings), settings.schemas)
    with reading(settings.ledger) as store:
        total = sum(store.head(shard).size for shard in store.shards())
        with progress("reading", total) as advance:
            found = find_affected(store, policy_set, policy, progress=advance)
    if form is Format.JSON:
        print_json({"policy_set": policy_set.digest, **found.to_json()})
    else:
        _show_affected(found)


def _show_affected(found: Affected) -> None:
    if not found.versions:
        say(f"no version of {found.policy} reaches back: publishing adds nothing to past decisions")
    for one in found.versions:
        already = f"; took effect already in shard {', '.join(one.took_effect)}" if one.took_effect else ""
        say(
            f"{found.policy} v{one.version} takes effect at {one.takes_effect:%Y-%m-%d %H:%M %Z}, "
            f"customers looked at: {one.looked_at:,}{already}"
        )
    for each in found.decisions[:_SHOWN]:
        for text in _touched_lines(each):
            say(text)
    if len(found.decisions) > _SHOWN:
        say(f"and {len(found.decisions) - _SHOWN:,} more; --format json has them all")
    say(f"decisions added to: {len(found.decisions):,}, of {found.customers:,} customers")
    kinds = [f"{count:,} x {kind}" for kind, count in sorted(found.kinds().items())]
    if found.offers():
        kinds.append(f"{found.offers():,} x a choice")
    for title, parts in (("granted", kinds), ("money", [str(money) for money in found.money()])):
        if parts:
            say(f"{title}: {', '.join(parts)}")


def _touched_lines(one: Touched) -> list[str]:
    made = one.supplement
    event, entity = made["event"], made["entity"]
    about = "" if entity is None else f", {entity['type']} {entity['id']}"
    added_to = made.get("supplements") or "nothing was decided on it"
    lines = [f"{made['customer']}{about}, {event['type']} on {event['time']} ({added_to})"]
    lines += [f"    was granted    {remedy_text(remedy)}" for remedy in one.granted]
    lines += [f"    would be added {remedy_text(remedy)}" for remedy in made["remedies"]]
    for offer in made["offers"]:
        choices = ", ".join(choice["id"] for choice in offer["alternatives"])
        lines.append(f"    would be added a choice of {choices}")
    return lines
