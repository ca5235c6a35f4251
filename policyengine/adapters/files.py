"""Files and standard input as streams of lines, and JSON lines as a sink."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from policyengine.domain.events import Record
from policyengine.errors import UsageError

_FINGERPRINT_BYTES = 16_384


def input_name(path: Path) -> str:
    """How headers and checkpoints name a file: its name, and a digest for the folder it lies in.

    A whole path would put the folder of somebody's home into headers, which hold no personal data.
    """
    return f"{path.name}#{sha256(bytes(path.resolve())).hexdigest()[:12]}"


class LineSource:
    """The lines of a stream from a byte offset on; a record's offset is the position after it.

    A line is whatever ends with a newline, or with the end of the stream; a carriage return
    before the newline goes too. Nothing else is stripped.
    """

    def __init__(self, stream: BinaryIO, offset: int) -> None:
        self._stream = stream
        self._offset = offset

    def batches(self, size: int) -> Iterator[list[Record]]:
        """Up to ``size`` records at a time."""
        batch: list[Record] = []
        for line in self._stream:
            self._offset += len(line)
            batch.append(Record(line.removesuffix(b"\n").removesuffix(b"\r"), self._offset))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch


@contextmanager
def open_events(path: Path, offset: int, fingerprint: bytes) -> Iterator[LineSource]:
    """Open a file where it was left; UsageError when it is not the file that was being read."""
    try:
        stream = path.open("rb")
    except OSError as error:
        message = f"cannot read events from {path}: {error.strerror}"
        raise UsageError(message) from error
    with stream:
        size = path.stat().st_size
        if offset > size or (offset and fingerprint and fingerprint_of(path, offset) != fingerprint):
            message = (
                f"{path} is not the file that this ledger has read up to byte {offset}; "
                "give the new file another name"
            )
            raise UsageError(message)
        if offset:
            offset = _after_newline(stream, offset)
        yield LineSource(stream, offset)


def _after_newline(stream: BinaryIO, offset: int) -> int:
    """Go to ``offset``, and over a newline that came after a last line was read without one."""
    stream.seek(offset - 1)
    before, after = stream.read(1), stream.read(2)
    if before != b"\n" and after.startswith((b"\n", b"\r\n")):
        offset += after.index(b"\n") + 1
    stream.seek(offset)
    return offset


def fingerprint_of(path: Path, offset: int) -> bytes:
    """By what a file is known again: a digest of the first and the last bytes before ``offset``."""
    with path.open("rb") as stream:
        first = stream.read(min(offset, _FINGERPRINT_BYTES))
        return sha256(first + _before(stream, offset, len(first))).digest()


def _before(stream: BinaryIO, offset: int, start: int) -> bytes:
    """The last bytes before ``offset``, of those from ``start`` on."""
    start = max(start, offset - _FINGERPRINT_BYTES)
    stream.seek(start)
    return stream.read(offset - start)


class JsonLinesSink:
    """A file of JSON lines that continues exactly where it was committed.

    ``position`` is the file's size after the last line that counts, and a digest of what stands
    before it. Opening the file cuts off what was written but not committed, so a line is never there
    twice; a file that was not written here before is refused, not cut.
    """

    def __init__(self, path: Path, position: bytes) -> None:
        self._path = path
        with self._refusals():
            self._stream = path.open("a+b", buffering=0)
        try:
            with self._refusals():
                self._size = self._stream.seek(0, os.SEEK_END)
                if position:
                    self._cut_back(position)
        except BaseException:
            self._stream.close()
            raise

    @property
    def position(self) -> bytes:
        """Where the file stands, in 8 bytes, and the digest of its end."""
        return self._size.to_bytes(8, "big") + sha256(_before(self._stream, self._size, 0)).digest()

    def _cut_back(self, position: bytes) -> None:
        there, self._size = self._size, int.from_bytes(position[:8], "big")
        if there < self._size or self.position != position:
            message = (
                f"{self._path} does not hold the {self._size} bytes that this ledger published before; "
                "name the file of the earlier runs"
            )
            raise UsageError(message)
        self._stream.truncate(self._size)

    def write(self, lines: list[bytes]) -> bytes:
        """Append lines, on disk when this returns; the position after them."""
        raw = b"".join(line + b"\n" for line in lines)
        with self._refusals():
            rest = memoryview(raw)
            while rest:
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        self._size += len(raw)
        return self.position

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror or error}"
            raise UsageError(message) from error

    def close(self) -> None:
        """Give the file back."""
        self._stream.close()
