"""`check`, `test`, `catalog`, `schema` and `config`, as a policy owner meets them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.cli.commands import Place, call, is_one_clear_line
from tests.service.runs import HALF
from tests.support import draft, refund

CASES = """
policy: travel/half-back
cases:
  - name: half comes back
    given:
      - booking.made: {at: 2020-02-01T10:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-05-01, price: 100 ILS, paid: 80 ILS}
      - booking.cancelled: {at: 2020-03-02T10:00:00Z, booking_id: b1, cancelled_because: crisis}
    expect:
      outcome: granted
      remedies: [{kind: refund, amount: %s}]
  - name: nothing happens
    given:
      - booking.made: {at: 2020-02-01T10:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-05-01, price: 100 ILS, paid: 80 ILS}
    expect: {outcome: none}
"""


class TestCheck:
    def test_sound_policies_have_a_digest(self, place: Place) -> None:
        result = call("check", place.rules)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("1 policy version, 1 rule: nothing wrong\nPolicy set ")
        as_json = call("check", place.rules, "--format", "json").json
        assert (as_json["findings"], as_json["policies"]) == ([], 1)
        assert as_json["policy_set"] in result.out

    def test_everything_is_told_at_once_with_its_place(self, place: Place) -> None:
        place.policy(draft("a/one", refund("booking.payd")), "one.v1.yaml")
        place.policy(draft("a/two", refund("booking.paid + 1")), "two.v1.yaml")
        place.policy("policy: [", "three.v1.yaml")
        result = call("check", place.folder / "rules")
        assert (result.code, result.err) == (1, "")
        *findings, total = result.out.splitlines()
        assert len(findings) >= 3
        assert total == f"{len(findings)} errors found"
        for text in (
            "one.v1.yaml:1:",
            "PE031 unknown attribute `booking.payd`",
            "two.v1.yaml:1:",
            "PE032",
            "three.v1.yaml:1:",
        ):
            assert text in result.out
        as_json = call("check", place.folder / "rules", "--format", "json")
        assert as_json.code == 1
        (payd,) = (one for one in as_json.json["findings"] if one["code"] == "PE031")
        assert set(payd) == {"file", "line", "column", "code", "message", "hint", "severity"}
        assert payd["hint"] == "did you mean `booking.paid`?"

    def test_faulty_schemas_are_findings_too(self, place: Place) -> None:
        (place.folder / "mine" / "events").mkdir(parents=True)
        (place.folder / "mine" / "events" / "x.json").write_text("{}")
        human = call("check", place.rules, "--schemas", "mine")
        assert (human.code, human.err) == (1, "")
        assert "mine/events/x.json:1:1: PE01" in human.out
        as_json = call("check", place.rules, "--schemas", "mine", "--format", "json")
        assert as_json.code == 1
        assert as_json.json["findings"][0]["file"] == "mine/events/x.json"

    def test_a_folder_that_is_none(self, place: Place) -> None:
        assert is_one_clear_line(call("check", "none"), 2, "PE900 none does not exist")
        assert is_one_clear_line(call("check", place.file("file.txt", b"")), 2, "is no policy file")
        assert is_one_clear_line(call("check"), 2, "nothing to check")


class TestCases:
    @pytest.fixture
    def rules(self, place: Place) -> Path:
        place.policy(HALF)
        return place.policy(CASES % "40 ILS", "policy.cases.yaml")  # half of 80

    def test_cases_that_hold(self, rules: Path) -> None:
        result = call("test", rules)
        assert (result.code, result.err) == (0, "")
        assert call("test", rules, "--format", "json").code == 0
        assert call("test", rules, "--only", "half").code == 0

    def test_a_case_that_does_not_hold_shows_expected_got_and_the_trace(
        self, place: Place, rules: Path
    ) -> None:
        place.policy(CASES % "50 ILS", "policy.cases.yaml")
        result = call("test", rules)
        assert result.code == 1
        for text in ("policy.cases.yaml:4:", "FAILED half comes back", "50", "40.00 ILS", "rule r applied"):
            assert text in result.out
        assert orjson.loads(call("test", rules, "--format", "json").out)
        assert call("test", rules, "--only", "nothing").code == 0

    def test_none_at_all_is_a_finding(self, place: Place) -> None:
        assert call("test", place.rules).code == 1

    def test_faulty_policies_are_findings(self, place: Place) -> None:
        rules = place.policy(draft("travel/half-back", refund("booking.payd")))
        place.policy(CASES % "40 ILS", "policy.cases.yaml")
        assert is_one_clear_line(call("test", rules), 1, "PE031 unknown attribute `booking.payd`")
        as_json = call("test", rules, "--format", "json")
        assert (as_json.code, as_json.json["findings"][0]["code"]) == (1, "PE031")


class TestCatalog:
    def test_it_shows_types_and_meanings(self) -> None:
        result = call("catalog", "booking.made")
        assert (result.code, result.err) == (0, "")
        for text in ("event.booking_id", "(required)", "hotel | package", "event booking.made"):
            assert text in result.out
        assert "booking.paid" in call("catalog", "booking").out

    def test_programs_get_the_schemas(self) -> None:
        whole = call("catalog", "--format", "json").json
        assert {"events/booking.made", "entities/booking"} <= set(whole)
        assert set(call("catalog", "booking.made", "--format", "json").json) == {"events/booking.made"}

    @pytest.mark.parametrize("form", ["human", "json"])
    def test_an_unknown_type(self, form: str) -> None:
        result = call("catalog", "booking.mad", "--format", form)
        assert is_one_clear_line(
            result, 2, "no event or entity type `booking.mad`; did you mean `booking.made`?"
        )


class TestSchema:
    def test_what_is_exported_is_fresh(self, place: Place) -> None:
        arguments = ("schema", "export", "--out", "made", "--format", "json")
        written = call(*arguments).json["written"]
        assert "made/policy.schema.json" in written
        assert call(*arguments, "--check").json == {"stale": []}
        assert call(*arguments[:-2], "--check").out == "schemas are fresh\n"
        (place.folder / "made" / "policy.schema.json").write_text("{}")
        stale = call(*arguments, "--check")
        assert (stale.code, stale.json) == (1, {"stale": ["made/policy.schema.json"]})
        assert "stale: made/policy.schema.json; run" in call(*arguments[:-2], "--check").out
        assert "written: made/policy.schema.json" in call(*arguments[:-2]).out


class TestDemo:
    def test_it_tells_a_year_and_leaves_its_files(self, place: Place) -> None:
        result = call("demo", "--customers", 3, "--out", "d")
        assert result.code == 0
        for text in (
            "A year of a crisis",
            "What was declared",
            "Reached without asking",
            "What came by itself, with time",
            "Offers",
            "Who got what",
            "Money by currency",
            "Refused, each for a reason",
            "Try next:",
        ):
            assert text in result.out
        again = call("demo", "--customers", 3, "--out", "d", "--format", "json").json
        assert again["verified"] is True
        assert Path("d/events.jsonl").exists()
        root = again["roots"]["0"]
        noted = f"{root['size']}:{root['root']}"
        assert call("verify", "--ledger", "sqlite:///d/ledger.db", "--expect", noted).code == 0
        assert is_one_clear_line(call("demo", "--out", place.file("file", b"")), 2, "cannot write to")
