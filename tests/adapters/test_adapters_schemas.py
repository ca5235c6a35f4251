"""Folders of schema files: what a tenant may add, and where each fault is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine.adapters.schemas import LARGEST_FILE, load_catalogue, shipped_schemas
from policyengine.domain.schema import DIALECT, read_catalogue
from policyengine.errors import CatalogueError, Finding, UsageError

CUSTOMER = {
    "$schema": DIALECT,
    "$id": "entities/customer",
    "title": "customer",
    "description": "a person",
    "type": "object",
    "x-entity": "customer",
    "properties": {"name": {"type": "string", "description": "how we call them"}},
}
JOINED = {
    "$schema": DIALECT,
    "$id": "events/customer.joined",
    "title": "customer.joined",
    "description": "a person becomes a customer",
    "type": "object",
    "x-entity": "customer",
    "properties": {"name": {"type": "string", "description": "how we call them"}},
    "required": ["name"],
    "additionalProperties": False,
}


def write(folder: Path, name: str, document: object) -> Path:
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document, indent=2, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "entities/customer", CUSTOMER)
    write(tmp_path, "events/customer.joined", JOINED)
    return tmp_path


def findings(*folders: Path) -> list[Finding]:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folders)
    return caught.value.findings


def test_the_shipped_schemas_are_sound_and_describe_every_property() -> None:
    catalogue = load_catalogue([shipped_schemas()])
    assert "booking.made" in catalogue.events
    assert "customer" in catalogue.entities
    for kind in (*catalogue.events.values(), *catalogue.entities.values()):
        assert kind.description
        assert all(attribute.description for attribute in kind.attributes.values())


def test_a_recorded_catalogue_is_read_again_without_files() -> None:
    catalogue = load_catalogue([shipped_schemas()])
    recorded = json.loads(json.dumps(dict(catalogue.documents)))
    assert read_catalogue(recorded) == catalogue


def test_a_tenant_adds_types_with_a_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    moved = JOINED | {"$id": "events/customer.moved", "title": "customer.moved"}
    write(ours, "events/customer.moved", moved)
    catalogue = load_catalogue([folder, ours])
    assert sorted(catalogue.events) == ["customer.joined", "customer.moved"]


def test_the_same_folder_twice_adds_nothing(folder: Path) -> None:
    assert load_catalogue([folder, folder]) == load_catalogue([folder])


def test_a_type_defined_in_two_files_is_an_error_that_names_both(folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "ours", "events/again", JOINED)
    [finding] = findings(folder, tmp_path / "ours")
    assert (finding.file, finding.line, finding.column, finding.code) == (str(path), 4, 3, "PE019")
    assert "customer.joined.json" in finding.hint


def test_a_fault_is_found_at_its_line_and_column(folder: Path) -> None:
    path = write(
        folder,
        "events/customer.paid",
        "\n".join(
            (
                "{",
                f'  "$schema": "{DIALECT}",',
                '  "title": "customer.paid", "description": "paid",',
                '  "type": "object",',
                '\t"properties": {"sum": {"$ref": "money", "description": "a, \\"b\\": {\\u05d0"},',
                '    "rate" : {"type":',
                '      "number", "description": "x"}, "tags": {"type": "array",',
                '      "items": {"type": "string", "patern": "x"}, "description": "y"}}',
                "}",
            )
        ),
    )
    hint = 'use integer, or {"$ref": "money"} for an amount; floats lose money'
    assert [str(finding) for finding in findings(folder)] == [
        f"{path}:6:15: PE013 property `rate` cannot be of type `number`; {hint}",
        f"{path}:8:35: PE012 unknown key `patern`; did you mean `pattern`?",
    ]


def test_all_faults_of_all_folders_are_reported_at_once(folder: Path, tmp_path: Path) -> None:
    write(folder, "events/a", "{")
    write(folder, "events/b", JOINED | {"title": "b", "$id": "events/b", "x-entty": "customer"})
    write(tmp_path / "ours", "entities/c", CUSTOMER | {"title": "C", "$id": "entities/C", "x-entity": "C"})
    write(tmp_path / "ours", "events/d", '{"title": "d", "title": "d"}')
    assert [(Path(each.file).stem, each.code) for each in findings(folder, tmp_path / "ours")] == [
        ("a", "PE001"),
        ("b", "PE012"),
        ("c", "PE014"),
        ("d", "PE006"),
    ]


@pytest.mark.parametrize(
    ("raw", "place", "code"),
    [
        (b"", (1, 1), "PE001"),
        (b'{\n "a": tru }', (2, 10), "PE001"),
        (b'{\n "a": 1,\n "a": 2\n}', (3, 6), "PE006"),
        (b'\xef\xbb\xbf{"a": 1}', (1, 1), "PE001"),
        (b'{\n"a": "\xff"}', (2, 1), "PE001"),
        (b"[" * 1000 + b"]" * 1000, (1, 202), "PE005"),
        (b" " * (LARGEST_FILE + 1), (0, 0), "PE005"),
        (b"[]", (1, 1), "PE010"),
        (b'{"x": NaN}', (1, 7), "PE001"),
    ],
)
def test_what_is_no_json_object_is_a_finding(
    folder: Path, raw: bytes, place: tuple[int, int], code: str
) -> None:
    (folder / "events" / "faulty.json").write_bytes(raw)
    finding = findings(folder)[0]
    assert ((finding.line, finding.column), finding.code) == (place, code)
    assert finding.file.endswith("faulty.json")


def test_a_folder_without_schemas_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither events/ nor entities/"):
        load_catalogue([tmp_path])
    with pytest.raises(UsageError, match="neither events/ nor entities/"):
        load_catalogue([tmp_path / "missing"])


def test_the_order_of_folders_changes_nothing(folder: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    document: dict[str, Any] = CUSTOMER | {"$id": "entities/pool", "title": "pool", "x-entity": "pool"}
    write(ours, "entities/pool", document)
    assert load_catalogue([folder, ours]) == load_catalogue([ours, folder])


REGIONS = {"world": {"parent": None}, "IL": {"parent": "world", "timezone": "Asia/Jerusalem"}}


def test_a_tenant_adds_regions_with_a_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    write(folder, "regions", REGIONS)
    ours = tmp_path / "ours"
    write(ours, "regions", {"haifa": {"parent": "IL"}})
    catalogue = load_catalogue([folder, ours])
    assert sorted(catalogue.regions) == ["IL", "haifa", "world"]
    assert load_catalogue([ours, folder]) == catalogue
    assert read_catalogue(catalogue.documents) == catalogue


def test_a_fault_in_regions_is_found_at_its_line_and_column(folder: Path) -> None:
    path = write(folder, "regions", REGIONS | {"haifa": {"parent": "ILL", "timezone": "Asia/Jerusalm"}})
    assert [str(finding) for finding in findings(folder)] == [
        f"{path}:10:5: PE015 unknown region `ILL`; did you mean `IL`?",
        f"{path}:11:5: PE010 unknown time zone `Asia/Jerusalm`; did you mean `Asia/Jerusalem`?",
    ]
