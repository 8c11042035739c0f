"""``faust -A app tail``: transitions as they happen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.commands.running import faust, here, refused
from tests.harness import ROOT, Cluster, until

pytestmark = pytest.mark.processes


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_each_transition_is_told_once_it_happens(cluster: Cluster, tmp_path: Path) -> None:
    worker = cluster.worker()
    before = worker.submit(handler="echo")
    cluster.all_final([before])
    began = now()
    out, errors = tmp_path / "out", tmp_path / "errors"
    with out.open("w") as to, errors.open("w") as err:
        tail = subprocess.Popen(
            [sys.executable, "-m", "faust", "-A", "app", "tail", "--json", "--since", began],
            cwd=ROOT,
            env=cluster.environ(),
            stdout=to,
            stderr=err,
        )

    def told(id: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in out.read_text().splitlines(True) if line[-1] == "\n"]
        return [line for line in lines if line["id"] == id]

    try:
        for _ in range(3):  # also after it has caught up
            id = worker.submit(handler="fail", data=1)
            until(lambda id=id: told(id) and told(id)[-1]["status"] == "done", 60, "it is told")  # type: ignore[misc]
            history = worker.get(f"/job/{id}/history").json["transitions"]
            names = ("at", "status", "attempt", "worker", "error")
            assert [{n: each[n] for n in names} for each in told(id)] == [
                {n: each[n] for n in names} for each in history
            ]
        assert told(before) == []
        tail.send_signal(signal.SIGINT)
        assert tail.wait(20) == 130
        assert errors.read_text() == ""
    finally:
        tail.kill()
        tail.wait()


def test_only_what_is_asked_for(cluster: Cluster) -> None:
    worker = cluster.worker()
    began = now()
    failed = [worker.submit(handler="fail", data=9, ttl=0) for _ in range(2)]
    done = worker.submit(handler="echo")
    cluster.all_final([*failed, done])

    def told(limit: int, *args: str) -> list[tuple[str, str]]:
        asked = ["tail", "--json", "--since", began, "--limit", str(limit), *args]
        ended = here(*asked, cluster=cluster)
        assert (ended.returncode, ended.stderr) == (0, "")
        return [(e["id"], e["status"]) for e in map(json.loads, ended.stdout.splitlines())]

    assert sorted(told(2, "--state", "failed")) == sorted((id, "failed") for id in failed)
    assert told(2, done) == [(done, each) for each in ("executing", "done")]
    assert told(1, "--error", "SHALL FAIL", failed[1]) == [(failed[1], "failed")]
    assert told(1, "--handler", "echo,mail", "--state", "done") == [(done, "done")]
    table = here("tail", "--since", began, "--limit", "1", done, cluster=cluster).stdout
    head, line = table.splitlines()
    assert head.split() == ["AT", "ID", "STATUS", "ATTEMPT", "HANDLER", "WORKER", "ERROR"]
    assert line.split()[1:5] == [done, "executing", "1/3", "echo"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["9-1"], "9-1: there is no partition 9"),
        (["--state", "lost"], "--state lost: there are waiting, executing"),
        (["--since", "2999-01-01"], "--since: '2999-01-01' is in the future"),
        (["--limit", "-1"], "--limit -1: must be at least 1"),
    ],
)
def test_bad_input(cluster: Cluster, args: list[str], told: str) -> None:
    faust("topics", "--create", cluster=cluster)
    assert told in refused("tail", *args, cluster=cluster)
