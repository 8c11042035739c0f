"""``faust -A app replay``: jobs of the log again, each once in one replay, whatever is killed."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.commands.running import faust, refused
from tests.faults.proxy import Proxy
from tests.harness import ROOT, Cluster, Seen, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


class Night:
    """Jobs that have run; half of them have failed. The worker is gone."""

    def __init__(self, cluster: Cluster, failures: int = 12) -> None:
        self.cluster = cluster
        worker = cluster.worker()
        fails = [{"handler": "fail", "data": 1, "ttl": 0, "seen": n} for n in range(failures)]
        self.failed = self._produce(fails)
        self.done = self._produce([{"handler": "echo", "data": n} for n in range(4)])
        self.canceled, self.waiting = self._produce([{"delay": "1h"}] * 2)
        (self.malformed,) = cluster.produce([b"nonsense"])
        cluster.all_final([*self.failed, *self.done, self.malformed], within_s=200)
        worker.post(f"/job/{self.canceled}/cancel")
        cluster.all_final([self.canceled])
        assert worker.terminate() == 0

    def _produce(self, asked: list[dict[str, object]]) -> list[str]:
        return self.cluster.produce([json.dumps(each).encode() for each in asked])

    def replays(self) -> dict[str, list[Seen]]:
        """Records that say replay-of, by their originals."""
        found: dict[str, list[Seen]] = {}
        for record in self.cluster.records(self.cluster.jobs):
            origin = record.headers.get("replay-of")
            if origin is not None:
                found.setdefault(origin.decode(), []).append(record)
        return found

    def replay(self, *args: str) -> tuple[int, dict[str, object]]:
        """How many, and what was left out why."""
        ended = faust("replay", *args, "--json", "--yes", cluster=self.cluster)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        told = json.loads(ended.stdout)
        return told["replayed"], told["skipped"]


@pytest.fixture
def night(cluster: Cluster) -> Night:
    return Night(cluster)


BEFORE = "replayed before under this name"
OWN = "it is itself a replay under this name (another --name runs it again)"
ANOTHER = "another replay has run it again (--again takes it, too)"


def test_failed_jobs_are_run_again_once(night: Night) -> None:
    dry = faust("replay", "--state", "failed", "--dry-run", cluster=night.cluster)
    assert (dry.returncode, dry.stderr) == (0, "")
    assert "12 would be run again, as new jobs" in dry.stdout
    assert "1  left out: it would fail again: not JSON" in dry.stdout
    told = faust("replay", "--state", "failed", "--dry-run", "--json", cluster=night.cluster)
    *lines, _ = map(json.loads, told.stdout.splitlines())
    assert {line["id"] for line in lines if line["replay"]} == set(night.failed)
    says = refused("replay", "--state", "failed", cluster=night.cluster)
    assert "There is nobody to ask: --yes says that it is meant" in says
    assert night.replays() == {}

    assert night.replay("--error", "SHALL FAIL", "--name", "n1")[0] == 12
    found = night.replays()
    assert set(found) == set(night.failed)
    originals = {
        f"{record.partition}-{record.offset}": record
        for record in night.cluster.records(night.cluster.jobs)
    }
    for id, (replay,) in found.items():
        assert replay.partition == originals[id].partition
        assert replay.value == originals[id].value, "also the fields that nobody knows"
        assert replay.headers["idempotency-key"] == b"n1"

    assert night.replay("--state", "failed", "--name", "n1")[1][BEFORE] == 12
    assert night.replay("--state", "failed")[1][ANOTHER] == 12
    assert night.replay("--state", "failed", "--name", "n1", "--again")[0] == 0
    assert night.replay("--state", "failed", "--name", "n2", "--again")[0] == 12
    assert Counter(map(len, night.replays().values())) == {2: 12}
    # They have failed again; now these are the ones to be run.
    ids = [f"{r.partition}-{r.offset}" for records in night.replays().values() for r in records]
    night.cluster.worker()
    rows = night.cluster.all_final(ids)
    assert {row["replay_of"] for row in rows.values() if "replay_of" in row} == set(night.failed)
    # The same command goes on with what is its own; what it made isn't run once more and once more.
    same = night.replay("--state", "failed", "--handler", "fail", "--name", "n1", "--again")
    assert same == (12, {BEFORE: 12, OWN: 12}), "those of n2 were other jobs"
    assert night.replay(*ids, "--name", "n3") == (12, {ANOTHER: 12})


def test_by_id_each_is_told_why_not(night: Night) -> None:
    ids = [*night.done, night.canceled, night.waiting, night.malformed, *night.failed[:3]]
    sent, skipped = night.replay(*ids, "--name", "by-id")
    assert sent == 4, "the canceled one, too"
    assert skipped["it is done, not canceled or failed"] == 4
    assert skipped["it is waiting, and going to run"] == 1
    assert len(skipped) == 3
    assert set(night.replays()) == {night.canceled, *night.failed[:3]}
    sent, skipped = night.replay(*night.done, "--state", "done", "--rate", "1000/s")
    assert (sent, skipped) == (4, {})
    told = faust("replay", night.failed[4], "--yes", "--ids", cluster=night.cluster)
    (record,) = night.replays()[night.failed[4]]
    pair, said = told.stdout.splitlines()
    assert pair == f"{night.failed[4]} {record.partition}-{record.offset}"
    assert said.startswith("1 job was replayed as replay-")


def test_dead_letters(night: Night) -> None:
    # The worker died between a letter and its row, and has run the job since.
    value = {"handler": "echo", "data": 0}
    partition, offset = night.done[0].split("-")
    headers = {"source-topic": night.cluster.jobs, "source-partition": partition}
    night.cluster.produce(
        [json.dumps(value).encode()],
        topic=f"{night.cluster.jobs}-dead",
        partition=int(partition),
        headers={k: v.encode() for k, v in {**headers, "source-offset": offset}.items()},
    )
    sent, skipped = night.replay("--dead", "--error", "attempt 1 of 1")
    assert (sent, skipped) == (12, {})
    sent, skipped = night.replay("--dead")
    assert (sent, skipped[ANOTHER], skipped["it is done, not failed"]) == (0, 12, 1)
    assert Counter(map(len, night.replays().values())) == {1: 12}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "which jobs? Give ids, --state, --since, --error, or --dead"),
        (["--state", "executing"], "--state executing: such jobs are going to run"),
        (["--state", "bad"], "--state bad: there are waiting"),
        (["--dead", "--state", "done"], "--dead and --state are both given"),
        (["3-0", "--rate", "fast"], "--rate: 'fast' is no rate"),
        (["3-0", "--name", "ä"], "--name must be 1 to 200 printable ASCII characters"),
        (["3-5..3-1"], "3-5..3-1 is empty"),
        (["--state", "failed", "--handler", ""], "--handler '' is empty: leave it out"),
        (["3-0"], "no Kafka answers at "),
    ],
)
def test_what_makes_no_sense(args: list[str], says: str) -> None:
    assert refused("replay", *args).startswith(says)


def test_nothing_is_like_that(cluster: Cluster) -> None:
    assert "there is no topic" in refused("replay", "3-0", cluster=cluster)
    assert faust("topics", "--create", cluster=cluster).returncode == 0
    assert refused("replay", "3-0", cluster=cluster).startswith("there is no job 3-0")
    assert refused("replay", "9-0", cluster=cluster).startswith("9-0: there is no partition 9")
    assert refused("replay", "--dead", cluster=cluster).startswith("no job is like that")
    assert refused("replay", "--since", "1h", cluster=cluster).startswith("no job was submitted")


def test_a_person_is_asked(night: Night) -> None:
    for answer, sent in (("n", 0), ("y", 1)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "app", "replay", night.failed[0]],
            cwd=ROOT,
            env=night.cluster.environ(),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(theirs)
        try:
            os.write(ours, f"{answer}\n".encode())
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        assert "Run 1 jobs again, as new jobs named replay-" in said
        assert process.returncode == (0 if sent else 2)
        assert len(night.replays()) == sent


def test_kafka_goes_away_in_the_middle(night: Night) -> None:
    command = ["replay", "--state", "failed", "--name", "cut", "--yes", "--rate", "4/s", "--ids"]
    with Proxy(night.cluster.kafka) as network:
        process = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "app", *command],
            cwd=ROOT,
            env=night.cluster.environ(KAFKA=network.address, JOBS_WRITE_TIMEOUT="2s"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            network.cut()
            _, said = process.communicate(timeout=100)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 1, said
    assert re.fullmatch(
        r"error: .*\. [\w ]+ replayed; --name cut goes on, and replays none of them twice\n", said
    )
    assert 0 < night.replay("--state", "failed", "--name", "cut")[0] < 12
    assert Counter(map(len, night.replays().values())) == {1: 12}


@pytest.mark.slow
def test_kill_9_again_and_again(cluster: Cluster, tmp_path: Path) -> None:
    """However often a named replay is killed, each job is run again once."""
    night = Night(cluster, failures=2_000)
    command = ["replay", "--state", "failed", "--name", "mended", "--yes", "--rate", "1500/s"]
    kills = 0
    rng = random.Random(1)
    while True:
        seen = sum(map(len, night.replays().values()))
        process = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "app", *command],
            cwd=ROOT,
            env=cluster.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            while process.poll() is None and kills < 4:
                if sum(map(len, night.replays().values())) > seen:
                    time.sleep(rng.uniform(0, 0.05))
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
    assert kills >= 2
    found = night.replays()
    assert set(found) == set(night.failed)
    ids = [f"{r.partition}-{r.offset}" for records in found.values() for r in records]
    worker = cluster.worker()
    rows = cluster.all_final(ids, within_s=120)
    ran = [row for row in rows.values() if row.get("attempt") and "replay_of" in row]
    runs = Counter(row["replay_of"] for row in ran)
    assert runs == dict.fromkeys(night.failed, 1)
    others = [rows[id] for id in ids if rows[id]["status"] == "canceled"]
    assert all("the same Idempotency-Key as job" in row["error"] for row in others)
    print(f"{kills} kills, {len(others)} records that landed late and never ran")
    until(lambda: worker.get("/readyz").status == 200, 10, "the worker is well")
