"""Folders of schema files → ``Catalogue``; every fault of every folder with file, line and column.

What a schema file may say is domain.schema's; here are only files and places in their text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jiter

import policyengine
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.schema import Kind, Source, examine
from policyengine.domain.schema_properties import Fault, Pointer
from policyengine.errors import CatalogueError, Finding, UsageError

LARGEST_FILE = 1_048_576

_PLACE = re.compile(r" at line (\d+) column (\d+)$")
_BLANK = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def shipped_schemas() -> Path:
    """The schemas that come with the engine: in a wheel beside the code, else in the repository."""
    package = Path(policyengine.__file__).parent
    for folder in (package / "_data" / "schemas", package.parent / "schemas"):
        if (folder / "events").is_dir():
            return folder
    raise UsageError("the schemas that ship with the engine are missing; install it again")


def load_catalogue(folders: Sequence[Path]) -> Catalogue:
    """The catalogue of all folders together; each has `events/*.json`, `entities/*.json`, `regions.json`.

    CatalogueError with every finding of every folder; UsageError for a folder that is none.
    """
    sources: list[Source] = []
    texts: dict[str, str] = {}
    findings: list[Finding] = []
    for kind, path in (found for folder in folders for found in _files(folder)):
        name = str(path)
        if name in texts:
            continue  # the same folder given twice adds nothing
        parsed = _read(path)
        if isinstance(parsed, Finding):
            findings.append(parsed)
            texts[name] = ""
        else:
            texts[name], document = parsed
            sources.append(Source(name, kind, document))
    catalogue, faults = examine(sources)
    findings.extend(_finding(fault, texts.get(fault.source, "")) for fault in faults)
    if findings:
        raise CatalogueError(sorted(findings))
    return catalogue


def _files(folder: Path) -> Iterator[tuple[Kind, Path]]:
    kinds: tuple[Kind, ...] = ("events", "entities")
    regions = folder / "regions.json"
    if not any((folder / kind).is_dir() for kind in kinds) and not regions.is_file():
        raise UsageError(f"`{folder}` holds no schemas: it has neither events/ nor entities/")
    for kind in kinds:
        for path in sorted((folder / kind).glob("*.json")):
            yield kind, path
    if regions.is_file():
        yield "regions", regions


def _read(path: Path) -> tuple[str, Any] | Finding:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST_FILE:
        message = f"{len(raw)} bytes; a schema file has at most {LARGEST_FILE}"
        return Finding(str(path), 0, 0, "PE005", message)
    try:
        text = raw.decode()
        document = jiter.from_json(
            raw, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="lossless-float"
        )
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Finding(str(path), line, 1, "PE001", "not UTF-8", "save the file as UTF-8")
    except ValueError as error:
        return _not_json(path, raw, str(error))
    return text, document


def _not_json(path: Path, raw: bytes, error: str) -> Finding:
    place = _PLACE.search(error)
    line, column = (int(place[1]), int(place[2])) if place else (1, 1)
    message = error[: place.start()] if place else error
    if message.startswith("Detected duplicate key"):
        return Finding(str(path), line, column, "PE006", message[0].lower() + message[1:], "keep one of them")
    if message.startswith("recursion limit"):
        return Finding(str(path), line, column, "PE005", "nested too deep")
    hint = "save the file without a byte order mark" if raw.startswith(b"\xef\xbb\xbf") else ""
    return Finding(str(path), line, max(column, 1), "PE001", f"not JSON: {message}", hint)


def _finding(fault: Fault, text: str) -> Finding:
    line, column = _place(text, fault.pointer) if text else (0, 0)
    return Finding(fault.source, line, column, fault.code, fault.message, fault.hint)


def _place(text: str, pointer: Pointer) -> tuple[int, int]:
    """Line and column of the key (or list item) that ``pointer`` leads to, or of the last one on the way.

    The text is JSON that was parsed before, so the walk needs no error handling of its own.
    """
    at = start = _skip(text, 0)
    for step in pointer:
        for name, named_at, value_at in _members(text, start):
            if name == step:
                at, start = named_at, value_at
                break
        else:
            break
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _members(text: str, at: int) -> Iterator[tuple[str | int, int, int]]:
    """Each member of the object or list at ``at``: its key or index, where that is, where its value is."""
    if text[at] not in "{[":
        return
    keyed, index = text[at] == "{", 0
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        named_at, name = at, index
        if keyed:
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # over the colon
            yield key, named_at, at
        else:
            yield name, named_at, at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()
