"""What a version that reaches back grants for events of the past, beyond what its policy granted then.

One event, one customer at a time; which events and when is service.machine's. What exceeds what is
engine.difference's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from policyengine.domain.calendar import local_midnight
from policyengine.domain.catalogue import Scope
from policyengine.domain.decision import Decision, Offered, Ref, Settled, Verdict, decision_id
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entities, Remedies
from policyengine.domain.kept import OFFER, OPEN, SETTLED, kept_of_document, offer_id, version_id
from policyengine.domain.offers import read_offer, read_remedy
from policyengine.domain.state import CustomerState, evolve_decided
from policyengine.domain.world import World
from policyengine.engine.aftermath import ending_ids, timers
from policyengine.engine.decide import assembled, consider
from policyengine.engine.difference import Had, beyond
from policyengine.engine.facts import ways
from policyengine.engine.reach import touched
from policyengine.engine.resolve import Claim, resolve
from policyengine.engine.ruleset import CompiledRule, PolicyVersion, RuleSet
from policyengine.engine.settle import decided_on
from policyengine.errors import MoneyError

_NONE = Entities()
_ASIDE = frozenset({"notify", "signal"})  # no reason by themselves to come back to what was decided
Document = Mapping[str, Any]


def takes_effect(version: PolicyVersion) -> datetime:
    """When a version reaches back: on the day on which it was announced, else when it begins to govern.

    One that governs by the events' own time does not reach back before it governs.
    """
    start = version.window.start
    begins = start if isinstance(start, datetime) else local_midnight(start, version.zone)
    if version.announced is None:
        return begins
    announced = local_midnight(version.announced, version.zone)
    return max(announced, begins) if version.window.anchor == "event.time" else announced


def retroactive_versions(ruleset: RuleSet) -> list[PolicyVersion]:
    """The versions that reach back, in the order in which they take effect."""
    found = {
        (rule.policy.id, rule.policy.version): rule.policy
        for rule in ruleset.rules
        if rule.policy.retroactive is not None
    }
    return sorted(found.values(), key=lambda one: (takes_effect(one), one.id, one.version))


def supplement(
    ruleset: RuleSet,
    version: PolicyVersion,
    then: CustomerState,
    now: CustomerState,
    *,
    world: World,
    event: Event,
    granted: Sequence[Document],
) -> list[Decision]:
    """What a version adds to the decisions on a past event, one decision per entity that gets something.

    ``then`` is the customer's state when the event had been folded in, ``now`` as it is; ``granted`` are
    the documents of all decisions on the event so far, supplements included, in their order.
    """
    decisions: list[Decision] = []
    for ref, own in _entities(ruleset, version, then, world, event=event, granted=granted):
        before = [one for one in granted if _entity(one) == ref]
        claims = _claims(ruleset, version, then, world, event, ref=ref, is_own=own)
        decision = _Supplement(ruleset, version, now, before).decide(world, event, ref, claims)
        if decision is not None:
            now = evolve_decided(now, decision)
            decisions.append(decision)
    return decisions


def _entities(
    ruleset: RuleSet,
    version: PolicyVersion,
    then: CustomerState,
    world: World,
    *,
    event: Event,
    granted: Sequence[Document],
) -> Iterator[tuple[Ref | None, bool]]:
    """The entities that were decided on, or would have been; whether it is the event's own."""
    if ruleset.catalogue.events[event.type].scope is Scope.WORLD:
        found = dict.fromkeys([*map(_entity, granted), *touched(ruleset, then, world, event)])
        yield from ((ref, ref is None) for ref in found)
        return
    own = decided_on(ruleset.catalogue, then, event)
    yield own, True
    kinds = {rule.entity for rule in _rules(ruleset, version, event) if rule.entity is not None}
    for kind in sorted(kinds):
        for key in sorted(then.entities.get(kind, ())):
            if Ref(kind, key) != own:
                yield Ref(kind, key), False


def _entity(document: Document) -> Ref | None:
    raw = document["entity"]
    return None if raw is None else Ref(raw["type"], raw["id"])


def _rules(ruleset: RuleSet, version: PolicyVersion, event: Event) -> Iterator[CompiledRule]:
    for rule in ruleset.rules:
        same = (rule.policy.id, rule.policy.version) == (version.id, version.version)
        if same and event.type in rule.event_types and not rule.shadow:
            yield rule


def _claims(
    ruleset: RuleSet,
    version: PolicyVersion,
    then: CustomerState,
    world: World,
    event: Event,
    *,
    ref: Ref | None,
    is_own: bool,
) -> list[Claim]:
    """What the version's rules would have given, where its reach holds the event's anchor."""
    facts, choices = ruleset.facts.surround(
        then, world, event, ref, ruleset.read_types.get(event.type, frozenset())
    )
    claims = []
    for rule in _rules(ruleset, version, event):
        if not (is_own if rule.entity is None else ref is not None and ref.type == rule.entity):
            continue
        claim = None
        for seen in ways(facts, choices, ruleset.varies[rule.number]):
            anchor = seen.get(version.window.anchor)
            if _reaches(version, anchor) and (claim is None or not claim.stands):
                claim = consider(rule, seen)
        if claim is not None:
            claims.append(claim)
    return claims


def _reaches(version: PolicyVersion, anchor: object) -> bool:
    reach = version.retroactive
    return reach is not None and isinstance(anchor, date) and reach.contains(anchor)


class _Supplement:
    """One version's claims on one event and entity, against what was decided on it before."""

    def __init__(
        self, ruleset: RuleSet, version: PolicyVersion, now: CustomerState, before: Sequence[Document]
    ) -> None:
        self._ruleset = ruleset
        self._version = version
        self._now = now
        self._before = before
        self._had = list(self._granted_before())
        self._settles: list[Settled] = []
        self._titles: dict[str, str] = {}  # of the alternatives that were chosen, for words

    def decide(self, world: World, event: Event, ref: Ref | None, claims: Sequence[Claim]) -> Decision | None:
        """The decision that grants the difference; None where there is none."""
        name = self._decision_id(event, ref)
        if not claims or any(one["decision_id"] == name for one in self._before):
            return None
        resolve(claims, self._without_before(ref), event, ref)
        for claim in claims:
            if claim.stands:
                self._choices(claim)
        self._differences([claim for claim in claims if claim.stands])
        decision = assembled(self._ruleset, self._now, world, event, ref, claims=claims)
        if not decision.offers and not any(self._counts(remedy.kind) for remedy in decision.remedies):
            return None
        decision = decision._replace(
            decision_id=name,
            settles=(*decision.settles, *self._settles),
            supplements=self._before[0]["decision_id"] if self._before else None,
            messages=decision.messages if decision.held else {**self._titles, **decision.messages},
        )
        return decision._replace(timers=timers(self._ruleset, decision, claims))

    def _decision_id(self, event: Event, ref: Ref | None) -> str:
        of_world = self._ruleset.catalogue.events[event.type].scope is Scope.WORLD
        more = (self._now.customer,) if of_world else ()
        return decision_id(
            event.source, event.id, ref, *more, version_id(self._version.id, self._version.version)
        )

    def _counts(self, kind: str) -> bool:
        return kind not in _ASIDE or not self._had

    # --- what was before ----------------------------------------------------------------------------

    def _granted_before(self) -> Iterator[Had]:
        """What the policy's versions granted for the event and entity, and what was chosen of its offers."""
        for name, offered, chosen in self._offers_before():
            for choice in offered.choices:
                if choice.id == chosen:
                    ids = ending_ids("", [Settled(name, chosen, "customer")], choice.remedies)
                    yield from map(Had, choice.remedies, ids)
        for document in self._before:
            remedies = [read_remedy(one) for one in document["remedies"]]
            ids = ending_ids(document["decision_id"], kept_of_document(document).settles, remedies)
            for remedy, ending in zip(remedies, ids, strict=True):
                if remedy.policy == self._version.id:
                    yield Had(remedy, ending)

    def _offers_before(self, status: str = SETTLED) -> Iterator[tuple[str, Offered, str | None]]:
        """The policy's offers on the event that have this status: id, offer, and what was chosen."""
        for document in self._before:
            for raw in document["offers"]:
                name = offer_id(document["decision_id"], raw["policy"], raw["rule"])
                offer = self._now.entities.get(OFFER, _NONE).get(name)
                if raw["policy"] == self._version.id and offer is not None:
                    values = offer.values
                    if values.get("status") == status:
                        chosen = values.get("chosen")
                        yield name, read_offer(values), None if chosen is None else str(chosen)

    def _without_before(self, ref: Ref | None) -> CustomerState:
        """The state in which caps count: what is supplemented does not count besides its supplement."""
        names = {one["decision_id"] for one in self._before}
        others = [
            record
            for record in self._now.remedies
            if record.policy != self._version.id or record.entity != ref or record.decision not in names
        ]
        return CustomerState(self._now.customer, self._now.entities, Remedies(others))

    # --- what is new --------------------------------------------------------------------------------

    def _choices(self, claim: Claim) -> None:
        """Offers: made where nothing was given; better ones take the place of one that is still open.

        Of what was chosen already, the same alternative of the version is what counts.
        """
        offers, claim.offers = claim.offers, []
        chosen = {alternative for _, _, alternative in self._offers_before()}
        waiting = list(self._offers_before(OPEN))
        for offer in offers:
            if chosen:
                for choice in offer.choices:
                    if choice.id in chosen:
                        claim.remedies.extend(choice.remedies)
                        self._titles.update(choice.title)
            elif waiting:
                better = [name for name, old, _ in waiting if _is_better(offer, old)]
                if len(better) == len(waiting):
                    self._settles += [Settled(name, None, "rule") for name in better]
                    claim.offers.append(offer)
            elif not self._had:
                claim.offers.append(offer)

    def _differences(self, claims: Sequence[Claim]) -> None:
        """Reduce the claims to what they give beyond what was granted before."""
        try:
            more = beyond([remedy for claim in claims for remedy in claim.remedies], self._had)
        except MoneyError as error:
            for claim in claims:
                claim.lose(Verdict.ERROR, str(error))
            return
        first = not self._had and not any(True for _ in self._offers_before(OPEN))
        start = 0
        for claim in claims:
            mine = more[start : start + len(claim.remedies)]
            start += len(claim.remedies)
            granted = [one for one in mine if one is not None]
            claim.remedies = [one.granted for one in granted]
            claim.told = [one.told for one in granted]
            claim.endings = {nth: one.ending for nth, one in enumerate(granted) if one.ending is not None}
            claim.denial = None
            if not first:
                claim.follow_ups.clear()
            if not granted and not claim.offers and not claim.follow_ups:
                claim.lose(Verdict.BEFORE, "it gives no more than was granted before")


def _is_better(new: Offered, old: Offered) -> bool:
    """Whether every alternative is still there and worth as much, and one is worth more, or is new."""
    before = {choice.id: choice.remedies for choice in old.choices}
    after = {choice.id: choice.remedies for choice in new.choices}
    if not before.keys() <= after.keys():
        return False
    lost = [beyond(before[key], map(Had, after[key])) for key in before]
    gained = [beyond(after[key], map(Had, before[key])) for key in before]
    return not any(map(any, lost)) and (len(after) > len(before) or any(map(any, gained)))
