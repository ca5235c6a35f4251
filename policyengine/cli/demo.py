"""`demo`: a year of customers' events, decided, told and verified."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel

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
from policyengine.cli.options import FormatOption
from policyengine.cli.output import UNVERIFIED, Format, out, print_json, progress, say, table
from policyengine.domain.money import Money
from policyengine.engine.explain import explain
from policyengine.errors import UsageError
from policyengine.service.history import find_decision
from policyengine.service.pipeline import Tally
from policyengine.service.stream import generate
from policyengine.service.summary import Summary, summarise
from policyengine.service.verification import Verification, verify_ledger

_MADE = ("events.jsonl", "ledger.db", "ledger.db-wal", "ledger.db-shm")


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder for events.jsonl and ledger.db.")] = Path(
        "build/demo"
    ),
    customers: Annotated[int, typer.Option("--customers", min=1, help="How many customers.")] = 400,
    seed: Annotated[int, typer.Option("--seed", help="Another seed tells another year.")] = 2020,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Tell a year of a crisis: make events, decide them into a new ledger, show and verify it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _MADE:
            (folder / name).unlink(missing_ok=True)
        events = folder / "events.jsonl"
        events.write_bytes(b"".join(line + b"\n" for line in generate(seed, customers, None)))
    except OSError as error:
        message = f"cannot write to {folder}: {error.strerror}"
        raise UsageError(message) from error
    ledger = f"sqlite:///{folder / 'ledger.db'}"
    store = open_ledger(ledger)
    try:
        tally = _decide(store, events)
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


def _decide(store: SqlLedgerStore, events: Path) -> Tally:
    # what is rejected shows in the ledger; a line of log for each would bury the story
    settings = read_settings().model_copy(update={"log_level": "error"})
    configure_logging(settings)
    policy_set = policy_set_of(shipped_rules(), settings.schemas)
    writer = pipeline_of(store, policy_set, settings, input_name(events))
    writer.publish()
    tally = Tally()
    with open_events(events, 0, b"") as source, progress("deciding", events.stat().st_size) as advance:
        for records in source.batches(settings.batch_size):
            start = writer.offset
            tally.add(writer.process(records, partial(fingerprint_of, events)))
            advance(writer.offset - start)
    return tally


def _tell(store: SqlLedgerStore, tally: Tally, summary: Summary, verified: Verification) -> None:
    counts = tally.counts
    out.print(
        Panel(
            f"{counts['events']:,} events decided, {counts['duplicates']:,} duplicates recognised, "
            f"{counts['rejected']:,} rejected with a reason\n"
            f"{counts['decisions']:,} decisions: {counts['granted']:,} granted, "
            f"{counts['offered']:,} offered, {counts['denied']:,} denied, "
            f"{counts['none']:,} where no policy applied",
            title="A year of a crisis, February 2020 to March 2021",
            title_align="left",
        )
    )
    made = table(
        "Who got what, under which policy (~ money that was not charged)",
        "policy", "people", "remedies", "money",
        right=("people", "money"),
    )  # fmt: skip
    given: Counter[str] = Counter()
    spared: Counter[str] = Counter()
    for (policy, version), line in sorted(summary.policies.items()):
        given.update(line.given)
        spared.update(line.spared)
        kinds = "\n".join(f"{kind} {number:,}" for kind, number in sorted(line.remedies.items()))
        name = f"{policy} v{version}"
        sums = [*_sums(line.given), *(f"~ {text}" for text in _sums(line.spared))]
        made.add_row(name, f"{len(line.customers):,}", kinds, "\n".join(sums))
    out.print(made)
    money = table("Money by currency", "currency", "given", "not charged", right=("given", "not charged"))
    for currency in sorted({*given, *spared}):
        sides = (Money(side[currency], currency).decimal for side in (given, spared))
        money.add_row(currency, *(f"{side:,}" for side in sides))
    out.print(money)
    if summary.showcase is not None:
        lines = "\n".join(explain(find_decision(store, summary.showcase).document()))
        say("One decision explained")
        say(lines)
    for shard, (size, root) in verified.roots.items():
        state = "verified" if not verified.faults else f"DOES NOT VERIFY: {len(verified.faults)} faults"
        say(f"\nLedger shard {shard}, {size:,} entries, {state}")
        say(f"Root {root.hex()}")


def _sums(money: Counter[str]) -> list[str]:
    return [f"{Money(minor, currency).decimal:,} {currency}" for currency, minor in sorted(money.items())]


def _next(folder: Path, ledger: str, summary: Summary, verified: Verification) -> None:
    say("\nTry next:")
    for size, root in verified.roots.values():
        say(f"  .venv/bin/policyengine verify --ledger {ledger} --expect {size}:{root.hex()}")
    if summary.showcase is not None:
        say(f"  .venv/bin/policyengine explain {summary.showcase} --ledger {ledger}")
    say(f"  .venv/bin/policyengine replay --ledger {ledger}")
    say(f"  .venv/bin/policyengine decide --rules rules --events {folder / 'events.jsonl'} | head -1")
    say("  .venv/bin/policyengine test rules")
