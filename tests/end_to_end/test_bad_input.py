"""Bad input, by the topic and by HTTP: a clear answer, and nothing stops."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]
ECHO = b'{"handler": "echo"}'

# what is wrong → the record's value, and what its row must say
RECORDS: dict[str, tuple[bytes | None, str]] = {
    "not JSON": (b"hello", "not JSON"),
    "null": (None, "null"),
    "empty": (b"", "empty"),
    "JSON null": (b"null", "a job is a JSON object"),
    "a list": (b"[]", "a job is a JSON object"),
    "ttl is text": (b'{"ttl": "2"}', "ttl: expected int, got str"),
    "ttl too large": (b'{"ttl": 101}', "ttl: expected int <= 100"),
    "timeout negative": (b'{"timeout": -5}', "timeout: must be more than 0"),
    "timeout zero": (b'{"timeout": 0}', "timeout: must be more than 0"),
    "timeout huge": (b'{"timeout": 9000000000000000000000}', "timeout: must be"),
    "timeout is no duration": (b'{"timeout": "soon"}', "timeout: 'soon' is no duration"),
    "handler unknown": (b'{"handler": "nope"}', "handler: no handler is named 'nope'"),
    "handler is a number": (b'{"handler": 5}', "handler: expected str, got int"),
    "run_at with no zone": (b'{"run_at": "2026-01-01T00:00:00"}', "run_at: expected datetime"),
    "delay and run_at": (b'{"delay": 1, "run_at": "2026-01-01T00:00:00Z"}', "delay and run_at"),
    "not UTF-8": (b'{"data": "\xff"}', "not UTF-8 at byte 10"),
    "too deep": (b'{"data":' + b"[" * 300 + b"]" * 300 + b"}", "nested"),
    "far too deep": (b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    "a number beyond all": (b'{"data": 1e999}', "out of range"),
}


def test_records_that_are_no_jobs(cluster: Cluster) -> None:
    worker = cluster.worker()
    ids = dict(zip(RECORDS, cluster.produce([value for value, _ in RECORDS.values()]), strict=True))
    (bad_key,) = cluster.produce([ECHO], key=b"\xff\xfe")
    good = cluster.produce([ECHO] * 50)
    states = cluster.all_final([*ids.values(), bad_key, *good], 30)

    assert {states[i]["status"] for i in good} == {"done"}, "intake goes on"
    for name, (_, says) in RECORDS.items():
        row = states[ids[name]]
        assert row["status"] == "failed", name
        assert says in row["error"], (name, row["error"])
        assert says in worker.status(ids[name])["error"]
    assert "key is not UTF-8" in states[bad_key]["error"]
    letters = {m.key: m for m in cluster.records(f"{cluster.jobs}-dead")}
    assert len(letters) == len(RECORDS) + 1
    for name, (value, says) in RECORDS.items():
        letter = letters[ids[name].encode()]
        assert letter.value == value, "the original value is kept"
        assert says.encode() in letter.headers["reason"]
    assert letters[bad_key.encode()].headers["source-key"] == b"\xff\xfe"
    assert "Traceback" not in worker.text()


def test_records_on_the_other_topics_that_mean_nothing(cluster: Cluster) -> None:
    worker = cluster.worker()
    nonsense: list[bytes | None] = [b"hello", None, b"{}", b'{"id": "abc"}', b'{"id": "0-999"}']
    cluster.produce(nonsense * 4, topic=f"{cluster.jobs}-retry")
    cluster.produce(nonsense * 4, topic=f"{cluster.jobs}-cancel")
    other = b'{"id": "0-0", "attempt": 1}'
    cluster.produce([other], topic=f"{cluster.jobs}-retry", partition=1)
    cluster.produce([other], topic=f"{cluster.jobs}-cancel", partition=1)
    cluster.produce([b"nonsense", b"{}"], topic=cluster.changelog, key=b"0-0", partition=0)
    good = cluster.produce([ECHO] * 50)
    for id in good:
        until(lambda id=id: worker.status(id)["status"] == "done", 30, f"{id} is done")  # type: ignore[misc]
    assert worker.terminate() == 0
    second = cluster.worker()
    assert second.status(good[0])["status"] == "done"
    assert "Traceback" not in worker.text() + second.text()


def test_rows_and_results_that_are_too_large(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_MAX_ROW="100000", JOBS_MAX_RESULT="5000", JOBS_MAX_BODY="90000")
    long = "é" * 10_000
    cut = worker.submit(handler="echo", data=long)
    (too_large,) = cluster.produce([json.dumps({"handler": "echo", "data": "x" * 99_000}).encode()])
    after = worker.submit(handler="echo")
    states = cluster.all_final([cut, too_large, after])
    shown = worker.status(cut)
    assert shown["status"] == "done"
    assert shown["result_truncated"] is True
    assert shown["result_bytes"] == len(json.dumps(long, ensure_ascii=False).encode())
    assert shown["result"].startswith('"ééé')
    assert "99002 bytes are more than a row can hold" in states[too_large]["error"]
    assert states[after]["status"] == "done"


BODIES: dict[str, tuple[bytes, int, str | None]] = {
    "not JSON": (b"hello", 400, None),
    "cut off": (b'{"data": ', 400, None),
    "not UTF-8": (b'{"data": "\xff"}', 400, None),
    "a list": (b"[]", 400, None),
    "timeout negative": (b'{"timeout": -1}', 422, "timeout"),
    "ttl wrong": (b'{"ttl": 1000}', 422, "ttl"),
    "handler unknown": (b'{"handler": "nope"}', 422, "handler"),
    "delay wrong": (b'{"delay": "x"}', 422, "delay"),
    "run_at wrong": (b'{"run_at": "tomorrow"}', 422, "run_at"),
    "too large": (b'{"data": "' + b"x" * 1_000_000 + b'"}', 413, None),
}


def problem(answer: Any, status: int) -> Any:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/problem+json")
    document = answer.json
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert "Traceback" not in answer.body.decode()
    return document


def test_http_that_is_wrong(cluster: Cluster) -> None:
    worker = cluster.worker()
    for name, (body, status, field) in BODIES.items():
        document = problem(worker.post("/job", body), status)
        assert document.get("field") == field, (name, document)
    for id in (
        "abc",
        "1-",
        "-1-2",
        "1-99999999999999999999",
        "01-2",
        "1-2-3",
        "%D9%A1-1",
        "1-2%0A",
    ):
        problem(worker.get(f"/job/{id}/status"), 400)
        problem(worker.post(f"/job/{id}/cancel"), 400)
    for id in ("0-5", "3-12345678901", "4-0", "2147483647-0"):
        problem(worker.get(f"/job/{id}/status"), 404)
        problem(worker.post(f"/job/{id}/cancel"), 404)
    problem(worker.get("/nothing/here"), 404)
    problem(worker.get("/job"), 405)
    problem(worker.post("/job/all"), 405)
    problem(worker.post("/job/0-0/status"), 405)
    problem(worker.get("/job/0-0/cancel"), 405)
    for query in ("status=lost", "limit=0", "limit=x", "limit=1001", "cursor=abc"):
        problem(worker.get(f"/job/all?{query}"), 400)
    assert cluster.records(cluster.jobs) == [], "nothing wrong reaches the topic"
    assert worker.submit(handler="echo")
    assert "Traceback" not in worker.text()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /job/\xd9\xa3-\xd9\xa0/status HTTP/1.1\r\nHost: a\r\n\r\n",
        b"FOO /job HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /job/all?cursor=" + b"x" * 33_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /job/all HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /job HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"hello\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_too(shared: WorkerProcess, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), 10) as client:
        client.sendall(sent)
        answer = b""
        while part := client.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    assert json.loads(body)["status"] == int(head.split()[1]) in (400, 404, 405)
    assert "Traceback" not in shared.text()


def test_a_client_that_hangs_up_in_a_body_fills_no_log(shared: WorkerProcess) -> None:
    before = len(shared.text().splitlines())
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", shared.port), 10) as client:
            client.sendall(b"POST /job HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\nabc")
    assert shared.submit(handler="echo")
    assert len(shared.text().splitlines()) == before, shared.tail()


@pytest.fixture(scope="module")
def shared(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker for the tests that leave nothing behind."""
    cluster = Cluster(kafka, tmp_path_factory.mktemp("shared"))
    yield cluster.worker()
    cluster.close()
