"""`fmt`: policy files and files of cases in their canonical form."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from policyengine.authoring.format_files import Formatted, format_file
from policyengine.cli.options import FormatOption, settings_with
from policyengine.cli.output import FINDINGS, Format, print_json, say
from policyengine.errors import UsageError

_STDIN = Path("-")


def fmt(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders and files; `-` is standard input, whose form goes to standard output. Without any, "
            "the folder of POLICYENGINE_RULES.",
            metavar="[DIR|FILE|-]...",
            show_default=False,
        ),
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 when a file is not in this form.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; show what would change.")] = False,
    form: FormatOption = Format.HUMAN,
) -> None:
    """Write policies and cases in one form: order of keys, indentation, quotes, empty lines.

    Comments stay, and what the files say. A file with errors is left alone and told with its place; exit
    code 1 when there is one.
    """
    wanted = paths or [_rules()]
    if _STDIN in wanted:
        if len(wanted) > 1:
            raise UsageError("`-` stands alone: give standard input, or files")
        results = [format_file(sys.stdin.buffer.read(), "-")]
        if form is Format.HUMAN and not check_only and not diff and results[0].after is not None:
            sys.stdout.write(results[0].after.decode())
    else:
        results = [format_file(_read(path), path.as_posix()) for path in _files(wanted)]
        if not check_only and not diff:
            for result in results:
                if result.changed:
                    _replace(Path(result.file), result.after or b"")
    _report(results, form, diff=diff, looked=check_only or diff, written=wanted != [_STDIN])
    found = any(result.findings for result in results)
    if found or (check_only and any(result.changed for result in results)):
        raise typer.Exit(FINDINGS)


def _rules() -> Path:
    folder = settings_with().rules
    if folder is None:
        raise UsageError("nothing to format: name a folder or a file, or set POLICYENGINE_RULES")
    return folder


def _files(paths: Sequence[Path]) -> list[Path]:
    """The policies and cases among files and below folders, each once, sorted within a folder."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*.yaml") if file.is_file())
            if not inside:
                raise UsageError(f"{path} holds no policy: policies and cases are files that end in .yaml")
            found.update(dict.fromkeys(inside))
        elif path.is_file():
            found[path] = None
        else:
            raise UsageError(f"{path} does not exist")
    return list(found)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; it keeps its permissions, and a link stays one."""
    target = path.resolve()
    made = ""
    try:
        handle, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(made).chmod(target.stat().st_mode)
        Path(made).replace(target)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if made:
            with contextlib.suppress(FileNotFoundError):
                Path(made).unlink()


def _report(results: Sequence[Formatted], form: Format, *, diff: bool, looked: bool, written: bool) -> None:
    changed = [result for result in results if result.changed]
    if form is Format.JSON:
        print_json(
            {
                "files": len(results),
                "changed": [result.file for result in changed],
                "findings": [asdict(finding) for result in results for finding in result.findings],
            }
        )
        return
    for result in results:
        for finding in result.findings:
            (say if written or looked else _tell)(str(finding))
    if diff:
        for result in changed:
            sys.stdout.writelines(_difference(result))
    if not written and not looked:
        return
    if not diff:
        for result in changed:
            say(f"{'would be formatted' if looked else 'formatted'}: {result.file}")
    wrong = sum(1 for result in results if result.findings)
    text = f"{len(results)} files: {len(changed)} {'would change' if looked else 'changed'}"
    _tell(f"{text}, {wrong} with errors left alone" if wrong else text)


def _difference(result: Formatted) -> list[str]:
    before, after = (
        (raw or b"").decode("utf-8", "replace").splitlines(keepends=True)
        for raw in (result.before, result.after)
    )
    lines = difflib.unified_diff(before, after, result.file, f"{result.file} (formatted)")
    return [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]


def _tell(text: str) -> None:
    typer.echo(text, err=True)
