"""``faust -A app rehearse``: what ran yesterday, by today's code, with no worker and no trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from tests.commands.running import faust
from tests.harness import ROOT, Cluster, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

CODE = """
import os
import time

from jobs import Context, handler


@handler("price", rehearse=True, reruns=0)
async def price(ctx: Context, data: dict[str, int]) -> int:
    print("a handler's own words")
    return data["each"] * data["count"]


@handler("flaky", rehearse=True, reruns=2)
async def flaky(ctx: Context, data: int) -> str:
    if ctx.attempt <= data:
        raise OSError("once more")
    return await ctx.submit("mail", None) and "sent"


@handler("mail")
async def mail(ctx: Context, data: None) -> None:
    pass


@handler("breaks", rehearse=True, reruns=0, timeout="60s")
def breaks(ctx: Context, data: str) -> None:
    if ctx.rehearsal and data == "exit":
        os._exit(0)
    if ctx.rehearsal:
        print("it hangs", flush=True)
        time.sleep(600)
"""
MENDED = CODE.replace('data["count"]', 'data.get("count", 1)').replace("attempt <=", "attempt <")
WORSE = MENDED.replace('data["each"]', '(1000 // data["each"])')


class Yesterday:
    """Jobs that a worker has run; it is gone."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.module = folder / "orders.py"
        self.settings = {"JOBS_HANDLERS": "orders", "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
        self.module.write_text(CODE)
        worker = cluster.worker(ready=True, kind=None, **self.settings, JOBS_KEEP="1s")
        prices = [{"each": n, "count": 2} for n in range(20)] + [{"each": 5}, {"each": 6}]
        self.prices = self.produce("price", prices)
        self.flaky = self.produce("flaky", [1])
        self.mails = self.produce("mail", [None] * 3)
        self.breaks = self.produce("breaks", ["exit", "hang"])
        (self.canceled,) = self.produce("price", [{"each": 1}], delay="1h")
        self.unread = [b"not JSON"]
        (self.malformed,) = cluster.produce([b"not JSON"])
        worker.post(f"/job/{self.canceled}/cancel")
        ids = [*self.prices, *self.flaky, *self.mails, *self.breaks, self.canceled, self.malformed]
        cluster.all_final(ids)
        # Their rows are removed: what they came to is history.
        until(lambda: worker.get("/job/all").json["jobs"] == [], 60, "all swept")
        assert worker.terminate() == 0

    def produce(self, handler: str, data: Sequence[Any], **more: Any) -> list[str]:
        """Jobs straight to the topic."""
        asked = [{"handler": handler, "data": each, **more} for each in data]
        return self.cluster.produce([json.dumps(each).encode() for each in asked])

    def rehearse(self, *args: str) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
        """Exit code, results, summary."""
        ended = faust("rehearse", "--json", *args, cluster=self.cluster, **self.settings)
        assert ended.stdout, ended.stderr
        *results, summary = map(json.loads, ended.stdout.splitlines())
        return ended.returncode, results, summary["summary"]

    def ends(self) -> Any:
        """All records of all topics, and the group's places: what a rehearsal mustn't change."""
        topics = [self.cluster.jobs, *(f"{self.cluster.jobs}-{n}" for n in ("dead", "retry"))]
        return [len(self.cluster.records(topic)) for topic in [*topics, self.cluster.changelog]]


@pytest.fixture
def yesterday(cluster: Cluster, tmp_path: Path) -> Yesterday:
    return Yesterday(cluster, tmp_path)


def test_yesterdays_jobs_by_todays_code(yesterday: Yesterday, kafka: str) -> None:
    before = yesterday.ends()
    code, results, summary = yesterday.rehearse("--handler", "price,flaky,mail")
    counts = {"same": 23, "better": 0, "worse": 0, "different": 0, "new": 0}
    assert (code, results) == (0, [])
    assert summary["ran"] == 23
    assert counts.items() <= summary.items()
    assert summary["follow_ups"] == 1, "noted down, not sent"
    assert summary["skipped"] == {
        "handler 'mail' isn't marked rehearse=True": 3 + 1,  # with the follow-up of then
        "it was canceled": 1,
    }

    yesterday.module.write_text(MENDED)
    code, results, summary = yesterday.rehearse("--handler", "price,flaky")
    assert (code, summary["better"], summary["worse"], summary["same"]) == (1, 3, 0, 20)
    by_id = {result["id"]: result for result in results}
    assert set(by_id) == {*yesterday.prices[20:], *yesterday.flaky}
    mended = by_id[yesterday.prices[20]]
    assert mended["differs"] == ["status", "result", "error"]
    assert mended["then"]["error"] == "KeyError: 'count'"
    assert (mended["now"]["status"], mended["now"]["result"]) == ("done", 5)
    again = by_id[yesterday.flaky[0]]
    assert again["differs"] == ["attempts"]
    assert [again[when]["attempts"] for when in ("then", "now")] == [2, 1]
    assert [asked["handler"] for asked in again["submitted"]] == ["mail"]

    yesterday.module.write_text(WORSE)
    code, results, summary = yesterday.rehearse("--handler", "price", "--worse")
    assert (code, summary["worse"]) == (1, 1), "1 // 0 fails"
    assert summary["different"] == len([n for n in range(1, 20) if 1000 // n != n])
    code, results, _ = yesterday.rehearse("--handler", "flaky", "--state", "done")
    assert (code, [result["verdict"] for result in results]) == (1, ["better"])
    code, results, _ = yesterday.rehearse("--handler", "price", "--ignore", "result", "--worse")
    assert (code, len(results)) == (1, 3)

    assert yesterday.ends() == before
    groups = AdminClient({"bootstrap.servers": kafka}).list_consumer_groups().result(10).valid
    assert [g.group_id for g in groups if yesterday.cluster.app_id in g.group_id] in (
        [],
        [yesterday.cluster.app_id],
    )


def test_what_is_chosen(yesterday: Yesterday) -> None:
    chosen = faust(
        "rehearse", *yesterday.prices[:2], yesterday.mails[0], cluster=yesterday.cluster,
        **yesterday.settings,
    )  # fmt: skip
    assert chosen.returncode == 0
    assert "a handler's own words" in chosen.stderr
    assert "a handler's own words" not in chosen.stdout
    lines = [line.split() for line in chosen.stdout.splitlines()]
    assert lines[1:5] == [["2", "the", "same"], ["0", "better"], ["0", "worse"], ["0", "different"]]
    assert lines[5][:2] == ["1", "skipped:"]
    code, _, summary = yesterday.rehearse(
        "--state", "failed", "--error", "KEYERROR", "--limit", "1"
    )
    assert (code, summary["ran"], summary["same"]) == (0, 1, 1)
    code, results, _ = yesterday.rehearse(yesterday.malformed, "--all")
    assert (code, results[0]["verdict"], results[0]["now"]["attempts"]) == (0, "same", 0)
    (waiting,) = yesterday.produce("price", [{"each": 7, "count": 2}])
    code, results, summary = yesterday.rehearse(waiting, "--all")
    assert (code, summary["new"], results[0]["now"]["result"]) == (0, 1, 14)
    assert results[0]["then"] is None


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["9-1"], "9-1: there is no partition 9; {jobs} has 4, counted from 0"),
        (["0-9999"], "there is no job 0-9999: its partition is empty"),
        (["x"], "'x' is no job id"),
        (["--slots", "0"], "--slots 0: must be at least 1"),
        (["--ignore", "mood"], "--ignore mood: there are status, result, error, attempts"),
        (["--since", "1h"], "no job was submitted in that time"),
        ([], "there is no job on topic {jobs}"),
    ],
)
def test_what_makes_no_sense(cluster: Cluster, args: list[str], says: str) -> None:
    assert faust("topics", "--create", cluster=cluster).returncode == 0
    ended = faust("rehearse", *args, cluster=cluster)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: " + says.format(jobs=cluster.jobs))


def begin(yesterday: Yesterday, *args: str) -> subprocess.Popen[str]:
    """Start a rehearsal."""
    return subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", "rehearse", "--json", *args],
        cwd=ROOT,
        env=yesterday.cluster.environ(**yesterday.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_handler_that_ends_the_process_or_never_ends(yesterday: Yesterday) -> None:
    exits, hangs = yesterday.breaks
    ended = faust("rehearse", exits, cluster=yesterday.cluster, **yesterday.settings)
    assert ended.returncode == 1, "and not the handler's 0"
    assert "ended with exit code 0 in the middle: one of the jobs that ran took it down" in (
        ended.stderr
    )
    assert f"({exits})" in ended.stderr
    process = begin(yesterday, hangs)
    try:
        assert process.stderr is not None
        assert any("it hangs" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert json.loads(out.splitlines()[-1])["summary"]["interrupted"] is True

    process = begin(yesterday, hangs)
    assert process.stderr is not None
    assert any("it hangs" in line for line in process.stderr)
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    process.communicate(timeout=60)
    child.wait(30)  # nobody would stop its handlers any more
