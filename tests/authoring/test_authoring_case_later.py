"""What a case expects to come later: read with its mistakes, compared with what comes, told on which day."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from policyengine.authoring.case_file import read_cases
from policyengine.authoring.case_plan import Plan, plans
from policyengine.authoring.case_report import Report
from policyengine.authoring.cases import run_plans
from policyengine.authoring.coverage import Coverage
from policyengine.authoring.coverage_points import Kind
from policyengine.authoring.coverage_report import coverage_report
from policyengine.authoring.format_files import format_file
from policyengine.authoring.mutate import Fate, Mutation
from policyengine.service.case_engine import CaseEngine
from tests.support import catalogue

POLICY = """\
policy: care/later
version: 1
title: {en: What comes later}
owner: a@b.example
basis: goodwill
announced: 2020-03-01
staff_first: {hours: 48}
effective: {from: 2020-01-01}
timezone: Asia/Jerusalem
rules:
  - id: ask
    on: booking.cancelled
    offer:
      alternatives:
        - {id: money, grant: [{kind: refund, amount: booking.paid}]}
        - {id: later, grant: [{kind: postpone, until: 2020-12-31}]}
      default: money
      deadline: add_days(date_of(event.time), 7)
  - id: rest
    on: isolation.started
    for: subscription
    when: [present(event.isolated_until)]
    grant: [{kind: freeze, from: event.isolated_from, until: event.isolated_until}]
    follow_up: [{at: "add_days(event.isolated_until, 30)", event: subscription.silence_due, data: {since: event.isolated_until}}]
  - id: welcome
    on: remedy.ended
    when: [event.remedy == "freeze"]
    grant: [{kind: notify}]
  - id: still-there
    on: subscription.silence_due
    grant: [{kind: escalate, to: a person}]
  - id: tell
    on: complaint.received
    grant: [{kind: notify}]
    say: {en: We look into it}
  - id: struck
    on: crisis.phase_began
    for: subscription
    when: [event.phase == "ongoing"]
    grant: [{kind: notify}]
"""
OTHER = """\
policy: care/other
version: 1
title: {en: Another one}
owner: a@b.example
basis: goodwill
effective: {from: 2020-01-01}
timezone: Asia/Jerusalem
rules:
  - id: visit
    on: isolation.started
    grant: [{kind: notify}]
    follow_up: [{at: "add_days(date_of(event.time), 2)", event: customer.updated}]
"""
BOOKED = """\
      - booking.made: {at: 2020-02-01T10:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-07-01, price: 500 ILS, paid: 100 ILS}
      - booking.cancelled: {at: 2020-04-01T10:00:00Z, booking_id: b1, cancelled_because: crisis}
"""
RESTS = """\
      - subscription.started: {at: 2020-02-01T10:00:00Z, subscription_id: s1, kind: gym, monthly_fee: 100 ILS}
      - isolation.started: {at: 2020-04-01T10:00:00Z, isolation_id: i1, isolated_from: 2020-04-01, isolated_until: 2020-04-15}
"""
ENDED = "{on: 2020-04-15, happens: remedy.ended, rule: rest, expect: {rules: [welcome]}}"
ASKED = (
    "{on: 2020-05-15, happens: subscription.silence_due, expect: {remedies: [{kind: escalate}]}}"  # + 30 days
)
# the last day to answer is 8 April; the offer ends at midnight in Israel, 2020-04-08T21:00Z (summer time)
SILENCE = "{on: 2020-04-09, happens: offer.expired, rule: ask, expect: {remedies: [{kind: refund, amount: 100 ILS}]}}"


@cache
def engine() -> CaseEngine:
    """One for all, so that the policies are compiled once."""
    return CaseEngine(catalogue())


def planned(tmp_path: Path, given: str, later: str, more: str = "") -> Plan:
    items = "".join(f"\n      - {item}" for item in later.split("\n")) if "\n" in later else f" {later}"
    (tmp_path / "later.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "other.yaml").write_text(OTHER, encoding="utf-8")
    text = f"cases:\n  - name: a\n{more}    given:\n{given}    later:{items}\n"
    (tmp_path / "later.cases.yaml").write_text(text, encoding="utf-8")
    (plan,) = plans([tmp_path], catalogue())
    return plan


def run(tmp_path: Path, given: str, later: str, more: str = "") -> Report:
    return run_plans([planned(tmp_path, given, later, more)], engine(), whole=False)


def told(report: Report) -> list[str]:
    assert report.findings == []
    return [str(one) for failure in report.failures for one in failure.differences]


class TestWhatHolds:
    @pytest.mark.parametrize(
        ("given", "later"),
        [
            (BOOKED, SILENCE),
            (BOOKED, f"[{SILENCE}, none]"),
            (BOOKED, "{on: 2020-04-09, expect: {outcome: granted, entity: {type: booking, id: b1}}}"),
            (BOOKED, '{on: "2020-04-08T21:00:00Z", happens: offer.expired, customer: c1}'),
            (RESTS, ENDED),
            (RESTS, f"{ENDED}\n{ASKED}"),
            (RESTS, f"{ASKED}\n{ENDED}\nnone"),
            (RESTS.replace(", isolated_until: 2020-04-15", ""), "none"),
        ],
    )
    def test_it_passes(self, tmp_path: Path, given: str, later: str) -> None:
        report = run(tmp_path, given, later)
        assert (told(report), report.passed) == ([], 1)

    def test_messages_that_wait_for_the_staff_go_out_at_an_hour(self, tmp_path: Path) -> None:
        # made public on 1 March, midnight in Israel, 2020-02-29T22:00Z; 48 hours later
        given = "      - complaint.received: {at: 2020-03-01T10:00:00Z, complaint_id: k1, topic: price}\n"
        later = (
            "{on: 2020-03-02T22:00:00Z, happens: notice.released, expect: {messages: {en: We look into it}}}"
        )
        assert told(run(tmp_path, given, f"[{later}, none]")) == []
        before = later.replace("22:00:00Z", "21:59:59Z")
        assert told(run(tmp_path, given, before)) == [
            "expected notice.released on 2020-03-02T21:59:59Z, got on 2020-03-02T22:00:00Z"
        ]

    def test_what_happens_in_the_world_reaches_whom_it_touches(self, tmp_path: Path) -> None:
        start = "subscription.started: {at: 2020-02-01T10:00:00Z, subscription_id: s1, kind: gym, monthly_fee: 100 ILS"
        given = (
            "      - customer.registered: {at: 2020-01-01T10:00:00Z, customer: a, language: he, country: IL}\n"
            "      - customer.registered: {at: 2020-01-01T10:00:00Z, customer: b, language: he, country: IL}\n"
            f"      - {start}, customer: a}}\n      - {start}, customer: b}}\n"
            "      - crisis.declared: {at: 2020-03-01T10:00:00Z, crisis_id: k1, kind: war, region: IL, onset_from: 2020-03-05}\n"
            "      - crisis.phase_changed: {at: 2020-03-02T10:00:00Z, crisis_id: k1, phase: ongoing, from: 2020-03-09}\n"
        )
        began = "{on: 2020-03-09, happens: crisis.phase_began, expect: [{remedies: [{kind: notify}, {kind: notify}]}, {customer: b, rules: [struck]}]}"
        assert told(run(tmp_path, given, began)) == []
        # nobody has to list what happens in the world
        assert told(run(tmp_path, given, "none")) == []
        assert told(run(tmp_path, given, began.replace("customer: b", "customer: c"))) == [
            "expected a decision about on 2020-03-09 customer c, got subscription s1 of a, subscription s1 of b"
        ]

    def test_nobody_has_to_list_what_other_policies_let_happen(self, tmp_path: Path) -> None:
        joined = "    with: [care/other]\n"
        assert told(run(tmp_path, RESTS, ENDED, joined)) == []
        visit = "{on: 2020-04-03, happens: customer.updated, rule: visit}"
        assert told(run(tmp_path, RESTS, f"{visit}\n{ENDED}", joined)) == []

    def test_examples_fill_it_in(self, tmp_path: Path) -> None:
        given = RESTS.replace("2020-04-15", '"${until}"')
        examples = (
            "    examples: [{until: 2020-04-15, day: 2020-05-15}, {until: 2020-04-16, day: 2020-05-16}]\n"
        )
        later = '{on: "${until}", happens: remedy.ended}\n{on: "${day}T00:00:00+03:00", happens: subscription.silence_due}'
        report = run(tmp_path, given, later, examples)
        assert (told(report), report.passed) == ([], 2)


class TestWhatDiffers:
    @pytest.mark.parametrize(
        ("given", "later", "expected"),
        [
            (BOOKED, SILENCE.replace("100 ILS", "99 ILS"), ["expected refund amount on 2020-04-09 99 ILS, got 100.00 ILS"]),
            (BOOKED, SILENCE.replace("04-09", "04-08"), ["expected offer.expired of rule ask on 2020-04-08, got on 2020-04-09"]),
            (BOOKED, SILENCE.replace("04-09", "04-10"), ["expected offer.expired of rule ask on 2020-04-10, got on 2020-04-09"]),
            (BOOKED, "none", ["got offer.expired of rule ask on 2020-04-09, which is not expected"]),
            (BOOKED, "{on: 2020-04-05, expect: none}", ["expected offer.expired of rule ask on 2020-04-05, got on 2020-04-09"]),
            (BOOKED, "{on: 2020-04-05, happens: notice.released}",
             ["expected on 2020-04-05 notice.released, got nothing; there is offer.expired of rule ask on 2020-04-09"]),
            (BOOKED, '{on: "2020-04-08T20:59:59Z", happens: offer.expired}',
             ["expected offer.expired of rule ask on 2020-04-08T20:59:59Z, got on 2020-04-08T21:00:00Z"]),
            (RESTS, f"{ENDED}\nnone", ["got subscription.silence_due of rule rest on 2020-05-15, which is not expected"]),
            (RESTS, ASKED, ["got remedy.ended of rule rest on 2020-04-15, which is not expected"]),
            (RESTS, ENDED.replace("[welcome]", "[]"), ["expected the rules that apply on 2020-04-15 none, got welcome"]),
            (RESTS, f"{ENDED}\n{ENDED}",
             ["expected on 2020-04-15 remedy.ended of rule rest, got nothing; there is subscription.silence_due of rule rest on 2020-05-15"]),
            (RESTS, ENDED.replace("rule: rest", "customer: c2"),
             ["expected on 2020-04-15 remedy.ended for c2, got nothing; there is remedy.ended of rule rest on 2020-04-15, subscription.silence_due of rule rest on 2020-05-15",
              "got remedy.ended of rule rest on 2020-04-15, which is not expected"]),
            (RESTS.replace(", isolated_until: 2020-04-15", ""), ENDED, ["expected on 2020-04-15 remedy.ended of rule rest, got nothing, nor on any other day"]),
        ],
    )  # fmt: skip
    def test_it_is_told_with_its_day(
        self, tmp_path: Path, given: str, later: str, expected: list[str]
    ) -> None:
        assert told(run(tmp_path, given, later)) == expected

    def test_of_many_things_a_few_are_named(self, tmp_path: Path) -> None:
        # the end of the rest and what follows, of each of three
        given = "".join(
            line.replace("s1", f"s{number}")
            .replace("i1", f"i{number}")
            .replace("at: ", f"customer: c{number}, at: ")
            for number in range(3)
            for line in RESTS.splitlines(keepends=True)
        )
        assert told(run(tmp_path, given, "none"))[2:] == [
            "got remedy.ended of rule rest on 2020-04-15, which is not expected",
            "got and so on 3 more, the last on 2020-05-15, which is not expected",
        ]

    def test_the_trace_shows_what_was_decided_on_that_day(self, tmp_path: Path) -> None:
        lines = "\n".join(run(tmp_path, RESTS, ENDED.replace("[welcome]", "[]")).lines())
        assert "    on 2020-04-15, remedy.ended:\n      care/later v1, rule welcome applied\n" in lines
        lines = "\n".join(run(tmp_path, RESTS, f"{ENDED}\n{ENDED}").lines())
        assert "    on event 2:\n      care/later v1, rule rest applied\n" in lines

    def test_what_is_expected_of_the_events_counts_besides(self, tmp_path: Path) -> None:
        report = run(tmp_path, RESTS, ENDED, "    expect: {outcome: denied}\n")
        assert told(report) == ["expected outcome denied, got granted"]


class TestMistakes:
    @pytest.mark.parametrize(
        ("later", "finding"),
        [
            ("", "7:5: PE072 `later` expects nothing; write `- {on: 2020-04-05, happens: …}`, or `none` where nothing may happen"),
            ("[]", "7:12: PE072 `later` expects nothing; write `- {on: 2020-04-05, happens: …}`, or `none` where nothing may happen"),
            ("{}", "7:12: PE072 `later` expects nothing; write `- {on: 2020-04-05, happens: …}`, or `none` where nothing may happen"),
            ("soon", "7:12: PE070 expected `key: value` lines; see the reference"),
            ("{on: 2020-04-15, hapens: remedy.ended}", "7:29: PE070 unknown key `hapens`; did you mean `happens`?"),
            ("{on: 2020-04-15, happens: remedy.endet}", "7:38: PE071 unknown event type `remedy.endet`; did you mean `remedy.ended`?"),
            ("{happens: remedy.ended}", "7:12: PE070 what comes later needs the day on which it happens; write `on: 2020-04-05`, or a moment such as 2020-04-05T08:00:00Z"),
            ("{on: soon}", "7:17: PE070 what comes later needs the day on which it happens; write `on: 2020-04-05`, or a moment such as 2020-04-05T08:00:00Z"),
            ("{on: 9999-12-31}", "7:17: PE070 9999-12-31 is outside of the years 1901 to 2199"),
            ("{on: 0001-01-01T00:00:00+14:00}", "7:17: PE070 0001-01-01 00:00:00+14:00 is outside of the years 1901 to 2199"),
            ("{on: 2020-04-15, expect: {}}", "7:37: PE072 `expect` without expectations; write `expect: none`, or leave it out where only what happens counts"),
            ("{on: 2020-04-15, expect: {outcome: grantd}}", "7:47: PE070 unknown `grantd`; did you mean `granted`?"),
            ("{on: 2020-04-15, expect: {outcome: none, after: 1}}", "7:53: PE070 unknown key `after`; keys are outcome, "),
            ("[none, {on: 2020-04-15}]", "7:13: PE070 `none` before something that happens; write it as the last one"),
        ],
    )  # fmt: skip
    def test_it_is_told_with_its_place(self, later: str, finding: str) -> None:
        text = f"cases:\n  - name: a\n    # the offer\n    given:\n{BOOKED}    later: {later}\n"
        _, found = read_cases(text.encode(), "x.cases.yaml", catalogue())
        assert len(found) == 1
        assert str(found[0]).startswith(f"x.cases.yaml:{finding}")

    @pytest.mark.parametrize(
        ("later", "finding"),
        [
            ("{on: 2020-03-31}", "6:17: PE070 2020-03-31 is before the last event of the case, which is on 2020-04-01"),
            ("{on: 2020-04-01T09:59:59Z}", "6:17: PE070 2020-04-01T09:59:59Z is before the last event of the case, which is on 2020-04-01T10:00:00Z"),
            ("{on: 2020-04-15, rule: rst}", "6:35: PE077 unknown rule `rst`; did you mean `rest`?"),
            ("{on: 2020-04-15, expect: {rules: [wellcome]}}", "6:45: PE077 unknown rule `wellcome`; did you mean `welcome`?"),
        ],
    )  # fmt: skip
    def test_what_the_policies_tell_is_told_before_it_runs(
        self, tmp_path: Path, later: str, finding: str
    ) -> None:
        (found,) = run(tmp_path, BOOKED, later).findings
        assert str(found).partition("; what happens before it")[0].endswith(f"later.cases.yaml:{finding}")

    def test_a_case_needs_one_of_both(self) -> None:
        text = f"cases:\n  - name: a\n    given:\n{BOOKED}"
        _, found = read_cases(text.encode(), "x.cases.yaml", catalogue())
        assert [each.code for each in found] == ["PE072"]


class TestWhatItReaches:
    def test_coverage_counts_what_is_decided_later(self, tmp_path: Path) -> None:
        plan = planned(tmp_path, RESTS, f"{ENDED}\n{ASKED}")
        own = [loaded for loaded in plan.loaded.policies if loaded.policy.policy == "care/later"]
        for later, covered in ((ENDED, "0/1"), (f"{ENDED}\n{ASKED}", "1/1")):
            watcher = Coverage(own)
            case = planned(tmp_path, RESTS, later)
            assert run_plans([case], engine(), whole=False, watch=lambda _, seen=watcher: seen).ok
            report = coverage_report(own, watcher.marks)
            assert str(report.figure(Kind.LATER)) == covered
            missing = [point.missing for point in report.missing]
            text = "`subscription.silence_due`, which follows from rule rest, never happens"
            assert (text in missing) is (covered == "0/1")
            assert "rule welcome never applies" not in missing

    def test_it_kills_mutants_of_what_is_set_for_later(self, tmp_path: Path) -> None:
        mutation = Mutation.of([planned(tmp_path, RESTS, f"{ENDED}\n{ASKED}")], engine(), "care/later")
        of = {f"{each.rule_id}: {each.change}": each for each in mutation.mutants}
        for change in (
            "rest: add_days(event.isolated_until, 30) → add_days(event.isolated_until, 31)",
            'welcome: event.remedy == "freeze" → event.remedy != "freeze"',
            "still-there: rule still-there → no such rule",
        ):
            assert mutation.fate(of[change]) is Fate.KILLED
        assert mutation.fate(of['welcome: event.remedy == "freeze" → nothing']) is Fate.SURVIVED


def test_fmt_sorts_its_keys_too() -> None:
    case = f"cases:\n  - later:\n      - {{expect: {{messages: {{}}, rules: []}}, happens: remedy.ended, on: 2020-04-15}}\n    name: a\n    given:\n{RESTS}"
    after = format_file(case.encode(), "x.cases.yaml").after
    assert after is not None
    assert (
        after.decode()
        .rstrip()
        .endswith(
            "    later:\n      - {on: 2020-04-15, happens: remedy.ended, expect: {rules: [], messages: {}}}"
        )
    )
