"""How the demo's year is told: what was declared, who was reached, what was chosen, what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from rich.panel import Panel

from policyengine.cli.output import out, say, table
from policyengine.domain.money import Money
from policyengine.service.summary import Line, Summary, WorldEvent
from policyengine.service.timeline import Timeline

_REASON = 76  # characters of a reason that fit beside its code


def tell(summary: Summary, counts: Mapping[str, int]) -> None:
    """Everything but the one customer's year."""
    _overview(counts)
    _declared(summary.world)
    _reached(summary)
    _in_time(summary)
    _offers(summary)
    _policies(summary)
    _refused(summary)


def tell_customer(story: Timeline) -> None:
    """One customer's year, in English and in Hebrew: what they did, and what came of it."""
    told = [
        replace(one, decisions=[made for made in one.decisions if made.document["outcome"] != "none"])
        for one in story.told
    ]
    short = replace(story, told=[one for one in told if one.decisions or one.whose == "customer"])
    for title, language in (("The year of customer", "en"), ("השנה של לקוח", "he")):
        say(f"\n{title} {story.customer}\n")
        for text in short.lines(language, (language,)):
            say(text)


def _overview(counts: Mapping[str, int]) -> None:
    out.print(
        Panel(
            f"{counts['events']:,} events decided, {counts['duplicates']:,} duplicates recognised, "
            f"{counts['rejected']:,} rejected with a reason, {counts['internal']:,} made by the engine\n"
            f"{counts['decisions']:,} decisions: {counts['granted']:,} granted, "
            f"{counts['offered']:,} offered, {counts['denied']:,} denied, "
            f"{counts['none']:,} where no policy applied",
            title="A year of a crisis, February 2020 to March 2021",
            title_align="left",
        )
    )


# --- what was declared ------------------------------------------------------------------------------

_COUNTED = {  # event type: the column in which it is counted, with the word it is counted as
    "restriction.imposed": ("restrictions", "imposed"),
    "restriction.changed": ("restrictions", "changed"),
    "restriction.lifted": ("restrictions", "lifted"),
    "facility.closed": ("sites", "closed"),
    "facility.reopened": ("sites", "open again"),
    "flight.withdrawn": ("withdrawn", "flights"),
    "performance.cancelled": ("withdrawn", "performances"),
    "performance.postponed": ("withdrawn", "postponed"),
}
_COLUMNS = ("restrictions", "sites", "withdrawn")


def _declared(world: list[WorldEvent]) -> None:
    made = table("What was declared", "month", "the crisis", *_COLUMNS)
    for month in sorted({event.day[:7] for event in world}):
        events = [event for event in world if event.day.startswith(month)]
        number = {name: Counter[str]() for name in _COLUMNS}
        for event in events:
            if event.type in _COUNTED:
                column, word = _COUNTED[event.type]
                number[column][word] += 1
        said = [text for event in events for text in _said(event)]
        cells = ("\n".join(f"{many} {word}" for word, many in number[name].items()) for name in _COLUMNS)
        made.add_row(month, "\n".join(said), *cells)
    out.print(made)


def _said(event: WorldEvent) -> Iterator[str]:
    data, day = event.data, event.day[8:]
    match event.type:
        case "crisis.declared":
            yield f"{day} {data.get('name', event.id)} declared, {data['region']}"
        case "crisis.phase_changed":
            yield f"{day} {event.id}: {data['phase']} from {data['from']}"
        case "crisis.extended":
            yield f"{day} {event.id}: until {data['expected_until']}"
        case "crisis.ended":
            yield f"{day} {event.id}: ends {data['ended_from']}"
        case "isolation.rules_changed":
            yield f"{day} {data['region']}: {data['days']} days in isolation"
        case "surplus.declared":
            yield f"{day} {data['region']}: {data['quantity']} {data['what']} to give away"
        case _:
            pass


# --- what came of it --------------------------------------------------------------------------------


def _reached(summary: Summary) -> None:
    made = table(
        "Reached without asking (~ money that was not charged)",
        "because of", "people", "decisions", "remedies", "money",
        right=("people", "decisions", "money"),
    )  # fmt: skip
    everybody = Line()
    for cause, line in sorted(summary.unasked.items()):
        made.add_row(cause, *_cells(line))
        everybody.merge(line)
    made.add_row("together", f"{len(everybody.customers):,}", f"{everybody.decisions:,}", "", "")
    out.print(made)


def _in_time(summary: Summary) -> None:
    made = table(
        "What came by itself, with time",
        "event", "times", "people", "decisions", "remedies", "money",
        right=("times", "people", "decisions", "money"),
    )  # fmt: skip
    for name, times in sorted(summary.fired.items()):
        made.add_row(name, f"{times:,}", *_cells(summary.in_time.get(name, Line())))
    out.print(made)


def _offers(summary: Summary) -> None:
    made = table("Offers", "offers", "number", right=("number",))
    by = {
        "customer": "chosen by the customer",
        "silence": "settled by silence",
        "rule": "withdrawn by a rule",
    }
    made.add_row("made", f"{summary.offers:,}")
    for name, text in by.items():
        made.add_row(text, f"{summary.settled[name]:,}")
    made.add_row("still open", f"{summary.offers - summary.settled.total():,}")
    out.print(made)


def _policies(summary: Summary) -> None:
    made = table(
        "Who got what, under which policy (~ money that was not charged)",
        "policy", "people", "decisions", "remedies", "money",
        right=("people", "decisions", "money"),
    )  # fmt: skip
    together = Line()
    for (policy, version), line in sorted(summary.policies.items()):
        made.add_row(f"{policy} v{version}", *_cells(line))
        together.merge(line)
    out.print(made)
    money = table("Money by currency", "currency", "given", "not charged", right=("given", "not charged"))
    for currency in sorted({*together.given, *together.spared}):
        sides = (Money(side[currency], currency).decimal for side in (together.given, together.spared))
        money.add_row(currency, *(f"{side:,}" for side in sides))
    out.print(money)


def _refused(summary: Summary) -> None:
    made = table("Refused, each for a reason", "code", "times", "the first of them", right=("times",))
    for code, times in sorted(summary.refused.items()):
        reason = summary.reasons[code]
        short = reason if len(reason) <= _REASON else f"{reason[: _REASON - 1]}…"
        made.add_row(code, f"{times:,}", short)
    out.print(made)


def _cells(line: Line) -> tuple[str, str, str, str]:
    if not line.decisions:
        return "", "", "", ""
    kinds = "\n".join(f"{kind} {number:,}" for kind, number in sorted(line.remedies.items()))
    sums = [*_sums(line.given), *(f"~ {text}" for text in _sums(line.spared))]
    return f"{len(line.customers):,}", f"{line.decisions:,}", kinds, "\n".join(sums)


def _sums(money: Counter[str]) -> list[str]:
    return [f"{Money(minor, currency).decimal:,} {currency}" for currency, minor in sorted(money.items())]
