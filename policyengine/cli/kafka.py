"""`run --kafka` and `requeue`: what has to do with a stream of messages instead of a file."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import structlog
import typer

from policyengine.adapters.health import HealthServer
from policyengine.adapters.kafka_settings import read_kafka_settings
from policyengine.adapters.metrics import PrometheusMeters
from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import (
    Settings,
    WorkerSettings,
    board_of,
    keep_what_is_loaded,
    open_ledger,
    pipeline_of,
    policy_set_of,
    read_worker_settings,
    wall_clock,
    worker_of,
)
from policyengine.cli.options import FormatOption, LedgerOption, settings_with
from policyengine.cli.output import Format, print_json, say
from policyengine.errors import LedgerError, PublishingError, UsageError
from policyengine.ledger.entries import Header
from policyengine.service.health import Health
from policyengine.service.metrics import Meters, NoMeters
from policyengine.service.newest import POLICIES
from policyengine.service.policy_sets import PolicySet
from policyengine.service.set_aside import set_aside, waiting

TERMINATED = 128 + signal.SIGTERM
_GRACE = 5.0  # seconds beyond the bound after which a worker that hangs is ended
log = structlog.get_logger()


def run_worker(settings: Settings, tick: float | None) -> None:
    """Work for the group until told to stop."""
    from policyengine.adapters.kafka_topics import ensure_topics

    kafka = read_kafka_settings()
    pace = read_worker_settings(**({} if tick is None else {"tick": tick}))
    policy_set = None if settings.rules is None else policy_set_of(settings.rules, settings.schemas)
    health = Health(time.monotonic)
    with ExitStack() as stack:
        meters = _answering(stack, pace, health)
        store = open_ledger(settings.ledger)
        stack.callback(store.close)
        if policy_set is not None:
            publish_for_workers(store, settings, policy_set)
        made = ensure_topics(kafka)
        log.info("topics are there", made=made)
        stopping = stack.enter_context(_stopped_by_signals(pace.finish))
        worker = worker_of(store, settings, kafka, pace, meters=meters, health=health, stop=stopping.is_set)
        keep_what_is_loaded()
        worker.run(pace.finish)


def publish_for_workers(
    store: SqlLedgerStore, settings: Settings, policy_set: PolicySet
) -> tuple[bool, int, bytes]:
    """Record a policy set where running workers look: whether it is new, size and root of that shard.

    Where people approve, it must be what is in force by now.
    """
    board = board_of(store)
    if board.publications.proposals:
        digest = board.target(None, wall_clock())
        if digest != policy_set.digest:
            text = f"policy set {policy_set.digest} is not what was published for workers ({digest} is)"
            raise PublishingError(f"{text}: `publish` it, or leave --rules out")
        head = store.head(POLICIES)
        return False, head.size, head.root
    own = settings.model_copy(update={"shard": POLICIES})
    for attempt in range(5):
        try:
            writer = pipeline_of(store, policy_set, own, "publish")
            new = writer.publish()
        except LedgerError as error:
            if error.code != "PE701" or attempt == 4:  # noqa: PLR2004 - the last
                raise
            time.sleep(0.1 * (attempt + 1))  # another worker that starts at the same time
        else:
            break
    return new, writer.head.size, writer.head.root


def _answering(stack: ExitStack, pace: WorkerSettings, health: Health) -> Meters:
    """Meters, and the server that tells of them where a port is given."""
    if pace.health_port is None:
        return NoMeters()
    meters = PrometheusMeters()
    server = HealthServer(
        live=health.why_not_live,
        ready=health.why_not_ready,
        metrics=meters.exposed,
        host=pace.health_host,
        port=pace.health_port,
    )
    stack.enter_context(server)
    log.warning("health is answered", address=":".join(map(str, server.address)))
    return meters


@contextmanager
def _stopped_by_signals(finish: float) -> Iterator[threading.Event]:
    """Set by SIGTERM or SIGINT; a second one ends the process at once, and so does what takes too long."""
    stopping = threading.Event()

    def told(number: int, _: object) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()
        watchdog = threading.Timer(finish + _GRACE, os._exit, (TERMINATED,))
        watchdog.daemon = True
        watchdog.start()

    before = {one: signal.signal(one, told) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def requeue(
    ledger: LedgerOption = None,
    shard: Annotated[str | None, typer.Option("--shard", help="Only of this shard.")] = None,
    seq: Annotated[int | None, typer.Option("--seq", min=0, help="Only this entry of the shard.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Everything that was set aside (EV095) and not accepted since.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="Send nothing: say what waits, timers and customers as well.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--print", help="Print the messages instead of sending them.")
    ] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Send what was set aside again, as it came, to the topic that it came from.

    An event at which the engine itself failed (EV095) stands in the dead letters; once the engine is mended,
    it comes back by this. With --shard and --seq any rejected message. What came from a file is not sent:
    append its line to the file again, and `run` it. Timers, and customers whom an event of the world reached,
    came from nowhere: --list says which wait, and the staff do for them what they are owed.
    """
    if listed:
        if seq is not None or every or show:
            raise UsageError("--list sends nothing: it goes with --shard, --ledger and --format only")
        _list_waiting(settings_with(ledger=ledger), shard, form)
        return
    from policyengine.adapters.kafka_requeue import is_of_topic, message_again, send_again

    if (seq is None) == (not every) or (seq is not None and shard is None):
        raise UsageError("say what to send: --all, or --shard S --seq N; --list says what waits")
    settings = settings_with(ledger=ledger)
    kafka = None if show else read_kafka_settings()
    with open_ledger(settings.ledger, read_only=True) as store:
        found = [(shard or "", seq)] if seq is not None else list(set_aside(store, shard))
        entries = [entry for one, at in found if (entry := store.entry(one, at)) is not None]
        of_files = [] if seq is not None else [one for one in entries if not is_of_topic(one)]
        entries = [one for one in entries if one not in of_files]
        # one of the world's was set aside in every shard, and is sent once
        again = list({(one.partition, one.message): one for one in map(message_again, entries)}.values())
    if seq is not None and not again:
        raise UsageError(f"shard {shard} has no entry {seq}")
    if kafka is not None:
        send_again(kafka, again)
    for left in of_files:
        whence = Header.from_bytes(left.header).input
        typer.echo(f"{left.shard} {left.seq} came from the file {whence}: append its line again", err=True)
    if form is Format.JSON:
        print_json({"sent": 0 if show else len(again), "messages": [one.to_json() for one in again]})
        return
    for one in again:
        say(f"{one.shard} {one.seq} → {one.topic}" + (f" {one.message.value!r}" if show else ""))
    say(f"{len(again)} messages {'found' if show else 'sent again'}")


def _list_waiting(settings: Settings, shard: str | None, form: Format) -> None:
    with open_ledger(settings.ledger, read_only=True) as store:
        found = list(waiting(store, shard))
    if form is Format.JSON:
        print_json({"waiting": [one.to_json() for one in found]})
        return
    for one in found:
        say(f"{one.shard} {one.seq} {one.what}: {one.type} {one.id}, of {one.subject}")
    events = sum(one.what == "event" for one in found)
    say(f"Events to be sent again: {events}. Timers and customers, for the staff: {len(found) - events}.")
