"""``faust -A app reset``: a range of jobs once more, or all from the beginning."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from confluent_kafka.admin import AdminClient

from tests.commands.running import faust, refused
from tests.harness import ROOT, Cluster

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


def produce(cluster: Cluster, *handlers: str) -> list[str]:
    """A job for each of them."""
    asked = [{"handler": name, "data": 1, "ttl": 0} for name in handlers]
    return cluster.produce([json.dumps(each).encode() for each in asked], partition=1)


def test_a_range_is_run_once_more_whatever_it_came_to(cluster: Cluster) -> None:
    worker = cluster.worker()
    ids = produce(cluster, "echo", "fail", "echo", "fail")
    (later,) = cluster.produce([b'{"delay": "1h"}'], partition=1)
    cluster.all_final(ids)
    says = refused("reset", "1-0..1-4", cluster=cluster)
    assert says.startswith("Run 4 jobs again, those that are done, too, as new jobs named reset-")
    assert faust("reset", "1-0..1-4", "--dry-run", cluster=cluster).returncode == 0
    assert len(cluster.records(cluster.jobs)) == 5
    told = faust("reset", "1-0..1-4", "--yes", "--name", "r", "--json", cluster=cluster)
    skipped = {"it is waiting, and going to run": 1}
    assert json.loads(told.stdout) == {"name": "r", "replayed": 4, "skipped": skipped}
    rows = cluster.all_final([f"1-{n}" for n in range(5, 9)])
    assert [rows[f"1-{n}"]["replay_of"] for n in range(5, 9)] == ids
    again = faust("reset", "1-0..1-4", "--yes", "--name", "r", "--json", cluster=cluster)
    assert json.loads(again.stdout)["replayed"] == 0
    assert worker.status(later)["status"] == "waiting"
    assert refused("reset", "1-99", cluster=cluster).startswith("there is no job 1-99: partition 1")
    assert refused("reset", "1-x").startswith("'1-x' is no job id")
    assert refused("reset", ",") == "id ',' is empty: leave it out, or say which"
    assert refused("reset", "--name", "n") == "--name goes with a range of ids"


def test_all_from_the_beginning(cluster: Cluster, kafka: str) -> None:
    assert "nothing to reset" in refused("reset", "--yes", cluster=cluster)
    worker = cluster.worker()
    ids = produce(cluster, "echo", "fail")
    cluster.all_final(ids)
    admin = AdminClient({"bootstrap.servers": kafka})
    ours = [cluster.jobs, *(f"{cluster.jobs}-{n}" for n in ("retry", "cancel", "dead"))]
    ours.append(cluster.changelog)

    says = refused("reset", "--yes", cluster=cluster)
    assert says.startswith(f"group {cluster.app_id} has 1 member: stop all workers first")
    assert worker.terminate() == 0
    produce(cluster, "echo")  # nobody has read it
    counts = {topic: len(cluster.records(topic)) for topic in ours}

    told = faust("reset", "--dry-run", "--json", cluster=cluster)
    document = json.loads(told.stdout)
    assert document == {
        "reset": False,
        "group": cluster.app_id,
        "records": counts,
        "jobs": {"done": 1, "failed": 1, "waiting": 1},
    }
    nobody = faust("reset", cluster=cluster)
    assert nobody.returncode == 2
    assert "there is nobody to ask: --yes says that it is meant" in nobody.stderr
    assert "1 of them have not ended, and never will." in nobody.stdout
    assert {topic: len(cluster.records(topic)) for topic in ours} == counts

    ours_end, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", "reset"],
        cwd=ROOT,
        env=cluster.environ(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    try:
        os.write(ours_end, b"yes\n")
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(ours_end)
    assert process.returncode == 2, "it wants the app's name"
    assert {topic: len(cluster.records(topic)) for topic in ours} == counts

    ended = faust("reset", "--yes", cluster=cluster)
    assert (ended.returncode, "begins afresh" in ended.stdout) == (0, True), ended
    assert {topic: len(cluster.records(topic)) for topic in ours} == dict.fromkeys(ours, 0)
    listed = admin.list_topics(timeout=10).topics
    assert {len(listed[topic].partitions) for topic in ours} == {cluster.partitions}
    assert faust("topics", "--check", cluster=cluster).returncode == 0

    fresh = cluster.worker()
    (first,) = produce(cluster, "echo")
    assert first == "1-0"
    assert cluster.all_final([first])[first]["status"] == "done", "another job of the same id"
    assert len(fresh.get("/job/all").json["jobs"]) == 1
