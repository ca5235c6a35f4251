"""`demo`: a year of a crisis, decided, told and verified. How it is told is cli.demo_story's."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from policyengine.adapters.files import fingerprint_of, input_name, open_events
from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import (
    configure_logging,
    open_ledger,
    pipeline_of,
    policy_set_of,
    read_settings,
    shipped_rules,
)
from policyengine.cli.demo_story import tell, tell_customer
from policyengine.cli.options import FormatOption
from policyengine.cli.output import UNVERIFIED, Format, counted, print_json, progress, say
from policyengine.cli.simulate_stream import SEED, write_stream
from policyengine.errors import UsageError
from policyengine.service.pipeline import Tally
from policyengine.service.story import SPAN_DAYS
from policyengine.service.stream import generate
from policyengine.service.summary import Summary, summarise
from policyengine.service.timeline import timeline
from policyengine.service.verification import Verification, verify_ledger

_MADE = ("events.jsonl", "ledger.db", "ledger.db-wal", "ledger.db-shm")


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder for events.jsonl and ledger.db.")] = Path(
        "build/demo"
    ),
    customers: Annotated[int, typer.Option("--customers", min=1, help="How many customers.")] = 400,
    seed: Annotated[int, typer.Option("--seed", help="Another seed tells of other customers.")] = SEED,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Tell a year of a crisis: make events, decide them into a new ledger, show and verify it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _MADE:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        message = f"cannot write to {folder}: {error.strerror}"
        raise UsageError(message) from error
    events = folder / "events.jsonl"
    number = write_stream(events, generate(seed, customers, None))
    ledger = f"sqlite:///{folder / 'ledger.db'}"
    store = open_ledger(ledger)
    try:
        tally = _decide(store, events, max(1, number // SPAN_DAYS))
        summary = summarise(store, read_settings().shard)
        with progress("verifying", None) as advance:
            verified = verify_ledger(store, None, progress=advance)
        if form is Format.JSON:
            print_json(
                {"ledger": ledger, "events": str(events), "counts": tally.counts, **verified.to_json()}
            )
        else:
            _tell(store, tally, summary, verified)
            _next(folder, ledger, summary, verified)
    finally:
        store.close()
    if verified.faults:
        raise typer.Exit(UNVERIFIED)


def _decide(store: SqlLedgerStore, events: Path, a_day: int) -> Tally:
    # what is rejected shows in the ledger; a line of log for each would bury the story
    settings = read_settings().model_copy(update={"log_level": "error"})
    configure_logging(settings)
    policy_set = policy_set_of(shipped_rules(), settings.schemas)
    writer = pipeline_of(store, policy_set, settings, input_name(events))
    writer.publish()
    tally = Tally()
    with open_events(events, 0, b"") as source, progress("deciding", events.stat().st_size) as advance:
        for records in source.batches(a_day):
            start = writer.offset
            tally.add(writer.process(records, partial(fingerprint_of, events)))
            for reached in writer.work_off():  # by the evening everybody is told, as in a year that is lived
                tally.add(reached)
            advance(writer.offset - start)
    return tally


def _tell(store: SqlLedgerStore, tally: Tally, summary: Summary, verified: Verification) -> None:
    tell(summary, tally.counts)
    if summary.customer is not None:
        tell_customer(timeline(store, summary.customer))
    for shard, (size, root) in verified.roots.items():
        state = (
            "verified"
            if not verified.faults
            else f"DOES NOT VERIFY: {counted(len(verified.faults), 'fault')}"
        )
        say(f"\nLedger shard {shard}, {size:,} entries, {state}")
        say(f"Root {root.hex()}")


def _next(folder: Path, ledger: str, summary: Summary, verified: Verification) -> None:
    say("\nTry next:")
    for size, root in verified.roots.values():
        say(f"  .venv/bin/policyengine verify --ledger {ledger} --expect {size}:{root.hex()}")
    if summary.showcase is not None:
        say(f"  .venv/bin/policyengine explain {summary.showcase} --ledger {ledger}")
    if summary.customer is not None:
        say(f"  .venv/bin/policyengine timeline {summary.customer} --ledger {ledger}")
    say(f"  .venv/bin/policyengine replay --ledger {ledger}")
    say(f"  .venv/bin/policyengine decide --rules rules --events {folder / 'events.jsonl'} | head -1")
    say("  .venv/bin/policyengine test rules")
