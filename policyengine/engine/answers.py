"""The answer to a customer who asks which policy holds on a day: version, window, what it gives.

Pure, of the compiled set alone. When a policy is applied is engine.decide's; that a question was asked
and answered is a decision like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from policyengine.domain.calendar import local_date, local_midnight
from policyengine.domain.decision import Decision
from policyengine.domain.events import Event
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy_model import SHADOW
from policyengine.domain.values import Json, instant_to_json
from policyengine.engine.messages import write
from policyengine.engine.ruleset import CompiledRule, PolicyVersion, RuleSet
from policyengine.engine.shares import in_share

ASKED = "policy.asked"
LANGUAGES = ("en", "he")
_UTC = ZoneInfo("UTC")
_ISOLATE, _END = "\u2068", "\u2069"  # a title keeps its own direction inside a sentence of another
_GOVERNS = {
    "en": "On {day}, “{title}” (version {version}) governs.",
    "he": "ב-{day} חלה המדיניות „{title}” (גרסה {version}).",
}
_ANCHORED = {
    "en": "For {by} on {day}, “{title}” (version {version}) governs.",
    "he": "עבור {by} ב-{day} חלה המדיניות „{title}” (גרסה {version}).",
}
_CHOICE = {"en": "You may choose: {choices}.", "he": "אפשר לבחור: {choices}."}
_NEXT = {
    "en": "On {day}, no version of “{title}” governs; the next is in force from {next}.",
    "he": "ב-{day} לא חלה אף גרסה של „{title}”; הבאה בתוקף החל מ-{next}.",
}
_NONE = {
    "en": "On {day}, no version of “{title}” governs.",
    "he": "ב-{day} לא חלה אף גרסה של „{title}”.",
}
_UNKNOWN = {"en": "There is no policy “{title}”.", "he": "אין מדיניות בשם „{title}”."}


class _Found(NamedTuple):
    """The versions of the policy, by their beginning: the one that governs, or those that are to come."""

    versions: Sequence[PolicyVersion]
    governing: PolicyVersion | None
    later: Sequence[PolicyVersion]

    @property
    def shown(self) -> PolicyVersion | None:
        """Whose title and time zone the answer is told with."""
        return self.governing or next(iter((*self.later, *reversed(self.versions))), None)


def answered(ruleset: RuleSet, event: Event, decision: Decision) -> Decision:
    """The decision with the answer, when the event asks for one and this is the decision on the asker."""
    if event.type != ASKED or decision.entity is not None:
        return decision
    as_of = event.data.get("as_of")
    asked = as_of if isinstance(as_of, date) else event.time
    answer, words = answer_to(ruleset, str(event.data["about"]), asked, decision.customer)
    messages = {
        language: "\n".join(text for text in (decision.messages.get(language), words.get(language)) if text)
        for language in sorted({*decision.messages, *words})
    }
    return decision._replace(answer=answer, messages=messages)


def answer_to(
    ruleset: RuleSet, about: str, at: date | datetime, customer: str | None = None
) -> tuple[dict[str, Json], dict[str, str]]:
    """What holds under a policy at a moment, or as a day begins: the answer, and its words by language.

    The moment is compared with the window of each version, whatever its anchor is: with one anchored by
    `booking.made_at` it is the answer for a booking made then. Of a ``customer`` it is the answer for their
    share; without one, what is on trial is left out.
    """
    versions = _versions(ruleset, about, customer)
    holding = sorted(
        (one for one in versions if _contains(one, at)), key=lambda one: (one.trial is None, one.shadow)
    )
    governing = holding[0] if holding else None
    later = [one for one in versions if governing is None and _begins_after(one, at)]
    answer: dict[str, Json] = {
        "about": about,
        "as_of": _moment(at),
        "known": bool(versions),
        "governs": None if governing is None else _governs(ruleset, governing),
        "next": None if not later else {"version": later[0].version, "from": _moment(later[0].window.start)},
    }
    if not versions:
        near = did_you_mean(about, {rule.policy.id for rule in ruleset.rules})
        if near:
            answer["hint"] = near
    return answer, _words(ruleset, about, at, _Found(versions, governing, later))


def _versions(ruleset: RuleSet, about: str, customer: str | None) -> list[PolicyVersion]:
    found = {
        rule.policy.version: rule.policy
        for rule in ruleset.rules
        if rule.policy.id == about and _is_for(rule.policy, customer)
    }
    return sorted(found.values(), key=lambda one: (one.window.start, one.version))


def _is_for(version: PolicyVersion, customer: str | None) -> bool:
    if version.trial == SHADOW or (version.trial is not None and customer is None):
        return False
    share = version.customers
    return share is None or customer is None or in_share(share, {"customer.id": customer})


def _contains(version: PolicyVersion, at: date | datetime) -> bool:
    return version.window.contains(_asked(version, at))


def _begins_after(version: PolicyVersion, at: date | datetime) -> bool:
    return version.window.start > _asked(version, at)


def _asked(version: PolicyVersion, at: date | datetime) -> date | datetime:
    """The moment in the type of the version's anchor, in the policy's time zone."""
    if isinstance(version.window.start, datetime):
        return at if isinstance(at, datetime) else local_midnight(at, version.zone)
    return version.day_of(at)


def _governs(ruleset: RuleSet, version: PolicyVersion) -> dict[str, Json]:
    rules = [rule for rule in _rules(ruleset, version) if not rule.shadow]
    return {
        "policy": version.id,
        "version": version.version,
        "title": dict(version.title),
        "basis": version.basis.value,
        "cites": list(version.cites),
        "announced": None if version.announced is None else version.announced.isoformat(),
        "window": _window(version),
        "rules": [_gives(rule) for rule in rules],
    }


def _rules(ruleset: RuleSet, version: PolicyVersion) -> Iterable[CompiledRule]:
    return (rule for rule in ruleset.rules if rule.policy is version)


def _window(version: PolicyVersion) -> dict[str, Json]:
    window = version.window
    return {
        "by": window.anchor,
        "from": _moment(window.start),
        "until": None if window.until is None else _moment(window.until),
        "timezone": version.zone.key,
    }


def _gives(rule: CompiledRule) -> dict[str, Json]:
    alternatives = () if rule.offer is None else rule.offer.alternatives
    offers: list[Json] = [
        {
            "id": one.id,
            "title": dict(one.title),
            "kinds": [remedy.kind for remedy in one.remedies],
        }
        for one in alternatives
    ]
    return {
        "rule": rule.id,
        "title": dict(rule.title),
        "on": list(rule.event_types),
        "for": rule.entity,
        "grants": list(dict.fromkeys(remedy.kind for remedy in rule.grant)),
        "offers": offers,
        "denies": rule.deny,
    }


def _moment(at: date | datetime) -> str:
    return instant_to_json(at) if isinstance(at, datetime) else at.isoformat()


def _words(ruleset: RuleSet, about: str, at: date | datetime, found: _Found) -> dict[str, str]:
    shown, governing = found.shown, found.governing
    zone = _UTC if shown is None else shown.zone
    day = local_date(at, zone) if isinstance(at, datetime) else at
    words = {}
    for language in LANGUAGES:
        title = about if shown is None else in_language(shown.title, language) or about
        fields = {"day": write(day, language, zone), "title": _isolated(title)}
        template = _UNKNOWN if shown is None else _NONE
        if governing is not None:
            template = _GOVERNS if governing.window.anchor == "event.time" else _ANCHORED
            fields |= {"version": str(governing.version), "by": _isolated(governing.window.anchor)}
        elif shown is not None and found.later:
            template = _NEXT
            fields["next"] = write(shown.day_of(shown.window.start), language, zone)
        words[language] = template[language].format(**fields)
        choices = () if governing is None else _choices(ruleset, governing, language)
        if choices:
            listed = write(tuple(choices), language, zone)
            words[language] += " " + _CHOICE[language].format(choices=listed)
    return words


def _choices(ruleset: RuleSet, version: PolicyVersion, language: str) -> list[str]:
    """What its offers let the customer choose from, each once, in the order of the file."""
    named = [
        _isolated(in_language(one.title, language) or one.id)
        for rule in _rules(ruleset, version)
        if rule.offer is not None and not rule.shadow
        for one in rule.offer.alternatives
    ]
    return list(dict.fromkeys(named))


def in_language(texts: Mapping[str, str], language: str) -> str | None:
    """The text of a language; else the English one; else the first there is."""
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), None)


def _isolated(text: str) -> str:
    return f"{_ISOLATE}{text}{_END}"
