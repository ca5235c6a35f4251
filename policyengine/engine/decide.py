"""``decide(ruleset, state, world, event)``: the decisions for one event, with their traces.

Pure. Conditions and amounts are computed here; which of several remedies stand is
engine.resolve's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from policyengine.domain.catalogue import Scope
from policyengine.domain.decision import (
    Choice,
    ClauseResult,
    ClauseTrace,
    Decision,
    Denied,
    Offered,
    Outcome,
    Ref,
    Remedy,
    RuleTrace,
    Verdict,
    decision_id,
)
from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.state import CustomerState, entity_of, evolve_decided
from policyengine.domain.values import Json, Value, to_json
from policyengine.domain.world import World
from policyengine.engine.answers import answered
from policyengine.engine.expressions import Compiled
from policyengine.engine.facts import Facts
from policyengine.engine.network_plan import holds
from policyengine.engine.resolve import Claim, resolve
from policyengine.engine.ruleset import (
    CompiledOffer,
    CompiledRemedy,
    CompiledRule,
    DatedParameter,
    PolicyVersion,
    RuleSet,
)
from policyengine.engine.tables import CompiledTable
from policyengine.errors import EvaluationError, PolicyEngineError

ABSENT = "PE221"
# a member of an enumeration costs a look-up each time; these are asked for with every clause
_HELD, _APPLIED = ClauseResult.HELD, Verdict.APPLIED


def decide(ruleset: RuleSet, state: CustomerState, world: World, event: Event) -> list[Decision]:
    """Decide one event: its own entity first, then the others that rules decide on, by type and id.

    ``state`` is the customer's after the event was folded in. Each decision counts towards the
    caps of those that follow. A world event is nobody's: nothing is decided on it.
    """
    if ruleset.catalogue.events[event.type].scope is Scope.WORLD:
        return []
    own = entity_of(event, ruleset.catalogue)
    if event.type not in ruleset.read_types:
        return [_decision(ruleset, event, own, ())]
    decisions = [_decide_entity(ruleset, state, world, event, own, own=own)]
    for kind in ruleset.decided_types.get(event.type, ()):
        for key in sorted(state.entities.get(kind, ())):
            ref = Ref(kind, key)
            if ref != own:
                state = evolve_decided(state, decisions[-1])
                decisions.append(_decide_entity(ruleset, state, world, event, ref, own=own))
    return decisions


def candidates(ruleset: RuleSet, event: Event, ref: Ref | None, own: Ref | None, facts: Facts) -> list[int]:
    """The numbers of the rules that the index names for an entity; ``own`` is the event's."""
    found: list[int] = []
    if ref == own:
        found = ruleset.index.candidates(event.type, None, facts)
    if ref is not None and ref.type in ruleset.decided_types.get(event.type, ()):
        found = sorted([*found, *ruleset.index.candidates(event.type, ref.type, facts)])
    return found


def _decide_entity(
    ruleset: RuleSet,
    state: CustomerState,
    world: World,
    event: Event,
    ref: Ref | None,
    *,
    own: Ref | None,
) -> Decision:
    facts = ruleset.facts.build(state, world, event, ref, ruleset.read_types[event.type])
    claims: list[Claim] = []
    for number in candidates(ruleset, event, ref, own, facts):
        claim = consider(ruleset.rules[number], facts)
        # invariant: what the trace shows does not depend on what the index lets through besides
        if claim.verdict is _APPLIED or all(holds(conjunct, facts) for conjunct in claim.rule.conjuncts):
            claims.append(claim)
    if claims:
        resolve(claims, state, event, ref)
    return _decision(ruleset, event, ref, claims)


def consider(rule: CompiledRule, facts: Facts) -> Claim:
    """Confirm a candidate's conditions and compute what it would give."""
    policy = rule.policy
    values = with_parameters(policy, facts)
    clauses = tuple(_trace(clause, values) for clause in rule.clauses)
    claim = Claim(rule, clauses)
    lost = [clause for clause in clauses if clause.result is not _HELD]
    if lost:
        worst = next((clause for clause in lost if clause.result is ClauseResult.ERROR), lost[0])
        is_error = worst.result is ClauseResult.ERROR
        claim.lose(Verdict.ERROR if is_error else Verdict.CONDITION, _clause_reason(worst))
        return claim
    anchor = facts.get(policy.window.anchor)
    claim.enforced = _enforced(policy, anchor)
    if not claim.enforced and policy.withhold:
        claim.lose(Verdict.ENFORCEMENT, "the policy withholds it while it is not enforced")
        return claim
    try:
        _compute(claim, values)
    except PolicyEngineError as error:
        claim.lose(Verdict.ERROR, str(error))
    return claim


def with_parameters(policy: PolicyVersion, facts: Facts) -> Facts:
    """The facts, and the policy's parameters as they stand on the anchor's day."""
    if not policy.fixed and not policy.dated:
        return facts
    values = dict(facts)
    values.update(policy.fixed)  # type: ignore[arg-type]  # a decimal is only ever a percentage
    anchor = facts.get(policy.window.anchor)
    if policy.dated and isinstance(anchor, (date, datetime)):
        day = policy.day_of(anchor)
        for parameter in policy.dated:
            _add_dated(values, parameter, day)
    return values


def _add_dated(values: Facts, parameter: DatedParameter, day: date) -> None:
    value = parameter.on(day)
    if value is not None:
        values[parameter.name] = value  # type: ignore[assignment]


def _enforced(policy: PolicyVersion, anchor: Value | None) -> bool:
    if policy.enforced is None or not isinstance(anchor, (date, datetime)):
        return True
    return policy.enforced.contains(anchor)


def _trace(clause: Compiled, values: Mapping[str, Value]) -> ClauseTrace:
    judgement = clause.judge(values)
    seen: dict[str, Json] = {}
    for name in clause.refs:
        value = values.get(name)
        if value is not None:
            seen[name] = str(value) if isinstance(value, Decimal) else to_json(value)
    return ClauseTrace(clause.text, judgement.result, seen, judgement.absent, judgement.detail)


def _clause_reason(clause: ClauseTrace) -> str:
    if clause.result is ClauseResult.FAILED:
        return f"`{clause.text}` does not hold"
    if clause.absent:
        return f"`{clause.text}` is unknown: {', '.join(clause.absent)} absent"
    return f"`{clause.text}` cannot be computed: {clause.detail}"


def _rows(claim: Claim, table: CompiledTable, values: Facts) -> Sequence[Mapping[str, Value]]:
    """The results of the rows that fit; where none does, or none can be told to, the claim has lost."""
    try:
        rows = table.match(values)
    except EvaluationError as error:
        if error.code != ABSENT:
            raise
        claim.lose(Verdict.TABLE, f"which row of its table fits is unknown: {error.message}")
        return ()
    if not rows:
        claim.lose(Verdict.TABLE, "no row of its table fits")
    return rows


def _compute(claim: Claim, values: Facts) -> None:
    """Fill in remedies, offer, denial and messages; raises what an expression raises."""
    rule = claim.rule
    rows = [{}] if rule.table is None else _rows(claim, rule.table, values)
    for row in rows:
        seen = {**values, **row} if row else values
        claim.remedies.extend(_remedies(rule, rule.grant, seen, enforced=claim.enforced))
        if rule.offer is not None:
            claim.offers.append(_offered(rule, rule.offer, seen, enforced=claim.enforced))
        # several rows have several values: a message would tell one of them
        claim.message_values = seen if len(rows) == 1 else values
    if rule.deny is not None:
        claim.denial = Denied(rule.policy.id, rule.policy.version, rule.id, rule.deny)


def _remedies(
    rule: CompiledRule, specs: Sequence[CompiledRemedy], values: Facts, *, enforced: bool
) -> Iterator[Remedy]:
    policy = rule.policy
    for spec in specs:
        fields = dict(spec.literals)
        for name, expression in spec.computed:
            fields[name] = _field(expression, values)
        yield Remedy(spec.kind, fields, policy.id, policy.version, rule.id, policy.basis.value, enforced)


def _field(expression: Compiled, values: Facts) -> Value:
    value = expression.value(values)
    number = value.minor if isinstance(value, Money) else value
    if isinstance(number, int) and number < 0:
        message = f"`{expression.text}` gives {value}, which is below zero"
        raise EvaluationError(message, code="PE223")
    return value


def _offered(rule: CompiledRule, offer: CompiledOffer, values: Facts, *, enforced: bool) -> Offered:
    deadline = offer.deadline
    if isinstance(deadline, Compiled):
        computed = deadline.value(values)
        if not isinstance(computed, date):
            message = f"`{deadline.text}` is no date"
            raise EvaluationError(message)
        deadline = computed
    choices = tuple(
        Choice(
            alternative.id,
            tuple(_remedies(rule, alternative.remedies, values, enforced=enforced)),
            alternative.title,
        )
        for alternative in offer.alternatives
    )
    policy = rule.policy
    return Offered(
        policy.id, policy.version, rule.id, policy.basis.value,
        choices, offer.default, deadline, offer.consent,
    )  # fmt: skip


def _decision(ruleset: RuleSet, event: Event, ref: Ref | None, claims: Sequence[Claim]) -> Decision:
    live: list[Claim] = []
    shadow: list[Claim] = []
    for claim in claims:
        if claim.verdict is _APPLIED:
            (shadow if claim.rule.shadow else live).append(claim)
    remedies = tuple([remedy for claim in live for remedy in claim.remedies])
    offers = tuple([offer for claim in live for offer in claim.offers])
    denials = tuple([claim.denial for claim in live if claim.denial is not None])
    messages = _messages(live)  # before the traces, which say what was left out
    decision = Decision(
        decision_id(event.source, event.id, ref),
        event.source,
        event.id,
        event.type,
        event.time,
        event.subject,
        ref,
        _outcome(remedies, offers, denials),
        ruleset.digest,
        remedies,
        offers,
        denials,
        messages,
        shadow_remedies=tuple([remedy for claim in shadow for remedy in claim.remedies]),
        shadow_offers=tuple([offer for claim in shadow for offer in claim.offers]),
        trace=tuple([_rule_trace(claim) for claim in claims]),
    )
    return answered(ruleset, event, decision)


def _outcome(remedies: Sequence[Remedy], offers: Sequence[Offered], denials: Sequence[Denied]) -> Outcome:
    if remedies:
        return Outcome.GRANTED
    if offers:
        return Outcome.OFFERED
    return Outcome.DENIED if denials else Outcome.NONE


def _rule_trace(claim: Claim) -> RuleTrace:
    rule = claim.rule
    return RuleTrace(
        rule.policy.id,
        rule.policy.version,
        rule.id,
        claim.verdict,
        "; ".join(claim.because),
        claim.clauses,
        rule.shadow,
    )


def _messages(claims: Sequence[Claim]) -> dict[str, str]:
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
    fields = [
        (remedy.kind, name, value) for remedy in claim.remedies for name, value in remedy.values.items()
    ]
    names = Counter(written for kind, name, _ in fields for written in (name, f"{kind}.{name}"))
    for kind, name, value in fields:
        for written in (name, f"{kind}.{name}"):
            if names[written] == 1:
                values[written] = value
    for offer in claim.offers:
        if offer.deadline is not None:
            values["deadline"] = offer.deadline
    return values
