"""Cases of policies: what a policy owner writes is run, and what differs is told with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.case_file import read_cases
from policyengine.authoring.case_plan import plans
from policyengine.authoring.case_report import Report
from policyengine.authoring.cases import run_cases, run_plans
from policyengine.domain.catalogue import Attribute, Catalogue, EntityType, EventType, Scope
from policyengine.domain.decision import (
    Choice,
    ClauseResult,
    ClauseTrace,
    Decision,
    Denied,
    Offered,
    Outcome,
    Ref,
    Remedy,
    RuleTrace,
    Verdict,
)
from policyengine.domain.events import Rejection
from policyengine.domain.money import Money
from policyengine.domain.played import Played
from policyengine.domain.policy import Policy
from policyengine.domain.values import Value, ValueType
from policyengine.engine.watch import CaseWatcher
from policyengine.errors import PolicyError
from policyengine.service.case_engine import CaseEngine

POLICY = """\
policy: airline/{name}
version: {version}
title: {{en: Points kept}}
owner: loyalty@airline.example
basis: goodwill
effective: {{from: 2020-03-15}}
rules:
  - id: keep
    on: membership.ended
    grant: [{{kind: points.extend, until: 2020-12-31}}]
  - id: refund
    on: membership.ended
    grant: [{{kind: refund, amount: membership.fee}}]
"""
ATTRIBUTES = {
    "membership_id": Attribute("membership_id", ValueType.TEXT),
    "fee": Attribute("fee", ValueType.MONEY),
    "ends_on": Attribute("ends_on", ValueType.DATE),
    "points": Attribute("points", ValueType.INTEGER),
}
CATALOGUE = Catalogue(
    {
        name: EventType(name, name, ATTRIBUTES, entity="membership", key="membership_id")
        for name in ("membership.started", "membership.ended")
    },
    {
        "membership": EntityType("membership", "", ATTRIBUTES),
        "crisis": EntityType("crisis", "", {"kind": Attribute("kind", ValueType.TEXT)}, Scope.WORLD),
    },
)


def remedy(kind: str, version: int = 1, rule: str = "keep", **values: Value) -> Remedy:
    return Remedy(kind, values, "airline/points-kept", version, rule, "goodwill")


def decision(remedies: Sequence[Remedy] = (), **more: Any) -> Decision:
    settled = {"outcome": Outcome.GRANTED if remedies else Outcome.NONE, **more}
    return Decision(
        decision_id="d-1",
        source="/cases",
        event_id="e1",
        event_type="membership.ended",
        time=datetime(2020, 4, 1, tzinfo=UTC),
        customer="c1",
        entity=Ref("membership", "m1"),
        policy_set="digest",
        remedies=tuple(remedies),
        **settled,
    )


class Fixed:
    """An engine that gives one answer to each event, and remembers what it was asked."""

    def __init__(self, *answers: list[Decision] | Rejection) -> None:
        self.answers = answers
        self.asked: list[tuple[list[str], Mapping[str, Value], list[Any]]] = []

    def run(
        self,
        policies: Sequence[Policy],
        world: Mapping[str, Value],
        events: Sequence[bytes],
        watcher: CaseWatcher | None = None,
        until: datetime | None = None,
    ) -> Played:
        del until
        answers = [self.answers[min(index, len(self.answers) - 1)] for index in range(len(events))]
        if watcher is not None:  # a case that failed is told from a second run
            for index, answer in enumerate(answers):
                watcher.begin(index)
                for one in answer if isinstance(answer, list) else ():
                    watcher.decided(one)
            return Played(answers)
        names = [f"{policy.policy}@{policy.version}" for policy in policies]
        self.asked.append((names, world, [json.loads(event) for event in events]))
        return Played(answers)


EXTENDED = remedy("points.extend", until=date(2020, 12, 31))
REFUND = remedy("refund", rule="refund", amount=Money(10_000, "ILS"))
GIVEN = "    given: [{membership.ended: {at: 2020-04-01T00:00:00Z, membership_id: m1}}]\n"


def run(tmp_path: Path, cases: str, engine: Fixed, only: str | None = None) -> Report:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "points-kept.v1.yaml").write_text(POLICY.format(name="points-kept", version=1))
    (folder / "other.yaml").write_text(POLICY.format(name="other", version=1))
    (folder / "points-kept.cases.yaml").write_text(cases)
    return run_plans(plans([folder], CATALOGUE, only), engine, whole=False)


def expecting(tmp_path: Path, expect: str, *answers: list[Decision] | Rejection) -> list[str]:
    report = run(tmp_path, f"cases:\n  - name: a\n{GIVEN}    expect: {expect}\n", Fixed(*answers))
    assert report.findings == []
    return [str(one) for failure in report.failures for one in failure.differences]


def test_an_expectation_without_words_wants_nothing_said(tmp_path: Path) -> None:
    assert expecting(tmp_path, "{messages: {}}", [decision([EXTENDED])]) == []


def test_an_expectation_without_words_tells_what_was_said(tmp_path: Path) -> None:
    told = [decision([EXTENDED], messages={"en": "hello"})]
    assert expecting(tmp_path, "{messages: {}}", told) == ["expected message none, got 'hello'"]


def test_an_event_is_written_by_type_and_properties_and_becomes_a_cloudevent(tmp_path: Path) -> None:
    engine = Fixed([decision([EXTENDED])])
    given = (
        "    given:\n"
        "      - membership.started: {at: 2019-03-01T10:00:00+02:00, customer: c7, membership_id: 5, fee: 100 ILS,"
        " ends_on: 2020-03-31, points: 12}\n"
        "      - membership.ended: {at: 2020-04-01T00:00:00Z, id: x, source: /y, data: {membership_id: m1}}\n"
    )
    report = run(
        tmp_path,
        f"world: {{crisis.kind: pandemic}}\ncases:\n  - name: a\n{given}    expect: {{outcome: granted}}\n",
        engine,
    )
    assert report.ok
    (names, world, events) = engine.asked[0]
    assert names == ["airline/points-kept@1"]
    assert world == {"crisis.kind": "pandemic"}
    assert events[0] == {
        "specversion": "1.0", "id": "e1", "source": "/cases", "type": "membership.started", "subject": "c7",
        "time": "2019-03-01T08:00:00Z",
        "data": {"membership_id": "5", "fee": {"amount": "100", "currency": "ILS"}, "ends_on": "2020-03-31", "points": 12},
    }  # fmt: skip
    assert (events[1]["id"], events[1]["source"], events[1]["subject"]) == ("x", "/y", "c1")


@pytest.mark.parametrize(
    "expect",
    [
        "{outcome: granted}",
        "{remedies: [{kind: refund, amount: 100 ILS}, {kind: points.extend, until: 2020-12-31, rule: keep}]}",
        "{remedies: [{kind: refund, amount: 100.00 ILS, basis: goodwill, enforced: true}, {kind: points.extend}]}",
        "{not: [voucher, freeze]}",
        "{entity: {type: membership, id: m1}, outcome: granted}",
        "[{outcome: granted}, {not: [voucher]}]",
        "{rejected: EV016, after: 1}",
    ],
)
def test_what_holds_passes(tmp_path: Path, expect: str) -> None:
    answer: list[Decision] | Rejection = [decision([EXTENDED, REFUND])]
    if "rejected" in expect:
        answer = Rejection("EV016", "unknown event type", b"")
    assert expecting(tmp_path, expect, answer) == []


@pytest.mark.parametrize(
    ("expect", "difference"),
    [
        ("none", "expected outcome none, got granted"),
        ("{remedies: [{kind: refund}]}", "got remedy {kind: points.extend, until: 2020-12-31, policy: airline/points-kept, version: 1, rule: keep}, which is not expected"),
        ("{remedies: [{kind: refund, amount: 99 ILS}, {kind: points.extend}]}", "expected refund amount 99 ILS, got 100.00 ILS"),
        ("{remedies: [{kind: refund, amount: 100 EUR}, {kind: points.extend}]}", "expected refund amount 100 EUR, got 100.00 ILS"),
        ("{remedies: [{kind: refund, due: 2020-01-01}, {kind: points.extend}]}", "expected refund due 2020-01-01, got absent"),
        ("{remedies: [{kind: refund, version: 2}, {kind: points.extend}]}", "expected refund version 2, got 1"),
        ("{remedies: [{kind: refund}, {kind: points.extend}, {kind: points.extend}]}", "expected remedy {kind: points.extend}, got none such"),
        ("{remedies: []}", "which is not expected"),
        ("{not: [refund]}", "expected refund none, got {kind: refund, amount: 100.00 ILS, policy: airline/points-kept, version: 1, rule: refund}"),
        ("{rejected: EV016}", "expected rejection EV016, got none: the event was accepted"),
        ("{entity: {type: membership, id: m2}, outcome: granted}", "expected a decision about membership m2, got membership m1"),
        ("{rules: [keep]}", "expected the rules that apply keep, got none"),
        ("{lost: {keep: cap}}", "expected rule keep to lose by cap, got none"),
        ("{messages: {en: hello}}", "expected message (en) 'hello', got none"),
        ("{offers: [{rule: keep}]}", "expected offer {rule: keep}, got none such"),
        ("{denials: [keep]}", "expected denial keep, got none such"),
    ],
)  # fmt: skip
def test_what_differs_is_told(tmp_path: Path, expect: str, difference: str) -> None:
    (found, *_) = expecting(tmp_path, expect, [decision([EXTENDED, REFUND])])
    assert difference in found


def test_an_unexpected_rejection_fails_the_case_at_any_event(tmp_path: Path) -> None:
    found = expecting(tmp_path, "none", Rejection("EV021", "no such property", b""))
    assert found == ["expected event 1 accepted, got rejected: EV021 no such property"]


def test_the_trace_is_compared_by_rule(tmp_path: Path) -> None:
    traces = (
        RuleTrace("airline/points-kept", 1, "keep", Verdict.CONDITION, "unknown",
                  (ClauseTrace("membership.points > 0", ClauseResult.UNKNOWN, {}, ("membership.points",)),)),
        RuleTrace("airline/points-kept", 1, "refund", Verdict.ERROR, "PE204 two currencies", ()),
    )  # fmt: skip
    expect = "{rules: [], lost: {keep: condition, refund: error}, unknown: {keep: membership.points}, errors: {refund: PE204}}"
    assert expecting(tmp_path, expect, [decision(trace=traces)]) == []


def test_an_event_that_is_to_be_rejected_is_no_mistake() -> None:
    assert findings(case("{rejected: EV023}", GIVEN.replace("membership_id: m1", "points: many"))) == []


def test_an_error_that_nobody_expects_fails_the_case_whatever_it_expects(tmp_path: Path) -> None:
    """Something is owed, and nobody can say how much: that is not nothing."""
    error = RuleTrace("airline/points-kept", 1, "refund", Verdict.ERROR, "PE204 two currencies", ())
    got = decision(trace=(error,), outcome=Outcome.NONE)
    assert expecting(tmp_path, "none", [got]) == ["expected rule refund no error, got PE204 two currencies"]
    assert run_again(tmp_path, "{outcome: none, lost: {refund: error}}", got) == []


def test_offers_and_denials_are_compared(tmp_path: Path) -> None:
    offer = Offered(
        "airline/points-kept", 1, "keep", "goodwill",
        (Choice("money", (REFUND,)), Choice("points", (EXTENDED,))), "money", date(2020, 6, 1),
    )  # fmt: skip
    denial = Denied("airline/points-kept", 1, "refund", "too late")
    got = decision(offers=(offer,), denials=(denial,), outcome=Outcome.OFFERED)
    right = (
        "{offers: [{default: money, deadline: 2020-06-01, alternatives: ["
        "{id: money, remedies: [{kind: refund, amount: 100 ILS}]}, points]}], denials: [{reason: too late}]}"
    )
    assert expecting(tmp_path, right, [got]) == []
    wrong = run_again(tmp_path, right.replace("100 ILS", "1 ILS").replace(", points]", "]"), got)
    assert wrong == [
        "expected offer alternatives money, got money, points",
        "expected alternative money: refund amount 1 ILS, got 100.00 ILS",
    ]


def run_again(tmp_path: Path, expect: str, got: Decision) -> list[str]:
    deeper = tmp_path / "again"
    deeper.mkdir()
    return expecting(deeper, expect, [got])


def test_expectations_may_look_at_an_earlier_event(tmp_path: Path) -> None:
    cases = (
        "cases:\n  - name: a\n    given:\n"
        "      - membership.started: {at: 2019-03-01T08:00:00Z, membership_id: m1}\n"
        "      - membership.ended: {at: 2020-04-01T00:00:00Z, membership_id: m1}\n"
        "    expect:\n      - {after: 1, outcome: granted}\n      - {outcome: granted}\n"
    )
    report = run(tmp_path, cases, Fixed([decision()], [decision([REFUND])]))
    assert [str(one) for failure in report.failures for one in failure.differences] == [
        "expected outcome after event 1 granted, got none"
    ]


EXAMPLES = """\
cases:
  - name: ${{points}} points give ${{until}}
    examples: {examples}
    given:
      - membership.started: {{at: "${{until}}T08:00:00Z", membership_id: m1, points: "${{points}}"}}
    expect: {{remedies: [{{kind: points.extend, until: "${{until}}"}}]}}
"""


@pytest.mark.parametrize(
    "examples",
    [
        "[{points: 1, until: 2020-12-31}, {points: 2, until: 2021-01-01}]",
        "|\n      points | until\n      1 | 2020-12-31\n      | 2 | 2021-01-01 |\n",
    ],
)
def test_examples_fill_placeholders_with_their_type(tmp_path: Path, examples: str) -> None:
    engine = Fixed([decision([EXTENDED])])
    report = run(tmp_path, EXAMPLES.format(examples=examples), engine)
    assert [asked[2][0]["data"]["points"] for asked in engine.asked] == [1, 2]
    assert [asked[2][0]["time"] for asked in engine.asked] == ["2020-12-31T08:00:00Z", "2021-01-01T08:00:00Z"]
    assert (report.passed, [failure.case for failure in report.failures]) == (1, ["2 points give 2021-01-01"])


def test_examples_with_one_name_are_numbered(tmp_path: Path) -> None:
    cases = EXAMPLES.format(examples="[{points: 1, until: 2020-12-31}, {points: 2, until: 2020-12-30}]")
    report = run(tmp_path, cases.replace("${points} points give ${until}", "some"), Fixed([decision()]))
    assert [failure.case for failure in report.failures] == ["some [1]", "some [2]"]


def test_other_policies_join_when_named(tmp_path: Path) -> None:
    engine = Fixed([decision()])
    cases = (
        f"cases:\n  - name: a\n    with: [airline/other]\n{GIVEN}    expect: none\n"
        f"  - name: b\n    with: all\n{GIVEN}    expect: none\n"
    )
    assert run(tmp_path, cases, engine).ok
    both = ["airline/other@1", "airline/points-kept@1"]
    assert [asked[0] for asked in engine.asked] == [both, both]


def test_only_runs_the_cases_whose_name_or_file_contains_the_word(tmp_path: Path) -> None:
    cases = f"cases:\n  - name: gold\n{GIVEN}    expect: none\n  - name: silver\n{GIVEN}    expect: none\n"
    assert run(tmp_path, cases, Fixed([decision()]), only="old").passed == 1


def test_a_failure_shows_expected_got_and_the_trace(tmp_path: Path) -> None:
    trace = RuleTrace("airline/points-kept", 1, "keep", Verdict.CONDITION, "`membership.points > 0` does not hold",
                      (ClauseTrace("membership.points > 0", ClauseResult.FAILED, {"membership.points": 0}),))  # fmt: skip
    report = run(
        tmp_path,
        f"cases:\n  - name: a\n{GIVEN}    expect: {{outcome: granted}}\n",
        Fixed([decision(trace=(trace,))]),
    )
    text = "\n".join(report.lines())
    assert "points-kept.cases.yaml:2:5: FAILED a" in text
    assert "              expected   got\n    outcome   granted    none\n" in text
    assert "membership.points > 0" in text
    assert text.endswith("cases: 0 passed, 1 failed")
    assert report.to_json()["ok"] is False


def findings(source: str) -> list[str]:
    _, found = read_cases(source.encode(), "x.cases.yaml", CATALOGUE)
    return [str(finding).removeprefix("x.cases.yaml:") for finding in found]


def case(expect: str, given: str = GIVEN) -> str:
    return f"cases:\n  - name: a\n{given}    expect: {expect}\n"


@pytest.mark.parametrize(
    ("source", "start"),
    [
        ("case: []", "1:1: PE070"),
        ("cases: []", "1:1: PE070 the file has no cases"),
        (case("none").replace("expect", "expct"), "2:5: PE072"),
        (case("{}"), "4:13: PE072 a case without expectations"),
        (case("{after: 1}"), "4:13: PE072"),
        (case("{outcom: none}"), "4:14: PE070 unknown key `outcom`; did you mean `outcome`?"),
        (case("{outcome: grantd}"), "4:23: PE070 unknown `grantd`; did you mean `granted`?"),
        (case("{remedies: [{kind: refnd}]}"), "4:32: PE076 unknown `refnd`; did you mean `refund`?"),
        (case("{remedies: [{kind: refund, amont: 1 ILS}]}"), "4:40: PE070 unknown key `amont`; did you mean `amount`?"),
        (case("{remedies: [{amount: 1 ILS}]}"), "4:25: PE076 a remedy without `kind`"),
        (case("{remedies: {kind: refund}}"), "4:24: PE070 expected a list"),
        (case("{not: [refnd]}"), "4:20: PE076 unknown `refnd`"),
        (case("{lost: {keep: capp}}"), "4:27: PE070 unknown `capp`; did you mean `cap`?"),
        (case("{after: 2, outcome: none}"), "4:21: PE070 there is no event 2; events are 1 to 1"),
        (case("{entity: m1, outcome: none}"), "4:22: PE070 not an entity"),
        (case("none", "    given: [{membership.endd: {at: 2020-04-01T00:00:00Z}}]\n"), "3:14: PE071 unknown event type `membership.endd`; did you mean `membership.ended`?"),
        (case("none", "    given: [{membership.ended: {at: 2020-04-01}}]\n"), "3:37: PE070 an event needs the time"),
        (case("none", "    given: [{membership.ended: {at: 2020-04-01T10:00:00}}]\n"), "3:37: PE070 an event needs the time"),
        (case("none", GIVEN.replace("membership_id: m1", "membership_id: m1, pints: 3")), "3:78: PE071 `membership.ended` would be refused: EV022 unknown property `pints`; did you mean `points`?"),
        (case("none", GIVEN.replace("membership_id: m1", "data: {membership_id: m1, pints: 3}")), "3:85: PE071 `membership.ended` would be refused: EV022 unknown property `pints`"),
        (case("none", GIVEN.replace("membership_id: m1", "points: many")), "3:67: PE071 `membership.ended` would be refused: EV023 property `points` must be a whole number"),
        (case("{rejected: EV023, after: 2}", GIVEN.replace("membership_id: m1", "points: many")), "3:67: PE071"),
        (case("none", "    given: []\n"), "2:5: PE070 a case without events"),
        (case("none", "    given: [x]\n"), "3:13: PE070 an event is its type and its properties"),
        (case("none", GIVEN + "    world: {crisis.kid: war}\n"), "4:13: PE070 unknown fact `crisis.kid`; did you mean `crisis.kind`?"),
        (case("none", GIVEN + "    world: {crisis.kind: 3}\n"), "4:26: PE070 `crisis.kind` is text"),
        (case("none", GIVEN + "    with: {a: b}\n"), "4:11: PE070 `with` names other policies"),
        (case("{rejected: '${code}'}"), "4:24: PE075 no example has `code`"),
        (case("none", GIVEN + "    examples: [{a: 1}]\n"), "4:15: PE075 `a` is used nowhere in the case"),
        (case("none", GIVEN + "    examples: 3\n"), "4:15: PE075 examples are a list"),
        (case("none") + case("none").removeprefix("cases:\n"), "5:11: PE073 two cases are called `a`"),
        ("cases:\n  - given: []\n", "2:5: PE070 a case without a name"),
        ("cases: *x", "1:8: PE005"),
    ],
)  # fmt: skip
def test_a_malformed_case_is_told_with_its_place(source: str, start: str) -> None:
    assert any(text.startswith(start) for text in findings(source)), findings(source)


def test_rules_and_policies_that_do_not_exist_are_findings(tmp_path: Path) -> None:
    report = run(tmp_path, case("{lost: {kep: cap}}"), Fixed([decision()]))
    assert [finding.code for finding in report.findings] == ["PE077"]
    assert report.findings[0].hint == "did you mean `keep`?"
    (tmp_path / "again").mkdir()
    report = run(tmp_path / "again", "policy: airline/points-kpt\n" + case("none"), Fixed([decision()]))
    assert [str(finding.code) for finding in report.findings] == ["PE074"]
    assert not report.ok


def test_faulty_policies_are_told_before_any_case_runs(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("policy: a")
    with pytest.raises(PolicyError):
        run_cases(tmp_path, CATALOGUE, Fixed([]))


def test_a_folder_without_cases_is_not_ok(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(POLICY.format(name="x", version=1))
    assert not run_cases(tmp_path, CATALOGUE, Fixed([])).ok


WORDS = st.sampled_from(
    ["cases", "name", "given", "expect", "examples", "membership.ended", "at", "outcome", "remedies", "offers",
     "alternatives", "kind", "lost", "world", "with", "after", "entity", "not", "messages", "denials",
     "later", "on", "happens", "rule"]
)  # fmt: skip
LEAVES = st.sampled_from([1, True, "none", "refund", "2020-04-01T00:00:00Z", "${a}", "all"])
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def flow(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {flow(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(flow, tree)) + "]"
    return f'"{tree}"' if isinstance(tree, str) else str(tree).lower()


@settings(max_examples=150, deadline=None)
@given(TREES, TREES, TREES, st.dictionaries(WORDS, TREES, max_size=3))
def test_any_structure_gives_cases_or_findings_never_a_traceback(
    given_: Any, expect: Any, examples: Any, more: dict[str, Any]
) -> None:
    raw = {"name": "a", "given": given_, "expect": expect, "examples": examples, **more}
    source = f"cases: [{flow(raw)}, {flow({**raw, 'given': [{'membership.ended': {'membership_id': 'm'}}]})}]"
    source = source.replace('membership_id: "m"', 'membership_id: "m", at: 2020-04-01T00:00:00Z')
    read, found = read_cases(source.encode(), "x.cases.yaml", CATALOGUE)
    assert found or (read is not None and read.cases)


class TestTime:
    """Cases whose events reach several customers, or let something happen later."""

    POLICY = """\
policy: care/pool
version: 1
title: {en: Pool}
owner: a@b.example
basis: goodwill
effective: {from: 2020-01-01}
rules:
  - id: closed
    on: facility.closed
    for: subscription
    grant: [{kind: credit, amount: 'money("10 ILS")'}]
  - id: ask
    on: booking.cancelled
    grant: [{kind: notify}]
    follow_up: [{at: 'add_days(date_of(event.time), 3)', event: booking.completed}]
  - id: then
    on: booking.completed
    grant: [{kind: escalate, to: a person}]
"""
    CASES = """\
cases:
  - name: everybody at the pool
    given:
      - facility.registered: {at: 2020-01-01T08:00:00Z, facility_id: pool, name: Gordon, kind: pool, region: tel-aviv}
      - subscription.started: {at: 2020-01-02T08:00:00Z, customer: a, subscription_id: s1, kind: gym, site: pool, monthly_fee: 100 ILS}
      - subscription.started: {at: 2020-01-02T08:00:00Z, customer: b, subscription_id: s1, kind: gym, site: pool, monthly_fee: 100 ILS}
      - facility.closed: {at: 2020-03-15T08:00:00Z, facility_id: pool, closed_from: 2020-03-15, share_percent: 100}
    expect:
      - {remedies: [{kind: credit}, {kind: credit}]}
      - {customer: a, remedies: [{kind: credit, amount: 10 ILS}]}
      - {customer: b, entity: {type: subscription, id: s1}, outcome: granted}
  - name: three days later
    given:
      - booking.made: {at: 2020-02-01T08:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-05-01, price: 100 ILS, paid: 100 ILS}
      - booking.cancelled: {at: 2020-03-02T08:00:00Z, booking_id: b1, cancelled_because: crisis}
      - clock.ticked: {at: 2020-03-04T23:59:59Z}
      - clock.ticked: {at: 2020-03-05T00:00:00Z}
    expect:
      - {after: 2, rules: [ask]}
      - {after: 3, outcome: none, rules: []}
      - {after: 4, remedies: [{kind: escalate, rule: then}]}
  - name: what was due before an event is not that event's
    given:
      - booking.made: {at: 2020-02-01T08:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-05-01, price: 100 ILS, paid: 100 ILS}
      - booking.cancelled: {at: 2020-03-02T08:00:00Z, booking_id: b1, cancelled_because: crisis}
      - customer.updated: {at: 2020-06-01T00:00:00Z, language: he}
    expect: none
"""

    def run(self, folder: Path, cases: str) -> Report:
        (folder / "pool.yaml").write_text(self.POLICY, encoding="utf-8")
        (folder / "pool.cases.yaml").write_text(cases, encoding="utf-8")
        shipped = load_catalogue([shipped_schemas()])
        return run_cases(folder, shipped, CaseEngine(shipped))

    def test_expectations_see_whom_an_event_reaches_and_what_a_tick_brings(self, tmp_path: Path) -> None:
        report = self.run(tmp_path, self.CASES)
        assert report.ok, "\n".join(report.lines())
        assert report.passed == 3

    @pytest.mark.parametrize(
        ("wanted", "told"),
        [
            ("{customer: c, outcome: granted}", "a decision about   customer c   subscription s1 of a, subscription s1 of b"),
            (
                "{customer: a, entity: {type: booking, id: b9}, outcome: granted}",
                "a decision about   booking b9 of customer a   subscription s1 of a, subscription s1 of b",
            ),
            ("{customer: a, remedies: [{kind: credit, amount: 11 ILS}]}", "credit amount   11 ILS     10.00 ILS"),
        ],
    )  # fmt: skip
    def test_who_got_nothing_is_told(self, tmp_path: Path, wanted: str, told: str) -> None:
        head, _, _ = self.CASES.partition("      - {remedies: [{kind: credit}, {kind: credit}]}")
        report = self.run(tmp_path, f"{head}      - {wanted}\n")
        assert told in "\n".join(report.lines())
