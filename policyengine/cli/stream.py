"""`run` and `decide`: from events to decisions."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

import typer

from policyengine.adapters.files import JsonLinesSink, LineSource, fingerprint_of, input_name, open_events
from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import (
    Settings,
    board_of,
    door_of,
    keep_what_is_loaded,
    open_ledger,
    pipeline_of,
    policy_set_in_force,
    policy_set_of,
    wall_clock,
    without_password,
)
from policyengine.cli.kafka import run_worker
from policyengine.cli.options import (
    FormatOption,
    LedgerOption,
    RulesOption,
    SchemasOption,
    rules_of,
    settings_with,
)
from policyengine.cli.output import FINDINGS, Format, out, print_json, progress, say, table
from policyengine.domain.events import Record
from policyengine.engine.explain import explain
from policyengine.errors import UsageError
from policyengine.ledger.canonical import canonical
from policyengine.service.approvals import told
from policyengine.service.board import Board
from policyengine.service.dry_run import dry_run
from policyengine.service.following import Following
from policyengine.service.pipeline import Pipeline, Tally
from policyengine.service.poison import persist
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import DEAD_LETTERS, DECISIONS
from policyengine.service.relay import as_published, relay

STDIN = "-"
T = TypeVar("T")
EventsOption = Annotated[
    str, typer.Option("--events", help="File of CloudEvents, one JSON object a line; - is standard input.")
]
ShardOption = Annotated[str | None, typer.Option("--shard", help="The part of the ledger to write.")]
BatchOption = Annotated[
    int | None, typer.Option("--batch-size", min=1, max=100_000, help="Events per transaction.")
]


def run(
    rules: RulesOption = None,
    ledger: LedgerOption = None,
    events: EventsOption = STDIN,
    schemas: SchemasOption = None,
    decisions: Annotated[
        Path | None, typer.Option("--decisions", help="Publish decisions to this file, as JSON lines.")
    ] = None,
    dead_letters: Annotated[
        Path | None, typer.Option("--dead-letters", help="Write what was rejected to this file, and why.")
    ] = None,
    shard: ShardOption = None,
    batch_size: BatchOption = None,
    live: Annotated[
        float | None,
        typer.Option(
            "--live",
            min=0,
            help="Let the clock fire what is due, between two batches and at the end; every so many seconds.",
        ),
    ] = None,
    kafka: Annotated[
        bool,
        typer.Option(
            "--kafka", help="Work on the topics that POLICYENGINE_KAFKA_* name, until told to stop."
        ),
    ] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Decide a stream of events into the ledger.

    Goes on where an earlier run of the same file stopped, however it stopped. Without --rules, the
    policy set that the ledger holds stays in force. At the end of the input, customers whom events of the
    world have yet to reach are decided on. Time passes with the events alone, unless --live is given. On
    SIGHUP the rules are read again between two batches; where they are faulty, those in force stay. Prints
    the ledger's size and root: note them, and `verify --expect SIZE:ROOT` will tell whether anything was
    cut off later.

    With --kafka one of many workers: each decides the partitions that its group gives it, under the policy
    set that was published for workers, or --rules, which it publishes for all of them first.
    """
    settings = settings_with(ledger=ledger, rules=rules, schemas=schemas, batch_size=batch_size, shard=shard)
    if kafka:
        if events != STDIN or decisions or dead_letters or shard:
            raise UsageError(
                "--kafka reads and writes topics: no --events, --decisions, --dead-letters, --shard"
            )
        run_worker(settings, live)
        return
    policy_set = None if settings.rules is None else policy_set_of(settings.rules, settings.schemas)
    sinks = {DECISIONS: decisions, DEAD_LETTERS: dead_letters}
    wanted = {channel: path for channel, path in sinks.items() if path is not None}
    _check_files(events, wanted)
    with ExitStack() as stack:
        store = open_ledger(settings.ledger)
        stack.callback(store.close)
        board = board_of(store)
        if policy_set is not None:
            board.permit(settings.shard, policy_set.digest, wall_clock())
        policy_set = _in_force(board, store, settings, policy_set)
        name = "stdin" if _read_once(events) else input_name(Path(events))
        writer = pipeline_of(store, policy_set, settings, name, tuple(wanted))
        writer.publish()
        keep_what_is_loaded()
        following = Following(board, store, writer, policy_set, shard=settings.shard, door=door_of(settings))
        with _reload_on_hangup(writer, settings, board) as reload:
            between = _Between(reload, _Clock(writer, live), following)
            tally = _decide_all(store, writer, settings, events, wanted, between)
        _summary(settings, writer, tally, store.timer_count(settings.shard), form)


def _in_force(board: Board, store: SqlLedgerStore, settings: Settings, given: PolicySet | None) -> PolicySet:
    """What to begin with: what the shard decided under last; else what is published for it, or given."""
    if not board.follows(settings.shard):
        return given or policy_set_in_force(store, settings.shard)
    digest = store.head(settings.shard).policy_set or board.target(settings.shard, 0)
    if not digest and given is not None and not board.governed:
        return given
    if not digest:
        coming = "".join(f"; {told(one)}" for one in board.upcoming(settings.shard, 0))
        raise UsageError(f"no policy set is in force for shard {settings.shard} yet: `publish` one{coming}")
    return given if given is not None and given.digest == digest else board.load(digest)


def _read_once(events: str) -> bool:
    """Whether the input is a stream, which no second reader can open: standard input or a pipe."""
    path = Path(events)
    return events == STDIN or (path.exists() and not path.is_file() and not path.is_dir())


def _check_files(events: str, wanted: Mapping[str, Path]) -> None:
    """What is wrong with the files is said before anything is written."""
    if not _read_once(events):
        with open_events(Path(events), 0, b""):
            pass
    files = [path.resolve() for path in wanted.values()]
    if events != STDIN:
        files.append(Path(events).resolve())
    for file in files:
        if files.count(file) > 1:
            message = f"{file} is named twice: events, decisions and dead letters need a file each"
            raise UsageError(message)


class _Clock:
    """Ticks when it is asked to and so many seconds have passed since it last did; never without --live."""

    def __init__(self, writer: Pipeline, seconds: float | None) -> None:
        self._writer = writer
        self._seconds = seconds
        self._last: float | None = None

    @property
    def live(self) -> bool:
        """Whether it counts."""
        return self._seconds is not None

    def tick(self, *, end: bool = False) -> Tally:
        """What the clock brought about."""
        now = time.monotonic()
        if self._seconds is None or (not end and self._last is not None and now < self._last + self._seconds):
            return Tally()
        tally = self._writer.tick(wall_clock())
        self._last = now
        return tally


class _Between(NamedTuple):
    """What is done between two batches, and what decides one."""

    reload: Callable[[], None]
    clock: _Clock
    following: Following

    def done(self, *, end: bool = False) -> Tally:
        """Read rules again, take up what was published, let the clock tick."""
        self.reload()
        tally = self.following.between(wall_clock() if self.clock.live else None)
        tally.add(self.clock.tick(end=end))
        return tally


class _Patiently(Protocol):
    """Does what may have to be tried again."""

    def __call__(self, do: Callable[[], T], /) -> T:
        """What it gives."""


def _decide_all(
    store: SqlLedgerStore,
    writer: Pipeline,
    settings: Settings,
    events: str,
    wanted: dict[str, Path],
    between: _Between,
) -> Tally:
    tally = Tally()
    with ExitStack() as stack:
        sinks = {}
        for channel, path in wanted.items():
            outbox = store.outbox(settings.shard, channel)
            sink = JsonLinesSink(path, b"" if outbox is None else outbox.position)
            stack.callback(sink.close)
            sinks[channel] = sink
        source = stack.enter_context(_input(store, writer, settings, events))
        advance = stack.enter_context(progress("deciding", source.total))

        def send() -> None:
            for channel, sink in sinks.items():
                relay(store, settings.shard, channel, sink)

        def decide(records: Sequence[Record]) -> Tally:
            left = [one for one in records if one.offset > writer.offset]  # a part may be committed
            return between.following.process(left, source.fingerprint)

        def patiently(do: Callable[[], T], /) -> T:
            """What the engine itself fails at is set aside, as by a worker; the others go on."""
            return persist(writer, do, settings.shard)[0]

        send()
        for records in source.lines.batches(settings.batch_size):
            tally.add(patiently(between.done))
            start = writer.offset
            tally.add(patiently(partial(decide, records)))
            send()
            advance(records[-1].offset - start)
        tally.add(patiently(partial(between.done, end=True)))
        send()
        for done in _work_off(writer, patiently):
            tally.add(done)
            send()
    return tally


def _work_off(writer: Pipeline, patiently: _Patiently) -> Iterator[Tally]:
    """Reach whom events of the world still have to reach, and say how far it is."""
    jobs, customers = writer.jobs()
    if not jobs:
        return
    with progress("reached", customers) as advance:
        while (done := patiently(lambda: next(writer.work_off(), None))) is not None:
            advance(done.counts["reached"])
            yield done


@contextmanager
def _reload_on_hangup(writer: Pipeline, settings: Settings, board: Board) -> Iterator[Callable[[], None]]:
    """A callback that reads the rules again when SIGHUP has come since it was called last."""
    due: list[int] = []

    def reload() -> None:
        if due and settings.rules is not None:
            due.clear()
            rules = settings.rules
            writer.reload(lambda: _permitted(policy_set_of(rules, settings.schemas), settings, board))

    if settings.rules is None or threading.current_thread() is not threading.main_thread():
        yield reload
        return
    before = signal.signal(signal.SIGHUP, lambda number, _: due.append(number))
    try:
        yield reload
    finally:
        signal.signal(signal.SIGHUP, before)


def _permitted(policy_set: PolicySet, settings: Settings, board: Board) -> PolicySet:
    board.look()
    board.permit(settings.shard, policy_set.digest, wall_clock())
    return policy_set


class _Input(NamedTuple):
    """Lines from where the ledger left them, how many bytes they are, and by what they are known again."""

    lines: LineSource
    total: int | None
    fingerprint: Callable[[int], bytes]


@contextmanager
def _input(store: SqlLedgerStore, writer: Pipeline, settings: Settings, events: str) -> Iterator[_Input]:
    path = Path(events)
    if _read_once(events):
        with path.open("rb") if events != STDIN else nullcontext(sys.stdin.buffer) as stream:
            yield _Input(LineSource(stream, writer.offset), None, lambda _: b"")
        return
    checkpoint = store.checkpoint(settings.shard, input_name(path))
    known = b"" if checkpoint is None else checkpoint.fingerprint
    with open_events(path, writer.offset, known) as lines:
        yield _Input(lines, path.stat().st_size - writer.offset, partial(fingerprint_of, path))


_COUNTS = (
    "events", "duplicates", "rejected", "internal", "reached",
    "decisions", "granted", "offered", "denied", "none",
)  # fmt: skip
_NAMES = {"internal": "events of the engine's own", "reached": "customers reached by the world"}


def _summary(settings: Settings, writer: Pipeline, tally: Tally, timers: int, form: Format) -> None:
    head = writer.head
    jobs, customers = writer.jobs()
    if form is Format.JSON:
        document: dict[str, Any] = {
            "shard": settings.shard,
            "size": head.size,
            "root": head.root.hex(),
            "policy_set": head.policy_set,
            "counts": dict(tally.counts),
            "rejected": dict(tally.rejections),
            "pending": {"timers": timers, "jobs": jobs, "customers": customers},
        }
        print_json(document)
        return
    counts = table("What became of the events", "", "count", right=("count",))
    for name in _COUNTS:
        counts.add_row(_NAMES.get(name, name), f"{tally.counts[name]:,}")
    for code, number in sorted(tally.rejections.items()):
        counts.add_row(f"  rejected with {code}", f"{number:,}")
    if tally.counts["errors"]:
        counts.add_row("rules that could not be decided", f"{tally.counts['errors']:,}")
    counts.add_row("timers that are pending", f"{timers:,}")
    if jobs:
        counts.add_row("customers yet to be reached", f"{customers:,}")
    out.print(counts)
    say(f"Ledger {without_password(settings.ledger)}, shard {settings.shard}")
    say(f"Size and root: {head.size}:{head.root.hex()}")


def decide(
    rules: RulesOption = None,
    events: EventsOption = STDIN,
    schemas: SchemasOption = None,
    form: FormatOption = Format.JSON,
) -> None:
    """Decide a stream without storing anything: a dry run that prints decisions as JSON lines.

    What is rejected goes to standard error; the exit code is then 1.
    """
    settings = settings_with(rules=rules, schemas=schemas)
    policy_set = policy_set_of(rules_of(settings), settings.schemas)
    rejected = 0
    with ExitStack() as stack:
        if events == STDIN:
            source = LineSource(sys.stdin.buffer, 0)
        else:
            source = stack.enter_context(open_events(Path(events), 0, b""))
        lines = (record.raw for records in source.batches(1) for record in records)
        for answer in dry_run(policy_set, lines, door=door_of(settings)):
            if answer.rejection is not None:
                rejected += 1
                typer.echo(f"rejected: {answer.rejection.code} {answer.rejection.reason}", err=True)
            for decision in (*answer.earlier, *answer.decisions):
                _show(as_published(decision.to_json()), form)
    if rejected:
        raise typer.Exit(FINDINGS)


def _show(document: dict[str, Any], form: Format) -> None:
    if form is Format.HUMAN:
        say("\n".join(explain(document)) + "\n")
    else:
        say(canonical(document).decode())
