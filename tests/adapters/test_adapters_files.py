"""Files of events that are known again, and files of JSON lines that hold each line once."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.adapters.files import JsonLinesSink, LineSource, fingerprint_of, input_name, open_events
from policyengine.domain.events import Record
from policyengine.errors import UsageError


def read(raw: bytes, size: int = 500) -> list[list[Record]]:
    return list(LineSource(BytesIO(raw), 0).batches(size))


def rest(path: Path, offset: int, fingerprint: bytes = b"") -> list[bytes]:
    with open_events(path, offset, fingerprint) as source:
        return [record.raw for batch in source.batches(10) for record in batch]


class TestLines:
    def test_a_record_ends_with_its_newline_and_says_where_the_next_begins(self) -> None:
        assert read(b"a\nbc\r\n\nd") == [
            [Record(b"a", 2), Record(b"bc", 6), Record(b"", 7), Record(b"d", 8)],
        ]

    def test_batches_hold_as_many_as_they_may(self) -> None:
        assert [len(batch) for batch in read(b"x\n" * 7, 3)] == [3, 3, 1]
        assert [len(batch) for batch in read(b"x\n" * 6, 3)] == [3, 3]
        assert read(b"") == []

    def test_nothing_but_the_newline_is_stripped(self) -> None:
        assert read(b" \x0b\x0ca\x1c\x85\t \r\r\n")[0][0].raw == b" \x0b\x0ca\x1c\x85\t \r"

    @settings(max_examples=100, deadline=None)
    @given(
        lines=st.lists(st.binary(max_size=8).filter(lambda raw: b"\n" not in raw and not raw.endswith(b"\r")))
    )
    def test_every_record_can_be_gone_on_from(self, lines: list[bytes]) -> None:
        raw = b"".join(line + b"\n" for line in lines)
        records = [record for batch in read(raw) for record in batch]
        assert [record.raw for record in records] == lines
        for number, record in enumerate(records):
            stream = BytesIO(raw)
            stream.seek(record.offset)
            assert [
                one for batch in LineSource(stream, record.offset).batches(9) for one in batch
            ] == records[number + 1 :]


class TestEventsFile:
    def test_it_goes_on_where_it_was_left(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"one\ntwo\n")
        assert rest(path, 4, fingerprint_of(path, 4)) == [b"two"]

    def test_a_file_that_has_grown_is_the_same_file(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"one\n" * 20_000)
        known = fingerprint_of(path, 40_000)
        path.write_bytes(b"one\n" * 30_000)
        assert len(rest(path, 40_000, known)) == 20_000  # (120,000 - 40,000) bytes / 4

    @pytest.mark.parametrize(("ending", "newline"), [(b"\n", b""), (b"", b"\n"), (b"", b"\r\n")])
    def test_a_last_line_that_had_no_newline_may_get_one_later(
        self, tmp_path: Path, ending: bytes, newline: bytes
    ) -> None:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"one" + ending)
        offset = path.stat().st_size
        path.write_bytes(b"one" + ending + newline + b"two\n\nthree")
        assert rest(path, offset) == [b"two", b"", b"three"]

    @pytest.mark.parametrize("place", [0, 16_383, 29_000, 39_999])
    def test_another_file_under_the_name_is_refused(self, tmp_path: Path, place: int) -> None:
        path = tmp_path / "events.jsonl"
        raw = bytearray(b"0123456\n" * 5_000)
        path.write_bytes(raw)
        known = fingerprint_of(path, 40_000)
        raw[place] ^= 1
        path.write_bytes(raw)
        with pytest.raises(UsageError, match="is not the file that this ledger has read up to byte 40000"):
            rest(path, 40_000, known)

    def test_a_file_that_shrank_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "events.jsonl"
        path.write_bytes(b"one\n")
        with pytest.raises(UsageError, match="give the new file another name"):
            rest(path, 8)

    def test_a_file_that_cannot_be_read_is_a_wrong_argument(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"cannot read events from .*none.jsonl: No such file"):
            rest(tmp_path / "none.jsonl", 0)
        with pytest.raises(UsageError, match="Is a directory"):
            rest(tmp_path, 0)


class TestSink:
    def test_lines_are_appended_and_the_position_leads_back(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        sink = JsonLinesSink(path, b"")
        position = sink.write([b"1", b"2"])
        sink.write([b"3"])
        sink.close()
        assert path.read_bytes() == b"1\n2\n3\n"
        again = JsonLinesSink(path, position)  # 3 was written but not marked
        again.write([b"three"])
        again.close()
        assert path.read_bytes() == b"1\n2\nthree\n"

    def test_a_new_channel_leaves_what_the_file_holds_already(self, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        path.write_bytes(b"older\n")
        sink = JsonLinesSink(path, b"")
        position = sink.position
        sink.write([b"1"])
        sink.close()
        JsonLinesSink(path, position).close()
        assert path.read_bytes() == b"older\n"

    @pytest.mark.parametrize("content", [b"", b"1\n", b"another file, and a longer one\n"])
    def test_a_file_that_was_not_written_here_is_refused_and_left_alone(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "out.jsonl"
        sink = JsonLinesSink(path, b"")
        position = sink.write([b"1", b"2"])
        sink.close()
        path.write_bytes(content)
        with pytest.raises(UsageError, match="does not hold the 4 bytes that this ledger published before"):
            JsonLinesSink(path, position)
        assert path.read_bytes() == content

    def test_a_file_that_cannot_be_written_is_a_wrong_argument(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"cannot write .*: Is a directory"):
            JsonLinesSink(tmp_path, b"")
        with pytest.raises(UsageError, match=r"cannot write .*: No such file or directory"):
            JsonLinesSink(tmp_path / "none" / "out.jsonl", b"")

    def test_a_full_disk_is_told(self) -> None:
        sink = JsonLinesSink(Path("/dev/full"), b"")
        with pytest.raises(UsageError, match="cannot write /dev/full: No space left on device"):
            sink.write([b"1"])
        sink.close()


def test_a_file_is_named_without_its_folder_and_told_from_its_namesakes(tmp_path: Path) -> None:
    one, other = tmp_path / "dana" / "events.jsonl", tmp_path / "omer" / "events.jsonl"
    assert input_name(one) != input_name(other)
    assert input_name(one).startswith("events.jsonl#")
    assert "dana" not in input_name(one)
    assert input_name(one) == input_name(tmp_path / "omer" / ".." / "dana" / "events.jsonl")
