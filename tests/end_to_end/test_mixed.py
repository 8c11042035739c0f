"""Two hundred mixed jobs, half by HTTP and half straight to the topic, end as they must."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

EACH = 13  # of each kind, by each way
# name → request, status, attempts
KINDS: dict[str, tuple[dict[str, Any], str, int]] = {
    "echo": ({"handler": "echo", "data": {"a": [1, None, "é"]}}, "done", 1),
    "too slow": ({"handler": "sleep", "data": 60, "timeout": 200_000_000, "ttl": 1}, "failed", 2),
    "fails once": ({"handler": "fail", "data": 1}, "done", 2),
    "fails always": ({"handler": "fail", "data": 99}, "failed", 3),
    "canceled while waiting": ({"handler": "echo", "delay": "1h"}, "canceled", 0),
    "canceled while executing": (
        {"handler": "sleep", "data": 600, "timeout": "900s"},
        "canceled",
        1,
    ),
}
MALFORMED: list[bytes | None] = [b"hello", None, b"[1]", b'{"ttl": "a"}', b'{"timeout": -1}']


def submit_all(cluster: Cluster, worker: WorkerProcess) -> dict[str, list[str]]:
    """The ids of each kind, half of them sent each way."""
    ids: dict[str, list[str]] = {}
    for name, (request, _, _) in KINDS.items():
        ids[name] = [worker.submit(**request) for _ in range(EACH)]
        ids[name] += cluster.produce([json.dumps(request).encode()] * EACH)
    # HTTP refuses these at the door, so all of them go to the topic.
    ids["malformed"] = cluster.produce([MALFORMED[i % 5] for i in range(200 - 12 * EACH)])
    return ids


def test_two_hundred_mixed_jobs(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_WORKERS="100")
    ids = submit_all(cluster, worker)
    assert sum(len(some) for some in ids.values()) == 200

    for name, ready in (
        ("canceled while waiting", "waiting"),
        ("canceled while executing", "executing"),
    ):
        until(all_are(cluster, ids[name], ready), 30, f"{name}: {ready}")
        for id in ids[name]:
            answer = worker.post(f"/job/{id}/cancel")
            assert answer.status in (200, 202), (name, id, answer.body)
    everything = [id for some in ids.values() for id in some]
    states = cluster.all_final(everything)

    for name, (_, status, attempts) in KINDS.items():
        for id in ids[name]:
            row = states[id]
            assert (row["status"], row.get("attempt", 0)) == (status, attempts), (name, id, row)
            shown = worker.status(id)
            assert (shown["status"], shown["attempt"]) == (status, attempts)
    assert all(states[i]["result"] == {"a": [1, None, "é"]} for i in ids["echo"])
    assert all(states[i]["error"] == "timed out after 200ms" for i in ids["too slow"])
    for id in ids["malformed"]:
        assert states[id]["status"] == "failed"
        assert states[id].get("attempt", 0) == 0

    letters = cluster.records(f"{cluster.jobs}-dead")
    dead = {
        (m.headers["source-partition"] + b"-" + m.headers["source-offset"]).decode()
        for m in letters
    }
    assert dead == {*ids["too slow"], *ids["fails always"], *ids["malformed"]}
    assert set(cluster.states()) == set(everything), "rows of jobs that nobody sent"


def all_are(cluster: Cluster, ids: list[str], status: str) -> Callable[[], bool]:
    def check() -> bool:
        states = cluster.states()
        return all(states.get(i, {}).get("status") == status for i in ids)

    return check
