"""From policy models to a rule set: every expression checked, the index built.

Pure: the same policies and catalogue give the same rule set, in any order of files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from policyengine.domain.catalogue import Catalogue, Scope
from policyengine.domain.kept import NOTICE, RELEASING
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy import Offer, Policy, Rule
from policyengine.domain.policy_model import SHADOW
from policyengine.domain.remedies import RemedySpec, expression_fields
from policyengine.domain.values import Value, ValueType
from policyengine.engine.expressions import Compiled, ExpressionError, Language, ParameterType
from policyengine.engine.facts import FactBuilder, covering_types
from policyengine.engine.faults import CompileError, Path, Report
from policyengine.engine.follow_ups import compile_follow_ups
from policyengine.engine.match import Index, IndexedRule
from policyengine.engine.messages import Template, parse_template
from policyengine.engine.ruleset import (
    Candidates,
    CompiledAlternative,
    CompiledFollowUp,
    CompiledOffer,
    CompiledRemedy,
    CompiledRule,
    PolicyVersion,
    RuleSet,
)
from policyengine.engine.scopes import crisis_clauses, policy_scope_faults, scope_faults
from policyengine.engine.shares import with_trials
from policyengine.engine.tables import CompiledTable, compile_table
from policyengine.engine.vocabulary import CUSTOMER, Vocabulary, vocabulary
from policyengine.engine.windows import (
    anchor_window,
    check_overlaps,
    read_parameters,
    retroactive_window,
    window_conjuncts,
)


def compile_policies(policies: Sequence[Policy], catalogue: Catalogue, digest: str) -> RuleSet:
    """Compile a policy set; CompileError carries every fault of every policy."""
    report = Report()
    order = sorted(range(len(policies)), key=lambda at: (policies[at].policy, policies[at].version))
    versions: list[tuple[int, PolicyVersion]] = []
    rules: list[CompiledRule] = []
    for at in order:
        compiler = PolicyCompiler(policies[at], at, catalogue, report)
        version = compiler.version()
        if version.window.anchor == policies[at].effective.by:
            versions.append((at, version))
        for place, rule in enumerate(policies[at].rules):
            compiled = compiler.rule(version, place, rule, number=len(rules))
            if compiled is not None:
                rules.append(compiled)
    check_overlaps(versions, report)
    _check_groups(policies, report)
    if report.faults:
        raise CompileError(report.faults)
    index = Index([IndexedRule(rule.number, rule.event_types, rule.entity, rule.conjuncts) for rule in rules])
    return rule_set(with_trials(rules), catalogue, digest, index)


def rule_set(
    rules: tuple[CompiledRule, ...], catalogue: Catalogue, digest: str, index: Candidates
) -> RuleSet:
    """The rules with their index, and what is known by event type before any event arrives."""
    covering = covering_types(catalogue)
    decided: dict[str, set[str]] = {}
    reached: dict[str, set[str]] = {}
    read: dict[str, set[str]] = {}
    mixtures: dict[str, set[tuple[str, ...]]] = {}
    varies: list[tuple[str, ...]] = []
    for rule in rules:
        kinds = {name.partition(".")[0] for name in rule.reads}
        varies.append(tuple(kind for kind in covering if kind in kinds))
        for event_type in rule.event_types:
            read.setdefault(event_type, set()).update(kinds)
            mixtures.setdefault(event_type, set()).add(varies[-1])
            if rule.entity is not None:
                decided.setdefault(event_type, set()).add(rule.entity)
            if catalogue.events[event_type].scope is Scope.WORLD:
                reached.setdefault(event_type, set()).add(rule.entity or CUSTOMER)
    for event_type in RELEASING & catalogue.events.keys():
        if catalogue.events[event_type].scope is Scope.WORLD and NOTICE in catalogue.entities:
            reached.setdefault(event_type, set()).add(NOTICE)  # messages wait for it, whatever the rules
    return RuleSet(
        digest,
        catalogue,
        rules,
        index,
        FactBuilder(catalogue),
        {event_type: tuple(sorted(kinds)) for event_type, kinds in decided.items()},
        {event_type: frozenset(kinds) for event_type, kinds in read.items()},
        {kind: tuple(sorted(types, key=_customer_first)) for kind, types in reached.items()},
        tuple(varies),
        {event_type: tuple(sorted(mixed)) for event_type, mixed in mixtures.items()},
    )


def _customer_first(entity_type: str) -> tuple[bool, str]:
    return entity_type != CUSTOMER, entity_type


def _check_groups(policies: Sequence[Policy], report: Report) -> None:
    """All members of an exclusive group choose alike: PE054."""
    chosen: dict[str, tuple[str, str]] = {}
    members: list[tuple[int, Path, Any, str]] = []
    for at, policy in enumerate(policies):
        members.append((at, ("exclusive",), policy.exclusive, policy.policy))
        for place, rule in enumerate(policy.rules):
            members.append((at, ("rules", place, "exclusive"), rule.exclusive, policy.policy))
    for at, path, exclusive, name in sorted(members, key=lambda member: member[3]):
        if exclusive is None:
            continue
        choose, other = chosen.setdefault(exclusive.group, (exclusive.choose, name))
        if choose != exclusive.choose:
            text = f"group `{exclusive.group}` chooses `{choose}` in `{other}` and `{exclusive.choose}` here"
            report.add(at, (*path, "choose"), "PE054", text, "write the same `choose` everywhere")


@dataclass(slots=True)
class PolicyCompiler:
    """Compiles one file; notes what is wrong and goes on."""

    policy: Policy
    at: int
    catalogue: Catalogue
    report: Report
    parameter_types: Mapping[str, ParameterType] | None = None

    def version(self) -> PolicyVersion:
        """What the rules share; where the anchor is at fault, `event.time` stands in for it."""
        policy = self.policy
        self.parameter_types, fixed, dated = read_parameters(policy, self.at, self.report)
        by, kind = policy.effective.by, self._anchor_type()
        if kind is None:
            by, kind = "event.time", ValueType.INSTANT
        window = anchor_window(policy, policy.effective, by, kind)
        if window.until is not None and window.until <= window.start:
            text = "`until` is not after `from`: the version would never govern"
            hint = "`until` is the first day that does not count any more: write a later one"
            self.report.add(self.at, ("effective", "until"), "PE053", text, hint)
        for fault in policy_scope_faults(self.catalogue, policy):
            self.report.add(self.at, fault.path, fault.code, fault.message, fault.hint)
        enforced = policy.enforced
        return PolicyVersion(
            id=policy.policy,
            version=policy.version,
            basis=policy.basis,
            zone=policy.zone,
            currency=policy.currency,
            window=window,
            enforced=None if enforced is None else anchor_window(policy, enforced, by, kind),
            withhold=enforced is not None and enforced.otherwise == "withhold",
            fixed=fixed,
            dated=dated,
            cap=policy.cap,
            title=policy.title,
            cites=tuple(policy.cites),
            announced=policy.announced,
            review=policy.review,
            retroactive=retroactive_window(policy, window, kind, self.at, self.report),
            staff_first=None if policy.staff_first is None else policy.staff_first.hours,
            shadow=policy.shadow or policy.trial == SHADOW,
            customers=policy.customers,
            trial=policy.trial,
        )

    def _anchor_type(self) -> ValueType | None:
        """The anchor must be a date or an instant for every event that a rule is on."""
        by, kinds = self.policy.effective.by, set()
        for rule in self.policy.rules:
            words = vocabulary(self.catalogue, [t for t in rule.event_types if t in self.catalogue.events])
            entry = words.terms.get(by)
            if entry is None:
                hint = did_you_mean(by, words.terms)
                self.report.add(self.at, ("effective", "by"), "PE031", f"unknown attribute `{by}`", hint)
                return None
            kinds.add(entry.type)
        if len(kinds) == 1 and kinds <= {ValueType.DATE, ValueType.INSTANT}:
            return ValueType(kinds.pop())
        text = f"`{by}` is {' or '.join(sorted(kinds))}, which is no anchor"
        self.report.add(self.at, ("effective", "by"), "PE032", text, "name a date or an instant")
        return None

    def rule(self, version: PolicyVersion, place: int, rule: Rule, number: int) -> CompiledRule | None:
        """Compile one rule; None where something is wrong with it."""
        before = len(self.report.faults)
        self._check_names(place, rule)
        if len(self.report.faults) > before:
            return None
        words = vocabulary(self.catalogue, rule.event_types)
        here: Path = ("rules", place)
        table = self._table(rule, words, here)
        row = {} if table is None else dict(table.outputs)
        language = self._language(words, row)
        clauses = [
            *self._crisis(language),
            *(
                self._expression(language, text, ValueType.FLAG, (*here, "when", nth))
                for nth, text in enumerate(rule.when)
            ),
        ]
        grant = self._remedies(language, rule.grant, (*here, "grant"))
        offer = self._offer(language, rule.offer, (*here, "offer"))
        later = self._follow_ups(language, rule, (*here, "follow_up"))
        known = message_names(words, self.parameter_types or {}, row, rule)
        say = self._say(rule, known, (*here, "say"))
        if len(self.report.faults) > before:
            return None
        checked = tuple(clause for clause in clauses if clause is not None)
        conjuncts = [*window_conjuncts(version.window)]
        for clause in checked:
            conjuncts.extend(clause.conjuncts)
        return CompiledRule(
            number=number,
            policy=version,
            id=rule.id,
            priority=rule.priority,
            event_types=rule.event_types,
            entity=self._entity(rule),
            clauses=checked,
            conjuncts=tuple(conjuncts),
            table=table,
            grant=grant,
            deny=None if rule.deny is None else rule.deny.reason,
            offer=offer,
            say=say,
            exclusive=rule.exclusive or self.policy.exclusive,
            cap=rule.cap,
            shadow=rule.shadow or version.shadow,
            title=rule.title,
            follow_ups=later,
        )

    def _entity(self, rule: Rule) -> str | None:
        """Whom the rule is for; an event of the world knows the customer only as such."""
        of_world = self.catalogue.events[rule.event_types[0]].scope is Scope.WORLD
        return None if of_world and rule.for_ == CUSTOMER else rule.for_

    def _check_names(self, place: int, rule: Rule) -> None:
        for fault in scope_faults(self.catalogue, place, rule):
            self.report.add(self.at, fault.path, fault.code, fault.message, fault.hint)

    def _language(self, words: Vocabulary, row: Mapping[str, ValueType]) -> Language:
        return Language(
            words,
            parameters=self.parameter_types or {},
            row=row,
            currency=self.policy.currency,
            rounding=self.policy.rounding,
            zone=self.policy.zone,
        )

    def _expression(
        self, language: Language, source: str, expect: ValueType | None, path: Path
    ) -> Compiled | None:
        try:
            return language.compile(source, expect)
        except ExpressionError as error:
            for problem in error.problems:
                self.report.add(
                    self.at, path, problem.code, problem.message, problem.hint, offset=problem.offset
                )
            return None

    def _crisis(self, language: Language) -> list[Compiled | None]:
        scope = self.policy.crisis
        if scope is None:
            return []
        return [
            self._expression(language, source, ValueType.FLAG, ("crisis", key) if key else ("crisis",))
            for key, source in crisis_clauses(scope)
        ]

    def _table(self, rule: Rule, words: Vocabulary, here: Path) -> CompiledTable | None:
        if rule.table is None:
            return None

        def fault(path: Path, code: str, message: str, hint: str, offset: int) -> None:
            self.report.add(self.at, (*here, "table", *path), code, message, hint, offset=offset)

        return compile_table(rule.table, self._language(words, {}), fault)

    def _remedies(
        self, language: Language, specs: Sequence[RemedySpec], path: Path
    ) -> tuple[CompiledRemedy, ...]:
        return tuple(self._remedy(language, spec, (*path, nth)) for nth, spec in enumerate(specs))

    def _remedy(self, language: Language, spec: Any, path: Path) -> CompiledRemedy:
        literals: dict[str, Value] = {}
        computed: list[tuple[str, Compiled]] = []
        model: type[RemedySpec] = type(spec)
        marked = expression_fields(model)
        for name, raw in spec.model_dump(by_alias=True, exclude_none=True).items():
            if name == "kind":
                continue
            if name in marked and isinstance(raw, str):
                compiled = self._expression(language, raw, marked[name], (*path, name))
                if compiled is not None:
                    computed.append((name, compiled))
            else:
                literals[name] = tuple(raw) if isinstance(raw, list) else raw
        return CompiledRemedy(spec.kind, literals, tuple(computed))

    def _offer(self, language: Language, offer: Offer | None, path: Path) -> CompiledOffer | None:
        if offer is None:
            return None
        alternatives = tuple(
            CompiledAlternative(
                alternative.id,
                alternative.title,
                self._remedies(language, alternative.grant, (*path, "alternatives", nth, "grant")),
            )
            for nth, alternative in enumerate(offer.alternatives)
        )
        deadline: Compiled | date | None
        if isinstance(offer.deadline, str):
            deadline = self._expression(language, offer.deadline, ValueType.DATE, (*path, "deadline"))
        else:
            deadline = offer.deadline
        return CompiledOffer(alternatives, offer.default, deadline, offer.consent)

    def _follow_ups(self, language: Language, rule: Rule, here: Path) -> tuple[CompiledFollowUp, ...]:
        def fault(path: Path, code: str, message: str, hint: str) -> None:
            self.report.add(self.at, path, code, message, hint)

        def compiled(source: str, expect: ValueType, path: Path) -> Compiled | None:
            return self._expression(language, source, expect, path)

        return compile_follow_ups(rule, self.catalogue, compiled, fault, here)

    def _say(self, rule: Rule, known: Mapping[str, ValueType | None], path: Path) -> dict[str, Template]:
        templates: dict[str, Template] = {}
        for tag, text in rule.say.items():
            try:
                template = parse_template(text, tag, self.policy.zone)
            except ValueError as error:
                self.report.add(self.at, (*path, tag), "PE061", f"malformed message: {error}")
                continue
            for name in template.placeholders:
                if name not in known:
                    hint = did_you_mean(name, known)
                    self.report.add(self.at, (*path, tag), "PE060", f"unknown placeholder `{{{name}}}`", hint)
                elif known[name] is ValueType.FLAG:
                    text_ = f"`{{{name}}}` is a flag, which has no words"
                    self.report.add(self.at, (*path, tag), "PE062", text_, "write two rules instead")
            templates[tag] = template
        return templates


def message_names(
    words: Vocabulary,
    parameters: Mapping[str, ParameterType],
    row: Mapping[str, ValueType],
    rule: Rule,
) -> dict[str, ValueType | None]:
    """What a message may name, and its type: attributes, parameters, table outputs, remedies' fields.

    A field is `{until}` when one remedy of the rule has it, and `{voucher.until}` when several do.
    """
    known: dict[str, ValueType | None] = {name: ValueType(word.type) for name, word in words.terms.items()}
    for name, kind in parameters.items():
        known[f"param.{name}"] = kind if isinstance(kind, ValueType) else None
    known.update({f"row.{name}": kind for name, kind in row.items()})
    known.update(remedy_fields(rule.grant))
    if rule.offer is not None:
        known["deadline"] = ValueType.DATE
    return known


def remedy_fields(remedies: Sequence[Any]) -> dict[str, ValueType | None]:
    """`kind.field` and `field`, each where only one remedy has it; a literal flag is a flag."""
    fields: list[tuple[str, ValueType | None]] = []
    for spec in remedies:
        model: type[RemedySpec] = type(spec)
        marked = expression_fields(model)
        for name, raw in spec.model_dump(by_alias=True, exclude={"kind"}, exclude_none=True).items():
            kind = ValueType.FLAG if isinstance(raw, bool) else marked.get(name)
            fields += [(name, kind), (f"{spec.kind}.{name}", kind)]
    names = Counter(name for name, _ in fields)
    return {name: kind for name, kind in fields if names[name] == 1}
