"""A million events of ten thousand customers through `run`, and how large the process is meanwhile.

Prints the resident size every 100,000 events and at the end the growth since the first 100,000,
with exit code 1 when that is a fifth or more. Takes some minutes: `make bench-memory`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import stream
import workload

from policyengine.bootstrap import Settings, configure_logging, open_ledger, pipeline_of
from policyengine.domain.events import Record

EVENTS = 1_000_000
CUSTOMERS = 10_000
STEP = 100_000
BATCH = 500
ALLOWED = 0.2


def resident_megabytes() -> float:
    """The process's resident size (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main(total: int) -> int:
    """Run, print, judge."""
    settings = Settings(batch_size=BATCH)
    configure_logging(settings)
    load = workload.make(100)
    sizes: list[float] = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        store = open_ledger(f"sqlite:///{folder}/ledger.db")
        writer = pipeline_of(store, stream.policy_set(load), settings, "bench")
        writer.publish()
        source = enumerate(stream.lines(load, total, CUSTOMERS), start=1)
        while records := [Record(line, offset) for offset, line in islice(source, BATCH)]:
            writer.process(records)
            done = records[-1].offset
            if done % STEP == 0:
                sizes.append(resident_megabytes())
                speed = done / (time.perf_counter() - started)
                print(f"{done:>9,} events  {sizes[-1]:7.1f} MB  {speed:,.0f} events/s", flush=True)
        store.close()
    growth = sizes[-1] / sizes[0] - 1
    print(f"growth since the first {STEP:,} events: {growth:+.1%}")
    return int(growth >= ALLOWED)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
