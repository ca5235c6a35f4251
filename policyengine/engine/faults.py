"""What compiling finds wrong with a policy, by its place in the policy's document.

authoring.load turns a place into file, line and column.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: the policy's index, the path in its document, the offset in that scalar."""

    policy: int
    path: Path
    offset: int
    code: str
    message: str
    hint: str = ""


@dataclass(slots=True)
class Report:
    """Collects faults, so that all of a folder are seen at once."""

    faults: list[Fault] = field(default_factory=list)

    def add(
        self, policy: int, path: Path, code: str, message: str, hint: str = "", *, offset: int = 0
    ) -> None:
        """Note one fault."""
        self.faults.append(Fault(policy, path, offset, code, message, hint))


class CompileError(Exception):
    """A policy set that cannot be used; carries every fault."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(f"{fault.path}: {fault.code} {fault.message}" for fault in faults))
        self.faults = faults
