"""A copy of the rows on disk: a restart reads only what is new, and no mishap loses a job."""

from __future__ import annotations

import re
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from tests.harness import ROOT, Cluster, WorkerProcess, free_port, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]
ECHO = b'{"handler": "echo", "data": 1}'


@dataclass
class Store:
    """A folder, and the workers that use it one after the other, at the same port."""

    cluster: Cluster
    folder: Path
    port: int

    def settings(self, port: int | None = None) -> dict[str, str]:
        return {
            "JOBS_STORE": "rocksdb",
            "JOBS_STORE_DIR": str(self.folder),
            "JOBS_PORT": str(port or self.port),
        }

    def worker(
        self, kind: type[WorkerProcess] | None = None, port: int | None = None
    ) -> WorkerProcess:
        return self.cluster.worker(ready=True, kind=kind, **self.settings(port))


@pytest.fixture
def store(cluster: Cluster, tmp_path: Path) -> Store:
    return Store(cluster, tmp_path / "store", free_port())


def read(worker: WorkerProcess) -> tuple[int, int]:
    """Records read and rows from the copy in all takeovers of a worker so far."""
    line = r"\d+ partitions? taken over: (\d+) records read, (\d+) rows from the cache"
    found = re.findall(line, worker.text())
    return sum(int(records) for records, _ in found), sum(int(rows) for _, rows in found)


def changelog(cluster: Cluster) -> int:
    return len(cluster.records(cluster.changelog))


def done(cluster: Cluster) -> int:
    return sum(row["status"] == "done" for row in cluster.states().values())


def test_after_a_kill_under_load_only_the_tail_is_read_and_nothing_is_lost(
    cluster: Cluster, store: Store
) -> None:
    worker = store.worker()
    assert read(worker) == (0, 0)
    ids = cluster.produce([ECHO] * 500)
    before = cluster.all_final(ids)
    slow = cluster.produce([b'{"handler": "sleep", "data": 0.05}'] * 2_000)
    for _ in range(2):  # a job that runs at the third one, too, is failed as poison
        goal = done(cluster) + 150

        def reached(goal: int = goal) -> bool:
            return done(cluster) > goal

        until(reached, 60, "jobs run")
        worker.kill()
        records = changelog(cluster)
        worker = store.worker()
        tail, rows = read(worker)
        assert rows >= 500
        assert tail < records / 2, "most of it was read again"
    states = cluster.all_final(slow, 120)
    assert {states[i]["status"] for i in ids + slow} == {"done"}
    assert {i: states[i] for i in ids} == {i: before[i] for i in ids}
    for id in (*ids[:50], *slow[:50]):
        assert worker.status(id)["status"] == "done"
    assert worker.get("/stats").json["jobs"]["done"] == 2_500

    assert worker.terminate() == 0, worker.tail()
    worker = store.worker()
    assert read(worker) == (0, 2_500), "after a stop nothing is left to be read"


def test_two_workers_and_a_partition_that_comes_back(cluster: Cluster, store: Store) -> None:
    one = store.worker()
    ids = cluster.produce([ECHO] * 200)
    cluster.all_final(ids)
    other = store.worker(port=free_port())

    def shared() -> bool:
        parts = [len(w.get("/readyz").json.get("partitions", [])) for w in (one, other)]
        return sorted(parts) == [2, 2]

    until(shared, 60, "each worker owns two of four partitions")
    more = cluster.produce([ECHO] * 200)
    cluster.all_final(more)
    other.kill()
    until(lambda: len(one.get("/readyz").json.get("partitions", [])) == 4, 60, "it has all again")
    until(lambda: one.get("/stats").json["jobs"]["done"] == 400, 30, "and knows all jobs")
    assert read(one)[1] >= 90, "what had been kept of the two was used"
    for id in ids[:20] + more[:20]:
        assert one.status(id)["status"] == "done"


def test_the_folder_may_be_deleted_at_any_time(cluster: Cluster, store: Store) -> None:
    worker = store.worker()
    ids = cluster.produce([ECHO] * 200)
    cluster.all_final(ids)
    shutil.rmtree(store.folder)
    ids += cluster.produce([ECHO] * 200)
    states = cluster.all_final(ids)
    assert worker.terminate() == 0, worker.tail()
    worker = store.worker()
    assert read(worker)[1] == 0
    assert worker.get("/stats").json["jobs"]["done"] == 400
    assert cluster.states() == states
    assert "Traceback" not in worker.text()


class OnASmallDisk(WorkerProcess):
    """A worker whose files can't grow beyond 300 kB, as on a disk that is full."""

    command = (
        sys.executable,
        "-c",
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "os.execv(sys.executable, [sys.executable, 'app.py'])",
    )


def test_a_full_disk_is_a_warning(cluster: Cluster, store: Store) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 300_000
    worker = store.worker(OnASmallDisk)
    big = b'{"handler": "echo", "data": "%s"}' % (b"x" * 10_000)
    ids = cluster.produce([big] * 100)
    states = cluster.all_final(ids)
    until(lambda: "going on without it" in worker.text(), 30, "it says so")
    ids += cluster.produce([big] * 20)
    states = cluster.all_final(ids)
    assert {row["status"] for row in states.values()} == {"done"}
    assert worker.terminate() == 0, worker.tail()
    assert worker.text().count("going on without it") == 1
    assert "Traceback" not in worker.text()
    assert not list(store.folder.glob("*/*")), "the copy is thrown away"
    worker = store.worker()
    assert read(worker)[1] == 0
    assert worker.get("/stats").json["jobs"]["done"] == 120


def test_a_file_in_place_of_the_folder_is_a_warning(cluster: Cluster, store: Store) -> None:
    store.folder.write_text("mine")
    worker = store.worker()
    ids = cluster.produce([ECHO] * 20)
    cluster.all_final(ids)
    assert worker.text().count("going on without it") == 1
    assert "Traceback" not in worker.text()


def test_topics_that_are_made_again_are_another_log(cluster: Cluster, store: Store) -> None:
    worker = store.worker()
    old = cluster.produce([b'{"handler": "echo", "data": "old"}'] * 40)
    cluster.all_final(old)
    assert worker.terminate() == 0, worker.tail()
    admin = AdminClient({"bootstrap.servers": cluster.kafka})
    topics = [t for t in admin.list_topics(timeout=30).topics if t.startswith(cluster.app_id)]
    for deleted in admin.delete_topics(topics).values():
        deleted.result(30)
    # Longer than the old one, by a worker that keeps nothing.
    worker = cluster.worker()
    new = cluster.produce([b'{"handler": "echo", "data": "new"}'] * 80)
    cluster.all_final(new)
    assert worker.terminate() == 0, worker.tail()

    worker = store.worker()
    assert read(worker)[1] == 0
    assert "another one" in worker.text()
    assert worker.get("/stats").json["jobs"]["done"] == 80
    assert {worker.status(i)["result"] for i in new} == {"new"}


def ends(cluster: Cluster, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=cluster.environ(**settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_folder_that_another_worker_has_stops_the_start(cluster: Cluster, store: Store) -> None:
    store.worker()
    ended = ends(cluster, **store.settings(), JOBS_BIND="127.0.0.2")
    assert ended.returncode == 1
    assert "error: another worker uses the folder" in ended.stderr
    assert "JOBS_STORE_DIR" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_without_the_library_the_start_says_what_to_install(
    cluster: Cluster, store: Store, tmp_path: Path
) -> None:
    missing = tmp_path / "rocksdict.py"
    missing.write_text("raise ImportError('as if it were not there')")
    ended = ends(cluster, **store.settings(), PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1
    assert "error: JOBS_STORE=rocksdb needs the package rocksdict" in ended.stderr
    assert "pip install" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_a_paused_worker_doesnt_keep_what_it_no_longer_knows(
    cluster: Cluster, store: Store
) -> None:
    zombie = store.worker()
    ids = cluster.produce([ECHO] * 40)
    cluster.all_final(ids)
    zombie.signal(signal.SIGSTOP)
    cluster.worker()
    more = cluster.produce([ECHO] * 40)
    cluster.all_final(more, 90)
    zombie.signal(signal.SIGCONT)
    until(lambda: "settled anew" in zombie.text(), 60, "the paused worker is a member again")
    assert zombie.terminate() == 0, zombie.tail()
    for other in cluster.workers:
        other.kill()
    worker = store.worker()
    assert read(worker)[1] > 0
    assert worker.get("/stats").json["jobs"]["done"] == 80
