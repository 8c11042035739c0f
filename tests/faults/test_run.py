"""A recorded run of real workers, one of which is killed in the middle, and its judgement."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import History, judge, topics
from tests.faults.checker.files import load
from tests.faults.checker.model import Record
from tests.faults.collect import collect
from tests.faults.load import MIX, Load
from tests.faults.recording import Events, Http, Kafka, Recorder
from tests.harness import ROOT, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(300)]

JOBS = 100


async def drive(cluster: Cluster, folder: Path) -> None:
    """Two workers and a load; one is killed at half of it, and a new one comes."""
    settings = environ(folder)
    one, two = [cluster.worker(ready=False, **settings) for _ in range(2)]
    for each in (one, two):
        await asyncio.to_thread(each.wait_ready)
    await asyncio.to_thread(until, lambda: shared([one, two]), 60, "both own partitions")
    alive = [one, two]
    names = topics.names(cluster.app_id, cluster.jobs)
    recorder = Recorder(folder / "calls.jsonl")
    async with (
        Http(recorder, lambda: [each.url for each in alive], 1) as http,
        Kafka(recorder, cluster.kafka) as kafka,
    ):
        load = Load(
            http=http,
            kafka=kafka,
            topics=names,
            partitions=cluster.partitions,
            seed=1,
            rate=15,
        )
        running = asyncio.create_task(load.run(JOBS))
        while len(load.ids) < JOBS / 2 and not running.done():
            await asyncio.sleep(0.01)
        Events(folder).note("kill", str(one.port))
        await asyncio.to_thread(one.kill)
        await asyncio.sleep(1)  # clients go on asking the one that has died
        three = cluster.worker(ready=False, **settings)
        alive[:] = [two, three]
        await running
        await asyncio.to_thread(three.wait_ready)
        await asyncio.to_thread(until, lambda: shared(alive), 60, "the new one owns partitions")
    recorder.close()
    await collect(folder, cluster.kafka, names, cluster.partitions, [each.url for each in alive])


def environ(folder: Path) -> dict[str, Any]:
    """Settings of a worker whose handlers write themselves down."""
    return {"JOBS_HANDLERS": "tests.apps.faulty", "JOURNAL": str(folder / "runs.jsonl")}


def shared(workers: list[WorkerProcess]) -> bool:
    """Whether each of two workers owns half of the partitions."""
    parts = [len(each.get("/readyz").json.get("partitions", [])) for each in workers]
    return parts == [2, 2]


@pytest.fixture
def folder(cluster: Cluster) -> Path:
    made = cluster.folder / "run"
    made.mkdir()
    return made


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    """The command's answer."""
    command = [sys.executable, "-m", "tests.faults.checker", str(folder), "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def without(history: History, topic: str, gone: Record) -> History:
    """A history whose log never had a record: those behind it moved up."""
    records = [
        r._replace(offset=r.offset - 1)
        if r.partition == gone.partition and r.offset > gone.offset
        else r
        for r in history.topics[topic]
        if r != gone
    ]
    return replace(history, topics={**history.topics, topic: records})


def last_row(history: History, status: str) -> Record:
    """The final row of some job with this state."""

    def is_it(record: Record) -> bool:
        return b"-" in (record.key or b"") and json.loads(record.value or b"{}")["status"] == status

    return next(record for record in history.topics["changelog"] if is_it(record))


def changed(record: Record, **fields: Any) -> Record:
    """A row with other fields."""
    return record._replace(value=json.dumps(json.loads(record.value or b"") | fields).encode())


def test_a_kill_in_the_middle_breaks_no_promise_and_a_change_is_caught(
    cluster: Cluster, folder: Path
) -> None:
    asyncio.run(drive(cluster, folder))
    answer = checked(folder)
    history = load(folder)
    report = judge(history)
    assert report.violations == [], report.text()
    assert answer.returncode == 0, answer.stdout
    assert json.loads(answer.stdout) == json.loads(json.dumps(report.data()))
    assert report.accepted == JOBS, "one worker was always there to take them"
    assert set(report.final) == {"done", "failed", "canceled"}
    assert all(report.evidence.values()), report.text()
    assert report.duplicates.takeovers > 0, "nothing was running when the worker was killed"
    assert report.recoveries[0].first_s is not None

    done, first = last_row(history, "done"), history.topics["jobs"][0]
    assert {"I1", "I6"} <= set(judge(without(history, "changelog", done)).rules)
    assert {"I0"} <= set(judge(without(history, "jobs", first)).rules)
    rows = history.topics["changelog"]
    for fields in ({"status": "failed"}, {"result": "another"}, {"attempt": 9}):
        other = [changed(row, **fields) if row == done else row for row in rows]
        broken = replace(history, topics={**history.topics, "changelog": other})
        assert "I6" in judge(broken).rules, fields


def test_a_folder_that_holds_no_run_is_told(tmp_path: Path) -> None:
    answer = checked(tmp_path)
    assert answer.returncode == 2
    assert "about.json" in answer.stderr


def test_poison_takes_workers_down_as_often_as_asked(cluster: Cluster, folder: Path) -> None:
    settings = environ(folder)
    worker = cluster.worker(**settings)
    job = worker.submit(handler="poison", data=1)
    assert worker.process.wait(30) == 9
    cluster.worker(**settings)
    assert cluster.all_final([job])[job]["result"] == "survived"


def test_the_mix_has_every_handler_but_the_one_that_kills() -> None:
    import random

    asked = {kind.request(random.Random(0))["handler"] for kind in MIX.values()}
    assert asked == {"quick", "slow", "flaky", "late", "stubborn", "apart"}
