"""`diff`: what changed, for whom, what it costs, and the smallest case, also from git and as a gate."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cli.commands import Place, call, is_one_clear_line
from tests.service.runs import HALF, lines
from tests.support import booked, cancelled, draft, event

ROOT = Path(__file__).parents[2]
FULL = HALF.replace("percent(booking.paid, 50)", "booking.paid")


def git(folder: Path, *arguments: str) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    names = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", folder, *names, *arguments], check=True, capture_output=True, env=plain)


@pytest.fixture
def dearer(decided: Place) -> Path:
    return decided.policy(FULL, "half.v1.yaml", "dearer")


def test_words_alone_need_no_ledger(decided: Place, dearer: Path) -> None:
    result = call("diff", decided.rules, dearer)
    assert (result.code, result.err) == (0, "")
    assert result.out == ("travel/half-back\n  version 1 changed\n    r: refund 50% → 100% of booking.paid\n")
    assert "say the same" in call("diff", decided.rules, decided.rules).out


def test_with_a_ledger_whom_it_concerns_and_what_it_costs(decided: Place, dearer: Path) -> None:
    result = call("diff", decided.rules, dearer, "--ledger", decided.ledger)
    # 50 + 50 + 16.67 became 100 + 100 + 33.33
    for text in (
        "3 of 6 decisions come out otherwise, for 1 customers\n",
        "+116.66 ILS (116.67 ILS → 233.33 ILS); 1 customers better off by 116.66 ILS\n",
        "- refund: amount 50.00 ILS", "+ refund: amount 100.00 ILS",
    ):  # fmt: skip
        assert text in result.out


def test_the_smallest_case_can_be_pasted(decided: Place, dearer: Path) -> None:
    """It passes under what it is to become, and fails under what it was."""
    found = call("diff", decided.rules, dearer, "--ledger", decided.ledger, "--format", "json").json
    case = found["case"]
    # of all the customer's events: one booking, what was paid for it, and that it was cancelled
    assert [one["type"] for one in case["events"]] == ["booking.made", "booking.cancelled"]
    assert case["minimal"]
    for folder, code in ((dearer, 0), (decided.rules, 1)):
        (folder / "half.cases.yaml").write_text("policy: travel/half-back\ncases:\n" + case["yaml"])
        result = call("test", folder)
        assert result.code == code, result.out


def test_what_happens_by_itself_is_in_the_case_as_time_that_passes(place: Place) -> None:
    word = {
        "id": "word", "on": "booking.cancelled", "grant": [{"kind": "notify"}],
        "follow_up": [{"at": "add_days(date_of(event.time), 3)", "event": "silence.due", "data": {"crisis_id": '"k1"'}}],
    }  # fmt: skip

    def policies(amount: str, folder: str) -> Path:
        again = {
            "id": "again",
            "on": "silence.due",
            "grant": [{"kind": "credit", "amount": f'money("{amount} ILS")'}],
        }
        return place.policy(draft("care/word", word, again), "word.v1.yaml", folder)

    old, new = policies("5", "rules"), policies("6", "new")
    raw = lines(booked(), cancelled(), booked("b2", at="2020-05-01T10:00:00Z"))
    place.file("events.jsonl", raw)
    assert place.run(POLICYENGINE_LOG_LEVEL="error").code == 0
    case = call("diff", old, new, "--ledger", place.ledger, "--format", "json").json["case"]
    assert [one["type"] for one in case["events"]] == ["booking.cancelled", "clock.ticked"]
    assert case["events"][-1]["time"] == "2020-03-05T00:00:00Z"  # 2 March and three days
    (new / "word.cases.yaml").write_text("policy: care/word\ncases:\n" + case["yaml"])
    assert call("test", new).code == 0


def test_a_gate_on_cost_by_currency(decided: Place, dearer: Path) -> None:
    keys = ("diff", decided.rules, dearer, "--ledger", decided.ledger)
    assert call(*keys, "--max-cost", "116.66ILS").code == 0
    dear = call(*keys, "--max-cost", "116.65 ILS", "--format", "json")
    assert (dear.code, dear.json["limits"]) == (
        1, [{"currency": "ILS", "most": "116.65", "more": "116.66", "exceeded": True}],
    )  # fmt: skip
    assert "too dear: 116.66 ILS more, at most 116.65 ILS are allowed" in dear.err
    other = call(*keys, "--max-cost", "1EUR")
    assert (other.code, other.err) == (0, "no limit for ILS: 116.66 ILS more\n")
    cheaper = call("diff", dearer, decided.rules, "--ledger", decided.ledger, "--max-cost", "0ILS")
    assert cheaper.code == 0


def test_a_pull_request_reads_markdown(decided: Place, dearer: Path) -> None:
    out = call(
        "diff",
        decided.rules,
        dearer,
        "--ledger",
        decided.ledger,
        "--max-cost",
        "5ILS",
        "--format",
        "markdown",
    ).out
    assert "### travel/half-back\n\nVersion 1 changed:\n\n- r: refund 50% → 100% of booking.paid\n" in out
    assert "- **too dear**: +116.66 ILS of at most 5.00 ILS\n" in out
    assert "```yaml\n  - name:" in out


def test_revisions_of_git(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.policy(HALF, "half.v1.yaml", "packs")
    git(place.folder, "init", "--quiet")
    git(place.folder, "add", "packs")
    git(place.folder, "commit", "--quiet", "-m", "half")
    place.policy(FULL, "half.v1.yaml", "packs")
    text = "r: refund 50% → 100% of booking.paid"
    assert text in call("diff", "HEAD:packs", "packs").out
    git(place.folder, "commit", "--quiet", "-am", "full")
    monkeypatch.chdir(place.folder / "packs")  # folders are seen from the top of the repository
    assert text in call("diff", "HEAD~1:packs", "HEAD:packs").out
    for named, words in (
        ("nope:packs", "git knows no revision `nope`"),
        ("--output=x:packs", "git knows no revision `--output=x`"),
        ("HEAD:nope", "`HEAD` has no folder `nope`"),
    ):
        assert is_one_clear_line(call("diff", "--", named, "."), 2, words), named


def test_what_is_wrong_is_told_in_a_line(decided: Place) -> None:
    rules = decided.rules
    for arguments, text in (
        ((rules, rules, "--max-cost", "5ILS"), "--max-cost needs recorded history"),
        ((rules, rules, "--ledger", decided.ledger, "--max-cost", "five"), "--max-cost: `five` is not money"),
        ((rules, "nowhere"), "nowhere"),
        (("HEAD:rules", rules), "is not in a git repository"),
        ((rules, "0123456789abcdef"), "a digest needs --ledger"),
        ((rules, rules, "--ledger", "sqlite:///missing.db"), "missing.db"),
    ):
        assert is_one_clear_line(call("diff", *arguments, GIT_CEILING_DIRECTORIES="/"), 2, text), arguments


def test_the_workflow_in_the_documents_is_one() -> None:
    """It is YAML with the parts that GitHub Actions asks for, its scripts are shell, its commands are ours."""
    page = (ROOT / "docs" / "simulate.md").read_text("utf-8")
    (text,) = re.findall(r"```yaml\n(# \.github/workflows.*?)```", page, re.DOTALL)
    workflow = yaml.safe_load(text)
    assert set(workflow) <= {"name", True, "permissions", "jobs"}  # `on` is a flag to YAML 1.1
    assert "pull_request" in workflow[True]
    for job in workflow["jobs"].values():
        assert {"runs-on", "steps"} <= set(job)
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            script = step.get("run", "")
            checked = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True, check=False)
            assert checked.returncode == 0, checked.stderr
            for command, rest in re.findall(r"policyengine ([a-z-]+)((?:.|\\\n)*?)(?:\n(?! )|$)", script):
                known = call(command, "--help", COLUMNS="200").out
                for option in re.findall(r"(--[a-z-]+)", rest):
                    assert option in known, (command, option)
    assert "fetch-depth: 0" in text


def test_a_difference_that_hangs_on_others_is_told(place: Place) -> None:
    """Who gets the last of two parcels is no question of one customer's events."""

    def policies(count: int, folder: str) -> Path:
        ten = {"id": "ten", "on": "crisis.declared", "grant": [{"kind": "gesture", "gift": "a parcel"}],
               "cap": {"per": "event", "count": count}}  # fmt: skip
        return place.policy(draft("care/first", ten), "first.v1.yaml", folder)

    old, new = policies(2, "rules"), policies(3, "new")
    customers = [
        event("customer.registered", "2020-01-01T00:00:00Z", f"c{number}", event_id=f"r{number}", region="haifa", language="en")
        for number in range(5)
    ]  # fmt: skip
    crisis = event(
        "crisis.declared", "2020-03-01T00:00:00Z", "k1", crisis_id="k1", kind="storm", region="haifa", onset_from="2020-03-01",
    )  # fmt: skip
    place.file("events.jsonl", lines(*customers, crisis))
    assert place.run(POLICYENGINE_LOG_LEVEL="error").code == 0
    out = call("diff", old, new, "--ledger", place.ledger).out
    assert "1 of 10 decisions come out otherwise" in out
    assert "gesture: 1 more for 1 customers" in out
    assert "No customer's own events show it by themselves" in out
