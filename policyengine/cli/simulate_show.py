"""How a simulation is shown in a terminal: tables, and bars as wide as there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from policyengine.cli.output import out, say, table
from policyengine.domain.money import Money
from policyengine.service.simulate_report import OUTCOMES, SHOWN, Row, SimulationReport, texts_of
from policyengine.service.simulate_tally import BASELINE, CANDIDATE, DIMENSIONS, Direction

_CHARTS = (("policy", "policy"), ("month", "month"), ("region", "region"), ("segment", "segment"))
_TABLES = (("policy", "Policies"), ("kind", "Remedies"), ("segment", "Segments"), ("region", "Regions"),
           ("month", "Months"))  # fmt: skip
_BLOCKS = " ▏▎▍▌▋▊▉█"
_EIGHTHS, _NARROWEST, _WIDEST, _BARS = 8, 10, 50, 20


def show(report: SimulationReport, *, everything: bool = False) -> None:
    """From the whole to the single case; of what is compared, what differs, unless it is to be everything."""
    compared = report.compared
    against = f", compared with {report.baseline}" if compared else ""
    say(f"On {report.history}: policy set {report.candidate[:16]}…{against}")
    for note in report.notes:
        say(note)
    if compared:
        _changes(report)
    out.print(_whole(report))
    shown = {name: _shown(report.rows(name), all_of_it=everything or not compared) for name in DIMENSIONS}
    for dimension, title in _TABLES:
        if shown[dimension]:
            out.print(_dimension(title, dimension, shown[dimension], compared=compared))
            alike = len({row.name for row in report.rows(dimension)} - {row.name for row in shown[dimension]})
            if alike:
                say(f"  {alike:,} others stay as they are; --all shows them")
    for dimension, title in _CHARTS:
        for currency in report.currencies:
            _chart(f"Money by {title}, {currency}", shown[dimension], currency, compared=compared)
    _largest(report)


def _shown(rows: Sequence[Row], *, all_of_it: bool) -> list[Row]:
    return [row for row in rows if all_of_it or any(pair[0] != pair[1] for pair in row[2:])]


def _changes(report: SimulationReport) -> None:
    totals = report.totals
    if not totals.changed:
        say(f"No decision would come out otherwise, of {totals.decisions[CANDIDATE]:,}.")
        return
    say(
        f"{totals.changed:,} of {max(totals.decisions):,} decisions would come out otherwise, "
        f"for {totals.changed_customers:,} customers"
    )
    made = table("Who gains, who loses", "", "customers", "by", "most", right=("customers", "by"))
    for label, directions in (("better off", totals.more), ("worse off", totals.less)):
        for currency, one in sorted(directions.items()):
            made.add_row(label, f"{one.customers:,}", str(Money(one.amount, currency)), _most(one, currency))
    if made.row_count:
        out.print(made)
    columns = ("more", "for customers", "fewer", "for customers")
    made = table("What is not money", "", *columns, right=columns)
    for kind, (gain, more), (loss, fewer) in report.kinds():
        made.add_row(kind, f"{more:,}", f"{gain:,}", f"{fewer:,}", f"{loss:,}")
    if made.row_count:
        out.print(made)


def _most(one: Direction, currency: str) -> str:
    return ", ".join(f"{customer} {Money(-size, currency)}" for size, customer in one.largest[:3])


def _whole(report: SimulationReport) -> Table:
    totals, whole = report.totals, report.whole
    heads = ("baseline", "candidate", "difference") if report.compared else ("candidate",)
    made = table(f"In all, on {totals.events:,} events", "", *heads, right=heads)
    pairs: list[tuple[str, Sequence[int]]] = [("decisions", totals.decisions)]
    pairs += [(f"  {name}", [side[name] for side in totals.outcomes]) for name in OUTCOMES]
    pairs += [("that give something", whole.decisions), ("customers who get something", whole.customers)]
    for label, pair in pairs:
        made.add_row(label, *_figures([f"{one:,}" for one in (*pair, pair[1] - pair[0])], report.compared))
    for was, now in report.money():
        difference = Money(now.minor - was.minor, was.currency)
        made.add_row(
            f"money, {was.currency}", *_figures([str(was), str(now), str(difference)], report.compared)
        )
    if totals.refused:
        made.add_row("events refused", *_figures(["", f"{totals.refused:,}", ""], report.compared))
    return made


def _figures(three: Sequence[str], compared: bool) -> Sequence[str]:
    return three if compared else three[1:2]


def _dimension(title: str, dimension: str, rows: Sequence[Row], *, compared: bool) -> Table:
    money = ("baseline", "candidate", "difference") if compared else ("candidate",)
    made = table(title, dimension, *money, "decisions", "customers", right=(*money, "decisions", "customers"))
    last = None
    for row in rows:
        was, now = row.money
        amounts = [_money(one, row.currency) for one in (was, now, now - was)]
        counts = (_change(row.decisions, compared), _change(row.customers, compared))
        first = row.name != last  # a name in several currencies is counted once
        made.add_row(
            row.name if first else "", *_figures(amounts, compared), *(counts if first else ("", ""))
        )
        last = row.name
    return made


def _money(minor: int, currency: str | None) -> str:
    return "" if currency is None else str(Money(minor, currency))


def _change(pair: tuple[int, int], compared: bool) -> str:
    was, now = pair
    return f"{now:,}" if was == now or not compared else f"{was:,} → {now:,}"


# --- bars -----------------------------------------------------------------------------------------


def _chart(title: str, rows: Sequence[Row], currency: str, *, compared: bool) -> None:
    mine = [row for row in rows if row.currency == currency and any(row.money)]
    for line in chart_lines(mine, currency, out.width, compared=compared):
        if title:
            say(f"\n{title}")
            title = ""
        out.print(line, soft_wrap=True)


def chart_lines(rows: Sequence[Row], currency: str, width: int, *, compared: bool) -> Iterator[str]:
    """Bars for the rows with most money: what the candidate gives, and above it the baseline."""
    sides = (BASELINE, CANDIDATE) if compared else (CANDIDATE,)
    most = max((abs(row.money[side]) for row in rows for side in sides), default=0)
    if not most:
        return
    kept = sorted(rows, key=lambda row: (-max(map(abs, row.money)), row.name))[:_BARS]
    names = max(len(row.name) for row in kept)
    figures = max(len(str(Money(row.money[side], currency))) for row in kept for side in sides)
    room = min(_WIDEST, max(_NARROWEST, width - names - figures - 4))
    for row in rows:
        if row not in kept:
            continue
        for side in sides:
            label = row.name if side == sides[0] else ""
            bar = _bar(abs(row.money[side]), most, room, light=side == BASELINE)
            yield f"  {label:<{names}} {bar} {Money(row.money[side], currency)}"
    if len(rows) > len(kept):
        yield f"  and {len(rows) - len(kept):,} smaller"


def _bar(size: int, most: int, room: int, *, light: bool) -> str:
    """invariant: whole numbers only; what is not nothing is at least an eighth of a character."""
    eighths = max(size * room * _EIGHTHS // most, 1) if size else 0
    whole, rest = divmod(eighths, _EIGHTHS)
    if light:
        return "░" * (whole + (rest > 0))
    return "█" * whole + (_BLOCKS[rest] if rest else "")


# --- cases ----------------------------------------------------------------------------------------


def _largest(report: SimulationReport) -> None:
    for currency, cases in report.largest().items():
        say(f"\nLargest {'differences' if report.compared else 'cases'}, {currency}")
        for case in cases[: SHOWN // 2]:
            one = case.candidate or case.baseline
            if one is None:
                continue
            was, now = (Money(minor, currency) for minor in case.money)
            amounts = f"{was} → {now}" if report.compared else str(now)
            about = one.about
            entity = "" if about.entity is None else f", {about.entity[0]} {about.entity[1]}"
            say(f"  {amounts}  {about.customer}{entity}, {about.event_type} on {about.time[:10]}")
            say(f"    {about.decision_id}")
            gave, gives = texts_of(case.baseline), texts_of(case.candidate)
            for mark, texts in (("-", gave), ("+", gives)) if report.compared else (("", gives),):
                for text in texts:
                    if not report.compared or text not in (gives if mark == "-" else gave):
                        say(f"    {mark} {text}")
