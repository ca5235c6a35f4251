"""`make chaos`: workers on a real broker and database, whatever may happen to them happens, and nothing may be wrong.

`python -m tests.kafka.chaos [--minutes N] [--seed N]`: round after round with topics and a ledger of its
own. In each, workers die or fall asleep, at named points and anywhere; broker and database are killed,
stopped, frozen; lines are cut. Then all is mended, and topics and ledger must be what an undisturbed run
makes. Prints counts; 1 and the folder of a round's logs where something is wrong.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from itertools import takewhile
from pathlib import Path
from threading import Thread

from policyengine.service.stream import generate
from tests.kafka.disturbed import RULES, SESSION, Round, policies
from tests.kafka.jars import NoKafkaError
from tests.kafka.servers import Servers, servers
from tests.kafka.streams import committed
from tests.kafka.workers import Group, of_customers

_SECONDS = 75.0  # of a round, at the most, in which it is disturbed


def new_group(servers: Servers, folder: Path, *, partitions: int) -> Group:
    """A group whose workers reach both servers over lines."""
    folder.mkdir()
    ledger = servers.new_ledger()
    return Group(
        servers.broker.bootstrap, ledger, folder, partitions=partitions, workers_ledger=servers.ledger(ledger),
        settings={
            "POLICYENGINE_KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap,
            "POLICYENGINE_KAFKA_SESSION_TIMEOUT": str(int(SESSION * 1_000)),
            "POLICYENGINE_LOG_LEVEL": "info",
        },
    )  # fmt: skip


def play(both: Servers, folder: Path, options: argparse.Namespace, counts: Counter[str]) -> list[str]:
    """A round; its faults. Each third one with events of the world, each second one with named workers."""
    number, events = counts["rounds"], options.events
    chance = random.Random(f"{options.seed}/{number}")
    with_world = number % 3 == 2
    values = list(generate(chance.randrange(1_000_000), max(20, events // 12), events))
    if not with_world:
        values = of_customers(values)
    with new_group(both, folder, partitions=chance.choice([2, 3])) as group:
        group.publish(RULES)
        one = Round(both, group, chance, counts, minimum=chance.choice([2, 2, 3]), named=number % 2 == 1)
        over = time.monotonic() + _SECONDS
        sent = takewhile(lambda _: time.monotonic() < over, values)
        sender = Thread(target=group.write, args=(sent,), kwargs={"pause": 0.5}, daemon=True)
        sender.start()
        next_at = time.monotonic() + 6
        while sender.is_alive() and time.monotonic() < over:
            one.turn()
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + chance.expovariate(1 / 3)
                one.disturb()
        one.calm()
        while sender.is_alive():
            one.turn()
        decisions = one.finish(group.sent(), None if with_world else policies())
        if number == 0:
            one.faults += undisturbed(both, group)
        counts["events"] += group.sent()
        counts["events of the world"] += len(committed(both.broker.bootstrap, group.kafka.world_topic))
        counts["decisions"] += decisions
        return one.faults


def undisturbed(both: Servers, group: Group) -> list[str]:
    """The same events once more, to one worker that is left alone: what is decided otherwise."""
    folder = group.folder / "undisturbed"
    folder.mkdir()
    alone = Group(
        both.broker.bootstrap, both.new_ledger(), folder, partitions=group.partitions, reads=group.name
    )
    with alone:
        alone.publish(RULES)
        alone.start()
        alone.until_read(group.sent())
        if alone.decisions() == group.decisions():
            return []
        return ["one worker that nobody disturbs decides otherwise"]


def main(arguments: list[str]) -> int:
    """Play rounds until the time is over."""
    told = argparse.ArgumentParser(prog="chaos", description=__doc__)
    told.add_argument("--minutes", type=float, default=5)
    told.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    told.add_argument("--events", type=int, default=1_500, help="of a round")
    options = told.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    say(f"seed {options.seed}")
    counts: Counter[str] = Counter()
    until = time.monotonic() + 60 * options.minutes
    kept = Path(tempfile.mkdtemp(prefix="policyengine-chaos-logs-"))
    found = 0
    with tempfile.TemporaryDirectory(prefix="policyengine-chaos-", ignore_cleanup_errors=True) as name:
        try:
            with servers(Path(name)) as both:
                while time.monotonic() < until:
                    found += rounds(both, kept, options, counts)
        except NoKafkaError as error:
            say(str(error))
            return 2
    for what, count in sorted(counts.items()):
        say(f"  {count:7,} {what}")
    say(f"seed {options.seed}; faults found: {found}")
    if not found:
        kept.rmdir()
    return 1 if found else 0


def rounds(both: Servers, kept: Path, options: argparse.Namespace, counts: Counter[str]) -> int:
    """One more; the number of its faults."""
    number = counts["rounds"]
    folder = kept / f"round-{number}"
    began, before = time.monotonic(), counts["decisions"]
    faults = play(both, folder, options, counts)
    counts["rounds"] += 1
    say(
        f"round {number}: {counts['decisions'] - before:,} decisions, {time.monotonic() - began:.0f} s, "
        f"{len(faults)} faults"
    )
    if faults:
        tell(folder, faults)
        shutil.copy(both.broker.log_file, folder / "broker.log")
        shutil.copy(both.database.log_file, folder / "postgres.log")
    else:
        shutil.rmtree(folder)
    return len(faults)


def tell(folder: Path, faults: list[str]) -> None:
    """What is wrong, and what happened before."""
    for fault in faults:
        say(f"  FAULT {fault}")
    say(f"  all logs: {folder}")
    say("  what happened last:")
    for line in (folder / "chaos.log").read_text().splitlines()[-30:]:
        say(f"    {line}")


def say(text: str) -> None:
    """A line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
