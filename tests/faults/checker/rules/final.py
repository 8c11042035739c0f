"""I2: a final state never changes, in the log and in any reader's eyes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.case import Case
from tests.faults.checker.model import FINAL, Violation


def final(case: Case) -> Iterator[Violation]:
    """Nothing follows a final row but its removal; what readers saw as final is that row."""
    for job, rows in case.folded.jobs.items():
        for before, row in rows.transitions:
            if before is not None and before.final and row.status != "gone":
                yield Violation("I2", job, f"after the final {before} comes {row}")
            elif before is not None and before.status == "gone":
                yield Violation("I2", job, f"it was removed as final, and is back: {row}")
    for read in case.reads:
        if read.call.is_cancel:
            continue  # rule I3's
        log = case.log(read.job)
        if read.answer.get("status") not in FINAL or log.positions(read.answer):
            continue
        if case.void_row(read) is None:  # else it is rule I5's
            text = f"shown as final, but not so in the log (last: {log.last})"
            yield Violation("I2", read.job, f"{text}: {read.call}")
    for call in case.history.calls:
        if call.is_cancel and call.status == 409 and call.job is not None:
            states = {row.status for row in case.log(call.job).rows}
            if not states & {"done", "failed"}:
                text = f"told to be done or failed, which the log never says ({sorted(states)})"
                yield Violation("I2", call.job, f"{text}: {call}")
