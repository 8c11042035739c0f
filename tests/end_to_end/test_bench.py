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
    for peer, (problem, runs) in told.items():
        assert problem == ""
        (run,) = runs
        # The bound is given more, so that there is something to count.
        assert (run["jobs"], run["left"]) == (300 if peer == "ours" else 1_200, 0)
        assert run["rate"] > 0
        assert run["memory"] > 10


def only_run(figures: Figures, workload: str) -> dict[str, float]:
    (row,) = figures.tables[workload]
    assert row.problem == ""
    (run,) = row.runs
    return run


def test_a_killed_workers_jobs_are_counted_by_what_its_handlers_noted(
    kafka: str, tmp_path: Path
) -> None:
    asked = ("killed", "--jobs", "80", "--peers", "ours")
    run = only_run(bench(kafka, tmp_path / "figures.json", *asked), "killed")
    assert (run["jobs"], run["lost"]) == (80, 0)
    assert run["again_s"] > 0


def test_a_steady_rate_is_timed_from_outside(kafka: str, tmp_path: Path) -> None:
    asked = ("latency", "--rates", "20", "--seconds", "2", "--peers", "ours")
    run = only_run(bench(kafka, tmp_path / "figures.json", *asked), "latency")
    assert run["rate"] > 0
    assert 0 < run["start_50"] <= run["start_99"]
    assert run["start_50"] <= run["final_50"] <= run["final_99"]
