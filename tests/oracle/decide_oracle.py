"""The oracle for deciding: every rule asked in turn, states read from history, over and over.

Written from the documented semantics, apart from policyengine.engine's facts, match, decide, resolve
and caps. Single expressions, table cells and message templates have oracles of their own and are
shared. It keeps what happened, and of what it works out nothing but compiled expressions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from later_oracle import answered, check_day, earlier, promised_by, timers

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.events import Event
from policyengine.domain.money import MAX_EXACT, Money
from policyengine.domain.policy import Cap, Exclusive, Policy, Rule
from policyengine.domain.remedies import expression_fields
from policyengine.domain.values import ValueType, to_json
from policyengine.engine.expressions import Compiled, Language
from policyengine.engine.messages import parse_template
from policyengine.engine.tables import CompiledTable, compile_table
from policyengine.engine.vocabulary import vocabulary
from policyengine.errors import EvaluationError, MoneyError, PolicyEngineError

MONEY = {"refund", "credit", "compensation", "reverse_charge"}
WORTH = MONEY | {"voucher"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Facts = dict[str, Any]
Entity = tuple[str, str]


@dataclass
class Wish:
    """What a rule would give, and what became of it."""

    policy: Policy
    rule: Rule
    clauses: list[dict[str, Any]]
    verdict: str = "applied"
    because: list[str] = field(default_factory=list)
    remedies: list[dict[str, Any]] = field(default_factory=list)  # fields as values, not JSON
    offers: list[dict[str, Any]] = field(default_factory=list)
    words: Facts = field(default_factory=dict)
    later: list[dict[str, Any]] = field(default_factory=list)  # follow-ups: their day, event and data

    @property
    def name(self) -> str:
        return f"{self.policy.policy}/{self.rule.id}"

    @property
    def stands(self) -> bool:
        return self.verdict == "applied"

    @property
    def shadow(self) -> bool:
        return self.rule.shadow or self.policy.shadow

    @property
    def statutory(self) -> bool:
        return self.policy.basis.value == "statutory"

    @property
    def exclusive(self) -> Exclusive | None:
        return self.rule.exclusive or self.policy.exclusive

    def order(self) -> tuple[int, str, str]:
        return (-self.rule.priority, self.policy.policy, self.rule.id)

    def lose(self, verdict: str, because: str) -> None:
        self.verdict = verdict
        self.because.append(because)


class Oracle:
    """Decides event after event, and remembers."""

    def __init__(self, policies: Iterable[Policy], catalogue: Catalogue, digest: str) -> None:
        self.policies = sorted(policies, key=lambda policy: (policy.policy, policy.version))
        self.catalogue = catalogue
        self.digest = digest
        self.events: dict[str, list[Event]] = {}
        self.decisions: dict[str, list[dict[str, Any]]] = {}
        self.languages: dict[tuple[str, int, str], tuple[Language, CompiledTable | None]] = {}
        self.compiled: dict[tuple[Language, str, ValueType], Compiled] = {}

    def decide(self, event: Event, world: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The decisions for the next event, as documents; on one of the world alone there are none."""
        if self.catalogue.events[event.type].scope is Scope.WORLD:
            return []
        self.events.setdefault(event.subject, []).append(event)
        answer = answered(event, self.decisions.get(event.subject, []))
        own = self.concerns(event)
        if answer is not None:
            own = answer[0]["entity"] and (answer[0]["entity"]["type"], answer[0]["entity"]["id"])
        wanted = {
            rule.for_ for policy in self.policies for rule in policy.rules if event.type in rule.event_types
        }
        others = [one for one in self.known(event.subject) if one[0] in wanted and one != own]
        answers = []
        for entity in [own, *sorted(others)]:
            answer = self.decide_on(entity, own, event, world)
            self.decisions.setdefault(event.subject, []).append(answer)
            answers.append(answer)
        return answers

    # --- what is known -------------------------------------------------------------------------

    def concerns(self, event: Event) -> Entity | None:
        kind = self.catalogue.events[event.type]
        if kind.entity is None:
            return None
        return (kind.entity, event.subject if kind.key is None else str(event.data[kind.key]))

    def known(self, customer: str) -> set[Entity]:
        return {entity for event in self.events[customer] if (entity := self.concerns(event)) is not None}

    def attributes(self, customer: str, entity: Entity) -> Facts:
        """Each attribute as the youngest event set it; of two of one time, the one that came later."""
        of_type = self.catalogue.entities[entity[0]].attributes
        youngest: dict[str, tuple[datetime, int]] = {}
        values: Facts = {}
        for arrival, event in enumerate(self.events[customer]):
            if self.concerns(event) != entity:
                continue
            kind = self.catalogue.events[event.type]
            written = {name: value for name, value in event.data.items() if name in of_type}
            written |= kind.sets
            written |= dict.fromkeys(kind.stamps, event.time)
            for name, value in written.items():
                if name not in youngest or (event.time, arrival) > youngest[name]:
                    youngest[name], values[name] = (event.time, arrival), value
        return values

    def facts(self, event: Event, decided: Entity | None, world: Mapping[str, Any]) -> Facts:
        facts: Facts = dict(world) | {f"event.{name}": value for name, value in event.data.items()}
        facts |= {"event.type": event.type, "event.id": event.id, "event.source": event.source}
        facts |= {"event.time": event.time, "customer.id": event.subject}
        facts |= earlier(self.decisions.get(event.subject, []), decided)
        known = self.known(event.subject)
        for kind in self.catalogue.entities:
            key = self.meant(kind, event, decided)
            if key is not None and (kind, key) in known:
                facts[f"{kind}.id"] = key
                for name, value in self.attributes(event.subject, (kind, key)).items():
                    facts[f"{kind}.{name}"] = value
        return facts

    def meant(self, kind: str, event: Event, decided: Entity | None) -> str | None:
        """Decided on, the event's own, referred to, or the only one."""
        known = self.known(event.subject)
        mentioned = [entity for entity in (decided, self.concerns(event)) if entity is not None]
        mentioned += references(self.catalogue.events[event.type].attributes, event.data)
        for at, entity in enumerate(mentioned):  # grows on the way
            if entity in known and entity[0] not in {kind for kind, _ in mentioned[:at]}:
                of_type = self.catalogue.entities[entity[0]].attributes
                mentioned += references(of_type, self.attributes(event.subject, entity))
        named = [key for of_kind, key in mentioned if of_kind == kind]
        if named:
            return named[0]
        only = [key for of_kind, key in known if of_kind == kind]
        return only[0] if len(only) == 1 else None

    # --- one decision --------------------------------------------------------------------------

    def decide_on(
        self, entity: Entity | None, own: Entity | None, event: Event, world: Mapping[str, Any]
    ) -> dict[str, Any]:
        facts = self.facts(event, entity, world)
        wishes = []
        for policy in self.policies:
            for rule in policy.rules:
                about = entity == own if rule.for_ is None else entity is not None and entity[0] == rule.for_
                if event.type in rule.event_types and about and governs(policy, facts):
                    wish = self.ask(policy, rule, facts)
                    if wish is not None:
                        wishes.append(wish)
        for shadow in (False, True):
            self.settle([wish for wish in wishes if wish.stands and wish.shadow is shadow], event, entity)
        return self.document(wishes, event, entity)

    def ask(self, policy: Policy, rule: Rule, facts: Facts) -> Wish | None:
        """None where the trace leaves the rule out: something that an index can see fails."""
        facts = facts | parameters(policy, facts)
        language, table = self.words_of(policy, rule)
        conditions = [self.compile(language, text, ValueType.FLAG) for text in (*crisis(policy), *rule.when)]
        if not all(seen_by_index(one, facts) for condition in conditions for one in condition.conjuncts):
            return None
        wish = Wish(policy, rule, [clause(condition, facts) for condition in conditions])
        lost = [one for one in wish.clauses if one["result"] != "held"]
        errors = [one for one in lost if one["result"] == "error"]
        if lost:
            wish.lose("error" if errors else "condition", reason((errors or lost)[0]))
            return wish
        enforced = policy.enforced is None or within(
            policy, policy.enforced.from_, policy.enforced.until, facts
        )
        if policy.enforced is not None and not enforced and policy.enforced.otherwise == "withhold":
            wish.lose("enforcement", "the policy withholds it while it is not enforced")
            return wish
        rows: Sequence[Mapping[str, Any]] = [{}]
        try:
            try:
                rows = [{}] if table is None else table.match(facts)
            except EvaluationError as error:
                if error.code != "PE221":
                    raise
                wish.lose("table", f"which row of its table fits is unknown: {error.message}")
                return wish
            if not rows:
                wish.lose("table", "no row of its table fits")
            for row in rows:
                self.fill(wish, language, facts | dict(row), enforced=enforced)
            wish.words = facts | dict(rows[0]) if len(rows) == 1 else facts
        except PolicyEngineError as error:
            wish.lose("error", str(error))
        return wish

    def fill(self, wish: Wish, language: Language, facts: Facts, *, enforced: bool) -> None:
        def computed(spec: Any) -> dict[str, Any]:
            wanted = expression_fields(type(spec))
            values = {}
            for name, raw in spec.model_dump(by_alias=True, exclude_none=True).items():
                if name in wanted and isinstance(raw, str):
                    values[name] = self.compile(language, raw, wanted[name]).value(facts)
                    number = values[name].minor if isinstance(values[name], Money) else values[name]
                    if isinstance(number, int) and number < 0:
                        message = f"`{raw}` gives {values[name]}, which is below zero"
                        raise PolicyEngineError(message, code="PE223")
                else:
                    values[name] = tuple(raw) if isinstance(raw, list) else raw
            return values | {"enforced": enforced}

        offer = wish.rule.offer
        wish.remedies += [computed(spec) for spec in wish.rule.grant]
        if offer is not None:
            deadline = offer.deadline
            if isinstance(deadline, str):
                deadline = self.compile(language, deadline, ValueType.DATE).value(facts)  # type: ignore[assignment]
            if isinstance(deadline, date):
                check_day(wish.policy, deadline, "deadline", facts["event.time"])
            choices = [
                {"id": one.id, "title": dict(one.title), "remedies": [computed(spec) for spec in one.grant]}
                for one in offer.alternatives
            ]
            wish.offers.append({"alternatives": choices, "deadline": deadline})
        for follow_up in wish.rule.follow_up:
            day, kind = follow_up.at, self.catalogue.events[follow_up.event]
            text = day if isinstance(day, str) else "at"
            if isinstance(day, str):
                day = self.compile(language, day, ValueType.DATE).value(facts)  # type: ignore[assignment]
            assert isinstance(day, date)
            check_day(wish.policy, day, text, facts["event.time"])
            data = {
                name: to_json(self.compile(language, source, kind.attributes[name].type).value(facts))
                for name, source in follow_up.data.items()
            }
            key = kind.key if kind.key not in data and self.is_about(wish.rule, kind.entity) else None
            wish.later.append({"day": day, "event": kind.name, "data": data, "key": key})

    def is_about(self, rule: Rule, kind: str | None) -> bool:
        """Whether the rule is decided on entities of that type alone."""
        own = {self.catalogue.events[event_type].entity for event_type in rule.event_types}
        return rule.for_ == kind if rule.for_ is not None else own == {kind}

    def words_of(self, policy: Policy, rule: Rule) -> tuple[Language, CompiledTable | None]:
        place = (policy.policy, policy.version, rule.id)
        if place not in self.languages:
            words = vocabulary(self.catalogue, rule.event_types)
            of_policy: dict[str, Any] = {
                "parameters": {name: kind_of(raw) for name, raw in policy.parameters.items()},
                "currency": policy.currency,
                "rounding": policy.rounding,
                "zone": policy.zone,
            }
            table = None
            if rule.table is not None:
                table = compile_table(rule.table, Language(words, row={}, **of_policy), refuse)
            row = {} if table is None else table.outputs
            self.languages[place] = (Language(words, row=row, **of_policy), table)
        return self.languages[place]

    def compile(self, language: Language, text: str, kind: ValueType) -> Compiled:
        key = (language, text, kind)
        if key not in self.compiled:
            self.compiled[key] = language.compile(text, kind)
        return self.compiled[key]

    # --- several rules at once -----------------------------------------------------------------

    def settle(self, wishes: list[Wish], event: Event, entity: Entity | None) -> None:
        wishes = sorted(wishes, key=Wish.order)
        for wish in wishes:
            self.hold_to_caps(wish, [], event, entity)
        deny(wishes)
        for group in dict.fromkeys(wish.exclusive.group for wish in wishes if wish.exclusive is not None):
            choose(
                group,
                [wish for wish in wishes if wish.exclusive is not None and wish.exclusive.group == group],
            )
        granted: list[Wish] = []
        for wish in wishes:
            if wish.stands:
                self.hold_to_caps(wish, granted, event, entity)
            if wish.stands:
                granted.append(wish)

    def hold_to_caps(self, wish: Wish, now: list[Wish], event: Event, entity: Entity | None) -> None:
        policy, rule = wish.policy, wish.rule
        for cap, of_rule in ((rule.cap, True), (policy.cap, False)):
            if cap is None or rule.deny is not None or not wish.stands:
                continue
            past = [
                one for one in self.grants(event.subject)
                if one["policy"] == policy.policy
                and (not of_rule or one["rule"] == rule.id)
                and (cap.per == "customer" or one["entity"] == entity)
            ]  # fmt: skip
            besides = [
                one
                for one in now
                if one.policy.policy == policy.policy and (not of_rule or one.rule.id == rule.id)
            ]
            spans = [
                [one for one in past if holds(one["time"])] for holds in periods(cap, policy, event, past)
            ]
            name = cap_name(cap)
            if cap.count is not None:
                offered = {(one["decision"], one["rule"]) for one in past if one["kind"] == "offer"}
                used = max(
                    len({
                        (one["decision"], one["rule"]) for one in span
                        if (one["decision"], one["rule"]) not in offered or one["kind"] == "offer"
                    })
                    for span in spans
                )  # fmt: skip
                if used + len(besides) >= cap.count:
                    wish.lose("cap", f"{name} is used up")
                continue
            limit = Money.literal(cap.amount or "")
            paid = [
                [one["amount"] for one in span if one["kind"] in WORTH and one["amount"]] for span in spans
            ]
            added = [one["amount"] for other in besides for one in other.remedies if one["kind"] in WORTH]
            foreign = sorted(
                {one.currency for amounts in [*paid, added] for one in amounts} - {limit.currency}
            )
            if foreign:
                wish.lose(
                    "error", f"PE204 {name} is in {limit.currency}, but {', '.join(foreign)} was granted"
                )
                continue
            used = max(sum(one.minor for one in amounts) for amounts in paid)
            limit_money(
                wish, Money(limit.minor - used - sum(one.minor for one in added), limit.currency), name
            )

    def grants(self, customer: str) -> Iterable[dict[str, Any]]:
        for document in self.decisions.get(customer, []):
            entity = document["entity"] and (document["entity"]["type"], document["entity"]["id"])
            for one in [*document["remedies"], *document["offers"]]:
                amount = one.get("amount")
                yield {
                    "policy": one["policy"],
                    "rule": one["rule"],
                    "kind": one.get("kind", "offer"),
                    "amount": amount and Money.parse(amount["value"], amount["currency"]),
                    "entity": entity,
                    "time": datetime.fromisoformat(document["event"]["time"]),
                    "decision": promised_by(document, one),
                }

    # --- the document --------------------------------------------------------------------------

    def document(self, wishes: list[Wish], event: Event, entity: Entity | None) -> dict[str, Any]:
        standing = [wish for wish in wishes if wish.stands]
        live = [wish for wish in standing if not wish.shadow]
        trial = [wish for wish in standing if wish.shadow]
        out: dict[str, Any] = {
            "remedies": [remedy_json(wish, one) for wish in live for one in wish.remedies],
            "offers": [offer_json(wish, one) for wish in live for one in wish.offers],
            "denials": [
                signed(wish) | {"reason": wish.rule.deny.reason}
                for wish in live
                if wish.rule.deny is not None
            ],
        }
        answer = answered(event, self.decisions.get(event.subject, []))
        title: dict[str, str] = {}
        if answer is not None and entity == (
            answer[0]["entity"] and (answer[0]["entity"]["type"], answer[0]["entity"]["id"])
        ):
            _, offer, settled = answer
            (chosen,) = (one for one in offer["alternatives"] if one["id"] == settled["alternative"])
            out["remedies"] = [*chosen["remedies"], *out["remedies"]]
            out["settles"] = [settled]
            title = chosen["title"]
        outcome = "granted" if out["remedies"] else "offered" if out["offers"] else None
        if any(wish.remedies or wish.offers for wish in trial):
            out["shadow"] = {
                "remedies": [remedy_json(wish, one) for wish in trial for one in wish.remedies],
                "offers": [offer_json(wish, one) for wish in trial for one in wish.offers],
            }
        out |= {
            "decision_id": identity(event, entity),
            "event": {
                "source": event.source,
                "id": event.id,
                "type": event.type,
                "time": instant(event.time),
            },
            "customer": event.subject,
            "entity": entity and {"type": entity[0], "id": entity[1]},
            "outcome": outcome or ("denied" if out["denials"] else "none"),
            "policy_set": self.digest,
            "messages": title | messages(live),
        }
        follow_ups = [
            signed(wish)
            | one
            | {"nth": nth}
            | ({"data": one["data"] | {one["key"]: entity[1]}} if one["key"] and entity else {})
            for wish in live
            for nth, one in enumerate(wish.later)
        ]
        if later := timers(out, self.policies, follow_ups):
            out["timers"] = later
        # after the messages, which may add to why
        out["trace"] = [
            signed(wish)
            | {"verdict": wish.verdict, "because": "; ".join(wish.because), "clauses": wish.clauses}
            | ({"shadow": True} if wish.shadow else {})
            for wish in wishes
        ]
        return out


def references(attributes: Mapping[str, Any], values: Mapping[str, Any]) -> list[Entity]:
    return [
        (attribute.refers_to, str(values[name]))
        for name, attribute in sorted(attributes.items())
        if attribute.refers_to is not None and name in values
    ]


def refuse(*fault: Any) -> None:
    raise AssertionError(fault)


def day_of(policy: Policy, anchor: date) -> date:
    return anchor.astimezone(policy.zone).date() if isinstance(anchor, datetime) else anchor


def governs(policy: Policy, facts: Facts) -> bool:
    return policy.effective.by in facts and within(
        policy, policy.effective.from_, policy.effective.until, facts
    )


def within(policy: Policy, first: date, until: date | None, facts: Facts) -> bool:
    """Half-open, by the anchor: a day begins at midnight in the policy's zone."""
    anchor = facts[policy.effective.by]
    return reached(policy, anchor, first) and (until is None or not reached(policy, anchor, until))


def reached(policy: Policy, anchor: date, bound: date) -> bool:
    if isinstance(bound, datetime):
        bound = bound.replace(tzinfo=bound.tzinfo or policy.zone)
        return (
            anchor >= bound
            if isinstance(anchor, datetime)
            else anchor >= bound.astimezone(policy.zone).date()
        )
    return day_of(policy, anchor) >= bound


def typed(raw: Any) -> Any:
    if isinstance(raw, list):
        return tuple(raw)
    if isinstance(raw, str):
        try:
            return Money.literal(raw)
        except MoneyError:
            return raw
    return raw


def kind_of(raw: Any) -> ValueType | str:
    value = typed(next(iter(raw.values())) if isinstance(raw, dict) else raw)
    for kind, name in (
        (bool, ValueType.FLAG), (int, ValueType.INTEGER), (Decimal, "decimal"), (date, ValueType.DATE),
        (Money, ValueType.MONEY), (tuple, ValueType.TEXTS), (str, ValueType.TEXT),
    ):  # fmt: skip
        if isinstance(value, kind):
            return name
    raise AssertionError(raw)


def parameters(policy: Policy, facts: Facts) -> Facts:
    day = day_of(policy, facts[policy.effective.by])
    values = {}
    for name, raw in policy.parameters.items():
        if isinstance(raw, dict):
            begun = [start for start in raw if start <= day]
            if begun:
                values[f"param.{name}"] = typed(raw[max(begun)])
        else:
            values[f"param.{name}"] = typed(raw)
    return values


def crisis(policy: Policy) -> list[str]:
    scope = policy.crisis
    if scope is None:
        return []
    kinds = [scope.kind] if isinstance(scope.kind, str) else scope.kind
    found = [
        f"crisis.{name} in {listed(values)}"
        for name, values in {"kind": kinds, "phase": scope.phases}.items()
        if values is not None
    ] or ["present(crisis.kind)"]
    if scope.phases is None:
        found.append('!present(crisis.phase) || crisis.phase != "ended"')
    if scope.regions is not None:
        found.append(f"place.regions.exists(r, r in {listed(scope.regions)})")
    if scope.sectors is not None:
        found.append(f"!present(crisis.sectors) || crisis.sectors.exists(s, s in {listed(scope.sectors)})")
    return found


def listed(values: Sequence[str]) -> str:
    return f"[{', '.join(json.dumps(one, ensure_ascii=False) for one in values)}]"


def seen_by_index(conjunct: Any, facts: Facts) -> bool:
    """Present and true, by the definition of a conjunct; money in another currency passes."""
    value = facts.get(conjunct.attribute)
    if isinstance(value, Money):
        if value.currency != conjunct.currency:
            return True
        value = value.minor
    elif isinstance(value, datetime):
        value = (value - EPOCH) // timedelta(microseconds=1)
    elif isinstance(value, date):
        value = (value - EPOCH.date()).days
    if value is None:
        return False
    return {
        "==": lambda: value == conjunct.value,
        "!=": lambda: value != conjunct.value,
        "<": lambda: value < conjunct.value,
        "<=": lambda: value <= conjunct.value,
        ">": lambda: value > conjunct.value,
        ">=": lambda: value >= conjunct.value,
        "in": lambda: value in conjunct.value,
    }[conjunct.operator]()


def clause(condition: Compiled, facts: Facts) -> dict[str, Any]:
    judged = condition.judge(facts)
    seen = {name: facts[name] for name in condition.refs if name in facts}
    out: dict[str, Any] = {
        "clause": condition.text,
        "result": judged.result.value,
        "values": {
            name: str(one) if isinstance(one, Decimal) else to_json(one) for name, one in seen.items()
        },
    }
    if judged.absent:
        out["absent"] = list(judged.absent)
    if judged.detail:
        out["detail"] = judged.detail
    return out


def reason(lost: dict[str, Any]) -> str:
    if lost["result"] == "failed":
        return f"`{lost['clause']}` does not hold"
    if lost["result"] == "unknown":
        return f"`{lost['clause']}` is unknown: {', '.join(lost['absent'])} absent"
    return f"`{lost['clause']}` cannot be computed: {lost['detail']}"


def cap_name(cap: Cap) -> str:
    what = cap.amount if cap.count is None else cap.count
    return f"the cap of {what} per {cap.per}" + ("" if cap.period == "ever" else f" and {cap.period}")


def periods(cap: Cap, policy: Policy, event: Event, past: list[dict[str, Any]]) -> list[Any]:
    """Tests of an earlier grant's time: whether it falls into one span with the event."""
    if cap.period == "ever":
        return [lambda _time: True]
    if cap.period.endswith(" days"):
        length = timedelta(days=int(cap.period.split()[0]))
        starts = {event.time, *(one["time"] for one in past), event.time - length + timedelta(microseconds=1)}
        return [
            lambda time, start=start: start <= time < start + length
            for start in starts
            if start <= event.time < start + length
        ]

    def part(time: datetime) -> tuple[int, ...]:
        local = time.astimezone(policy.zone)
        return {
            "year": (local.year,),
            "month": (local.year, local.month),
            "week": tuple(local.isocalendar())[:2],
            "day": (local.year, local.month, local.day),
        }[cap.period]

    return [lambda time: part(time) == part(event.time)]


def total(remedies: list[dict[str, Any]]) -> Money | None:
    """PolicyEngineError for two currencies, or for more than can be told exactly."""
    amounts = [one["amount"] for one in remedies if one["kind"] in WORTH]
    for at, one in enumerate(amounts):
        if one.currency != amounts[0].currency:
            message = f"{amounts[0].currency} and {one.currency} cannot be added or compared"
            raise PolicyEngineError(message, code="PE204")
        if sum(each.minor for each in amounts[: at + 1]) > MAX_EXACT:
            message = f"{sum(each.minor for each in amounts[: at + 1])} minor units is beyond the exact range of 2^53 - 1"
            raise PolicyEngineError(message, code="PE205")
    return Money(sum(one.minor for one in amounts), amounts[0].currency) if amounts else None


def worth(wish: Wish) -> Money | None:
    """What is granted, or the best choice of an offer, whichever is more."""
    ways = [
        total(wish.remedies),
        *(total(one["remedies"]) for offer in wish.offers for one in offer["alternatives"]),
    ]
    known = [way for way in ways if way is not None]
    return max(known, key=lambda way: way.minor) if known else None


def limit_money(wish: Wish, left: Money, name: str) -> None:
    try:
        given = total(wish.remedies)
    except PolicyEngineError as error:
        wish.lose("error", f"{error}: {name} cannot be applied")
        return
    if given is None:
        return
    if given.currency != left.currency:
        wish.lose("error", f"PE204 {name} is in {left.currency}, the remedy in {given.currency}")
    elif left.minor <= 0:
        wish.lose("cap", f"{name} is used up")
    elif given.minor > left.minor:
        wish.remedies = less(wish.remedies, given.minor - left.minor)
        wish.because.append(f"reduced to {left}: {name}")


def less(remedies: list[dict[str, Any]], by: int) -> list[dict[str, Any]]:
    """The last ones are reduced first; what comes to nothing goes, if anything was taken from it."""
    kept: list[dict[str, Any]] = []
    for one in remedies[::-1]:
        if one["kind"] not in WORTH or by == 0:
            kept.insert(0, one)
        elif one["amount"].minor > by:
            kept.insert(0, one | {"amount": Money(one["amount"].minor - by, one["amount"].currency)})
            by = 0
        else:
            by -= one["amount"].minor
    return kept


def deny(wishes: list[Wish]) -> None:
    def meet(one: Wish, other: Wish) -> bool:
        same_group = one.exclusive and other.exclusive and one.exclusive.group == other.exclusive.group
        return one.policy.policy == other.policy.policy or bool(same_group)

    for no in wishes:
        if no.rule.deny is None or not no.stands:
            continue
        rivals = [one for one in wishes if one.rule.deny is None and one.stands and meet(no, one)]
        for one in rivals:
            if one.statutory and not no.statutory:
                no.lose("floor", f"{one.name} is owed by law")
                break
            if one.rule.priority > no.rule.priority:
                no.lose("priority", f"{one.name} has the higher priority")
                break
        else:
            for one in rivals:
                one.lose("priority", f"denied by {no.name}")


def choose(group: str, members: list[Wish]) -> None:
    how = members[0].exclusive.choose if members[0].exclusive is not None else "all"
    members = [one for one in members if one.stands and one.rule.deny is None]
    if how == "all" or len(members) < 2:
        return
    currencies = {
        remedy["amount"].currency
        for one in members
        for remedies in [
            one.remedies,
            *(way["remedies"] for offer in one.offers for way in offer["alternatives"]),
        ]
        for remedy in remedies
        if "amount" in remedy
    }
    if len(currencies) > 1:
        listed = " and ".join(sorted(currencies))
        for one in members:
            if not one.statutory:
                one.lose("error", f"PE204 group {group} has {listed}, which cannot be compared")
        return
    for one in members:
        try:
            worth(one)
        except PolicyEngineError as error:
            one.lose("error", str(error))
    floor = pick(group, [one for one in members if one.stands and one.statutory], how)
    other = pick(group, [one for one in members if one.stands and not one.statutory], how)
    if floor is not None and other is not None:
        top_up(floor, other)


def pick(group: str, members: list[Wish], how: str) -> Wish | None:
    """The best: most worth, then most of it in money, then the first by order."""
    if not members:
        return None

    def rank(one: Wish) -> tuple[Any, ...]:
        value = worth(one)
        cash = sum(remedy["amount"].minor for remedy in one.remedies if remedy["kind"] in MONEY)
        return (-(value.minor if value else 0), -cash) if how == "best" else ()

    winner = min(members, key=lambda one: (rank(one), one.order()))
    for one in members:
        if one is not winner:
            why = "is worth at least as much" if how == "best" else "comes first"
            one.lose("exclusive", f"in group {group}, {winner.name} {why}")
    return winner


def top_up(floor: Wish, other: Wish) -> None:
    owed = worth(floor)
    if other.offers:
        other.lose("floor", f"{floor.name} is owed by law and is not exchanged for an offer")
        return
    if owed is None:
        return  # what the law gives is no money: nothing to set off
    vouchers = [one for one in other.remedies if one["kind"] == "voucher"]
    rest = [one for one in other.remedies if one["kind"] != "voucher"]
    given = total(rest)
    if given is not None:
        rest = less(rest, min(owed.minor, given.minor))
    if not rest:
        why = "no voucher takes its place" if vouchers else "is worth as much in money"
        other.lose("floor", f"{floor.name} is owed by law and {why}")
        return
    if given is not None:
        other.because.append(f"on top of {owed} owed by law under {floor.name}")
    if vouchers:
        other.because.append(f"no voucher in place of what {floor.name} owes")
    other.remedies = rest


def messages(wishes: list[Wish]) -> dict[str, str]:
    lines: dict[str, list[str]] = {}
    for wish in wishes:
        said = wish.words | said_of(wish)
        for language, text in wish.rule.say.items():
            template = parse_template(text, language, wish.policy.zone)
            absent = [name for name in template.placeholders if name not in said]
            if absent:
                wish.because.append(f"message {language} left out: {', '.join(absent)} absent")
            else:
                lines.setdefault(language, []).append(template.fill(said))
    return {language: "\n".join(texts) for language, texts in lines.items()}


def said_of(wish: Wish) -> Facts:
    found: dict[str, list[Any]] = {}
    for remedy in wish.remedies:
        for name, value in remedy.items():
            if name not in ("kind", "enforced"):
                found.setdefault(name, []).append(value)
                found.setdefault(f"{remedy['kind']}.{name}", []).append(value)
    said = {name: values[0] for name, values in found.items() if len(values) == 1}
    deadlines = [offer["deadline"] for offer in wish.offers if offer["deadline"] is not None]
    return said | ({"deadline": deadlines[-1]} if deadlines else {})


def signed(wish: Wish) -> dict[str, Any]:
    return {"policy": wish.policy.policy, "version": wish.policy.version, "rule": wish.rule.id}


def remedy_json(wish: Wish, remedy: dict[str, Any]) -> dict[str, Any]:
    out = signed(wish) | {"basis": wish.policy.basis.value}
    for name, value in remedy.items():
        if isinstance(value, Money):
            out[name] = {"value": value.value, "currency": value.currency}
        elif name != "enforced" or value is False:
            out[name] = to_json(value)
    return out


def offer_json(wish: Wish, offer: dict[str, Any]) -> dict[str, Any]:
    written = wish.rule.offer
    assert written is not None
    return signed(wish) | {
        "basis": wish.policy.basis.value,
        "alternatives": [
            one | {"remedies": [remedy_json(wish, remedy) for remedy in one["remedies"]]}
            for one in offer["alternatives"]
        ],
        "default": written.default,
        "deadline": offer["deadline"] and offer["deadline"].isoformat(),
        "consent": written.consent,
    }


def instant(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def identity(event: Event, entity: Entity | None) -> str:
    parts = [part.encode() for part in (event.source, event.id, *(entity or ()))]
    return "d-" + sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()[:32]
