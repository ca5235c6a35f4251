"""``decide(ruleset, state, world, event)``: the decisions for one event, with their traces.

Pure. Conditions and amounts are computed here; which of several remedies stand is
engine.resolve's, whom an event of the world reaches engine.reach's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from policyengine.domain.state import CustomerState, evolve_decided
from policyengine.domain.values import Json, Value, to_json
from policyengine.domain.world import World
from policyengine.engine.aftermath import give_time, spoken, timers
from policyengine.engine.answers import answered
from policyengine.engine.caps import NOTHING_GRANTED
from policyengine.engine.expressions import Compiled
from policyengine.engine.facts import Choices, Facts, ways
from policyengine.engine.follow_ups import check_deadline, follow_ups
from policyengine.engine.network_plan import holds
from policyengine.engine.resolve import Claim, one_version, resolve, tried
from policyengine.engine.ruleset import (
    CompiledOffer,
    CompiledRemedy,
    CompiledRule,
    DatedParameter,
    PolicyVersion,
    RuleSet,
)
from policyengine.engine.settle import decided_on, settlement
from policyengine.engine.shares import not_for, tried_beside
from policyengine.engine.tables import CompiledTable
from policyengine.errors import EvaluationError, PolicyEngineError

ABSENT = "PE221"
# a member of an enumeration costs a look-up each time; these are asked for with every clause
_HELD, _APPLIED = ClauseResult.HELD, Verdict.APPLIED


def decide(ruleset: RuleSet, state: CustomerState, world: World, event: Event) -> list[Decision]:
    """Decide one event: its own entity first, then the others that rules decide on, by type and id.

    ``state`` is the customer's after the event was folded in. Each decision counts towards the
    caps of those that follow. An event of the world is nobody's own: see engine.reach.
    """
    if ruleset.catalogue.events[event.type].scope is Scope.WORLD:
        return []
    own = decided_on(ruleset.catalogue, state, event)
    if event.type not in ruleset.read_types:
        return [decision_of(ruleset, state, world, event, own, claims=())]
    decisions = [decide_entity(ruleset, state, world, event, own, own=own)]
    for kind in ruleset.decided_types.get(event.type, ()):
        for key in sorted(state.entities.get(kind, ())):
            ref = Ref(kind, key)
            if ref != own:
                state = evolve_decided(state, decisions[-1])
                decisions.append(decide_entity(ruleset, state, world, event, ref, own=own))
    return decisions


def candidates(ruleset: RuleSet, event: Event, ref: Ref | None, own: Ref | None, facts: Facts) -> list[int]:
    """The numbers of the rules that the index names for an entity; ``own`` is the event's.

    With an event of the world ``own`` is None: rules without `for` are for the customer as such.
    """
    found: list[int] = []
    if ref == own:
        found = ruleset.index.candidates(event.type, None, facts)
    if ref is not None and ref.type in ruleset.decided_types.get(event.type, ()):
        found = sorted([*found, *ruleset.index.candidates(event.type, ref.type, facts)])
    return found


def decide_entity(
    ruleset: RuleSet,
    state: CustomerState,
    world: World,
    event: Event,
    ref: Ref | None,
    *,
    own: Ref | None,
    granted: Mapping[str, int] = NOTHING_GRANTED,
) -> Decision:
    """One decision; ``granted`` is what the event's rules gave to others, for caps per event."""
    facts, choices = ruleset.facts.surround(state, world, event, ref, ruleset.read_types[event.type])
    if choices:
        claims = _claims_in_turn(ruleset, event, ref, own, (facts, choices))
    else:
        found = candidates(ruleset, event, ref, own, facts)
        claims = [claim for number in found if (claim := _claim(ruleset.rules[number], facts)) is not None]
    if claims:
        resolve(claims, state, event, ref, granted)
    return decision_of(ruleset, state, world, event, ref, claims=claims)


def _claim(rule: CompiledRule, facts: Facts) -> Claim | None:
    """What a candidate claims; None where it is none after all.

    invariant: what the trace shows does not depend on what the index lets through besides
    """
    claim = consider(rule, facts)
    if claim.verdict is _APPLIED or all(holds(conjunct, facts) for conjunct in rule.conjuncts):
        return claim
    return None


def _claims_in_turn(
    ruleset: RuleSet, event: Event, ref: Ref | None, own: Ref | None, around: tuple[Facts, Choices]
) -> list[Claim]:
    """The claims where several crises or restrictions hold at once: a rule sees one of each at a time.

    The first combination under which it applies counts; else the first that ends in an error, since
    something is owed there; else the first under which it is a candidate.
    """
    found: dict[int, Claim] = {}
    under: dict[int, str] = {}
    for types in ruleset.mixtures[event.type]:
        for seen in ways(*around, types):
            for number in candidates(ruleset, event, ref, own, seen):
                known = found.get(number)
                if ruleset.varies[number] != types or (known is not None and known.verdict is _APPLIED):
                    continue
                claim = _claim(ruleset.rules[number], seen)
                if claim is not None and (known is None or _counts_before(claim, known)):
                    found[number] = claim
                    kind = claim.rule.policy.window.anchor.partition(".")[0]
                    if kind in types:
                        under[number] = str(seen.get(f"{kind}.id"))
    claims = [found[number] for number in sorted(found)]
    one_version(claims, under)
    return claims


def _counts_before(claim: Claim, known: Claim) -> bool:
    if claim.verdict is Verdict.ERROR:
        return known.verdict is not Verdict.ERROR
    return claim.verdict is _APPLIED


def consider(rule: CompiledRule, facts: Facts) -> Claim:
    """Confirm a candidate's conditions and compute what it would give."""
    policy = rule.policy
    if (policy.customers is not None or policy.before) and (why := not_for(policy, facts)):
        claim = Claim(rule, ())
        claim.lose(Verdict.SHARE, why)
        return claim
    values = with_parameters(policy, facts)
    clauses = tuple([_trace(clause, values) for clause in rule.clauses])
    claim = Claim(rule, clauses, tried=tried_beside(policy, facts) if policy.before else None)
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
        if value.__class__ is str:  # the commonest, and this is a busy place
            seen[name] = value
        elif value is not None:
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
        if rule.follow_ups:
            claim.follow_ups.extend(follow_ups(rule.policy, rule.follow_ups, seen))
        # several rows have several values: a message would tell one of them
        claim.message_values = seen if len(rows) == 1 else values
    if rule.deny is not None:
        claim.denial = Denied(rule.policy.id, rule.policy.version, rule.id, rule.deny)


def _remedies(
    rule: CompiledRule, specs: Sequence[CompiledRemedy], values: Facts, *, enforced: bool
) -> list[Remedy]:
    policy = rule.policy
    basis = policy.basis._value_  # `value` is a property, and this is a busy place
    remedies = []
    for spec in specs:
        fields = dict(spec.literals)
        for name, expression in spec.computed:
            fields[name] = _field(expression, values)
        remedies.append(Remedy(spec.kind, fields, policy.id, policy.version, rule.id, basis, enforced))
    return remedies


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
    if deadline is not None:
        check_deadline(rule.policy, deadline, values)
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


def decision_of(
    ruleset: RuleSet,
    state: CustomerState,
    world: World,
    event: Event,
    ref: Ref | None,
    *,
    claims: Sequence[Claim],
) -> Decision:
    """The decision on an entity: what the claims that stand give, what is settled, and what comes of it."""
    decision = assembled(ruleset, state, world, event, ref, claims=claims)
    later = timers(ruleset, decision, claims) if claims or decision.remedies else ()
    if later:
        decision = decision._replace(timers=later)
    return answered(ruleset, event, decision)


def assembled(
    ruleset: RuleSet,
    state: CustomerState,
    world: World,
    event: Event,
    ref: Ref | None,
    *,
    claims: Sequence[Claim],
) -> Decision:
    """The decision without the timers that come of it, which go by its id."""
    live: list[Claim] = []
    shadow: list[Claim] = []
    for claim in claims:
        if claim.verdict is _APPLIED:
            (shadow if claim.rule.shadow else live).append(claim)
    give_time([*live, *shadow], world, event)
    remedies = tuple([remedy for claim in live for remedy in claim.remedies])
    given = settlement(state, event, ref, remedies)
    if given.remedies:
        remedies = (*given.remedies, *remedies)
    offers = tuple([offer for claim in live for offer in claim.offers])
    denials = tuple([claim.denial for claim in live if claim.denial is not None])
    messages, held = spoken(ruleset, live, world, event)  # before the traces, which say what was left out
    # an event of the world is decided for many: the customer tells those decisions apart
    of_world = ruleset.catalogue.events[event.type].scope is Scope.WORLD
    return Decision(
        decision_id(event.source, event.id, ref, *((state.customer,) if of_world else ())),
        event.source,
        event.id,
        event.type,
        event.time,
        state.customer,
        ref,
        _outcome(remedies, offers, denials),
        ruleset.digest,
        remedies,
        offers,
        denials,
        {**given.messages, **messages} if given.messages else messages,
        shadow_remedies=tuple([remedy for claim in shadow for remedy in claim.remedies]),
        shadow_offers=tuple([offer for claim in shadow for offer in claim.offers]),
        tried=tried(claims),
        trace=tuple([_rule_trace(claim) for claim in claims]),
        settles=given.settles,
        held=held,
    )


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
