"""`publish`, `approve`, `withdraw`, `rollback` and `keys`, as those who use them see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Place, Result, call, is_one_clear_line
from tests.service.runs import FULL, HALF

CASES = """
policy: travel/half-back
cases:
  - name: nothing else
    given:
      - membership.ended: {at: 2020-04-01T00:00:00Z, membership_id: m1}
    expect: {outcome: OUTCOME}
"""


@pytest.fixture
def desk(place: Place) -> Place:
    """Two folders of policies that pass their cases, and a ledger to publish to."""
    for folder, text in (("rules", HALF), ("full", FULL)):
        place.policy(text, folder=folder)
        (place.folder / folder / "policy.cases.yaml").write_text(CASES.replace("OUTCOME", "none"))
    return place


@pytest.fixture
def team(desk: Place) -> Place:
    """The same, where Dana and Noa must both approve."""
    for name in ("dana", "noa"):
        assert call("keys", "new", f"{name}.key", "--no-passphrase").code == 0
    said = call("keys", "trust", "dana=dana.key.pub", "noa=noa.key.pub", "--ledger", desk.ledger)
    assert said.out.startswith("The roster is in force\n"), said
    return desk


def on(place: Place, *words: object, **variables: str) -> Result:
    return call(*words, "--ledger", place.ledger, **{"POLICYENGINE_LOG_LEVEL": "error", **variables})


def digest_of(folder: str) -> str:
    return str(call("check", folder, "--format", "json").json["policy_set"])


class TestPublish:
    def test_what_fails_its_cases_is_not_published(self, desk: Place) -> None:
        (desk.folder / "rules" / "policy.cases.yaml").write_text(CASES.replace("OUTCOME", "granted"))
        said = on(desk, "publish", "--rules", "rules")
        assert (said.code, said.err) == (1, "not published: its cases do not pass\n")
        assert "FAILED nothing else" in said.out
        assert desk.rows("SELECT * FROM entry") == []

    def test_nor_what_has_no_cases(self, desk: Place) -> None:
        (desk.folder / "rules" / "policy.cases.yaml").unlink()
        said = on(desk, "publish", "--rules", "rules", "--format", "json")
        assert (said.code, said.json["published"]) == (1, False)
        assert on(desk, "publish", "--rules", "rules", "--no-test").code == 0

    def test_nor_what_check_refuses(self, desk: Place) -> None:
        desk.policy(HALF.replace("booking.paid", "booking.payd"))
        said = on(desk, "publish", "--rules", "rules")
        assert said.code == 1
        assert "PE031" in said.err

    def test_a_key_is_not_taken_in_silence_where_nobody_approves(self, desk: Place) -> None:
        result = call("publish", "--rules", desk.rules, "--ledger", desk.ledger, "--key", "dana.key")
        assert is_one_clear_line(result, 2, "nobody has to approve in this ledger", "keys trust")
        assert desk.rows("SELECT count(*) FROM entry") == [(0,)]

    def test_an_instant_is_written_with_its_zone(self, desk: Place) -> None:
        for at, says in (("tomorrow", "is no instant"), ("2026-12-01T00:00:00", "has no zone")):
            said = on(desk, "publish", "--rules", "rules", "--at", at)
            assert is_one_clear_line(said, 2, "PE900", says)
        said = on(desk, "publish", "--rules", "rules", "--at", "2020-12-01T00:00:00Z")
        assert is_one_clear_line(said, 2, "PE736", "is over")


class TestApprove:
    def test_two_people_publish_and_an_auditor_finds_it_in_order(self, team: Place) -> None:
        staged = on(team, "publish", "--rules", "rules", "--key", "dana.key")
        assert "not in force\nApproved by dana\nIt waits for another person: noa\n" in staged.out
        assert "approved by dana, 2 needed" in on(team, "approve").out
        assert is_one_clear_line(on(team, "run", "--events", team.events), 2, "no policy set is in force")
        said = on(team, "approve", "--rules", "rules", "--key", "noa.key")
        assert said.out.startswith(f"Policy set {digest_of('rules')} is in force\nApproved by dana, noa\n")
        assert on(team, "approve").out == "nothing waits for approval\n"
        assert on(team, "run", "--events", team.events).code == 0
        assert on(team, "verify").code == 0
        assert on(team, "replay").code == 0

    def test_a_run_takes_no_rules_that_nobody_approved(self, team: Place) -> None:
        on(team, "publish", "--rules", "rules", "--key", "dana.key")
        on(team, "approve", digest_of("rules"), "--key", "noa.key")
        said = on(team, "run", "--rules", "full", "--events", team.events)
        assert is_one_clear_line(said, 2, "PE730", digest_of("full"))
        assert on(team, "run", "--rules", "rules", "--events", team.events).code == 0

    def test_what_people_approve_is_tested_and_for_every_shard(self, team: Place) -> None:
        said = on(team, "publish", "--rules", "rules", "--key", "dana.key", "--no-test")
        assert is_one_clear_line(said, 2, "PE730", "no --no-test")
        said = on(team, "publish", "--rules", "rules", "--key", "dana.key", "--shard", "7")
        assert is_one_clear_line(said, 2, "PE900", "no --shard")

    def test_what_will_not_do_is_told_in_a_line(self, team: Place, tmp_path: Path) -> None:
        on(team, "publish", "--rules", "rules", "--key", "dana.key")
        mine = digest_of("rules")
        call("keys", "new", "eve.key", "--no-passphrase")
        (tmp_path / "bad.key").write_text("-----BEGIN PRIVATE KEY-----\n")
        (tmp_path / "bad.key").chmod(0o600)
        wrong = {
            ("approve", mine): "PE900 an approval is signed",
            ("approve", mine, "--key", "dana.key"): "PE732 dana has approved it already",
            ("approve", mine, "--key", "eve.key"): "PE731 this key is on no roster",
            ("approve", mine, "--key", "bad.key"): "PE734",
            ("approve", mine, "--key", "none.key"): "PE734",
            ("approve", "1234567", "--key", "noa.key"): "PE733 `1234567` is nothing that waits",
            ("approve", mine, "--rules", "rules"): "PE900 give a digest, or --rules DIR",
            ("approve", "--rules", "full", "--key", "noa.key"): "PE733",
            ("withdraw", "9", "--key", "noa.key"): "PE733",
            ("withdraw", mine): "PE731 who says so?",
            ("rollback", "--key", "noa.key"): "PE900 say how far",
            ("rollback", "--steps", "1", "--key", "noa.key"): "PE733 nothing was published here yet",
            ("keys", "trust"): "PE900 say whom",
            ("keys", "trust", "eve"): "PE900 `eve` is not NAME=FILE.pub",
            ("keys", "trust", "eve=eve.key"): "PE734",
            ("keys", "trust", "--remove", "eve"): "PE735 there is no eve",
            ("keys", "trust", "--remove", "noa"): "PE735 2 approvals of 1 people",
        }
        for words, says in wrong.items():
            assert is_one_clear_line(on(team, *words), 2, says), words
        assert is_one_clear_line(
            call("approve", mine, "--key", "noa.key", "--ledger", "sqlite:///none.db"),
            2,
            "there is no ledger",
        )

    def test_a_proposal_is_withdrawn(self, team: Place) -> None:
        on(team, "publish", "--rules", "rules", "--key", "dana.key")
        assert "is withdrawn" in on(team, "withdraw", digest_of("rules"), "--key", "noa.key").out
        assert on(team, "verify").code == 0


class TestRollback:
    def test_a_bare_ledger_goes_back_to_what_it_holds(self, desk: Place) -> None:
        for folder in ("rules", "full"):
            on(desk, "publish", "--rules", folder)
        said = on(desk, "rollback", "--steps", "1", "--format", "json").json
        assert (said["policy_set"], said["new"]) == (digest_of("rules"), True)
        assert on(desk, "rollback", "--to", digest_of("full")[:10]).code == 0
        assert is_one_clear_line(on(desk, "rollback", "--to", "123456"), 2, "PE733", "no policy set")
        assert is_one_clear_line(on(desk, "rollback", "--steps", "9"), 2, "PE733", "9 steps back")
        assert on(desk, "verify").code == 0

    def test_one_person_goes_back_to_what_two_approved(self, team: Place) -> None:
        for folder in ("rules", "full"):
            on(team, "publish", "--rules", folder, "--key", "dana.key")
            on(team, "approve", digest_of(folder), "--key", "noa.key")
        said = on(team, "rollback", "--steps", "1", "--key", "noa.key")
        assert said.out.startswith(f"Policy set {digest_of('rules')} is in force\nApproved by noa\n")


class TestTrials:
    def test_a_candidate_is_tried_in_shadow_and_compared(self, desk: Place) -> None:
        on(desk, "publish", "--rules", "rules")
        assert on(desk, "publish", "--shadow", "full").code == 0
        assert (
            on(desk, "shadow-report").out == "nothing was on trial in any decision: see `publish --shadow`\n"
        )
        on(desk, "run", "--events", desk.events)
        report = on(desk, "shadow-report", "--format", "json").json
        (line,) = report["lines"]
        # 50, 50 and 16.67 of 100, 100 and 33.33 that were paid
        assert (line["live"], line["tried"], line["more"], line["less"]) == ("116.67", "233.33", 1, 0)
        assert report["decisions"] == [{"policy": "travel/half-back", "version": 2, "decisions": 3}]
        assert [one["difference"] for one in report["examples"]] == ["50.00", "50.00", "16.66"]
        assert "+116.66" in on(desk, "shadow-report").out
        assert on(desk, "verify").code == 0
        assert on(desk, "replay").code == 0

    def test_a_canary_is_widened_and_called_off(self, desk: Place) -> None:
        on(desk, "publish", "--rules", "rules")
        assert on(desk, "publish", "--canary", "10", "full").code == 0
        assert on(desk, "publish", "--canary", "50", "full").code == 0
        assert on(desk, "rollback", "--to", digest_of("rules")).code == 0

    def test_what_cannot_be_tried_is_told(self, desk: Place) -> None:
        assert is_one_clear_line(on(desk, "publish", "--shadow", "full"), 2, "nothing is in force yet")
        on(desk, "publish", "--rules", "rules")
        wrong = {
            ("--shadow",): "name the folder",
            ("full",): "give --rules full to publish it",
            ("--shadow", "--canary", "10", "full"): "give one of them",
            ("--shadow", "rules"): "PE737 the candidate has no version",
        }
        for words, says in wrong.items():
            assert is_one_clear_line(on(desk, "publish", *words), 2, says)


class TestScheduled:
    def test_a_run_takes_up_what_its_shard_is_to_have_and_goes_back_by_hand(self, desk: Place) -> None:
        on(desk, "publish", "--rules", "rules")
        said = on(desk, "publish", "--rules", "full", "--at", "2999-12-01T00:00:00Z")
        assert "takes effect at 2999-12-01T00:00:00Z (proposal 1)" in said.out
        assert on(desk, "run", "--events", desk.events).code == 0
        said = on(desk, "run", "--rules", "full", "--events", desk.events)
        assert is_one_clear_line(said, 2, "PE730", "sets are published for it")
        assert "is withdrawn" in on(desk, "withdraw", "1").out
        assert on(desk, "publish", "--rules", "full").code == 0
        assert on(desk, "run", "--events", desk.events).code == 0
        assert on(desk, "rollback", "--steps", "1").code == 0
        assert on(desk, "run", "--events", desk.events, "--format", "json").json["policy_set"] == digest_of(
            "rules"
        )
        assert on(desk, "verify").code == 0
        assert on(desk, "replay").code == 0


class TestKeys:
    def test_a_passphrase_comes_from_the_environment(self, place: Place) -> None:
        secret = {"POLICYENGINE_KEY_PASSPHRASE": "secret", "POLICYENGINE_LEDGER": place.ledger}
        assert is_one_clear_line(call("keys", "new", "a.key"), 2, "PE900 a passphrase is missing")
        made = call("keys", "new", "a.key", "--format", "json", **secret)
        assert made.json["public"] == "a.key.pub"
        assert call("keys", "show", "a.key.pub").out == f"{made.json['fingerprint']}\n"
        assert is_one_clear_line(call("keys", "new", "a.key", "--no-passphrase"), 2, "is there already")
        shown = call("config", **secret).out
        assert "secret" not in shown

    def test_the_roster_is_shown(self, team: Place) -> None:
        shown = on(team, "keys", "show").out.splitlines()
        assert [line.split()[0] for line in shown] == ["dana", "noa", "2"]
        assert on(team, "keys", "show", "--format", "json").json["roster"]["needed"] == 2

    def test_a_roster_changes_by_the_hands_of_those_on_it(self, team: Place) -> None:
        call("keys", "new", "uri.key", "--no-passphrase")
        staged = on(team, "keys", "trust", "uri=uri.key.pub", "--until", "2027-12-31", "--key", "dana.key")
        assert "The roster is staged as proposal 1: not in force" in staged.out
        assert on(team, "approve", "1", "--key", "noa.key").code == 0
        assert "until 2027-12-31" in on(team, "keys", "show").out
        assert is_one_clear_line(
            on(team, "keys", "trust", "x=uri.key.pub", "--until", "soon"), 2, "is no day"
        )
