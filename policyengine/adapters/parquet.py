"""Tables as files: Parquet with exact decimals, and CSV, written row by row.

What the tables are is the caller's. Money is decimal128(24, 4) in Parquet, which holds every amount of every
currency exactly, and a decimal string in CSV; nowhere a float.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Literal, Self

from policyengine.errors import UsageError

ColumnKind = Literal["text", "integer", "flag", "money"]
Columns = Sequence[tuple[str, ColumnKind]]
_ROWS = 10_000  # to a row group
_DIGITS, _SCALE = 24, 4


class TableFile:
    """`<name>.parquet` and `<name>.csv` in a folder; rows are lists in the order of the columns.

    Money comes and goes as decimal strings; None is null, and nothing between two commas.
    """

    def __init__(self, folder: Path, name: str, columns: Columns) -> None:
        self._arrow, self._parquet = _libraries()
        self._columns = columns
        self._rows: list[Sequence[Any]] = []
        self._schema = self._arrow.schema([(column, self._type(kind)) for column, kind in columns])
        self._writer = self._parquet.ParquetWriter(folder / f"{name}.parquet", self._schema)
        self._text = (folder / f"{name}.csv").open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow([column for column, _ in columns])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, row: Sequence[Any]) -> None:
        """Add a row."""
        self._csv.writerow(row)
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end of both files."""
        self._flush()
        self._writer.close()
        self._text.close()

    def _flush(self) -> None:
        if self._rows:
            arrays = [
                self._arrow.array([_value(kind, row[number]) for row in self._rows], type=self._type(kind))
                for number, (_, kind) in enumerate(self._columns)
            ]
            self._writer.write_table(self._arrow.table(arrays, schema=self._schema))
            self._rows = []

    def _type(self, kind: ColumnKind) -> Any:
        arrow = self._arrow
        types = {"text": arrow.string(), "integer": arrow.int64(), "flag": arrow.bool_()}
        return types.get(kind) or arrow.decimal128(_DIGITS, _SCALE)


def check_pyarrow() -> None:
    """UsageError where it is not installed."""
    _libraries()


def _value(kind: ColumnKind, value: Any) -> Any:
    return Decimal(value) if kind == "money" and value is not None else value


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        message = "Parquet needs pyarrow: pip install 'crisis-policy-engine[reports]'"
        raise UsageError(message) from error
    return pa, parquet
