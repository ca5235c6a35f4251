"""The command line called in this process: arguments in, exit code and both streams out."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import structlog

from policyengine.cli.main import main
from tests.service.runs import HALF, STREAM


@dataclass(frozen=True)
class Result:
    """What a command left: data on stdout, messages on stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as one JSON document."""
        return orjson.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """Stdout as JSON lines."""
        return [orjson.loads(line) for line in self.out.splitlines()]

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Stderr as JSON lines."""
        return [orjson.loads(line) for line in self.err.splitlines()]


def call(*arguments: object, stdin: bytes = b"", **variables: str) -> Result:
    """Call the real entry point; of the environment, only ``variables`` configure it."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("POLICYENGINE_")}
    with (
        patch.object(sys, "argv", ["policyengine", *map(str, arguments)]),
        patch.object(sys, "stdin", TextIOWrapper(BytesIO(stdin))),
        patch.dict(os.environ, {**plain, **variables}, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        finally:
            structlog.reset_defaults()
            out.flush()
            err.flush()
    return Result(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Place:
    """A folder with rules, events and a ledger of its own."""

    folder: Path

    @property
    def rules(self) -> Path:
        """One policy: half of what was paid for a cancelled booking goes back."""
        made = self.folder / "rules"
        if not made.exists():
            self.policy(HALF)
        return made

    def policy(self, text: str, name: str = "policy.v1.yaml", folder: str = "rules") -> Path:
        """Write a policy file; its folder."""
        (self.folder / folder).mkdir(exist_ok=True)
        (self.folder / folder / name).write_text(text, "utf-8")
        return self.folder / folder

    @property
    def events(self) -> Path:
        """Eight events of one customer, a duplicate, a conflict and two bad lines."""
        return self.file("events.jsonl", STREAM)

    def file(self, name: str, raw: bytes) -> Path:
        """Write a file unless it is there."""
        path = self.folder / name
        if not path.exists():
            path.write_bytes(raw)
        return path

    @property
    def database(self) -> Path:
        """The ledger's file."""
        return self.folder / "ledger.db"

    @property
    def ledger(self) -> str:
        """The ledger's URL."""
        return f"sqlite:///{self.database}"

    def run(self, *more: object, **keys: Any) -> Result:
        """`run` with rules, ledger and events of this place."""
        return call(
            "run", "--rules", self.rules, "--ledger", self.ledger, "--events", self.events, *more, **keys
        )

    def sql(self, *statements: str) -> None:
        """Change the ledger behind the engine's back."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            for statement in statements:
                assert connection.execute(statement).rowcount > 0, statement

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Look into the ledger."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query).fetchall()


def is_one_clear_line(result: Result, code: int, *texts: str) -> bool:
    """An error as people want it: this exit code, nothing on stdout, one line on stderr that says all this."""
    assert result.code == code, result
    assert result.out == "", result.out
    assert len(result.err.splitlines()) == 1, result.err
    for text in texts:
        assert text in result.err
    return "Traceback" not in result.err
