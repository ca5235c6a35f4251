"""`publish`, `approve`, `withdraw` and `rollback`: which policies hold, from when on, and by whose will."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import (
    Settings,
    board_of,
    case_engine,
    catalogue_of,
    desk_of,
    open_ledger,
    pipeline_of,
    policy_set_of,
    wall_clock,
)
from policyengine.cli.keys import KeyOption, signer_of
from policyengine.cli.options import (
    FormatOption,
    LedgerOption,
    RulesOption,
    SchemasOption,
    rules_of,
    settings_with,
)
from policyengine.cli.output import FINDINGS, Format, counted, print_json, say
from policyengine.cli.standing import show_standing
from policyengine.cli.trials import CanaryOption, CandidateArgument, GroupOption, ShadowOption, tried_set
from policyengine.domain.values import instant_to_json
from policyengine.errors import PublishingError, UsageError
from policyengine.ledger.publications import POLICIES
from policyengine.service.approvals import Wish, told
from policyengine.service.board import Board
from policyengine.service.policy_sets import PolicySet
from policyengine.service.trials import GROUP

ShardOption = Annotated[str | None, typer.Option("--shard", help="The part of the ledger to write.")]
ForWorkersOption = Annotated[
    bool,
    typer.Option("--for-workers", help="For the workers of `run --kafka`: they take it up by themselves."),
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", help="Let it take effect then, such as 2026-12-01T00:00:00Z, and not at once."),
]


def publish(
    candidate: CandidateArgument = None,
    rules: RulesOption = None,
    ledger: LedgerOption = None,
    schemas: SchemasOption = None,
    shard: ShardOption = None,
    for_workers: ForWorkersOption = False,
    at: AtOption = None,
    shadow: ShadowOption = False,
    canary: CanaryOption = None,
    group: GroupOption = GROUP,
    key: KeyOption = None,
    no_test: Annotated[
        bool,
        typer.Option("--no-test", help="Without its cases: only in a ledger where nobody has to approve."),
    ] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Record a policy set in the ledger, in full: it is in force for what is decided from then on.

    Refused where `check` finds an error, a case of `test` fails, or there are no cases. In a ledger in which
    people must approve (`keys trust`) it is staged until enough have; your --key is the first approval. With
    --at it takes effect at that instant. With --for-workers, and in a ledger with approvals, it holds for
    every shard; else for one.

    With --shadow CANDIDATE or --canary 10 CANDIDATE what is in force stays, and the versions that it does not
    have are tried beside it: for nobody, or for that share of the customers.
    """
    if for_workers and shard:
        raise UsageError("--for-workers has a shard of its own: no --shard")
    settings = settings_with(ledger=ledger, rules=rules, schemas=schemas, shard=shard)
    tried = _candidate(candidate, shadow=shadow, canary=canary)
    policy_set = None if tried else policy_set_of(rules_of(settings), settings.schemas)
    with open_ledger(settings.ledger) as store:
        board = board_of(store)
        if no_test and board.governed:
            raise PublishingError("what people approve is tested: no --no-test in this ledger")
        wanted = None if for_workers or board.governed else settings.shard
        _one_for_all(board, shard)
        if policy_set is None:
            own = store.head(wanted).policy_set if wanted is not None else None
            live = rules or board.target(wanted, wall_clock()) or own
            policy_set = tried_set(store, settings, live, _given(candidate), canary, group)
        cases = None if no_test else _tested(candidate or rules_of(settings), settings, form)
        if _by_proposal(board, wanted, at):
            wish = Wish(_instant(at), wanted, cases)
            standing = desk_of(store).publish(policy_set.body, wish, signer_of(settings, key))
            show_standing(standing, form, policies=len(policy_set.policies))
        elif key is not None:
            raise UsageError(
                "nobody has to approve in this ledger, so nothing is signed: "
                "leave --key out, or say first who may approve (`keys trust`)"
            )
        else:
            _at_once(store, settings, policy_set, wanted, form)


def _candidate(candidate: Path | None, *, shadow: bool, canary: int | None) -> bool:
    """Whether something is to be tried; UsageError where it is not clear what, or how."""
    if shadow and canary is not None:
        raise UsageError("--shadow tries it on nobody, --canary on some: give one of them")
    tried = shadow or canary is not None
    if tried and candidate is None:
        raise UsageError("name the folder that is to be tried: policyengine publish --shadow CANDIDATE")
    if candidate is not None and not tried:
        raise UsageError(f"give --rules {candidate} to publish it, or --shadow or --canary to try it")
    return tried


def _one_for_all(board: Board, shard: str | None) -> None:
    if board.governed and shard:
        raise UsageError("where people approve, a policy set holds for the whole ledger: no --shard")


def _by_proposal(board: Board, shard: str | None, at: str | None) -> bool:
    """Whether it is proposed, or put in force without ado: where nobody approves and nothing has a time."""
    return at is not None or board.governed or _has_proposals(board, shard)


def _has_proposals(board: Board, shard: str | None) -> bool:
    return any(one.shard == shard for one in board.publications.proposals.values())


def _at_once(
    store: SqlLedgerStore, settings: Settings, policy_set: PolicySet, shard: str | None, form: Format
) -> None:
    own = settings.model_copy(update={"shard": POLICIES if shard is None else shard})
    writer = pipeline_of(store, policy_set, own, "publish")
    new, head = writer.publish(), writer.head
    if form is Format.JSON:
        print_json({"policy_set": policy_set.digest, "new": new, "size": head.size, "root": head.root.hex()})
        return
    word = "is in force" if new else "was in force already"
    say(f"Policy set {policy_set.digest} {word} ({counted(len(policy_set.policies), 'policy version')})")
    say(f"Size and root: {head.size}:{head.root.hex()}")


def _tested(rules: Path, settings: Settings, form: Format) -> int:
    """How many cases passed; where one fails, or there is none, the command ends here."""
    from policyengine.authoring.cases import run_cases

    catalogue = catalogue_of(settings.schemas)
    report = run_cases(rules, catalogue, case_engine(catalogue))
    if report.ok:
        return report.passed
    if form is Format.JSON:
        print_json({"published": False, **report.to_json()})
    else:
        for line in report.lines():
            say(line)
    typer.echo("not published: its cases do not pass", err=True)
    raise typer.Exit(FINDINGS)


def _instant(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--at `{text}` is no instant: write it like 2026-12-01T00:00:00Z") from error
    if time.tzinfo is None:
        raise UsageError(f"--at `{text}` has no zone: write {text}Z for UTC, or {text}+02:00")
    return instant_to_json(time.astimezone(UTC))


def approve(
    digest: Annotated[
        str | None, typer.Argument(help="The digest (or its beginning, or the proposal's number).")
    ] = None,
    rules: RulesOption = None,
    ledger: LedgerOption = None,
    schemas: SchemasOption = None,
    key: KeyOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Approve what somebody else has proposed; with the last approval that it takes, it holds.

    With --rules it is your own folder whose digest is approved: what you have read is what is put in force.
    Without either, what waits for approval is listed.
    """
    settings = settings_with(ledger=ledger, schemas=schemas)
    if digest is None and rules is None:
        _list_waiting(settings, form)
        return
    if digest is not None and rules is not None:
        raise UsageError("give a digest, or --rules DIR")
    name = digest or policy_set_of(_given(rules), settings.schemas).digest
    signer = signer_of(settings, key)
    if signer is None:
        raise UsageError("an approval is signed: give --key FILE, or set POLICYENGINE_KEY")
    with _existing(settings) as store:
        show_standing(desk_of(store).approve(name, signer), form)


def _given(folder: Path | None) -> Path:
    if folder is None:
        raise UsageError("give a digest, or --rules DIR")
    return folder


@contextmanager
def _existing(settings: Settings) -> Iterator[SqlLedgerStore]:
    """A ledger to write to, which is there already."""
    open_ledger(settings.ledger, read_only=True).close()
    with open_ledger(settings.ledger) as store:
        yield store


def _list_waiting(settings: Settings, form: Format) -> None:
    with open_ledger(settings.ledger, read_only=True) as store:
        publications = board_of(store).publications
    waiting = publications.waiting()
    if form is Format.JSON:
        print_json(
            {
                "waiting": [
                    {
                        "proposal": one.seq,
                        "purpose": one.purpose,
                        "digest": one.digest,
                        "at": one.at,
                        "approved": publications.counted(one),
                        "needed": publications.needed(one),
                    }
                    for one in waiting
                ]
            }
        )
        return
    for one in waiting:
        by = ", ".join(publications.counted(one)) or "nobody yet"
        say(f"{told(one)}; approved by {by}, {publications.needed(one)} needed")
    if not waiting:
        say("nothing waits for approval")


def withdraw(
    proposal: Annotated[str, typer.Argument(help="The proposal's number, or its digest.")],
    ledger: LedgerOption = None,
    key: KeyOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Take back what waits for approval, or what is to take effect later. One person can.

    What holds already is not withdrawn: `rollback`.
    """
    settings = settings_with(ledger=ledger)
    with _existing(settings) as store:
        show_standing(desk_of(store).withdraw(proposal, signer_of(settings, key)), form)


def rollback(
    to: Annotated[str | None, typer.Option("--to", help="The digest to go back to.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Go back so many policy sets.")] = None,
    ledger: LedgerOption = None,
    shard: ShardOption = None,
    for_workers: ForWorkersOption = False,
    key: KeyOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Publish again what was in force before, out of the ledger; no file is needed.

    What was approved before is put in force again by one person alone; what never was takes as many as
    publishing does.
    """
    if (to is None) == (steps is None):
        raise UsageError("say how far: --to DIGEST, or --steps 1")
    if for_workers and shard:
        raise UsageError("--for-workers has a shard of its own: no --shard")
    settings = settings_with(ledger=ledger, shard=shard)
    with _existing(settings) as store:
        board = board_of(store)
        wanted = None if for_workers or board.governed else settings.shard
        _one_for_all(board, shard)
        digest = _earlier(_in_force_so_far(store, board, wanted), to, steps or 0)
        policy_set = board.load(digest)  # that it can be decided under is known before it holds
        if _by_proposal(board, wanted, None):
            standing = desk_of(store).roll_back(digest, Wish(None, wanted), signer_of(settings, key))
            show_standing(standing, form)
        elif key is not None:
            raise UsageError(
                "nobody has to approve in this ledger, so nothing is signed: "
                "leave --key out, or say first who may approve (`keys trust`)"
            )
        else:
            _at_once(store, settings, policy_set, wanted, form)


def _in_force_so_far(store: SqlLedgerStore, board: Board, shard: str | None) -> list[str]:
    """Digests in the order in which they held, each once in a row."""
    if shard is None:
        found = board.held(shard, wall_clock())
    else:
        found = [str(one.ref) for one in store.entries(shard) if one.kind == "policy_set"]
    return [one for nth, one in enumerate(found) if nth == 0 or found[nth - 1] != one]


def _earlier(held: list[str], to: str | None, steps: int) -> str:
    if not held:
        raise PublishingError("nothing was published here yet", code="PE733")
    if to is None:
        if steps >= len(held):
            _no_such(f"{steps} steps back there is nothing", held)
        return held[-1 - steps]
    named = {one for one in held if one == to or (len(to) >= 6 and one.startswith(to))}  # noqa: PLR2004
    if len(named) != 1:
        which = "no policy set that was" if not named else f"{len(named)} policy sets that were"
        _no_such(f"`{to}` names {which} in force here", held)
    (digest,) = named
    return digest


def _no_such(why: str, held: list[str]) -> NoReturn:
    raise PublishingError(f"{why}: there were, oldest first, {', '.join(held[-10:])}", code="PE733")
