"""``faust -A app submit``: one job, files and streams of jobs, and kills in the middle of them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.commands.running import faust, refused
from tests.harness import ROOT, Cluster, Seen, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


@pytest.fixture
def served(cluster: Cluster) -> Cluster:
    """With a worker, which has made the topics."""
    cluster.worker()
    return cluster


def begin(cluster: Cluster, *args: str, stdin: int | None = None) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "app", *args],
        cwd=ROOT,
        env=cluster.environ(),
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def keys(cluster: Cluster) -> dict[str, list[Seen]]:
    """The records of the jobs topic by idempotency key."""
    found: dict[str, list[Seen]] = {}
    for record in cluster.records(cluster.jobs):
        found.setdefault(record.headers.get("idempotency-key", b"").decode(), []).append(record)
    return found


def jobs(*lines: object) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


ECHOES = [{"handler": "echo", "data": n} for n in range(10)]


def test_one_job(served: Cluster) -> None:
    ended = faust("submit", "--handler", "echo", "--data", '{"a": [1]}', cluster=served)
    assert (ended.returncode, ended.stderr) == (0, "")
    told = faust("submit", "--data", '"x"', "--handler", "echo", "--json", cluster=served)
    document = json.loads(told.stdout)
    ids = [ended.stdout.strip(), document["id"]]
    assert document["status"] == "waiting"
    rows = served.all_final(ids)
    assert [rows[id]["result"] for id in ids] == [{"a": [1]}, "x"]


def test_all_that_a_post_takes(served: Cluster) -> None:
    given = ("--timeout", "9s", "--ttl", "0", "--delay", "1h", "--handler", "echo", "--key", "k-1")
    ended = faust("submit", *given, cluster=served)
    later = faust("submit", "--run-at", "2150-01-01T00:00:00Z", cluster=served)
    assert (ended.returncode, later.returncode) == (0, 0), (ended.stderr, later.stderr)
    (record,) = keys(served)["k-1"]
    assert record.value is not None
    asked = {"timeout": "9s", "ttl": 0, "delay": "1h", "handler": "echo"}
    assert json.loads(record.value) == asked
    id = ended.stdout.strip()
    assert id == f"{record.partition}-{record.offset}"
    by_http = served.workers[0].post("/job", asked, headers={"Idempotency-Key": "k-2"}).json
    again = faust("submit", *given[:-1], "k-2", cluster=served).stdout.strip()
    assert again.split("-")[0] == by_http["id"].split("-")[0], "the same partition for one key"
    assert "the same Idempotency-Key" in served.all_final([again])[again]["error"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "which job? Give --handler or --data, or a FILE of jobs, or -"),
        (["--data", "you"], "--data: not JSON: invalid character (byte 0); text has quotes"),
        (["--handler", "nope"], "--handler: no handler is named 'nope' (known: echo"),
        (["--ttl", "101"], "--ttl: expected int <= 100"),
        (["--timeout", "30"], "--timeout: '30' is no duration"),
        (["--delay", "1s", "--run-at", "2150-01-01T00:00:00Z"], "--delay and run_at are both set"),
        (["--run-at", "tomorrow"], "--run-at: invalid RFC3339"),
        (["no-such-file"], "no-such-file can't be read: No such file or directory"),
        (["/"], "/ can't be read: it is a folder"),
        (["-", "--ttl", "1"], "--ttl is for one job; lines say it all"),
        (["-", "--name", "ä"], "--name must be 1 to"),
    ],
)
def test_what_makes_no_sense_is_told_before_kafka_is_asked(args: list[str], says: str) -> None:
    assert refused("submit", *args).startswith(says)


def test_no_kafka_and_no_topic(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(jobs(*ECHOES))
    assert refused("submit", "--handler", "echo").startswith("no Kafka answers at 127.0.0.1:")
    assert refused("submit", str(file)).startswith("no Kafka answers at 127.0.0.1:")
    assert "there is no topic" in refused("submit", str(file), cluster=cluster)
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.jsonl"], "no journal of nothing"


def test_a_file_is_submitted_once(served: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(jobs(*ECHOES))
    ended = faust("submit", str(file), "--ids", cluster=served)
    assert (ended.returncode, ended.stderr) == (0, "")
    *ids, said = ended.stdout.splitlines()
    assert said.startswith("10 jobs were submitted as jobs-")
    rows = served.all_final(ids)
    assert [rows[id]["result"] for id in ids] == list(range(10)), "in the order of the lines"

    again = json.loads(faust("submit", str(file), "--json", cluster=served).stdout)
    assert (again["sent"], again["before"]) == (0, 10)
    with file.open("a") as more:
        more.write('\n{"handler": "echo"}')  # what is added is new, without its end of line, too
    more_told = json.loads(faust("submit", str(file), "--json", cluster=served).stdout)
    assert (more_told["sent"], more_told["before"]) == (1, 10)
    assert more_told["name"] == again["name"]
    anew = json.loads(faust("submit", str(file), "--again", "--json", cluster=served).stdout)
    assert (anew["sent"], anew["before"]) == (11, 0)
    assert sorted(map(len, keys(served).values())) == [1] * 22

    file.write_text(jobs({"handler": "echo", "data": "changed"}, *ECHOES[1:]))
    says = refused("submit", str(file), cluster=served)
    assert "are not those that were submitted as this; --again submits the file anew" in says
    assert sum(map(len, keys(served).values())) == 22


def test_nobody_reads_the_ids(served: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(jobs(*ECHOES))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = faust("submit", str(file), "--ids", cluster=served, stdout=writing)
    finally:
        os.close(writing)
    said = "10 jobs were submitted; the same command goes on, and sends none of them twice\n"
    assert (ended.returncode, ended.stderr) == (141, said)
    again = json.loads(faust("submit", str(file), "--json", cluster=served).stdout)
    assert (again["sent"], again["before"]) == (0, 10)


def test_a_bad_line_sends_nothing(served: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(jobs(*ECHOES, {"ttl": "many"}, *ECHOES))
    says = refused("submit", str(file), cluster=served)
    assert says == f"{file}: line 11: ttl: expected int, got str; nothing was sent"
    file.write_text(jobs({"handler": "of-the-worker"}))
    assert "leave it to workers: --any-handler" in refused("submit", str(file), cluster=served)
    file.write_text("\n \n")
    assert refused("submit", str(file), cluster=served) == f"there is no job in {file}"
    file.write_text('{"data": "' + "x" * 2_000_000 + '"}')
    assert "line 1: " in refused("submit", str(file), cluster=served)
    assert keys(served) == {}
    file.write_text(jobs({"handler": "of-the-worker"}))
    assert faust("submit", str(file), "--any-handler", cluster=served).returncode == 0


def test_a_stream(served: Cluster) -> None:
    ended = faust("submit", "-", "--json", "--ids", cluster=served, stdin=jobs(*ECHOES))
    *lines, summary = map(json.loads, ended.stdout.splitlines())
    assert [line["line"] for line in lines] == list(range(1, 11))
    assert summary == {"name": summary["name"], "sent": 10, "before": 0}
    half = jobs(*ECHOES[:3]) + '{"ttl": 101}\n' + jobs(*ECHOES[3:])
    broken = faust("submit", "-", "--name", "today", cluster=served, stdin=half)
    assert broken.returncode == 1
    assert "line 4: ttl: expected int <= 100. 3 jobs were submitted; the same" in broken.stderr
    mended = jobs(*ECHOES)
    whole = faust("submit", "-", "--name", "today", "--json", cluster=served, stdin=mended)
    assert json.loads(whole.stdout) == {"name": "today", "sent": 7, "before": 3}
    other = jobs({"handler": "echo", "data": "other"})
    ended = faust("submit", "-", "--name", "today", cluster=served, stdin=other)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "line 1: it was submitted before, and was another job then" in ended.stderr
    assert sum(map(len, keys(served).values())) == 20
    assert faust("submit", "-", cluster=served, stdin="").returncode == 0


def test_a_stream_is_sent_as_it_comes_and_ctrl_c_ends_it(served: Cluster) -> None:
    ours, theirs = pty.openpty()
    process = begin(served, "submit", "-", "--ids", "--name", "typed", stdin=theirs)
    os.close(theirs)
    assert process.stdout is not None
    try:
        for n in range(2):
            os.write(ours, jobs(ECHOES[n]).encode())
            id = process.stdout.readline().strip()
            assert served.all_final([id])[id]["result"] == n
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert process.returncode == 130
    assert said.startswith("interrupted: 2 jobs were submitted; the same command goes on")


def test_a_journal_of_another_log(served: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(jobs(*ECHOES))
    assert faust("submit", str(file), cluster=served).returncode == 0
    other = Cluster(served.kafka, tmp_path, partitions=2)
    try:
        other.worker()
        says = refused("submit", str(file), cluster=other)
        assert f"was submitted to topic {served.jobs} of" in says
    finally:
        other.close()
    says = refused("submit", str(file), "--name", "other", cluster=served)
    assert "leave --name out to go on with it, or begin another one by --again" in says
    id = faust("submit", "--handler", "echo", cluster=served).stdout.strip()
    journal = tmp_path / "jobs.jsonl.submitted"
    # As where the topic was made again: another record stands at the place.
    journal.write_text(re.sub(r'"last":"[^"]+"', f'"last":"{id}"', journal.read_text()))
    assert "--again submits all lines anew" in refused("submit", str(file), cluster=served)


def test_a_name_is_enough_where_no_journal_can_be(served: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(jobs(*ECHOES))
    first = faust("submit", str(file), "--name", "n1", cluster=served)
    assert first.returncode == 0
    (tmp_path / "jobs.jsonl.submitted").unlink()  # the machine that had it is gone, say
    with file.open("a") as more:
        more.write(jobs(*ECHOES))
    again = faust("submit", str(file), "--name", "n1", "--json", cluster=served)
    assert json.loads(again.stdout) == {"name": "n1", "sent": 10, "before": 10}
    assert sorted(keys(served)) == sorted(f"n1:{n}" for n in range(1, 21))


@pytest.mark.slow
def test_kill_9_again_and_again(served: Cluster, tmp_path: Path) -> None:
    """However often it is killed, each line is one job that runs. With records on their way to
    the broker, which may land when nobody waits for them any more."""
    count = 6_000
    file = tmp_path / "jobs.jsonl"
    file.write_text(jobs(*({"handler": "echo", "data": [n, "x" * 1_500]} for n in range(count))))
    journal = tmp_path / "jobs.jsonl.submitted"
    kills = 0
    while True:
        size = journal.stat().st_size if journal.exists() else 0
        process = begin(served, "submit", str(file))
        try:
            # Each time in another moment: between a step's records and its line in the journal.
            while process.poll() is None and kills < 8:
                grown = journal.exists() and journal.stat().st_size > size
                if grown:
                    time.sleep(0.004 * (kills % 4))
                    process.kill()
                    kills += 1
                    break
            _, said = process.communicate(timeout=100)
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, said
    assert kills >= 4
    found = keys(served)
    assert len(found) == count
    ids = [f"{r.partition}-{r.offset}" for records in found.values() for r in records]
    rows = served.all_final(ids, within_s=120)
    ran = [rows[id]["result"][0] for id in ids if rows[id]["status"] == "done"]
    assert sorted(ran) == list(range(count)), "each line ran once"
    others = [rows[id] for id in ids if rows[id]["status"] != "done"]
    assert all("the same Idempotency-Key as job" in row["error"] for row in others)
    print(f"{kills} kills, {len(others)} records that landed late and never ran")
    until(lambda: served.workers[0].get("/readyz").status == 200, 10, "the worker is well")
