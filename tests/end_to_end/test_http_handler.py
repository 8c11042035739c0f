"""The handler ``http`` in a real worker, against a service that has never heard of Kafka."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.harness import FINAL, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


class Service(ThreadingHTTPServer):
    """``/ok`` is well, ``/busy`` is at its second call only, ``/slow`` never ends; else 404."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[str, dict[str, str], bytes, float]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def of(self, path: str) -> list[tuple[str, dict[str, str], bytes, float]]:
        return [call for call in self.calls if call[0] == path]


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append((self.path, headers, body, time.monotonic()))
        if self.path == "/ok":
            self.say(200, {"got": json.loads(body)})
        elif self.path == "/busy":
            if len(self.server.of("/busy")) == 1:
                self.say(500, "come back", **{"Retry-After": "1"})
            else:
                self.say(200, "done at last")
        elif self.path == "/slow":
            time.sleep(5)
        else:
            self.say(404, "no such thing")

    def say(self, status: int, value: Any, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the test's output."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ended(worker: WorkerProcess, url: str, **more: Any) -> Any:
    id = worker.submit(handler="http", data={"url": url, "body": {"order": 7}}, **more)

    def look() -> Any:
        job = worker.status(id)
        return job if job["status"] in FINAL else None

    return until(look, 40, f"{id} is final")


def test_jobs_by_http(cluster: Cluster, service: Service) -> None:
    worker = cluster.worker(JOBS_HTTP_ALLOW="127.0.0.1", JOBS_HTTP_SECRET="a secret of some length")
    job = ended(worker, f"{service.url}/ok")
    assert (job["status"], job["result"]["body"]) == ("done", {"got": {"order": 7}})
    ((_, headers, _, _),) = service.of("/ok")
    assert headers["idempotency-key"].startswith(f"{job['id']}@")
    assert headers["x-job-signature"].startswith("t=")

    job = ended(worker, f"{service.url}/busy", ttl=3)
    assert (job["status"], job["attempt"]) == ("done", 2)
    first, second = service.of("/busy")
    assert second[3] - first[3] >= 0.95, "not before the time that Retry-After names"
    assert [call[1]["x-job-attempt"] for call in (first, second)] == ["1", "2"]
    assert first[1]["x-job-id"] == second[1]["x-job-id"] == job["id"]

    job = ended(worker, f"{service.url}/nothing", ttl=3)
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert job["error"] == f'POST {service.url}/nothing answered 404: "no such thing"'

    job = ended(worker, f"{service.url}/slow", timeout="300ms", ttl=0)
    assert (job["status"], job["error"]) == ("failed", "timed out after 300ms")

    job = ended(worker, "http://169.254.169.254/latest/meta-data", ttl=3)
    assert (job["status"], job["attempt"]) == ("failed", 1)
    assert "jobs may not reach 169.254.169.254" in job["error"]
    assert "JOBS_HTTP_ALLOW" in job["error"]

    answer = worker.post("/job", {"handler": "http", "data": {"url": "file:///etc/passwd"}})
    assert answer.status == 422
    assert b"url must be http" in answer.body
    assert worker.terminate() == 0
    assert "Unclosed" not in worker.text()


def test_wrong_settings_stop_the_start(cluster: Cluster) -> None:
    worker = cluster.worker(ready=False, JOBS_HTTP_ALLOW="10.0.0.1/8")
    assert worker.process.wait(60) == 1
    assert "HttpSettingsError: JOBS_HTTP_ALLOW: '10.0.0.1/8' is no host name" in worker.text()
