"""`new`: a commented policy with its cases from a template, or the next version of a policy."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from policyengine.authoring.new_policy import Template, Wishes, subjects, templates, written
from policyengine.authoring.new_version import next_version
from policyengine.authoring.schema_policy import currencies
from policyengine.cli.options import FormatOption, settings_with
from policyengine.cli.output import Format, print_json, say
from policyengine.domain.near import did_you_mean
from policyengine.domain.policy import Basis
from policyengine.domain.policy_types import PolicyId
from policyengine.errors import PolicyError, UsageError

_ZONES = {"ILS": "Asia/Jerusalem", "GBP": "Europe/London", "PLN": "Europe/Warsaw", "JPY": "Asia/Tokyo"}
_ALSO_CALLED = {"NIS": "ILS", "SHEKEL": "ILS", "₪": "ILS", "€": "EUR", "EURO": "EUR", "$": "USD", "£": "GBP"}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def new(
    name: Annotated[
        str | None, typer.Argument(help="Name of the policy, such as travel/half-back.", show_default=False)
    ] = None,
    remedy: Annotated[
        str | None, typer.Option("--remedy", help="What it gives: refund, voucher, offer, deny …")
    ] = None,
    about: Annotated[
        str | None, typer.Option("--about", help="What it is about: booking, ticket, subscription …")
    ] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Currency of its amounts.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Who answers for it.")] = None,
    basis: Annotated[Basis, typer.Option("--basis", help="Why the customer is owed it.")] = Basis.GOODWILL,
    cites: Annotated[
        list[str] | None, typer.Option("--cites", help="The law or announcement behind it; may be repeated.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="What it is called, in English.")] = None,
    starts: Annotated[
        str | None, typer.Option("--starts", help="First day on which it governs.", show_default="today")
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option("--timezone", help="Where its days begin.", show_default="by the currency, else UTC"),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--rules", help="Folder of policy files.", show_default="rules")
    ] = None,
    old: Annotated[
        Path | None, typer.Option("--from", help="Write the next version of this policy file instead.")
    ] = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Write a commented policy and its cases, from a template; on a terminal it asks for what is missing.

    Nothing is ever overwritten. `--from FILE` writes the next version of a policy, which governs from
    `--starts` on, else from where the last one ends.
    """
    given = {"NAME": name, "--remedy": remedy, "--about": about, "--currency": currency, "--owner": owner}
    if old is not None:
        if more := [flag for flag, value in {**given, "--title": title}.items() if value is not None]:
            raise UsageError(f"--from takes all but the day from the old version: leave out {more[0]}")
        made = next_version(old, _day(starts), _today())
        _finish({made.path: made.content}, made.notes, form)
        return
    if basis is Basis.STATUTORY and not cites:
        raise UsageError("a statutory policy names its law: add --cites")
    questions = _Questions(form is Format.HUMAN and sys.stdin.isatty() and sys.stderr.isatty())
    rules = folder or settings_with().rules or Path("rules")
    template, answers = _ask(questions, given, rules)
    target, beside = _paths(rules, answers["NAME"])
    wishes = Wishes(
        policy=answers["NAME"],
        owner=answers["--owner"],
        basis=basis.value,
        starts=_day(starts) or _today(),
        zone=zone or _ZONES.get(answers["--currency"], "UTC"),
        title=title,
        about=answers["--about"] or None,
        currency=answers["--currency"] or None,
        cites=tuple(cites or ()),
        schemas=_schemas_from(target),
    )
    try:
        policy, cases = written(template, wishes)
    except PolicyError as error:
        finding = error.findings[0]
        raise UsageError(f"{finding.message}; {finding.hint}") from error
    files = {target: policy, beside: cases}
    notes = (f"Change what is yours, then: policyengine check {rules}; policyengine test {rules}",)
    _finish(files, notes, form)


Check = Callable[[str], str]


@dataclass(slots=True)
class _Questions:
    """Asks on a terminal; elsewhere notes what is missing."""

    interactive: bool
    missing: list[str] = field(default_factory=list)

    def ask(self, flag: str, question: str, given: str | None, check: Check) -> str:
        """What was given, or is answered; asked again until ``check`` takes it."""
        if given is not None:
            return check(given)
        if not self.interactive:
            self.missing.append(flag)
            return ""
        while True:
            answer: str = typer.prompt(question, err=True)
            try:
                return check(answer.strip())
            except UsageError as error:
                typer.echo(error.message, err=True)

    def choose(self, flag: str, question: str, given: str | None, choices: Mapping[str, str]) -> str:
        """One of the choices."""
        if given is None and self.interactive:
            for word, told in choices.items():
                typer.echo(f"  {word:<15} {told}", err=True)

        def check(word: str) -> str:
            if word in choices:
                return word
            hint = did_you_mean(word, choices) or f"there are {', '.join(choices)}"
            raise UsageError(f"{flag}: `{word}` is not known; {hint}")

        return self.ask(f"{flag} ({', '.join(choices)})", question, given, check)


def _ask(
    questions: _Questions, given: Mapping[str, str | None], rules: Path
) -> tuple[Template, dict[str, str]]:
    """The template, and what is known of the policy by flag; UsageError names all that is missing."""

    def new_name(name: str) -> str:
        return _new_name(name, rules)

    answers = {"NAME": questions.ask("NAME", "Name, such as travel/half-back", given["NAME"], new_name)}
    kinds = {name: template.what for name, template in templates().items()}
    remedy = questions.choose("--remedy", "What does it give", given["--remedy"], kinds)
    template = templates().get(remedy)
    answers |= {"--about": "", "--currency": ""}
    if template is not None and template.about:
        about = {name: subjects()[name]["what"] for name in template.about}
        answers["--about"] = questions.choose("--about", "What is it about", given["--about"], about)
    elif template is not None and given["--about"] is not None:
        raise UsageError(f"a policy from `{remedy}` is about one thing alone: leave --about out")
    if (template is not None and template.money) or given["--currency"] is not None:
        question = "Currency of its amounts, such as ILS"
        answers["--currency"] = questions.ask("--currency", question, given["--currency"], _currency)
    question = "Who answers for it, such as a mailbox"
    answers["--owner"] = questions.ask("--owner", question, given["--owner"], _owner)
    if questions.missing or template is None:
        raise UsageError(f"still to be said: {', '.join(questions.missing)}; on a terminal you are asked")
    return template, answers


def _new_name(name: str, rules: Path) -> str:
    try:
        TypeAdapter(PolicyId).validate_python(name)
    except ValidationError:
        hint = "write small letters, digits, `-`, `_` and `.`, parts divided by `/`, such as travel/half-back"
        raise UsageError(f"`{name}` cannot be the name of a policy; {hint}") from None
    for path in _paths(rules, name):
        _refuse_existing(path)
    return name


def _paths(rules: Path, name: str) -> tuple[Path, Path]:
    return rules / f"{name}.v1.yaml", rules / f"{name}.cases.yaml"


def _currency(code: str) -> str:
    if code in currencies():
        return code
    known = _ALSO_CALLED.get(code.upper())
    hint = f"did you mean `{known}`?" if known else did_you_mean(code, currencies())
    raise UsageError(f"unknown currency `{code}`; {hint or 'write an ISO 4217 code such as ILS'}")


def _owner(name: str) -> str:
    if not name.strip():
        raise UsageError("--owner is empty; write who answers for it, such as a mailbox")
    return name


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise UsageError(f"--starts: `{text}` is no day; write one such as 2020-03-15")


def _today() -> date:
    return datetime.now(UTC).date()


def _schemas_from(target: Path) -> str:
    """The folder `schemas` from a file's: the one around it, else beside the folder of rules."""
    folder = target.resolve().parent
    for around in (folder, *folder.parents):
        if (around / "schemas" / "policy.schema.json").is_file():
            return Path(os.path.relpath(around / "schemas", folder)).as_posix()
    return Path(os.path.relpath(Path.cwd() / "schemas", folder)).as_posix()


def _finish(files: Mapping[Path, bytes], notes: tuple[str, ...], form: Format) -> None:
    """Write new files, all or none, and say what comes next."""
    for path in files:
        if path.exists():
            raise UsageError(
                f"{path} is there already: choose another name, or use --from for a next version"
            )
    done: list[Path] = []
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                done.append(path)
                stream.write(content)
    except OSError as error:
        for path in done:
            path.unlink(missing_ok=True)
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error
    if form is Format.JSON:
        print_json({"written": [path.as_posix() for path in files]})
        return
    for path in files:
        say(f"written: {path.as_posix()}")
    schemas = [path for path in files if not _has_schema(path)]
    more = ("So that an editor completes it: policyengine schema export --out schemas",) if schemas else ()
    for note in (*notes, *more):
        typer.echo(note, err=True)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} is there already: choose another name, or --from FILE for a next version")


def _has_schema(path: Path) -> bool:
    found = re.match(r"# yaml-language-server: \$schema=(\S+)", path.read_text("utf-8"))
    return found is None or (path.parent / found[1]).is_file()
