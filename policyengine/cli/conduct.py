"""`gaps`, `consistency`, `due`, `timeline` and `asked`: how customers are treated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import policy_set_of
from policyengine.cli.audit import reading
from policyengine.cli.options import (
    FormatOption,
    LedgerOption,
    RulesOption,
    SchemasOption,
    rules_of,
    settings_with,
)
from policyengine.cli.output import FINDINGS, Format, out, print_json, progress, say, table
from policyengine.domain.calendar import time_zone
from policyengine.domain.values import Json
from policyengine.engine.answers import answer_to
from policyengine.engine.explain import remedy_text
from policyengine.errors import UsageError
from policyengine.service.consistency import Case, Consistency, compare
from policyengine.service.due import Due, find_due
from policyengine.service.gaps import DIMENSIONS, Gaps, Group, find_gaps
from policyengine.service.published import Period
from policyengine.service.timeline import timeline as tell

_SHOWN = 40  # rows of a table


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"`{text}` is no date; write it as 2020-03-31"
        raise UsageError(message) from error


def _size(store: SqlLedgerStore) -> int:
    return sum(store.head(shard).size for shard in store.shards())


def gaps(
    ledger: LedgerOption = None,
    since: Annotated[str | None, typer.Option("--since", help="First day of the events, in UTC.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="First day that is no longer looked at.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Count by these.")] = ",".join(DIMENSIONS),
    examine: Annotated[
        int,
        typer.Option(
            "--examine", min=0, help="Examples of each group of which it is found out why no rule fitted."
        ),
    ] = 20,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Count the events and complaints on which no policy applied, and the signals that were raised.

    The largest groups first, with the commonest reason why rules did not apply.

    Example: `policyengine gaps --since 2020-03-01 --until 2020-07-01 --by type,reason`
    """
    names = [name.strip() for name in by.split(",") if name.strip()]
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown or not names:
        message = f"--by takes {', '.join(DIMENSIONS)}, joined by commas, not `{by}`"
        raise UsageError(message)
    period = Period(_day(since), _day(until))
    with reading(ledger) as store, progress("reading", _size(store)) as advance:
        found = find_gaps(store, by=names, period=period, examine=examine, progress=advance)
    if form is Format.JSON:
        print_json(found.to_json())
    else:
        _show_gaps(found)


def _show_gaps(found: Gaps) -> None:
    largest = found.largest()
    total = sum(group.events for group in largest)
    say(f"no policy applied to {total:,} of {found.events:,} events")
    considered = [group for group in largest if group.lost or group.error]
    nobody = [group for group in largest if group.no_rule]
    figures = ("events", "lost", "error")
    made = table("Rules were there and did not apply", *found.by, *figures, "commonest reason", right=figures)
    for group in considered[:_SHOWN]:
        counts = (group.lost + group.error, group.lost, group.error)
        made.add_row(*group.key, *(f"{count:,}" for count in counts), _commonest(group))
    _print(made, len(considered))
    made = table("No rule is on these events", *found.by, "events", right=("events",))
    for group in nobody[:_SHOWN]:
        made.add_row(*group.key, f"{group.no_rule:,}")
    _print(made, len(nobody))
    signals = table("Signals", "signal", "value", "policy", "region", "count", right=("count",))
    for (name, value, policy, region), count in found.heard():
        signals.add_row(name, value, policy, region, f"{count:,}")
    _print(signals, signals.row_count)
    silent = table(
        "Versions in force under which nothing was decided",
        "policy",
        "version",
        "considered",
        right=("version", "considered"),
    )
    for key in found.silent():
        silent.add_row(key[0], str(key[1]), f"{found.considered[key]:,}")
    _print(silent, silent.row_count)


def _print(made: Table, rows: int) -> None:
    """A table unless it is empty, and how many rows were left out."""
    if made.row_count:
        out.print(made)
    if rows > made.row_count:
        say(f"and {rows - made.row_count:,} more; --format json has them all")


def _commonest(group: Group) -> str:
    if not group.because:
        return ""
    ((policy, rule, because), count) = group.because.most_common(1)[0]
    return f"{policy}, {rule}: {because} ({count:,} x)"


def consistency(
    ledger: LedgerOption = None,
    channel: Annotated[
        str,
        typer.Option(
            "--channel-attribute",
            help="Attribute of the event, or property of its data, that names it.",
        ),
    ] = "channel",
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", help="A policy that may look at the channel; may be repeated."),
    ] = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Group the decisions on equal facts, whatever the channel, and show any that differ, with the cause.

    Exit code 1 when a difference is not explained by a version, a cap or another rule of the engine's.

    Example: `policyengine consistency --ledger sqlite:///policyengine.db`
    """
    with reading(ledger) as store, progress("comparing", _size(store)) as advance:
        accepted = frozenset(accept or ())
        report = compare(store, channel=channel, accepted=accepted, progress=advance)
    if form is Format.JSON:
        print_json(report.to_json())
    else:
        _show_consistency(report)
    if report.unexplained:
        raise typer.Exit(FINDINGS)


def _show_consistency(report: Consistency) -> None:
    say(f"{report.decisions:,} decisions on {report.cases:,} cases, {report.repeated:,} of them repeated")
    figures = ("decisions", "cases", "also in another channel", "answered differently there")
    made = table("Channels", "channel", *figures, right=figures)
    for name, one in sorted(report.channels.items()):
        made.add_row(name, *(f"{n:,}" for n in (one.decisions, one.cases, one.shared, one.differing)))
    _print(made, made.row_count)
    for case in report.differing[:_SHOWN]:
        for line in _case_lines(case):
            say(line)
    if len(report.differing) > _SHOWN:
        say(f"and {len(report.differing) - _SHOWN:,} more cases; --format json has them all")
    explained = len(report.differing) - len(report.unexplained)
    if report.differing:
        say(f"answered differently: {explained:,} with an explanation, {len(report.unexplained):,} without")
    else:
        say("equal cases were all answered alike")


def _case_lines(case: Case) -> Iterator[str]:
    about = "" if case.entity is None else f", {case.entity}"
    yield f"{'explained' if case.explained else 'NOT EXPLAINED'}: {case.event_type}{about}"
    for name, value in case.facts.items():
        if not name.startswith("event.type"):
            yield f"    {name} = {_plain(value)}"
    for one in case.answers.values():
        told = ", ".join(f"{count:,} x {name}" for name, count in sorted(one.channels.items()))
        yield f"  {told}; first {one.document['decision_id']} on {one.document['event']['time']}:"
        for line in _given_lines(one.document):
            yield f"      {line}"
    for cause in case.causes:
        yield f"  cause: {cause.policy + ': ' if cause.policy else ''}{cause.text}"


def _given_lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield from (remedy_text(remedy) for remedy in document["remedies"])
    for offer in document["offers"]:
        choices = ", ".join(choice["id"] for choice in offer["alternatives"])
        yield f"a choice of {choices}  [{offer['policy']} v{offer['version']}, rule {offer['rule']}]"
    for denial in document["denials"]:
        yield f"denied: {denial['reason']}  [{denial['policy']} v{denial['version']}, rule {denial['rule']}]"
    if document["outcome"] == "none":
        yield "nothing"


def _plain(value: Json) -> str:
    if isinstance(value, dict):
        return f"{value['amount']} {value['currency']}" if "amount" in value else str(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def asked(
    policy: Annotated[
        str, typer.Argument(help="Name of the policy, such as airline/eu261.", metavar="POLICY")
    ],
    on: Annotated[str, typer.Option("--on", help="The day for which somebody asks.")],
    rules: RulesOption = None,
    schemas: SchemasOption = None,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Say which version of a policy governs on a day, and what it gives: as a customer is answered.

    Example: `policyengine asked airline/points-kept --on 2020-04-01 --rules rules`
    """
    day = _day(on)
    settings = settings_with(rules=rules, schemas=schemas)
    policy_set = policy_set_of(rules_of(settings), settings.schemas)
    answer, words = answer_to(policy_set.ruleset, policy, day or date.min)
    if not answer["known"]:
        message = f"no policy `{policy}`; {answer.get('hint', 'see the folder of rules')}"
        raise UsageError(message)
    if form is Format.JSON:
        print_json({"answer": answer, "messages": words})
        return
    for text in words.values():
        say(text)
    _show_answer(answer)


def _show_answer(answer: dict[str, Json]) -> None:
    version: Any = answer["governs"]
    if version is None:
        return
    window = version["window"]
    until = f" until before {_civil(window['until'], window['timezone'])}" if window["until"] else ""
    start = _civil(window["from"], window["timezone"])
    say(f"  In force from {start}{until}, by {window['by']} ({window['timezone']}); {version['basis']}")
    for cited in version["cites"]:
        say(f"  {cited}")
    for rule in version["rules"]:
        what = [*rule["grants"], *([f"denied: {rule['denies']}"] if rule["denies"] else [])]
        what += [f"{one['id']} ({', '.join(one['kinds'])})" for one in rule["offers"]]
        kind = "a choice of " if rule["offers"] else ""
        say(f"  {rule['rule']}, on {', '.join(rule['on'])}: {kind}{', '.join(what)}")


def _civil(moment: str, zone: str) -> str:
    """A day, or an instant as the clocks of a zone show it; its midnight is the day."""
    at = datetime.fromisoformat(moment)
    if at.tzinfo is None:
        return moment
    local = at.astimezone(time_zone(zone))
    return local.date().isoformat() if local.time() == time() else local.isoformat(" ", "minutes")


def due(
    ledger: LedgerOption = None,
    on: Annotated[
        str | None, typer.Option("--on", help="The day; by default the one that the stream has reached.")
    ] = None,
    within: Annotated[int, typer.Option("--within", min=0, help="Days before a deadline that are near.")] = 7,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Say what is overdue: reviews, offers, held messages, customers who heard nothing; and what is next.

    Exit code 1 when something is overdue.

    Example: `policyengine due --on 2020-07-01 --within 14`
    """
    with reading(ledger) as store, progress("reading", _size(store)) as advance:
        found = find_due(store, _day(on), within=within, progress=advance)
    if form is Format.JSON:
        print_json(found.to_json())
    else:
        _show_due(found)
    if found.late:
        raise typer.Exit(FINDINGS)


def _show_due(found: Due) -> None:
    reached = "" if found.reached is None else f"; the stream has reached {found.reached:%Y-%m-%d %H:%M} UTC"
    if found.reached is None and found.on == date.min:
        say("nothing has happened in this ledger yet")
        return
    say(f"on {found.on}{reached}")
    made = table("Reviews", "policy", "version", "review", "owner", right=("version",))
    for review in (*found.overdue, *found.endless):
        since = "neither review nor end" if review.review is None else f"{review.review}"
        made.add_row(review.policy, str(review.version), since, review.owner)
    _print(made, made.row_count)
    for title, most in (
        (f"Offers near or past their deadline, of {found.open_offers:,} that are open", found.offers),
        ("Messages that wait for the staff", found.notices),
    ):
        made = table(title, "customer", "policy", "version", "until", "", right=("version",))
        for one in most.listed()[:_SHOWN]:
            late = "past" if one.past else ""
            made.add_row(one.customer, one.policy, str(one.version), str(one.until or ""), late)
        _print(made, most.count)
    made = table("Duties to speak that nobody has answered", "customer", "since", "event", "told", "decision")
    for duty in found.duties[:_SHOWN]:
        made.add_row(duty.customer, f"{duty.since:%Y-%m-%d}", duty.event, duty.to, duty.decision_id)
    _print(made, len(found.duties))
    made = table("Jobs under way", "job", "shard", "done", "of", right=("done", "of"))
    for job in found.jobs:
        made.add_row(job.what, job.shard, f"{job.done:,}", f"{job.total:,}")
    _print(made, made.row_count)
    made = table(f"Next of {found.timer_count:,} timers", "due", "what", "shard")
    for timer in found.timers:
        made.add_row(f"{timer.at:%Y-%m-%d %H:%M}", timer.what, timer.shard)
    _print(made, made.row_count)
    if not found.late:
        say("nothing is overdue")


class Language(StrEnum):
    """The language of a story; both: told in English, with the messages in both."""

    HE = "he"
    EN = "en"
    BOTH = "both"


def timeline(
    customer: Annotated[str, typer.Argument(help="The customer's id.", metavar="CUSTOMER")],
    ledger: LedgerOption = None,
    lang: Annotated[Language, typer.Option("--lang", help="he, en or both.")] = Language.BOTH,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Tell one customer's story: what happened, what was decided, why, and what they were told.

    Example: `policyengine timeline c17 --lang he`
    """
    with reading(ledger) as store:
        story = tell(store, customer)
    if form is Format.JSON:
        print_json(story.to_json())
        return
    language = "he" if lang is Language.HE else "en"
    for text in story.lines(language, ("en", "he") if lang is Language.BOTH else (language,)):
        say(text)
