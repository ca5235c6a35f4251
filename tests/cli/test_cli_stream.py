"""`run`, `decide` and `publish`, as an upstream system meets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from policyengine.adapters import files
from policyengine.service import machine
from tests.cli.commands import Place, call, is_one_clear_line
from tests.service import worlds
from tests.service.runs import FULL, HALF, STREAM, lines
from tests.support import booked, cancelled, draft, event, refund

COUNTS = {"events": 6, "duplicates": 1, "rejected": 3, "decisions": 6, "granted": 3, "none": 3}


def published(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(raw) for raw in path.read_bytes().splitlines()]


class TestRun:
    def test_it_says_what_became_of_the_events_and_where_the_ledger_stands(self, place: Place) -> None:
        result = place.run("--format", "json", POLICYENGINE_LOG_LEVEL="error")
        found = result.json
        assert (result.code, result.err) == (0, "")
        assert found["counts"] == COUNTS
        assert found["rejected"] == {"EV001": 1, "EV004": 1, "EV090": 1}
        assert (found["shard"], found["size"]) == ("0", 16)  # policies, 6 events, 6 decisions, 3 rejections
        ((size, root, policy_set),) = place.rows("SELECT size, hex(root), policy_set FROM shard")
        assert (found["size"], found["root"], found["policy_set"]) == (size, root.lower(), policy_set)

    def test_people_read_the_same(self, place: Place) -> None:
        out = place.run(POLICYENGINE_LOG_LEVEL="error").out
        ((size, root),) = place.rows("SELECT size, hex(root) FROM shard")
        assert f"Size and root: {size}:{root.lower()}" in out
        assert "rejected with EV090" in out

    def test_it_goes_on_where_it_stopped(self, place: Place) -> None:
        place.file("events.jsonl", lines(booked()))
        assert place.run("--format", "json").json["counts"]["events"] == 1
        with place.events.open("ab") as stream:
            stream.write(lines(cancelled()))
        again = place.run("--format", "json").json
        assert (again["counts"], again["size"]) == ({"events": 1, "decisions": 1, "granted": 1}, 5)
        assert place.run("--format", "json").json["counts"] == {}

    def test_decisions_and_dead_letters_are_published_once_over_all_runs(self, place: Place) -> None:
        place.file("events.jsonl", STREAM[:300])
        for part in (STREAM[300:700], STREAM[700:], b""):
            place.run("--decisions", "d.jsonl", "--dead-letters", "x.jsonl", "--batch-size", 2)
            with place.events.open("ab") as stream:
                stream.write(part)
        whole = call("run", "--rules", place.rules, "--ledger", "sqlite:///other.db", "--events", place.file("all", STREAM),
                     "--decisions", "all-d.jsonl", "--dead-letters", "all-x.jsonl")  # fmt: skip
        assert whole.code == 0
        assert len(published(Path("all-d.jsonl"))) == 6
        assert [one["code"] for one in published(Path("all-x.jsonl"))] == ["EV004", "EV090", "EV001"]
        ids = [one["decision_id"] for one in published(Path("d.jsonl"))]
        assert len(ids) == len(set(ids))

    def test_at_the_end_of_the_input_the_world_reaches_whom_it_has_yet_to_reach(self, place: Place) -> None:
        """Two customers of Haifa, a crisis in Israel: two bonuses; the first phase is still to come."""
        people = [
            event("customer.registered", "2020-02-01T00:00:00Z", who, language="he", region="haifa")
            for who in "ab"
        ]
        crisis = event("crisis.declared", "2020-02-02T00:00:00Z", "k", crisis_id="k", region="IL")
        crisis["data"] |= {"kind": "war", "onset_from": "2020-03-01"}
        (place.rules / "limited.yaml").write_text(worlds.LIMITED, encoding="utf-8")
        place.events.write_bytes(lines(*people, crisis))
        found = place.run("--format", "json").json
        assert {name: found["counts"][name] for name in ("events", "internal", "reached", "granted")} == {
            "events": 3, "internal": 1, "reached": 2, "granted": 2,
        }  # fmt: skip
        assert found["pending"] == {"timers": 1, "jobs": 0, "customers": 0}
        shown = place.run("--live", "0").out  # years later by the clock: the phase begins
        assert "customers reached by the world" in shown
        assert place.rows("SELECT count(*) FROM entry WHERE kind = 'internal'") == [(3,)]
        assert call("verify", "--ledger", place.ledger).code == 0
        assert call("replay", "--ledger", place.ledger).code == 0

    def test_what_the_engine_fails_at_is_set_aside_and_an_events_line_may_come_again(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An event, the follow-up of another, and one of the two customers whom a crisis reaches."""
        follow_up = [{"at": "2020-04-01", "event": "booking.completed"}]
        place.policy(draft("travel/all-back", refund("booking.paid", follow_up=follow_up)), "back.v1.yaml")
        place.policy(worlds.LIMITED, "limited.v1.yaml")
        people = [
            event("customer.registered", "2020-02-01T00:00:00Z", who, language="he", region="haifa")
            for who in "ab"
        ]
        crisis = event("crisis.declared", "2020-04-03T00:00:00Z", "k", crisis_id="k", region="IL")
        crisis["data"] |= {"kind": "war", "onset_from": "2020-05-01"}
        bad = booked("bad", "2020-04-02T08:00:00Z")
        place.file("events.jsonl", lines(*people, booked(), cancelled(), bad, crisis))
        decide, reached = machine.decide, machine.decide_reached

        def failing(ruleset: Any, state: Any, world: Any, one: Any) -> Any:
            return 1 // (one.type != "booking.completed" and one.data.get("booking_id") != "bad") and decide(
                ruleset, state, world, one
            )

        with monkeypatch.context() as broken:
            broken.setattr(machine, "decide", failing)
            broken.setattr(
                machine, "decide_reached",
                lambda rules, state, *more: 1 // (state.customer != "a") and reached(rules, state, *more),
            )  # fmt: skip
            found = place.run("--format", "json", "--dead-letters", "x.jsonl", "--batch-size", 3)
        assert (found.code, found.json["rejected"]) == (0, {"EV095": 3})
        assert found.json["counts"]["reached"] == 2
        assert found.json["pending"] == {"timers": 1, "jobs": 0, "customers": 0}
        letters = published(Path("x.jsonl"))
        assert [one["source"] for one in letters] == ["test", "urn:policyengine", "urn:policyengine"]
        assert all("ZeroDivisionError" in one["reason"] for one in letters)
        sent = call("requeue", "--all", "--print", "--format", "json", "--ledger", place.ledger)
        assert (sent.code, sent.json["messages"]) == (0, [])
        assert "came from the file events.jsonl#" in sent.err
        listed = call("requeue", "--list", "--ledger", place.ledger).out.splitlines()
        assert [row.split()[2] for row in listed[:3]] == ["event:", "timer:", "customer:"]
        assert listed[3] == "Events to be sent again: 1. Timers and customers, for the staff: 2."
        with place.events.open("ab") as stream:
            stream.write(lines(bad))
        again = place.run("--format", "json").json
        assert (again["counts"]["events"], again["rejected"]) == (1, {})
        found = call("requeue", "--list", "--format", "json", "--ledger", place.ledger).json["waiting"]
        assert [(one["what"], one["type"], one["subject"]) for one in found] == [
            ("timer", "booking.completed", "c1"), ("customer", "crisis.declared", "a"),
        ]  # fmt: skip
        assert call("verify", "--ledger", place.ledger).code == 0
        assert call("replay", "--ledger", place.ledger).code == 0

    def test_standard_input_is_the_default(self, place: Place) -> None:
        result = call("run", "--rules", place.rules, "--format", "json", stdin=STREAM)
        assert result.json["counts"] == COUNTS
        assert (place.folder / "policyengine.db").exists()
        again = call("run", "--format", "json", "--events", "-", stdin=lines(booked("b1"), booked("b7")))
        assert again.json["counts"] == {"duplicates": 1, "events": 1, "decisions": 1, "none": 1}

    def test_a_pipe_is_read_once_as_standard_input_is(self, place: Place) -> None:
        os.mkfifo("pipe")
        writer = threading.Thread(target=lambda: Path("pipe").write_bytes(STREAM))
        writer.start()
        result = call(
            "run", "--rules", place.rules, "--events", "pipe", "--batch-size", 2, "--format", "json"
        )
        writer.join()
        assert result.json["counts"] == COUNTS

    def test_without_rules_those_in_force_stay_so(self, place: Place) -> None:
        call("publish", "--no-test", "--rules", place.policy(FULL, folder="full"), "--ledger", place.ledger)
        result = call("run", "--ledger", place.ledger, "--events", place.events, "--decisions", "d.jsonl")
        assert result.code == 0
        given = [
            one["remedies"][0]["amount"]["value"] for one in published(Path("d.jsonl")) if one["remedies"]
        ]
        assert given == ["100.00", "100.00", "33.33"]

    def test_shards_are_written_beside_each_other(self, place: Place) -> None:
        assert place.run("--shard", "north").code == place.run("--shard", "south").code == 0
        assert [row[0] for row in place.rows("SELECT shard FROM shard ORDER BY 1")] == ["north", "south"]

    def test_a_tenants_own_types_need_no_python(self, place: Place) -> None:
        description = {"description": "a word"}
        shape: dict[str, Any] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            **description,
        }
        locker = {
            **shape, "$id": "entities/locker", "title": "locker", "x-entity": "locker",
            "properties": {"fee": {"$ref": "money", **description}},
        }  # fmt: skip
        returned = {
            **shape, "$id": "events/locker.returned", "title": "locker.returned", "x-entity": "locker", "x-key": "locker_id",
            "properties": {"locker_id": {"type": "string", **description}, "fee": {"$ref": "money", **description}},
            "required": ["locker_id"], "additionalProperties": False,
        }  # fmt: skip
        for name, document in (("entities/locker", locker), ("events/locker.returned", returned)):
            path = place.folder / "mine" / f"{name}.json"
            path.parent.mkdir(parents=True)
            path.write_bytes(orjson.dumps(document))
        rules = place.policy(draft("gym/locker", refund("locker.fee", on="locker.returned")))
        happened = {
            **booked(), "type": "locker.returned", "data": {"locker_id": "7", "fee": {"amount": "9.90", "currency": "ILS"}},
        }  # fmt: skip
        events = place.file("lockers.jsonl", lines(happened))
        (decision,) = call("decide", "--rules", rules, "--schemas", "mine", "--events", events).json_lines
        assert decision["entity"] == {"type": "locker", "id": "7"}
        assert decision["remedies"][0]["amount"] == {"value": "9.90", "currency": "ILS"}
        assert call("check", rules).code == 1
        assert call("check", rules, POLICYENGINE_SCHEMAS=f"mine{os.pathsep}").code == 0
        ran = call("run", "--rules", rules, "--schemas", "mine", "--events", events, "--format", "json")
        assert ran.json["counts"]["granted"] == 1
        # what is in the ledger is enough from now on
        assert call("replay").out == "3 entries replayed: identical\n"


class TestWrongArguments:
    def test_a_new_ledger_needs_rules(self, place: Place) -> None:
        result = call("run", "--ledger", place.ledger, "--events", place.events)
        assert is_one_clear_line(result, 2, "PE900 shard 0 has no policy set yet; give --rules DIR")

    @pytest.mark.parametrize("command", ["decide", "publish"])
    @pytest.mark.usefixtures("place")
    def test_other_commands_say_how_to_give_them(self, command: str) -> None:
        assert is_one_clear_line(call(command), 2, "use --rules DIR or set POLICYENGINE_RULES")

    def test_events_that_are_not_there_leave_no_ledger_behind(self, place: Place) -> None:
        result = call("run", "--rules", place.rules, "--ledger", place.ledger, "--events", "none.jsonl")
        assert is_one_clear_line(result, 2, "cannot read events from none.jsonl: No such file or directory")
        assert not place.database.exists()

    def test_events_that_may_not_be_read(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        class Locked(type(Path())):  # type: ignore[misc]
            def open(self, *_: object, **__: object) -> None:
                raise PermissionError(13, "Permission denied")

        events = place.events
        monkeypatch.setattr("policyengine.cli.stream.Path", Locked)
        result = call("run", "--rules", place.rules, "--ledger", place.ledger, "--events", events)
        assert is_one_clear_line(result, 2, "events.jsonl: Permission denied")

    def test_a_folder_of_events(self, place: Place) -> None:
        result = call("decide", "--rules", place.rules, "--events", ".")
        assert is_one_clear_line(result, 2, "cannot read events from .: Is a directory")

    @pytest.mark.parametrize("content", [b"", lines(cancelled()) * 3])
    def test_a_file_that_was_replaced(self, place: Place, content: bytes) -> None:
        place.file("events.jsonl", lines(booked()))
        place.run()
        place.events.write_bytes(content)
        result = place.run()
        assert is_one_clear_line(
            result, 2, "events.jsonl is not the file that this ledger has read up to byte"
        )

    def test_a_file_of_decisions_that_was_replaced(self, place: Place) -> None:
        place.run("--decisions", "d.jsonl", POLICYENGINE_LOG_LEVEL="error")
        Path("d.jsonl").write_bytes(b"{}\n")
        result = place.run("--decisions", "d.jsonl")
        assert is_one_clear_line(result, 2, "d.jsonl does not hold the", "name the file of the earlier runs")
        assert Path("d.jsonl").read_bytes() == b"{}\n"

    def test_a_disk_that_is_full(self, place: Place) -> None:
        result = place.run("--dead-letters", "/dev/full", POLICYENGINE_LOG_LEVEL="error")
        assert is_one_clear_line(result, 2, "cannot write /dev/full: No space left on device")
        assert call("verify", "--ledger", place.ledger).code == 0

    def test_one_file_for_two_things(self, place: Place) -> None:
        result = place.run("--decisions", "x.jsonl", "--dead-letters", "x.jsonl")
        assert is_one_clear_line(result, 2, "x.jsonl is named twice")
        result = place.run("--decisions", place.events)
        assert is_one_clear_line(result, 2, "events.jsonl is named twice")
        assert place.events.read_bytes() == STREAM

    def test_a_shard_with_an_impossible_name(self, place: Place) -> None:
        assert is_one_clear_line(place.run("--shard", "a/b"), 2, "PE900 --shard: String should match pattern")

    def test_a_batch_of_none(self, place: Place) -> None:
        result = place.run("--batch-size", "0")
        assert result.code == 2
        assert "--batch-size" in result.err

    def test_an_unknown_option_and_an_unknown_command(self) -> None:
        assert call("run", "--rule", "x").code == 2
        assert call("ran").code == 2

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("sqlite:///none/ledger.db", "there is no folder none"),
            ("sqlite:///.", "is a folder; name a file in it"),
            ("sqlite:///events.jsonl", "PE705"),
            ("sqlite://", "a ledger in memory would be lost"),
            ("ledger.db", "write sqlite:///path/to/ledger.db"),
            ("mysql://x/y", "lives in sqlite or postgresql"),
        ],
    )
    def test_a_ledger_that_is_none(self, place: Place, url: str, text: str) -> None:
        result = call("run", "--rules", place.rules, "--ledger", url, "--events", place.events)
        assert is_one_clear_line(result, 2, text)

    def test_rules_that_are_none_or_wrong(self, place: Place) -> None:
        (place.folder / "empty").mkdir()
        wrong = place.policy("policy: [", folder="wrong")
        for folder, code, text in (
            (Path("none"), 2, "none does not exist"),
            (Path("empty"), 1, "PE004 the folder holds no policy"),
        ):
            result = call("run", "--rules", folder, "--ledger", place.ledger, "--events", place.events)
            assert is_one_clear_line(result, code, text)
        result = call("run", "--rules", wrong, "--ledger", place.ledger, "--events", place.events)
        assert (result.code, result.out) == (1, "")
        assert "policy.v1.yaml:1:" in result.err
        assert "PE001" in result.err
        assert not place.database.exists()

    def test_schemas_that_are_none_or_wrong(self, place: Place) -> None:
        assert is_one_clear_line(place.run("--schemas", "none"), 2, "`none` holds no schemas")
        (place.folder / "mine" / "events").mkdir(parents=True)
        (place.folder / "mine" / "events" / "x.json").write_text("{")
        assert is_one_clear_line(place.run("--schemas", "mine"), 1, "mine/events/x.json:1:", "PE001 not JSON")

    def test_a_writer_that_was_superseded(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """While this run reads, another takes the shard over."""
        batches = files.LineSource.batches

        def overtaken(self: files.LineSource, size: int) -> Any:
            for number, batch in enumerate(batches(self, size)):
                if number == 1:
                    monkeypatch.setattr(files.LineSource, "batches", batches)
                    assert place.run(POLICYENGINE_LOG_LEVEL="error").code == 0
                yield batch

        monkeypatch.setattr(files.LineSource, "batches", overtaken)
        result = place.run("--batch-size", 2, POLICYENGINE_LOG_LEVEL="error")
        assert is_one_clear_line(result, 2, "PE701 another writer took over shard `0`", "run again")
        assert call("verify", "--ledger", place.ledger).code == 0


class TestDecide:
    def test_decisions_are_lines_of_json_and_nothing_is_stored(self, place: Place) -> None:
        result = call(
            "decide", "--rules", place.rules, "--events", place.file("good", lines(booked(), cancelled()))
        )
        assert (result.code, result.err) == (0, "")
        _, decision = result.json_lines
        assert set(decision) >= {
            "decision_id", "event", "customer", "entity", "outcome", "remedies", "messages", "policy_set", "trace",
        }  # fmt: skip
        assert decision["event"] == {
            "source": "test",
            "id": cancelled()["id"],
            "type": "booking.cancelled",
            "time": cancelled()["time"],
        }
        assert (decision["customer"], decision["entity"]) == ("c1", {"type": "booking", "id": "b1"})
        (remedy,) = decision["remedies"]
        assert remedy["amount"] == {"value": "50.00", "currency": "ILS"}
        assert (remedy["kind"], remedy["policy"], remedy["version"], remedy["rule"]) == (
            "refund",
            "travel/half-back",
            1,
            "r",
        )
        assert not list(place.folder.glob("*.db"))

    def test_they_are_those_of_run(self, place: Place) -> None:
        place.run("--decisions", "d.jsonl")
        dry = call("decide", "--rules", place.rules, "--events", place.events)
        assert dry.out == Path("d.jsonl").read_text()

    def test_what_is_rejected_is_told_on_stderr_with_exit_code_1(self, place: Place) -> None:
        result = call("decide", "--rules", place.rules, stdin=STREAM)
        assert result.code == 1
        assert [line[:16] for line in result.err.splitlines()] == [
            "rejected: EV004 ",
            "rejected: EV090 ",
            "rejected: EV001 ",
        ]
        assert len(result.json_lines) == 6

    def test_an_event_from_the_future_is_refused_as_run_refuses_it(self, place: Place) -> None:
        events = place.file("future", lines(booked(), booked("b2", "2099-01-01T00:00:00Z"), cancelled()))
        result = call("decide", "--rules", place.rules, "--events", events)
        assert (result.code, len(result.json_lines)) == (1, 2)
        assert result.err.startswith("rejected: EV091 its time is more than 300 seconds ahead of the clock")
        jump = call("decide", "--rules", place.rules, "--events", events, POLICYENGINE_MAX_JUMP="7")
        # 1 February to 2 March 2020 are 30 days
        assert (len(jump.json_lines), jump.err.count("EV091")) == (1, 2)

    def test_people_read_it_as_a_person_would_say_it(self, place: Place) -> None:
        raw = lines(booked(), cancelled())
        out = call("decide", "--rules", place.rules, "--format", "human", stdin=raw).out
        assert "Outcome: granted" in out
        assert "• refund: " in out
        assert "amount 50.00 ILS" in out

    def test_data_comes_out_as_it_is(self, place: Place) -> None:
        """No markup, no emoji codes, no line breaks: what a policy says is what is read."""
        says = {"en": "[bold]sorry[/bold] :warning: " + "x" * 200}
        rules = place.policy(draft("a/b", refund("booking.paid", say=says)))
        (_, decision) = call("decide", "--rules", rules, stdin=lines(booked(), cancelled())).json_lines
        assert decision["messages"] == says
        out = call("decide", "--rules", rules, "--format", "human", stdin=lines(booked(), cancelled())).out
        assert says["en"] in out

    def test_shadow_stays_inside(self, place: Place) -> None:
        place.policy(draft("travel/trial", refund("booking.paid"), shadow=True), "trial.v1.yaml")
        place.policy(HALF)
        out = call("decide", "--rules", place.rules, stdin=lines(booked(), cancelled())).out
        assert "travel/half-back" in out
        assert "travel/trial" not in out


class TestPublish:
    def test_a_set_is_new_once(self, place: Place) -> None:
        arguments = (
            "publish",
            "--no-test",
            "--rules",
            place.rules,
            "--ledger",
            place.ledger,
            "--format",
            "json",
        )
        first, second = call(*arguments).json, call(*arguments).json
        assert (first["new"], second["new"]) == (True, False)
        assert {**first, "new": False} == second
        assert first["size"] == 1
        human = call(*arguments[:-2]).out
        assert f"Policy set {first['policy_set']} was in force already (1 policy version)" in human
        assert f"Size and root: 1:{first['root']}" in human
        assert call("verify", "--ledger", place.ledger, "--expect", f"1:{first['root']}").code == 0


class TestProcesses:
    def start(self, *arguments: object, **keys: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "policyengine.cli.main", *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keys)

    def test_standard_input_of_a_process(self, place: Place) -> None:
        with self.start("decide", "--rules", place.rules, stdin=subprocess.PIPE) as process:
            out, err = process.communicate(lines(booked(), cancelled()), timeout=240)
        assert (process.returncode, err) == (0, b"")
        assert orjson.loads(out.splitlines()[1])["outcome"] == "granted"

    def test_a_reader_that_has_seen_enough(self, place: Place) -> None:
        many = lines(*(booked(f"b{number}") for number in range(2_000)))
        with self.start("decide", "--rules", place.rules, "--events", place.file("many", many)) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(timeout=240) == 2

    def test_an_interruption_from_the_keyboard_leaves_what_was_committed(self, place: Place) -> None:
        command = (
            "run",
            "--rules",
            place.rules,
            "--ledger",
            place.ledger,
            "--batch-size",
            "1",
            "--decisions",
            "d",
        )
        with self.start(*command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(lines(booked()))
            process.stdin.flush()
            while not (place.folder / "d").exists() or not (place.folder / "d").stat().st_size:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert process.stderr.read() == b""
            assert process.wait(timeout=240) == 130
        assert call("verify", "--ledger", place.ledger).out.endswith("3 entries verified\n")
