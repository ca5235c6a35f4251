"""What the rule network is made of: conjuncts become tests on whole numbers, facts become one JSON text.

No durable-rules here: this is the part that can be reasoned about. `engine.match` builds and runs
the networks that a plan describes.

The network sees integers only. Text literals are interned (any other text is 0), membership in a
literal list is a key of its own that is 1 or missing, money has one key per attribute and currency,
and a second one that is 1 when the amount is in another currency. What a network cannot hold
(order of texts, an integer beyond 2^53, more than `MAX_KEYS` keys) is kept as a *residual* and
compared in Python, so that the candidates are the same whatever the network's limits.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import product
from typing import Any

from policyengine.domain.money import MAX_EXACT, Money
from policyengine.domain.values import Value
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.network_limits import MAX_KEYS, MAX_TESTS, MAX_TWINS, Entry, Leaf, Test, cut

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORDER: Mapping[str, Callable[[str | int, str | int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


Encoder = Mapping[type, Callable[[Any], str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about the rules of one event type and entity type.

    ``always``: rules without a test. ``shards``: the leaves of each network; one, unless a limit
    asks for more. ``encoders``: attribute name and what makes its part of the fact.
    """

    always: tuple[Entry, ...]
    shards: tuple[tuple[Leaf, ...], ...]
    encoders: tuple[tuple[str, Encoder], ...]

    def fact(self, facts: Mapping[str, Value]) -> str:
        """The fact as JSON members, each with a comma before it."""
        parts: list[str] = []
        for name, encoder in self.encoders:
            value = facts.get(name)
            if value is not None:
                encode = encoder.get(value.__class__) or _inherited(encoder, value)
                parts.append(encode(value))
        return "".join(parts)


def _inherited(encoder: Encoder, value: Value) -> Callable[[Any], str]:
    """The encoder of a subclass's value, such as a StrEnum's."""
    return next(encoder[kind] for kind in value.__class__.__mro__ if kind in encoder)


def _microseconds(value: datetime) -> int:
    since = value - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def index_value(value: Value) -> str | int | bool | None:
    """A value as conjuncts write it; None for a list of texts, which no conjunct compares."""
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, Money):
        return value.minor
    if isinstance(value, datetime):
        return _microseconds(value)
    if isinstance(value, date):
        return value.toordinal() - _EPOCH_DAY
    return None


def holds(conjunct: Conjunct, facts: Mapping[str, Value]) -> bool:
    """Whether a conjunct makes its rule a candidate: the obvious definition.

    The attribute is present, of the literal's kind, and the comparison is true; money in another
    currency than the literal's counts as true, so that deciding can report it.
    """
    value = facts.get(conjunct.attribute)
    if value is None or isinstance(value, Money) != (conjunct.currency is not None):
        return False
    if isinstance(value, Money) and value.currency != conjunct.currency:
        return True
    seen = index_value(value)
    if isinstance(conjunct.value, tuple):
        return any(_same_kind(seen, literal) and seen == literal for literal in conjunct.value)
    literal = conjunct.value
    if seen is None or not _same_kind(seen, literal):
        return False
    if conjunct.operator in {"==", "!="}:
        return (seen == literal) is (conjunct.operator == "==")
    return _ORDER[conjunct.operator](seen, literal)


def _same_kind(seen: str | int | None, literal: str | int) -> bool:
    return isinstance(seen, str) == isinstance(literal, str) and isinstance(seen, bool) == isinstance(
        literal, bool
    )


def key_names() -> Iterator[str]:
    """Short property names; `id` and `sid` have a meaning of their own for durable-rules."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from letters
    yield from (one + two for one in letters for two in letters if one + two != "id")


@dataclass(slots=True)
class _Keys:
    """Hands out a network's property names, up to the limit."""

    free: Iterator[str] = field(default_factory=key_names)
    left: int = MAX_KEYS

    def take(self) -> str | None:
        if self.left == 0:
            return None
        self.left -= 1
        return next(self.free)


@dataclass(slots=True)
class _Lists:
    """Literal lists of one attribute and kind: which keys are 1 for which value."""

    keys: dict[frozenset[str | int], str] = field(default_factory=dict)

    def fragments(self) -> dict[str | int, str]:
        made: dict[str | int, str] = {}
        for literals, key in self.keys.items():
            for literal in literals:
                made[literal] = made.get(literal, "") + f',"{key}":1'
        return made


@dataclass(slots=True)
class _Amount:
    """Keys of a money attribute in one currency: the amount, and `in another currency`."""

    amount: str
    other: str
    lists: _Lists = field(default_factory=_Lists)


@dataclass(slots=True)
class _Attribute:
    """Keys under which one attribute's values reach the network, by kind of value."""

    keys: _Keys
    text: str | None = None
    number: str | None = None
    flag: str | None = None
    texts: dict[str, int] = field(default_factory=dict)
    text_lists: _Lists = field(default_factory=_Lists)
    number_lists: _Lists = field(default_factory=_Lists)
    flag_lists: _Lists = field(default_factory=_Lists)
    money: dict[str, _Amount] = field(default_factory=dict)

    def test(self, conjunct: Conjunct) -> Test | None:
        """The network's test of a conjunct without a currency; None if it has none."""
        value = conjunct.value
        if isinstance(value, tuple):
            return self._member(value)
        if isinstance(value, str):
            if conjunct.operator not in {"==", "!="}:
                return None
            self.text = self.text or self.keys.take()
            return _test(self.text, conjunct.operator, self.texts.setdefault(value, len(self.texts) + 1))
        if isinstance(value, bool):
            self.flag = self.flag or self.keys.take()
            return _test(self.flag, conjunct.operator, int(value))
        if abs(value) > MAX_EXACT + 1:
            return None
        self.number = self.number or self.keys.take()
        return _test(self.number, conjunct.operator, value)

    def _member(self, literals: tuple[str | int, ...]) -> Test | None:
        kinds = {str if isinstance(one, str) else type(one) for one in literals}
        if len(kinds) != 1:
            return None
        kind = kinds.pop()
        lists = self.text_lists if kind is str else self.flag_lists if kind is bool else self.number_lists
        return _membership(lists, literals, self.keys)

    def amount(self, currency: str) -> _Amount | None:
        """The keys of money in that currency."""
        if currency not in self.money:
            amount, other = self.keys.take(), self.keys.take()
            if amount is None or other is None:
                return None
            self.money[currency] = _Amount(amount, other)
        return self.money[currency]

    def encoder(self) -> Encoder:
        """What makes this attribute's part of a fact, by the class of its value."""
        texts, other_text = self._text_fragments()
        flags, members = self._flag_fragments(), self.number_lists.fragments()
        number = f',"{self.number}":' if self.number else ""

        def whole(value: int) -> str:
            member = members.get(value, "")
            return f"{number}{value}{member}" if number else member

        return {
            str: lambda value: texts.get(value, other_text),
            bool: flags.__getitem__,
            int: whole,
            Money: self._money_encoder(),
            datetime: lambda value: whole(_microseconds(value)),
            date: lambda value: whole(value.toordinal() - _EPOCH_DAY),
            tuple: lambda _: "",
        }

    def _text_fragments(self) -> tuple[dict[str, str], str]:
        members = self.text_lists.fragments()
        if self.text is None:
            return {str(literal): text for literal, text in members.items()}, ""
        known = {
            str(literal): f',"{self.text}":{self.texts.get(str(literal), 0)}{members.get(literal, "")}'
            for literal in (*self.texts, *members)
        }
        return known, f',"{self.text}":0'

    def _flag_fragments(self) -> dict[bool, str]:
        members = self.flag_lists.fragments()
        own = {flag: f',"{self.flag}":{int(flag)}' if self.flag else "" for flag in (False, True)}
        return {flag: own[flag] + members.get(flag, "") for flag in (False, True)}

    def _money_encoder(self) -> Callable[[Money], str]:
        known = [
            (currency, f',"{keys.amount}":', keys.lists.fragments(), f',"{keys.other}":1')
            for currency, keys in self.money.items()
        ]

        def encode(value: Money) -> str:
            return "".join(
                f"{amount}{value.minor}{members.get(value.minor, '')}"
                if value.currency == currency
                else other
                for currency, amount, members, other in known
            )

        return encode


def _test(key: str | None, comparison: str, value: int) -> Test | None:
    return None if key is None else Test(key, comparison, value)


def _membership(lists: _Lists, literals: Iterable[str | int], keys: _Keys) -> Test | None:
    wanted = frozenset(literals)
    if wanted not in lists.keys:
        key = keys.take()
        if key is None:
            return None
        lists.keys[wanted] = key
    return Test(lists.keys[wanted], "==", 1)


class Planner:
    """Turns the rules of one event type and entity type into a plan."""

    def __init__(self) -> None:
        self._keys = _Keys()
        self._attributes: dict[str, _Attribute] = {}

    def plan(self, rules: Sequence[tuple[int, tuple[Conjunct, ...]]]) -> Plan:
        """The plan; the same for the same rules in any order, but for the rules' numbers."""
        leaves: dict[frozenset[Test], list[Entry]] = {}
        for number, conjuncts in rules:
            paths, residual = self._paths(conjuncts)
            for path in paths:
                leaves.setdefault(path, []).append(Entry(number, residual))
        always = tuple(leaves.pop(frozenset(), ()))
        # a text, a flag, a list or money with an `in`, `==` first: they divide the rules best
        use = Counter(test.key for path in leaves for test in path)
        paths_in_order = sorted(
            (tuple(sorted(path, key=lambda test: (_rank(test), -use[test.key], test))), entries)
            for path, entries in leaves.items()
        )
        shards = cut(Leaf(path, tuple(entries)) for path, entries in paths_in_order)
        encoders = tuple((name, attribute.encoder()) for name, attribute in sorted(self._attributes.items()))
        return Plan(always, tuple(shards), encoders)

    def _paths(
        self, conjuncts: Iterable[Conjunct]
    ) -> tuple[tuple[frozenset[Test], ...], tuple[Conjunct, ...]]:
        """The conjunctions of tests, one of which must hold, and the residual."""
        tests: set[Test] = set()
        residual: list[Conjunct] = []
        amounts: dict[tuple[str, str], set[Test]] = {}
        for position, conjunct in enumerate(conjuncts):
            if position >= MAX_TESTS:
                residual.append(conjunct)
                continue
            attribute = self._attributes.setdefault(conjunct.attribute, _Attribute(self._keys))
            if conjunct.currency is None:
                test = attribute.test(conjunct)
                if test is None:
                    residual.append(conjunct)
                else:
                    tests.add(test)
                continue
            place = (conjunct.attribute, conjunct.currency)
            money = self._amount_test(attribute, conjunct)
            if money is None or (place not in amounts and 2 ** (len(amounts) + 1) > MAX_TWINS):
                residual.append(conjunct)
            else:
                amounts.setdefault(place, set()).add(money)
        choices = [
            (frozenset(same), frozenset({Test(self._attributes[name].money[currency].other, "==", 1)}))
            for (name, currency), same in amounts.items()
        ]
        paths = tuple(frozenset(tests).union(*choice) for choice in product(*choices))
        return paths, tuple(residual)

    def _amount_test(self, attribute: _Attribute, conjunct: Conjunct) -> Test | None:
        keys = attribute.amount(str(conjunct.currency))
        if keys is None:
            return None
        if isinstance(conjunct.value, tuple):
            return _membership(keys.lists, conjunct.value, self._keys)
        if isinstance(conjunct.value, str) or abs(conjunct.value) > MAX_EXACT + 1:
            return None
        return Test(keys.amount, conjunct.operator, conjunct.value)


def _rank(test: Test) -> int:
    """Order within a path: what fewest facts pass comes first."""
    return ("==", "<", "<=", ">", ">=", "!=").index(test.operator)
