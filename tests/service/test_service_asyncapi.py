"""The AsyncAPI document: it is one, and what it says of messages is true of messages.

`asyncapi-3.0.0.schema.json` is the specification's own JSON Schema, as the npm package `@asyncapi/specs`
6.11.1 has it (`schemas/3.0.0-without-$id.json`, Apache-2.0), unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.authoring.schema_export import generated
from policyengine.domain.catalogue import Scope
from policyengine.ledger.entries import Kind
from policyengine.service.announcements import DECIDED, REFUSED, decided, refused
from policyengine.service.asyncapi import Topics, document, rendered
from tests.service.runs import STREAM, entries, feed, half, opened, pipeline
from tests.support import booked, cancelled, catalogue, event, ils

OFFICIAL = Path(__file__).with_name("asyncapi-3.0.0.schema.json")
SHIPPED = Path(__file__).parents[2] / "schemas" / "asyncapi.json"
MODELS = {name: orjson.loads(content) for name, content in generated().items()}
SCHEMAS = (MODELS["envelope.schema.json"], MODELS["decision.schema.json"])
DOCUMENT = document(catalogue(), *SCHEMAS)


def payload(name: str) -> Any:
    """A validator of a message's payload, as the document describes it."""
    schema = {**DOCUMENT["components"]["messages"][name]["payload"], "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True)


def channel(name: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["channels"][name]
    return found


class TestTheDocument:
    def test_it_is_an_asyncapi_document_by_the_official_schema(self) -> None:
        official = jsonschema_rs.Draft7Validator(orjson.loads(OFFICIAL.read_bytes()))
        assert [str(error) for error in official.iter_errors(DOCUMENT)] == []

    def test_the_official_schema_is_strict(self) -> None:
        official = jsonschema_rs.Draft7Validator(orjson.loads(OFFICIAL.read_bytes()))
        assert not official.is_valid({**DOCUMENT, "topics": {}})
        assert not official.is_valid({**DOCUMENT, "asyncapi": "2.6.0"})

    def test_each_schema_in_it_is_one(self) -> None:
        for schema in DOCUMENT["components"]["schemas"].values():
            assert jsonschema_rs.meta.is_valid(
                {**schema, "$schema": "http://json-schema.org/draft-07/schema#"}
            )

    def test_every_reference_leads_somewhere(self) -> None:
        for reference in references(DOCUMENT):
            found: Any = DOCUMENT
            for step in reference.removeprefix("#/").split("/"):
                found = found[step]
            assert isinstance(found, dict)

    def test_everything_in_it_is_used(self) -> None:
        used = set(references(DOCUMENT))
        for kind in ("messages", "schemas"):
            assert {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]} <= used

    def test_the_shipped_file_is_fresh(self) -> None:
        assert SHIPPED.read_bytes() == rendered(catalogue(), *SCHEMAS)

    def test_topics_are_named_as_by_default(self) -> None:
        settings = KafkaSettings.model_fields
        assert Topics() == tuple(
            settings[f"{name}_topic"].default for name in ("customer", "world", "decision", "dead_letter")
        )
        assert [one["address"] for one in DOCUMENT["channels"].values()] == list(Topics())

    def test_topics_may_be_named_otherwise(self) -> None:
        named = document(catalogue(), *SCHEMAS, Topics(world="weather"))
        assert named["channels"]["worldEvents"]["address"] == "weather"
        assert named["channels"]["worldEvents"]["bindings"]["kafka"]["topic"] == "weather"


class TestChannels:
    @pytest.mark.parametrize(
        ("name", "scope"), [("customerEvents", Scope.CUSTOMER), ("worldEvents", Scope.WORLD)]
    )
    def test_events_go_where_their_scope_says(self, name: str, scope: Scope) -> None:
        wanted = {
            one for one, kind in catalogue().events.items() if kind.scope is scope and not kind.internal
        }
        assert set(channel(name)["messages"]) == wanted

    def test_the_engines_own_events_are_in_no_topic(self) -> None:
        assert catalogue().events["offer.expired"].internal
        assert "offer.expired" not in DOCUMENT["components"]["messages"]

    def test_what_comes_out(self) -> None:
        assert set(channel("policyDecisions")["messages"]) == {DECIDED}
        assert set(channel("deadLetters")["messages"]) == {REFUSED}

    def test_the_world_has_one_partition_that_is_kept_for_ever(self) -> None:
        kafka = channel("worldEvents")["bindings"]["kafka"]
        assert kafka["partitions"] == 1
        assert kafka["topicConfiguration"]["retention.ms"] == -1

    def test_the_engine_receives_events_and_sends_the_rest(self) -> None:
        assert {
            one["channel"]["$ref"].rpartition("/")[2]: one["action"] for one in DOCUMENT["operations"].values()
        } == {
            "customerEvents": "receive", "worldEvents": "receive",
            "policyDecisions": "send", "deadLetters": "send",
        }  # fmt: skip


class TestMessages:
    def test_events_are_as_it_says(self) -> None:
        assert payload("booking.made").is_valid(booked())
        assert payload("booking.cancelled").is_valid(cancelled())

    @pytest.mark.parametrize(
        "wrong",
        [
            {**booked(), "type": "booking.cancelled"},
            {**booked(), "data": {}},
            {key: item for key, item in booked().items() if key != "subject"},
            booked(paid={"amount": 12.5, "currency": "ILS"}),
            booked(paid={**ils("12.50"), "cents": "50"}),
            booked(starts_on="1 May"),
            booked(wifi=True),
        ],
        ids=["another type", "no data", "no subject", "money as number", "more than money", "no date", "unknown"],
    )  # fmt: skip
    def test_what_the_door_would_refuse_is_not(self, wrong: dict[str, Any]) -> None:
        assert not payload("booking.made").is_valid(wrong)

    def test_events_of_the_world_are_as_it_says(self) -> None:
        declared = event(
            "crisis.declared", "2020-03-10T08:00:00Z", "corona",
            crisis_id="corona", kind="pandemic", region="IL", onset_from="2020-03-01",
        )  # fmt: skip
        assert payload("crisis.declared").is_valid(declared)

    def test_decisions_and_dead_letters_are_as_it_says(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            feed(pipeline(store, half()), STREAM)
            decisions = [decided(entry) for entry in entries(store, Kind.DECISION)]
            letters = [refused(entry) for entry in entries(store, Kind.REJECTED)]
        assert (len(decisions), len(letters)) == (
            6,
            3,
        )  # 3 bookings and 3 cancellations; 3 refused
        for name, told in ((DECIDED, decisions), (REFUSED, letters)):
            headers = DOCUMENT["components"]["messages"][name]["headers"]
            of_the_event = {"content-type", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time"}
            for one in told:
                assert [str(error) for error in payload(name).iter_errors(one.event)] == []
                assert set(headers["required"]) - of_the_event == set(one.headers)


def references(found: Any) -> Iterator[str]:
    """Every `$ref` in it."""
    if isinstance(found, dict):
        for key, item in found.items():
            if key == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(found, list):
        for item in found:
            yield from references(item)
