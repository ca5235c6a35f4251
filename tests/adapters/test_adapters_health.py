"""The HTTP server beside a worker: what it answers, and that it is gone when it is closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import orjson
import pytest

from policyengine.adapters.health import HealthServer
from policyengine.adapters.metrics import PrometheusMeters
from policyengine.errors import UsageError
from policyengine.service.health import Health

JSON = "application/json"


class Worker:
    """A worker's health and metrics, and the server that tells them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.health = Health(lambda: self.now)
        self.meters = PrometheusMeters()
        self.server = HealthServer(
            live=self.health.why_not_live, ready=self.health.why_not_ready, metrics=self.meters.exposed
        )

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
        connection = HTTPConnection(*self.server.address, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"], answer.read()
        finally:
            connection.close()

    def json(self, path: str) -> tuple[int, Any]:
        status, kind, content = self.get(path)
        assert kind == JSON
        return status, orjson.loads(content)


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    with made.server:
        yield made


class TestAnswers:
    def test_one_that_lives(self, worker: Worker) -> None:
        assert worker.json("/livez") == (200, {"status": "live"})

    def test_one_that_is_stuck(self, worker: Worker) -> None:
        worker.now = 330.0
        assert worker.json("/livez") == (
            503, {"status": "not live", "because": ["the loop has not turned for 330 seconds"]},
        )  # fmt: skip

    def test_one_that_waits_says_for_what(self, worker: Worker) -> None:
        worker.health.ledger_answers()
        worker.health.policies_loaded()
        assert worker.json("/readyz") == (
            503, {"status": "not ready", "because": ["no partitions are assigned yet"]},
        )  # fmt: skip
        worker.health.assigned(2)
        assert worker.json("/readyz") == (200, {"status": "ready"})

    def test_metrics(self, worker: Worker) -> None:
        worker.meters.poisoned()
        status, kind, content = worker.get("/metrics")
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert b"\npolicyengine_poisoned_total 1.0\n" in content

    def test_metrics_in_the_format_that_is_asked_for(self, worker: Worker) -> None:
        _, kind, content = worker.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text")
        assert content.endswith(b"# EOF\n")

    def test_a_probe_may_carry_a_query(self, worker: Worker) -> None:
        assert worker.json("/livez?full=1")[0] == 200

    def test_another_path_lists_those_that_there_are(self, worker: Worker) -> None:
        assert worker.json("/") == (404, {"pages": ["/livez", "/metrics", "/readyz"]})

    def test_nothing_can_be_changed(self, worker: Worker) -> None:
        assert worker.get("/readyz", method="POST")[0] == 501

    def test_who_asks_for_headers_alone_gets_no_content(self, worker: Worker) -> None:
        assert worker.get("/livez", method="HEAD") == (200, JSON, b"")

    def test_a_fault_of_ours_is_an_answer_too(self) -> None:
        def fails() -> list[str]:
            raise ValueError("no figures")

        worker = Worker()
        server = HealthServer(live=fails, ready=fails, metrics=worker.meters.exposed)
        worker.server.close()
        worker.server = server
        with server:
            assert worker.json("/livez") == (
                503, {"status": "not known", "because": ["ValueError: no figures"]},
            )  # fmt: skip


class TestLife:
    def test_by_default_only_this_machine_reaches_it(self, worker: Worker) -> None:
        assert worker.server.address[0] == "127.0.0.1"

    def test_several_may_ask_at_once_and_one_that_is_silent_holds_up_nobody(self, worker: Worker) -> None:
        with socket.create_connection(worker.server.address, timeout=10):
            assert worker.json("/livez")[0] == 200

    def test_one_that_goes_away_in_the_middle_is_no_event(
        self, worker: Worker, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_connection(worker.server.address, timeout=10) as half:
            half.sendall(b"GET /livez HT")
        assert worker.json("/livez")[0] == 200
        assert capfd.readouterr().err == ""

    def test_once_closed_the_port_is_free_and_no_thread_is_left(self) -> None:
        before = threading.active_count()
        worker = Worker()
        with worker.server:
            worker.get("/livez")
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(worker.server.address)
        assert not [one for one in threading.enumerate() if one.name == "health"]
        assert threading.active_count() <= before + 1  # at most who answered last is still about to end

    def test_one_that_was_never_started_can_be_closed(self) -> None:
        Worker().server.close()

    def test_a_port_that_is_taken_is_said_in_a_line(self, worker: Worker) -> None:
        _, port = worker.server.address
        with pytest.raises(UsageError, match=rf"health cannot be served on 127\.0\.0\.1:{port}"):
            HealthServer(live=list, ready=list, metrics=lambda _: (b"", ""), port=port)
