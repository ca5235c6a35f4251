"""`simulate-stream`: the made-up year as a file, or as lines on standard output."""

from __future__ import annotations

from pathlib import Path

from policyengine.service.stream import generate
from tests.cli.commands import Place, call, is_one_clear_line


def test_standard_output_gets_the_lines_and_nothing_else(place: Place) -> None:
    result = call("simulate-stream", "--customers", 5, "--seed", 7, "--events", 40)
    assert (result.code, result.err) == (0, "")
    assert result.out.count("\n") == 40


def test_a_file_gets_the_same_bytes_for_the_same_seed(place: Place) -> None:
    arguments = ("simulate-stream", "--customers", 5, "--seed", 7, "--events", 40, "--out")
    assert call(*arguments, "year.jsonl").out == "40 events in year.jsonl\n"
    assert Path("year.jsonl").read_bytes() == b"".join(line + b"\n" for line in generate(7, 5, 40))
    assert call(*arguments, "again.jsonl", "--format", "json").json == {
        "customers": 5,
        "events": 40,
        "file": "again.jsonl",
        "seed": 7,
    }
    assert Path("again.jsonl").read_bytes() == Path("year.jsonl").read_bytes()


def test_a_file_that_cannot_be_written_is_said_in_a_line(place: Place) -> None:
    result = call("simulate-stream", "--customers", 1, "--events", 1, "--out", "no/such/folder.jsonl")
    assert is_one_clear_line(result, 2, "cannot write to no/such/folder.jsonl")
