"""What commands look like at a terminal: bars, colours, and how wide they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.terminal import COLOURS, at_terminal
from tests.harness import Cluster

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


@pytest.fixture
def failed(cluster: Cluster) -> Cluster:
    """With some jobs that have failed; their worker is gone."""
    worker = cluster.worker()
    asked = {"handler": "fail", "data": "x\u009b31m" * 20, "ttl": 0}
    cluster.all_final(cluster.produce([json.dumps(asked).encode()] * 8))
    assert worker.terminate() == 0
    return cluster


def test_long_scans_show_how_far_they_are(failed: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text('{"handler": "echo"}\n')
    for args, what in [
        (("jobs", "--count"), "reading"),
        (("jobs", "--state", "failed"), "reading"),
        (("state",), "reading"),
        (("rehearse",), "rehearsing"),
        (("replay", "--state", "failed", "--dry-run"), "looking for them"),
        (("reset", "--dry-run"), "counting"),
        (("verify", "--logs-only"), "verifying"),
        (("submit", str(file)), "submitting"),
    ]:
        seen = at_terminal(*args, cluster=failed, piped=True)
        assert seen.code == 0, seen
        assert what in seen.screen, args
        assert "100%" in seen.screen, args
        assert seen.stdout
        assert "\x1b" not in seen.stdout, "the answer is plain where it is piped"
        left = [line for line in seen.lines if what in line]
        assert not left, "the bar goes when it is done"
    quiet = at_terminal("-q", "jobs", cluster=failed, piped=True)
    assert (quiet.code, quiet.screen) == (0, "")


def test_colours_and_none(failed: Cluster) -> None:
    for args in [
        ("jobs",),
        ("inspect", "0-0"),
        ("tail", "--since", "1h", "--limit", "1"),
        ("state",),
    ]:
        assert COLOURS.search(at_terminal(*args, cluster=failed).screen), args
        assert not COLOURS.search(at_terminal(*args, cluster=failed, NO_COLOR="1").screen), args


def test_a_narrow_terminal(failed: Cluster) -> None:
    lines = at_terminal("jobs", cluster=failed, columns=40).lines
    assert max(map(len, lines)) <= 40
    assert any(line.startswith("0-0         failed") for line in lines)
    # Columns that would be two letters wide stand one below the other.
    lines = at_terminal("topics", cluster=failed, columns=40).lines
    assert f"TOPIC          {failed.jobs}" in lines
    assert "PARTITIONS     4" in lines
    lines = at_terminal("topics", cluster=failed, columns=120).lines
    assert any(line.split()[:3] == [failed.jobs, "4", "1"] for line in lines)
