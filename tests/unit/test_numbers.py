"""Commands of the harness that are asked for what makes no sense: one line, and nothing begins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.harness import ROOT

PYTHON = [sys.executable, "-m"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("tests.faults --seeds 0", "--seeds: must be at least 1"),
        ("tests.faults --start -1", "--start: '-1' isn't a whole number, 0 or more"),
        ("tests.faults.soak --jobs many", "--jobs: 'many' isn't a whole number, 0 or more"),
        ("tests.faults.soak --every nan", "--every: must be more than 0"),
        ("tests.kafka", "which command?"),
        ("tests.kafka --", "which command?"),
    ],
)
def test_a_command_says_what_is_wrong(command: str, says: str) -> None:
    ran = subprocess.run([*PYTHON, *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MINUTES", "abc", "MINUTES: 'abc' isn't a number"),
        ("MINUTES", "0", "MINUTES: must be more than 0"),
        ("SEED", "1.5", "SEED: '1.5' isn't a whole number, 0 or more"),
    ],
)
def test_fuzzing_says_what_is_wrong(name: str, value: str, says: str) -> None:
    ran = subprocess.run(
        [*PYTHON, "pytest", "tests/faults/test_fuzz_http.py"],
        cwd=ROOT,
        env=os.environ | {f"JOBS_FUZZ_{name}": value},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 4
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
