"""Settings from the environment, what is logged, and what is said when something is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from policyengine.bootstrap import Settings, variable_of
from tests.cli.commands import Place, call, is_one_clear_line
from tests.service.runs import lines
from tests.support import booked, cancelled, draft, refund


class TestConfig:
    def test_it_shows_every_setting_and_its_variable(self) -> None:
        result = call("config")
        assert (result.code, result.err) == (0, "")
        for name in Settings.model_fields:
            assert variable_of(name) in result.out

    def test_a_variable_is_in_force(self) -> None:
        found = call(
            "config", "--format", "json",
            POLICYENGINE_BATCH_SIZE="7", POLICYENGINE_SCHEMAS=f"one{os.pathsep}two", POLICYENGINE_RULES="rules",
        ).json  # fmt: skip
        assert (found["batch_size"], found["schemas"], found["rules"]) == (7, ["one", "two"], "rules")
        assert found["ledger"] == "sqlite:///policyengine.db"

    @pytest.mark.parametrize("form", ["human", "json"])
    def test_a_password_is_not_shown(self, form: str) -> None:
        out = call("config", "--format", form, POLICYENGINE_LEDGER="postgresql://me:secret@host/db").out
        assert "secret" not in out
        assert "postgresql://me:***@" in out

    def test_an_option_goes_before_its_variable(self, place: Place) -> None:
        place.run("--shard", "mine", POLICYENGINE_SHARD="yours")
        assert place.rows("SELECT shard FROM shard") == [("mine",)]
        assert call("run", "--events", place.events, "--format", "json",
                    POLICYENGINE_LEDGER=place.ledger, POLICYENGINE_RULES=str(place.rules),
                    POLICYENGINE_SHARD="yours").json["shard"] == "yours"  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("BATCH_SIZE", "abc"), ("BATCH_SIZE", "0"), ("STATE_CACHE_MB", "-1"), ("SHARD", "a b"), ("LOG_LEVEL", "loud"),
            ("LOG_FORMAT", "xml"),
        ],
    )  # fmt: skip
    def test_a_wrong_setting_is_named(self, name: str, value: str) -> None:
        result = call("config", **{f"POLICYENGINE_{name}": value})
        assert is_one_clear_line(result, 2, f"error: PE900 POLICYENGINE_{name}: ")

    def test_all_that_are_wrong_are_named(self) -> None:
        result = call("config", POLICYENGINE_BATCH_SIZE="abc", POLICYENGINE_LOG_LEVEL="loud")
        assert is_one_clear_line(result, 2, "POLICYENGINE_BATCH_SIZE", "POLICYENGINE_LOG_LEVEL")


class TestLogs:
    def test_away_from_a_terminal_they_are_lines_of_json_with_everything_bound(self, place: Place) -> None:
        result = place.run("--format", "json", POLICYENGINE_LOG_LEVEL="debug")
        policy_set = result.json["policy_set"]
        assert {(log["shard"], log["policy_set"]) for log in result.logs} == {("0", policy_set)}
        decided = [log for log in result.logs if log["event"] == "decided"]
        assert len(decided) == 6
        assert {log["level"] for log in decided} == {"debug"}
        assert all(log["decision_id"].startswith("d-") for log in decided)
        assert cancelled("b1")["id"] in {log["event_id"] for log in decided}
        (committed,) = [log for log in result.logs if log["event"] == "batch committed"]
        assert (committed["size"], committed["root"]) == (16, result.json["root"])
        rejected = [log for log in result.logs if log["event"] == "event rejected"]
        assert [(log["code"], log["level"]) for log in rejected] == [
            ("EV004", "warning"), ("EV090", "warning"), ("EV001", "warning"),
        ]  # fmt: skip
        assert rejected[1]["event_id"] == cancelled("b1")["id"]

    @pytest.mark.parametrize(
        ("level", "events"),
        [
            ("info", {"policy set in force", "event rejected", "batch committed"}),
            ("warning", {"event rejected"}),
            ("error", set[str]()),
        ],
    )
    def test_the_level_is_the_least_that_is_shown(self, place: Place, level: str, events: set[str]) -> None:
        assert {log["event"] for log in place.run(POLICYENGINE_LOG_LEVEL=level).logs} == events

    def test_people_may_have_them_for_people(self, place: Place) -> None:
        err = place.run(POLICYENGINE_LOG_FORMAT="console").err
        assert "event rejected" in err
        assert not err.startswith("{")

    def test_a_rule_that_cannot_be_decided_is_told_with_its_decision(self, place: Place) -> None:
        rules = place.policy(draft("a/b", refund("prorate(booking.paid, 1, booking.travellers - 1)")))
        events = place.file("e", lines(booked(travellers=1), cancelled()))
        result = call(
            "run", "--rules", rules, "--ledger", place.ledger, "--events", events, "--decisions", "d"
        )
        (told,) = result.logs
        assert (told["event"], told["policy"], told["rule"]) == ("rule could not be decided", "a/b", "r")
        assert told["event_id"] == cancelled()["id"]
        assert told["decision_id"] in Path("d").read_text()
        assert "PE222" in str(told["because"])
        assert "rules that could not be decided" in result.out


class TestHelp:
    def test_without_a_command_there_is_help(self) -> None:
        assert "Usage" in call().out + call().err
        help_text = call("--help")
        assert help_text.code == 0
        assert "Exit codes" in help_text.out
        assert call("-h").code == 0

    def test_the_version(self) -> None:
        result = call("--version")
        assert (result.code, result.out.startswith("policyengine 0.")) == (0, True)
