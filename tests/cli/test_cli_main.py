"""The entry point: commands are listed without being imported, and Ctrl-C is no error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from policyengine.cli import commands
from policyengine.cli.commands import COMMANDS, load
from policyengine.cli.interrupts import ends_at_once
from policyengine.cli.main import main
from tests.cli.commands import call

START = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)

moment = sys.argv.pop(1)

class Interrupted:
    def find_spec(self, name, *_):
        if name == moment:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
from policyengine.cli.main import main

main()
"""


def started(interrupted_at: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that is interrupted when it imports that."""
    return subprocess.run(
        [sys.executable, "-c", START, interrupted_at, *arguments],
        check=False, timeout=240, text=True, capture_output=True, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip


class TestListing:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_a_command_is_listed_by_the_first_line_of_its_help(self, name: str) -> None:
        assert load(name).help.partition("\n\n")[0].replace("\n", " ") == COMMANDS[name].about

    def test_help_imports_no_command(self) -> None:
        """The process ends where bootstrap would be imported."""
        shown = started("policyengine.bootstrap", "--help")
        assert shown.returncode == 0
        for name in COMMANDS:
            assert f" {name} " in shown.stdout

    def test_a_command_that_there_is_not_is_told_with_what_may_be_meant(self) -> None:
        result = call("verfy")
        assert result.code == 2
        assert "Did you mean 'verify'?" in result.err

    def test_help_is_given_however_it_is_asked_for(self) -> None:
        assert call("help").out == call("--help").out
        assert call("help", "keys", "new").out == call("keys", "new", "--help").out
        assert call("help", "verfy").code == 2


class TestInterrupts:
    @pytest.mark.parametrize("module", ["typer", "policyengine.cli.config"])
    def test_ctrl_c_while_modules_are_imported_ends_it_without_a_word(self, module: str) -> None:
        done = started(module, "config")
        assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")

    def test_ctrl_c_later_ends_it_with_130(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(commands, "run", interrupted)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 130

    def test_who_ignores_ctrl_c_goes_on_doing_so(self) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with ends_at_once():
                assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGINT, before)

    def test_afterwards_it_is_as_before(self) -> None:
        with ends_at_once():
            pass
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
