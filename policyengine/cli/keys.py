"""`keys`: make a key pair, look at one, and say who may approve what is published."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from policyengine.adapters.keys import PrivateKey, fingerprint, make_keys, read_private, read_public
from policyengine.bootstrap import Settings, board_of, desk_of, open_ledger
from policyengine.cli.options import FormatOption, LedgerOption, settings_with
from policyengine.cli.output import Format, print_json, say
from policyengine.cli.standing import show_standing
from policyengine.errors import PublishingError, UsageError
from policyengine.ledger.publications import Approver, Roster

keys = typer.Typer(no_args_is_help=True, help="Keys that approve policy sets, and whose they are.")
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", help="Your private key (PEM).", show_default="POLICYENGINE_KEY"),
]
_NAME = re.compile(r"[\w.@+-]{1,64}")


def signer_of(settings: Settings, path: Path | None) -> PrivateKey | None:
    """The private key that an option or the settings name, if any does."""
    path = path or settings.key
    return None if path is None else read_private(path, lambda what: passphrase_of(settings, what))


def passphrase_of(settings: Settings, what: str, *, confirm: bool = False) -> bytes | None:
    """Of the settings, or asked for at a terminal; None where there is neither."""
    if settings.key_passphrase is not None:
        return settings.key_passphrase.get_secret_value().encode()
    if not sys.stdin.isatty():
        return None
    asked = typer.prompt(
        what, hide_input=True, err=True, default="", show_default=False, confirmation_prompt=confirm
    )
    return str(asked).encode()


@keys.command("new")
def keys_new(
    file: Annotated[Path, typer.Argument(help="The private key's file; the public one is FILE.pub.")],
    plain: Annotated[bool, typer.Option("--no-passphrase", help="For a machine that keeps secrets.")] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Make a key pair: FILE, which stays with you, and FILE.pub, which goes to whoever keeps the roster.

    The passphrase is asked for, or read from POLICYENGINE_KEY_PASSPHRASE.
    """
    public = file.with_name(f"{file.name}.pub")
    given = None if plain else passphrase_of(settings_with(), "Passphrase", confirm=True)
    if not plain and not given:
        raise UsageError("a passphrase is missing: set POLICYENGINE_KEY_PASSPHRASE, or say --no-passphrase")
    made = make_keys(file, public, given)
    if form is Format.JSON:
        print_json({"private": str(file), "public": str(public), "fingerprint": fingerprint(made)})
        return
    say(f"{file}: private, keep it to yourself")
    say(f"{public}: public, to be trusted with `policyengine keys trust NAME={public}`")
    say(f"Fingerprint {fingerprint(made)}")


@keys.command("show")
def keys_show(
    file: Annotated[Path | None, typer.Argument(help="A public key's file; without it, the roster.")] = None,
    ledger: LedgerOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Show a public key's fingerprint, or who may approve in a ledger."""
    if file is not None:
        shown = fingerprint(read_public(file))
        if form is Format.JSON:
            print_json({"fingerprint": shown})
        else:
            say(shown)
        return
    with open_ledger(settings_with(ledger=ledger).ledger, read_only=True) as store:
        roster = board_of(store).publications.roster
    if form is Format.JSON:
        print_json({"roster": None if roster is None else roster.to_json()})
    elif roster is None:
        say("nobody has to approve: anybody who can write to the ledger can publish (see `keys trust`)")
    else:
        for one in roster.approvers:
            until = "" if one.until is None else f"  until {one.until}"
            say(f"{one.name}  {fingerprint(one.key)}{until}")
        say(f"{roster.needed} of {len(roster.approvers)} must approve")


@keys.command("trust")
def keys_trust(
    people: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=FILE.pub]...", help="Who may approve, and their public key."),
    ] = None,
    needed: Annotated[
        int | None, typer.Option("--needed", min=1, help="How many must approve.", show_default="2")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="First day (UTC) on which these keys count no more.")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Who may no longer.")] = None,
    key: KeyOption = None,
    ledger: LedgerOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Say who may approve what is published, and how many of them must.

    The first time it holds at once: from then on nothing is put in force in this ledger without approvals.
    Every later change takes the approvals that it takes to publish. A name that is there gets another key.
    """
    settings = settings_with(ledger=ledger)
    added = [_person(one, until) for one in people or ()]
    if not added and not remove and needed is None:
        raise UsageError("say whom: policyengine keys trust dana=dana.key.pub noa=noa.key.pub")
    signer = signer_of(settings, key)

    def change(before: Roster | None) -> Roster:
        kept = {} if before is None else {one.name: one for one in before.approvers}
        for name in remove or ():
            if name not in kept:
                text = f"there is no {name} on the roster ({', '.join(kept) or 'it is empty'})"
                raise PublishingError(text, code="PE735")
            del kept[name]
        kept.update({one.name: one for one in added})
        least = needed if needed is not None else (2 if before is None else before.needed)
        return Roster(least, tuple(sorted(kept.values(), key=lambda one: one.name)))

    with open_ledger(settings.ledger) as store:
        standing = desk_of(store).trust(change, signer)
    show_standing(standing, form)


def _person(text: str, until: str | None) -> Approver:
    name, equals, path = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise UsageError(f"`{text}` is not NAME=FILE.pub, with a name of letters, digits and . _ - @ +")
    if until is not None:
        try:
            until = date.fromisoformat(until).isoformat()
        except ValueError as error:
            raise UsageError(f"--until `{until}` is no day: write it like 2027-01-31") from error
    return Approver(name, read_public(Path(path)), until)
