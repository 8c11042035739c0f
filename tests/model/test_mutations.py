"""The model finds what it is there for: each of these faults, put into the product's code.

Most are found by histories at random, within a few hundred. Those that take thousands are tried
with the history that was kept for them.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from agents.jobs import Intake
from agents.keys import Keys, _Unread
from jobs import state
from tables.fold import Fold
from tables.jobs import JobTable
from tables.partition import Partition
from tables.takeover import Takeover
from tests.model import test_copies, test_histories
from tests.model.machine import Histories
from tests.model.world import World


class Fault(NamedTuple):
    """A line of the product's code, and what stands there instead."""

    owner: Any
    name: str
    line: str
    instead: str


FAULTS = {
    "fences are ignored": Fault(Fold, "apply", "if fence < self.fence:", "if False:"),
    "copies count": Fault(
        Fold, "apply", "elif seq is not None and seq <= self.seq:", "elif False:"
    ),
    "void rows are not answered": Fault(Takeover, "_rewrite", "if entries:", "if False:"),
    "rows are seen before they are durable": Fault(
        Partition,
        "sent",
        "self._heads[offset] = job",
        "self._heads[offset] = self.rows[offset] = job",
    ),
    "rows are shown though somebody else has written": Fault(
        Partition, "durable", "if self._held_back is not None:", "if False:"
    ),
    "writes are not guarded": Fault(
        JobTable, "_put", "if part.head(offset) is not before:", "if False:"
    ),
    "an interrupted attempt is counted": Fault(
        state, "_interrupt", "attempt=job.attempt - 1,", "attempt=job.attempt,"
    ),
    "each of two jobs with one key is admitted": Fault(
        Intake, "_change", "if first != record.offset:", "if False:"
    ),
    "records that intake has not come to have no keys": Fault(
        _Unread, "read_on", "while not await self._step(part):", "while False:"
    ),
    "what got into the log before a key's record is not looked at": Fault(
        Keys, "submit", "if not unread.append(job_id.offset, labels):", "if False:"
    ),
    "a swept job is admitted again": Fault(
        Partition, "was_swept", "return offset < self.swept.next", "return False"
    ),
}


def mutated(fault: Fault) -> Callable[..., Any]:
    """The function with the fault in it."""
    function = getattr(fault.owner, fault.name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(fault.line) == 1, f"{fault.name} has no such line now: {fault.line}"
    code = compile(
        "from __future__ import annotations\n" + source.replace(fault.line, fault.instead),
        inspect.getfile(function),
        "exec",
    )
    names: dict[str, Any] = {}
    exec(code, function.__globals__, names)  # noqa: S102 # the product's own source
    made: Callable[..., Any] = names[fault.name]
    return made


RARE: dict[str, Callable[[World], None]] = {
    "writes are not guarded": (
        test_histories.test_of_a_cancel_and_an_intake_at_one_moment_one_counts
    ),
    "what got into the log before a key's record is not looked at": (
        test_histories.test_what_got_into_the_log_before_a_keys_record_has_the_key
    ),
}


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in RARE])
def test_a_fault_is_found(name: str) -> None:
    with fault(name), pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=10_000,
                stateful_step_count=30,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )


@pytest.mark.parametrize("name", RARE)
def test_a_rare_fault_is_found_by_its_history(name: str, world: World) -> None:
    with fault(name), pytest.raises(AssertionError) as found:
        RARE[name](world)
    assert "proves nothing" not in str(found.value)


COPIES = [
    test_copies.test_a_copy_that_lands_behind_what_was_written_since_is_void_for_the_next_owner,
    test_copies.test_its_writer_notices_a_copy_and_writes_again_what_stands,
    test_copies.test_an_owner_that_has_let_go_has_not_died_though_its_first_record_lands_late,
    test_copies.test_a_mark_that_lands_late_takes_nothing_back,
]


@pytest.mark.parametrize("history", COPIES)
def test_copies_that_count_are_found_by_each_of_their_histories(
    history: Callable[[World], None], world: World
) -> None:
    """The search finds one of them; each kind of record has its own."""
    with fault("copies count"), pytest.raises(AssertionError) as found:
        history(world)
    assert "proves nothing" not in str(found.value)


@contextmanager
def fault(name: str) -> Iterator[None]:
    """The product with one of the faults."""
    found = FAULTS[name]
    with mock.patch.object(found.owner, found.name, mutated(found)):
        yield
