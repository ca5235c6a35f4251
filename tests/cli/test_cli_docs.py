"""What the documents say of commands, options, settings and codes is what there is."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from policyengine.adapters.kafka_settings import PREFIX, KafkaSettings
from policyengine.bootstrap import Settings, WorkerSettings, variable_of
from policyengine.cli.commands import app
from policyengine.domain.validation import CODES
from tests.cli.commands import Place, call
from tests.service.runs import lines
from tests.support import event

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
COMMAND_LINE, ERRORS, EVENTS = PAGES["command-line.md"], PAGES["errors.md"], PAGES["events.md"]
CODE = re.compile(r"\b(?:PE|EV)\d{3}\b")


def commands() -> dict[str, list[str]]:
    """Every command with its long options."""
    found: dict[str, list[str]] = {}

    def walk(group: object, prefix: str) -> None:
        for name in group.commands:  # type: ignore[attr-defined]
            command = group.get_command(None, name)  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                walk(command, f"{prefix}{name} ")
            else:
                found[prefix + name] = [
                    one for parameter in command.params for one in parameter.opts if one.startswith("--")
                ]

    walk(typer.main.get_command(app), "")
    return found


def codes_of(page: str) -> set[str]:
    """The codes that a page explains: first cells of its tables."""
    return set(re.findall(r"^\| ((?:PE|EV)\d{3}) \|", page, re.MULTILINE))


def used() -> set[str]:
    """The codes in the code."""
    sources = (ROOT / "policyengine").rglob("*.py")
    return {code for path in sources for code in CODE.findall(path.read_text("utf-8"))}


class TestCommands:
    def test_every_command_is_explained(self) -> None:
        for name in commands():
            assert f"| `{name}` |" in COMMAND_LINE, name
            assert f"`{name}`" in README, name

    def test_every_command_that_is_explained_is_there(self) -> None:
        listed = COMMAND_LINE.partition("## Commands")[2].partition("## Settings")[0]
        told = re.findall(r"^\| `([a-z -]+?)(?: --[^`]*)?` \|", listed, re.MULTILINE)
        assert set(told) == set(commands())

    def test_every_command_takes_a_format(self) -> None:
        assert {name: options for name, options in commands().items() if "--format" not in options} == {}

    @pytest.mark.parametrize("name", sorted(commands()))
    def test_every_command_has_help_that_names_its_options(self, name: str) -> None:
        result = call(*name.split(), "--help", COLUMNS="200", TERM="dumb")
        assert result.code == 0
        for option in commands()[name]:
            assert option in result.out

    def test_options_that_the_documents_use_exist(self) -> None:
        """In every line of README and docs that calls the command."""
        known = commands()
        for name, page in {"README.md": README, **PAGES}.items():
            for call_ in re.findall(r"policyengine ([a-z].*)", page):
                words = re.sub(r"[`|].*", "", call_).split()
                command = next(
                    (key for key in (" ".join(words[:2]), words[0] if words else "") if key in known), None
                )
                if command is not None:
                    for option in re.findall(r"--[a-z-]+", " ".join(words)):
                        assert option in [*known[command], "--help"], f"{name}: {call_}"


class TestSettings:
    def test_every_setting_is_explained_with_its_default(self) -> None:
        for name, field in Settings.model_fields.items():
            default = field.get_default(call_default_factory=True)
            shown = f"`{default}`" if default not in (None, []) else ""
            assert re.search(
                rf"^\| `{variable_of(name)}` \| {re.escape(shown)} ?\| ", COMMAND_LINE, re.MULTILINE
            ), name

    def test_every_setting_that_is_named_is_there(self) -> None:
        known = {variable_of(name) for name in Settings.model_fields}
        known |= {f"{PREFIX}{name.upper()}" for name in KafkaSettings.model_fields}
        known |= {f"POLICYENGINE_WORKER_{name.upper()}" for name in WorkerSettings.model_fields}
        for page in (README, *PAGES.values()):
            assert set(re.findall(r"POLICYENGINE_[A-Z_]+[A-Z]", page)) <= known


class TestCodes:
    def test_every_code_is_explained_once(self) -> None:
        """Rejections and schema files on the page of events, the others on the page of errors."""
        on_events = {code for code in used() if code.startswith(("EV", "PE01"))}
        assert codes_of(ERRORS) == used() - on_events
        assert codes_of(EVENTS) >= on_events
        listed = re.findall(r"^\| ((?:PE|EV)\d{3}) \|", ERRORS, re.MULTILINE)
        assert len(listed) == len(set(listed))

    def test_no_code_is_explained_that_there_is_not(self) -> None:
        for name, page in PAGES.items():
            assert set(CODE.findall(page)) <= used() | {"PE039"}, name  # the end of a range of codes

    def test_reasons_of_rejections_are_the_codes_own(self) -> None:
        for code, reason in CODES.items():
            assert f"| {code} | {reason} |" in EVENTS

    def test_pages_that_explain_a_code_in_passing_agree_that_it_is_there(self) -> None:
        for name in ("ledger.md", "policy-language.md"):
            assert codes_of(PAGES[name]) <= codes_of(ERRORS), name

    def test_an_errors_own_code_is_in_its_message(self) -> None:
        assert CODE.search(call("check", "none").err)


class TestReadme:
    def test_its_policy_passes_check_and_does_what_it_says(self, place: Place) -> None:
        (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
        assert call("check", place.policy(text)).code == 0
        started = event(
            "membership.started",
            "2019-04-01T00:00:00Z",
            membership_id="m1",
            tier="gold",
            points=1200,
            ends_on="2020-03-31",
        )
        ended = event("membership.ended", "2020-04-01T00:00:00Z", membership_id="m1")
        *_, decision = call("decide", "--rules", place.rules, stdin=lines(started, ended)).json_lines
        (remedy,) = decision["remedies"]
        assert (remedy["kind"], remedy["until"]) == ("points.extend", "2020-09-30")  # 31 March and six months
        assert decision["messages"]["en"].startswith("Your 1,200 points stay yours until ")

    def test_its_event_is_one(self, place: Place) -> None:
        (text,) = re.findall(r'^    (\{"specversion".*)$', README, re.MULTILINE)
        result = call("decide", "--rules", place.rules, stdin=text.encode())
        assert (result.code, len(result.json_lines)) == (0, 1)

    def test_its_commands_run(self, made: Place, place: Place) -> None:
        """Each as it stands there, in a folder with what it needs."""
        shutil.copytree(made.folder / "rules", place.folder / "rules")
        (place.folder / "rules" / "policy.cases.yaml").write_text(
            "policy: travel/half-back\ncases:\n  - name: nothing\n    given:\n"
            "      - membership.ended: {at: 2020-04-01T00:00:00Z, membership_id: m1}\n    expect: {outcome: none}\n"
        )
        shutil.copy(made.events, place.folder)
        (place.folder / "build").mkdir()
        shutil.copytree(made.folder, place.folder / "build" / "demo")
        ((key,),) = made.rows("SELECT ref FROM entry WHERE kind = 'decision' ORDER BY seq LIMIT 1")
        run = [
            shlex.split(line, comments=True)
            for line in re.findall(r"^    \.venv/bin/policyengine (.*)$", README, re.MULTILINE)
        ]
        assert {words[0] for words in run} == {
            "run",
            "check",
            "test",
            "catalog",
            "verify",
            "replay",
            "explain",
        }
        for words in run:
            result = call(*(key if word == "DECISION_ID" else word for word in words))
            assert result.code == 0, (words, result)

    def test_links_lead_somewhere(self) -> None:
        for base, page in ((ROOT, README), *((ROOT / "docs", page) for page in PAGES.values())):
            for target in re.findall(r"\]\((?!https?:)([^)#]+)", page):
                assert (base / target).exists(), target
