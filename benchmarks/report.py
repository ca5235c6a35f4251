"""`build/benchmarks.json`, as pytest-benchmark wrote it, as the tables of docs/benchmarks.md.

Prints Markdown. The best round counts: it is the one that other work on the machine disturbed least.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

COLUMNS = ("policyengine", "index", "durable-rules", "zen-engine", "cel")


def matching(rows: list[dict[str, Any]]) -> list[str]:
    """Microseconds for one event, a line for each number of policies."""
    best = {(row["extra_info"]["size"], row["extra_info"]["engine"]): row["stats"]["min"] for row in rows}
    applying = {row["extra_info"]["size"]: row["extra_info"]["applying"] for row in rows}
    lines = [
        "| policies | applying | " + " | ".join(COLUMNS) + " | policyengine : durable-rules |",
        "|---|---|" + "---|" * (len(COLUMNS) + 1),
    ]
    for size in sorted(applying):
        times = [best[size, engine] * 1e6 for engine in COLUMNS]
        ratio = best[size, "policyengine"] / best[size, "durable-rules"]
        cells = " | ".join(f"{time:,.0f}" for time in times)
        lines.append(f"| {size:,} | {applying[size]:.1f} | {cells} | {ratio:.1f} |")
    return lines


def ledger(rows: list[dict[str, Any]]) -> list[str]:
    """Events and entries for each second."""
    lines = ["| | seconds | events/s | entries/s |", "|---|---|---|---|"]
    for row in rows:
        best, info = row["stats"]["min"], row["extra_info"]
        speeds = f"{info['events'] / best:,.0f} | {info['entries'] / best:,.0f}"
        lines.append(f"| {info['engine']} | {best:.2f} | {speeds} |")
    return lines


def index(rows: list[dict[str, Any]]) -> list[str]:
    """Microseconds for one event, and what building takes."""
    lines = [
        "| rules | event types | applying | microseconds | networks | building, ms |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        info, best = row["extra_info"], row["stats"]["min"] * 1e6
        cells = f"{info['applying']:.1f} | {best:.0f} | {info['networks']} | {info['building'] * 1e3:.0f}"
        lines.append(f"| {info['size']:,} | {info['types']} | {cells} |")
    return lines


def world(rows: list[dict[str, Any]]) -> list[str]:
    """Microseconds for each decision, world event or event."""
    lines = ["| | per | how many | microseconds | per second |", "|---|---|---|---|---|"]
    for row in rows:
        best, info = row["stats"]["min"], row["extra_info"]
        each = best / info["number"]
        cells = f"{info['per']} | {info['number']:,} | {each * 1e6:,.0f} | {1 / each:,.0f}"
        lines.append(f"| {info['engine']} | {cells} |")
    return lines


def main(path: Path) -> None:
    """Print the tables, an empty line between two."""
    rows = orjson.loads(path.read_bytes())["benchmarks"]
    of = {group: [row for row in rows if row["group"] == group] for group in ("ledger", "index", "world")}
    policies = [row for row in rows if row["group"].endswith("policies")]
    for table in (matching(policies), ledger(of["ledger"]), index(of["index"]), world(of["world"])):
        print("\n".join(table), end="\n\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/benchmarks.json"))
