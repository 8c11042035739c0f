"""Failed and canceled jobs again, their records, and the dead letters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import FINAL, Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


def ended(worker: WorkerProcess, id: str) -> Any:
    return until(
        lambda: worker.status(id) if worker.status(id)["status"] in FINAL else None, 30, "final"
    )


def test_failed_and_canceled_jobs_are_run_again_as_new_ones(cluster: Cluster) -> None:
    workers = [cluster.worker(), cluster.worker()]
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )
    sent = b' {"handler": "fail", "data": 1, "ttl": 0,\n "mine": [1.50]}'
    for p in range(4):  # of both workers, asked of one
        (old,) = cluster.produce([sent], partition=p)
        assert ended(workers[0], old)["status"] == "failed"
        answer = workers[0].post(f"/job/{old}/retry")
        assert answer.status == 202, answer.body
        new = answer.json["id"]
        assert answer.json == {"id": new, "status": "waiting", "replay_of": old}
        assert answer.headers["location"] == f"/job/{new}/status"
        job = ended(workers[1], new)
        assert (job["status"], job["replay_of"]) == ("failed", old)
        record = workers[1].get(f"/job/{new}/record").json
        assert record["headers"] == {"replay-of": old}
        assert record["value"] == {"handler": "fail", "data": 1, "ttl": 0, "mine": [1.5]}
        assert workers[0].status(old)["status"] == "failed"
        listed = {job["id"]: job for job in workers[0].get("/job/all").json["jobs"]}
        assert listed[new]["replay_of"] == old
        assert "replay_of" not in listed[old]
    (stopped,) = cluster.produce([b'{"handler": "echo", "delay": "600s"}'])
    assert workers[0].post(f"/job/{stopped}/cancel").json["status"] == "canceled"
    again = workers[0].post(f"/job/{stopped}/retry").json["id"]
    assert workers[0].status(again)["status"] == "waiting"


def test_what_can_not_be_run_again(cluster: Cluster) -> None:
    worker = cluster.worker()
    done = worker.submit(handler="echo")
    assert ended(worker, done)["status"] == "done"
    late = worker.submit(handler="echo", delay="600s")
    for id, state in ((done, "done"), (late, "waiting")):
        answer = worker.post(f"/job/{id}/retry")
        assert (answer.status, answer.json["id"]) == (409, id)
        assert state in answer.json["detail"]
    bad = cluster.produce([b"no JSON", b'{"handler": "nobody"}', b"", None])
    cluster.all_final(bad)
    for id in bad:
        answer = worker.post(f"/job/{id}/retry")
        assert (answer.status, answer.json["id"]) == (422, id)
    assert worker.post("/job/0-999/retry").status == 404
    assert worker.post("/job/9-0/retry").status == 404
    assert worker.post("/job/x/retry").status == 400
    assert len(cluster.records(cluster.jobs)) == 6


def test_a_double_click_makes_two_jobs_unless_it_has_a_key(cluster: Cluster) -> None:
    worker = cluster.worker()
    old, other = (worker.submit(handler="fail", data=9, ttl=0) for _ in range(2))
    cluster.all_final([old, other])
    until(lambda: worker.status(other)["status"] == "failed", 10, "shown")
    clicks = [worker.post(f"/job/{old}/retry").json["id"] for _ in range(2)]
    assert len(set(clicks)) == 2
    key = {"Idempotency-Key": "k"}
    first = worker.post(f"/job/{old}/retry", headers=key)
    again = worker.post(f"/job/{old}/retry", headers=key)
    assert again.json["id"] == first.json["id"]
    assert again.json["replay_of"] == old
    assert again.headers["idempotency-replayed"] == "true"
    # Keys are each job's own, and POST /job has its own.
    more = worker.post(f"/job/{other}/retry", headers=key).json["id"]
    fresh = worker.post("/job", {"handler": "echo"}, headers=key)
    assert fresh.status == 202
    assert len({first.json["id"], more, fresh.json["id"], *clicks}) == 5
    worker.kill()
    two = cluster.worker()
    assert two.post(f"/job/{old}/retry", headers=key).json["id"] == first.json["id"]


def test_a_job_whose_row_is_gone_is_run_again_from_its_dead_letter(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_KEEP="1s")
    old = worker.submit(handler="fail", data=9, ttl=0)
    fine = worker.submit(handler="echo")
    for id in (old, fine):
        until(lambda id=id: worker.get(f"/job/{id}/status").status == 404, 30, "gone")  # type: ignore[misc]
    answer = worker.post(f"/job/{old}/retry")
    assert answer.status == 202, answer.body
    assert worker.post(f"/job/{fine}/retry").status == 404, "nothing says that it has failed"
    new = answer.json["id"]
    until(lambda: new in cluster.history(), 30, "it is admitted")
    assert cluster.history()[new][0]["replay_of"] == old


def test_records_are_shown_as_they_stand(cluster: Cluster) -> None:
    worker = cluster.worker()
    text = '{"data": 12345678901234567890.10, "handler": "echo"}'
    (one,) = cluster.produce([text.encode()], key=b"k\xff", headers={"a": b"b", "c": b"\xff"})
    answer = worker.get(f"/job/{one}/record")
    assert '"value":' + text in answer.body.decode(), "a number has lost digits"
    body = answer.json
    partition, offset = map(int, one.split("-"))
    assert body["timestamp"] == worker.status(one)["submitted_at"]
    assert {k: body[k] for k in ("id", "topic", "partition", "offset", "key", "headers")} == {
        "id": one,
        "topic": cluster.jobs,
        "partition": partition,
        "offset": offset,
        "key": "k\ufffd",
        "headers": {"a": "b", "c": "\ufffd"},
    }
    assert "text" not in body
    for value, shown in ((b"no \xff JSON", "no \ufffd JSON"), (b'"\xff"', '"\ufffd"'), (b"", "")):
        (id,) = cluster.produce([value])
        body = worker.get(f"/job/{id}/record").json
        assert (body["value"], body["text"]) == (None, shown)
    (id,) = cluster.produce([None], key=b"")
    body = worker.get(f"/job/{id}/record").json
    assert body["value"] is None
    assert "text" not in body
    assert worker.get("/job/0-999/record").status == 404
    assert worker.get("/job/x/record").status == 400


def test_dead_letters_are_listed_the_newest_first_page_by_page(cluster: Cluster) -> None:
    worker = cluster.worker()
    ids = []
    for n in range(30):
        ids += cluster.produce(
            [b'{"handler": "fail", "data": 9, "ttl": %d}' % (n % 2)], partition=n % 3
        )
        cluster.all_final(ids)
    cluster.produce([b"foreign"], topic=f"{cluster.jobs}-dead", partition=3, key=b"whatever")
    got: list[Any] = []
    cursor = ""
    for turn in range(20):
        page = worker.get(f"/job/dead?limit=7{cursor}").json
        got += page["letters"]
        if page["next"] is None:
            break
        assert len(page["letters"]) == 7
        cursor = f"&cursor={page['next']}"
        if turn == 1:  # newer ones don't come into older pages of a partition that was shown
            cluster.all_final(cluster.produce([b"{"], partition=0))
    foreign, *letters = got
    assert foreign["id"] is foreign["source"] is foreign["attempts"] is None
    assert [letter["id"] for letter in letters] == ids[::-1]
    for letter in letters:
        partition, offset = map(int, letter["id"].split("-"))
        assert letter["source"] == {
            "topic": cluster.jobs,
            "partition": partition,
            "offset": offset,
        }
        assert letter["handler"] == "fail"
        assert letter["attempts"] == worker.status(letter["id"])["max_attempts"]
        assert letter["reason"] == worker.status(letter["id"])["error"]
    assert worker.get("/job/dead?limit=0").json["field"] == "limit"
    assert worker.get("/job/dead?cursor=x").json["field"] == "cursor"
