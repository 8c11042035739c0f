"""``faust -A app jobs``: the same list from the topics as from workers."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.commands.running import faust, here, refused
from tests.harness import Cluster, until

pytestmark = pytest.mark.processes


def listed(cluster: Cluster, *args: str, code: int = 0) -> list[dict[str, Any]]:
    ended = here("jobs", "--json", *args, cluster=cluster)
    assert ended.returncode == code, ended
    return [json.loads(line) for line in ended.stdout.splitlines()]


def ids(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["id"] for job in jobs]


def by_place(found: list[str]) -> list[str]:
    return sorted(found, key=lambda id: tuple(map(int, id.split("-"))))


def test_what_workers_list_is_listed_with_none_of_them(cluster: Cluster) -> None:
    worker = cluster.worker()
    done = [worker.submit(handler="echo", data=n) for n in range(12)]
    failed = [worker.submit(handler="fail", data=9, ttl=0) for _ in range(3)]
    cluster.all_final([*done, *failed])
    slow = worker.submit(handler="sleep", data=600, timeout="1h")
    until(lambda: worker.status(slow)["status"] == "executing", 20, "it runs")
    canceled = worker.submit(handler="echo", delay="1h")
    assert worker.post(f"/job/{canceled}/cancel").status == 200
    waiting = worker.submit(handler="echo", delay="1h")
    everything = worker.get("/job/all").json["jobs"]
    assert listed(cluster) == everything == listed(cluster, "--from-workers", "--url", worker.url)
    assert listed(cluster, "--from-workers", "--state", "failed", "--url", worker.url) == [
        job for job in everything if job["status"] == "failed"
    ]
    counted = faust("jobs", "--count", "--json", cluster=cluster).stdout
    assert json.loads(counted) == {
        "total": 18,
        "by_status": {"waiting": 1, "executing": 1, "done": 12, "failed": 3, "canceled": 1},
    }
    worker.kill()

    unread = cluster.produce([b'{"handler": "mail", "data": 1}', b"no json"], partition=1)
    whole = {job["id"]: job for job in everything}
    found = listed(cluster)
    assert ids(found) == by_place([*whole, *unread])
    assert [job for job in found if job["id"] in whole] == everything
    assert [(j["status"], j["handler"]) for j in found if j["id"] in unread] == [
        ("waiting", "mail"),
        ("waiting", None),
    ]
    assert ids(listed(cluster, "--state", "waiting")) == by_place([waiting, *unread])
    assert ids(listed(cluster, "--state", "failed,canceled")) == by_place([*failed, canceled])
    assert ids(listed(cluster, "--handler", "sleep,mail")) == by_place([slow, unread[0]])
    assert ids(listed(cluster, "--error", "THAT SHALL FAIL")) == by_place(failed)
    assert ids(listed(cluster, failed[1], done[3])) == by_place([failed[1], done[3]])
    first = ids(found)[:3]
    assert ids(listed(cluster, f"{first[0]}..{first[2]}")) == first
    assert ids(listed(cluster, "--limit", "4")) == ids(found)[:4]
    since = whole[slow]["submitted_at"]
    assert ids(listed(cluster, "--since", since)) == [
        job["id"] for job in found if job["submitted_at"] >= since
    ]
    assert ids(listed(cluster, "--until", since)) == [
        job["id"] for job in found if job["submitted_at"] < since
    ]
    assert listed(cluster, "--handler", "nobody") == []

    table = faust("jobs", cluster=cluster)
    assert (table.returncode, table.stderr) == (0, "")
    head, *lines = table.stdout.splitlines()
    assert head.split() == ["ID", "STATUS", "HANDLER", "ATTEMPT", "SUBMITTED", "FINISHED", "ERROR"]
    assert [line.split()[0] for line in lines] == ids(found)
    counts = here("jobs", "--count", "--handler", "echo", cluster=cluster).stdout.split()
    assert counts[counts.index("done") + 1] == "12"
    assert counts[-2:] == ["total", "14"]


def test_what_workers_lack_is_told(cluster: Cluster) -> None:
    # The one that is silent is missed, not replaced.
    one = cluster.worker(JOBS_SESSION_TIMEOUT="20s")
    other = cluster.worker(JOBS_SESSION_TIMEOUT="20s")
    sure = cluster.produce([b'{"handler": "echo"}'] * 8)
    cluster.all_final(sure)

    def shared() -> bool:
        served = [each["partitions"] for each in one.get("/stats").json["workers"]]
        return len(served) == 2 and all(served) and len(one.get("/job/all").json["jobs"]) == 8

    until(shared, 60, "both answer for partitions of their own")
    other.signal(signal.SIGSTOP)
    ended = here("jobs", "--from-workers", "--url", one.url, "--json", cluster=cluster)
    other.signal(signal.SIGCONT)
    assert ended.returncode == 1, ended
    assert ended.stderr.startswith("warning: what workers lack: partitions [")
    assert 0 < len(ended.stdout.splitlines()) < 8
    assert len(listed(cluster)) == 8


def test_nothing_to_list(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster)
    assert listed(cluster) == []
    assert len(faust("jobs", cluster=cluster).stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["9-1"], "9-1: there is no partition 9; {jobs} has 4, counted from 0"),
        (["1-5..1-2"], "1-5..1-2 is empty"),
        (["1-5"], "there is no job 1-5: its partition is empty"),
        (["--app-id", ""], "--app-id is empty: leave it out, or name one"),
        (["--state", "lost"], "--state lost: there are waiting, executing, done, failed, canceled"),
        (["--since", "tomorrow"], "--since: 'tomorrow' is no time"),
        (["--limit", "0"], "--limit 0: must be at least 1"),
        (["--url", "http://127.0.0.1:1"], "--url goes with --from-workers"),
        (
            ["--from-workers", "--url", "http://127.0.0.1:1"],
            "no worker answers at http://127.0.0.1",
        ),
        (["--from-workers", "--url", "nonsense"], "no worker answers at nonsense (InvalidUrl"),
    ],
)
def test_bad_input(cluster: Cluster, args: list[str], told: str) -> None:
    faust("topics", "--create", cluster=cluster)
    assert told.replace("{jobs}", cluster.jobs) in refused("jobs", *args, cluster=cluster)


def test_a_token_is_asked_for(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_API_TOKEN="a-token-of-16-chars")
    asked = ["jobs", "--from-workers", "--url", worker.url]
    assert "asks for another JOBS_API_TOKEN" in refused(*asked, cluster=cluster)
    ended = faust(*asked, cluster=cluster, JOBS_API_TOKEN="a-token-of-16-chars")
    assert (ended.returncode, ended.stderr) == (0, "")
