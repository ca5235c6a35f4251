"""Every fault that compiling finds: its code, its place in the file, what it says, and a hint."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import catalogue, draft, policy, policy_set, refund

from policyengine.authoring.check import check_folder
from policyengine.domain.catalogue import Attribute, Catalogue
from policyengine.domain.values import ValueType
from policyengine.engine.compile import compile_policies
from policyengine.engine.faults import CompileError
from policyengine.errors import PolicyError
from policyengine.service.policy_sets import prepare

BASE = textwrap.dedent("""\
    policy: p
    version: 1
    title: {en: P}
    owner: owner@company.example
    basis: goodwill
    effective: {from: 2020-01-01}
    rules:
      - id: r
        on: booking.cancelled
        when:
          - booking.nights > 1
        grant:
          - {kind: refund, amount: booking.paid}
        say: {en: "{amount}"}
""")


def findings(folder: Path, *texts: str, with_catalogue: Catalogue | None = None) -> list[str]:
    """What is wrong with these files, as `file line:column: code message; hint`."""
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text, encoding="utf-8")
    try:
        check_folder(folder, with_catalogue or catalogue(), prepare)
    except PolicyError as error:
        return [str(finding).removeprefix(f"{folder.as_posix()}/") for finding in error.findings]
    return []


def changed(*changes: tuple[str, str], text: str = BASE) -> str:
    for old, new in changes:
        assert text.count(old) == 1, f"{old} is {text.count(old)} times in the text"
        text = text.replace(old, new)
    return text


def test_a_number_of_points_below_zero_is_refused(tmp_path: Path) -> None:
    text = changed(
        ("{kind: refund, amount: booking.paid}", "{kind: points.bonus, points: -5}"),
        ('"{amount}"', '"Hello"'),
    )
    assert findings(tmp_path, text) == ["0.yaml:13:38: PE003 input should be greater than or equal to 0"]


def test_the_base_is_sound(tmp_path: Path) -> None:
    assert findings(tmp_path, BASE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # names of types
        ("on: booking.cancelled", "on: booking.canceled", "9:9: PE030 unknown event type `booking.canceled`; did you mean `booking.cancelled`?"),
        ("on: booking.cancelled", "on: [booking.cancelled, bookng.made]", "9:29: PE030 unknown event type `bookng.made`; did you mean `booking.made`?"),
        ("on: booking.cancelled", "for: bokking\n    on: booking.cancelled", "9:10: PE030 unknown entity type `bokking`; did you mean `booking`?"),
        # expressions, each at the character where it goes wrong
        ("booking.nights > 1", "booking.night > 1", "11:9: PE031 unknown attribute `booking.night`; did you mean `booking.nights`?"),
        ("booking.nights > 1", "1 < booking.night", "11:13: PE031 unknown attribute `booking.night`; did you mean `booking.nights`?"),
        ("booking.nights > 1", "booking.nights > param.leest", "11:26: PE031 unknown parameter `param.leest`"),
        ("booking.nights > 1", "booking.nights > booking.paid", "11:24: PE032"),
        ("booking.nights > 1", "booking.nights >", "11:"),
        ("booking.nights > 1", "booking.nights + 1", "11:9: PE032 a condition is true or false, but this is"),
        ("booking.nights > 1", "dats_between(booking.starts_on, booking.ends_on) > 1", "11:9: PE034 unknown function `dats_between`; did you mean `days_between`?"),
        ("booking.nights > 1", 'booking.paid > money("1 XXZ")', "11:"),
        ("amount: booking.paid", "amount: booking.nights", "13:32: PE032"),
        ("amount: booking.paid", "amount: booking.payed", "13:32: PE031 unknown attribute `booking.payed`; did you mean `booking.paid`?"),
        ("amount: booking.paid", "amount: booking.paid, due: booking.paid", "13:51: PE032"),
        # windows
        ("{from: 2020-01-01}", "{from: 2020-01-01, until: 2020-01-01}", "6:38: PE053 `until` is not after `from`: the version would never govern"),
        ("{from: 2020-01-01}", "{from: 2020-01-01, by: booking.made_at2}", "6:35: PE031 unknown attribute `booking.made_at2`; did you mean `booking.made_at`?"),
        ("{from: 2020-01-01}", "{from: 2020-01-01, by: booking.paid}", "6:35: PE032 `booking.paid` is money, which is no anchor; name a date or an instant"),
        # parameters
        ("rules:", "parameters:\n  x: {2020-01-01: 1, 2020-02-01: two}\nrules:", "8:6: PE055 parameter `x` has values of several types: integer, text; give all its values one type"),
        # messages
        ('"{amount}"', '"{amont}"', "14:16: PE060 unknown placeholder `{amont}`; did you mean `amount`?"),
        ('"{amount}"', '"{amount"', "14:16: PE061 malformed message"),
        ('"{amount}"', '"{}"', "14:16: PE061 malformed message"),
        ('"{amount}"', '"{amount:>9}"', "14:16: PE061 malformed message"),
        ('"{amount}"', '"{booking.refundable}"', "14:16: PE062 `{booking.refundable}` is a flag, which has no words; write two rules instead"),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_code_and_hint(tmp_path: Path, old: str, new: str, expected: str) -> None:
    (finding,) = findings(tmp_path, changed((old, new)))
    assert finding.startswith(f"0.yaml:{expected}"), finding


class TestWordsOfMessages:
    def test_a_parameter_or_row_that_is_a_flag_has_no_words_either(self, tmp_path: Path) -> None:
        text = changed(("rules:", "parameters: {kind: true}\nrules:"), ('"{amount}"', '"{param.kind}"'))
        assert [one.split(" ")[1] for one in findings(tmp_path, text)] == ["PE062"]

    def test_nor_has_a_literal_flag_of_a_remedy(self, tmp_path: Path) -> None:
        text = changed(
            ("kind: refund, amount: booking.paid", "kind: voucher, amount: booking.paid, transferable: true"),
            ('"{amount}"', '"{transferable}"'),
        )
        assert [one.split(" ")[1] for one in findings(tmp_path, text)] == ["PE062"]

    def test_a_field_of_two_remedies_is_named_with_its_kind(self, tmp_path: Path) -> None:
        two = (
            "{kind: refund, amount: booking.paid}",
            "{kind: refund, amount: booking.paid}\n      - {kind: credit, amount: booking.paid}",
        )
        assert findings(tmp_path, changed(two, ('"{amount}"', '"{refund.amount} {credit.amount}"'))) == []
        (finding,) = findings(tmp_path, changed(two))
        assert "PE060 unknown placeholder `{amount}`" in finding

    def test_a_field_of_two_remedies_of_one_kind_cannot_be_named(self, tmp_path: Path) -> None:
        two = (
            "{kind: refund, amount: booking.paid}",
            "{kind: refund, amount: booking.paid}\n      - {kind: refund, amount: booking.price}",
        )
        (finding,) = findings(tmp_path, changed(two, ('"{amount}"', '"{refund.amount}"')))
        assert "PE060 unknown placeholder `{refund.amount}`" in finding


def version(number: int, window: str, name: str = "p") -> str:
    return changed(
        ("policy: p", f"policy: {name}"), ("version: 1", f"version: {number}"), ("{from: 2020-01-01}", window)
    )


class TestVersions:
    def test_windows_that_touch_do_not_overlap(self, tmp_path: Path) -> None:
        one, two = "{from: 2020-01-01, until: 2020-02-01}", "{from: 2020-02-01}"
        assert findings(tmp_path, version(1, one), version(2, two)) == []

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            ("{from: 2020-01-01, until: 2020-02-02}", "{from: 2020-02-01}"),
            ("{from: 2020-01-01}", "{from: 2020-02-01}"),
        ],
    )
    def test_an_overlap_is_refused_and_the_hint_says_when_to_end(
        self, tmp_path: Path, one: str, two: str
    ) -> None:
        assert findings(tmp_path, version(1, one), version(2, two)) == [
            "1.yaml:6:19: PE050 version 2 and version 1 of `p` overlap; let version 1 end with `until: 2020-02-01`"
        ]

    def test_an_overlap_of_one_second_is_one(self, tmp_path: Path) -> None:
        one = version(1, "{from: 2020-01-01, until: 2020-02-01T00:00:01Z}")
        assert "PE050" in findings(tmp_path, one, version(2, "{from: 2020-02-01}"))[0]

    def test_a_version_within_a_longer_one_hides_no_other_overlap(self, tmp_path: Path) -> None:
        texts = [
            version(1, "{from: 2020-01-01, until: 2021-01-01}"),
            version(2, "{from: 2020-03-01, until: 2020-04-01}"),
            version(3, "{from: 2020-06-01, until: 2020-07-01}"),
        ]
        assert [one[:7] for one in findings(tmp_path, *texts)] == ["1.yaml:", "2.yaml:"]

    def test_midnights_of_different_zones_can_overlap(self, tmp_path: Path) -> None:
        # version 1 ends at midnight UTC, version 2 begins two hours before, at midnight in Jerusalem
        one = version(1, "{from: 2020-01-01, until: 2020-02-01}")
        two = version(2, "{from: 2020-02-01}").replace("rules:", "timezone: Asia/Jerusalem\nrules:")
        assert "PE050" in findings(tmp_path, one, two)[0]

    def test_different_anchors_are_refused(self, tmp_path: Path) -> None:
        one = version(1, "{from: 2020-01-01, until: 2020-02-01}")
        two = version(2, "{from: 2020-02-01, by: booking.made_at}")
        assert findings(tmp_path, one, two) == [
            "1.yaml:6:12: PE051 version 2 is anchored by the instant `booking.made_at` and version 1 by the instant `event.time`: both could govern one event; use the same `by` in all versions"
        ]

    def test_one_name_of_two_types_is_no_common_anchor(self, tmp_path: Path) -> None:
        # `event.day` is a date of one event type and an instant of another
        given = catalogue()
        events = dict(given.events)
        for name, kind in (("booking.cancelled", ValueType.DATE), ("booking.completed", ValueType.INSTANT)):
            known = events[name]
            events[name] = replace(known, attributes={**known.attributes, "day": Attribute("day", kind)})
        one = version(1, "{from: 2020-01-01, until: 2020-02-01, by: event.day}")
        two = changed(
            ("on: booking.cancelled", "on: booking.completed"),
            text=version(2, "{from: 2020-03-01, by: event.day}"),
        )
        found = findings(tmp_path, one, two, with_catalogue=replace(given, events=events))
        assert [one.split(" ")[:2] for one in found] == [["1.yaml:6:12:", "PE051"]]

    def test_versions_of_other_policies_may_overlap(self, tmp_path: Path) -> None:
        assert (
            findings(tmp_path, version(1, "{from: 2020-01-01}"), version(1, "{from: 2020-01-01}", "q")) == []
        )


class TestGroups:
    def grouped(self, name: str, choose: str) -> str:
        return changed(
            ("policy: p", f"policy: {name}"), ("rules:", f"exclusive: {{group: g, choose: {choose}}}\nrules:")
        )

    def test_members_that_choose_alike_may_be_in_one_group(self, tmp_path: Path) -> None:
        assert findings(tmp_path, self.grouped("a", "best"), self.grouped("b", "best")) == []

    def test_members_that_choose_differently_are_refused(self, tmp_path: Path) -> None:
        assert findings(tmp_path, self.grouped("a", "best"), self.grouped("b", "first")) == [
            "1.yaml:7:31: PE054 group `g` chooses `best` in `a` and `first` here; write the same `choose` everywhere"
        ]

    def test_also_between_a_policy_and_one_of_its_rules(self, tmp_path: Path) -> None:
        text = self.grouped("a", "best").replace(
            "    grant:", "    exclusive: {group: g, choose: all}\n    grant:"
        )
        (finding,) = findings(tmp_path, text)
        assert finding.startswith("0.yaml:13:35: PE054")


class TestAllFaultsAtOnce:
    def test_every_fault_of_every_file_is_told(self, tmp_path: Path) -> None:
        one = changed(
            ("booking.nights > 1", "booking.night > 1"), ("amount: booking.paid", "amount: booking.payed")
        )
        two = changed(("policy: p", "policy: q"), ("on: booking.cancelled", "on: nothing.happened"))
        places = [one.split(" ")[0] for one in findings(tmp_path, one, two)]
        assert places == ["0.yaml:11:9:", "0.yaml:13:32:", "1.yaml:9:9:"]

    def test_a_faulty_anchor_hides_no_fault_of_the_rules(self, tmp_path: Path) -> None:
        text = changed(
            ("{from: 2020-01-01}", "{from: 2020-01-01, by: booking.paid}"),
            ("booking.nights > 1", "booking.night > 1"),
        )
        assert [one.split(" ")[1] for one in findings(tmp_path, text)] == ["PE032", "PE031"]

    def test_a_faulty_name_hides_no_fault_of_the_other_rules(self, tmp_path: Path) -> None:
        rule = BASE[BASE.index("  - id: r") :]
        text = changed(("on: booking.cancelled", "on: nothing.happened")) + rule.replace(
            "id: r", "id: s"
        ).replace("nights", "night")
        assert [one.split(" ")[:2] for one in findings(tmp_path, text)] == [
            ["0.yaml:9:9:", "PE030"],
            ["0.yaml:18:9:", "PE031"],
        ]

    def test_the_faults_do_not_depend_on_the_order_of_the_policies(self) -> None:
        texts = [
            draft("b", refund("booking.payed")),
            draft("a", refund("booking.paid", exclusive={"group": "g", "choose": "all"})),
            draft("c", refund("booking.paid", exclusive={"group": "g", "choose": "best"})),
        ]
        told = []
        for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
            with pytest.raises(CompileError) as caught:
                compile_policies([policy(texts[at]) for at in order], catalogue(), "")
            told.append(
                {
                    (order[fault.policy], fault.path, fault.code, fault.message)
                    for fault in caught.value.faults
                }
            )
        assert told[0] == told[1] == told[2]
        assert len(told[0]) == 2


class TestAnchors:
    def test_a_rule_on_several_events_needs_an_anchor_that_all_of_them_have(self, tmp_path: Path) -> None:
        text = changed(
            ("{from: 2020-01-01}", "{from: 2020-01-01, by: event.starts_on}"),
            ("on: booking.cancelled", "on: booking.postponed"),
        )
        assert findings(tmp_path, text) == []
        rule = BASE[BASE.index("  - id: r") :].replace("id: r", "id: s")
        (finding,) = findings(tmp_path, text + rule)  # booking.cancelled has no starts_on
        assert finding.startswith("0.yaml:6:35: PE031 unknown attribute `event.starts_on`")


class TestWhomRulesAreAbout:
    """Rules on events of the world and of customers, what they are for, caps per event, regions."""

    def closed(self, *changes: tuple[str, str]) -> str:
        """The base on a facility's event, for subscriptions, paying ten shekels."""
        return changed(
            ("on: booking.cancelled", "on: facility.closed\n    for: subscription"),
            ("booking.nights > 1", "facility.share_percent > 1"),
            ("amount: booking.paid", "amount: 'money(\"10 ILS\")'"),
            *changes,
        )

    def test_a_rule_on_an_event_of_the_world_for_what_refers_to_it_is_sound(self, tmp_path: Path) -> None:
        assert findings(tmp_path, self.closed()) == []

    @pytest.mark.parametrize("whom", ["for: customer\n    ", "for: booking\n    ", ""])
    def test_what_covers_places_reaches_everything(self, tmp_path: Path, whom: str) -> None:
        text = self.closed(
            ("on: facility.closed\n    for: subscription", f"{whom}on: crisis.declared"),
            ("facility.share_percent > 1", 'crisis.kind == "war"'),
        )
        assert findings(tmp_path, text) == []

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("on: facility.closed", "on: [facility.closed, booking.made]", "9:9: PE038 `facility.closed` is an event of the world and `booking.made` is a customer's; write two rules"),
            ("for: subscription", "for: facility", "10:10: PE038 a `facility` is everybody's; a rule is for something that a customer has; name a customer's entity, or leave `for` out"),
            ("for: subscription", "for: membership", "9:9: PE038 `facility.closed` reaches no membership; it reaches what refers to it: for: "),
            ("for: subscription", "priority: 1", "9:9: PE038 `facility.closed` reaches no customer; it reaches what refers to it: for: "),
            ("on: facility.closed", "on: clock.ticked", "9:9: PE038 `clock.ticked` reaches no subscription"),
            ("for: subscription", "for: subscripton", "10:10: PE030 unknown entity type `subscripton`; did you mean `subscription`?"),
            ("rules:", "crisis: {regions: [tel-avyv]}\nrules:", "7:20: PE038 unknown region `tel-avyv`; did you mean `tel-aviv`?"),
        ],
    )  # fmt: skip
    def test_a_rule_about_nobody_is_a_finding(
        self, tmp_path: Path, old: str, new: str, expected: str
    ) -> None:
        found = findings(tmp_path, self.closed((old, new)))
        assert found[0].startswith(f"0.yaml:{expected}"), found

    def test_a_cap_per_event_is_for_events_of_the_world(self, tmp_path: Path) -> None:
        cap = "cap: {count: 2, per: event}"
        assert findings(tmp_path, self.closed(("    when:", f"    {cap}\n    when:"))) == []
        assert findings(tmp_path, self.closed(("rules:", f"{cap}\nrules:"))) == []
        told = "PE058 a cap per event counts those whom an event of the world reaches; `booking.cancelled` is a customer's; count per customer or per entity"
        assert findings(tmp_path, changed(("    when:", f"    {cap}\n    when:"))) == [
            f"0.yaml:10:26: {told}"
        ]
        assert findings(tmp_path, changed(("rules:", f"{cap}\nrules:"))) == [f"0.yaml:7:22: {told}"]

    @pytest.mark.parametrize(
        ("scope", "expected"),
        [
            ({"kind": "war", "phases": ["onset"]}, ['crisis.kind in ["war"]', 'crisis.phase in ["onset"]']),
            ({"kind": ["war", 'a "b"']}, ['crisis.kind in ["war", "a \\"b\\""]', '!present(crisis.phase) || crisis.phase != "ended"']),
            ({"phases": ["ended"]}, ['crisis.phase in ["ended"]']),
            ({"regions": ["IL"]}, ["present(crisis.kind)", '!present(crisis.phase) || crisis.phase != "ended"', 'place.regions.exists(r, r in ["IL"])']),
            ({"phases": ["onset"], "sectors": ["food"]}, ['crisis.phase in ["onset"]', '!present(crisis.sectors) || crisis.sectors.exists(s, s in ["food"])']),
        ],
    )  # fmt: skip
    def test_a_crisis_scope_is_conditions(self, scope: dict[str, Any], expected: list[str]) -> None:
        prepared = policy_set(draft("p", refund("booking.paid"), crisis=scope))
        assert [clause.text for clause in prepared.ruleset.rules[0].clauses] == expected

    def test_an_event_of_the_world_without_a_place_reaches_nobody(self, tmp_path: Path) -> None:
        given = catalogue()
        known = given.events["policy.asked"]
        ticked = replace(known, name="moon.rose", scope=type(known.scope)("world"))
        world = replace(given, events={**given.events, "moon.rose": ticked})
        text = changed(("on: booking.cancelled", "on: moon.rose"))
        (finding,) = findings(tmp_path, text, with_catalogue=world)
        assert finding == "0.yaml:9:9: PE038 `moon.rose` reaches no customer"
