"""The oracle for what comes later: timers of a decision, and offers that an answer settles.

Written from the documented semantics over decisions' documents, apart from policyengine.engine's settle,
aftermath and follow_ups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from policyengine.domain.calendar import local_midnight
from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.policy import Policy
from policyengine.errors import PolicyEngineError

WORTH = {"refund", "credit", "compensation", "reverse_charge", "voucher"}
Document = Mapping[str, Any]


def check_day(policy: Policy, day: date, text: str, now: datetime) -> None:
    """What is to come may be today, in the policy's zone, but not before."""
    today = now.astimezone(policy.zone).date()
    if day < today:
        message = f"`{text}` gives {day.isoformat()}, which is before the event's day, {today.isoformat()}"
        raise PolicyEngineError(message, code="PE225")


def timers(
    document: Document, policies: Sequence[Policy], later: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Follow-ups, deadlines of offers, then the ends of vouchers and freezes."""
    made_by, now = document["decision_id"], datetime.fromisoformat(document["event"]["time"])
    zones = {(policy.policy, policy.version): policy.zone for policy in policies}
    made = [
        {
            "id": f"{name_of(made_by, one)}/{one['nth']}",
            "at": moment(local_midnight(one["day"], zones[one["policy"], one["version"]])),
            "event": one["event"],
            "data": one["data"],
        }
        for one in later
    ]
    for offer in document["offers"]:
        if offer["deadline"] is not None:
            zone, name = zones[offer["policy"], offer["version"]], name_of(made_by, offer)
            due = local_midnight(date.fromisoformat(offer["deadline"]) + timedelta(days=1), zone)
            data = {
                "offer_id": name,
                "decision_id": made_by,
                "policy": offer["policy"],
                "rule": offer["rule"],
            }
            made.append({"id": name, "at": moment(due), "event": "offer.expired", "data": data})
    counted: dict[str, int] = {}
    settled = {one["offer"] for one in document.get("settles", [])}
    for remedy in document["remedies"]:
        last = remedy.get({"voucher": "valid_until", "freeze": "until"}.get(remedy["kind"], ""))
        if last is None:
            continue
        answers = [one for one in settled if one.partition("/")[2] == f"{remedy['policy']}/{remedy['rule']}"]
        rule = answers[0] if answers else name_of(made_by, remedy)
        nth = counted.get(rule, 0)
        counted[rule] = nth + 1
        zone = zones[remedy["policy"], remedy["version"]]
        over = date.fromisoformat(last) + timedelta(days=remedy["kind"] == "voucher")
        if over > now.astimezone(zone).date():
            data = {name: remedy[name] for name in ("policy", "version", "rule")}
            data |= {"decision_id": made_by, "remedy": remedy["kind"], "ended_on": over.isoformat()}
            at = moment(local_midnight(over, zone))
            made.append({"id": f"{rule}/ended{nth}", "at": at, "event": "remedy.ended", "data": data})
    return made


def name_of(made_by: str, one: Document) -> str:
    return f"{made_by}/{one['policy']}/{one['rule']}"


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def answered(event: Event, past: Sequence[Document]) -> tuple[Document, Document, dict[str, Any]] | None:
    """The decision, its offer and the settlement, where the event is an answer that counts."""
    if event.type != "remedy.chosen":
        return None
    meant = [
        (document, offer)
        for document, offer in offers(past)
        if document["decision_id"] == event.data["decision_id"]
        and event.data.get("policy") in (None, offer["policy"])
        and event.data.get("rule") in (None, offer["rule"])
    ]
    if len(meant) != 1:
        return None
    ((document, offer),) = meant
    name, consented = name_of(document["decision_id"], offer), event.data.get("consented") is True
    done = {one["offer"] for earlier in past for one in earlier.get("settles", [])}
    known = [one["id"] for one in offer["alternatives"]]
    if event.data["alternative"] not in known or name in done or (offer["consent"] and not consented):
        return None
    settled = {
        "offer": name,
        "alternative": event.data["alternative"],
        "by": "customer",
        "consented": consented,
    }
    return document, offer, settled


def offers(past: Sequence[Document]) -> Iterator[tuple[Document, Document]]:
    for document in past:
        for offer in document["offers"]:
            yield document, offer


def earlier(past: Sequence[Document], entity: tuple[str, str] | None) -> dict[str, Any]:
    """What was decided before, of one entity; the newest of all is the customer's."""
    about = [
        one for one in past if (one["entity"] and (one["entity"]["type"], one["entity"]["id"])) == entity
    ]
    given = [remedy for one in about for remedy in one["remedies"]]
    done = {one["offer"] for document in past for one in document.get("settles", [])}
    facts: dict[str, Any] = {
        "earlier.kinds": tuple(sorted({one["kind"] for one in given})),
        "earlier.policies": tuple(sorted({one["policy"] for one in given})),
        "earlier.denied_by": tuple(sorted({one["policy"] for each in about for one in each["denials"]})),
        "earlier.frozen": [one["kind"] for one in given if one["kind"].endswith("freeze")][-1:] == ["freeze"],
        "earlier.offered": any(
            name_of(document["decision_id"], offer) not in done for document, offer in offers(about)
        ),
    }
    paid = [one["amount"] for one in given if one["kind"] in WORTH]
    if len({one["currency"] for one in paid}) == 1:
        amounts = [Money.parse(one["value"], one["currency"]).minor for one in paid]
        facts["earlier.amount"] = Money(sum(amounts), paid[0]["currency"])
    times = [
        datetime.fromisoformat(one["event"]["time"])
        for one in past
        if one["remedies"] or one["offers"] or one["denials"]
    ]
    return facts | ({"earlier.last_at": max(times)} if times else {})


def promised_by(document: Document, one: Document) -> str:
    """The decision that first promised a remedy: the one that offered it, where it was chosen."""
    for settled in document.get("settles", []):
        if settled["offer"].partition("/")[2] == f"{one['policy']}/{one['rule']}":
            return str(settled["offer"].partition("/")[0])
    return str(document["decision_id"])
