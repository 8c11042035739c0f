"""Any history of workers that are killed, paused and lied to keeps every promise."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Histories

EXAMPLES = int(os.environ.get("JOBS_MODEL_EXAMPLES", "2000"))


@pytest.mark.slow
@pytest.mark.timeout(0)  # as long as asked for; a minute unless set
def test_any_history() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
