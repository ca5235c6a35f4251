"""The schemas that editors read: every key told, every shipped file good, the usual mistakes not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from jsonschema import Draft7Validator

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring import case_file, schema_words
from policyengine.authoring.case_expect import EXPECTATIONS
from policyengine.authoring.schema_export import for_editors
from policyengine.authoring.yaml_source import read_yaml
from policyengine.domain.policy import Policy
from policyengine.domain.remedies import REMEDY_KINDS

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "rules").rglob("*.yaml"))
CATALOGUE = load_catalogue([shipped_schemas()])
SCHEMAS = {name: orjson.loads(content) for name, content in for_editors(CATALOGUE).items()}
POLICY, CASES = SCHEMAS["policy.schema.json"], SCHEMAS["cases.schema.json"]
VALIDATORS = {name: jsonschema_rs.Draft7Validator(schema) for name, schema in SCHEMAS.items()}
# choices that say all there is to say, and lists that no one reads from top to bottom
UNTOLD = {"none", "Africa/Abidjan", *REMEDY_KINDS, "applied"}


def name_of(file: str) -> str:
    return "cases.schema.json" if file.endswith(".cases.yaml") else "policy.schema.json"


def as_json(data: Any) -> Any:
    """What an editor makes of YAML: a date is text there."""
    if isinstance(data, dict):
        return {str(key): as_json(value) for key, value in data.items()}
    if isinstance(data, list):
        return [as_json(item) for item in data]
    if isinstance(data, date):
        return data.isoformat()
    return float(data) if isinstance(data, Decimal) else data


def faults(text: str, file: str) -> list[str]:
    document, _ = read_yaml(text.encode(), file)
    assert document is not None
    return [error.message for error in VALIDATORS[name_of(file)].iter_errors(as_json(document.data))]


def parts(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, but those that only ask which of two holds."""
    if isinstance(schema, dict):
        yield path, schema
        for key, value in schema.items():
            if key in {"properties", "patternProperties", "definitions"}:
                for name, inner in value.items():
                    yield from parts(inner, f"{path}/{key}/{name}")
            elif key not in {"if", "dependencies", "enum", "examples"}:
                yield from parts(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, item in enumerate(schema):
            yield from parts(item, f"{path}/{number}")


@pytest.mark.parametrize("name", SCHEMAS)
class TestEveryKey:
    def test_it_is_draft_7_which_editors_read(self, name: str) -> None:
        Draft7Validator.check_schema(SCHEMAS[name])
        assert SCHEMAS[name]["$schema"] == "http://json-schema.org/draft-07/schema#"
        text = orjson.dumps(SCHEMAS[name]).decode()
        for newer in ("$defs", "discriminator", "prefixItems", "unevaluatedProperties", "``"):
            assert newer not in text

    def test_says_what_it_is(self, name: str) -> None:
        for path, part in parts(SCHEMAS[name]):
            for key, field in part.get("properties", {}).items():
                assert field.get("description"), f"{path}/{key}"

    def test_says_of_each_choice_what_it_means(self, name: str) -> None:
        for path, part in parts(SCHEMAS[name]):
            choices = part.get("enum", [])
            if choices and "enumDescriptions" in part:
                assert all(part["enumDescriptions"]), path
                assert len(part["enumDescriptions"]) == len(choices), path
            elif choices and "definitions/event." not in path and "/World/" not in path:
                assert choices[0] in UNTOLD, path

    def test_leads_to_a_definition_that_is_there(self, name: str) -> None:
        for _, part in parts(SCHEMAS[name]):
            if "$ref" in part:
                assert part["$ref"].removeprefix("#/definitions/") in SCHEMAS[name]["definitions"]


class TestWhatThereIs:
    def test_every_key_of_a_policy_and_every_remedy_and_field(self) -> None:
        assert set(POLICY["properties"]) == {
            field.alias or name for name, field in Policy.model_fields.items()
        }
        for kind, model in REMEDY_KINDS.items():
            known = POLICY["definitions"][model.__name__]["properties"]
            assert set(known) == {field.alias or name for name, field in model.model_fields.items()}, kind

    def test_every_event_and_entity_type_of_the_catalogue(self) -> None:
        on = POLICY["definitions"]["EventType"]["enum"]
        assert {"booking.cancelled", "crisis.phase_began", "offer.expired"} <= set(on)
        assert "clock.ticked" not in on  # it reaches nobody
        assert "booking" in POLICY["definitions"]["Rule"]["properties"]["for"]["enum"]
        assert "facility" not in POLICY["definitions"]["Rule"]["properties"]["for"]["enum"]
        assert "crisis.declared" not in POLICY["definitions"]["FollowUp"]["properties"]["event"]["enum"]
        assert set(CASES["definitions"]["Step"]["properties"]) == set(CATALOGUE.events)

    def test_every_key_of_a_file_of_cases(self) -> None:
        assert set(CASES["properties"]) == set(case_file._FILE_KEYS)
        assert set(CASES["definitions"]["Case"]["properties"]) == set(case_file._CASE_KEYS)
        assert set(CASES["definitions"]["Expect"]["properties"]) == set(EXPECTATIONS)
        assert set(schema_words.ENVELOPE) == set(case_file._ENVELOPE)
        assert set(schema_words.ACCEPTED) == set(case_file._ACCEPTED_KEYS)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: f"{file.parent.name}/{file.name}")
class TestShipped:
    def test_files_are_good_and_name_their_schema(self, file: Path) -> None:
        text = file.read_text("utf-8")
        assert faults(text, file.name) == []
        first = text.partition("\n")[0]
        found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert found is not None
        assert (file.parent / found[1]).resolve() == ROOT / "schemas" / name_of(file.name)


GOOD = """\
policy: travel/half-back
version: 1
title: {en: Half back}
owner: care@travel.example
basis: goodwill
effective: {from: 2020-01-01, by: booking.made_at}
currency: ILS
timezone: Asia/Jerusalem
crisis: {kind: pandemic, phases: [onset], regions: [IL]}
cap: {count: 2, per: customer, period: 30 days}
rules:
  - id: half
    on: booking.cancelled
    table:
      columns:
        - {when: booking.nights, type: integer}
        - {set: share, type: integer}
      rows: [["<= 3", 50]]
    grant:
      - kind: refund
        amount: percent(booking.paid, row.share)
    follow_up:
      - {at: 2020-12-31, event: booking.completed}
"""
MISTAKES = [
    ("version: 1", "version: one"),
    ("version: 1", "version: 1.5"),
    ("basis: goodwill", "basis: kindness"),
    ("owner: care@travel.example\n", ""),
    ("title: {en: Half back}", "title: Half back"),
    ("currency: ILS", "currency: NIS"),
    ("currency: ILS", "curency: ILS"),
    ("timezone: Asia/Jerusalem", "timezone: Jerusalem"),
    ("from: 2020-01-01", "from: 01/01/2020"),
    ("from: 2020-01-01", "form: 2020-01-01"),
    ("phases: [onset]", "phases: [start]"),
    ("regions: [IL]", "regions: [Israel]"),
    ("period: 30 days", "period: monthly"),
    ("count: 2", "count: 2, amount: 5 ILS"),
    ("on: booking.cancelled", "on: booking.canceled"),
    ("on: booking.cancelled", "on: booking.cancelled\n    for: bookings"),
    ("kind: refund", "kind: refnd"),
    ("        amount: percent(booking.paid, row.share)", "        amuont: percent(booking.paid, row.share)"),
    ("        amount: percent(booking.paid, row.share)", "        amount: 100"),
    ("        amount: percent(booking.paid, row.share)", "        due: 2020-12-31"),
    ("type: integer}\n        - {set", "type: number}\n        - {set"),
    ("event: booking.completed", "event: crisis.declared"),
    ("policy: travel/half-back", "policy: Half back"),
    ("    grant:\n      - kind: refund", "    given:\n      - kind: refund"),
]  # fmt: skip
GOOD_CASES = """\
policy: travel/half-back
cases:
  - name: half
    given:
      - booking.made: {at: 2020-01-02T08:00:00Z, booking_id: b1, kind: hotel, starts_on: 2020-05-01, price: 9 ILS, paid: 8 ILS}
      - booking.cancelled: {at: "${at}", booking_id: b1, cancelled_because: crisis}
    examples: [{at: "2020-03-01T00:00:00Z"}]
    expect:
      outcome: granted
      remedies: [{kind: refund, amount: 4 ILS, rule: half}]
    later:
      - {on: 2020-05-02, happens: booking.completed, expect: {rules: [half]}}
      - none
"""
CASE_MISTAKES = [
    ("cases:\n", "case:\n"),
    ("name: half", "nmae: half"),
    ("booking.made", "booking.mad"),
    ("at: 2020-01-02T08:00:00Z, ", ""),
    ("kind: hotel", "kind: hostel"),
    ("price: 9 ILS", "price: 9"),
    ("booking_id: b1, kind", "booking: b1, kind"),
    ("starts_on: 2020-05-01", "starts_on: 1 May"),
    ("outcome: granted", "outcome: grant"),
    ("kind: refund", "kind: refunded"),
    ("amount: 4 ILS", "value: 4 ILS"),
    ("    expect:", "    expects:"),
    ("    later:", "    latr:"),
    ("on: 2020-05-02", "on: 2 May"),
    ("on: 2020-05-02, ", ""),
    ("happens: booking.completed", "happens: booking.complete"),
    ("happens: booking.completed", "event: booking.completed"),
    ("expect: {rules: [half]}", "expect: {after: 1, rules: [half]}"),
    ("      - none", "      - nothing"),
]


class TestMistakes:
    def test_what_is_right_passes(self) -> None:
        assert faults(GOOD, "x.v1.yaml") == []
        assert faults(GOOD_CASES, "x.cases.yaml") == []

    @pytest.mark.parametrize(("right", "wrong"), MISTAKES)
    def test_in_a_policy_are_marked(self, right: str, wrong: str) -> None:
        assert right in GOOD
        assert faults(GOOD.replace(right, wrong, 1), "x.v1.yaml")

    @pytest.mark.parametrize(("right", "wrong"), CASE_MISTAKES)
    def test_in_cases_are_marked(self, right: str, wrong: str) -> None:
        assert right in GOOD_CASES
        assert faults(GOOD_CASES.replace(right, wrong, 1), "x.cases.yaml")
