"""The page about what expressions may use, docs/functions.md, made of the functions themselves."""
# ruff: noqa: E501  (a row of a Markdown table is one line)

from __future__ import annotations

from collections.abc import Iterable

from policyengine.engine.functions import FUNCTIONS, Function

_HEAD = """\
# Expressions: operators and functions

Conditions, amounts and dates in a policy are written in [CEL](https://cel.dev). This page lists everything
that they may use. It is made by `policyengine.engine.reference`, and a test holds it to the code and its
examples to their results (policy in ILS, rounding `half_up`, time zone Asia/Jerusalem).

## What a value is

| Type | Written | Note |
|---|---|---|
| text | `"gold"` | compared exactly; `<` orders by code points |
| integer | `30` | from -(2^53 - 1) to 2^53 - 1 as a result; 64 bits on the way, beyond is an error |
| flag | `true`, `false` | |
| money | `money("12.50 ILS")` | exact minor units; one expression holds one currency, the policy's if it names one |
| date | `date("2020-03-15")` | a civil date, no time zone; years 1900 to 2200 |
| instant | `timestamp("2020-03-15T10:30:00Z")` | a moment; `date_of` makes it a date |
| duration | `duration("36h")` | the difference of two instants or of two dates; inside of an expression only |
| decimal | `7.5`, `param.rate` | only as the second argument of `percent` |
| list of texts | `["gold", "platinum"]` | an attribute, or written out; never empty |

Unlike types never meet: money against a number, a date against an instant are errors when the policy is
loaded. Money is added, subtracted, compared and multiplied by integers; a share of it is `percent` or
`prorate`.

## Absent attributes

An expression that needs an attribute that is not there is *unknown*: the rule does not apply, and the trace
names the attribute. `&&` and `||` look at both sides first: `a || b` holds where `b` holds, whatever became of
`a`; `a && b` fails where `b` fails. `present(x)` asks.

## Operators of CEL

| Written | Takes | Meaning |
|---|---|---|
| `==` `!=` | two of one type | |
| `<` `<=` `>` `>=` | two of one type, no lists | `<` leaves the bound out, `<=` keeps it in |
| `&&` `\\|\\|` `!` | flags | and, or, not |
| `c ? a : b` | a flag, and two of one type | `a` where `c` holds, else `b` |
| `x in [a, b]` | a value and a list of its type | |
| `+` `-` | integers, money, durations; `+` also texts and lists | an instant plus or minus a duration is an instant |
| `*` | integers; money and an integer | |
| `/` `%` | integers | truncated toward zero; `%` has the sign of the dividend; by 0 is an error |
| `list[0]` | a list and an integer | beyond its end is an error |
| `list.exists(x, …)` `all` `exists_one` `filter` `map` | a list | for any, for all, for exactly one; those that; each one's |

## Functions of CEL

| Written | Meaning |
|---|---|
| `size(x)`, `x.size()` | characters of a text (code points), items of a list |
| `x.contains(y)` `x.startsWith(y)` `x.endsWith(y)` | texts |
| `x.matches("…")` | a regular expression (RE2) written out, found anywhere in `x`; conditions only, beside CEL's own functions only |
| `string(n)` | an integer as text |
| `x.getFullYear()` `getMonth()` `getDate()` `getDayOfMonth()` `getDayOfWeek()` `getDayOfYear()` | parts of a date, or of an instant in UTC. Months, days of the month (`getDayOfMonth`), of the week (Sunday 0) and of the year count from 0; `month(x)`, `day(x)` and `weekday(x)` below do not |
| `x.getHours()` `getMinutes()` `getSeconds()` | of an instant in UTC; a whole duration in that unit, truncated |
| `x.getMilliseconds()` | of an instant |

Everything else of CEL (maps, `null`, `has`, bytes, unsigned numbers, arithmetic on decimals, conversions, time
zones as arguments) is refused when the policy is loaded, with PE036.

## Functions for money and dates

`percent` and `prorate` round each time they are called, to whole minor units, in the direction that the
policy's `rounding` names; everything between two calls is exact. Dates are counted on the civil calendar;
business days leave out the country's weekend and public holidays.
"""


def reference() -> str:
    """The page in Markdown."""
    return _HEAD + "".join(_sections(FUNCTIONS.values()))


def _sections(functions: Iterable[Function]) -> Iterable[str]:
    for function in functions:
        yield f"\n### `{function.name}({', '.join(function.parameters)})`\n\n{function.meaning}\n\n"
        for overload in function.overloads:
            units = ", ".join(str(unit) for unit in overload.parameters)
            yield f"- ({units}) → {overload.result}\n"
        yield f"\n`{function.example}` is `{function.shown}`\n"
