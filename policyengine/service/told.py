"""The words in which a customer's story is told, in English and in Hebrew: outcomes, remedies, reasons.

What happened is service.timeline's. Money and dates are written as the language's locale writes them; a
piece in another direction is put between isolates, so that a terminal or a page shows it right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from policyengine.domain.money import Money
from policyengine.engine.messages import write

LANGUAGES = ("en", "he")
_ISOLATE, _END, _RIGHT_TO_LEFT = "\u2068", "\u2069", "\u200f"
_WORDS: Mapping[str, tuple[str, str]] = {
    "granted": ("granted", "ניתן"),
    "offered": ("a choice is offered", "מוצעת בחירה"),
    "denied": ("denied", "נדחה"),
    "none": ("nothing follows", "ללא שינוי"),
    "why": ("why", "מדוע"),
    "message": ("message", "הודעה"),
    "until": ("until", "עד"),
    "from": ("from", "החל מ"),
    "default": ("without an answer", "בהיעדר תשובה"),
    "settled": ("chosen", "נבחר"),
    "silence": ("no answer came in time, so this holds", "לא התקבלה תשובה במועד, ולכן חל"),
    "withdrawn": ("the offer is withdrawn", "ההצעה נמשכה"),
    "held": ("the message waits until the staff know", "ההודעה ממתינה עד שהצוות יידע"),
    "supplement": ("in addition to an earlier decision", "בנוסף להחלטה קודמת"),
    "world": ("everybody", "לכולם"),
    "engine": ("due", "מועד"),
    "again": ("decided again", "הוחלט שוב"),
    "no rule": ("no rule is about this", "אין כלל בעניין זה"),
    "policy": ("version", "גרסה"),
    "points": ("points", "נקודות"),
    "refund": ("refund", "החזר כספי"),
    "credit": ("credit", "זיכוי"),
    "voucher": ("voucher", "שובר"),
    "compensation": ("compensation", "פיצוי"),
    "waive_fee": ("fee waived", "ויתור על עמלה"),
    "postpone": ("another date", "מועד אחר"),
    "freeze": ("payments rest", "הקפאת תשלומים"),
    "unfreeze": ("payments go on", "סיום ההקפאה"),
    "points.extend": ("points stay valid", "הארכת תוקף הנקודות"),
    "points.bonus": ("extra points", "בונוס נקודות"),
    "tier.extend": ("status is kept", "שמירת הסטטוס"),
    "block_charge": ("charge stopped", "חיוב שנעצר"),
    "reverse_charge": ("charge taken back", "ביטול חיוב"),
    "deny_change": ("change refused", "שינוי שנדחה"),
    "substitute": ("another service", "שירות חלופי"),
    "channel": ("channels that stay open", "ערוצים פתוחים"),
    "delivery_mode": ("delivery", "אופן המשלוח"),
    "gesture": ("gesture", "מחווה"),
    "notify": ("a message to", "הודעה אל"),
    "customer": ("the customer", "הלקוח"),
    "escalate": ("a person takes over", "הועבר לטיפול אישי"),
    "signal": ("noted", "נרשם"),
    "withdraw": ("offers taken back", "משיכת הצעות"),
}
_UTC = ZoneInfo("UTC")  # no zone matters to money, numbers and days
_DATES = ("until", "valid_until", "new_date")
_TEXTS = ("fee", "gift", "mode", "to", "name", "value", "tier")
_LISTS = ("services", "channels")


def word(key: str, language: str) -> str:
    """A word of the story; the key itself where it has none."""
    pair = _WORDS.get(key)
    return key if pair is None else pair[LANGUAGES.index(language)]


def isolated(text: str) -> str:
    """A text that keeps its own direction in the middle of a line."""
    return f"{_ISOLATE}{text}{_END}"


def line(text: str, language: str) -> str:
    """A whole line, in the direction of its language."""
    return f"{_RIGHT_TO_LEFT}{text}" if language == "he" else text


def moment(time: datetime, language: str, zone: tzinfo) -> str:
    """A time as the language writes it, in the customer's time zone."""
    return str(format_datetime(time, "medium", tzinfo=zone, locale=language))


def remedy(document: Mapping[str, Any], language: str) -> str:
    """What is given: the kind in words, and its money, dates and texts."""
    parts = [word(document["kind"], language)]
    amount = document.get("amount")
    if amount is not None and Decimal(amount["value"]):  # a supplement may move a date alone
        parts.append(isolated(write(Money.parse(amount["value"], amount["currency"]), language, _UTC)))
    if "points" in document:
        parts.append(f"{write(document['points'], language, _UTC)} {word('points', language)}")
    parts += [isolated(word(str(document[name]), language)) for name in _TEXTS if name in document]
    parts += [write(tuple(document[name]), language, _UTC) for name in _LISTS if name in document]
    parts += _dates(document, language)
    return " ".join(parts)


def _dates(document: Mapping[str, Any], language: str) -> Iterator[str]:
    if "from" in document:
        joined = "-" if language == "he" else " "
        yield f"{word('from', language)}{joined}{_day(document['from'], language)}"
    for name in _DATES:
        if name in document:
            day = _day(document[name], language)
            yield day if name == "new_date" else f"{word('until', language)} {day}"


def _day(text: str, language: str) -> str:
    return isolated(write(date.fromisoformat(text), language, _UTC))
