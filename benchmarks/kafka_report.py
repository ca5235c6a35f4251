"""`build/bench-kafka.json` as the tables of docs/benchmarks.md and docs/operations.md. Prints Markdown.

With files after it, writes each table there between `<!-- bench-kafka: its name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

import orjson

Found = Mapping[str, Any]
PEAKS = (1_000, 100_000)
FULL = 0.6


def report(found: Found) -> list[str]:
    """All tables of what was measured, with headings."""
    lines = []
    for title, (_, table) in TABLES.items():
        rows = table(found)
        if rows:
            lines += [f"**{title}**", "", *rows, ""]
    return lines


def machine(found: Found) -> list[str]:
    """Where and how it was measured."""
    there, options = found["machine"], found["options"]
    line = (
        f"{there['cores']} cores ({there['model']}), Python {there['python']}; "
        f"{options['events']:,} events a pass, {options['rounds']} rounds, load {there['load'][0]:.1f} "
        f"before them; took {found['seconds']} s. "
        f"A million additions took {_spread(found['yardstick'])} ms of CPU."
    )
    return [line]


def into(path: Path, found: Found) -> None:
    """Write the tables where a page has a place for them."""
    text = path.read_text(encoding="utf-8")
    for name, table in TABLES.values():
        start, end = f"<!-- bench-kafka: {name} -->\n", "\n<!-- end -->"
        before, mark, rest = text.partition(start)
        rows = table(found)
        if mark and rows:
            text = before + mark + "\n" + "\n".join(rows) + "\n" + rest[rest.index(end) :]
    path.write_text(text, encoding="utf-8")


def throughput(found: Found) -> list[str]:
    """Events a second, and what each costs."""
    rows = [
        "| | events/s, median (lowest to highest) | CPU µs an event: process | broker | database | MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in found["throughput"].items():
        costs = {
            part: median(run["cpu_microseconds_per_event"][part] for run in runs)
            for part in ("worker", "broker", "database")
        }
        cells = " | ".join(f"{costs[part]:,.0f}" if costs[part] > 1 else "" for part in costs)
        memory = max(run["resident_megabytes"] for run in runs)
        shown = f"{memory:,.0f}" if memory else ""
        rows.append(f"| {name} | {_spread([run['rate'] for run in runs])} | {cells} | {shown} |")
    return rows if found["throughput"] else []


def goals(found: Found) -> list[str]:
    """Ratios, round by round."""
    runs = found["throughput"]
    if not runs:
        return []
    rows = ["| | rate, median (lowest to highest) | CPU of the process |", "|---|---|---|"]
    for database in ("sqlite", "postgresql"):
        ours = runs[f"worker, {database}"]
        against = {f"pass-through, {database}": "with the database", "pass-through, none": "without one"}
        for name, what in against.items():
            rates, costs = _ratios(ours, runs[name])
            rows.append(
                f"| worker on {database} : pass-through {what} | {_spread(rates, 2)} | {_spread(costs, 1)} |"
            )
        if "quixstreams" in runs:
            rates, costs = _ratios(ours, runs["quixstreams"])
            rows.append(f"| worker on {database} : quixstreams | {_spread(rates, 2)} | {_spread(costs, 2)} |")
    idle = "worker without policies, sqlite"
    if idle in runs:
        rates, costs = _ratios(runs["worker, sqlite"], runs[idle])
        rows.append(
            f"| worker on sqlite : itself without policies | {_spread(rates, 2)} | {_spread(costs, 1)} |"
        )
    if "same_decisions" in found:
        same = "the same" if found["same_decisions"] else "NOT THE SAME"
        rows += ["", f"quixstreams' decisions are {same}, byte for byte, as the worker's."]
    return rows


def scaling(found: Found) -> list[str]:
    """Two workers beside one."""
    if not found["scaling"]:
        return []
    rows = [
        "| workers | events/s, median (lowest to highest) | CPU µs: workers | broker | database | cores |",
        "|---|---|---|---|---|---|",
    ]
    for count in ("1", "2"):
        runs = [pair[count] for pair in found["scaling"]]
        costs = {
            part: median(run["cpu_microseconds_per_event"][part] for run in runs)
            for part in ("worker", "broker", "database")
        }
        cores = median(
            sum(run["cpu_microseconds_per_event"].values()) / 1e6 * run["events"] / run["whole_seconds"]
            for run in runs
        )
        cells = " | ".join(f"{cost:,.0f}" for cost in costs.values())
        rows.append(f"| {count} | {_spread([run['rate'] for run in runs])} | {cells} | {cores:.2f} |")
    ratios = [pair["2"]["rate"] / pair["1"]["rate"] for pair in found["scaling"]]
    return [*rows, "", f"Two workers to one: {_spread(ratios, 2)}."]


def latency(found: Found) -> list[str]:
    """From sending an event to seeing its decision."""
    if not found["latency"]:
        return []
    rows = [
        "| | events/s | p50 | p99 | until handed to Kafka: p50 | p99 | from there: p50 | p99 | cores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found["latency"].items():
        parts = [
            f"{one[part][share]:,.0f}"
            for part in ("all", "until_published", "publishing")
            for share in ("p50", "p99")
        ]
        cores = ", ".join(f"{used:.2f}" for used in one["cores_used"].values())
        rows.append(f"| {name} | {one['rate']:,} | {' | '.join(parts)} | {cores} |")
    return rows


def restarts(found: Found) -> list[str]:
    """Few customers and many."""
    if not found["restart"]:
        return []
    rows = [
        "| | customers | rows | MB | seconds, median (lowest to highest) | CPU seconds | ledger, ms | CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for database, filled in found["restart"].items():
        for customers, one in filled.items():
            seconds, cpu = ([start[name] for start in one["starts"]] for name in ("seconds", "cpu_seconds"))
            asked, used = (
                [part[name] for part in one["asked"]] for name in ("milliseconds", "cpu_milliseconds")
            )
            rows.append(
                f"| {database} | {int(customers):,} | {one['state_rows']:,} | {one['megabytes']:,.0f} | "
                f"{_spread(seconds, 2)} | {_spread(cpu, 2)} | {median(asked):.0f} | {median(used):.0f} |"
            )
    return rows


def sizes(found: Found) -> list[str]:
    """Bytes on disk."""
    if "topics" not in found["sizes"]:
        return []
    rows = ["| | bytes an entry | GB a million decisions |", "|---|---|---|"]
    for database in ("sqlite", "postgresql"):
        one = found["sizes"][database]
        each = one["bytes"] / one["entries"]
        rows.append(f"| ledger, {database} | {each:,.0f} | {each * 2 / 1e3:.2f} |")
    for name, size in found["sizes"]["topics"].items():
        rows.append(f"| topic of {name}s, one copy, not compressed | {size:,.0f} | {size / 1e3:.2f} |")
    return rows


def sizing(found: Found) -> list[str]:
    """What peaks of events need where processes and servers are as full as FULL, with PostgreSQL."""
    runs = found["throughput"].get("worker, postgresql")
    if not runs:
        return []
    costs = {
        part: median(run["cpu_microseconds_per_event"][part] for run in runs)
        for part in ("worker", "broker", "database")
    }
    ledger = found["sizes"]["postgresql"]
    each = 2 * ledger["bytes"] / ledger["entries"]
    topics = sum(found["sizes"]["topics"].values())
    columns = []
    for peak in PEAKS:
        cores = {part: peak * cost / 1e6 / FULL for part, cost in costs.items()}
        workers = ceil(cores["worker"])
        columns.append(
            [
                f"{workers:,}",
                f"{max(12, 4 * workers):,}",
                f"{cores['database']:,.1f}",
                f"{peak * each / 1e6:,.1f}",
                f"{cores['broker']:,.1f}",
                f"{peak * topics / 1e6:,.1f}",
                f"{peak / 10 * each * 86_400 / 1e9:,.0f}",
            ]
        )
    names = (
        f"workers, a core each: {costs['worker']:,.0f} µs an event",
        "partitions",
        f"cores of databases: {costs['database']:,.0f} µs an event",
        f"MB/s into databases: {each:,.0f} bytes an event; their log as much again",
        f"cores of brokers, one copy: {costs['broker']:,.0f} µs an event",
        f"MB/s into brokers, each copy: {topics:,.0f} bytes an event",
        "GB a day in the ledger where the mean is a tenth of the peak",
    )
    rows = ["| | " + " | ".join(f"{peak:,} events/s" for peak in PEAKS) + " |", "|---" * 3 + "|"]
    rows += [f"| {name} | {' | '.join(cells)} |" for name, *cells in zip(names, *columns, strict=True)]
    return rows


def _ratios(
    ours: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> tuple[list[float], list[float]]:
    pairs = list(zip(ours, others, strict=True))
    costs = [
        one["cpu_microseconds_per_event"]["worker"] / other["cpu_microseconds_per_event"]["worker"]
        for one, other in pairs
    ]
    return [one["rate"] / other["rate"] for one, other in pairs], costs


def _spread(values: Sequence[float], digits: int = 0) -> str:
    middle, low, high = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


TABLES: Mapping[str, tuple[str, Callable[[Found], list[str]]]] = {
    "From topic to topic": ("throughput", throughput),
    "Beside each other": ("goals", goals),
    "One worker and two on two partitions": ("scaling", scaling),
    "Latency at half load, milliseconds": ("latency", latency),
    "Until the first decision after a start": ("restarts", restarts),
    "Sizes": ("sizes", sizes),
    "What a peak needs": ("sizing", sizing),
    "Measured on": ("machine", machine),
}

if __name__ == "__main__":
    measured = orjson.loads(Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench-kafka.json").read_bytes())
    for page in sys.argv[2:]:
        into(Path(page), measured)
    print("\n".join(report(measured)))
