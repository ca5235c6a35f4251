"""`verify`, `replay` and `explain`, as an auditor meets them, on a ledger that somebody has touched."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.cli.commands import Place, Result, call, is_one_clear_line
from tests.service.runs import FULL, HALF
from tests.support import draft, refund


def verify(place: Place, *more: str) -> Result:
    return call("verify", "--ledger", place.ledger, *more)


def noted(place: Place) -> str:
    ((size, root),) = place.rows("SELECT size, lower(hex(root)) FROM shard")
    return f"{size}:{root}"


def decision_of(place: Place, booking: str) -> str:
    rows = place.rows("SELECT ref, CAST(body AS TEXT) FROM entry WHERE kind = 'decision' ORDER BY seq DESC")
    found = next(ref for ref, body in rows if f'"id":"{booking}"' in body)
    return str(found)


class TestVerify:
    def test_what_it_prints_can_be_expected_next_time(self, decided: Place) -> None:
        result = verify(decided)
        assert (result.code, result.err) == (0, "")
        assert result.out == f"shard 0: size and root {noted(decided)}\n16 entries verified\n"
        assert verify(decided, "--expect", noted(decided)).code == 0
        assert verify(decided, "--expect", f"0:{noted(decided)}").code == 0

    def test_an_earlier_note_holds_when_the_ledger_has_grown(self, decided: Place) -> None:
        before = noted(decided)
        decided.policy(FULL)
        call("publish", "--no-test", "--rules", decided.rules, "--ledger", decided.ledger)
        assert noted(decided) != before
        assert verify(decided, "--expect", before).code == 0

    def test_programs_read_the_same(self, decided: Place) -> None:
        size, root = noted(decided).split(":")
        assert verify(decided, "--format", "json").json == {
            "verified": True, "faults": [], "roots": {"0": {"size": int(size), "root": root}},
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            (
                "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '50.00', '90.00') AS BLOB) WHERE seq = 6",
                "PE801 shard `0`, sequence 6, entry.salt or body",
            ),
            ("UPDATE entry SET customer = 'c2' WHERE seq = 6", "sequence 6, entry.customer: is `c2`, the body gives `c1`"),
            ("UPDATE entry SET kind = 'event' WHERE seq = 7", "sequence 7, entry.kind"),
            ("DELETE FROM entry WHERE seq = 7", "PE802 shard `0`, sequence 7, entry: 1 removed, or renumbered"),
            ("DELETE FROM entry WHERE seq > 13", "PE802 shard `0`, sequences 14 to 15, entry: 2 removed"),
            (
                "INSERT INTO entry SELECT shard, 16, kind, header, leaf, salt, body, ref, customer FROM entry WHERE seq = 15",
                "PE803 shard `0`, sequences 16 to 16, entry: the head counts 16 entries: these were added",
            ),
            ("UPDATE root SET root = zeroblob(32) WHERE batch = 3", "PE804 shard `0`, batch 3, root.root: is 00000000"),
            ("UPDATE shard SET root = zeroblob(32)", "PE806 shard `0`, its head, shard.root"),
            ("UPDATE shard SET root = 'x'", "shard.root: holds a value of another type"),
            ("UPDATE shard SET counters = x''", "PE806 shard `0`, its head, shard."),
            ("UPDATE shard SET epoch = epoch + 1", "PE806 shard `0`, its head, shard."),
            ("UPDATE checkpoint SET offset = 1", "PE806 shard `0`, input `"),
            ("DELETE FROM seen WHERE seq = 1", "PE806 shard `0`, event of sequence 1, seen"),
            ("DELETE FROM state WHERE part = 'booking/b1'", "PE807 shard `0`, customer `c1`, part `booking/b1`, state: is missing"),
            ("UPDATE entry SET seq = 'x' WHERE seq = 15", "entry.seq: holds a value of another type"),
            ("UPDATE shard SET shard = CAST(x'ff' AS TEXT)", "PE801 shard `\\udcff`"),
        ],
    )  # fmt: skip
    def test_whatever_was_touched_is_named(self, decided: Place, sql: str, said: str) -> None:
        decided.sql(sql)
        result = verify(decided)
        assert (result.code, result.err) == (3, "")
        assert said in result.out
        assert "DOES NOT VERIFY" in result.out
        as_json = verify(decided, "--format", "json")
        assert (as_json.code, as_json.json["verified"]) == (3, False)
        assert as_json.json["faults"]

    def test_swapped_entries_are_both_named(self, decided: Place) -> None:
        decided.sql(
            "UPDATE entry SET seq = -1 WHERE seq = 6",
            "UPDATE entry SET seq = 6 WHERE seq = 11",
            "UPDATE entry SET seq = 11 WHERE seq = -1",
        )
        out = verify(decided).out
        assert "sequence 6, entry.seq: its header was written for sequence 11" in out
        assert "sequence 11, entry.seq: its header was written for sequence 6" in out

    def test_a_forged_body_needs_more_than_its_own_row(self, decided: Place) -> None:
        """With commitment and leaf made to fit, the root is what does not."""
        import hmac
        import sqlite3

        with sqlite3.connect(decided.database) as database:
            query = "SELECT header, salt, body FROM entry WHERE seq = 6"
            header, salt, body = database.execute(query).fetchone()
            forged = body.replace(b"50.00", b"90.00")
            old, new = (hmac.digest(salt, text, "sha256").hex().encode() for text in (body, forged))
            header = header.replace(old, new)
            leaf = hashlib.sha256(b"\x00" + header).digest()
            database.execute(
                "UPDATE entry SET header = ?, leaf = ?, body = ? WHERE seq = 6", (header, leaf, forged)
            )
        database.close()
        result = verify(decided)
        assert result.code == 3
        assert "PE804 shard `0`, batch " in result.out
        assert "or the root is forged" in result.out

    def test_a_tail_cut_off_with_care_is_found_by_what_was_noted(self, decided: Place) -> None:
        """Back to the first batch with all its bookkeeping: what a restored old copy looks like."""
        before = noted(decided)
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            (decided.folder / name).unlink(missing_ok=True)
        first = decided.file("first.jsonl", decided.events.read_bytes().split(b"\n")[0] + b"\n")
        call("run", "--rules", decided.rules, "--ledger", decided.ledger, "--events", first)
        assert verify(decided).code == 0
        result = verify(decided, "--expect", before)
        assert result.code == 3
        assert "PE805 shard `0`, sequences 3 to 15, entry: 16 entries were noted, 3 are there" in result.out

    def test_a_history_that_was_rewritten_is_found_by_what_was_noted(self, decided: Place) -> None:
        before = noted(decided)
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            (decided.folder / name).unlink(missing_ok=True)
        decided.policy(FULL)
        decided.run()
        result = verify(decided, "--expect", before)
        assert (result.code, "PE805 shard `0`, the tree of 16 entries" in result.out) == (3, True)
        assert "history was rewritten" in result.out

    def test_a_ledger_that_was_emptied_is_found_by_what_was_noted(self, decided: Place) -> None:
        before = noted(decided)
        tables = ("entry", "root", "seen", "state", "checkpoint", "shard")
        decided.sql(*("DELETE FROM " + table for table in tables))  # noqa: S608
        assert verify(decided).code == 0
        result = verify(decided, "--expect", before)
        assert result.code == 3
        assert "PE805 shard `0`, its head, shard: was noted with 16 entries and is not there" in result.out

    def test_a_database_that_cannot_be_read_to_its_end_does_not_verify(self, decided: Place) -> None:
        raw = bytearray(decided.database.read_bytes())
        raw[8192:-8192] = bytes(len(raw) - 2 * 8192)
        decided.database.write_bytes(raw)
        result = verify(decided)
        assert result.code == 3
        assert "PE708" in result.out
        assert "DOES NOT VERIFY" in result.out
        assert verify(decided, "--format", "json").json["faults"][0]["code"] == "PE708"

    @pytest.mark.parametrize("text", ["16", "16:", "x:00", "16:zz", "16:" + "0" * 62, "-1:" + "0" * 64])
    def test_a_wrong_expectation_is_a_wrong_argument(self, decided: Place, text: str) -> None:
        result = verify(decided, f"--expect={text}")
        assert is_one_clear_line(result, 2, f"`{text}` is not SIZE:ROOT, as `run` and `verify` print it")

    def test_with_several_shards_the_expectation_names_one(self, decided: Place) -> None:
        decided.run("--shard", "north")
        root = "0" * 64
        assert is_one_clear_line(
            verify(decided, "--expect", f"1:{root}"), 2, "the shards 0, north; write SHARD:SIZE:ROOT"
        )
        assert verify(decided, "--expect", f"north:1:{root}").code == 3

    @pytest.mark.parametrize("command", [("verify",), ("replay",), ("explain", "d-1")])
    def test_a_ledger_that_is_not_there_is_not_made(self, place: Place, command: tuple[str, ...]) -> None:
        result = call(*command, "--ledger", place.ledger)
        assert is_one_clear_line(result, 2, "there is no ledger", "`policyengine run` makes one")
        assert not place.database.exists()
        Path("text.db").write_text("not a database, but long enough to be looked at " * 40)
        assert is_one_clear_line(
            call(*command, "--ledger", "sqlite:///text.db"), 2, "PE705", "is no database"
        )
        assert is_one_clear_line(call(*command, "--ledger", "sqlite:///."), 2, "is a folder")


class TestReplay:
    def test_an_honest_ledger_is_replayed_identically(self, decided: Place) -> None:
        result = call("replay", "--ledger", decided.ledger)
        assert (result.code, result.out, result.err) == (0, "16 entries replayed: identical\n", "")
        assert call("replay", "--ledger", decided.ledger, "--format", "json").json == {
            "entries": 16,
            "differences": [],
        }

    def test_a_difference_is_shown_entry_by_entry(self, decided: Place) -> None:
        decided.sql(
            "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '50.00', '90.00') AS BLOB) WHERE seq = 6"
        )
        result = call("replay", "--ledger", decided.ledger)
        assert result.code == 1
        assert result.out == (
            "shard 0, entry 6: decision comes out otherwise\n"
            '    remedies[0].amount.value: recorded "90.00", replayed "50.00"\n'
            "1 of 16 entries differ\n"
        )
        as_json = call("replay", "--ledger", decided.ledger, "--format", "json")
        assert as_json.code == 1
        (one,) = as_json.json["differences"]
        assert (one["shard"], one["seq"], one["what"]) == ("0", 6, "decision")
        assert one["recorded"]["remedies"][0]["amount"]["value"] == "90.00"
        assert one["replayed"]["remedies"][0]["amount"]["value"] == "50.00"

    @pytest.mark.parametrize(
        ("sql", "text"),
        [
            ("UPDATE entry SET body = CAST('{' AS BLOB) WHERE seq = 5", "PE708 the body of entry 5"),
            ("UPDATE entry SET header = CAST('{' AS BLOB) WHERE seq = 5", "PE708 the header of entry 5"),
            ("DELETE FROM entry WHERE seq = 0", "PE712 the ledger names policy set"),
            ("UPDATE shard SET root = 'x'", "PE708 a row of table `shard` of shard `0` was changed"),
            ("UPDATE shard SET counters = x''", "PE708 a row of table `shard` of shard `0` was changed"),
        ],
    )
    def test_a_ledger_that_cannot_be_replayed_is_sent_to_verify(
        self, decided: Place, sql: str, text: str
    ) -> None:
        decided.sql(sql)
        assert is_one_clear_line(call("replay", "--ledger", decided.ledger), 2, text, "verify`")

    @pytest.mark.parametrize(("seq", "what"), [(5, "event"), (6, "decision"), (7, "rejection")])
    def test_a_body_that_says_nothing_any_more_is_a_difference(
        self, decided: Place, seq: int, what: str
    ) -> None:
        decided.sql(f"UPDATE entry SET body = CAST('{{}}' AS BLOB) WHERE seq = {seq:d}")  # noqa: S608
        result = call("replay", "--ledger", decided.ledger)
        assert result.code == 1
        assert f"shard 0, entry {seq}: {what} comes out otherwise" in result.out

    def test_a_decision_that_is_no_json_any_more_is_shown_as_it_is(self, decided: Place) -> None:
        decided.sql("UPDATE entry SET body = x'7bff' WHERE seq = 6")
        result = call("replay", "--ledger", decided.ledger)
        assert result.code == 1
        assert 'whole: recorded "{\\\\xff", replayed {"customer":"c1"' in result.out

    def test_a_difference_names_the_engine_and_libraries_that_recorded_it_where_these_are_others(
        self, decided: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decided.sql("UPDATE entry SET body = x'7bff' WHERE seq = 6")
        assert call("replay", "--ledger", decided.ledger).err == ""
        monkeypatch.setattr("policyengine.cli.audit.engine_version", lambda: "9.9")
        told = call("replay", "--ledger", decided.ledger).err
        assert re.fullmatch(
            r"recorded by 0\.1\.0 babel/\S+ holidays/\S+ tzdata/\S+, replayed by 9\.9: that may be the cause\n",
            told,
        )

    def test_other_policies_are_compared_with_what_was_decided(self, decided: Place) -> None:
        other = decided.policy(FULL, folder="other")
        result = call("replay", "--ledger", decided.ledger, "--rules", other)
        assert (result.code, result.err) == (0, "")
        assert "shard 0: 3 of 6 decisions on 6 events would have changed, for 1 customers" in result.out
        # 50 + 50 + 16.67 were granted; 100 + 100 + 33.33 would be
        row = next(line for line in result.out.splitlines() if "half-back" in line)
        assert re.split(" {2,}", row.strip()) == [
            "travel/half-back",
            "116.67 ILS",
            "233.33 ILS",
            "116.66 ILS",
        ]
        as_json = call("replay", "--ledger", decided.ledger, "--rules", other, "--format", "json").json
        (shard,) = as_json["shards"]
        assert (shard["events"], shard["decisions"], shard["changed"], shard["customers"]) == (6, 6, 3, 1)
        assert shard["money"] == [
            {"policy": "travel/half-back", "currency": "ILS", "recorded": "116.67", "replayed": "233.33"},
        ]  # fmt: skip
        assert shard["examples"][0]["replayed"]["remedies"][0]["amount"]["value"] == "100.00"

    def test_a_caps_state_is_part_of_it(self, decided: Place) -> None:
        cap = {"count": 1, "per": "customer"}
        once = draft("travel/half-back", refund("percent(booking.paid, 50)"), cap=cap)
        other = decided.policy(once, folder="other")
        (shard,) = call("replay", "--ledger", decided.ledger, "--rules", other, "--format", "json").json[
            "shards"
        ]
        assert shard["money"][0]["replayed"] == "50.00"  # the first of three

    def test_faulty_rules_are_findings(self, decided: Place) -> None:
        other = decided.policy(draft("a/b", refund("booking.payd")), folder="other")
        result = call("replay", "--ledger", decided.ledger, "--rules", other)
        assert is_one_clear_line(
            result, 1, "PE031 unknown attribute `booking.payd`; did you mean `booking.paid`?"
        )


class TestExplain:
    def test_it_is_told_as_a_person_would_say_it(self, decided: Place) -> None:
        key = decision_of(decided, "b1")
        result = call("explain", key, "--ledger", decided.ledger)
        assert (result.code, result.err) == (0, "")
        for text in (
            f"Decision {key}",
            "Customer c1, booking b1",
            "Outcome: granted",
            "50.00 ILS",
            "Entry 6 of shard 0",
        ):
            assert text in result.out

    def test_why_not_is_worked_out_on_demand(self, place: Place) -> None:
        place.policy(HALF)
        when = ["booking.paid > money('1000 ILS')"]
        place.policy(draft("travel/rich", refund("booking.paid", when=when)), "rich.v1.yaml")
        place.policy(draft("loyalty/other", refund("booking.paid", on="booking.paid")), "other.v1.yaml")
        place.run()
        key = decision_of(place, "b1")
        why_not = call("explain", key, "--ledger", place.ledger).out.split("Why not:")[1]
        assert "travel/rich v1, rule r did not apply" in why_not
        assert "✗ booking.paid > money('1000 ILS')   (booking.paid = 100.00 ILS)" in why_not
        assert "loyalty/other" not in why_not
        assert "loyalty/other" in call("explain", key, "--ledger", place.ledger, "--all").out
        as_json = call("explain", key, "--ledger", place.ledger, "--all", "--format", "json").json
        assert {rule["policy"]: rule["verdict"] for rule in as_json["why_not"]} == {
            "travel/rich": "condition", "loyalty/other": "event",
        }  # fmt: skip
        assert (as_json["seq"], as_json["shard"], as_json["decision"]["decision_id"]) == (6, "0", key)

    def test_a_decision_whose_body_was_changed(self, decided: Place) -> None:
        key = decision_of(decided, "b1")
        decided.sql("UPDATE entry SET body = CAST('{}' AS BLOB) WHERE seq = 6")
        assert is_one_clear_line(call("explain", key, "--ledger", decided.ledger), 2, "PE708", "run `verify`")

    def test_a_decision_that_there_is_not(self, decided: Place) -> None:
        result = call("explain", "d-0", "--ledger", decided.ledger)
        assert is_one_clear_line(result, 2, "PE900 the ledger has no decision `d-0`")
