"""``faust -A app verify``: clean while all goes on, and a list of what is wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.commands.running import faust, here, refused
from tests.harness import Cluster, WorkerProcess, http, until

pytestmark = pytest.mark.processes


def verified(cluster: Cluster, *args: str, code: int = 0) -> dict[str, Any]:
    ended = here("verify", "--json", *args, cluster=cluster)
    assert ended.returncode == code, ended
    return dict(json.loads(ended.stdout))


def wrong(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["kind"], each["id"]) for each in found["problems"]]


def write_row(cluster: Cluster, id: str, row: dict[str, Any] | None) -> None:
    """As the last owner of the job's partition would write it."""
    p = int(id.split("-")[0])
    last = [record for record in cluster.records(cluster.changelog) if record.partition == p][-1]
    value = None if row is None else json.dumps(row).encode()
    cluster.produce(
        [value],
        topic=cluster.changelog,
        key=id.encode(),
        partition=p,
        headers={"fence": last.headers["fence"]},
    )


def test_nothing_is_wrong_while_jobs_come_and_go(cluster: Cluster) -> None:
    one, other = cluster.worker(), cluster.worker()
    stop = threading.Event()

    def submit() -> None:
        while not stop.wait(0.1):  # a pace that the workers keep
            cluster.produce([b'{"handler": "echo"}', b'{"handler": "fail", "data": 1}'] * 20)

    busy = threading.Thread(target=submit)
    busy.start()
    try:
        for worker in (one, other):
            found = verified(cluster, "--url", worker.url)
            assert (found["ok"], found["problems"]) == (True, [])
    finally:
        stop.set()
        busy.join()
    ids = [f"{record.partition}-{record.offset}" for record in cluster.records(cluster.jobs)]
    cluster.all_final(ids)

    def all_shown() -> bool:
        return bool(verified(cluster, "--url", one.url)["workers"]["jobs"] == len(ids))

    until(all_shown, 60, "workers show all")
    found = verified(cluster, "--url", one.url)
    assert found["jobs"] == found["by_status"]["done"] == len(ids)
    told = here("verify", "--url", one.url, cluster=cluster)
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing is missing, stuck or different" in told.stdout


def test_with_no_worker_only_the_logs_are_compared_and_that_is_said(cluster: Cluster) -> None:
    worker = cluster.worker()
    cluster.all_final([worker.submit(handler="echo") for _ in range(6)])
    assert worker.terminate() == 0
    ended = faust("verify", cluster=cluster, JOBS_PORT=str(worker.port))
    assert ended.returncode == 0
    assert ended.stderr.startswith(f"only the logs are compared: no worker answers at {worker.url}")
    assert ended.stdout.startswith("6 jobs have rows, 0 wait to be read; the logs alone: nothing")
    unread = cluster.produce([b"{}"] * 3, partition=1)
    found = verified(cluster, "--logs-only")
    assert (found["ok"], found["jobs"], found["unread"], found["workers"]) == (True, 6, 3, None)
    late = verified(cluster, "--logs-only", "--patience", "1ms", code=1)
    assert wrong(late) == [("stuck", unread[0])]
    assert "it and 2 behind it wait to be read since 20" in late["problems"][0]["detail"]


def test_what_is_missing_or_of_another_record_is_listed(cluster: Cluster) -> None:
    worker = cluster.worker()
    ids = cluster.produce([b'{"handler": "echo"}'] * 12)
    rows = cluster.all_final(ids)
    assert worker.terminate() == 0
    lost, other, beyond = ids[0], ids[1], f"{ids[2].split('-')[0]}-99"
    write_row(cluster, lost, None)
    write_row(cluster, other, {**rows[other], "submitted_at": 1})
    write_row(cluster, beyond, rows[ids[2]])
    found = verified(cluster, "--logs-only", code=1)
    assert sorted(wrong(found)) == sorted(
        [("missing", lost), ("other record", other), ("other record", beyond)]
    )
    details = {each["id"]: each["detail"] for each in found["problems"]}
    assert "intake is past its place, and it has no row" in details[lost]
    assert "its row is of a record of 1970-01-01T00:00:00.001Z" in details[other]
    assert "1 rows from here on have no records, the topic ends at 3" in details[beyond]
    told = here("verify", "--logs-only", cluster=cluster)
    assert told.returncode == 1
    *lines, last = told.stdout.splitlines()
    assert {line.split("  ")[0].strip() for line in lines} == {"missing", "other record"}
    assert last.endswith(": 2 other record, 1 missing")


def test_what_is_swept_is_not_missing(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_KEEP="1s")
    ids = [worker.submit(handler="echo") for _ in range(8)]
    cluster.all_final(ids)
    until(lambda: not worker.get("/job/all").json["jobs"], 30, "all are swept")
    found = verified(cluster, "--url", worker.url)
    assert (found["ok"], found["jobs"]) == (True, 0)


def test_a_job_that_outlives_its_timeout_is_stuck(cluster: Cluster) -> None:
    worker = cluster.worker()
    id = worker.submit(handler="sleep", data=600, timeout="1s", ttl=0)
    until(lambda: worker.status(id)["status"] == "executing", 20, "it runs")
    worker.kill()
    assert verified(cluster, "--logs-only")["ok"]

    def stuck() -> bool:
        ended = here("verify", "--logs-only", "--patience", "1s", "--json", cluster=cluster)
        return ended.returncode == 1 and wrong(json.loads(ended.stdout)) == [("stuck", id)]

    until(stuck, 30, "it is stuck")


@contextmanager
def lying(worker: WorkerProcess, lies: dict[str, dict[str, Any] | None]) -> Iterator[str]:
    """A worker that shows some jobs as something else, or not at all."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = http("GET", worker.url + self.path)
            document, status = answer.json, answer.status
            if "jobs" in document and self.path.startswith("/job/all"):
                document["jobs"] = [
                    {**job, **(lies.get(job["id"]) or {})}
                    for job in document["jobs"]
                    if lies.get(job["id"], {}) is not None
                ]
            elif document.get("id") in lies:
                lie = lies[document["id"]]
                document, status = ({**document, **lie}, 200) if lie else ({"detail": "no"}, 404)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_what_workers_show_otherwise_is_listed(cluster: Cluster) -> None:
    worker = cluster.worker()
    ids = [worker.submit(handler="echo") for _ in range(8)]
    cluster.all_final(ids)
    until(lambda: len(worker.get("/job/all").json["jobs"]) == 8, 20, "all are shown")
    lies: dict[str, dict[str, Any] | None] = {ids[1]: {"status": "failed"}, ids[5]: None}
    with lying(worker, lies) as url:
        found = verified(cluster, "--url", url, code=1)
    assert sorted(wrong(found)) == sorted([("different", ids[1]), ("different", ids[5])])
    details = {each["id"]: each["detail"] for each in found["problems"]}
    assert details[ids[1]] == "status: failed there, done in the log"
    assert details[ids[5]] == "done in the log, and no worker shows it"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--patience", "long"], "--patience: 'long' is no duration"),
        (["--logs-only", "--url", "http://x"], "--logs-only asks no worker, and --url names one"),
        (["--url", "http://127.0.0.1:1"], "no worker answers at http://127.0.0.1:1"),
    ],
)
def test_bad_input(cluster: Cluster, args: list[str], told: str) -> None:
    here("topics", "--create", cluster=cluster)
    assert told in refused("verify", *args, cluster=cluster)


def test_a_worker_of_another_app(cluster: Cluster) -> None:
    worker = cluster.worker()
    other = Cluster(cluster.kafka, cluster.folder)
    here("topics", "--create", cluster=other)
    told = refused("verify", "--url", worker.url, cluster=other)
    assert told == f"the worker at {worker.url} is of another app ({cluster.jobs})"
