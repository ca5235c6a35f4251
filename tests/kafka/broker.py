"""Apache Kafka for tests: one broker, or three, on free loopback ports, that can be killed and come back."""

from __future__ import annotations

import base64
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.kafka.jars import KEY_PASSWORD, jars, keys

USER, PASSWORD = "tester", "secret-of-the-tests"
_START_SECONDS = 120.0
_JAVA = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN")
_PR_SET_PDEATHSIG = 1
# small and quick: few internal partitions, no waiting for members that may come yet
_SETTINGS = """
process.roles=broker,controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL,PROXIED:PLAINTEXT
auto.create.topics.enable=false
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=2
num.io.threads=2
controlled.shutdown.enable=false
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
ssl.keystore.type=PKCS12
"""
_JAAS = {
    "plain": f'plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "scram-sha-256": "scram.ScramLoginModule required;",
    "scram-sha-512": "scram.ScramLoginModule required;",
    "oauthbearer": 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
}


@dataclass(frozen=True)
class Ports:
    """Where one broker listens."""

    plain: int
    controller: int
    sasl: int
    tls: int

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody holds at this moment."""
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        try:
            return cls(*(one.getsockname()[1] for one in held))
        finally:
            for one in held:
                one.close()


class Broker:
    """One node; ``bootstrap`` is its address for clients.

    ``voters``: the ports of all nodes of its cluster, in order, by default itself alone. Its data and
    ports stay the same from ``kill`` or ``stop`` to ``start``. ``through``: the port of a proxy, to which it
    sends clients that come to ``proxied``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        node: int = 1,
        voters: Sequence[Ports] = (),
        cluster: str | None = None,
        settings: str = "",
        through: int | None = None,
    ) -> None:
        self._folder = folder
        self._node = node
        self._voters = list(voters) or [Ports.free()]
        self._cluster = cluster or base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._ports = self._voters[node - 1] if voters else self._voters[0]
        self._more = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{self._ports.plain}"
        self.sasl = f"127.0.0.1:{self._ports.sasl}"
        self.tls = f"127.0.0.1:{self._ports.tls}"
        self._through = through
        self.proxied = Ports.free().plain if through is not None else None

    @property
    def log_file(self) -> Path:
        """Where the process writes."""
        return self._folder / "broker.log"

    @property
    def log(self) -> str:
        """The last lines of what the process wrote."""
        path = self.log_file
        return "\n".join(path.read_text(errors="replace").splitlines()[-60:]) if path.exists() else ""

    @property
    def pid(self) -> int:
        """Its process, which is running."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait: bool = True) -> Self:
        """Run the process; returns when it answers, unless told not to wait."""
        if not (self._folder / "server.properties").exists():
            self._format()
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", "server.properties"),
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call to the kernel, nothing of Python
            )  # fmt: skip
        if wait:
            self.wait()
        return self

    def wait(self, seconds: float = _START_SECONDS) -> None:
        """Until it answers; fails with its log when it ends before, or never answers."""
        assert self._process is not None
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise RuntimeError(f"the broker ended with {self._process.returncode}:\n{self.log}")
            if answers(self.bootstrap):
                return
            time.sleep(0.2)
        raise RuntimeError(f"the broker does not answer after {seconds:.0f} s:\n{self.log}")

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it in the middle of whatever it does (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Connections stay open, and nothing is answered any more (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after ``freeze``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _java(self, name: str, *arguments: str) -> list[str]:
        return ["java", *_JAVA, "-cp", f"{jars()}/*", name, *arguments]

    def _format(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "server.properties").write_text(self._settings())
        credentials = [
            part
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for part in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
        ]
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", f"--cluster-id={self._cluster}", "-c", "server.properties")
            + credentials,
            cwd=self._folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"the broker's folder cannot be made: {done.stdout}{done.stderr}")

    def _settings(self) -> str:
        ports, copies = self._ports, min(3, len(self._voters))
        quorum = ",".join(
            f"{node}@127.0.0.1:{voter.controller}" for node, voter in enumerate(self._voters, start=1)
        )
        open_to_all = f"PLAINTEXT://127.0.0.1:{ports.plain},SASL://{self.sasl},TLS://{self.tls}"
        behind, told = "", ""
        if self.proxied is not None:
            behind, told = (f",PROXIED://127.0.0.1:{port}" for port in (self.proxied, self._through))
        own = {
            "node.id": self._node,
            "controller.quorum.voters": quorum,
            "listeners": f"{open_to_all}{behind},CONTROLLER://127.0.0.1:{ports.controller}",
            "advertised.listeners": open_to_all + told,
            "log.dirs": self._folder / "data",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": min(2, copies),
            "ssl.keystore.location": keys() / "server.p12",
            "ssl.keystore.password": KEY_PASSWORD,
        }
        for mechanism, module in _JAAS.items():
            for listener in ("sasl", "tls"):
                name = f"listener.name.{listener}.{mechanism}.sasl.jaas.config"
                own[name] = f"org.apache.kafka.common.security.{module}"
        return _SETTINGS + "\n".join(f"{name}={value}" for name, value in own.items()) + "\n" + self._more


class Cluster:
    """Three brokers that copy to each other; any one may die."""

    def __init__(self, folder: Path, *, size: int = 3, settings: str = "") -> None:
        voters = [Ports.free() for _ in range(size)]
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self.brokers = [
            Broker(folder / str(node), node=node, voters=voters, cluster=name, settings=settings)
            for node in range(1, size + 1)
        ]
        self.bootstrap = ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> Self:
        """Run all of them; returns when each answers."""
        for broker in self.brokers:
            broker.start(wait=False)
        for broker in self.brokers:
            broker.wait()
        return self

    def stop(self) -> None:
        """Kill all of them: their data is the test's, and nobody waits for it."""
        for broker in self.brokers:
            broker.kill()


def answers(bootstrap: str) -> bool:
    """Whether a broker is there and says so."""
    host, port = bootstrap.rsplit(":", 1)
    with suppress(OSError, KafkaError):
        socket.create_connection((host, int(port)), timeout=2).close()
        KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000, request_timeout_ms=2_000
        ).close()
        return True
    return False


def _die_with_parent() -> None:
    """No broker outlives its tests, however these end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgrp()
