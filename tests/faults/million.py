"""`make million`: how long a worker takes to recover a table of a million rows, on
Apache Kafka, with rows in memory and with a copy of them on disk; first and second start.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Producer

from tests.faults.numbers import some
from tests.harness import Cluster, WorkerProcess
from tests.kafka import ApacheKafka

WITHIN_S = 900.0
LOOKS = 100
MB = 1_000_000

Make = Callable[[int, int], dict[str, object]]
"""(number of a job, epoch ms) → its row."""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="million-") as folder,
        ApacheKafka(heap="1g") as kafka,
    ):
        cluster = Cluster(kafka.address, Path(folder))
        try:
            first = cluster.worker()  # makes the topics
            first.terminate()
            began = time.monotonic()
            write(cluster, options.rows)
            print(f"{options.rows} rows written in {time.monotonic() - began:.1f} s", flush=True)
            on_disk = {"JOBS_STORE_DIR": f"{folder}/copies"}
            stores: dict[str, dict[str, str]] = {"memory": {}, "rocksdb": on_disk}
            for store, settings in stores.items():
                for n in ("first", "second"):
                    started = {"JOBS_STORE": store, "JOBS_PORT": str(first.port), **settings}
                    print(f"{store}, {n} start: {recovered(cluster, options.rows, started)}")
                    sys.stdout.flush()
        finally:
            cluster.close()
    return 0


def write(cluster: Cluster, rows: int, make: Make | None = None) -> None:
    """What an owner would have left of so many jobs; all are done, unless ``make`` says else."""
    make = make or row
    producer = Producer(
        {
            "bootstrap.servers": cluster.kafka,
            "linger.ms": 50,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    fence = {"fence": b"1000 million"}
    now = round(time.time() * 1000)
    for p in range(cluster.partitions):
        value = json.dumps({"worker": "elsewhere:1"}).encode()
        producer.produce(cluster.changelog, value, b"owner", p, headers=dict(fence))
    for n in range(rows):
        p, offset = n % cluster.partitions, n // cluster.partitions
        value = json.dumps(make(n, now), separators=(",", ":")).encode()  # as a worker does
        key = f"{p}-{offset}".encode()
        while True:
            try:
                producer.produce(cluster.changelog, value, key, p, headers=dict(fence))
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(120)
    assert not left, f"{left} rows are not acknowledged"


def row(n: int, now_ms: int) -> dict[str, object]:
    """A job that is done."""
    times = {"submitted_at": now_ms - 200, "started_at": now_ms - 100, "finished_at": now_ms}
    return {"status": "done", "handler": "echo", "attempt": 1, **times, "result": n} | {
        "worker": "elsewhere:1"
    }


def recovered(cluster: Cluster, rows: int, settings: dict[str, Any]) -> str:
    """From the start of the process until it is ready, and its memory; some rows are looked at."""
    began = time.monotonic()
    worker: WorkerProcess = cluster.worker(ready=False, **settings)
    worker.wait_ready(WITHIN_S)
    took = time.monotonic() - began
    resident = psutil.Process(worker.process.pid).memory_info().rss
    choice = random.Random(rows)
    for n in [rows - 1, *(choice.randrange(rows) for _ in range(LOOKS))]:
        status = worker.status(f"{n % cluster.partitions}-{n // cluster.partitions}")
        assert (status["status"], status["result"]) == ("done", n), status
    assert worker.terminate(120) == 0, worker.tail()
    return f"ready after {took:.1f} s, with {resident / MB:.0f} MB"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.million", description=__doc__)
    parser.add_argument("--rows", type=some, default=1_000_000)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
