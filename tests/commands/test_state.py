"""``faust -A app state``: counts by state, now, then, and over time."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.commands.running import faust, here, refused
from tests.harness import Cluster, until

pytestmark = pytest.mark.processes
STATES = ("waiting", "executing", "done", "failed", "canceled")


def counted(cluster: Cluster, *args: str) -> dict[str, int]:
    ended = here("state", "--json", *args, cluster=cluster)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    found = json.loads(ended.stdout)
    assert found["total"] == sum(found[state] for state in STATES)
    return {state: found[state] for state in STATES if found[state]}


def test_counts_now_and_then(cluster: Cluster, tmp_path: Path) -> None:
    worker = cluster.worker()
    done = [worker.submit(handler="echo") for _ in range(5)]
    failed = [worker.submit(handler="fail", data=9, ttl=1) for _ in range(2)]
    slow = worker.submit(handler="sleep", data=600, timeout="1h")
    later = worker.submit(handler="echo", delay="1h")
    cluster.all_final([*done, *failed])
    until(lambda: worker.status(slow)["status"] == "executing", 20, "it runs")
    assert worker.status(later)["status"] == "waiting"
    stats = {k: v for k, v in worker.get("/stats").json["jobs"].items() if v}
    assert counted(cluster) == stats == {"waiting": 1, "executing": 1, "done": 5, "failed": 2}
    histories = [
        worker.get(f"/job/{id}/history").json["transitions"] for id in [*done, *failed, slow, later]
    ]
    submitted = [worker.status(id)["submitted_at"] for id in [*done, *failed, slow, later]]
    worker.kill()

    def expected(at: str) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for history, began in zip(histories, submitted, strict=True):
            states = ["waiting"] * (began <= at) + [t["status"] for t in history if t["at"] <= at]
            counts.update(states[-1:])
        return dict(counts)

    times = sorted({t["at"] for history in histories for t in history} | set(submitted))
    for at in times[::5]:
        assert counted(cluster, "--at", at) == expected(at), at
    unread = cluster.produce([b"{}"] * 3, partition=0)
    assert counted(cluster)["waiting"] == 1 + len(unread)
    assert counted(cluster, "--handler", "fail,sleep") == {"failed": 2, "executing": 1}
    table = here("state", cluster=cluster).stdout.split()
    assert table[table.index("failed") + 1] == "2"
    assert table[-2:] == ["total", "12"]

    picture = tmp_path / "line.svg"
    asked = ["state", "--since", times[0], "--until", times[-1], "--step", "1ms", "--csv"]
    ended = here(*asked, "--plot", str(picture), cluster=cluster)
    assert (ended.returncode, ended.stderr) == (0, f"{picture} is written\n")
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert [row["at"] for row in rows][:: len(rows) - 1] == [times[0], times[-1]]
    for row in rows[:: max(1, len(rows) // 50)]:
        found = {state: int(row[state]) for state in STATES if int(row[state])}
        assert found == expected(row["at"]), row
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")
    chart = here(*asked[:-1], "--timeline", cluster=cluster).stdout.splitlines()
    assert [line.split()[0] for line in chart[:5]] == list(STATES)
    assert "█" in chart[2]
    lines = here(*asked[:-1], "--timeline", "--json", cluster=cluster).stdout.splitlines()
    assert [json.loads(line)["done"] for line in lines] == [int(row["done"]) for row in rows]


def test_what_is_older_than_the_changelogs_window_is_warned_of(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster, JOBS_HISTORY="1h")
    ended = faust("state", "--at", "2h ago", "--csv", cluster=cluster, JOBS_HISTORY="1h")
    assert ended.returncode == 0
    assert ended.stderr.startswith("warning: the changelog keeps every transition for 1h (20")
    head, row = ended.stdout.splitlines()
    assert head == "at,waiting,executing,done,failed,canceled"
    assert row.endswith("Z,0,0,0,0,0")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--at", "soon"], "--at: 'soon' is no time"),
        (["--at", "2999-01-01"], "--at: '2999-01-01' is in the future"),
        (
            ["--at", "1h ago", "--timeline"],
            "--at is one time, and --timeline and",
        ),
        (["--since", "1h ago"], "--since and --until go with --timeline or --plot"),
        (["--timeline", "--step", "x"], "--step: 'x' is no duration"),
        (["--timeline", "--step", "1us"], "--step 1us: must be a millisecond at least"),
        (["--timeline", "--step", "1ms"], "--step 1ms: that makes more than 10000 times"),
        (["--timeline", "--since", "1h", "--until", "2h"], "nothing lies between"),
        (["--plot", "/nowhere/a.svg"], "--plot /nowhere/a.svg: it can't be written (No such file"),
        (["--csv", "--json"], "--csv and --json: give one"),
    ],
)
def test_bad_input(cluster: Cluster, args: list[str], told: str) -> None:
    ended = here("state", *args, cluster=cluster)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: {told}")


def test_topics_that_are_not_there(cluster: Cluster) -> None:
    assert "there is no topic" in refused("state", cluster=cluster)


def test_a_picture_that_can_not_be_made_leaves_no_file(cluster: Cluster, tmp_path: Path) -> None:
    picture = tmp_path / "night.svg"
    assert "there is no topic" in refused("state", "--plot", str(picture), cluster=cluster)
    assert not picture.exists()
    assert faust("topics", "--create", cluster=cluster).returncode == 0
    ended = here("state", "--plot", "/dev/full", cluster=cluster)
    said = "error: --plot /dev/full: it can't be written (No space left on device)\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", said)
