"""`make bench`, small: its workers are real, and so is what it counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.figures import Figures
from tests.harness import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.timeout(300)]


def bench(kafka: str, out: Path, *arguments: str) -> Figures:
    """Run it on this broker; its figures."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks", *arguments),
            *("--broker", "kafka", "--kafka", kafka, "--runs", "1", "--json", str(out)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return Figures.read(out)


def test_a_drain_counts_every_job(kafka: str, tmp_path: Path) -> None:
    asked = ("drain", "--jobs", "300", "--peers", "ours", "bare")
    figures = bench(kafka, tmp_path / "figures.json", *asked)
    told = {row.peer: (row.problem, row.runs) for row in figures.tables["drain"]}
    assert set(told) == {"ours", "bare aiokafka"}
    for problem, runs in told.values():
        assert problem == ""
        (run,) = runs
        assert (run["jobs"], run["left"]) == (300, 0)
        assert run["rate"] > 0
        assert run["memory"] > 10
