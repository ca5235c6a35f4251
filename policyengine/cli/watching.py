"""`--watch`: does something again each time files change, until Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from policyengine.cli.output import err
from policyengine.errors import FindingsError, PolicyEngineError, UsageError

_ENDINGS = (".yaml", ".yml", ".json")


def watched(paths: Sequence[Path], again: Callable[[], object]) -> None:
    """Call ``again`` now, and whenever a YAML or JSON file at or below the paths changes.

    Errors of a run are told and do not end it: the next change may mend them. Ctrl-C ends it quietly.
    """
    try:
        from watchfiles import watch
    except ImportError as error:
        message = "--watch needs the package watchfiles: pip install 'crisis-policy-engine[watch]'"
        raise UsageError(message) from error
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise UsageError(f"{missing} does not exist")
    try:
        _tell(again)
        # editors replace a file rather than write into it: so its folder is watched, not the file
        folders = {path if path.is_dir() else path.parent for path in paths}
        err.print("watching for changes; Ctrl-C ends it")
        for changes in watch(*folders, raise_interrupt=False, debounce=200):
            if any(name.endswith(_ENDINGS) for _, name in changes):
                _tell(again)
                err.print("watching for changes; Ctrl-C ends it")
    except KeyboardInterrupt:
        return


def _tell(again: Callable[[], object]) -> None:
    try:
        again()
    except FindingsError as error:
        err.print(str(error), soft_wrap=True)
    except (PolicyEngineError, OSError) as error:
        err.print(f"error: {error}", soft_wrap=True)
