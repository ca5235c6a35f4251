"""Every small mistake of a file: what is changed, and that it stands where the file says so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from policyengine.authoring.load import read_policy
from policyengine.authoring.mutant import Mutant, MutantKind
from policyengine.authoring.mutants import mutants
from tests.authoring.owned import POLICY, folder, planned


def found(text: str = POLICY) -> list[Mutant]:
    loaded, findings = read_policy(text.encode(), "x.yaml")
    assert loaded is not None, findings
    return mutants(loaded)


def told(text: str = POLICY) -> list[str]:
    return [
        f"{one.line}:{one.column} {one.kind.value} {one.rule_id or '*'}: {one.change}" for one in found(text)
    ]


AMOUNT = "min(param.most, percent(booking.paid, row.share))"


def test_the_mutants_of_a_file_with_their_places() -> None:
    assert told() == [
        "6:19 windows *: effective.from: 2020-03-01 → 2020-02-29",
        "6:19 windows *: effective.from: 2020-03-01 → 2020-03-02",
        "6:38 windows *: effective.until: 2020-06-01 → 2020-05-31",
        "6:38 windows *: effective.until: 2020-06-01 → 2020-06-02",
        "10:9 parameters *: most: 200 ILS → 199.99 ILS",
        "10:9 parameters *: most: 200 ILS → 200.01 ILS",
        "12:9 rules back: rule back → no such rule",
        "14:10 caps back: the cap of 1 per customer → nothing",
        "14:18 thresholds back: cap.count: 1 → 2",
        '16:9 clauses back: booking.paid > money("10 ILS") → nothing',
        '16:22 comparisons back: booking.paid > money("10 ILS") → booking.paid >= money("10 ILS")',
        '16:30 thresholds back: booking.paid > money("10 ILS") → booking.paid > money("10.01 ILS")',
        "22:9 clauses back: row 1, column 1: <= 3 → -",
        "22:9 comparisons back: row 1, column 1: <= 3 → < 3",
        "22:9 rules back: row 1 of rule back → no such row",
        "22:12 thresholds back: row 1, column 1: <= 3 → <= 4",
        "22:16 thresholds back: row 1, column 2: 50 → 49",
        "22:16 thresholds back: row 1, column 2: 50 → 51",
        "23:9 clauses back: row 2, column 1: > 3 → -",
        "23:9 comparisons back: row 2, column 1: > 3 → >= 3",
        "23:9 rules back: row 2 of rule back → no such row",
        "23:11 thresholds back: row 2, column 1: > 3 → > 4",
        "23:16 thresholds back: row 2, column 2: 80 → 79",
        "23:16 thresholds back: row 2, column 2: 80 → 81",
        f"25:71 percentages back: {AMOUNT} → {AMOUNT.replace('row', '100 - row')}",
        "26:9 rules choose: rule choose → no such rule",
        "30:58 thresholds choose: until: 2020-12-31 → 2020-12-30",
        "30:58 thresholds choose: until: 2020-12-31 → 2021-01-01",
        "33:47 thresholds choose: add_days(date_of(event.time), 7) → add_days(date_of(event.time), 6)",
        "33:47 thresholds choose: add_days(date_of(event.time), 7) → add_days(date_of(event.time), 8)",
    ]  # fmt: skip


def test_what_a_version_has_besides() -> None:
    text = POLICY.replace("currency: ILS\n", (
        "currency: ILS\nannounced: 2020-03-01\nenforced: {from: 2020-03-10}\nretroactive: {from: 2020-02-01}\n"
        "staff_first: {hours: 48}\ncrisis: {kind: pandemic, phases: [onset]}\ncap: {amount: 500 ILS}\n"
    )).replace("  most: 200 ILS\n", "  most: {2020-03-01: 200 ILS, 2020-05-01: 100 ILS}\n  rate: 7.5\n  open: true\n")  # fmt: skip
    ours = [line for line in told(text) if " *: " in line and "effective" not in line]
    assert [line.partition(" *: ")[2] for line in ours] == [
        "enforced.from: 2020-03-10 → 2020-03-09",
        "enforced.from: 2020-03-10 → 2020-03-11",
        "retroactive.from: 2020-02-01 → 2020-01-31",
        "retroactive.from: 2020-02-01 → 2020-02-02",
        "staff_first.hours: 48 → 47",
        "staff_first.hours: 48 → 49",
        "crisis: kind → nothing",
        "crisis: phases → nothing",
        "the cap of 500 ILS per customer → nothing",
        "cap.amount: 500 ILS → 499.99 ILS",
        "cap.amount: 500 ILS → 500.01 ILS",
        "most: 200 ILS → 199.99 ILS",
        "most: 200 ILS → 200.01 ILS",
        "most from 2020-03-01 → from 2020-02-29",
        "most from 2020-03-01 → from 2020-03-02",
        "most: 100 ILS → 100.01 ILS",
        "most: 100 ILS → 99.99 ILS",
        "most from 2020-05-01 → from 2020-04-30",
        "most from 2020-05-01 → from 2020-05-02",
        "rate: 7.5 → 7.4",
        "rate: 7.5 → 7.6",
        "open: True → False",
    ]


def test_a_mutant_differs_in_that_one_thing() -> None:
    sound = found()[0].loaded.policy
    for mutant in found():
        made = mutant.model()
        assert made != sound, mutant.change
        if mutant.rule is not None and mutant.kind is not MutantKind.RULES:
            others = [
                (a, b)
                for n, (a, b) in enumerate(zip(made.rules, sound.rules, strict=True))
                if n != mutant.rule
            ]
            assert all(a == b for a, b in others), mutant.change


def test_positions_in_a_folded_text_are_those_of_the_file(tmp_path: Path) -> None:
    text = POLICY.replace(
        '      - booking.paid > money("10 ILS")\n',
        '      - >-\n        booking.paid\n        > money("10 ILS")\n',
    )
    places = {
        one.after: f"{one.line}:{one.column}" for one in found(text) if one.kind is MutantKind.COMPARISONS
    }
    assert places['booking.paid >= money("10 ILS")'] == "18:9"


def test_the_kinds_of_a_shipped_table_are_all_there(tmp_path: Path) -> None:
    (plan,) = planned(folder(tmp_path))
    kinds = Counter(mutant.kind for loaded in plan.loaded.policies for mutant in mutants(loaded))
    assert set(kinds) == set(MutantKind)
