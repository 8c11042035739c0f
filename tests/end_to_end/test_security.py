"""Two workers with a token and with HTTPS, between them too; and what can't lead elsewhere."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.harness import FINAL, ROOT, Answer, Cluster, WorkerProcess, free_port, http, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

TOKEN = "0123456789abcdef-a-token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def shared(workers: list[WorkerProcess]) -> None:
    def both() -> bool:
        return all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers)

    until(both, 60, "both own partitions")


def test_a_token_goes_along_between_workers_and_is_told_nowhere(
    cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    workers = [cluster.worker(JOBS_API_TOKEN_FILE=str(file)) for _ in range(2)]
    shared(workers)
    first = workers[0]
    assert first.post("/job", {"handler": "echo"}).status == 401
    ids = [first.post("/job", {"handler": "echo"}, headers=BEARER).json["id"] for _ in range(8)]

    login = first.url + "/login"
    request = urllib.request.Request(login, f"token={TOKEN}".encode(), method="POST")
    opened = urllib.request.build_opener(NoRedirect).open(request)
    assert opened.status == 303
    cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
    assert TOKEN not in str(opened.headers)

    for headers in (BEARER, cookie):
        for worker in workers:  # the second one has never seen this cookie

            def done(worker: WorkerProcess = worker, headers: dict[str, str] = headers) -> bool:
                listed = worker.get("/job/all", headers=headers).json
                assert listed["missing"] == []
                return {job["id"] for job in listed["jobs"] if job["status"] in FINAL} == set(ids)

            until(done, 30, "all are done")
            for id in ids:
                assert worker.get(f"/job/{id}/status", headers=headers).json["status"] == "done"
                assert worker.post(f"/job/{id}/cancel", headers=headers).status == 409
            stats = worker.get("/stats", headers=headers)
            assert stats.json["missing"] == []
            assert TOKEN not in stats.body.decode()
    for worker in workers:
        with open(f"/proc/{worker.process.pid}/cmdline") as command:
            assert TOKEN not in command.read()
        assert worker.terminate() == 0
        assert TOKEN not in worker.text()


def test_whoever_guesses_tokens_stops_no_worker(cluster: Cluster) -> None:
    """Also from an address that workers have, too."""
    workers = [cluster.worker(JOBS_API_TOKEN=TOKEN) for _ in range(2)]
    shared(workers)
    for worker in workers:
        guesses = [{"Authorization": f"Bearer guess-number-{n:04}"} for n in range(12)]
        tried = [worker.get("/stats", headers=guess).status for guess in guesses]
        assert tried[:10] == [401] * 10
        assert tried[-1] == 429

    def in_again() -> bool:
        return workers[0].get("/stats", headers=BEARER).status == 200

    until(in_again, 30, "one in six seconds is judged")
    listed = workers[0].get("/job/all", headers=BEARER).json
    assert listed["missing"] == []
    assert workers[0].get("/stats", headers=BEARER).json["missing"] == []


class NoRedirect(urllib.request.HTTPErrorProcessor):
    def http_response(self, request: object, response: object) -> object:
        return response

    https_response = http_response


def raw(worker: WorkerProcess, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", worker.port), 10) as connection:
        connection.sendall(text.encode())
        connection.settimeout(20)
        found = b""
        while part := connection.recv(65_536):
            found += part
        return found


def test_no_request_leads_a_worker_elsewhere(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    shared(workers)
    first, second = workers
    theirs = second.get("/readyz").json["partitions"][0]
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        evil = f"127.0.0.1:{trap.getsockname()[1]}"
        path = f"/job/{theirs}-999999/status"
        end = "Connection: close\r\n\r\n"
        answers = [
            raw(first, f"GET {line} HTTP/1.1\r\nHost: {host}\r\n{more}{end}")
            for line, host, more in (
                (path, evil, ""),
                (f"http://{evil}{path}", evil, ""),
                (f"http://{evil}{path}", first.url[7:], ""),
                (f"//{evil}{path}", first.url[7:], ""),
                (path, first.url[7:], f"X-Forwarded-Host: {evil}\r\nForwarded: host={evil}\r\n"),
                (path, first.url[7:], "X-Jobs-Forwarded: 1\r\n"),
            )
        ]
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()
    statuses = [int(answer.split()[1]) for answer in answers]
    assert set(statuses) <= {404, 400, 421, 503}
    assert statuses[0] == 404  # its owner was asked, not the host that was named
    assert statuses[-1] == 503  # the one that was asked asks nobody
    # As an outsider may say it: a list is then one worker's part, and no more.
    assert first.get("/job/all", headers={"X-Jobs-Forwarded": "1"}).status == 200


def test_a_name_of_another_site(cluster: Cluster) -> None:
    worker = cluster.worker()
    told = worker.get("/job/all", headers={"Host": "rebound.example:80"})
    assert told.status == 421
    assert "JOBS_ALLOWED_HOSTS" in told.json["detail"]
    told = worker.post("/job", {}, headers={"Origin": "https://other.example"})
    assert told.status == 403


def test_https_between_workers_too(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = Authority(tmp_path)
    pair = ca.sign("worker")
    context = ssl.create_default_context(cafile=str(ca.cert))
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    monkeypatch.setattr(urllib.request, "urlopen", opener.open)
    tls = {
        "JOBS_TLS_CERT": str(pair.cert),
        "JOBS_TLS_KEY": str(pair.key),
        "JOBS_TLS_CA": str(ca.cert),
    }
    workers = [cluster.worker(ready=False, kind=ByHttps, **tls) for _ in range(2)]
    for worker in workers:
        worker.wait_ready()
    shared(workers)
    ids = [workers[0].submit(handler="echo", data=n) for n in range(8)]
    cluster.all_final(ids)
    for worker in workers:
        assert {worker.status(id)["status"] for id in ids} == {"done"}
        listed: Answer = worker.get("/job/all")
        assert listed.json["missing"] == []
        assert len(listed.json["jobs"]) == 8
    for path in ("/healthz", "/readyz"):
        assert health(cluster, workers[0], path).returncode == 0
    # By HTTP there is nothing, and a certificate of another CA is not believed.
    with pytest.raises(OSError):  # noqa: PT011 - whatever the connection breaks with
        http("GET", f"http://127.0.0.1:{workers[0].port}/healthz")
    stranger = Authority(tmp_path, "stranger")
    third = cluster.worker(ready=False, kind=ByHttps, **(tls | {"JOBS_TLS_CA": str(stranger.cert)}))
    third.wait_ready()

    def unasked() -> bool:
        return len(third.get("/job/all").json["missing"]) >= 1

    until(unasked, 30, "it believes no other worker")
    for worker in workers:
        assert f"ready: https://127.0.0.1:{worker.port}/" in worker.text()
        assert "Traceback" not in worker.text()


def health(cluster: Cluster, worker: WorkerProcess, path: str) -> subprocess.CompletedProcess[str]:
    """What the image's health check does."""
    return subprocess.run(
        [sys.executable, "-m", "worker.health", path],
        cwd=ROOT,
        env=cluster.environ(JOBS_PORT=str(worker.port), **worker.settings)
        | {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_health_check_says_what_is_wrong(cluster: Cluster) -> None:
    worker = cluster.worker()
    assert health(cluster, worker, "/readyz").returncode == 0
    refused = health(cluster, worker, "/job/0-99999/status")
    assert refused.returncode == 1
    assert refused.stderr.endswith("/job/0-99999/status answered 404\n")
    assert worker.terminate() == 0
    gone = health(cluster, worker, "/healthz")
    assert gone.returncode == 1
    (line,) = gone.stderr.splitlines()
    assert line.startswith(f"http://127.0.0.1:{worker.port}/healthz can't be reached")
    worker.settings["JOBS_BIND"] = "no address"
    wrong = health(cluster, worker, "/healthz")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: JOBS_BIND=")


class ByHttps(WorkerProcess):
    def __init__(self, cluster: Cluster, settings: dict[str, str]) -> None:
        super().__init__(cluster, settings)
        self.url = f"https://127.0.0.1:{self.port}"


@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_a_certificate_that_is_none(tmp_path: Path, content: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text(content)
    for settings in (
        {"JOBS_TLS_CERT": str(bad), "JOBS_TLS_KEY": str(bad)},
        {"JOBS_TLS_CA": str(bad)},
        {"JOBS_KAFKA_SECURITY": "ssl", "JOBS_KAFKA_CA": str(bad)},
    ):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("JOBS_", "KAFKA"))}
        ended = subprocess.run(
            [sys.executable, "app.py", "-p", str(free_port())],
            cwd=ROOT,
            env=clean | settings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2, ended.stderr
        (line,) = ended.stderr.strip().splitlines()
        assert "must be" in line
        assert "PEM" in line


def test_the_answer_to_what_is_no_request_has_the_headers(cluster: Cluster) -> None:
    worker = cluster.worker()
    answer = raw(worker, "NONSENSE\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.loads(body)["status"] == 400
    assert b"nosniff" in head
    assert b"default-src 'none'" in head
