"""Settings, logging and wiring, with explicit arguments. The command line calls this, nothing below does."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from structlog.typing import Processor

from policyengine import __version__
from policyengine.adapters import keys
from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.adapters.store import SqlLedgerStore
from policyengine.authoring.check import Checked, check_folder
from policyengine.authoring.check import examine as examine_files
from policyengine.domain.catalogue import Catalogue
from policyengine.errors import LedgerError, UsageError
from policyengine.ledger.entries import Place
from policyengine.service.approvals import Desk
from policyengine.service.board import Board
from policyengine.service.case_engine import CaseEngine
from policyengine.service.door import Door
from policyengine.service.health import Health
from policyengine.service.metrics import Meters
from policyengine.service.newest import Newest
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import PolicySet, prepare, recorded
from policyengine.service.ports import DEAD_LETTERS, DECISIONS, LedgerStore
from policyengine.service.shards import Pace
from policyengine.service.worker import Worker

_COLLECT_AFTER = 10_000  # objects that are there more than at the last look


class Settings(BaseSettings):
    """Settings from `POLICYENGINE_*` variables; a command's options go before them.

    No setting changes what is decided on an event; ``max_skew`` and ``max_jump`` say which are let in.
    """

    model_config = SettingsConfigDict(env_prefix="POLICYENGINE_", extra="ignore")

    ledger: str = Field("sqlite:///policyengine.db", description="database URL of the ledger")
    rules: Path | None = Field(None, description="folder of policy files")
    schemas: Annotated[list[Path], NoDecode] = Field(
        default_factory=list,
        description=f"folders of event and entity types besides the shipped ones, joined by `{os.pathsep}`",
    )
    shard: str = Field("0", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="the part of the ledger to write")
    batch_size: int = Field(500, ge=1, le=100_000, description="events per transaction")
    state_cache_mb: int = Field(64, ge=1, description="megabytes for customers' states kept in memory")
    max_skew: int = Field(
        300, ge=0, description="seconds by which an event may be ahead of the clock before it is refused"
    )
    max_jump: int | None = Field(
        None, ge=1, description="days by which an event may be ahead of the latest one before it is refused"
    )
    key: Path | None = Field(None, description="your private key, to approve what is published")
    key_passphrase: SecretStr | None = Field(None, description="of your private key, if it has one")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="least important messages that are shown"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: for people on a terminal, JSON elsewhere"
    )

    @field_validator("schemas", mode="before")
    @classmethod
    def _split(cls, raw: object) -> object:
        return [folder for folder in raw.split(os.pathsep) if folder] if isinstance(raw, str) else raw


class WorkerSettings(BaseSettings):
    """How a worker keeps its pace, from `POLICYENGINE_WORKER_*` variables; nothing here decides anything."""

    model_config = SettingsConfigDict(env_prefix="POLICYENGINE_WORKER_", extra="ignore")

    tick: float = Field(1.0, ge=0, description="seconds between two looks of the clock; 0: it fires nothing")
    publish_every: float = Field(
        0.1, ge=0, description="seconds between two transactions of a shard, at least"
    )
    publish_most: int = Field(
        2_000, ge=1, le=100_000, description="decisions of a shard that are published at once, at most"
    )
    finish: float = Field(10.0, ge=0, description="seconds in which a worker that is told to stop must end")
    health_host: str = Field("127.0.0.1", description="where /livez, /readyz and /metrics are answered")
    health_port: int | None = Field(None, ge=0, le=65_535, description="their port; none: they are not")


def read_worker_settings(**options: Any) -> WorkerSettings:
    """The settings, options before the variables; UsageError names each that is wrong."""
    try:
        return WorkerSettings(**options)
    except ValidationError as error:
        names = [f"POLICYENGINE_WORKER_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()]
        raise UsageError("; ".join(names)) from error


def read_settings(**options: Any) -> Settings:
    """The settings, with a command's options before the variables; UsageError names each that is wrong."""
    try:
        return Settings(**options)
    except ValidationError as error:
        wrong = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            option = f"--{name.replace('_', '-')}"
            wrong.append(f"{option if name in options else variable_of(name)}: {problem['msg']}")
        raise UsageError("; ".join(wrong)) from error


def variable_of(setting: str) -> str:
    """The environment variable of a setting."""
    return f"POLICYENGINE_{setting.upper()}"


def without_password(url: str) -> str:
    """A database URL as it may be shown."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def configure_logging(settings: Settings) -> None:
    """Log to stderr: JSON lines, or colours on a terminal."""
    people = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def catalogue_of(schemas: Sequence[Path]) -> Catalogue:
    """The shipped event and entity types and those of a tenant's folders."""
    return load_catalogue([shipped_schemas(), *schemas])


def policy_set_of(rules: Path, schemas: Sequence[Path]) -> PolicySet:
    """A folder of policies, checked and compiled; PolicyError carries every finding."""
    return check_folder(rules, catalogue_of(schemas), prepare)


def examine(paths: Sequence[Path], schemas: Sequence[Path], on: date) -> Checked[PolicySet]:
    """Files and folders of policies, checked: every finding, warnings as of the day ``on`` included."""
    return examine_files(paths, catalogue_of(schemas), prepare, on)


def open_ledger(url: str, *, read_only: bool = False) -> SqlLedgerStore:
    """The ledger's store; reading never makes one."""
    return SqlLedgerStore(url, read_only=read_only)


def policy_set_in_force(store: LedgerStore, shard: str) -> PolicySet:
    """What the ledger's shard decides under; UsageError when nothing was published."""
    digest = store.head(shard).policy_set
    raw = store.policy_set(digest) if digest else None
    if raw is None:
        message = f"shard {shard} has no policy set yet; give --rules DIR"
        raise UsageError(message)
    return recorded(raw)


def board_of(store: LedgerStore) -> Board:
    """What was published in a ledger, as far as it is by now."""
    board = Board(store, keys.signed)
    board.look()
    return board


def desk_of(store: LedgerStore) -> Desk:
    """Where policy sets are proposed and approved."""
    return Desk(
        store,
        engine=engine_version(),
        salts=os.urandom,
        signed=keys.signed,
        now=wall_clock,
        wait=time.sleep,
    )


def engine_version() -> str:
    """This engine, and the releases of the libraries whose data decisions depend on.

    Words come from CLDR (babel), business days from calendars (holidays), midnights from time zones
    (tzdata): under other releases a replay may come out otherwise, and the header says under which
    an entry was made.
    """
    libraries = " ".join(f"{name}/{version(name)}" for name in ("babel", "holidays", "tzdata"))
    return f"{__version__} {libraries}"


def keep_what_is_loaded() -> None:
    """Let the collector pass over what is there by now: policies and libraries stay until the end.

    It would look through all of it again and again while events make and drop their objects. These hardly
    ever hold each other in a circle, so it is enough to look for such after ``_COLLECT_AFTER`` new ones.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])


def pipeline_of(
    store: LedgerStore,
    policy_set: PolicySet,
    settings: Settings,
    input_name: str,
    channels: Sequence[str] = (),
) -> Pipeline:
    """A shard's writer for one input."""
    return Pipeline(
        store,
        policy_set,
        place=Place(settings.shard, engine_version(), input_name),
        salts=os.urandom,
        state_cache=settings.state_cache_mb * 1_000_000,
        channels=channels,
        door=door_of(settings),
    )


def door_of(settings: Settings) -> Door:
    """What lets events in, with the only clock."""
    return Door(wall_clock, settings.max_skew, settings.max_jump)


def wall_clock() -> int:
    """What time it is: µs since 1970, UTC."""
    return time.time_ns() // 1_000


def worker_of(
    store: LedgerStore,
    settings: Settings,
    kafka: KafkaSettings,
    pace: WorkerSettings,
    *,
    meters: Meters,
    health: Health,
    stop: Callable[[], bool],
) -> Worker:
    """A worker of the group that the settings name."""
    from policyengine.adapters.kafka_worker import KafkaStream

    topics = {DECISIONS: kafka.decision_topic, DEAD_LETTERS: kafka.dead_letter_topic}

    policies = Newest(store, meters, health, signed=keys.signed, now=wall_clock)

    def pipeline(shard: str, policy_set: PolicySet) -> Pipeline:
        if policies.behind(store.head(shard).policy_set):
            raise LedgerError(
                f"shard {shard} has a newer policy set than this worker: it looks", code="PE713"
            )
        own = settings.model_copy(update={"shard": shard})
        return pipeline_of(store, policy_set, own, shard, tuple(topics))

    return Worker(
        store,
        connect=lambda told: KafkaStream(kafka, told, topics),
        pipeline=pipeline,
        policies=policies,
        world=f"{kafka.world_topic}-0",
        meters=meters,
        health=health,
        clock=SystemClock(),
        pace=Pace(
            batch=settings.batch_size,
            published=pace.publish_most,
            publish_every=pace.publish_every,
            tick_every=pace.tick,
        ),
        stop=stop,
    )


class SystemClock:
    """The machine's."""

    def now(self) -> int:
        """What time it is: µs since 1970, UTC."""
        return wall_clock()

    def seconds(self) -> float:
        """Seconds that only go forward."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def case_engine(catalogue: Catalogue) -> CaseEngine:
    """What runs the cases of policy files."""
    return CaseEngine(catalogue)


def shipped_rules() -> Path:
    """The policy packs that come with the engine."""
    return shipped_schemas().parent / "rules"
