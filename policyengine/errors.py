"""Every error the engine raises, one tree; each has a stable code and says what to do.

::

    PolicyEngineError
    ├── UsageError              PE900  a wrong argument, a file that cannot be read
    │   └── PublishingError     PE73x  a policy set that was not approved, a key that may not approve
    ├── CatalogueError          PE0xx  a faulty schema file (carries findings)
    ├── PolicyError             PE0xx  a faulty policy folder (carries findings)
    ├── MoneyError              PE2xx  two currencies, too many decimals, out of range
    ├── CalendarError           PE21x  a date out of range, a country without a calendar
    ├── EvaluationError         PE22x  an expression that cannot be computed on these facts
    ├── LedgerError             PE70x  the store refuses: another writer, another input
    └── StreamError             PE72x  Kafka refuses, is away, or does not hold what was asked for
        └── FencedError         PE722  another writer publishes for the shard

What verification finds wrong is no exception but a ``ledger.faults.Fault`` (PE8xx).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


class PolicyEngineError(Exception):
    """Root of the tree; ``code`` is stable and documented in docs/errors.md."""

    code = "PE000"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong in a file a person wrote, with its place.

    ``line`` and ``column`` count from 1; 0 means the file as a whole. An error keeps the file from being
    used; a warning is most likely a mistake; a note is worth knowing.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        code = self.code if self.severity == "error" else f"{self.code} {self.severity}:"
        text = f"{self.file}:{self.line}:{self.column}: {code} {self.message}"
        return f"{text}; {self.hint}" if self.hint else text


class UsageError(PolicyEngineError):
    """A wrong argument or a file that cannot be read: exit code 2."""

    code = "PE900"


class FindingsError(PolicyEngineError):
    """Carries every finding of a folder, not the first only."""

    code = "PE001"

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings

    def __str__(self) -> str:
        return self.message


class CatalogueError(FindingsError):
    """A faulty schema file."""


class PolicyError(FindingsError):
    """A faulty policy folder."""


class MoneyError(PolicyEngineError):
    """Two currencies, too many decimals for the currency, or out of range."""

    code = "PE200"


class CalendarError(PolicyEngineError):
    """A date out of range or a country without a calendar."""

    code = "PE210"


class EvaluationError(PolicyEngineError):
    """An expression cannot be computed on these facts."""

    code = "PE220"


class PublishingError(UsageError):
    """A policy set that was not approved (PE730), or a key, a digest or a roster that will not do."""

    code = "PE730"


class LedgerError(PolicyEngineError):
    """The store refuses: another writer, another input, another schema version."""

    code = "PE700"


class StreamError(PolicyEngineError):
    """Kafka refuses (PE720), is away (PE721), does not hold what was asked for (PE723).

    PE724: another process has taken this one's name in the group.
    """

    code = "PE720"


class FencedError(StreamError):
    """Another writer publishes for the shard, or Kafka ended a transaction that took too long."""

    code = "PE722"
