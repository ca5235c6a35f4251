"""Messages that lack a language that others have, and placeholders that may have nothing to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from policyengine.domain.catalogue import Catalogue, EventType
from policyengine.domain.policy import Policy
from policyengine.engine.faults import Fault, Path
from policyengine.engine.lint_scope import Seen
from policyengine.engine.satisfy import strictly_read, surely_there
from policyengine.engine.vocabulary import CUSTOMER

_ALWAYS = frozenset({"event.type", "event.id", "event.source", "event.time", "customer.id"})


def message_remarks(
    policies: Sequence[Policy], seen: Sequence[Seen], catalogue: Catalogue, *, whole: bool
) -> Iterator[Fault]:
    """PE087 and PE088."""
    usual = _usual_languages(policies) if whole else frozenset()
    for at, policy in enumerate(policies):
        yield from _languages(at, policy, usual)
    comes_with = _comes_with(catalogue)
    for rule in seen:
        yield from _absent(rule, catalogue, comes_with)


# --- languages ----------------------------------------------------------------------------------


def _messages(policy: Policy) -> Iterator[tuple[Path, Mapping[str, str], str]]:
    """What customers read: (place, texts by language, what it is)."""
    for place, rule in enumerate(policy.rules):
        if rule.say:
            yield ("rules", place, "say"), rule.say, "the message"
        for nth, choice in enumerate(rule.offer.alternatives if rule.offer is not None else ()):
            if choice.title:
                path: Path = ("rules", place, "offer", "alternatives", nth, "title")
                yield path, choice.title, f"the title of `{choice.id}`"


def _usual_languages(policies: Sequence[Policy]) -> frozenset[str]:
    """Languages that more than half of the policies speak."""
    spoken = [{tag for _, texts, _ in _messages(policy) for tag in texts} for policy in policies]
    speaking = [tags for tags in spoken if tags]
    counted = Counter(tag for tags in speaking for tag in tags)
    return frozenset(tag for tag, count in counted.items() if 2 * count > len(speaking))


def _languages(at: int, policy: Policy, usual: frozenset[str]) -> Iterator[Fault]:
    messages = list(_messages(policy))
    own = {tag for _, texts, _ in messages for tag in texts}
    for path, texts, what in messages:
        missing = sorted(own - set(texts))
        elsewhere = sorted(usual - own)
        if missing:
            text = f"{what} lacks {_listed(missing)}, in which this policy's other messages are written"
        elif elsewhere:
            text = f"{what} lacks {_listed(elsewhere)}, in which most policies are written"
        else:
            continue
        lines = ", ".join(f"{tag}: …" for tag in (missing or elsewhere))
        yield Fault(at, path, 0, "PE087", text, f"add {lines}; who reads that language is told nothing")


def _listed(tags: Sequence[str]) -> str:
    return " and ".join(f"`{tag}`" for tag in tags)


# --- placeholders -------------------------------------------------------------------------------


def _comes_with(catalogue: Catalogue) -> Mapping[str, frozenset[str]]:
    """By entity type, the attributes that some event on it must give: whoever has the one has the other."""
    found: dict[str, set[str]] = {}
    for kind in catalogue.events.values():
        if kind.entity is not None:
            found.setdefault(kind.entity, set()).update(_given(kind))
    return {entity: frozenset(names) for entity, names in found.items()}


def _given(kind: EventType) -> set[str]:
    """Attributes of its entity that an event of this type surely writes."""
    required = {name for name, attribute in kind.attributes.items() if attribute.required}
    return required | set(kind.sets) | set(kind.stamps)


def _absent(rule: Seen, catalogue: Catalogue, comes_with: Mapping[str, frozenset[str]]) -> Iterator[Fault]:
    there = _there(rule, catalogue)
    about = {name.partition(".")[0] for name in there}
    told: set[str] = set()
    for tag, template in rule.compiled.say.items():
        for name in template.placeholders:
            head, _, attribute = name.partition(".")
            is_attribute = head in catalogue.entities or head in ("event", "place", "earlier")
            if not is_attribute or name in there or name in told:
                continue
            if head in about and attribute in comes_with.get(head, ()):
                continue
            told.add(name)
            text = f"`{{{name}}}` may be absent; then nobody is told anything in this language"
            hint = f"add the condition present({name}), and a rule with other words for the rest"
            yield Fault(rule.at, (*rule.path, "say", tag), 0, "PE088", text, hint)


def _there(rule: Seen, catalogue: Catalogue) -> set[str]:
    """Names that surely have a value where the rule applies, and its words are filled in."""
    compiled = rule.compiled
    there = set(_ALWAYS) | set(surely_there(rule.boxes)) | set(compiled.policy.fixed)
    for part in rule.computed:
        there.update(strictly_read(part.tree))
    if compiled.table is not None:
        for number, column in enumerate(compiled.table.inputs):
            if all(row.tests[number] is not None for row in compiled.table.rows):
                there.update(strictly_read(column.tree))
    by_event = [_known_from(catalogue.events[kind]) for kind in compiled.event_types]
    there |= set.intersection(*by_event)
    if compiled.entity is not None:
        there.add(f"{compiled.entity}.id")
    there.add(f"{CUSTOMER}.id")
    return there


def _known_from(kind: EventType) -> set[str]:
    """What an event of this type tells of itself and of its entity."""
    names = {f"event.{name}" for name, attribute in kind.attributes.items() if attribute.required}
    if kind.entity is not None:
        names |= {f"{kind.entity}.{name}" for name in _given(kind)} | {f"{kind.entity}.id"}
    return names
