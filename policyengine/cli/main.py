"""Where the command `policyengine` begins: next to nothing is imported before Ctrl-C is looked after."""

from __future__ import annotations

from policyengine.cli.interrupts import INTERRUPTED, ends_at_once


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, whenever it comes."""
    try:
        with ends_at_once():
            from policyengine.cli.commands import run
        run()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    main()
