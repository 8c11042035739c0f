"""`make figures`: what HTTP costs a worker, on Apache Kafka; the figures of docs/http.md.

- `reads`: status reads a second, and their 99th percentile, while jobs run (by wrk).
- `pages`: how long a page of jobs takes among a million rows, by what is asked for.
- `waits`: how much memory waiting requests take.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import psutil
from confluent_kafka import Producer

from tests.faults.million import MB, row, write
from tests.faults.numbers import some
from tests.harness import Cluster, WorkerProcess, until
from tests.kafka import ApacheKafka

ASKS = 40
PAGES: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "limit=1000": {"limit": "1000"},
    "newest": {"order": "newest"},
    "newest, limit=1000": {"order": "newest", "limit": "1000"},
    "status=failed (1 of 100)": {"status": "failed"},
    "status=failed, newest": {"status": "failed", "order": "newest"},
    "handler=rare (1 of 100,000)": {"handler": "rare"},
    "handler=rare, newest": {"handler": "rare", "order": "newest"},
    "status=waiting (none)": {"status": "waiting"},
    "status=waiting, newest": {"status": "waiting", "order": "newest"},
    "error=text (1 of 10,000)": {"error": "no route to HOST"},
    "error=text, newest": {"error": "no route to HOST", "order": "newest"},
}


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    what: dict[str, Callable[[Cluster, argparse.Namespace], None]] = {
        "reads": reads,
        "pages": pages,
        "waits": waits,
    }
    for name in options.what or what:
        with (
            tempfile.TemporaryDirectory(prefix="figures-") as folder,
            ApacheKafka(heap="1g") as kafka,
        ):
            cluster = Cluster(kafka.address, Path(folder), partitions=8)
            try:
                print(f"{name}:", flush=True)
                what[name](cluster, options)
            finally:
                cluster.close()
    return 0


def pages(cluster: Cluster, options: argparse.Namespace) -> None:
    """The first page, and those behind it."""
    cluster.worker().terminate()
    write(cluster, options.rows, mixed)
    worker = cluster.worker(ready=False)
    worker.wait_ready(900)
    for name, query in PAGES.items():
        took: list[float] = []
        found, cursor = 0, None
        for _ in range(ASKS):
            given = {**query, **({} if cursor is None else {"cursor": cursor})}
            began = time.perf_counter()
            answer = worker.get(f"/job/all?{urlencode(given)}")
            took.append((time.perf_counter() - began) * 1000)
            assert answer.status == 200, answer.body
            found += len(answer.json["jobs"])
            cursor = answer.json["next"]
            if cursor is None:
                break
        took.sort()
        print(
            f"  {name}: {len(took)} pages, {found} jobs; median {statistics.median(took):.0f} ms, "
            f"95 % {took[int(len(took) * 0.95) - 1]:.0f} ms, most {took[-1]:.0f} ms",
            flush=True,
        )
    resident = psutil.Process(worker.process.pid).memory_info().rss
    print(f"  the worker has {resident / MB:.0f} MB")


def mixed(n: int, now_ms: int) -> dict[str, object]:
    """Of a hundred jobs one has failed; of a hundred thousand one is of another handler."""
    made = row(n, now_ms)
    if n % 100 == 99:
        error = "OSError: No route to host" if n % 10_000 == 9_999 else "TimeoutError: 421"
        made |= {"status": "failed", "error": error, "result": None}
        del made["result"]
    if n % 100_000 == 54_321:
        made["handler"] = "rare"
    return made


def reads(cluster: Cluster, options: argparse.Namespace) -> None:
    """Of one job and of its worker, while other jobs come by the topic."""
    worker = cluster.worker(JOBS_WORKERS="50")
    id = worker.submit(handler="echo", data="x" * 100)
    until(lambda: worker.status(id)["status"] == "done", 30, "done")
    for rate in (0, options.rate):
        for connections in (1, 16):
            with Load(cluster, rate) as load:
                time.sleep(3)
                ran = subprocess.run(
                    [
                        *("wrk", "-t1", f"-c{connections}", f"-d{options.seconds}s"),
                        *("--latency", f"{worker.url}/job/{id}/status"),
                    ],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                lag = worker.get("/stats").json["lag"]
            wanted = ("50%", "99%", "Requests/sec", "Non-2xx")
            told = [" ".join(line.split()) for line in ran.stdout.splitlines()]
            print(f"  {connections} connections, {rate} jobs a second ", end="")
            print(f"({load.sent} sent, {lag} not read in the end): ", end="")
            print(", ".join(line for line in told if line.startswith(wanted)), flush=True)
            until(lambda: worker.get("/stats").json["lag"] == 0, 120, "all are read")


class Load:
    """So many jobs a second, straight to the topic."""

    def __init__(self, cluster: Cluster, rate: int) -> None:
        self._cluster, self._rate = cluster, rate
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": self._cluster.kafka, "linger.ms": 5})
        began = time.monotonic()
        while not self._over.wait(0.02):
            due = int((time.monotonic() - began) * self._rate)
            for n in range(self.sent, due):
                value = b'{"handler": "echo", "data": %d}' % n
                producer.produce(self._cluster.jobs, value, partition=n % self._cluster.partitions)
            self.sent = due
            producer.poll(0)
        producer.flush(30)


def waits(cluster: Cluster, options: argparse.Namespace) -> None:
    """Each on a connection of its own."""
    worker = cluster.worker()
    id = worker.submit(handler="echo", delay="1h")
    process = psutil.Process(worker.process.pid)
    before = process.memory_info().rss
    asyncio.run(_wait(worker, id, options.waits, lambda: process.memory_info().rss - before))


async def _wait(worker: WorkerProcess, id: str, count: int, more: Callable[[], int]) -> None:
    url = f"{worker.url}/job/{id}/status?wait=120s"
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=240)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def wait() -> str:
            async with session.get(url) as reply:
                assert reply.status == 200, await reply.text()
                return str((await reply.json())["status"])

        asked = [asyncio.create_task(wait()) for _ in range(count)]
        while (there := await asyncio.to_thread(_waiting, worker)) < count:
            await asyncio.sleep(0.5)
        print(f"  {there} waits: {more() / MB:.0f} MB more", flush=True)
        began = time.perf_counter()
        async with session.get(f"{worker.url}/job/{id}/status") as reply:
            await reply.read()
        print(f"  a status read beside them: {(time.perf_counter() - began) * 1000:.1f} ms")
        began = time.perf_counter()
        async with session.post(f"{worker.url}/job/{id}/cancel") as reply:
            assert reply.status == 200
        told = await asyncio.gather(*asked)
        assert set(told) == {"canceled"}
        print(f"  all answered {time.perf_counter() - began:.2f} s after the job was canceled")
    print(f"  then: {more() / MB:.0f} MB more than before", flush=True)


def _waiting(worker: WorkerProcess) -> int:
    name = 'jobs_http_requests_in_progress{method="GET",route="/job/{id}/status"} '
    lines = worker.get("/metrics").body.decode().splitlines()
    return next((int(float(each[len(name) :])) for each in lines if each.startswith(name)), 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.figures", description=__doc__)
    parser.add_argument("what", nargs="*", choices=["reads", "pages", "waits", []])
    parser.add_argument("--rows", type=some, default=1_000_000)
    parser.add_argument("--rate", type=some, default=500, help="jobs a second beside reads")
    parser.add_argument("--seconds", type=some, default=20)
    parser.add_argument("--waits", type=some, default=2_000)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
