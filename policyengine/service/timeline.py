"""One customer's story from a ledger: what happened, what was decided, why, and what they were told.

In order, with the events of the world that reached them and those of the engine's own. Its words are
service.told's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from policyengine.domain.catalogue import Scope
from policyengine.domain.regions import zone_of
from policyengine.domain.timers import INTERNAL_SOURCE
from policyengine.domain.values import Json, instant_to_json
from policyengine.engine.answers import in_language
from policyengine.errors import UsageError
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.gaps import why_lost
from policyengine.service.ports import LedgerStore
from policyengine.service.published import Book, Books, Homes
from policyengine.service.recorded import cause_of, digest_of
from policyengine.service.told import isolated, line, moment, remedy, word

_GIVEN = ("outcome", "entity", "remedies", "offers", "denials", "messages", "settles", "held", "answer")


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, and the recorded policy set that it was made under."""

    document: Mapping[str, Any]
    book: Book

    @property
    def idle(self) -> bool:
        """Whether nothing came of it, not even words."""
        document = self.document
        kept = (document["messages"], document.get("held"), document.get("settles"))
        return document["outcome"] == "none" and not any(kept)

    def why(self, language: str) -> str:
        """In a line: the policies that applied, by title; else why the first that was considered lost."""
        applied = [
            rule for rule in self.document["trace"] if rule["verdict"] == "applied" and not rule.get("shadow")
        ]
        named = list(dict.fromkeys(self._named(rule, language) for rule in applied))
        if named:
            return "; ".join(named)
        settled = [one["offer"] for one in self.document.get("settles", ())]
        if settled:
            return isolated(settled[0])
        lost = [rule for rule in self.document["trace"] if not rule.get("shadow")]
        if not lost:
            return word("no rule", language)
        return f"{self._named(lost[0], language)}: {isolated(why_lost(lost[0]))}"

    def _named(self, rule: Mapping[str, Any], language: str) -> str:
        for policy in self.book.policies:
            if (policy["policy"], policy["version"]) == (rule["policy"], rule["version"]):
                title = in_language(policy["title"], language) or rule["policy"]
                break
        else:
            title = rule["policy"]
        where = isolated(f"{rule['policy']} v{rule['version']}, {rule['rule']}")
        return f"{isolated(title)} [{where}]"

    def lines(self, language: str) -> Iterator[str]:
        """What came of it, and why."""
        document = self.document
        if document.get("supplements"):
            yield word("supplement", language)
        for one in document.get("settles", ()):
            key = {"silence": "silence", "rule": "withdrawn"}.get(one["by"], "settled")
            chosen = isolated(one["alternative"] or one["offer"])
            yield f"{word(key, language)}: {chosen}"
        for one in document["remedies"]:
            yield f"{word('granted', language)}: {remedy(one, language)}"
        for offer in document["offers"]:
            yield from self._offer(offer, language)
        for denial in document["denials"]:
            yield f"{word('denied', language)}: {isolated(denial['reason'])}"
        if self.idle and not document["trace"]:
            yield f"{word('none', language)}: {word('no rule', language)}"
            return
        if self.idle:
            yield word("none", language)
        if document.get("held"):
            yield word("held", language)
        if not document.get("answer"):
            yield f"{word('why', language)}: {self.why(language)}"

    def _offer(self, offer: Mapping[str, Any], language: str) -> Iterator[str]:
        until = ""
        if offer["deadline"] is not None:
            until = f" {word('until', language)} {isolated(offer['deadline'])}"
        yield f"{word('offered', language)}{until}"
        for choice in offer["alternatives"]:
            title = isolated(in_language(choice["title"], language) or choice["id"])
            given = ", ".join(remedy(one, language) for one in choice["remedies"])
            default = f" ({word('default', language)})" if choice["id"] == offer["default"] else ""
            yield f"  · {title}: {given}{default}"


@dataclass(frozen=True, slots=True)
class Told:
    """An event and what was decided on it for the customer.

    ``whose``: the customer's own, the world's, the engine's; `again` where it lies in the past and a version
    that reaches back was applied to it.
    """

    event: Mapping[str, Any]
    whose: str
    decisions: list[Decided] = field(default_factory=list)

    @property
    def time(self) -> datetime:
        """When it happened."""
        return datetime.fromisoformat(self.event["time"]).astimezone(UTC)

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        decisions: list[Json] = []
        for one in self.decisions:
            given = {name: one.document[name] for name in _GIVEN if name in one.document}
            why: Json = {language: one.why(language) for language in ("en", "he")}
            decisions.append({"decision_id": one.document["decision_id"], "why": why, **given})
        return {
            "time": instant_to_json(self.time),
            "type": self.event["type"],
            "source": self.event["source"],
            "id": self.event["id"],
            "whose": self.whose,
            "data": self.event["data"],
            "decisions": decisions,
        }


@dataclass(frozen=True, slots=True)
class Timeline:
    """A customer's story; ``zone`` is that of where they live."""

    customer: str
    home: str
    zone: tzinfo
    told: list[Told]

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        events: list[Json] = [one.to_json() for one in self.told]
        return {"customer": self.customer, "home": self.home, "events": events}

    def lines(self, language: str, messages: tuple[str, ...]) -> Iterator[str]:
        """The story in a language, with the messages in these."""
        for told in self.told:
            # what everybody is told of is this customer's story only where it came to something for them
            decisions = [one for one in told.decisions if told.whose != "world" or not one.idle]
            if told.whose == "world" and not decisions:
                continue
            yield line(self._head(told, language), language)
            for decided in decisions:
                entity = decided.document["entity"]
                if entity is not None:
                    yield line(f"    {isolated(entity['type'] + ' ' + entity['id'])}", language)
                for text in decided.lines(language):
                    yield line(f"    {text}", language)
                for tag in messages:
                    for text in decided.document["messages"].get(tag, "").splitlines():
                        yield line(f"    {word('message', language)} ({tag}): {isolated(text)}", language)

    def _head(self, told: Told, language: str) -> str:
        data = ", ".join(f"{name} {_plain(value)}" for name, value in told.event["data"].items())
        whose = "" if told.whose == "customer" else f"({word(told.whose, language)}) "
        when = moment(told.time, language, self.zone)
        return f"{when}  {whose}{isolated(told.event['type'] + (f': {data}' if data else ''))}"


def timeline(store: LedgerStore, customer: str) -> Timeline:
    """The story of a customer over all shards; UsageError where the ledger does not know them."""
    books = Books(store)
    told: list[Told] = []
    home, zone = "", None
    for shard in store.shards():
        part = list(_told(store, shard, customer, books))
        told += part
        place = Homes(store, shard).of([customer])[customer]
        if part and (place or zone is None):
            catalogue = books.at(store.head(shard).policy_set).catalogue
            home, zone = place, zone_of(catalogue.regions, place or None)
    if zone is None:
        message = f"the ledger knows no customer `{customer}`"
        raise UsageError(message)
    return Timeline(customer, home, zone, told)


def _told(store: LedgerStore, shard: str, customer: str, books: Books) -> Iterator[Told]:
    told: Told | None = None
    for entry in store.of_customer(shard, customer):
        book = books.at(digest_of(entry))
        document = entry.document()
        if entry.kind != Kind.DECISION:
            if told is not None:
                yield told
            event = document["event"]
            told = Told(event, "engine" if event["source"] == INTERNAL_SOURCE else "customer")
            continue
        cause = document["event"]
        if told is None or (told.event["source"], told.event["id"]) != (cause["source"], cause["id"]):
            if told is not None:
                yield told
            told = _cause(store, entry, book)
        told.decisions.append(Decided(document, book))
    if told is not None:
        yield told


def _cause(store: LedgerStore, entry: Entry, book: Book) -> Told:
    """The event that a decision names and that is not the customer's latest: found where it was recorded."""
    event = cause_of(store, entry.shard, entry.document(), entry.seq).document()["event"]
    if entry.document().get("supplements"):
        return Told(event, "again")
    of_world = book.catalogue.events[event["type"]].scope is Scope.WORLD
    return Told(event, "world" if of_world else "customer")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value.get('amount')} {value.get('currency')}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
