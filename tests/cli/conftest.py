"""A place of its own for each test of the command line, and a ledger that is made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.commands import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder in which `run` has decided everything, in batches of three."""
    place = Place(tmp_path_factory.mktemp("made"))
    assert place.run("--batch-size", 3, POLICYENGINE_LOG_LEVEL="error").code == 0
    return place


@pytest.fixture
def decided(made: Place, place: Place) -> Place:
    """A copy of it."""
    shutil.copytree(made.folder, place.folder, dirs_exist_ok=True)
    return place
