"""What all tests share: property tests are not judged by the clock, and CI repeats its examples."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

from tests.postgres import own_postgres, postgres, postgres_server

__all__ = ["own_postgres", "postgres", "postgres_server"]  # fixtures

# Whoever starts the tests in the background may ignore Ctrl-C; the processes under test must not.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Processes that tests start keep their bytecode, whoever starts the tests: compiling anew takes each half a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A slow machine is no fault of what is tested. At a desk each run tries other examples; in CI a change is
# judged by the same ones as the change before it.
settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("suite")
