"""`fmt`: policy files and files of cases in their canonical form, or what keeps one from it.

The tree is authoring.format_tree's, what is sorted authoring.format_order's, how it is written
authoring.format_write's. Files are read and written by whoever calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from policyengine.authoring.format_comments import comments_of, tree_of
from policyengine.authoring.format_order import order_cases, order_policy
from policyengine.authoring.format_tree import read
from policyengine.authoring.format_write import write
from policyengine.authoring.load import CASES_SUFFIX, read_policy
from policyengine.authoring.yaml_source import Document, read_yaml
from policyengine.domain.policy import Policy
from policyengine.domain.policy_types import split_rows
from policyengine.errors import Finding

APART = frozenset(("rules", "cases"))
_TABLES = ("rows", "examples")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Formatted:
    """A file in its canonical form; None and what is wrong where it has none."""

    file: str
    before: bytes
    after: bytes | None
    findings: tuple[Finding, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether it was in another form."""
        return self.after is not None and self.after != self.before


def format_file(raw: bytes, file: str, *, cases: bool | None = None) -> Formatted:
    """Bring a file's bytes into canonical form; ``cases``: what it is, where the name does not tell."""
    text = raw.removeprefix(_BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    document, findings = read_yaml(text, file)
    errors = _errors(findings)
    if document is None or errors:
        return Formatted(file, raw, None, errors)
    is_cases = _is_cases(document, file) if cases is None else cases
    errors = _errors(_faults(document) if is_cases else read_policy(text, file)[1])
    if errors:
        return Formatted(file, raw, None, errors)
    root = tree_of(document.text)
    if root is None:
        finding = document.finding((), "PE004", "nothing is written here", "write a policy or cases")
        return Formatted(file, raw, None, (finding,))
    (order_cases if is_cases else order_policy)(root)
    after = write(root, APART).encode()
    if after != raw and not same(document, after, is_cases=is_cases):
        message = "cannot be brought into canonical form without changing what it says"
        hint = "write its longest texts and keys more plainly"
        return Formatted(file, raw, None, (Finding(file, 1, 1, "PE005", message, hint),))
    return Formatted(file, raw, after)


def same(document: Document, after: bytes, *, is_cases: bool) -> bool:
    """invariant: what is written means the same, and holds every comment."""
    again, findings = read_yaml(after, document.file)
    if again is None or findings:
        return False
    before, now = (sorted(each.text for each in comments_of(read(one.text))) for one in (document, again))
    if before != now:
        return False
    if is_cases:
        return bool(_typed(document.data) == _typed(again.data))
    return policy_of(document) == policy_of(again)


def policy_of(document: Document) -> Policy:
    """The policy that a sound document is."""
    return Policy.model_validate(document.data, by_alias=True, by_name=False)


def _errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity == "error")


def _typed(data: Any, key: Any = None) -> Any:
    """Data that equal only what is of the same types: 1 is not true, and 1.0 is not 1.00."""
    if isinstance(data, dict):
        return {name: _typed(value, name) for name, value in data.items()}
    if isinstance(data, list):
        return [_typed(value) for value in data]
    if key in _TABLES and isinstance(data, str):
        return [[cell for _, cell in row] for row in split_rows(data)]
    return type(data), str(data)


def _is_cases(document: Document, file: str) -> bool:
    if file.endswith(".yaml"):
        return file.endswith(CASES_SUFFIX)
    return isinstance(document.data, dict) and "cases" in document.data


def _faults(document: Document) -> list[Finding]:
    data = document.data
    if isinstance(data, dict) and isinstance(data.get("cases"), list):
        return []
    hint = "write them as a list below `cases:`"
    return [document.finding((), "PE070", "the file has no cases", hint)]
