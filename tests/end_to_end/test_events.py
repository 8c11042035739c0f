"""Events of jobs, told at any worker: none lost, none twice, whoever dies."""

from __future__ import annotations

import json
import random
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.listening import Crowd, Listening
from tests.harness import FINAL, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


def two_workers(cluster: Cluster, **settings: str) -> list[WorkerProcess]:
    workers = [cluster.worker(ready=True, kind=None, **settings) for _ in range(2)]
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )
    return workers


def in_the_log(cluster: Cluster) -> list[tuple[str, str, int]]:
    """Each job's transitions in order, by the rules in the docs. What is written again, behind a
    void row, is the same row."""
    return sorted(
        ((id, row["status"], row.get("attempt", 0)) for id, row in _transitions(cluster)),
        key=lambda each: each[0],
    )


def _transitions(cluster: Cluster) -> Iterator[tuple[str, dict[str, Any]]]:
    for id, rows in cluster.history().items():
        for row, before in zip(rows, [None, *rows], strict=False):
            if row != before and row["status"] != "gone":
                yield id, row


def told_as_in_the_log(cluster: Cluster, told: list[tuple[str, str, int]]) -> None:
    """All, each once, and those of a job in order."""
    assert sorted(told, key=lambda each: each[0]) == in_the_log(cluster)


def test_both_workers_tell_what_happens_at_either(cluster: Cluster) -> None:
    workers = two_workers(cluster)
    listeners = [Listening(worker) for worker in workers]
    ids = cluster.produce(
        [b'{"handler": "echo"}'] * 20 + [b'{"handler": "fail", "data": 1}', b"{", b'{"ttl": -1}']
    )
    cluster.all_final(ids)
    wanted = in_the_log(cluster)
    for listener in listeners:
        until(lambda one=listener: len(one.told) >= len(wanted), 20, "all are told")  # type: ignore[misc]
        told_as_in_the_log(cluster, listener.transitions())
        answer = listener.answer
        assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        assert answer.getheader("Cache-Control") == "no-cache"
        assert answer.getheader("X-Accel-Buffering") == "no"
        done = next(t.data for t in listener.told if t.data["status"] == "done")
        assert set(done) == {
            "id", "status", "handler", "attempt", "max_attempts", "at", "error", "worker",
            "submitted_at", "started_at", "finished_at",
        }  # fmt: skip
        assert done["submitted_at"] <= done["started_at"] <= done["finished_at"] <= done["at"]
        listener.leave()
    again = Listening(workers[1], last_id=listeners[0].told[-1].id)
    new = workers[0].submit(handler="echo")
    until(lambda: (new, "done", 1) in again.transitions(), 20, "it goes on after the last ones")
    assert {id for id, _, _ in again.transitions()} == {new}
    again.leave()


def test_only_what_is_asked_for(cluster: Cluster) -> None:
    worker = cluster.worker()
    failed = Listening(worker, "?status=failed,canceled")
    echo = Listening(worker, "?handler=echo&status=done")
    first = worker.submit(handler="echo")
    cluster.all_final([first])
    one = Listening(worker, f"?id={first}", last_id=".".join("0" * cluster.partitions))
    assert worker.post(f"/job/{worker.submit(handler='sleep', data=100)}/cancel").status == 200
    ids = cluster.produce([b'{"handler": "echo"}', b'{"handler": "nope"}'])
    cluster.all_final(ids)
    until(lambda: len(failed.told) == 2 and len(echo.told) == 2, 20, "those are told")
    assert {status for _, status, _ in failed.transitions()} == {"failed", "canceled"}
    assert [id for id, _, _ in echo.transitions()] == [first, ids[0]]
    assert one.transitions() == [(first, "executing", 1), (first, "done", 1)]
    for query, field in (
        ("?status=gone", "status"),
        ("?id=first", "id"),
        ("?last_event_id=abc", "last_event_id"),
        ("?last_event_id=1.2.3.4.5", "last_event_id"),
        ("?last_event_id=1.-2", "last_event_id"),
    ):
        answer = worker.get(f"/job/events{query}")
        assert (answer.status, answer.json["field"]) == (400, field), query
        assert answer.json["detail"].startswith(f"{field}: ")
    answer = worker.get("/job/events", headers={"Last-Event-ID": "x"})
    assert answer.status == 400
    for each in (failed, echo, one):
        each.leave()


def test_an_id_of_another_log_is_told_and_it_goes_on(cluster: Cluster) -> None:
    worker = cluster.worker()
    listener = Listening(worker, "?last_event_id=999999.0.0.0")
    until(listener.problems, 20, "a problem")
    assert "ends before that Last-Event-ID" in listener.problems()[0]
    id = worker.submit(handler="echo")
    until(lambda: (id, "done", 1) in listener.transitions(), 20, "it goes on")
    assert listener.last_id != "999999.0.0.0"
    listener.leave()


def test_whoever_comes_and_goes_misses_nothing(cluster: Cluster) -> None:
    """Listeners break off at random and go on at either worker, with the last id; meanwhile one
    worker is killed and another one joins."""
    workers = two_workers(cluster)
    start = Listening(workers[0]).last_id
    assert start is not None
    dice = random.Random(7)
    told: list[tuple[str, str, int]] = []
    last = start
    ids = []
    for round in range(12):
        alive = [w for w in workers if w.process.poll() is None]
        listener = Listening(dice.choice(alive), last_id=last)
        ids += cluster.produce([b'{"handler": "sleep", "data": 0.05}'] * 10)
        if round == 4:
            workers[1].kill()
        if round == 6:
            workers.append(cluster.worker())
        many = dice.randint(1, 20)  # a round's jobs have at least 20 transitions, all still untold
        until(
            lambda one=listener, many=many: len(one.told) >= many or one.ended.is_set(),  # type: ignore[misc]
            60,
            "some are told",
        )
        listener.leave()
        told += listener.transitions()
        assert listener.problems() == []
        assert listener.last_id is not None
        last = listener.last_id
    cluster.all_final(ids)
    rest = Listening(workers[-1], last_id=last)
    wanted = in_the_log(cluster)
    until(lambda: len(told) + len(rest.transitions()) >= len(wanted), 60, "all are told")
    told_as_in_the_log(cluster, told + rest.transitions())
    rest.leave()


def test_a_paused_owner_that_writes_on_is_not_told(cluster: Cluster) -> None:
    workers = two_workers(cluster)
    ids = cluster.produce([b'{"handler": "sleep", "data": 1}'] * 40)
    listener = Listening(workers[0])
    until(lambda: len(listener.transitions()) > 4, 30, "they run")
    workers[1].signal(signal.SIGSTOP)
    until(lambda: len(workers[0].get("/readyz").json.get("partitions", [])) == 4, 60, "all are its")
    workers[1].signal(signal.SIGCONT)
    cluster.all_final(ids, 120)
    wanted = in_the_log(cluster)
    whole = Listening(workers[0], last_id=".".join("0" * cluster.partitions))
    until(lambda: len(whole.told) >= len(wanted), 30, "all are told")
    told_as_in_the_log(cluster, whole.transitions())
    assert set(listener.transitions()) <= set(wanted)
    assert sum(status in FINAL for _, status, _ in whole.transitions()) == 40
    listener.leave()
    whole.leave()


def test_a_stop_ends_streams_at_once(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_GRACE="1s")
    listeners = [Listening(worker) for _ in range(20)]
    stuck = socket.create_connection(("127.0.0.1", worker.port))  # takes nothing
    stuck.sendall(b"GET /job/events HTTP/1.1\r\nHost: x\r\n\r\n")
    began = time.monotonic()
    assert worker.terminate() == 0
    assert time.monotonic() - began < 20, "aiohttp waits a minute for answers that don't end"
    for listener in listeners:
        assert listener.ended.wait(5)
        assert listener.problems() == []
    stuck.close()
    assert "Traceback" not in worker.text()


def test_a_slow_client_is_told_to_come_again_and_misses_nothing(cluster: Cluster) -> None:
    """It reads nothing while more happens than is kept for it; then it reads what there is, and
    comes again. Where all that takes long, it has been let go for taking nothing."""
    worker = cluster.worker()
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    slow.connect(("127.0.0.1", worker.port))
    slow.sendall(b"GET /job/events HTTP/1.0\r\n\r\n")
    text = slow.recv(4_096)
    while b"\nid: " not in text:
        text += slow.recv(4_096)
    head, _, body = text.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower(), "HTTP/1.0 knows no chunks"
    ids = cluster.produce([b'{"handler": "echo", "data": "%s"}' % (b"x" * 100)] * 12_000)
    cluster.all_final(ids, 120)
    slow.settimeout(30)
    let_go = False
    try:
        while more := slow.recv(65_536):
            body += more
    except ConnectionResetError:
        let_go = True
    slow.close()
    whole, _, cut = body.rpartition(b"\n\n")  # an event counts when its empty line is there
    assert let_go or cut or b'event: problem\ndata: {"detail":"this client is too slow' in body
    told = [json.loads(line[6:]) for line in whole.splitlines() if line.startswith(b'data: {"id')]
    last = [line[4:].decode() for line in whole.splitlines() if line.startswith(b"id: ")][-1]
    again = Listening(worker, last_id=last)
    wanted = len(in_the_log(cluster))
    until(lambda: len(told) + len(again.told) >= wanted, 60, "the rest is told")
    mine = [(t["id"], t["status"], t["attempt"]) for t in told]
    assert 0 < len(mine) < wanted
    told_as_in_the_log(cluster, mine + again.transitions())
    again.leave()


def test_head_and_many_listeners(cluster: Cluster) -> None:
    worker = cluster.worker()
    head = socket.create_connection(("127.0.0.1", worker.port))
    head.sendall(b"HEAD /job/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b"".join(iter(lambda: head.recv(4_096), b""))
    head.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"text/event-stream" in answer
    crowd = Crowd(worker, 500)
    ids = cluster.produce([b'{"handler": "echo"}'] * 100)
    cluster.all_final(ids)
    rows = sum(len(rows) for rows in cluster.history().values())
    until(lambda: all(len(told) == rows for told in crowd.told), 60, "all are told")
    assert all(sorted(told) == sorted(crowd.told[0]) for told in crowd.told)
    assert len(set(crowd.told[0])) == rows
    crowd.leave()
