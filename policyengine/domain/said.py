"""What people write for a date, a number, a currency or a word, and how it is written here: hints alone.

Nothing is ever read this way: a value that needs a hint is refused, so that nobody guesses.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from collections.abc import Mapping
from datetime import date

from babel.dates import get_month_names

from policyengine.domain.money import Money
from policyengine.errors import MoneyError

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212\u05be"
_MARKS = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"))
_YEAR_LAST = re.compile(r"(\d{1,2})[./\- ](\d{1,2})[./\- ](\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})[./\- ](\d{1,2})[./\- ](\d{1,2})")
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)")
_WITH_MONTH = re.compile(r"(?:(\d{1,2})\s+)?([^\W\d]+)\.?\s*(?:(\d{1,2})\s*)?,?\s*(\d{4})")
_SUFFIX = re.compile(r"(?<=\d)(st|nd|rd|th)\b")

_SIGNS = {"₪": "ILS", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_CURRENCIES = {
    **_SIGNS, "NIS": "ILS", 'ש"ח': "ILS", "ש״ח": "ILS", "שקל": "ILS", "שקלים": "ILS", "SHEKEL": "ILS",
    "SHEKELS": "ILS", "EURO": "EUR", "EUROS": "EUR", "DOLLAR": "USD", "DOLLARS": "USD", "US$": "USD",
    "POUND": "GBP", "POUNDS": "GBP", "דולר": "USD", "אירו": "EUR",
}  # fmt: skip
_LANGUAGES = {
    "english": "en", "hebrew": "he", "arabic": "ar", "russian": "ru", "german": "de", "french": "fr",
    "italian": "it", "spanish": "es", "אנגלית": "en", "עברית": "he", "ערבית": "ar", "רוסית": "ru", "iw": "he",
    "heb": "he", "eng": "en",
}  # fmt: skip
_FLAGS = {
    **dict.fromkeys(("yes", "y", "on", "כן", "ja", "oui", "1", "true", "נכון"), "true"),
    **dict.fromkeys(("no", "n", "off", "לא", "nein", "non", "0", "false"), "false"),
}
# words of the file in the language of those who write the shipped policies
_HEBREW: Mapping[str, str] = {
    "החזר": "refund", "החזר כספי": "refund", "זיכוי": "credit", "שובר": "voucher", "פיצוי": "compensation",
    "דחייה": "postpone", "הקפאה": "freeze", "מחווה": "gesture", "הודעה": "notify", "מדיניות": "policy",
    "גרסה": "version", "כותרת": "title", "שם": "title", "תיאור": "description", "בעלים": "owner",
    "אחראי": "owner", "בסיס": "basis", "תוקף": "effective", "בתוקף": "effective", "משבר": "crisis",
    "מטבע": "currency", "עיגול": "rounding", "אזור זמן": "timezone", "פרמטרים": "parameters",
    "כללים": "rules", "חוקים": "rules", "כאשר": "when", "אם": "when", "תן": "grant", "הענק": "grant",
    "אמור": "say", "מ": "from", "עד": "until", "חוק": "statutory", "חוזה": "contractual",
    "רצון טוב": "goodwill", "סכום": "amount", "סוג": "kind",
}  # fmt: skip


def plain(text: str) -> str:
    """With ASCII digits and hyphens, and without marks that nobody sees."""
    digits = "".join(
        str(unicodedata.digit(char)) if not char.isascii() and char.isdecimal() else char for char in text
    )
    for dash in _DASHES:
        digits = digits.replace(dash, "-")
    return digits.translate(_MARKS).replace("\xa0", " ").strip()


def date_said(text: str) -> date | None:
    """The day that people mean by `20/03/2020`, `20 March 2020`, `20200320` …; None where it is none."""
    numbers = _numbers(_SUFFIX.sub("", plain(text)))
    try:
        return None if numbers is None else date(*numbers)
    except ValueError:
        return None


def date_hint(text: str) -> str:
    """How a date is written, with this one if it can be understood."""
    day = date_said(text)
    numbers = _numbers(_SUFFIX.sub("", plain(text)))
    if day is None and numbers is not None:
        return _no_such_day(*numbers)
    if day is None:
        return "write year-month-day, such as 2020-03-15"
    first = _YEAR_LAST.fullmatch(plain(text))
    either = first is not None and day.month != day.day and day.day <= 12  # noqa: PLR2004
    meant = f" if you mean {day.day} {_english(day.month)}" if either else ""
    return f"write {day.isoformat()}{meant}"


def _no_such_day(year: int, month: int, day: int) -> str:
    if year == 0 or not 1 <= month <= 12:  # noqa: PLR2004
        return f"there is no month {month}: write year-month-day, such as 2020-03-15"
    last = date(year, month, monthrange(year, month)[1])
    return f"there is no {day} {_english(month)} {year}: the last day of that month is {last.isoformat()}"


def _numbers(text: str) -> tuple[int, int, int] | None:
    if match := _YEAR_LAST.fullmatch(text):
        day, month, year = map(int, match.groups())
        if month > 12 >= day:  # noqa: PLR2004 - months come first in some countries
            day, month = month, day
        return year, month, day
    if (match := _YEAR_FIRST.fullmatch(text)) or (match := _DIGITS.fullmatch(text)):
        year, month, day = map(int, match.groups())
        return year, month, day
    if match := _WITH_MONTH.fullmatch(text):
        month_number = _month(match[2])
        if month_number and (match[1] or match[3]):
            return int(match[4]), month_number, int(match[1] or match[3])
    return None


def _month(word: str) -> int | None:
    for language in ("en", "he", "de", "fr"):
        for width in ("wide", "abbreviated"):
            for number, name in get_month_names(width, locale=language).items():
                known = str(name).lower().rstrip(".")
                if word.lower() in (known, f"ב{known}"):
                    return int(number)
    return None


def _english(month: int) -> str:
    return str(get_month_names("wide", locale="en")[month])


def number_hint(text: str) -> str:
    """What to write for `80%`, `7,5`, `1,000`, `₪100`, `٨٠`; empty where it is no number at all."""
    tidy = plain(text)
    for sign, code in _SIGNS.items():
        rest = tidy.replace(sign, "").strip()
        if sign in tidy and (amount := number_said(rest)) is not None:
            return f"write `{amount} {code}`: an amount and the code of its currency"
    if tidy.endswith("%") and (amount := number_said(tidy[:-1].strip())) is not None:
        return f"write {amount}, without the sign: percent(booking.paid, {amount}) takes per cent"
    amount = number_said(tidy)
    if amount is None or amount == text.strip():
        return ""
    if "," in tidy:
        how = "no separators of thousands" if "." not in amount else "a point before the decimals"
        return f"write {amount}: numbers have {how}"
    return f"write {amount}"


def number_said(text: str) -> str | None:
    """`1,000` → 1000, `7,5` → 7.5; None where it is no number."""
    tidy = plain(text).replace(" ", "")
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", tidy):
        tidy = tidy.replace(",", "")
    elif re.fullmatch(r"-?\d+,\d+", tidy):
        tidy = tidy.replace(",", ".")
    return tidy if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", tidy) else None


def currency_hint(text: str) -> str:
    """The code of a currency that is written by its sign or name; empty where it is not known."""
    tidy = plain(text)
    code = _CURRENCIES.get(tidy.upper()) or (tidy.upper() if re.fullmatch(r"[A-Za-z]{3}", tidy) else None)
    return f"write {code}" if code is not None and code != text else ""


def money_said(text: str) -> str | None:
    """`₪1,000` or `10,50 NIS` as money is written here, or None."""
    tidy = plain(text)
    match = re.fullmatch(r"([^\d\s.,-]*)\s*(-?[\d.,]*\d)\s*([^\d.,]*)", tidy)
    if match is None or (amount := number_said(match[2])) is None:
        return None
    word = (match[1] or match[3]).strip().upper()
    code = _CURRENCIES.get(word) or (word if re.fullmatch("[A-Z]{3}", word) else None)
    return f"{amount} {code}" if code is not None and _is_money(amount, code) else None


def _is_money(amount: str, code: str) -> bool:
    try:
        Money.parse(amount, code)
    except MoneyError:
        return False
    return True


def language_hint(tag: str) -> str:
    """The code of a language that is written by its name."""
    code = _LANGUAGES.get(plain(tag).lower())
    return f"write {code}" if code else "write a code such as en or he"


def flag_hint(text: str) -> str:
    """True or false for yes and no."""
    word = _FLAGS.get(plain(text).lower())
    return f"write {word}, without quotes" if word else "write true or false, without quotes"


def in_english(word: str) -> str | None:
    """A key or a kind that is written in Hebrew."""
    return _HEBREW.get(plain(word))


def as_name(text: str, allowed: str) -> str:
    """A text made fit to be a name: small letters, digits and what is allowed between; may be empty."""
    small = plain(text).lower()
    joined = re.sub(rf"[^a-z0-9{re.escape(allowed)}]+", "-" if "-" in allowed else "_", small)
    return joined.strip("-_./")
