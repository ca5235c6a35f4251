"""The page of the vocabulary names every type and attribute of the shipped catalogue, and is fresh."""

from __future__ import annotations

from pathlib import Path

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.authoring.vocabulary_page import always_there, vocabulary_page
from policyengine.engine.vocabulary import vocabulary

CATALOGUE = load_catalogue([shipped_schemas()])
PAGE = vocabulary_page(CATALOGUE)


def section(title: str) -> str:
    return PAGE.partition(f"\n### `{title}`\n")[2].partition("\n### ")[0]


def test_the_shipped_page_is_fresh() -> None:
    """`policyengine catalog --format markdown > docs/vocabulary.md` writes it."""
    page = Path(__file__).parents[2] / "docs" / "vocabulary.md"
    assert page.read_text("utf-8") == PAGE + "\n"


def test_every_name_that_a_rule_may_use_is_there() -> None:
    for event in CATALOGUE.events.values():
        about = section(event.name)
        assert event.description[1:] in about
        for name, attribute in event.attributes.items():
            mark = "*" if attribute.required else ""
            assert f"| `event.{name}`{mark} | {attribute.type}" in about, (event.name, name)
    for entity in CATALOGUE.entities.values():
        about = section(entity.name)
        for name, attribute in entity.attributes.items():
            assert f"| `{entity.name}.{name}` | {attribute.type}" in about
    listed = {name for name in vocabulary(CATALOGUE, []).terms if f"| `{name}` |" in PAGE}
    assert listed == set(vocabulary(CATALOGUE, []).terms)


def test_an_event_tells_what_it_does_to_its_entity() -> None:
    assert (
        "The booking is off. It concerns `booking` (`event.booking_id` is its id). It writes "
        "`booking.cancelled_because`, sets `booking.status = cancelled`, notes its time in `booking.cancelled_at`."
    ) in section("booking.cancelled")
    assert "which must be new" in section("crisis.declared")
    assert "the engine alone makes it" in section("offer.expired")


def test_an_entity_tells_what_changes_it() -> None:
    assert "Changed by `loan.deferral_requested`, `loan.started`." in section("loan")
    assert "It covers what lies in its region, and everything of those who live there" in section("crisis")


def test_what_is_always_there_is_what_the_language_declares() -> None:
    own = {"param.<name>", "row.<name>"}
    entities = {f"{name}." for name in CATALOGUE.entities}
    known = {
        name
        for name in vocabulary(CATALOGUE, []).terms
        if not any(name.startswith(entity) for entity in entities)
    }
    assert set(always_there()) - own == known | {"customer.id"}
