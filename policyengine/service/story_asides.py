"""What may be part of any story: a charge, a complaint, an answer to an offer."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from policyengine.domain.decision import Ref, decision_id
from policyengine.service.story import CARE, Data, Story, Telling


class Offer(NamedTuple):
    """What a shipped rule offers, as far as a customer answers it."""

    policy: str
    rule: str
    alternatives: tuple[str, ...]
    days: int = 14  # to answer


# Of those to whom something is offered 4 % answer twice, 48 % once, 6 % wrongly, 6 % too late, the rest never
_TWICE, _RIGHT, _LATE, _SILENT = 0.04, 0.52, 0.58, 0.64


def charge(story: Story, what: Data, amount: Data) -> Telling:
    """A charge that is attempted, and most often taken at once."""
    key = {"charge_id": f"h{story.number}"}
    said = {} if story.chance(0.4) else {"delivered": story.chance(0.5)}
    yield "charge.attempted", {**key, "amount": amount, **what, **said}
    if story.chance(0.5):
        story.now += story.number_between(1, 30)
        yield "charge.taken", {**key, "amount": amount, **what, **said}


def complains(story: Story, topic: str) -> Telling:
    """Something went wrong enough to say so."""
    source, story.source = story.source, CARE
    story.after(0.2, 6)
    key = {"complaint_id": f"k{story.number}-{topic}"}
    wish = {"would_have_stayed_if": story.pick(("a person who answers", "תשובה מאדם", "my money back"))}
    yield "complaint.received", {
        **key, "topic": topic, "channel": story.pick(("phone", "chat", "mail")), "leaving": story.chance(0.2),
        **(wish if story.chance(0.4) else {}),
    }  # fmt: skip
    if story.chance(0.8):
        story.after(1, 12)
        yield "complaint.resolved", key
    story.source = source


def answer(
    story: Story, ref: Ref | None, offer: Offer, cause: tuple[str, str] | None = None
) -> Generator[tuple[str, Data], None, str | None]:
    """An answer to the offer that a decision made: most often in time, else late, wrong, or none at all.

    ``cause``: source and id of the world's event that the decision answers; None: the story's last event.
    Returned is what was chosen, if it was one of the alternatives and in time.
    """
    how = story.random()
    if how > _SILENT:
        return None
    if cause is None:
        decision = decision_id(story.source, str(story.told), ref)
    else:
        decision = decision_id(*cause, ref, f"c{story.customer}")
    if how > _LATE:
        story.after(offer.days + 2, offer.days + 12)
    else:
        story.after(0.1, offer.days * 0.8)
    choice = "a holiday on the moon" if _RIGHT < how <= _LATE else story.pick(offer.alternatives)
    said = {"decision_id": decision, "policy": offer.policy, "rule": offer.rule}
    yield "remedy.chosen", {**said, "alternative": choice, "consented": True}
    if how < _TWICE:  # has second thoughts
        story.after(0.1, 2)
        yield "remedy.chosen", {**said, "alternative": story.pick(offer.alternatives)}
    return str(choice) if how <= _RIGHT else None
