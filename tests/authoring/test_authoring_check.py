"""What is suspicious in policies that compile is told with its place, its proof and what to do."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from policyengine.authoring.check import Checked, check_folder, examine
from policyengine.errors import PolicyError, UsageError
from policyengine.service.policy_sets import PolicySet, prepare
from tests.support import catalogue, draft

HEAD = """\
policy: {name}
version: {version}
title: {{en: A policy}}
owner: owner@company.example
basis: goodwill
effective: {{from: 2020-03-01}}
currency: ILS
timezone: Asia/Jerusalem
"""
TODAY = date(2020, 6, 1)


def checked(folder: Path, *texts: str, on: date = TODAY) -> Checked[PolicySet]:
    for number, text in enumerate(texts):
        (folder / f"p{number}.yaml").write_text(text, encoding="utf-8")
    result = examine([folder], catalogue(), prepare, on)
    if result.prepared is not None:
        result.prepared.ruleset.close()
    return result


def policy(body: str, name: str = "a/b", version: int = 1, **changes: str) -> str:
    head = HEAD.format(name=name, version=version)
    for key, value in changes.items():
        lines = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in head.splitlines()]
        head = "\n".join(lines if f"{key}: {value}" in lines else [*lines, f"{key}: {value}"]) + "\n"
    return head + body


def found(folder: Path, *texts: str, on: date = TODAY) -> list[str]:
    """`line:column: CODE severity: message; hint` of each."""
    return [str(one).removeprefix(f"{folder.as_posix()}/") for one in checked(folder, *texts, on=on).findings]


def rule(when: str = "", more: str = "", rule_id: str = "r", on: str = "booking.cancelled") -> str:
    conditions = f"    when:\n{when}" if when else ""
    return (
        f"  - id: {rule_id}\n    on: {on}\n{conditions}{more}"
        "    grant: [{kind: refund, amount: booking.paid}]\n"
    )


class TestNever:
    @pytest.mark.parametrize(
        ("when", "message"),
        [
            (
                "      - booking.nights > 5\n      - booking.nights < 3\n",
                ("p0.yaml:15:9: PE080 warning: `booking.nights < 3` and `booking.nights > 5` are never true together, "
                "so rule `r` never applies; mend one of them, write `||` where either will do, or remove the rule"),
            ),
            (
                '      - booking.kind == "hotel" && booking.kind == "tour"\n',
                'p0.yaml:14:9: PE080 warning: `booking.kind == "hotel" && booking.kind == "tour"` is never true',
            ),
            (
                '      - event.time < timestamp("2020-01-01T00:00:00Z")\n',
                ('p0.yaml:14:9: PE080 warning: `event.time < timestamp("2020-01-01T00:00:00Z")` and the time in which '
                "the version governs are never true together"),
            ),
            ("      - 1 > 2\n", "p0.yaml:14:9: PE080 warning: `1 > 2` is never true"),
        ],
    )  # fmt: skip
    def test_a_rule_whose_conditions_exclude_one_another(
        self, tmp_path: Path, when: str, message: str
    ) -> None:
        (one,) = found(tmp_path, policy("cites: [a]\nrules:\n" + rule(when)))
        assert one.startswith(message)

    def test_a_crisis_of_another_kind_than_the_policys(self, tmp_path: Path) -> None:
        text = policy("crisis: {kind: war}\nrules:\n" + rule('      - crisis.kind == "pandemic"\n'))
        (one,) = found(tmp_path, text)
        assert '`crisis.kind == "pandemic"` and `crisis` (crisis.kind in ["war"]) are never' in one

    def test_the_days_before_are_not_out_of_reach_where_the_version_reaches_back(
        self, tmp_path: Path
    ) -> None:
        when = '      - event.time < timestamp("2020-02-15T00:00:00Z")\n'
        text = policy("retroactive: {from: 2020-02-01}\nrules:\n" + rule(when))
        assert found(tmp_path, text) == []


class TestLosing:
    GROUP = "    exclusive: {group: g, choose: first}\n"

    def rules(self, first: str, second: str, more: str = GROUP) -> str:
        return policy("rules:\n" + rule(first, more, "aa") + rule(second, more, "bb"))

    def test_a_narrower_rule_that_comes_second_never_wins(self, tmp_path: Path) -> None:
        text = self.rules("      - booking.nights > 1\n", "      - booking.nights > 5\n")
        (one,) = found(tmp_path, text)
        assert one.startswith(
            "p0.yaml:16:9: PE081 warning: rule `bb` always loses to rule `aa`, which applies wherever this one does"
        )

    @pytest.mark.parametrize(
        ("first", "second", "more"),
        [
            (
                "      - booking.nights > 5\n",
                "      - booking.nights > 1\n",
                GROUP,
            ),  # the wider one comes second
            ("      - booking.nights > 1\n", "      - booking.nights > 5\n", ""),  # no group: both grant
            ("      - booking.nights > 1\n", "      - booking.nights > 5\n", GROUP.replace("first", "best")),
            ("      - booking.travellers > 1\n", "      - booking.nights > 5\n", GROUP),  # may be absent
            ("", "      - booking.nights > 5\n", GROUP + "    cap: {count: 1}\n"),  # may be used up
        ],
    )
    def test_what_may_win_is_not_told(self, tmp_path: Path, first: str, second: str, more: str) -> None:
        assert found(tmp_path, self.rules(first, second, more)) == []

    def test_a_denial_that_applies_wherever_the_grant_does(self, tmp_path: Path) -> None:
        deny = "  - id: no\n    on: booking.cancelled\n    deny: {reason: too late}\n"
        (one,) = found(tmp_path, policy("rules:\n" + rule("      - booking.nights > 5\n") + deny))
        assert "PE081 warning: rule `r` is always denied by rule `no`" in one
        higher = rule("      - booking.nights > 5\n", "    priority: 1\n")
        assert found(tmp_path, policy("rules:\n" + higher + deny)) == []

    def test_parameters_of_another_policy_are_others(self, tmp_path: Path) -> None:
        """`param.on` of the one is not that of the other, though both are called the same."""

        def one(name: str, condition: str, **values: bool) -> str:
            made = {
                "id": "r",
                "on": "booking.cancelled",
                "when": [condition],
                "exclusive": {"group": "g", "choose": "first"},
                "grant": [{"kind": "gesture", "gift": "tea"}],
            }
            parameters = {
                "parameters": {"on": {"2020-01-01": values["first"], "2020-06-01": not values["first"]}}
            }
            return draft(name, made, currency="ILS", **(parameters if "param" in condition else {}))

        own = [one("a/a", "param.on", first=True), one("a/b", "param.on", first=False)]
        assert found(tmp_path, *own) == []
        same = [one(name, 'booking.kind == "hotel"', first=True) for name in ("a/a", "a/b")]
        assert len(found(tmp_path, *same)) == 1  # so two policies do meet in a group

    def test_a_refund_that_may_be_in_error_leaves_room_for_the_other(self, tmp_path: Path) -> None:
        """`booking.change_fee` may be absent or below zero: then the first rule does not apply."""
        first = rule("", self.GROUP, "aa").replace("booking.paid", "booking.change_fee")
        assert found(tmp_path, policy("rules:\n" + first + rule("", self.GROUP, "bb"))) == []


def table(rows: str, more: str = "", when: str = "event.arrives_late_minutes >= 0") -> str:
    return policy(
        "rules:\n"
        "  - id: late\n"
        "    on: flight.delayed\n"
        f"    when: [{when}]\n"
        "    table:\n"
        f"{more}"
        "      columns:\n"
        "        - {when: flight_booking.distance_km, type: integer}\n"
        "        - {when: flight_booking.intra_eu, type: flag}\n"
        "        - {set: each, type: money}\n"
        f"      rows: |\n{rows}"
        "    grant: [{kind: compensation, amount: row.each}]\n"
    )


class TestTables:
    def test_a_flight_of_1500_km_falls_in_two_rows(self, tmp_path: Path) -> None:
        rows = "        <= 1500 | - | 250 ILS\n        >= 1500 | - | 400 ILS\n"
        assert found(tmp_path, table(rows)) == [
            ("p0.yaml:20:9: PE082 warning: `flight_booking.distance_km` 1,500 km falls in rows 1 and 2, and only one "
            "may fit; change a bound, or write `hit: first` if the upper row goes first")
        ]  # fmt: skip
        assert found(tmp_path, table(rows, "      hit: first\n")) == []
        assert found(tmp_path, table(rows, "      hit: collect\n")) == []

    def test_what_no_row_takes_is_told_by_an_example(self, tmp_path: Path) -> None:
        rows = "        <= 1500 | - | 250 ILS\n        > 1500 | true | 400 ILS\n"
        assert found(tmp_path, table(rows)) == [
            ("p0.yaml:19:9: PE083 warning: no row takes `flight_booking.distance_km` 1,501 km with "
            "`flight_booking.intra_eu` false: the rule does not apply there; add a row for it, or write "
            "`otherwise: nothing` in the table if that is meant")
        ]  # fmt: skip
        assert found(tmp_path, table(rows, "      otherwise: nothing\n")) == []

    def test_conditions_say_for_what_the_table_is_meant(self, tmp_path: Path) -> None:
        rows = "        <= 1500 | - | 250 ILS\n"
        assert found(tmp_path, table(rows, when="flight_booking.distance_km <= 1500")) == []
        assert len(found(tmp_path, table(rows, when="flight_booking.distance_km <= 1501"))) == 1

    def test_a_row_below_a_wider_one_is_never_reached(self, tmp_path: Path) -> None:
        rows = "        - | true | 250 ILS\n        < 100 | true | 1 ILS\n        - | - | 400 ILS\n"
        assert found(tmp_path, table(rows, "      hit: first\n")) == [
            ("p0.yaml:21:9: PE084 warning: row 2 is never reached: row 1 takes everything that would fit it; "
            "put the narrower row first, or remove one")
        ]  # fmt: skip

    def test_a_row_that_the_conditions_shut_out(self, tmp_path: Path) -> None:
        rows = "        <= 1500 | - | 250 ILS\n        > 1500 | - | 400 ILS\n"
        (one,) = found(tmp_path, table(rows, when="flight_booking.distance_km <= 1500"))
        assert "PE084 warning: row 2 is never reached: the rule's conditions let nothing through" in one

    def test_texts_dates_and_money_are_told_as_people_write_them(self, tmp_path: Path) -> None:
        text = policy(
            "rules:\n  - id: t\n    on: booking.cancelled\n    table:\n      columns:\n"
            "        - {when: booking.kind, type: text}\n        - {when: booking.starts_on, type: date}\n"
            "        - {when: booking.paid, type: money}\n        - {set: p, type: integer}\n      rows:\n"
            '        - [\'"hotel","package","tour","home_rental"\', "-", "-", 1]\n'
            '        - [cruise, ">= 2020-05-01", "-", 2]\n'
            '        - [cruise, "< 2020-05-01", "< 10.50 ILS", 2]\n'
            "    grant: [{kind: refund, amount: 'percent(booking.paid, row.p)'}]\n"
        )
        (one,) = found(tmp_path, text)
        # the smallest witness: the day before 1 May, at the bound itself
        assert (
            '`booking.kind` "cruise" with `booking.starts_on` 2020-04-30 and `booking.paid` 10.50 ILS' in one
        )


class TestVersions:
    BODY = "parameters:\n  p: {2020-03-10: 10}\nrules:\n" + rule().replace(
        "booking.paid", "'percent(booking.paid, param.p)'"
    )

    def test_days_between_two_versions(self, tmp_path: Path) -> None:
        first = policy("rules:\n" + rule(), effective="{from: 2020-03-01, until: 2020-04-01}")
        second = policy("rules:\n" + rule(), version=2, effective="{from: 2020-05-01}")
        assert found(tmp_path, first, second) == [
            ("p1.yaml:6:19: PE085 warning: from 2020-04-01 to 2020-04-30 no version of `a/b` governs; "
            "let version 1 end with `until: 2020-05-01`")
        ]  # fmt: skip

    def test_a_parameter_that_begins_later_than_the_version(self, tmp_path: Path) -> None:
        (one,) = found(tmp_path, policy(self.BODY))
        assert one == (
            "p0.yaml:10:6: PE086 warning: `p` has no value from 2020-03-01 to 2020-03-09, when the version governs "
            "already; write a value from 2020-03-01 on"
        )
        assert found(tmp_path, policy(self.BODY, effective="{from: 2020-03-10}")) == []

    def test_who_asks_whether_it_is_there_knows(self, tmp_path: Path) -> None:
        text = policy(self.BODY.replace("    grant", "    when: [present(param.p)]\n    grant"))
        assert found(tmp_path, text) == []

    def test_an_idle_parameter(self, tmp_path: Path) -> None:
        (one,) = found(tmp_path, policy("parameters: {x: 1}\nrules:\n" + rule()))
        assert one.startswith(
            "p0.yaml:9:17: PE093 warning: no rule reads the parameter `x`; write `param.x` where"
        )


class TestFiles:
    def test_law_that_is_not_cited(self, tmp_path: Path) -> None:
        (one,) = found(tmp_path, policy("rules:\n" + rule(), basis="statutory"))
        assert one.startswith(
            "p0.yaml:5:8: PE089 warning: a statutory policy that cites no law; name it: cites:"
        )

    def test_a_review_that_is_due_on_the_day_asked_for(self, tmp_path: Path) -> None:
        text = policy("review: 2020-05-01\nrules:\n" + rule())
        (one,) = found(tmp_path, text)
        assert one.startswith("p0.yaml:9:9: PE090 note: the review was due on 2020-05-01;")
        assert found(tmp_path, text, on=date(2020, 4, 30)) == []
        ended = policy(
            "review: 2020-05-01\nrules:\n" + rule(), effective="{from: 2020-03-01, until: 2020-06-01}"
        )
        assert found(tmp_path, ended) == []

    def test_offers_of_an_unknown_policy(self, tmp_path: Path) -> None:
        body = (
            "rules:\n  - id: r\n    on: booking.cancelled\n"
            "    grant: [{kind: withdraw, offers_of: a/c, reason: over}]\n    say: {en: It is over}\n"
        )
        (one,) = found(tmp_path, policy(body))
        assert one.startswith("p0.yaml:12:41: PE091 warning: there is no policy `a/c`")
        assert (
            examine([tmp_path / "p0.yaml"], catalogue(), prepare, TODAY).findings == ()
        )  # others are not there

    def test_a_day_that_is_over_when_the_version_begins(self, tmp_path: Path) -> None:
        later = "    follow_up:\n      - {at: 2020-02-01, event: booking.completed}\n"
        (one,) = found(tmp_path, policy("rules:\n" + rule("", later)))
        assert one.startswith(
            "p0.yaml:13:14: PE092 warning: the event is on 2020-02-01, before the version governs"
        )


class TestMessages:
    def test_a_message_that_lacks_a_language_of_the_others(self, tmp_path: Path) -> None:
        both = rule("", "    say: {en: We pay, he: נשלם}\n", "one")
        text = policy("rules:\n" + both + rule("", "    say: {en: We pay}\n", "two"))
        assert found(tmp_path, text) == [
            ("p0.yaml:16:10: PE087 warning: the message lacks `he`, in which this policy's other messages are written; "
            "add he: …; who reads that language is told nothing")
        ]  # fmt: skip

    def test_a_policy_that_lacks_the_language_of_most(self, tmp_path: Path) -> None:
        texts = [policy("rules:\n" + rule("", "    say: {he: נשלם}\n"), name) for name in ("a/x", "a/y")]
        texts.append(policy("rules:\n" + rule("", "    say: {en: We pay}\n"), "a/z"))
        (one,) = found(tmp_path, *texts)
        assert (
            "p2.yaml:12:10: PE087 warning: the message lacks `he`, in which most policies are written" in one
        )

    @pytest.mark.parametrize(
        ("words", "when", "told"),
        [
            ("{booking.change_fee}", "", True),  # no event must give it
            ("{booking.change_fee}", "      - present(booking.change_fee)\n", False),
            ("{booking.change_fee}", '      - booking.change_fee > money("0 ILS")\n', False),
            ("{booking.starts_on}", "", False),  # every booking has it, and the refund asks for the booking
            ("{event.cancelled_because}", "", False),  # the event must give it
            ("{membership.tier}", "", True),  # nobody knows that there is one membership
            ("{amount}", "", False),
        ],
    )
    def test_a_placeholder_that_may_have_nothing_to_show(
        self, tmp_path: Path, words: str, when: str, told: bool
    ) -> None:
        text = policy("rules:\n" + rule(when, f'    say: {{en: "So much: {words}"}}\n'))
        assert [one.partition("warning: ")[2].partition(" may")[0] for one in found(tmp_path, text)] == (
            [f"`{words}`"] if told else []
        )


class TestTogether:
    def test_errors_of_one_file_and_warnings_of_another_come_at_once(self, tmp_path: Path) -> None:
        wrong = policy("rules:\n" + rule().replace("paid", "payd"), "a/x")
        suspicious = policy("rules:\n" + rule("      - 1 > 2\n"), "a/y")
        result = checked(tmp_path, wrong, suspicious)
        assert [(one.code, one.severity) for one in result.findings] == [
            ("PE031", "error"),
            ("PE080", "warning"),
        ]
        assert result.prepared is None
        assert [one.code for one in result.errors] == ["PE031"]

    def test_warnings_keep_nobody_from_running(self, tmp_path: Path) -> None:
        assert checked(tmp_path, policy("rules:\n" + rule("      - 1 > 2\n"))).prepared is not None
        check_folder(tmp_path, catalogue(), prepare).ruleset.close()

    def test_errors_do(self, tmp_path: Path) -> None:
        checked(tmp_path, policy("rules:\n" + rule().replace("paid", "payd")))
        with pytest.raises(PolicyError, match="PE031"):
            check_folder(tmp_path, catalogue(), prepare)

    def test_files_are_checked_together(self, tmp_path: Path) -> None:
        checked(tmp_path, policy("rules:\n" + rule()), policy("rules:\n" + rule(), version=2))
        files = [tmp_path / "p0.yaml", tmp_path / "p1.yaml"]
        assert [one.code for one in examine(files, catalogue(), prepare, TODAY).findings] == ["PE050"]
        assert examine(files[:1], catalogue(), prepare, TODAY).findings == ()
        assert examine([files[0], files[0]], catalogue(), prepare, TODAY).findings == ()  # named twice
        assert len(examine([files[0], tmp_path], catalogue(), prepare, TODAY).findings) == 1

    def test_cases_are_read_where_they_stand(self, tmp_path: Path) -> None:
        given = (
            "    given: [{complaint.received: {at: 2020-04-01T10:00:00Z, complaint_id: k1, topic: price}}]\n"
        )
        wrong = f"cases:\n  - name: a\n{given}    expect: {{ruls: [r]}}\n  - name: b\n{given}    expect: {{rules: [s]}}\n"
        (tmp_path / "p0.cases.yaml").write_text(wrong, encoding="utf-8")
        unknown_key = "p0.cases.yaml:4:14: PE070 unknown key `ruls`; did you mean `rules`?"
        both = [unknown_key, "p0.cases.yaml:7:21: PE077 unknown rule `s`; rules are r, t"]
        assert found(tmp_path, policy("rules:\n" + rule() + rule(rule_id="t"))) == both
        result = examine([tmp_path / "p0.yaml"], catalogue(), prepare, TODAY)
        assert [str(one).removeprefix(f"{tmp_path.as_posix()}/") for one in result.findings] == both
        assert result.prepared is not None
        result.prepared.ruleset.close()

    def test_a_faulty_policy_says_nothing_of_the_rules_that_cases_name(self, tmp_path: Path) -> None:
        given = (
            "    given: [{complaint.received: {at: 2020-04-01T10:00:00Z, complaint_id: k1, topic: price}}]\n"
        )
        (tmp_path / "p0.cases.yaml").write_text(
            f"cases:\n  - name: a\n{given}    expect: {{rules: [s]}}\n", encoding="utf-8"
        )
        assert [text.partition(":")[0] for text in found(tmp_path, "policy: a")] == ["p0.yaml"] * 6

    def test_what_is_no_policy_file_is_wrong_usage(self, tmp_path: Path) -> None:
        (tmp_path / "x.cases.yaml").write_text("cases: []")
        (tmp_path / "x.txt").write_text("")
        for name, words in (
            ("x.cases.yaml", "policyengine test"),
            ("x.txt", "end in .yaml"),
            ("y.yaml", "not exist"),
        ):
            with pytest.raises(UsageError, match=words):
                examine([tmp_path / name], catalogue(), prepare, TODAY)
