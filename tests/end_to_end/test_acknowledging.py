"""A slow job first, fast ones behind it, a kill: faust-streaming issue 606.

Faust commits past an unfinished record whose neighbours are acknowledged. A worker that
acknowledges when a job is done loses the slow one; ours, which commits places of durable rows,
doesn't.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.harness import ROOT, Cluster, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

SLOW = b'{"handler": "sleep", "data": 600, "timeout": "900s"}'
FAST = b'{"handler": "sleep", "data": 0}'


def test_the_slow_job_survives(cluster: Cluster) -> None:
    cluster.partitions = 1
    worker = cluster.worker()
    warm = cluster.produce([FAST] * 5)  # so that a place is committed before the slow one
    cluster.all_final(warm)
    (slow,) = cluster.produce([SLOW])
    fast = cluster.produce([FAST] * 20)
    cluster.all_final(fast)
    worker.kill()

    cluster.worker()
    until(
        lambda: (
            cluster.states()[slow]["status"] == "executing"
            and cluster.states()[slow].get("crashes") == 1
        ),
        30,
        "the slow job runs again",
    )


def test_it_would_be_lost_by_acknowledging_when_done(cluster: Cluster, tmp_path: Path) -> None:
    cluster.partitions = 1
    admin = AdminClient({"bootstrap.servers": cluster.kafka})
    for made in admin.create_topics([NewTopic(cluster.jobs, 1, 1)]).values():
        made.result()
    out = tmp_path / "out"
    out.touch()
    env = cluster.environ(OUT=str(out), DATADIR=str(tmp_path / "data"))
    command = [sys.executable, "-m", "faust", "-A", "tests.apps.naive", "worker", "-l", "warn"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL)

    def done(ids: list[str]) -> bool:
        words = set(out.read_text().splitlines())
        return all(f"done {i}" in words for i in ids)

    first = start()
    try:
        warm = cluster.produce([FAST] * 5)
        until(lambda: done(warm), 60, "the first jobs are done")
        until(lambda: committed(cluster) == 5, 30, "their place is committed")
        (slow,) = cluster.produce([SLOW])
        fast = cluster.produce([FAST] * 20)
        until(lambda: done(fast), 60, "the fast jobs are done")
        until(lambda: (committed(cluster) or 0) > 6, 30, "Faust commits past the slow job")
    finally:
        first.kill()
        first.wait()
    assert f"begun {slow}" in out.read_text()

    out.write_text("")
    second = start()
    try:
        after = cluster.produce([FAST] * 5)
        until(lambda: done(after), 60, "the second worker works")
        assert f"begun {slow}" not in out.read_text(), "Faust doesn't lose it any more"
    finally:
        second.kill()
        second.wait()


def committed(cluster: Cluster) -> int | None:
    """The group's committed place of partition 0."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": cluster.kafka, "group.id": cluster.app_id})
    try:
        (place,) = consumer.committed([TopicPartition(cluster.jobs, 0)], timeout=10)
        return place.offset if place.offset >= 0 else None
    finally:
        consumer.close()
