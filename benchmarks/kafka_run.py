"""`make bench-kafka`: from topic to topic, on a broker and databases of its own; tables for docs/.

Everything that is compared takes turns in one run. Prints Markdown; all that was measured is in
build/bench-kafka.json.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import stream
import workload
from kafka_ground import PEERS, Cpu, Ground, Run, measured, passing, quix, worker
from kafka_latency import decisions_of, latency
from kafka_report import report
from kafka_restart import FEW, asked, fill, restart

from policyengine.bootstrap import Settings, configure_logging, open_ledger, pipeline_of
from policyengine.cli.kafka import publish_for_workers
from policyengine.domain.events import Record
from policyengine.service.policy_sets import PolicySet, prepare
from tests.kafka.jars import NoKafkaError

POLICIES, CUSTOMERS = 100, 10_000
DATABASES = ("sqlite", "postgresql")
BATCH = 500  # events of a transaction, as by default
WAITING = 200  # events that wait for a worker that starts


class Bench:
    """The parts of a run, in the order in which they are measured."""

    def __init__(self, ground: Ground, options: argparse.Namespace) -> None:
        load = workload.make(POLICIES)
        self._ground, self._options = ground, options
        self._policies = stream.policy_set(load)
        self._lines = list(stream.lines(load, options.events, CUSTOMERS))
        self._keys = [f"c-{number % CUSTOMERS}" for number in range(options.events)]
        self._few = list(stream.lines(load, 2 * FEW + FEW * options.starts, FEW))
        self._message = 1_500  # bytes of a decision as it is published
        self._published: dict[str, dict[str, bytes]] = {}
        self._none = prepare([], workload.catalogue(load))
        self.found: dict[str, Any] = {
            "yardstick": [],
            "throughput": {},
            "scaling": [],
            "latency": {},
            "restart": {},
            "sizes": {},
        }

    def throughput(self) -> None:
        """Workers, the loop with nothing in it, quixstreams, and deciding without Kafka, by turns."""
        for number in range(self._options.rounds):
            for database in DATABASES:
                self._worker(database, first=not number)
            self._idle_worker()
            self._alone()
            for database in (*DATABASES, "none"):
                self._passing(database)
            if PEERS.exists():
                self._quix(first=not number)

    def _worker(self, database: str, *, first: bool) -> None:
        ground, settings, ledger = self._ground, self._ground.topics(), self._ledger(database)
        empty = ground.size(ledger)
        run = measured(ground, settings, worker(ledger), self._lines, self._keys)
        self._note(f"worker, {database}", run.to_json())
        if first:
            with open_ledger(ledger, read_only=True) as store:
                entries = store.head(f"{settings.customer_topic}-0").size
            self.found["sizes"][database] = {"entries": entries, "bytes": ground.size(ledger) - empty}
            topics = {
                name: ground.topic_size(topic) / len(self._lines)
                for name, topic in (("event", settings.customer_topic), ("decision", settings.decision_topic))
            }
            self.found["sizes"]["topics"] = {name: round(size, 1) for name, size in topics.items()}
            self._published[database] = decisions_of(settings, len(self._lines))
            values = self._published[database].values()
            self._message = round(sum(map(len, values)) / len(values))
        ground.drop(ledger)

    def _idle_worker(self) -> None:
        """The same worker with no policies: every event is validated, folded, recorded and told of."""
        settings, ledger = self._ground.topics(), self._ledger("sqlite", self._none)
        run = measured(self._ground, settings, worker(ledger), self._lines, self._keys)
        self._note("worker without policies, sqlite", run.to_json())
        self._ground.drop(ledger)

    def _alone(self) -> None:
        """What `policyengine run` does with a file, in this process."""
        ledger, events = self._ground.ledger("sqlite"), len(self._lines)
        with open_ledger(ledger) as store:
            writer = pipeline_of(store, self._policies, Settings(), "bench")
            writer.publish()
            began, used = time.monotonic(), time.process_time()
            for start in range(0, events, BATCH):
                batch = self._lines[start : start + BATCH]
                writer.process([Record(line, start + number) for number, line in enumerate(batch, start=1)])
            took, used = time.monotonic() - began, time.process_time() - used
        run = Run(events, events / took, took, Cpu(used, 0, 0), 0)
        self._note("deciding alone, sqlite, without Kafka", run.to_json())
        self._ground.drop(ledger)

    def _passing(self, database: str) -> None:
        settings = self._ground.topics()
        ledger = database if database == "none" else self._ground.ledger(database)
        command = passing(ledger, self._message)
        run = measured(self._ground, settings, command, self._lines, self._keys)
        self._note(f"pass-through, {database}", run.to_json())
        if ledger != "none":
            self._ground.drop(ledger)

    def _quix(self, *, first: bool) -> None:
        settings = self._ground.topics()
        run = measured(self._ground, settings, quix(self._ground.folder), self._lines, self._keys)
        self._note("quixstreams", run.to_json())
        if first:
            theirs = decisions_of(settings, len(self._lines), bare=True)
            self.found["same_decisions"] = theirs == {
                name: orjson.dumps(orjson.loads(value)["data"], option=orjson.OPT_SORT_KEYS)
                for name, value in self._published[DATABASES[0]].items()
            }

    def scaling(self) -> None:
        """One worker and two on two partitions."""
        for _ in range(max(2, self._options.rounds - 1)):
            pair = {}
            for count in (1, 2):
                settings, ledger = self._ground.topics(2), self._ledger("postgresql")
                run = measured(
                    self._ground, settings, worker(ledger), self._lines, self._keys, partitions=2, count=count
                )
                pair[str(count)] = run.to_json()
                self._told(f"{count} on two partitions", pair[str(count)])
                self._ground.drop(ledger)
            self.found["scaling"].append(pair)

    def latency(self) -> None:
        """At half of what a worker was measured to do."""
        for name, database, more in (
            ("as by default", "postgresql", {}),
            ("published without a pause", "postgresql", {"POLICYENGINE_WORKER_PUBLISH_EVERY": "0"}),
            ("SQLite", "sqlite", {}),
        ):
            rates = [run["rate"] for run in self.found["throughput"][f"worker, {database}"]]
            settings, ledger = self._ground.topics(), self._ledger(database)
            found = latency(self._ground, settings, ledger, median(rates) / 2, self._options.seconds, **more)
            self.found["latency"][name] = found
            self._told(name, found)
            self._ground.drop(ledger)

    def restarts(self) -> None:
        """With few customers and with many, by turns."""
        for database in DATABASES:
            filled = {}
            for customers in (FEW, self._options.customers):
                ledger = self._ledger(database)
                filled[customers] = fill(self._ground, ledger, self._few[: 2 * FEW], customers)
                self._told(f"filled {database}", filled[customers]._asdict() | {"settings": ""})
            rows: dict[str, list[Any]] = {str(customers): [] for customers in filled}
            parts: dict[str, list[Any]] = {str(customers): [] for customers in filled}
            for number in range(self._options.starts):
                start = 2 * FEW + FEW * number
                for customers, one in sorted(filled.items(), reverse=bool(number % 2)):
                    rows[str(customers)].append(
                        restart(self._ground, one, self._few[start : start + WAITING])
                    )
                    self._told(f"restart, {customers}", rows[str(customers)][-1])
                    parts[str(customers)].append(asked(one, self._policies, WAITING))
            self.found["restart"][database] = {
                str(customers): {
                    "state_rows": one.rows, "megabytes": round(one.megabytes, 1),
                    "starts": rows[str(customers)], "asked": parts[str(customers)],
                }
                for customers, one in filled.items()
            }  # fmt: skip
            for one in filled.values():
                self._ground.drop(one.ledger)

    def _ledger(self, database: str, policies: PolicySet | None = None) -> str:
        """A new one in which the policies are published."""
        url = self._ground.ledger(database)
        with open_ledger(url) as store:
            publish_for_workers(store, Settings(), policies or self._policies)
        return url

    def _note(self, name: str, run: dict[str, Any]) -> None:
        self.found["throughput"].setdefault(name, []).append(run)
        self._told(name, run)

    @staticmethod
    def _told(name: str, what: dict[str, Any]) -> None:
        print(f"{name}: {what}", file=sys.stderr, flush=True)


def yardstick() -> float:
    """Milliseconds of CPU that a million additions take: how fast the machine is just now."""
    began = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number
    return round((time.process_time() - began) * 1e3, 1)


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "cores": os.cpu_count(),
        "model": model,
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }


def main() -> int:
    """Measure, write, print."""
    options = _options()
    configure_logging(Settings(log_level="error"))
    began = time.monotonic()
    try:
        with Ground() as ground:
            bench = Bench(ground, options)
            bench.found["machine"] = machine()
            bench.found["options"] = vars(options)
            for part in _parts(bench, options.parts):
                bench.found["yardstick"].append(yardstick())
                part()
    except NoKafkaError as error:
        print(error, file=sys.stderr)
        return 2
    bench.found["seconds"] = round(time.monotonic() - began)
    target = Path("build/bench-kafka.json")
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(orjson.dumps(bench.found, option=orjson.OPT_INDENT_2))
    print("\n".join(report(bench.found)))
    return 0


def _parts(bench: Bench, names: str) -> Iterator[Any]:
    for name in names.split(","):
        yield getattr(bench, name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=12_000, help="of a pass, even")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0, help="of a measurement of latency")
    parser.add_argument("--customers", type=int, default=1_000_000, help="of the large restart")
    parser.add_argument("--starts", type=int, default=8, help="of each size, by turns")
    parser.add_argument("--parts", default="throughput,scaling,latency,restarts", help="by commas")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
