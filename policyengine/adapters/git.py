"""Folders as a git revision has them, laid out in a temporary folder by `git archive`."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from policyengine.errors import UsageError


@contextmanager
def folder_at(named: str, repository: Path) -> Iterator[Path]:
    """The folder of `REVISION:FOLDER` (from the top of the repository), until the end of the block.

    UsageError: not a repository, no such revision, no such folder, no git.
    """
    revision, _, inside = named.partition(":")
    inside = inside.strip("/") or "."
    top = _git(repository, "rev-parse", "--show-toplevel").decode().strip()
    here = Path(top)
    commit = _commit(here, revision)
    if inside != "." and _git(here, "cat-file", "-t", f"{commit}:{inside}", missing=b"").strip() != b"tree":
        message = f"`{revision}` has no folder `{inside}`; write it as seen from the top of the repository"
        raise UsageError(message)
    archive = _git(here, "archive", "--format=tar", commit, inside)
    with TemporaryDirectory(prefix="revision-") as target:
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(target, filter="data")
        yield Path(target) / inside


def _commit(repository: Path, revision: str) -> str:
    # invariant: what a user writes is never read as an option
    found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}",
                 missing=b"")  # fmt: skip
    if not found:
        message = f"git knows no revision `{revision}`; write a branch, a tag, a commit, or HEAD~1"
        raise UsageError(message)
    return found.decode().strip()


def _git(folder: Path, *arguments: str, missing: bytes | None = None) -> bytes:
    """What git says; ``missing`` where it says no, else a UsageError."""
    command = ("git", "-C", str(folder), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # no shell
    except OSError as error:
        message = f"git cannot be run: {error.strerror}"
        raise UsageError(message) from error
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if said and "not a git repository" in said[0]:
        message = f"{folder} is not in a git repository; name a folder, or run it inside one"
        raise UsageError(message)
    if missing is not None:
        return missing
    raise UsageError(f"git: {said[-1] if said else f'exit code {done.returncode}'}")
