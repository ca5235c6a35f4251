"""The policy file's models: what loads, what the exported schema tells editors, what JSON keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from policyengine.authoring.yaml_source import read_yaml
from policyengine.domain.policy import Policy, Rule, Table, flaws
from policyengine.domain.policy_types import Parameter, split_rows
from policyengine.domain.remedies import (
    MONEY_KINDS,
    REMEDY_KINDS,
    Freeze,
    PointsBonus,
    Postpone,
    Refund,
    TierExtend,
    WaiveFee,
    expression_fields,
)
from policyengine.domain.values import ValueType

SCHEMA = Policy.model_json_schema(by_alias=True)
VALIDATOR = Draft202012Validator(SCHEMA)

# The outline of the design, word for word.
OUTLINE = """
policy: airline/points-kept
version: 3
title: {en: Points outlive the membership year, he: הנקודות נשמרות}
owner: loyalty@airline.example
basis: goodwill                # statutory | contractual | goodwill
cites: ["Member mailing, March 2020"]
announced: 2020-03-20
effective: {from: 2020-03-15, until: 2021-01-01, by: event.time}
crisis: {kind: pandemic, phases: [onset, ongoing]}
currency: ILS
parameters:
  bonus_percent: {2020-03-15: 10, 2020-07-01: 15}      # dated values
rules:
  - id: keep-points
    on: membership.ended
    when:
      - membership.points > 0
      - membership.tier in ["gold", "platinum"]
    grant:
      - kind: points.extend
        until: add_months(membership.ends_on, 6)
      - kind: points.bonus
        points: percent(membership.points, param.bonus_percent)
        on: renewal
    say:
      en: "We keep your {membership.points} points until {until}."
      he: "…"
"""


def data_of(source: str) -> Any:
    document, findings = read_yaml(source.encode(), "x.yaml")
    assert findings == []
    assert document is not None
    return document.data


def as_editors_see(value: Any) -> Any:
    """YAML as JSON Schema knows it: dates are text, decimals are numbers."""
    if isinstance(value, dict):
        return {str(key): as_editors_see(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_editors_see(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def test_the_outline_of_the_design_loads() -> None:
    policy = Policy.model_validate(data_of(OUTLINE))
    assert policy.parameters == {"bonus_percent": {date(2020, 3, 15): 10, date(2020, 7, 1): 15}}
    assert policy.effective.until == date(2021, 1, 1)
    assert [remedy.kind for remedy in policy.rules[0].grant] == ["points.extend", "points.bonus"]
    assert list(flaws(policy)) == []


def test_the_outline_of_the_design_validates_against_the_exported_schema() -> None:
    assert list(VALIDATOR.iter_errors(as_editors_see(data_of(OUTLINE)))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("owner:", "ownr:"),
        ("goodwill", "godwill"),
        ("points.extend", "points.extnd"),
        ("        on: renewal", "        onn: renewal"),
        ("2020-03-15: 10", "soon: 10"),
        ("bonus_percent:", "Bonus:"),
        ("version: 3", "version: three"),
        ("currency: ILS", "currency: shekel"),
        ("on: membership.ended", "on: []"),
        ("phases: [onset, ongoing]", "phases: [onset, later]"),
    ],
)
def test_the_exported_schema_marks_what_loading_refuses(old: str, new: str) -> None:
    data = data_of(OUTLINE.replace(old, new))
    assert not VALIDATOR.is_valid(as_editors_see(data))
    with pytest.raises(ValidationError):
        Policy.model_validate(data)


def shipped() -> list[Path]:
    rules = Path(__file__).parents[2] / "rules"
    return sorted(file for file in rules.rglob("*.yaml") if not file.name.endswith(".cases.yaml"))


@pytest.mark.parametrize("file", shipped(), ids=lambda file: str(file.name))
def test_shipped_policies_validate_against_the_exported_schema(file: Path) -> None:
    assert list(VALIDATOR.iter_errors(as_editors_see(data_of(file.read_text(encoding="utf-8"))))) == []


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, model in {"Policy": schema, **schema["$defs"]}.items():
        for key, about in model.get("properties", {}).items():
            yield f"{name}.{key}", about


def test_every_key_of_every_model_is_described() -> None:
    bare = [
        name for name, about in properties(SCHEMA) if not about.get("description") and "$ref" not in about
    ]
    assert bare == []
    assert all(model.get("description") for model in SCHEMA["$defs"].values())


def test_no_key_may_be_null() -> None:
    assert '"null"' not in json.dumps(SCHEMA)


def test_every_remedy_kind_is_a_model_of_its_own() -> None:
    assert sorted(REMEDY_KINDS) == sorted(
        [
            "refund",
            "credit",
            "voucher",
            "compensation",
            "waive_fee",
            "postpone",
            "freeze",
            "unfreeze",
            "withdraw",
            "points.extend",
            "points.bonus",
            "tier.extend",
            "block_charge",
            "reverse_charge",
            "deny_change",
            "substitute",
            "channel",
            "delivery_mode",
            "gesture",
            "notify",
            "escalate",
            "signal",
        ]
    )
    assert set(REMEDY_KINDS) >= MONEY_KINDS


def test_fields_of_cel_know_the_type_that_they_need() -> None:
    assert expression_fields(Refund) == {"amount": ValueType.MONEY, "due": ValueType.DATE}
    assert expression_fields(WaiveFee) == {"amount": ValueType.MONEY}
    assert expression_fields(Freeze) == {"from": ValueType.DATE, "until": ValueType.DATE}
    assert expression_fields(PointsBonus) == {"points": ValueType.INTEGER}
    assert expression_fields(TierExtend) == {"until": ValueType.DATE, "tier": ValueType.TEXT}


def test_a_date_in_quotes_is_still_a_date_and_never_a_subtraction() -> None:
    # as CEL, 2020-12-31 would be 2020 - 12 - 31 = 1977
    assert Postpone(kind="postpone", until="2020-12-31").until == date(2020, 12, 31)  # type: ignore[arg-type]
    assert Postpone(kind="postpone", until="event.day").until == "event.day"


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "points.bonus", "points": True},
        {"kind": "points.bonus", "points": Decimal("1.5")},
        {"kind": "points.bonus", "points": 3, "on": 5},
        {"kind": "refund", "amount": 100},
        {"kind": "refund", "amount": "x", "due": "2020-02-30"},
        {"kind": "refund", "amount": "x", "method": "barter"},
        {"kind": "voucher", "amount": "x", "transferable": "yes"},
        {"kind": "substitute", "services": []},
        {"kind": "gift"},
    ],
)
def test_a_remedy_of_the_wrong_shape_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"id": "a", "on": "x", "grant": [broken]})


RICH = """
policy: a
version: 1
title: {en: A}
owner: o
basis: goodwill
effective: {from: 2020-03-15T08:00:00+02:00, until: 2021-01-01}
parameters:
  share: 7.50
  day: 2020-03-15
  text: "2020-03-15"
  number: "7.5"
  flag: true
  list: [a, b]
  dated: {2020-03-15: 1.25, 2020-07-01: 2.00}
  dates: {2020-03-15: 2020-04-01}
rules:
  - id: a
    on: x
    grant: [{kind: freeze, from: 2020-03-15, until: event.day}]
    table:
      columns: [{when: a, type: integer}, {set: b, type: date}]
      rows: [["<= 3", 2020-03-15], [4, 2020-03-16]]
"""


def test_a_policy_published_as_json_loads_to_the_same_policy() -> None:
    policy = Policy.model_validate(data_of(RICH))
    document = json.loads(json.dumps(policy.model_dump(mode="json", by_alias=True)))
    again = Policy.model_validate(document)
    assert again == policy
    assert again.model_dump(mode="json", by_alias=True) == document
    assert str(again.parameters["share"]) == "7.50"
    assert again.parameters["day"] == date(2020, 3, 15)
    assert again.parameters["text"] == "2020-03-15"
    assert again.effective.until == date(2021, 1, 1)
    assert isinstance(again.effective.from_, datetime)
    assert again.effective.from_ == datetime(2020, 3, 15, 6, tzinfo=UTC)


CONSTANTS = (
    st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.text(min_size=1, max_size=20)
    | st.lists(st.text(min_size=1, max_size=5), max_size=3)
)
PARAMETERS: TypeAdapter[Any] = TypeAdapter(dict[str, Parameter])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=3), CONSTANTS | st.dictionaries(st.dates(), CONSTANTS, min_size=1, max_size=3)
    )
)
def test_parameters_keep_value_type_and_digits_through_json(parameters: dict[str, Any]) -> None:
    read = PARAMETERS.validate_python(parameters)
    again = PARAMETERS.validate_python(json.loads(json.dumps(PARAMETERS.dump_python(read, mode="json"))))
    assert repr(again) == repr(parameters)


def test_rows_as_text_are_the_same_table_as_rows_as_lists() -> None:
    columns = [{"when": "a", "type": "text"}, {"set": "b", "type": "flag"}]
    text = Table.model_validate({"columns": columns, "rows": '"a | b" | = x || y\n\n| - | true |\n'})
    lists = Table.model_validate({"columns": columns, "rows": [['"a | b"', "= x || y"], ["-", "true"]]})
    assert text == lists


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab|\"' \n=", max_size=40))
def test_each_cell_of_text_rows_stands_where_its_offset_says(text: str) -> None:
    for row in split_rows(text):
        for offset, cell in row:
            assert text[offset : offset + len(cell)] == cell
            assert cell == cell.strip()
