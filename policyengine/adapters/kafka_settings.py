"""How to reach Kafka: settings from the environment, and what they mean for its clients.

Nothing is connected here. Secrets are told to the clients only: never shown, never logged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from policyengine.errors import StreamError, UsageError

PREFIX = "POLICYENGINE_KAFKA_"
_TOPIC = r"^[A-Za-z0-9._-]{1,200}$"
# what these log may hold a password: every request, every setting
_TELLTALES = ("kafka.protocol.parser", "kafka.net.connection", "kafka.admin.client")
_COMPRESSORS = {"snappy": "snappy", "lz4": "lz4", "zstd": "zstandard"}
_HEARTBEATS = 5  # in a session: one that is late, or lost, ends none
_RECONNECT_MS = 1_000  # at most between two attempts: a broker that comes back is soon noticed


class KafkaSettings(BaseSettings):
    """Settings from `POLICYENGINE_KAFKA_*` variables; all times in milliseconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", hide_input_in_errors=True)

    bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$",
        description="brokers to ask first, by commas",
    )
    group: str = Field("policyengine", pattern=_TOPIC, description="the workers that share the partitions")
    instance_id: str | None = Field(
        None, pattern=_TOPIC, description="a worker's own name: it keeps its partitions while it restarts"
    )
    customer_topic: str = Field(
        "customer-events", pattern=_TOPIC, description="events of customers, by customer"
    )
    world_topic: str = Field("world-events", pattern=_TOPIC, description="events of the world, one partition")
    decision_topic: str = Field("policy-decisions", pattern=_TOPIC, description="where decisions go")
    dead_letter_topic: str = Field("dead-letters", pattern=_TOPIC, description="where refused events go")
    partitions: int = Field(6, ge=1, le=10_000, description="of topics of customers that are made new")
    replication: int = Field(1, ge=1, le=32_000, description="copies of each partition that is made new")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how connections are guarded"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        None, description="how this program says who it is"
    )
    username: str | None = Field(None, description="for PLAIN and SCRAM")
    password: SecretStr | None = Field(None, description="for PLAIN and SCRAM")
    token_command: str | None = Field(
        None, description="for OAUTHBEARER: prints a token, or JSON with `access_token` and `expires_in`"
    )
    token_endpoint: str | None = Field(
        None, pattern=r"^https?://", description="for OAUTHBEARER: where client credentials give a token"
    )
    client_id: str | None = Field(None, description="for the token endpoint")
    client_secret: SecretStr | None = Field(None, description="for the token endpoint")
    token_scope: str | None = Field(None, description="what to ask the token endpoint for")
    ca_file: Path | None = Field(None, description="PEM file of whom to trust; by default the system's")
    cert_file: Path | None = Field(None, description="PEM file of the client's certificate")
    key_file: Path | None = Field(None, description="PEM file of the client's key")
    key_password: SecretStr | None = Field(None, description="of the client's key")
    check_hostname: bool = Field(True, description="whether a broker's certificate must name its host")

    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="of what is written; all but gzip need a library"
    )
    session_timeout: int = Field(45_000, ge=500, description="a worker that is silent for so long is gone")
    poll_interval: int = Field(
        300_000, ge=1_000, description="a worker that takes no messages for so long is gone"
    )
    request_timeout: int = Field(
        30_000, ge=1_000, le=500_000, description="how long a broker may take to answer"
    )
    transaction_timeout: int = Field(
        60_000, ge=1_000, description="a transaction of a worker that died is undone after so long"
    )
    max_poll_records: int = Field(1_000, ge=1, description="messages taken at once, at most")
    max_poll_bytes: int = Field(
        16_777_216, ge=1, description="bytes taken at once, at most, if it is more than one message"
    )
    max_message_bytes: int = Field(
        4_194_304,
        ge=1_024,
        description="the largest message that is written; brokers allow 1048576 by default",
    )

    @field_validator("compression")
    @classmethod
    def _has_library(cls, name: str) -> str:
        library = _COMPRESSORS.get(name)
        if library is not None and find_spec(library) is None:
            raise ValueError(f"needs the package `{library}`; install it, or use gzip")
        return name

    @model_validator(mode="after")
    def _says_who_it_is(self) -> Self:
        sasl, mechanism = self.security_protocol.startswith("SASL"), self.sasl_mechanism
        if sasl != (mechanism is not None):
            raise ValueError("SASL_* protocols need sasl_mechanism, and only they have one")
        if mechanism == "OAUTHBEARER":
            endpoint = (self.token_endpoint, self.client_id, self.client_secret)
            if (self.token_command is not None) == (self.token_endpoint is not None):
                raise ValueError("OAUTHBEARER needs token_command, or token_endpoint")
            if self.token_endpoint is not None and None in endpoint:
                raise ValueError("token_endpoint needs client_id and client_secret")
        elif mechanism is not None and (self.username is None or self.password is None):
            raise ValueError(f"{mechanism} needs username and password")
        return self

    def client(self) -> dict[str, Any]:
        """What every client is told: where the brokers are, and who this is."""
        for name in _TELLTALES:
            logging.getLogger(name).addFilter(_above_debug)
        settings: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "bootstrap_timeout_ms": self.request_timeout,
            "request_timeout_ms": self.request_timeout,
            "reconnect_backoff_max_ms": _RECONNECT_MS,
            "security_protocol": self.security_protocol,
            "ssl_check_hostname": self.check_hostname,
            "ssl_cafile": _path(self.ca_file),
            "ssl_certfile": _path(self.cert_file),
            "ssl_keyfile": _path(self.key_file),
            "ssl_password": _told(self.key_password),
        }
        if self.sasl_mechanism is not None:
            settings["sasl_mechanism"] = self.sasl_mechanism
        if self.sasl_mechanism == "OAUTHBEARER":
            settings["sasl_oauth_token_provider"] = self._tokens()
        elif self.sasl_mechanism is not None:
            settings["sasl_plain_username"] = self.username
            settings["sasl_plain_password"] = _told(self.password)
        return settings

    def reader(self) -> dict[str, Any]:
        """A consumer without a group: it sees what was committed, and loses no place by itself."""
        return {
            **self.client(),
            "metrics_enabled": False,  # ours count what matters
            "isolation_level": "read_committed",
            "enable_auto_commit": False,
            "auto_offset_reset": "none",  # a place that is gone is an error, never skipped
            "allow_auto_create_topics": False,
            "metadata_max_age_ms": 30_000,  # partitions that are added are soon noticed
            "max_poll_records": self.max_poll_records,
            "fetch_max_bytes": self.max_poll_bytes,
            "max_partition_fetch_bytes": min(1_048_576, self.max_poll_bytes),
        }

    def member(self) -> dict[str, Any]:
        """A consumer of the group; partitions move one by one, while the others go on."""
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

        return {
            **self.reader(),
            "group_id": self.group,
            "group_instance_id": self.instance_id,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
            "session_timeout_ms": self.session_timeout,
            "heartbeat_interval_ms": max(100, min(3_000, self.session_timeout // _HEARTBEATS)),
            "max_poll_interval_ms": self.poll_interval,
        }

    def writer(self, transactional_id: str) -> dict[str, Any]:
        """A producer whose messages are there as a whole or not at all, in order, on all copies."""
        return {
            **self.client(),
            "metrics_enabled": False,
            "transactional_id": transactional_id,
            "transaction_timeout_ms": self.transaction_timeout,
            "acks": "all",
            "compression_type": None if self.compression == "none" else self.compression,
            "allow_auto_create_topics": False,
            "max_block_ms": self.request_timeout,
            "delivery_timeout_ms": 2 * self.request_timeout,
            "max_request_size": self.max_message_bytes,
            "batch_size": 131_072,
            "linger_ms": 5,
            "retry_backoff_ms": 20,  # a transaction waits for its turn some times: 0.27 s with the default
        }

    def _tokens(self) -> Any:
        from policyengine.adapters.kafka_tokens import command_tokens, endpoint_tokens

        if self.token_command is not None:
            return command_tokens(self.token_command)
        return endpoint_tokens(
            self.token_endpoint or "", self.client_id or "", _told(self.client_secret) or "", self.token_scope
        )


def read_kafka_settings(**options: Any) -> KafkaSettings:
    """The settings, options before the variables; UsageError names each variable that is wrong."""
    if find_spec("kafka") is None:
        raise UsageError("Kafka needs two more packages: pip install 'crisis-policy-engine[kafka]'")
    try:
        return KafkaSettings(**options)
    except ValidationError as error:
        wrong = [
            f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}"
            if problem["loc"]
            else f"{PREFIX}*: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_input=False)
        ]
        raise UsageError("; ".join(wrong)) from None


@contextmanager
def stream_errors(doing: str) -> Iterator[None]:
    """Turn the client's errors into ours: PE720 what Kafka refuses, PE721 where it is away."""
    from kafka import errors

    try:
        yield
    except (errors.KafkaConnectionError, errors.KafkaTimeoutError, OSError) as error:
        raise StreamError(f"Kafka does not answer while {doing} ({_named(error)})", code="PE721") from error
    except errors.KafkaError as error:
        # an error without a kind of its own is what the client makes of an answer that never came
        away = getattr(error, "retriable", False) or type(error) is errors.KafkaError
        code = "PE721" if away else "PE720"
        raise StreamError(f"Kafka refuses while {doing} ({_named(error)})", code=code) from error


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _told(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
