"""Records that nobody would write, into every topic, while good jobs go on."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.faults.fuzz import SECONDS, SEED, Fuzz, is_no_object
from tests.harness import FINAL, Cluster, Seen, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(0)]
ROUND = 60  # records beside one good job
# Many slots and short attempts: what happens to be a good job, of a handler that sleeps, is not
# to hold up the others.
SETTINGS: dict[str, Any] = {
    "JOBS_WORKERS": "150",
    "JOBS_RERUN_WORKERS": "150",
    "JOBS_TIMEOUT": "250ms",
}


def listed(worker: WorkerProcess) -> dict[str, dict[str, Any]]:
    """All jobs, by ``GET /job/all``."""
    found: dict[str, dict[str, Any]] = {}
    cursor = ""
    while True:
        answer = worker.get(f"/job/all?limit=1000{cursor}", timeout_s=60)
        assert answer.status == 200, answer.body
        assert answer.json["missing"] == []
        found.update((job["id"], job) for job in answer.json["jobs"])
        if answer.json["next"] is None:
            return found
        cursor = f"&cursor={answer.json['next']}"


def all_final(worker: WorkerProcess, count: int) -> dict[str, dict[str, Any]]:
    """The jobs once there are so many and all are final."""

    def look() -> dict[str, dict[str, Any]] | None:
        jobs = listed(worker)
        done = len(jobs) == count and all(job["status"] in FINAL for job in jobs.values())
        return jobs if done else None

    return dict(until(look, 60, f"{count} jobs are listed and final"))


def well(worker: WorkerProcess) -> None:
    """It is up and ready, and nothing in its log asks to be reported."""
    assert worker.process.poll() is None, worker.tail()
    assert worker.get("/readyz").status == 200
    log = worker.text()
    for word in ("Traceback", "please report"):
        at = log.lower().find(word.lower())
        assert at < 0, log[max(0, at - 1_000) : at + 3_000]


def test_nonsense_on_every_topic(cluster: Cluster) -> None:
    """Good jobs are done, bad ones failed with a reason and put aside, and the worker stays."""
    print(f"JOBS_FUZZ_SEED={SEED}")
    cluster.worker(**SETTINGS).terminate()
    worker = cluster.worker(**SETTINGS)  # under the second fence: there are lower ones to forge
    fuzz = Fuzz(SEED)
    producer = Producer({"bootstrap.servers": cluster.kafka, "linger.ms": 1})
    good: list[str] = []
    named: set[str] = set()  # whom the cancels name
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        named |= spoil(cluster, producer, fuzz)
        id = worker.submit(handler="echo", data=len(good))
        until(lambda id=id: worker.status(id)["status"] in FINAL, 30, f"{id} is final")  # type: ignore[misc]
        good.append(id)
    records = {f"{r.partition}-{r.offset}": r for r in cluster.records(cluster.jobs)}
    shown = all_final(worker, len(records))
    assert shown.keys() == records.keys()
    judge(cluster, worker, records, good, named)
    well(worker)

    assert worker.terminate() == 0
    following = cluster.worker(**SETTINGS)
    again = listed(following)
    assert again == shown, "the next owner finds what this one showed"
    well(following)


def spoil(cluster: Cluster, producer: Producer, fuzz: Fuzz) -> set[str]:
    """Write some records; the ids that cancels among them name."""
    jobs, cancel = cluster.jobs, f"{cluster.jobs}-cancel"
    topics = [jobs, jobs, f"{jobs}-retry", cancel, f"{jobs}-dead", cluster.changelog]
    named: set[str] = set()
    for _ in range(ROUND):
        topic, p = fuzz.chance.choice(topics), fuzz.chance.randrange(cluster.partitions)
        key, value, headers = fuzz.record(cluster.partitions)
        producer.produce(topic, value, key, p, headers=headers)
        if topic == cancel:
            named |= {id.decode() for id in re.findall(rb'"(\d+-\d+)"', value or b"")}
    assert producer.flush(30) == 0, "the broker has not taken all records"
    return named


def judge(
    cluster: Cluster,
    worker: WorkerProcess,
    records: dict[str, Seen],
    good: list[str],
    named: set[str],
) -> None:
    """Hold every job against its record."""
    letters: dict[str, list[Seen]] = {}
    for letter in cluster.records(f"{cluster.jobs}-dead"):
        if letter.headers.get("reason"):
            letters.setdefault((letter.key or b"").decode(errors="replace"), []).append(letter)
    jobs = listed(worker)
    bad = {id for id, record in records.items() if is_no_object(record.value)}
    assert bad
    assert not bad & set(good)
    for id in good:
        status = jobs[id]["status"]
        assert status == "done" or (status == "canceled" and id in named), (id, jobs[id])
    for id in bad:
        status = jobs[id]["status"]
        if id in named or "schedule" in records[id].headers:  # then it may pass for a second run
            assert status in ("failed", "canceled"), jobs[id]
        else:
            assert status == "failed", jobs[id]
    for id, job in jobs.items():
        if job["status"] == "failed":
            assert worker.status(id)["error"], id
            assert any(letter.value == records[id].value for letter in letters.get(id, ())), id
