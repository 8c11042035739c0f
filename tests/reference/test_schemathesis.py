"""Every call that ``/openapi.json`` describes, made rightly and wrongly on running workers.

Schemathesis makes them of the document alone, so that what it says and what a worker does are held
against each other. ``make fuzz`` does it for longer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fuzz import SECONDS, SEED
from tests.harness import ROOT, Cluster, WorkerProcess, until

ENDLESS = "/job/events"  # it has tests of its own

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(0)]


def schemathesis(
    worker: WorkerProcess, folder: Path, document: dict[str, Any], *options: str
) -> subprocess.CompletedProcess[str]:
    """Run it in a folder of its own, where it may leave what it likes."""
    given = folder / "openapi.json"
    given.write_text(json.dumps(document))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(given)),
        *("--url", worker.url, "--seed", str(SEED), "--checks", "all", "--no-color"),
        *("--request-timeout", "30", "--exclude-path", ENDLESS, *options),
    ]
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("JOBS_")},
        "SCHEMATHESIS_HOOKS": "tests.reference.hooks",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def test_workers_do_what_the_document_says(cluster: Cluster, tmp_path: Path) -> None:
    """With two workers, so that half of the requests about jobs are forwarded."""
    workers = [cluster.worker(), cluster.worker()]
    until(
        lambda: all(len(w.get("/readyz").json.get("partitions", [])) == 2 for w in workers),
        60,
        "both own partitions",
    )
    bounds = ["--max-examples", "20"]
    if "JOBS_FUZZ_MINUTES" in os.environ:
        bounds = ["--max-examples", "200", "--max-time", str(max(1, int(SECONDS)))]
    document = workers[0].get("/openapi.json").json
    ran = schemathesis(workers[0], tmp_path, document, *bounds)
    assert ran.returncode == 0, f"JOBS_FUZZ_SEED={SEED}\n{ran.stdout}\n{ran.stderr}"
    calls = sum(len(methods) for path, methods in document["paths"].items() if path != ENDLESS)
    assert f"Tested: {calls}" in ran.stdout, ran.stdout
    for worker in workers:
        assert "Traceback" not in worker.text(), worker.tail()


def test_what_is_wrong_in_a_document_is_noticed(cluster: Cluster, tmp_path: Path) -> None:
    worker = cluster.worker()
    document = worker.get("/openapi.json").json
    document["components"]["schemas"]["JobList"]["properties"]["missing"] = {"type": "string"}
    listing = document["paths"]["/job/all"]["get"]
    limit = next(each for each in listing["parameters"] if each["name"] == "limit")
    limit["schema"]["maximum"] = 5_000
    listing["responses"]["200"]["headers"] = {
        "X-Total": {"required": True, "schema": {"type": "string"}}
    }
    del document["paths"]["/job/{id}/status"]["get"]["responses"]["404"]
    only = ("--include-path", "/job/all", "--include-path", "/job/{id}/status")
    ran = schemathesis(
        worker, tmp_path, document, *only, "--phases", "coverage", "--continue-on-failure"
    )
    assert ran.returncode == 1, ran.stdout
    for told in (
        "Response violates schema",
        "Schema-valid request rejected",
        "Missing required response headers",
        "Undocumented status code",
    ):
        assert told in ran.stdout, ran.stdout
