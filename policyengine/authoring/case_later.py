"""What a case expects to happen by itself after its last event, read and checked for typing mistakes.

Follow-ups, offers that end in silence, vouchers and freezes that end, messages that were held. Comparing
with what happened is authoring.case_later_check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from policyengine.authoring.case_expect import EXPECTATIONS, Expectation, ExpectationReader, Note, is_mapping
from policyengine.authoring.yaml_source import Path, plain_value
from policyengine.domain.calendar import FIRST_DAY, LAST_DAY, local_date, local_midnight
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.near import did_you_mean
from policyengine.domain.values import instant_to_json

AWAITED = ("on", "happens", "rule", "customer", "expect")
NOTHING = "none"
DECIDED = tuple(key for key in EXPECTATIONS if key not in {"after", "rejected"})
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Awaited:
    """Something that is to happen on a day or at an instant; ``expectations``: what is decided then."""

    path: Path
    on: date | datetime
    happens: str | None = None
    rule: str | None = None
    customer: str | None = None
    expectations: tuple[Expectation, ...] = ()

    def day(self, zone: tzinfo) -> date:
        """The day on which it is to happen."""
        return local_date(self.on, zone) if isinstance(self.on, datetime) else self.on


@dataclass(frozen=True, slots=True)
class Later:
    """All that happens until the last of the days; ``ends``: nothing is to happen after that."""

    path: Path
    awaited: tuple[Awaited, ...]
    ends: bool

    def last(self, zone: tzinfo) -> date | None:
        """The last day that is named."""
        return max((each.day(zone) for each in self.awaited), default=None)

    def until(self, zone: tzinfo) -> datetime | None:
        """The last moment to look at: the end of the last day."""
        last = self.last(zone)
        return None if last is None else local_midnight(last + _DAY, zone) - _TICK


@dataclass(frozen=True, slots=True)
class LaterReader:
    """Reads `later` of one case; what is wrong goes to ``note``."""

    note: Note
    catalogue: Catalogue

    def read(self, path: Path, case: Mapping[str, Any]) -> Later | None:
        """What a case expects; None where it says nothing of it."""
        if "later" not in case:
            return None
        raw = case["later"]
        items = raw if isinstance(raw, list) else [raw]
        ends = items[-1:] == [NOTHING]
        if raw in (None, [], {}):
            hint = "write `- {on: 2020-04-05, happens: …}`, or `none` where nothing may happen"
            self.note(path, "PE072", "`later` expects nothing", hint, key=raw is None)
            return None
        awaited: list[Awaited] = []
        for index, item in enumerate(items[: len(items) - ends]):
            here = (*path, index) if isinstance(raw, list) else path
            if item == NOTHING:
                self.note(here, "PE070", "`none` before something that happens", "write it as the last one")
            else:
                awaited += self._awaited(here, item)
        return Later(path, tuple(awaited), ends)

    def _awaited(self, path: Path, raw: Any) -> Iterator[Awaited]:
        if not is_mapping(self.note, path, raw, AWAITED):
            return
        on = self._on(path, raw)
        happens, rule = raw.get("happens"), raw.get("rule")
        if happens is not None and happens not in self.catalogue.events:
            hint = did_you_mean(str(happens), self.catalogue.events) or "`policyengine catalog` lists them"
            self.note((*path, "happens"), "PE071", f"unknown event type `{happens}`", hint)
        expectations = tuple(self._expectations(path, raw))
        if on is not None:
            customer = None if raw.get("customer") is None else str(raw["customer"])
            yield Awaited(path, on, happens, None if rule is None else str(rule), customer, expectations)

    def _on(self, path: Path, raw: Mapping[str, Any]) -> date | datetime | None:
        on = raw.get("on")
        on = plain_value(on) if isinstance(on, str) else on  # `${day}T08:00:00Z` is text until now
        if isinstance(on, date) and not FIRST_DAY.year < on.year < LAST_DAY.year:
            text = f"{on} is outside of the years {FIRST_DAY.year + 1} to {LAST_DAY.year - 1}"
            self.note((*path, "on"), "PE070", text)
            return None
        if isinstance(on, datetime) and on.tzinfo is not None:
            return on
        if isinstance(on, date) and not isinstance(on, datetime):
            return on
        text = "what comes later needs the day on which it happens"
        here = (*path, "on") if "on" in raw else path
        self.note(here, "PE070", text, "write `on: 2020-04-05`, or a moment such as 2020-04-05T08:00:00Z")
        return None

    def _expectations(self, path: Path, raw: Mapping[str, Any]) -> Iterator[Expectation]:
        here = (*path, "expect")
        wanted = raw.get("expect")
        if "expect" in raw and wanted in (None, {}, []):
            hint = "write `expect: none`, or leave it out where only what happens counts"
            self.note(here, "PE072", "`expect` without expectations", hint)
            return
        if wanted is None:
            return
        reader = ExpectationReader(self.note, 1, DECIDED)
        several = isinstance(wanted, list)
        for index, item in enumerate(wanted if several else [wanted]):
            yield from reader.read((*here, index) if several else here, item)


def said(on: date | datetime) -> str:
    """A day or a moment as a case writes it."""
    return instant_to_json(on.astimezone(UTC)) if isinstance(on, datetime) else on.isoformat()
