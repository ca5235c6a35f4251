"""Expected against decided: what differs, in words. Only what a case names is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from policyengine.authoring.case_expect import Expectation
from policyengine.domain.decision import Decision, Denied, Offered, Outcome, Remedy, RuleTrace, Verdict
from policyengine.domain.events import Rejection
from policyengine.domain.money import Money
from policyengine.domain.values import Json, instant_to_json
from policyengine.errors import MoneyError

_ORDER = (Outcome.GRANTED, Outcome.OFFERED, Outcome.DENIED, Outcome.NONE)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected. ``expected`` is empty where something came unasked.

    ``rules``: the rules that it is about, as far as it names any.
    """

    what: str
    expected: str
    got: str
    rules: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.expected:
            return f"got {self.what} {self.got}, which is not expected"
        return f"expected {self.what} {self.expected}, got {self.got}"

    def to_json(self) -> dict[str, Json]:
        """As data."""
        return {"what": self.what, "expected": self.expected, "got": self.got, "text": str(self)}


def differences(expectation: Expectation, result: list[Decision] | Rejection) -> list[Difference]:
    """What differs, such as ``expected outcome granted, got none``; empty where all is as expected."""
    rejected = expectation.wanted.get("rejected")
    if isinstance(result, Rejection):
        if rejected == result.code:
            return []
        return [Difference("rejection", str(rejected or "none"), f"{result.code} {result.reason}")]
    if rejected is not None:
        return [Difference("rejection", str(rejected), "none: the event was accepted")]
    decisions = [decision for decision in result if _is_about(decision, expectation)]
    if not decisions and (expectation.entity is not None or expectation.customer is not None):
        return [_nobody(expectation, result)]
    return list(_compare(expectation.wanted, decisions))


def _nobody(expectation: Expectation, result: Sequence[Decision]) -> Difference:
    """That nothing was decided about what a case names, and about what it was."""
    named = [" ".join(expectation.entity)] if expectation.entity is not None else []
    if expectation.customer is None:
        got = ", ".join(f"{each.entity.type} {each.entity.id}" for each in result if each.entity)
    else:
        named.append(f"customer {expectation.customer}")
        got = ", ".join(
            f"{'' if each.entity is None else f'{each.entity.type} {each.entity.id} of '}{each.customer}"
            for each in result
        )
    return Difference("a decision about", " of ".join(named), got or "none about an entity")


def relevant(expectation: Expectation, result: list[Decision]) -> list[Decision]:
    """The decisions that an expectation is about; all of them where it finds none."""
    return [each for each in result if _is_about(each, expectation)] or result


def _is_about(decision: Decision, expectation: Expectation) -> bool:
    if expectation.customer not in (None, decision.customer):
        return False
    return expectation.entity is None or decision.entity == expectation.entity


def _compare(wanted: Mapping[str, Any], decisions: Sequence[Decision]) -> Iterator[Difference]:
    remedies = [remedy for decision in decisions for remedy in decision.remedies]
    offers = [offer for decision in decisions for offer in decision.offers]
    traces = [rule for decision in decisions for rule in decision.trace]
    if "outcome" in wanted:
        outcomes = {decision.outcome for decision in decisions}
        got = next((outcome for outcome in _ORDER if outcome in outcomes), Outcome.NONE).value
        if got != wanted["outcome"]:
            yield Difference("outcome", str(wanted["outcome"]), got)
    if "remedies" in wanted:
        yield from _match("remedy", wanted["remedies"], remedies, _remedy_differs, show_remedy)
    if "shadow" in wanted:
        shadow = [remedy for decision in decisions for remedy in decision.shadow_remedies]
        yield from _match("shadow remedy", wanted["shadow"], shadow, _remedy_differs, show_remedy)
    if "offers" in wanted:
        yield from _match("offer", wanted["offers"], offers, _offer_differs, _show_offer)
    if "denials" in wanted:
        denials = [denial for decision in decisions for denial in decision.denials]
        yield from _match("denial", wanted["denials"], denials, _denial_differs, _show_denial)
    given = [*remedies, *(each for offer in offers for choice in offer.choices for each in choice.remedies)]
    for kind in wanted.get("not", []):
        found = [remedy for remedy in given if remedy.kind == kind]
        if found:
            yield Difference(kind, "none", show_remedy(found[0]), (found[0].rule,))
    yield from _compare_trace(wanted, traces)
    if "messages" in wanted:
        yield from _compare_messages(wanted["messages"], decisions)


def _compare_trace(wanted: Mapping[str, Any], traces: Sequence[RuleTrace]) -> Iterator[Difference]:
    if "rules" in wanted:
        applied = {trace.rule for trace in traces if trace.verdict is Verdict.APPLIED}
        expected = set(map(str, wanted["rules"]))
        if applied != expected:
            about = tuple(sorted(applied ^ expected))
            yield Difference("the rules that apply", _listed(expected), _listed(applied), about)
    for rule, verdict in wanted.get("lost", {}).items():
        got = {trace.verdict.value for trace in traces if trace.rule == rule}
        if verdict not in got:
            yield Difference(f"rule {rule} to lose by", verdict, _listed(got), (rule,))
    for rule, names in wanted.get("unknown", {}).items():
        clauses = [clause for trace in traces if trace.rule == rule for clause in trace.clauses]
        absent = {name for clause in clauses for name in clause.absent}
        for name in [names] if isinstance(names, str) else names:
            if name not in absent:
                yield Difference(f"rule {rule} to lack", str(name), _listed(absent), (rule,))
    yield from _compare_errors(wanted, traces)


def _compare_errors(wanted: Mapping[str, Any], traces: Sequence[RuleTrace]) -> Iterator[Difference]:
    """invariant: a rule that ends in an error fails the case, unless it is meant: something is owed."""
    meant = {*wanted.get("errors", {}), *wanted.get("lost", {})}
    for trace in traces:
        if trace.verdict is Verdict.ERROR and trace.rule not in meant:
            yield Difference(f"rule {trace.rule}", "no error", _listed(_words(trace)), (trace.rule,))
    for rule, text in wanted.get("errors", {}).items():
        found = [trace for trace in traces if trace.rule == rule and trace.verdict is Verdict.ERROR]
        words = [word for trace in found for word in _words(trace)]
        if not any(str(text) in word for word in words):
            yield Difference(f"rule {rule} to end in an error with", f"`{text}`", _listed(words), (rule,))


def _words(trace: RuleTrace) -> Iterator[str]:
    yield trace.because
    for clause in trace.clauses:
        if clause.detail not in trace.because:
            yield clause.detail


def _compare_messages(wanted: Mapping[str, Any], decisions: Sequence[Decision]) -> Iterator[Difference]:
    if not wanted:
        said = [text for decision in decisions for text in decision.messages.values()]
        if said:
            yield Difference("message", "none", _listed(map(repr, said)))
    for language, text in wanted.items():
        got = [decision.messages[language] for decision in decisions if language in decision.messages]
        if text not in got:
            yield Difference(f"message ({language})", repr(text), _listed(map(repr, got)))


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(word for word in words if word)) or "none"


def _match(
    what: str,
    wanted: Sequence[Any],
    got: Sequence[Any],
    differ: Callable[[str, Any, Any], list[Difference]],
    show: Callable[[Any], str],
) -> Iterator[Difference]:
    """Pair each expected thing with another that came; what names most is paired first.

    invariant: the numbers are equal, so nothing comes unnoticed.
    """
    left = list(got)
    unmatched = []
    for item in sorted(wanted, key=lambda item: -len(str(item))):
        found = next((each for each in left if not differ(what, item, each)), None)
        if found is None:
            unmatched.append(item)
        else:
            left.remove(found)
    for item in unmatched:
        near = next((each for each in left if _same_kind(item, each)), None)
        if near is None:
            rules = (str(item["rule"]),) if isinstance(item, dict) and "rule" in item else ()
            yield Difference(what, _show(item), "none such", rules)
        else:
            left.remove(near)
            yield from differ(what, item, near)
    for each in left:
        yield Difference(what, "", show(each), (each.rule,))


def _same_kind(item: Any, each: Any) -> bool:
    return not isinstance(each, Remedy) or item.get("kind") == each.kind


def _show(item: Any) -> str:
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key}: {_show(value)}" for key, value in item.items()) + "}"
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(map(_show, item)) + "]"
    return _text(item)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return instant_to_json(value) if value.tzinfo is not None else value.isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(got, Money):
        try:
            return Money.literal(str(wanted)) == got
        except MoneyError:
            return False
    if isinstance(got, bool) or isinstance(wanted, bool):
        return wanted is got
    if isinstance(got, (date, datetime)):
        return _text(wanted) == _text(got)
    if isinstance(got, tuple):
        return isinstance(wanted, list) and list(map(str, wanted)) == list(map(str, got))
    return bool(wanted == got)


def remedy_fields(remedy: Remedy) -> dict[str, Any]:
    """A remedy's fields and where it comes from, by the names that cases use."""
    origin = {name: getattr(remedy, name) for name in ("policy", "version", "rule", "basis", "enforced")}
    return {"kind": remedy.kind, **remedy.values, **origin}


def show_remedy(remedy: Remedy) -> str:
    """A remedy as a case would write it."""
    fields = {
        name: value for name, value in remedy_fields(remedy).items() if name not in {"basis", "enforced"}
    }
    return _show(fields)


def _fields_differ(
    what: str, wanted: Mapping[str, Any], got: Mapping[str, Any], rule: str
) -> list[Difference]:
    about = tuple(dict.fromkeys([*([str(wanted["rule"])] if "rule" in wanted else []), rule]))
    return [
        Difference(f"{what} {name}", _show(value), _show(got[name]) if name in got else "absent", about)
        for name, value in wanted.items()
        if name not in got or not _equal(value, got[name])
    ]


def _remedy_differs(what: str, wanted: Mapping[str, Any], remedy: Remedy) -> list[Difference]:
    named = what.replace("remedy", remedy.kind)
    return _fields_differ(named, wanted, remedy_fields(remedy), remedy.rule)


def _offer_fields(offer: Offered) -> dict[str, Any]:
    names = ("policy", "version", "rule", "basis", "default", "deadline", "consent")
    return {name: getattr(offer, name) for name in names}


def _offer_differs(what: str, wanted: Mapping[str, Any], offer: Offered) -> list[Difference]:
    plain = {name: value for name, value in wanted.items() if name != "alternatives"}
    wrong = _fields_differ(what, plain, _offer_fields(offer), offer.rule)
    if "alternatives" in wanted:
        alternatives = [{"id": item} if isinstance(item, str) else item for item in wanted["alternatives"]]
        ids = [choice.id for choice in offer.choices]
        named = [str(item.get("id")) for item in alternatives]
        if sorted(named) != sorted(ids):
            wrong.append(Difference(f"{what} alternatives", ", ".join(named), ", ".join(ids), (offer.rule,)))
        for item in alternatives:
            remedies = [
                each for choice in offer.choices if choice.id == item.get("id") for each in choice.remedies
            ]
            if "remedies" in item:
                name = f"alternative {item.get('id')}: remedy"
                wrong.extend(_match(name, item["remedies"], remedies, _remedy_differs, show_remedy))
    return wrong


def _show_offer(offer: Offered) -> str:
    choices = {choice.id: [show_remedy(remedy) for remedy in choice.remedies] for choice in offer.choices}
    return _show({**_offer_fields(offer), "alternatives": choices})


def _denial_differs(what: str, wanted: Any, denial: Denied) -> list[Difference]:
    fields = {name: getattr(denial, name) for name in ("policy", "version", "rule", "reason")}
    return _fields_differ(what, {"rule": wanted} if isinstance(wanted, str) else wanted, fields, denial.rule)


def _show_denial(denial: Denied) -> str:
    return f"{denial.rule}: {denial.reason}"
