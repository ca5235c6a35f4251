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


def main(path: Path) -> None:
    """Print both tables."""
    rows = orjson.loads(path.read_bytes())["benchmarks"]
    print("\n".join(matching([row for row in rows if row["group"] != "ledger"])), end="\n\n")
    print("\n".join(ledger([row for row in rows if row["group"] == "ledger"])))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/benchmarks.json"))
