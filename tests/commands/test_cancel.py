"""``faust -A app cancel``: jobs of any state, with workers and without, and ids that are wrong."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.commands.running import faust, refused
from tests.harness import ROOT, Cluster, WorkerProcess, until

pytestmark = pytest.mark.processes


def canceled(
    cluster: Cluster, *args: str, code: int = 0, **more: Any
) -> dict[str, tuple[str, bool, str | None]]:
    """What is told of each job: its status, whether a cancel was written, the detail."""
    ended = faust("cancel", "--json", *args, cluster=cluster, **more)
    assert (ended.returncode, ended.stderr) == (code, ""), ended
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert all(list(row) == ["id", "status", "asked", "detail"] for row in rows)
    return {row["id"]: (row["status"], row["asked"], row["detail"]) for row in rows}


def begin(cluster: Cluster, *args: str) -> subprocess.Popen[str]:
    """Start a cancel."""
    return subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", "cancel", *args],
        cwd=ROOT,
        env=cluster.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def asked(cluster: Cluster) -> list[dict[str, Any]]:
    """The records of the cancel topic."""
    found = cluster.records(f"{cluster.jobs}-cancel")
    for record in found:
        value = json.loads(record.value or b"")
        assert (record.key or b"").decode() == value["id"]
        assert value["id"].split("-")[0] == str(record.partition), "else no owner sees it"
    return [json.loads(record.value or b"") for record in found]


def running(worker: WorkerProcess, seconds: float = 600) -> str:
    """A job that is executing."""
    id = worker.submit(handler="sleep", data=seconds, timeout="1h")
    until(lambda: worker.status(id)["status"] == "executing", 20, "it runs")
    return id


def test_jobs_that_wait_and_jobs_that_run(cluster: Cluster) -> None:
    worker = cluster.worker()
    executing, delayed = running(worker), worker.submit(handler="echo", delay="1h")
    told = canceled(cluster, delayed, executing, delayed, "--why", "wrong \udcff", LOGNAME="ann")
    assert list(told) == [delayed, executing], "each once, in the order of the ids"
    assert set(told.values()) == {("canceled", True, None)}
    who, why = f"ann@{socket.gethostname()}", "wrong ?"
    for id in (delayed, executing):
        assert worker.status(id)["status"] == "canceled"
        assert worker.status(id)["error"] == f"canceled by {who}: {why}"
    records = asked(cluster)
    assert sorted(each["id"] for each in records) == sorted([delayed, executing])
    assert {(each["who"], each["why"]) for each in records} == {(who, why)}

    again = faust("cancel", delayed, cluster=cluster)  # is no fault, as over HTTP
    head, line = again.stdout.splitlines()
    assert (again.returncode, again.stderr, head.split()) == (0, "", ["ID", "STATUS", "DETAIL"])
    assert line.split(maxsplit=2) == [delayed, "canceled", "is canceled already: that stays"]
    assert len(asked(cluster)) == 2


def test_what_has_ended_stays(cluster: Cluster) -> None:
    worker = cluster.worker()
    done = worker.submit(handler="echo", data=1)
    failed = worker.submit(handler="fail", data=9, ttl=0)
    cluster.all_final([done, failed])
    before = cluster.states()
    waiting = worker.submit(handler="echo", delay="1h")
    assert canceled(cluster, done, f"{waiting},{failed}", code=1) == {
        done: ("done", False, "is done already: that stays"),
        waiting: ("canceled", True, None),
        failed: ("failed", False, "is failed already: that stays"),
    }
    assert [each["id"] for each in asked(cluster)] == [waiting]
    states = cluster.states()
    assert {id: states[id] for id in (done, failed)} == before
    assert canceled(cluster, done, "--no-wait", code=1)[done][:2] == ("done", False)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([], "which jobs? Give their ids, or - to read ids from standard input"),
        (["3-1", ""], "id '' is empty"),
        (["3-1", "job 5"], "'job 5' is no job id: an id is {partition}-{offset}, for example 3-1"),
        (["3-1..3-9"], "3-1..3-9 is a range, and here each job is named: `faust -A app jobs 3-1.."),
        (["3-1", "--why", " "], "--why is empty: leave it out, or say why"),
        (["3-1", "--why", "x" * 501], "--why must be text of at most 500 characters"),
        (["3-1", "--wait", "soon"], "--wait: 'soon' is no duration"),
        (["3-1", "--wait", "1s", "--no-wait"], "--wait and --no-wait are both given"),
        (["3-1"], "no Kafka answers at 127.0.0.1:"),
    ],
)
def test_what_makes_no_sense_is_told_before_kafka_is_asked(args: list[str], told: str) -> None:
    assert refused("cancel", *args).startswith(told)


def test_one_wrong_id_and_nothing_is_done(cluster: Cluster) -> None:
    assert f"there is no topic {cluster.jobs}, " in refused("cancel", "0-0", cluster=cluster)
    worker = cluster.worker(JOBS_KEEP="1s")
    [gone] = cluster.produce([b'{"handler": "echo"}'], partition=0)
    [good] = cluster.produce([b'{"handler": "echo", "delay": "1h"}'], partition=1)
    until(lambda: worker.get(f"/job/{gone}/status").status == 404, 30, "it is swept")
    for wrong, told in [
        ("9-1", "9-1: there is no partition 9; "),
        ("1-1", "there is no job 1-1: partition 1 has 1-0 to 1-0"),
        ("3-0", "there is no job 3-0: its partition is empty"),
        (gone, f"job {gone} has expired or never was a job: no worker has a row of it. Nothing"),
    ]:
        assert refused("cancel", good, wrong, cluster=cluster).startswith(told)
    assert asked(cluster) == []
    assert worker.status(good)["status"] == "waiting"


def test_ids_of_another_command(cluster: Cluster) -> None:
    worker = cluster.worker()
    ids = [worker.submit(handler="echo", delay="1h") for _ in range(5)]
    kept = worker.submit(handler="sleep", delay="1h")
    listed = faust("jobs", "--state", "waiting", "--handler", "echo", "--json", cluster=cluster)
    lines = "".join(json.loads(line)["id"] + "\n" for line in listed.stdout.splitlines())
    assert faust("cancel", "-", cluster=cluster, stdin=lines + "\n3-x\n").stderr == (
        "error: standard input, line 7: '3-x' is no job id: an id is {partition}-{offset}, for "
        "example 3-1042\n"
    )
    assert asked(cluster) == []
    told = canceled(cluster, "-", stdin=f"\r\n{lines}\r\n{ids[0]}")
    assert sorted(told) == sorted(ids)
    assert set(told.values()) == {("canceled", True, None)}
    assert worker.status(kept)["status"] == "waiting"
    none = faust("cancel", "-", cluster=cluster, stdin="\n")
    said = "no id came on standard input: there is nothing to cancel\n"
    assert (none.returncode, none.stdout, none.stderr) == (0, "", said)


def test_with_no_worker_a_cancel_waits_in_the_log(cluster: Cluster) -> None:
    worker = cluster.worker()
    executing = running(worker)
    worker.kill()  # it doesn't say that it has let its partitions go
    told = canceled(cluster, executing, "--wait", "500ms", code=1)
    status, written, detail = told[executing]
    assert (status, written) == ("executing", True)
    who = rf"\S+, or who has partition {executing.split('-')[0]} next,"
    text = "the cancel is in the log; "
    assert re.fullmatch(f"{text}{who} does it unless the job ends first", detail or ""), detail
    worker = cluster.worker()
    assert cluster.all_final([executing])[executing]["status"] == "canceled"
    assert worker.terminate() == 0

    unread = cluster.produce([b'{"handler": "echo", "delay": "1h"}'] * 2, partition=2)
    nobody = f"{text}no worker has partition 2 now: the next one does it before it runs jobs"
    told = canceled(cluster, unread[0], "--wait", "500ms", code=1)
    assert told == {unread[0]: ("waiting", True, nobody)}
    assert canceled(cluster, unread[1], "--no-wait") == {unread[1]: ("waiting", True, nobody)}
    cluster.worker()
    rows = cluster.all_final(unread)
    assert [rows[id]["status"] for id in unread] == ["canceled"] * 2


def test_a_job_that_ends_before_its_cancel_comes(cluster: Cluster) -> None:
    """Its row is written here: no worker can be made to be quicker by just so much."""
    faust("topics", "--create", cluster=cluster)
    [id] = cluster.produce([b'{"handler": "echo"}'], partition=0)
    cancel = begin(cluster, id, "--json", "--wait", "1h")
    try:
        until(lambda: asked(cluster), 20, "it is asked for")
        for status in ("executing", "done"):
            row = json.dumps({"status": status, "submitted_at": 1}).encode()
            fence = {"fence": b"1 a"}
            cluster.produce(
                [row], topic=cluster.changelog, key=id.encode(), headers=fence, partition=0
            )
        said, errors = cancel.communicate(timeout=30)
    finally:
        cancel.kill()
        cancel.wait()
    assert (cancel.returncode, errors) == (1, "")
    detail = "it had ended when the cancel came"
    assert json.loads(said) == {"id": id, "status": "done", "asked": True, "detail": detail}


def test_ctrl_c_takes_no_cancel_back(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster)
    [id] = cluster.produce([b'{"handler": "echo"}'], partition=0)
    cancel = begin(cluster, id, "--wait", "1h")
    try:
        until(lambda: asked(cluster), 20, "it is asked for")
        time.sleep(2)  # from the record to the wait
        cancel.send_signal(signal.SIGINT)
        said, errors = cancel.communicate(timeout=30)
    finally:
        cancel.kill()
        cancel.wait()
    assert (cancel.returncode, said) == (130, "")
    assert errors == "interrupted: the cancels are in the log, and are carried out\n"
