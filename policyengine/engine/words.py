"""What the rules that applied say to the customer: their messages filled in, by language.

Templates are engine.messages'; which messages wait until the staff know is engine.aftermath's.
"""

from __future__ import annotations

from collections.abc import Iterable

from policyengine.domain.values import Value
from policyengine.engine.resolve import Claim


def messages(claims: Iterable[Claim]) -> dict[str, str]:
    """By language, the texts of the rules that applied, a line each; an absent value leaves one out."""
    lines: dict[str, list[str]] = {}
    for claim in claims:
        if not claim.rule.say:
            continue
        values = {**claim.message_values, **message_fields(claim)}
        for language, template in claim.rule.say.items():
            missing = [name for name in template.placeholders if name not in values]
            if missing:
                claim.because.append(f"message {language} left out: {', '.join(missing)} absent")
            else:
                lines.setdefault(language, []).append(template.fill(values))
    return {language: "\n".join(texts) for language, texts in lines.items()}


def message_fields(claim: Claim) -> dict[str, Value]:
    """The remedies' fields by `kind.field` and by `field`, each where only one remedy has it."""
    values: dict[str, Value] = {}
    several: set[str] = set()
    for remedy in claim.told or claim.remedies:
        for name, value in remedy.values.items():
            for written in (name, f"{remedy.kind}.{name}"):
                if written in values:
                    several.add(written)
                values[written] = value
    for written in several:
        del values[written]
    for offer in claim.offers:
        if offer.deadline is not None:
            values["deadline"] = offer.deadline
    return values
