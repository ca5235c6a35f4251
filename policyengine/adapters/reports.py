"""A simulation's report as one HTML file that opens without a network: plots by plotly, tables, no links.

It is made of the report's JSON; amounts stay decimal strings up to the browser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import orjson

from policyengine.errors import UsageError

Document = Mapping[str, Any]
# invariant: whatever stands in the page, a browser fetches nothing for it
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:"
)
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; margin: 2rem auto; max-width: 72rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem } h3 { font-size: 1rem }
table { border-collapse: collapse; margin: .75rem 0 } th, td { padding: .25rem .75rem; text-align: start }
th { border-bottom: 2px solid #c9d2de } td { border-bottom: 1px solid #e6ebf1 }
.figure { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap }
.note { color: #5a6676 } .plot { min-height: 22rem }
"""
_TITLES = {
    "policy": "Policies", "kind": "Remedies", "segment": "Segments", "region": "Regions", "month": "Months",
}  # fmt: skip
_COLOURS = {"baseline": "#9aa7b8", "candidate": "#1f6feb"}
_MARGIN = {"t": 40, "l": 90, "r": 20, "b": 90}


def html_report(report: Document) -> str:
    """The whole page; UsageError where plotly is not installed."""
    plots: list[Document] = []
    body = "\n".join(_body(report, plots))
    script = _in_script(plots)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<title>Simulation</title>
<style>{_STYLE}</style>
<script>{_plotly()}</script>
</head>
<body>
{body}
<script>
for (const plot of {script}) {{
  Plotly.newPlot(plot.id, plot.data, plot.layout, {{displaylogo: false, responsive: true}});
}}
</script>
</body>
</html>
"""


def check_plotly() -> None:
    """UsageError where it is not installed."""
    if find_spec("plotly") is None:
        message = "an HTML report needs plotly: pip install 'crisis-policy-engine[reports]'"
        raise UsageError(message)


def _plotly() -> str:
    check_plotly()
    return (files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")


def _in_script(value: Any) -> str:
    """JSON that ends no script, whatever customers and policies are called."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")


def _body(report: Document, plots: list[Document]) -> Iterator[str]:
    compared = report["baseline"] is not None
    yield "<h1>What the policies would decide</h1>"
    yield f"<p>On {escape(report['history'])}. Candidate: policy set {escape(report['candidate'][:16])}…"
    yield f", compared with {escape(report['baseline'])}.</p>" if compared else ".</p>"
    for note in report["notes"]:
        yield f'<p class="note">{escape(note)}</p>'
    yield from _summary(report, compared=compared)
    if compared:
        yield from _changes(report["changes"])
    for dimension, title in _TITLES.items():
        yield from _dimension(report, dimension, title, plots)
    yield from _largest(report["largest"], compared=compared)


def _summary(report: Document, *, compared: bool) -> Iterator[str]:
    yield "<h2>In all</h2>"
    rows: list[Sequence[Any]] = [("events", "", report["events"])]
    if report["refused"]:
        rows.append(("events that the candidate refuses", "", report["refused"]))
    pairs = {
        "decisions": report["decisions"],
        "that give something": report["giving"],
        "customers who get something": report["customers"],
        **{f"outcome {name}": pair for name, pair in report["outcomes"].items()},
        **{f"money, {one['currency']}": one for one in report["money"]},
    }
    rows += [(label, pair["baseline"], pair["candidate"]) for label, pair in pairs.items()]
    yield _table(("", "baseline", "candidate"), rows, compared=compared)


def _changes(changes: Document) -> Iterator[str]:
    yield "<h2>Who gains, who loses</h2>"
    yield f"<p>{changes['decisions']:,} decisions change, for {changes['customers']:,} customers.</p>"
    rows = [
        (label, one["customers"], f"{one['amount']} {one['currency']}")
        for label, part in (("better off", "better_off"), ("worse off", "worse_off"))
        for one in changes[part]
    ]
    yield _table(("", "customers", "by"), rows)
    rows = [
        (label, each["customer"], f"{each['amount']} {one['currency']}")
        for label, part in (("better off", "better_off"), ("worse off", "worse_off"))
        for one in changes[part]
        for each in one["largest"]
    ]
    if rows:
        yield "<h3>Most</h3>"
        yield _table(("", "customer", "by"), rows)
    rows = [
        (one["kind"], f"{one['more']['count']} for {one['more']['customers']}",
         f"{one['fewer']['count']} for {one['fewer']['customers']}")
        for one in changes["not_money"]
    ]  # fmt: skip
    if rows:
        yield "<h3>What is not money</h3>"
        yield _table(("", "more, for customers", "fewer, for customers"), rows)


def _dimension(report: Document, dimension: str, title: str, plots: list[Document]) -> Iterator[str]:
    rows = report[f"by_{dimension}"]
    if not rows:
        return
    compared = report["baseline"] is not None
    yield f"<h2>{title}</h2>"
    for currency in sorted({row["currency"] for row in rows if row["currency"] is not None}):
        mine = [row for row in rows if row["currency"] == currency]
        name = f"plot-{dimension}-{currency}"
        plots.append(_plot(name, f"{title}, {currency}", mine, dimension, compared=compared))
        yield f'<div class="plot" id="{escape(name)}"></div>'
    listed = [
        (
            row[dimension], row["currency"] or "", row["baseline"] or "", row["candidate"] or "",
            row["difference"] or "", row["decisions"]["candidate"], row["customers"]["candidate"],
        )
        for row in rows
    ]  # fmt: skip
    heads = ("", "currency", "baseline", "candidate", "difference", "decisions", "customers")
    yield _table(heads, listed, compared=compared)


def _plot(name: str, title: str, rows: Sequence[Document], dimension: str, *, compared: bool) -> Document:
    sides = ("baseline", "candidate") if compared else ("candidate",)
    return {
        "id": name,
        "data": [
            {
                "type": "bar",
                "name": side,
                "x": [row[dimension] for row in rows],
                "y": [row[side] for row in rows],
                "marker": {"color": _COLOURS[side]},
            }
            for side in sides
        ],
        "layout": {
            "title": {"text": escape(title)},
            "barmode": "group",
            "xaxis": {"type": "category"},
            "yaxis": {"type": "linear"},
            "margin": _MARGIN,
        },
    }


def _largest(cases: Sequence[Document], *, compared: bool) -> Iterator[str]:
    if cases:
        yield f"<h2>Largest {'differences' if compared else 'cases'}</h2>"
        rows = [
            (
                case["decision_id"], case["customer"], case["event_type"], case["time"][:10],
                case["currency"], case["baseline"], case["candidate"], case["difference"],
                "; ".join(case["gives"]),
            )
            for case in cases
        ]  # fmt: skip
        heads = (
            "decision", "customer", "event", "on", "currency", "baseline", "candidate", "difference", "gives"
        )  # fmt: skip
        yield _table(heads, rows, compared=compared)


_FIGURES = {"baseline", "candidate", "difference", "decisions", "customers", "by"}


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]], *, compared: bool = True) -> str:
    """A table; columns of the baseline and of differences are left out where nothing is compared."""
    shown = [
        number for number, head in enumerate(heads) if compared or head not in {"baseline", "difference"}
    ]
    styles = [' class="figure"' if head in _FIGURES else "" for head in heads]
    top = "".join(f"<th{styles[number]}>{escape(heads[number])}</th>" for number in shown)
    lines = (
        "<tr>" + "".join(f"<td{styles[number]}>{_cell(row[number])}</td>" for number in shown) + "</tr>"
        for row in rows
    )
    return f"<table>\n<tr>{top}</tr>\n" + "\n".join(lines) + "\n</table>"


def _cell(value: Any) -> str:
    return f"{value:,}" if type(value) is int else f"<bdi>{escape(str(value))}</bdi>"
