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

_FINGERPRINT_BYTES = 65_536


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
        stream.seek(offset)
        yield LineSource(stream, offset)


def fingerprint_of(path: Path, offset: int) -> bytes:
    """What the first bytes up to ``offset`` (at most 64 KiB) are, to know the file again."""
    with path.open("rb") as stream:
        return sha256(stream.read(min(offset, _FINGERPRINT_BYTES))).digest()


class JsonLinesSink:
    """A file of JSON lines that continues exactly where it was committed.

    ``position`` is the file's size after the last line that counts. Opening it cuts off what was
    written but not committed, so a line is never there twice.
    """

    def __init__(self, path: Path, position: bytes) -> None:
        self._path = path
        size = int.from_bytes(position, "big") if position else None
        try:
            self._stream = path.open("r+b" if path.exists() else "w+b")
        except OSError as error:
            message = f"cannot write {path}: {error.strerror}"
            raise UsageError(message) from error
        self._stream.seek(0, 2)
        if size is not None:
            if self._stream.tell() < size:
                message = (
                    f"{path} does not hold the {size} bytes that this ledger published before; "
                    "name the file of the earlier runs"
                )
                raise UsageError(message)
            self._stream.truncate(size)
            self._stream.seek(size)

    def write(self, lines: list[bytes]) -> bytes:
        """Append lines, on disk when this returns; the position after them."""
        self._stream.write(b"".join(line + b"\n" for line in lines))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._stream.tell().to_bytes(8, "big")

    def close(self) -> None:
        """Give the file back."""
        self._stream.close()
