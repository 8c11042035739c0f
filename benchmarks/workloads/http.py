"""(e) and (f): what goes over HTTP, asked of one worker: cancels, submissions, status reads."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.base import Load, Peer
from benchmarks.peers.ours import Ours
from benchmarks.place import Place
from benchmarks.processes import PeerError, Running
from benchmarks.workloads.base import Column, Workload
from tests.harness import free_port, http

READY_WITHIN_S = 60.0
CANCELS = 200
CONNECTIONS = 16
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1_000.0}


class Cancel(Workload):
    """One after another; each is answered when its row is acknowledged."""

    key = "cancel"
    title = f"{CANCELS} cancels by HTTP, one after another"
    how = (
        "In ms, until the answer 200: the attempt has ended, and the row that says so is "
        "acknowledged by Kafka."
    )
    columns = tuple(
        Column(f"{state}_{part}", f"{state}, p{part}", "{:.1f}", more=False)
        for state in ("waiting", "executing")
        for part in (50, 99)
    )
    only = frozenset({"ours"})

    def load(self) -> Load:
        return Load("noop", 1, 10)

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        with _worker(peer, place, load) as (worker, url):
            waiting = {"handler": "sleep", "data": 60, "timeout": "90s", "delay": "1h"}
            executing = {"handler": "sleep", "data": 60, "timeout": "90s"}
            found = {}
            for state, request in (("waiting", waiting), ("executing", executing)):
                took = sorted(_cancel(worker, url, request, state) for _ in range(CANCELS))
                found[f"{state}_50"] = took[len(took) // 2]
                found[f"{state}_99"] = took[len(took) * 99 // 100]
        return found


class Http(Workload):
    """As many as it takes."""

    key = "http"
    title = f"HTTP, {CONNECTIONS} connections"
    how = (
        "By wrk, ten seconds each, at one worker on the machine that also runs wrk and the broker. "
        "A submission is answered when Kafka has acknowledged it; the jobs run meanwhile."
    )
    columns = (
        Column("submit", "submissions/s", more=True),
        Column("submit_99", "p99 (ms)", "{:.1f}", more=False),
        Column("status", "status reads/s", more=True),
        Column("status_99", "p99 (ms)", "{:.1f}", more=False),
    )
    only = frozenset({"ours"})

    def load(self) -> Load:
        return Load("noop", 1, 50)

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        if shutil.which("wrk") is None:
            raise PeerError("there is no `wrk`; on Debian: apt install wrk")
        with _worker(peer, place, load) as (_, url):
            body = json.dumps({"handler": "noop", "data": [1, 0]}).encode()
            id = json.loads(http("POST", f"{url}/job", body).body)["id"]
            status, status_99 = _wrk(f"{url}/job/{id}/status")
            script = place.folder / "submit.lua"
            script.write_text(f"wrk.method = 'POST'\nwrk.body = '{body.decode()}'\n")
            submit, submit_99 = _wrk(f"{url}/job", script)
        told = ("submit", "submit_99", "status", "status_99")
        return dict(zip(told, (submit, submit_99, status, status_99), strict=True))


@contextmanager
def _worker(peer: Peer, place: Place, load: Load) -> Iterator[tuple[Running, str]]:
    """Of ours, when it is ready, and its address."""
    assert isinstance(peer, Ours)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with peer.worker(place, port, JOBS_WORKERS=str(load.slots)) as worker:
        _until(lambda: _answers(f"{url}/readyz"), worker, "ready", READY_WITHIN_S)
        yield worker, url


def _answers(url: str) -> bool:
    try:
        return http("GET", url).status == 200
    except OSError:
        return False


def _cancel(worker: Running, url: str, request: Mapping[str, object], state: str) -> float:
    """Submits a job and cancels it when it is in that state; the cancel's time in ms."""
    id = json.loads(http("POST", f"{url}/job", json.dumps(request).encode()).body)["id"]
    status = f"{url}/job/{id}/status"
    # Whatever is submitted is waiting; a row says so with `next_attempt_at`, or that it executes.
    there = b'"next_attempt_at":"' if state == "waiting" else b'"status":"executing"'
    _until(lambda: there in http("GET", status).body, worker, state, 10)
    began = time.perf_counter()
    answer = http("POST", f"{url}/job/{id}/cancel")
    took_ms = (time.perf_counter() - began) * 1_000
    if answer.status != 200:
        raise PeerError(f"a cancel was answered with {answer.status}: {answer.body!r}")
    return took_ms


def _until(true: Callable[[], bool], worker: Running, what: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        worker.check()
        if time.monotonic() > deadline:
            raise PeerError(f"after {within_s:g} s not {what}. It said:\n{worker.tail()}")
        time.sleep(0.005)


def _wrk(url: str, script: Path | None = None) -> tuple[float, float]:
    """Requests a second, and their 99th percentile in ms."""
    more = ["-s", str(script)] if script else []
    ran = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", "-d10s", "--latency", *more, url],
        capture_output=True,
        text=True,
        check=True,
    )
    rate = re.search(r"Requests/sec:\s+([\d.]+)", ran.stdout)
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", ran.stdout)
    if rate is None or late is None or "Non-2xx" in ran.stdout:
        raise PeerError(f"wrk: {ran.stdout}")
    return float(rate[1]), float(late[1]) * UNITS_MS[late[2]]
