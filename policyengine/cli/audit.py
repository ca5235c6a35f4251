"""`verify`, `replay` and `explain`: what an auditor asks of a ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from policyengine.adapters.keys import signed
from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import engine_version, open_ledger, policy_set_of
from policyengine.cli.options import FormatOption, LedgerOption, SchemasOption, settings_with
from policyengine.cli.output import (
    FINDINGS,
    UNVERIFIED,
    Format,
    counted,
    out,
    print_json,
    progress,
    say,
    table,
)
from policyengine.domain.decision import Verdict
from policyengine.domain.money import Money
from policyengine.engine.explain import cause_text, rule_lines, why_not
from policyengine.engine.explain import explain as explain_lines
from policyengine.errors import LedgerError, UsageError
from policyengine.ledger.faults import Fault
from policyengine.ledger.merkle import HASH_BYTES
from policyengine.service.counterfactual import Report, counterfactual
from policyengine.service.history import find_decision, situation, world_before
from policyengine.service.policy_sets import PolicySet
from policyengine.service.recorded import engine_of
from policyengine.service.replay import Difference
from policyengine.service.replay import replay as replay_shard
from policyengine.service.verification import Expected, Verification, verify_ledger

DAMAGED = "PE708"  # the database cannot be read far enough to verify it
_LOOKED_AT = 1_000
_NO_EXPECTATION = "`{}` is not SIZE:ROOT, as `run` and `verify` print it"


@contextmanager
def reading(ledger: str | None) -> Iterator[SqlLedgerStore]:
    """The ledger that an option or the settings name, to be read."""
    store = open_ledger(settings_with(ledger=ledger).ledger, read_only=True)
    try:
        yield store
    finally:
        store.close()


def verify(
    ledger: LedgerOption = None,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect", help="SIZE:ROOT (or SHARD:SIZE:ROOT) noted earlier: nothing before it may differ."
        ),
    ] = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Recompute every hash, root and state of a ledger, and say precisely what is wrong.

    Exit code 3 when something is. Without --expect a tail that was cut off together with all its
    traces cannot be seen: note what this prints, and expect it next time.
    """
    settings = settings_with(ledger=ledger)
    try:
        with reading(settings.ledger) as store:
            noted = _expected(expect, store.shards() or [settings.shard])
            with progress("verifying", _size(store)) as advance:
                result = verify_ledger(store, noted, progress=advance, signed=signed)
    except LedgerError as error:
        if error.code != DAMAGED:
            raise
        _show_damage(error, form)
    else:
        _show_verification(result, form)


def _size(store: SqlLedgerStore) -> int | None:
    """How many entries there are; None where a head is damaged, which is verification's to tell."""
    try:
        return sum(store.head(shard).size for shard in store.shards())
    except (LedgerError, UnicodeEncodeError):
        return None


def _show_damage(error: LedgerError, form: Format) -> NoReturn:
    fault = Fault(error.code, "", "", "", "the database", error.message)
    if form is Format.JSON:
        print_json(Verification([fault]).to_json())
    else:
        say(f"{error}\nDOES NOT VERIFY: it cannot be read to its end")
    raise typer.Exit(UNVERIFIED)


def _show_verification(result: Verification, form: Format) -> None:
    if form is Format.JSON:
        print_json(result.to_json())
    else:
        for fault in result.faults[:1000]:
            say(str(fault))
        for shard, (size, root) in result.roots.items():
            say(f"shard {shard}: size and root {size}:{root.hex()}")
        faults, total = len(result.faults), sum(size for size, _ in result.roots.values())
        say(f"{total:,} entries verified" if not faults else f"DOES NOT VERIFY: {counted(faults, 'fault')}")
    if result.faults:
        raise typer.Exit(UNVERIFIED)


def _expected(text: str | None, shards: list[str]) -> Expected | None:
    if text is None:
        return None
    try:
        *shard, size, root = text.split(":")
        expected = Expected(":".join(shard) or _only(shards), int(size), bytes.fromhex(root))
    except ValueError as error:
        raise UsageError(_NO_EXPECTATION.format(text)) from error
    if len(expected.root) != HASH_BYTES or expected.size < 0:
        raise UsageError(_NO_EXPECTATION.format(text))
    return expected


def _only(shards: list[str]) -> str:
    if len(shards) != 1:
        message = f"the ledger has the shards {', '.join(shards)}; write SHARD:SIZE:ROOT"
        raise UsageError(message)
    return shards[0]


def replay(
    ledger: LedgerOption = None,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", help="Decide with these policies instead: what would have changed?"),
    ] = None,
    schemas: SchemasOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Decide every entry again from the ledger alone and compare the bytes.

    Exit code 1 when anything comes out otherwise. With --rules, decide counterfactually, state
    included, and report which decisions, customers and money would have changed.
    """
    if rules is not None:
        _replay_otherwise(ledger, policy_set_of(rules, settings_with(schemas=schemas).schemas), form)
        return
    with reading(ledger) as store:
        total = sum(store.head(shard).size for shard in store.shards())
        different: list[Difference] = []
        with progress("replaying", total) as advance:
            for shard in store.shards():
                different.extend(replay_shard(store, shard, progress=advance))
        engines = _other_engines(store, different)
    _show_differences(total, different, form)
    for engine in engines:
        typer.echo(f"recorded by {engine}, replayed by {engine_version()}: that may be the cause", err=True)
    if different:
        raise typer.Exit(FINDINGS)


def _other_engines(store: SqlLedgerStore, different: list[Difference]) -> list[str]:
    """Those, besides this one, that made entries which come out otherwise now."""
    entries = (store.entry(one.shard, one.seq) for one in different[:_LOOKED_AT])
    return sorted({engine_of(entry) for entry in entries if entry is not None} - {engine_version()})


def _show_differences(total: int, different: list[Difference], form: Format) -> None:
    if form is Format.JSON:
        listed = [
            {
                "shard": one.shard,
                "seq": one.seq,
                "what": one.what,
                "recorded": _parsed(one.recorded),
                "replayed": _parsed(one.replayed),
            }
            for one in different
        ]
        print_json({"entries": total, "differences": listed})
        return
    for one in different:
        say(f"shard {one.shard}, entry {one.seq}: {one.what} comes out otherwise")
        for path, was, now in differing(_parsed(one.recorded), _parsed(one.replayed)):
            say(f"    {path or 'whole'}: recorded {_short(was)}, replayed {_short(now)}")
    same = f"{total:,} entries replayed: identical"
    say(f"{len(different):,} of {total:,} entries differ" if different else same)


def _parsed(raw: bytes) -> Any:
    """A body as JSON; as text where it was changed to something else."""
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "backslashreplace")


def differing(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The places at which two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({**one, **other}):
            yield from differing(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differing(left, right, f"{path}[{number}]")
    elif one != other:
        yield path, one, other


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 200 else text[:200] + "…"  # noqa: PLR2004


def _replay_otherwise(ledger: str | None, policy_set: PolicySet, form: Format) -> None:
    with reading(ledger) as store:
        total = sum(store.head(shard).size for shard in store.shards())
        with progress("deciding again", total) as advance:
            reports = {
                shard: counterfactual(store, shard, policy_set, progress=advance) for shard in store.shards()
            }
    if form is Format.JSON:
        shards = [report.to_json(shard) for shard, report in reports.items()]
        print_json({"policy_set": policy_set.digest, "shards": shards})
        return
    for shard, report in reports.items():
        _show_report(shard, report)


def _show_report(shard: str, report: Report) -> None:
    say(
        f"shard {shard}: {report.changed:,} of {report.decisions:,} decisions on {report.events:,} events "
        f"would have changed, for {len(report.customers):,} customers"
    )
    if report.refused:
        say(f"{report.refused:,} recorded events are refused by these schemas")
    figures = ("recorded", "would be", "difference")
    made = table("Money by policy", "policy", *figures, right=figures)
    for policy, was, now in report.money():
        made.add_row(policy, str(was), str(now), str(Money(now.minor - was.minor, was.currency)))
    if made.row_count:
        out.print(made)
    for one in report.examples:
        say(f"  {one.decision_id} ({one.customer})")
        for path, before, after in differing(one.recorded, one.replayed):
            if path.split("[")[0].split(".")[0] in ("", "outcome", "remedies", "offers", "denials"):
                say(f"    {path or 'whole'}: {_short(before)} → {_short(after)}")


def explain(
    decision_id: Annotated[str, typer.Argument(help="The decision's id, d-…", metavar="DECISION_ID")],
    ledger: LedgerOption = None,
    every: Annotated[bool, typer.Option("--all", help="Why not, also for rules about other events.")] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Why a customer got this, and why not something else.

    Shows each condition with the value that it saw, and why each other rule did not apply.
    """
    with reading(ledger) as store:
        entry = find_decision(store, decision_id)
        was = situation(store, entry)
        world = world_before(store, entry)
        others = why_not(was.policy_set.ruleset, was.state, world, was.event, was.entity)
        rules = [rule.to_json() for rule in others if every or rule.verdict is not Verdict.EVENT]
    document = entry.document()
    if form is Format.JSON:
        print_json({"decision": document, "why_not": rules, "shard": entry.shard, "seq": entry.seq})
        return
    for line in explain_lines(document, cause_text(was.policy_set.catalogue, was.event)):
        say(line)
    say(f"  Entry {entry.seq} of shard {entry.shard}")
    if rules:
        say("  Why not:")
        for rule in rules:
            for line in rule_lines(rule):
                say(line)
