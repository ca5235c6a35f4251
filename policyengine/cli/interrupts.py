"""Ctrl-C while modules are imported: nothing was begun, so nothing needs to be told or tidied up.

Extension modules do not take it well that an exception comes up in the middle of their being loaded.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # the exit code of what Ctrl-C ends, as shells have it


@contextmanager
def ends_at_once() -> Iterator[None]:
    """Within, Ctrl-C ends the process as it does by default: at once, and without a word."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
