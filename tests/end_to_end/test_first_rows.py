"""Which rows a job has: one less if it finds a slot free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness import Cluster

pytestmark = [pytest.mark.processes]


def statuses(cluster: Cluster, job_id: str) -> list[str]:
    return [row["status"] for row in cluster.history()[job_id]]


def test_a_job_that_begins_at_once_has_no_row_that_says_that_it_waits(cluster: Cluster) -> None:
    worker = cluster.worker()
    job_id = worker.submit(handler="echo", data=1)
    cluster.all_final([job_id])
    assert statuses(cluster, job_id) == ["executing", "done"]
    told = worker.get(f"/job/{job_id}/history").json["transitions"]
    assert [each["status"] for each in told] == ["executing", "done"]


def test_jobs_that_find_no_slot_say_so_and_run_in_their_order(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.partitions = 1
    cluster.worker(JOBS_WORKERS="1")
    sleep = json.dumps({"handler": "sleep", "data": 0.2}).encode()
    ids = cluster.produce([sleep] * 4)
    rows = cluster.all_final(ids)
    # Whoever finds the slot free when it is admitted; the others come in one batch, or nearly.
    assert statuses(cluster, ids[-1]) == ["waiting", "executing", "done"]
    began = [rows[id]["started_at"] for id in ids]
    assert began == sorted(began)


def test_a_job_for_later_waits_though_slots_are_free(cluster: Cluster) -> None:
    worker = cluster.worker()
    job_id = worker.submit(handler="echo", delay="1s")
    cluster.all_final([job_id])
    assert statuses(cluster, job_id) == ["waiting", "executing", "done"]
