"""Jobs that say they execute before they have a slot, and what becomes of them."""

from __future__ import annotations

import json

import pytest

from tests.harness import Cluster, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

QUICK, SLOW, SLOTS = 300, 12, 4


def sleep(seconds: float) -> bytes:
    return json.dumps({"handler": "sleep", "data": seconds, "timeout": "1m"}).encode()


def test_a_job_that_got_no_slot_waits_again_and_is_the_next(cluster: Cluster) -> None:
    cluster.partitions = 1
    ids = cluster.produce([sleep(0.005)] * QUICK + [sleep(3)] * SLOW)
    quick, slow = ids[:QUICK], ids[QUICK:]
    worker = cluster.worker(JOBS_WORKERS=str(SLOTS))

    def states(ids: list[str]) -> list[str]:
        return [worker.status(id)["status"] for id in ids]

    until(lambda: set(states(quick[-SLOTS:])) == {"done"}, 60, "the quick ones are done")
    some = ["executing"] * SLOTS + ["waiting"] * (SLOW - SLOTS)
    until(lambda: states(slow) == some, 60, "as many execute as there are slots")
    assert worker.post(f"/job/{slow[-1]}/cancel").status == 200
    rows = cluster.all_final(ids)
    assert rows.pop(slow[-1])["status"] == "canceled"
    assert {(row["status"], row["attempt"]) for row in rows.values()} == {("done", 1)}
    started = [rows[id]["started_at"] for id in slow[:-1]]
    assert started == sorted(started), "in the order in which they came"

    events = [row["status"] for row in cluster.history()[slow[SLOTS]]]
    assert events[-4:] == ["executing", "waiting", "executing", "done"], "it had begun ahead"
