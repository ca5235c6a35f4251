"""The jars of Apache Kafka and a key for TLS, fetched once into a cache; what runs them is broker's."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
KEY_PASSWORD = "of-the-tests-only"  # noqa: S105 - guards a key that nobody trusts
_INSTALL = "install Java 17 or later and Maven (Debian: apt install openjdk-17-jre-headless maven)"


class NoKafkaError(RuntimeError):
    """No broker can be had; says in one line what to install."""


def cache() -> Path:
    """Where everything is kept between runs, outside of the repository."""
    found = re.search(r"kafka_2\.13</artifactId><version>([\d.]+)<", POM.read_text())
    assert found is not None
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "policyengine" / f"kafka-{found[1]}"


def jars() -> Path:
    """The folder of the jars; the first call fetches them (a minute), parallel ones wait for it."""
    _check_java()
    libs = cache() / "libs"
    with _locked():
        if not libs.is_dir():
            _fetch(libs)
    return libs


def keys() -> Path:
    """A folder with ``server.p12`` for a broker on 127.0.0.1 and ``server.pem``, what clients trust."""
    folder = cache() / "keys"
    with _locked():
        if not folder.is_dir():
            _make_keys(folder)
    return folder


def _check_java() -> None:
    if os.name != "posix":
        raise NoKafkaError("the broker of the tests needs Linux or macOS; or set POLICYENGINE_TEST_KAFKA")
    java = shutil.which("java")
    if java is None:
        raise NoKafkaError(f"there is no `java`: {_INSTALL}, or set POLICYENGINE_TEST_KAFKA=host:port")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=240).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < 17:
        what = version[1] if version else "something that tells no version"
        raise NoKafkaError(f"`java` is {what}: {_INSTALL}, or set POLICYENGINE_TEST_KAFKA=host:port")


@contextmanager
def _locked() -> Iterator[None]:
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(libs: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafkaError(f"there is no `mvn`: {_INSTALL}, or set POLICYENGINE_TEST_KAFKA=host:port")
    half = libs.with_name("libs.half")
    shutil.rmtree(half, ignore_errors=True)
    done = subprocess.run(
        [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={half}"],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        reason = " ".join((done.stdout + done.stderr).split())[:300]
        raise NoKafkaError(f"Maven cannot fetch the broker's jars, is Maven Central reachable? {reason}")
    half.rename(libs)


def _make_keys(folder: Path) -> None:
    half = folder.with_name("keys.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    store = ["-keystore", str(half / "server.p12"), "-storepass", KEY_PASSWORD, "-alias", "server"]
    made = [
        ["-genkeypair", *store, "-storetype", "PKCS12", "-keyalg", "EC", "-groupname", "secp256r1",
         "-validity", "3650", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"],
        ["-exportcert", *store, "-rfc", "-file", str(half / "server.pem")],
    ]  # fmt: skip
    for arguments in made:
        subprocess.run(["keytool", *arguments], capture_output=True, check=True, timeout=240)
    half.rename(folder)
