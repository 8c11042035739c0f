"""``faust -A app inspect``: the same as workers tell, and with none of them running."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.commands.running import faust, refused
from tests.harness import Cluster, until

pytestmark = pytest.mark.processes


def inspected(cluster: Cluster, id: str, *args: str) -> dict[str, Any]:
    ended = faust("inspect", id, "--json", *args, cluster=cluster)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return dict(json.loads(ended.stdout))


def test_what_workers_tell_is_told_with_none_of_them(cluster: Cluster) -> None:
    worker = cluster.worker()
    done = worker.submit(handler="echo", data={"n": 2**60})
    failed = worker.submit(handler="fail", data=9, ttl=1)
    [unreadable] = cluster.produce([b"no json \xff"], key=b"k", headers={"h": b"\xfe"}, partition=1)
    cluster.all_final([done, failed, unreadable])
    asked = {}
    for id in (done, failed, unreadable):
        asked[id] = [
            worker.get(f"/job/{id}/{what}").json for what in ("status", "history", "record")
        ]
    letters = {each["id"]: each for each in worker.get("/job/dead").json["letters"]}
    before = inspected(cluster, done)
    assert worker.terminate() == 0

    for id, (status, history, record) in asked.items():
        found = inspected(cluster, id)
        assert {**found["row"], "progress": None} == status
        assert found["transitions"] == history["transitions"]
        assert found["record"] == record
        assert (found["complete"], found["unread"]) == (True, False)
        assert found["dead_letter"] == letters.get(id)
        assert found["owner"]["released"] is True
    assert before["owner"] == {
        **found_owner(asked[done][1]),
        "worker": asked[done][0]["worker"],
        "since": before["owner"]["since"],
        "released": False,
    }
    page = faust("inspect", failed, cluster=cluster).stdout
    assert page.startswith(f"job {failed}  failed\n")
    assert "attempt 2 of 9 that shall fail" in page
    p, offset = failed.split("-")
    assert f"kcat -C -b {cluster.kafka} -t {cluster.jobs} -p {p} -o {offset} -c 1\n" in page
    assert "nobody: " in page
    assert f"dead letter  {cluster.jobs}-dead, partition {p}, offset " in page


def found_owner(history: dict[str, Any]) -> dict[str, Any]:
    return {"fence": history["transitions"][-1]["fence"]}


def test_a_job_as_it_was(cluster: Cluster) -> None:
    worker = cluster.worker()
    id = worker.submit(handler="fail", data=1)
    cluster.all_final([id])
    now = inspected(cluster, id)
    for n, transition in enumerate(now["transitions"]):
        if n + 1 < len(now["transitions"]) and now["transitions"][n + 1]["at"] == transition["at"]:
            continue  # two in one millisecond
        found = inspected(cluster, id, "--at", transition["at"])
        assert found["at"] == transition["at"]
        assert found["row"]["status"] == transition["status"]
        assert found["row"]["attempt"] == transition["attempt"]
        assert found["transitions"] == now["transitions"][: n + 1]
    told = refused("inspect", id, "--at", "2020-01-01", cluster=cluster)
    assert told == f"job {id} wasn't there yet at that time: it was submitted later"


def test_a_job_that_nobody_has_read(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster)
    [id] = cluster.produce([b'{"handler": "echo", "data": 1, "ttl": 0}'], partition=2)
    found = inspected(cluster, id)
    assert (found["unread"], found["row"]["status"], found["row"]["handler"]) == (
        True,
        "waiting",
        "echo",
    )
    assert (found["row"]["max_attempts"], found["owner"], found["transitions"]) == (1, None, [])
    page = faust("inspect", id, cluster=cluster).stdout
    assert "no worker has read it yet" in page
    assert "no worker has taken the partition over yet" in page


def test_a_job_whose_row_is_removed(cluster: Cluster) -> None:
    worker = cluster.worker(JOBS_KEEP="1s")
    [id, *others] = cluster.produce([b'{"handler": "echo"}'] * 3, partition=0)
    cluster.all_final([id, *others])
    until(lambda: worker.get(f"/job/{id}/status").status == 404, 30, "it is swept")
    # Its rows stand in the changelog until they are compacted away.
    assert inspected(cluster, id)["row"]["status"] == "done"


def test_text_of_jobs_is_shown_as_it_is_and_commands_nothing(cluster: Cluster) -> None:
    faust("topics", "--create", cluster=cluster)
    value = json.dumps({"data": "[bold]x[/bold] \x1b[2J " + "y" * 5_000}).encode()
    [id] = cluster.produce([value, b"\x1b]0;title\x07"], partition=0)[:1]
    page = faust("inspect", id, cluster=cluster, FORCE_COLOR="1").stdout
    assert "[bold]x[/bold]" in page
    assert "characters; see --full)" in page
    assert "y" * 5_000 in faust("inspect", id, "--full", cluster=cluster).stdout
    raw = faust("inspect", "0-1", cluster=cluster).stdout
    assert "\x1b" not in raw
    assert "\x07" not in raw


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["3"], "'3' is no job id: an id is {partition}-{offset}, for example 3-1042"),
        (["9-1"], "job 9-1 doesn't exist: topic {jobs} has 4 partitions, counted from 0"),
        (["3-7"], "job 3-7 doesn't exist: {jobs}, partition 3 ends at 0"),
        (["3-0", "--at", "soon"], "--at: 'soon' is no time: give one such as"),
        (["3-0", "--at", "2999-01-01"], "--at: '2999-01-01' is in the future: it is 20"),
    ],
)
def test_bad_input(cluster: Cluster, args: list[str], told: str) -> None:
    faust("topics", "--create", cluster=cluster)
    assert told.replace("{jobs}", cluster.jobs) in refused("inspect", *args, cluster=cluster)


def test_topics_that_are_not_there(cluster: Cluster) -> None:
    told = refused("inspect", "3-1", cluster=cluster)
    assert f"there is no topic {cluster.jobs}, {cluster.jobs}-retry," in told
    assert "topics --create" in told
    assert "no Kafka answers at 127.0.0.1:" in refused("inspect", "3-1")
