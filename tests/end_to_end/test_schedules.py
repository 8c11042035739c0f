"""Jobs by the clock: each time once in the whole group, while owners are killed and change."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.faults.drive import FaultedWorker
from tests.harness import ROOT, Cluster, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

APP = "tests.apps.scheduled"
EVERY_MS = 2_000


def runs(cluster: Cluster) -> dict[str, dict[int, list[str]]]:
    """The final states of each schedule's jobs, by scheduled time."""
    found: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    states = cluster.states()
    for record in cluster.records(cluster.jobs):
        if "schedule" in record.headers:
            row = states.get(f"{record.partition}-{record.offset}", {})
            at = int(record.headers["scheduled-at"])
            found[record.headers["schedule"].decode()][at].append(row.get("status", "waiting"))
    return found


def done(cluster: Cluster, name: str) -> list[int]:
    return sorted(at for at, states in runs(cluster)[name].items() if "done" in states)


def holds(cluster: Cluster, name: str) -> list[int]:
    """Checks that each time from the first to the last was run once; the times."""
    times = done(cluster, name)
    assert times == list(range(times[0], times[-1] + 1, EVERY_MS)), "a time was left out"
    for at, states in runs(cluster)[name].items():
        assert Counter(states)["done"] <= 1, f"{at} was run twice: {states}"
        assert set(states) <= {"done", "canceled", "waiting", "executing"}
    return times


def test_each_time_is_run_once_while_owners_are_killed(cluster: Cluster) -> None:
    workers = [cluster.worker(JOBS_HANDLERS=APP) for _ in range(2)]
    for _ in range(2):
        seen = len(done(cluster, "tick"))
        until(lambda seen=seen: len(done(cluster, "tick")) > seen + 1, 60, "it ticks")  # type: ignore[misc] # mypy can't infer a lambda with a default
        owner = owner_of(cluster, "tick")
        victim = next(w for w in workers if str(w.port) in owner)
        victim.kill()
        workers.remove(victim)
        workers.append(cluster.worker(JOBS_HANDLERS=APP))
    seen = len(done(cluster, "tick"))
    until(lambda: len(done(cluster, "tick")) > seen + 2, 60, "it ticks on")
    for each in workers:
        each.terminate()
    for name in ("tick", "skipping"):
        assert len(holds(cluster, name)) > 6
    ids = [i for i, row in cluster.states().items() if row.get("schedule") == "tick"]
    row = cluster.states()[ids[0]]
    at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(row["scheduled_at"] / 1000))
    assert row["result"] == at


def owner_of(cluster: Cluster, name: str) -> str:
    """The worker that ran the newest job of a schedule."""
    rows = [row for row in cluster.states().values() if row.get("schedule") == name]
    newest = max((r for r in rows if r.get("worker")), key=lambda row: row["scheduled_at"])
    return str(newest["worker"])


def test_missed_times_by_policy(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_HANDLERS=APP, TEST_GRACE="1s")
    until(lambda: done(cluster, "tick") and done(cluster, "skipping"), 30, "both have begun")
    worker.kill()
    before = {name: done(cluster, name)[-1] for name in ("tick", "skipping")}
    gap_ms = 4 * EVERY_MS + 1_500
    until(lambda: time.time() * 1000 > max(before.values()) + gap_ms, 30, "times were missed")
    started = time.time() * 1000
    again = cluster.worker(JOBS_HANDLERS=APP, TEST_GRACE="1s")
    until(lambda: done(cluster, "skipping")[-1] > started, 60, "it goes on")
    until(lambda: done(cluster, "tick")[-1] > started, 60, "it goes on")

    def missed(name: str) -> list[int]:
        return [at for at in done(cluster, name) if before[name] < at < started - 2 * EVERY_MS]

    assert missed("skipping") == []
    caught_up = [at for at in done(cluster, "tick") if before["tick"] < at <= started]
    assert len(caught_up) <= 2, "only the last of the missed, and one in time"
    log = again.text()
    assert "schedule 'skipping': no worker was there at" in log
    assert "; it is not run" in log
    assert "schedule 'tick': no worker was there at" in log


def test_a_clock_that_jumps_runs_no_time_twice(cluster: Cluster) -> None:
    ahead_ms = 7_200_000
    jumping = cluster.worker(
        kind=FaultedWorker, JOBS_HANDLERS=APP, CLOCK_JUMP=f"8:{ahead_ms // 1000}"
    )
    limit = time.time() * 1000 + ahead_ms / 2
    until(lambda: any(at > limit for at in done(cluster, "tick")), 60, "it has jumped")
    jumping.kill()
    started = time.time() * 1000
    cluster.worker(JOBS_HANDLERS=APP)

    def goes_on() -> bool:
        return any(started < at < limit for at in done(cluster, "tick"))

    until(goes_on, 60, "it goes on by the right clock")
    for at, states in runs(cluster)["tick"].items():
        assert Counter(states)["done"] <= 1, f"{at} was run twice: {states}"


def test_a_schedule_that_a_worker_does_not_know_is_told(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_HANDLERS=APP)
    until(lambda: done(cluster, "tick"), 30, "it ticks")
    assert "no data for" in worker.text(), "of the broken one, which stops no other"
    worker.terminate()
    other = cluster.worker()
    until(lambda: "schedule 'tick' that this worker doesn't know" in other.text(), 30, "told")


def test_one_run_sent_twice_is_one_job_also_after_a_kill(cluster: Cluster) -> None:
    at = 1_700_000_000_000

    def send(at: int, name: bytes = b"by hand") -> str:
        headers = {"schedule": name, "scheduled-at": b"%d" % at}
        (id,) = cluster.produce([b'{"handler": "echo"}'], partition=1, headers=headers)
        return id

    worker = cluster.worker()
    first = send(at)
    again = send(at)
    earlier = send(at - 1)
    other = send(at, b"another")
    states = cluster.all_final([first, again, earlier, other])
    ended = [states[i]["status"] for i in (first, again, earlier, other)]
    assert ended == ["done", "canceled", "done", "done"], "an earlier time is another run"
    offset = first.partition("-")[2]
    assert states[again]["error"] == (
        "canceled by schedule 'by hand': its run of this time has been admitted before "
        f"(the last one at offset {offset})"
    )
    shown = worker.status(first)
    assert (shown["schedule"], shown["scheduled_at"]) == ("by hand", "2023-11-14T22:13:20.000Z")
    assert cluster.records(f"{cluster.app_id}.jobs-dead") == [], "a repetition is no dead letter"
    worker.kill()
    late = send(at)
    later = send(at + 1)
    cluster.worker()
    states = cluster.all_final([late, later])
    assert [states[i]["status"] for i in (late, later)] == ["canceled", "done"]


def test_a_run_that_was_canceled_before_it_was_read_does_not_come_back(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_MAX_OPEN="1", JOBS_PARTITIONS="4")
    (busy,) = cluster.produce([b'{"handler": "sleep", "data": 5, "timeout": "1m"}'], partition=1)
    until(lambda: worker.status(busy)["status"] == "executing", 30, "it is busy")
    headers = {"schedule": b"n", "scheduled-at": b"1000"}
    (run,) = cluster.produce([b"{}"], partition=1, headers=headers)
    answer = worker.post(f"/job/{run}/cancel")
    assert (answer.status, answer.json["status"]) == (200, "canceled")
    (again,) = cluster.produce([b"{}"], partition=1, headers=headers)
    states = cluster.all_final([busy, run, again])
    assert [states[i]["status"] for i in (run, again)] == ["canceled", "canceled"]
    assert states[again]["error"].startswith("canceled by schedule 'n': ")


def test_a_schedule_of_an_unknown_handler_stops_the_start(cluster: Cluster) -> None:
    module = cluster.folder / "astray.py"
    module.write_text(
        "from jobs import schedule\n\n\n"
        "@schedule('0 0 * * *', handler='nobody')\ndef astray(at):\n    return None\n"
    )
    got = command(cluster, ["python", "app.py"], "astray")
    assert got.returncode == 2
    assert "error: JOBS_HANDLERS: schedule 'nobody': no handler is named 'nobody'" in got.stderr
    assert "Traceback" not in got.stderr


def test_the_command_that_lists_them(cluster: Cluster) -> None:
    got = command(cluster, ["faust", "-A", "app", "schedules"], "tests.apps.scheduled")
    assert got.returncode == 0, got.stderr
    lines = got.stdout.splitlines()
    assert lines[0].split() == ["NAME", "CRON", "TIMEZONE", "HANDLER", "MISSED", "NEXT"]
    assert any(line.startswith("tick") for line in lines)
    got = command(cluster, ["faust", "-A", "app", "schedules", "--json"], "tests.apps.scheduled")
    rows: list[dict[str, Any]] = json.loads(got.stdout)
    assert [row["name"] for row in rows] == ["broken", "new-year", "skipping", "tick"]
    assert rows[1]["next"].endswith("-01-01T00:00:00+00:00")


def command(
    cluster: Cluster, arguments: list[str], modules: str
) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name(arguments[0]))
    environ = cluster.environ(JOBS_HANDLERS=modules, PYTHONPATH=str(cluster.folder))
    return subprocess.run(
        [program, *arguments[1:]],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
