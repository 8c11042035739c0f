"""``faust -A app handlers``, as one runs it; there is no broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.harness import ROOT, free_port

pytestmark = pytest.mark.processes


def faust(*args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JOBS_")}
    return subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", *args],
        cwd=ROOT,
        env={**clean, "KAFKA": f"127.0.0.1:{free_port()}", **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_table() -> None:
    ended = faust("handlers", JOBS_HANDLERS="tests.apps.kinds")
    assert (ended.returncode, ended.stderr) == (0, "")
    head, *lines = ended.stdout.splitlines()
    assert head.split() == ["NAME", "KIND", "TIMEOUT", "RERUNS", "LIMITS", "MODULE", "DOC"]
    starts = [head.index(name) for name in head.split()]
    assert all(line[start - 1] == " " != line[start] for line in lines for start in starts[1:])
    rows = {line.split()[0]: line for line in lines}
    assert list(rows) == sorted(rows)
    cells = [rows["http"][a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert cells == [
        "http",
        "async",
        "30s",
        "-",
        "-",
        "handlers.http",
        "Calls a URL with the job's data: jobs in any language.",
    ]
    assert rows["picky"].split()[1:6] == ["async", "-", "5", "-", "tests.apps.kinds"]
    assert rows["process"].split()[1] == "process"
    assert rows["thread"].split()[1] == "thread"
    assert "max_running=2" in rows["narrow"]
    assert "rate=10/s" in rows["paced"]
    assert "max_size=20" in rows["small"]


@pytest.mark.parametrize("args", [("handlers", "--json"), ("--json", "handlers")])
def test_json(args: tuple[str, ...]) -> None:
    ended = faust(*args, JOBS_HANDLERS="tests.apps.kinds")
    assert ended.returncode == 0
    rows = {row["name"]: row for row in json.loads(ended.stdout)}
    assert rows["paced"] == {
        "name": "paced",
        "kind": "async",
        "timeout": None,
        "reruns": None,
        "rehearse": False,
        "limits": {"rate": "10/s"},
        "module": "tests.apps.kinds",
        "doc": "At most ten begin in a second.",
    }


def test_help_names_it() -> None:
    assert "List the job functions with their options." in faust("--help").stdout


def test_a_module_that_does_not_import_is_told() -> None:
    ended = faust("handlers", JOBS_HANDLERS="tests.apps.nowhere")
    assert ended.returncode == 2
    assert "module 'tests.apps.nowhere' can't be imported" in ended.stderr
