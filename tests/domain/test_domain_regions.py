"""Regions nest, and each has a time zone; the shipped ones are complete."""

from __future__ import annotations

from datetime import UTC
from importlib.resources import files

import pytest
from support import catalogue

from policyengine.domain.calendar import time_zone
from policyengine.domain.catalogue import Attribute, EntityType, Region, Scope
from policyengine.domain.regions import chain, region_of, suggestion, within, zone_of
from policyengine.domain.values import ValueType

REGIONS = {
    "world": Region(None),
    "IL": Region("world", "Asia/Jerusalem", {"en": "Israel", "he": "ישראל"}),
    "haifa": Region("IL", names={"en": "Haifa District", "he": "מחוז חיפה"}),
    "hadera": Region("haifa", names={"en": "Hadera", "he": "חדרה"}),
    "US": Region("world", "America/New_York"),
    "US-CA": Region("US", "America/Los_Angeles"),
}


def test_a_city_lies_in_a_district_a_district_in_a_country_and_that_in_the_world() -> None:
    assert chain(REGIONS, "hadera") == ("hadera", "haifa", "IL", "world")
    assert chain(REGIONS, "world") == ("world",)
    assert chain(REGIONS, "atlantis") == ()


@pytest.mark.parametrize(
    ("code", "region", "expected"),
    [
        ("hadera", "IL", True),
        ("hadera", "hadera", True),
        ("IL", "hadera", False),
        ("hadera", "US", False),
        ("US-CA", "world", True),
        ("atlantis", "atlantis", False),
    ],
)
def test_what_lies_in_what(code: str, region: str, expected: bool) -> None:
    assert within(REGIONS, code, region) is expected


@pytest.mark.parametrize(
    ("code", "zone"),
    [("hadera", "Asia/Jerusalem"), ("US-CA", "America/Los_Angeles"), ("US", "America/New_York")],
)
def test_a_region_without_a_time_zone_has_that_of_the_region_around_it(code: str, zone: str) -> None:
    assert zone_of(REGIONS, code) is time_zone(zone)


@pytest.mark.parametrize("code", ["world", "atlantis", None])
def test_where_no_zone_is_known_days_are_those_of_utc(code: str | None) -> None:
    assert zone_of(REGIONS, code) is UTC


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("haiffa", "did you mean `haifa`?"),
        ("HAIFA", "did you mean `haifa`?"),
        ("israel", "did you mean `IL`?"),
        ("חדרה", "did you mean `hadera`?"),
        ("a place nobody knows", "regions.json lists the regions there are"),
    ],
)
def test_what_was_meant_is_found_by_spelling_and_by_name(wanted: str, hint: str) -> None:
    assert suggestion(REGIONS, wanted) == hint


def test_the_region_of_something_is_its_first_place_by_name() -> None:
    places = {name: Attribute(name, ValueType.TEXT, place=True) for name in ("region", "country")}
    kind = EntityType("crisis", "", {**places, "name": Attribute("name", ValueType.TEXT)}, Scope.WORLD)
    assert region_of(kind, {"region": "haifa", "country": "IL", "name": "US"}) == "IL"
    assert region_of(kind, {"region": "haifa"}) == "haifa"
    assert region_of(kind, {"name": "US"}) is None


class TestShippedRegions:
    def test_every_country_of_iso_3166_is_there_with_its_names(self) -> None:
        table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text("utf-8")
        codes = {line.split("\t")[0] for line in table.splitlines() if line and not line.startswith("#")}
        regions = catalogue().regions
        assert {code for code, region in regions.items() if region.parent == "world"} == codes
        assert len(codes) == 249
        assert all(set(region.names) == {"en", "he"} for region in regions.values())

    def test_every_country_where_people_live_has_a_time_zone(self) -> None:
        regions = catalogue().regions
        nowhere = [code for code, region in regions.items() if region.parent == "world" and not region.zone]
        assert nowhere == ["BV", "HM"]  # two islands without inhabitants

    @pytest.mark.parametrize(
        ("code", "around"),
        [
            ("bnei-brak", ("bnei-brak", "tel-aviv", "IL", "world")),
            ("eilat", ("eilat", "south", "IL", "world")),
            ("IT-25", ("IT-25", "IT", "world")),
            ("DE-BY", ("DE-BY", "DE", "world")),
            ("US-NY", ("US-NY", "US", "world")),
        ],
    )
    def test_cities_districts_and_states_lie_where_they_lie(self, code: str, around: tuple[str, ...]) -> None:
        assert chain(catalogue().regions, code) == around
