"""Settings: what they mean for the clients, what they refuse, and that no secret is ever shown."""

from __future__ import annotations

import base64
import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from kafka import KafkaAdminClient

from policyengine.adapters.kafka_publisher import ShardPublisher
from policyengine.adapters.kafka_settings import KafkaSettings, read_kafka_settings
from policyengine.adapters.kafka_source import KafkaSource, Partition
from policyengine.adapters.kafka_tokens import command_tokens, endpoint_tokens
from policyengine.adapters.kafka_topics import ensure_topics
from policyengine.errors import StreamError, UsageError
from tests.kafka.broker import PASSWORD, USER, Broker
from tests.kafka.conftest import NewTopic, make_topic
from tests.kafka.jars import keys
from tests.kafka.streams import Ledger, committed, numbered, settings_for, until, write

SECRET = "hush-7f3a"  # noqa: S105 - looked for wherever it must not be
PLAIN = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "username": USER}


class TestReading:
    def test_they_come_from_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POLICYENGINE_KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2")
        monkeypatch.setenv("POLICYENGINE_KAFKA_PASSWORD", SECRET)
        found = read_kafka_settings(group="g")
        assert found.client()["bootstrap_servers"] == ["a:1", "b:2"]
        assert found.member()["group_id"] == "g"
        assert found.password is not None
        assert found.password.get_secret_value() == SECRET

    def test_every_setting_says_what_it_is_for(self) -> None:
        assert [name for name, field in KafkaSettings.model_fields.items() if not field.description] == []

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"bootstrap_servers": "broker"}, "POLICYENGINE_KAFKA_BOOTSTRAP_SERVERS: String should match"),
            ({"sasl_mechanism": "PLAIN"}, "SASL_* protocols need sasl_mechanism, and only they have one"),
            ({"security_protocol": "SASL_SSL"}, "SASL_* protocols need sasl_mechanism"),
            ({**PLAIN, "password": None}, "PLAIN needs username and password"),
            ({**PLAIN, "sasl_mechanism": "SCRAM-SHA-512"}, "SCRAM-SHA-512 needs username and password"),
            ({**PLAIN, "sasl_mechanism": "OAUTHBEARER"}, "needs token_command, or token_endpoint"),
            (
                {**PLAIN, "sasl_mechanism": "OAUTHBEARER", "token_endpoint": "https://x"},
                "token_endpoint needs client_id and client_secret",
            ),
            ({"token_endpoint": "file:///etc/passwd"}, "POLICYENGINE_KAFKA_TOKEN_ENDPOINT: String should match"),
            ({"compression": "zstd"}, "POLICYENGINE_KAFKA_COMPRESSION: Value error, needs the package"),
            ({"customer_topic": "a b"}, "POLICYENGINE_KAFKA_CUSTOMER_TOPIC: String should match"),
        ],
    )  # fmt: skip
    def test_what_cannot_work_is_refused(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(UsageError) as caught:
            read_kafka_settings(**options)
        assert says in str(caught.value)

    def test_the_group_hears_of_a_worker_often_enough_in_every_session(self) -> None:
        for session, beat in ((500, 100), (3_000, 600), (45_000, 3_000)):
            assert KafkaSettings(session_timeout=session).member()["heartbeat_interval_ms"] == beat


class TestSecrets:
    def test_they_are_in_no_text_and_in_no_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        secrets = {"password": SECRET, "client_secret": SECRET, "key_password": SECRET}
        found = KafkaSettings(**{**PLAIN, **secrets})
        assert SECRET not in f"{found!r} {found!s} {found.model_dump()} {found.model_dump_json()}"
        monkeypatch.setenv("POLICYENGINE_KAFKA_SASL_MECHANISM", "NONE-SUCH")
        with pytest.raises(UsageError) as caught:
            read_kafka_settings(**{"security_protocol": "SASL_SSL", **secrets})
        assert SECRET not in told(caught.value)

    def test_they_are_in_no_log_and_no_error_of_a_broker_that_refuses_them(
        self, own_broker: Broker, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        wrong = settings_for(own_broker.sasl, **PLAIN, password=SECRET, request_timeout=3_000)
        with caplog.at_level(logging.DEBUG), pytest.raises(StreamError) as caught:
            KafkaSource(wrong, Ledger())
        out, err = capsys.readouterr()
        assert caplog.text
        for text in (told(caught.value), caplog.text, out, err):
            assert SECRET not in text
            assert base64.b64encode(SECRET.encode()).decode() not in text

    def test_nor_in_those_of_a_broker_that_takes_them(
        self, own_broker: Broker, caplog: pytest.LogCaptureFixture
    ) -> None:
        for mechanism in ("PLAIN", "SCRAM-SHA-256"):
            right = {**PLAIN, "sasl_mechanism": mechanism, "password": PASSWORD}
            with caplog.at_level(logging.DEBUG):
                KafkaAdminClient(**settings_for(own_broker.sasl, **right).client()).close()
        assert PASSWORD not in caplog.text
        assert PASSWORD.encode().hex() not in caplog.text


def told(error: BaseException | None) -> str:
    """All that an error and those behind it say."""
    text = ""
    while error is not None:
        text += f"{error!r} {error} "
        error = error.__cause__ or error.__context__
    return text


class TestConnections:
    """Whoever says who they are reads and writes; the listeners differ, the messages do not."""

    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    def test_a_name_and_a_password(self, own_broker: Broker, mechanism: str) -> None:
        there_and_back(
            own_broker, own_broker.sasl, **{**PLAIN, "sasl_mechanism": mechanism, "password": PASSWORD}
        )

    def test_a_name_and_a_password_over_tls(self, own_broker: Broker) -> None:
        there_and_back(
            own_broker, own_broker.tls,
            **{**PLAIN, "security_protocol": "SASL_SSL", "password": PASSWORD, "ca_file": keys() / "server.pem"},
        )  # fmt: skip

    def test_a_token(self, own_broker: Broker) -> None:
        command = f"{shlex.quote(sys.executable)} -c {shlex.quote(f'print({unsecured_token()!r})')}"
        there_and_back(
            own_broker, own_broker.sasl,
            security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER", token_command=command,
        )  # fmt: skip

    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
    def test_a_wrong_password_is_told(self, own_broker: Broker, mechanism: str) -> None:
        wrong = {**PLAIN, "sasl_mechanism": mechanism, "password": "wrong"}
        publisher = ShardPublisher(
            settings_for(own_broker.sasl, **wrong, request_timeout=2_000),
            Partition("t", 0),
            {"decisions": "d"},
        )
        with pytest.raises(StreamError):
            publisher.open()

    def test_a_broker_that_nobody_vouches_for_is_not_talked_to(self, own_broker: Broker) -> None:
        unknown = {**PLAIN, "security_protocol": "SASL_SSL", "password": PASSWORD}
        with pytest.raises(StreamError):
            KafkaSource(settings_for(own_broker.tls, **unknown, request_timeout=2_000), Ledger())


def there_and_back(broker: Broker, address: str, **options: Any) -> None:
    """One message in over the plain listener, read and answered over the guarded one."""
    topic, out = make_topic(broker.bootstrap), make_topic(broker.bootstrap)
    write(broker.bootstrap, topic, [("ann", b"1")])
    settings = settings_for(address, group=topic, customer_topic=topic, **options)
    ledger = Ledger()
    with KafkaSource(settings, ledger) as source:
        until(lambda: ledger.take(source) == 1)
    with ShardPublisher(settings, Partition(topic, 0), {"decisions": out}) as publisher:
        publisher.open()
        publisher.publish({"decisions": numbered(7, 8)}, {"decisions": 1})
    assert [one.value for one in committed(broker.bootstrap, out)] == [b"7"]


def unsecured_token() -> str:
    """A token that nobody signed: the broker of the tests believes it (RFC 7515, A.5)."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": USER, "iat": now, "exp": now + 600})
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)
        + "."
    )


class TestTokens:
    def test_a_token_is_kept_while_it_lasts(self, tmp_path: Path) -> None:
        script = tmp_path / "tokens.py"
        script.write_text(
            "import pathlib, json\np = pathlib.Path(__file__).with_name('n')\n"
            "n = int(p.read_text()) + 1 if p.exists() else 1\np.write_text(str(n))\n"
            "print(json.dumps({'access_token': f't{n}', 'expires_in': 3600}))"
        )
        tokens = command_tokens(f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}")
        assert [tokens.token(), tokens.token()] == ["t1", "t1"]

    def test_a_token_without_an_end_is_asked_for_each_time(self) -> None:
        assert command_tokens("echo bare-token").token() == "bare-token"

    @pytest.mark.parametrize("command", ["false", "echo", "no-such-command-there-is", "echo {}", "'"])
    def test_a_command_that_gives_none_is_told_without_what_it_said(self, command: str) -> None:
        with pytest.raises(StreamError) as caught:
            command_tokens(command).token()
        assert caught.value.__cause__ is None

    def test_an_endpoint_gives_a_token_for_the_clients_credentials(self, endpoint: str) -> None:
        tokens = endpoint_tokens(endpoint, "me", SECRET, "kafka")
        assert [tokens.token(), tokens.token()] == ["granted-1", "granted-1"]
        assert _Endpoint.asked == [
            (f"Basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}",
             "grant_type=client_credentials&scope=kafka"),
        ]  # fmt: skip

    def test_an_endpoint_that_refuses_is_told_without_the_secret(self, endpoint: str) -> None:
        with pytest.raises(StreamError, match="the token endpoint fails") as caught:
            endpoint_tokens(f"{endpoint}/refuse", "me", SECRET, None).token()
        assert SECRET not in told(caught.value)


class _Endpoint(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str | None, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.headers["Authorization"], body))
        self.send_response(401 if self.path.endswith("refuse") else 200)
        self.end_headers()
        self.wfile.write(
            json.dumps({"access_token": f"granted-{len(self.asked)}", "expires_in": 60}).encode()
        )

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    _Endpoint.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), _Endpoint)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()
    thread.join()


class TestTopics:
    def test_missing_topics_are_made_and_those_that_are_there_stay(
        self, broker: Any, new_topic: NewTopic
    ) -> None:
        there = new_topic(partitions=2)
        names = {"customer_topic": there, "world_topic": f"{there}-w", "decision_topic": f"{there}-d",
                 "dead_letter_topic": f"{there}-x"}  # fmt: skip
        settings = settings_for(broker.bootstrap, partitions=3, **names)
        assert ensure_topics(settings) == [f"{there}-d", f"{there}-w", f"{there}-x"]
        assert ensure_topics(settings) == []
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
            described = {
                one["name"]: len(one["partitions"]) for one in admin.describe_topics(list(names.values()))
            }
        assert described == {there: 2, f"{there}-w": 1, f"{there}-d": 3, f"{there}-x": 1}

    def test_the_world_has_one_partition(self, broker: Any, new_topic: NewTopic) -> None:
        world = new_topic(partitions=2)
        settings = settings_for(
            broker.bootstrap, world_topic=world, customer_topic=f"{world}-c", decision_topic=f"{world}-d",
            dead_letter_topic=f"{world}-x",
        )  # fmt: skip
        with pytest.raises(StreamError, match="has 2 partitions"):
            ensure_topics(settings)
