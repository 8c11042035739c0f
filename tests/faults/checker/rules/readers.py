"""I7: for one reader, a job never goes back.

Each answer is found among the job's rows in the log, and the rows that one reader was shown must
come in their order: so executing → waiting is right only where the log has a rerun or an
interruption, and nothing follows a final state. A job that was accepted is never unknown.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from tests.faults.checker.case import Case
from tests.faults.checker.model import FINAL, Violation
from tests.faults.checker.reads import Read


def readers(case: Case) -> Iterator[Violation]:
    """Reader by reader, job by job, in real time."""
    yield from _unknown(case)
    seen: dict[tuple[str, str], list[Read]] = {}
    for read in case.reads:
        seen.setdefault((read.call.client, read.job), []).append(read)
    for (_, job), some in seen.items():
        if job in case.records:
            yield from _in_order(case, job, some)
        else:
            yield Violation("I7", job, f"told of a job that is not in the log: {some[0].call}")


def stale(case: Case) -> int:
    """Reads that were behind what some other reader had been shown before: no fault."""
    by_job: dict[str, list[Read]] = {}
    for read in case.reads:
        by_job.setdefault(read.job, []).append(read)
    return sum(1 for job, some in by_job.items() for _ in _in_order(case, job, some))


def _unknown(case: Case) -> Iterator[Violation]:
    for call in case.history.calls:
        job = call.job
        if job is None or call.status != 404 or job not in case.accepted:
            continue
        told = case.accepted[job][0]
        if told.end <= call.begin and not case.log(job).gone:
            yield Violation("I7", job, f"unknown, though it was accepted before: {call}; {told}")


def _in_order(case: Case, job: str, some: list[Read]) -> Iterator[Violation]:
    """The rows that reads show, lowest first: none lies before one that had been shown when
    the read began. Reads at the same time may come in any order."""
    log = case.log(job)
    floor, latest = 0, some[0]
    open_reads: list[tuple[float, int, int, Read]] = []
    for n, read in enumerate(sorted(some, key=lambda read: read.call.begin)):
        while open_reads and open_reads[0][0] <= read.call.begin:
            _, _, position, told = heapq.heappop(open_reads)
            if position > floor:
                floor, latest = position, told
        possible = log.positions(read.answer)
        if not possible:
            # A final state is rule I2's, a void row I5's.
            if read.answer.get("status") not in FINAL and case.void_row(read) is None:
                yield Violation("I7", job, f"no row of the log looks so: {_told(read)}")
            continue
        ahead = [position for position in possible if position >= floor]
        if not ahead:
            text = f"it went back, after {_told(latest)}, to {_told(read)}"
            yield Violation("I7", job, f"{text}; row {floor} of the log had been shown")
            continue
        heapq.heappush(open_reads, (read.call.end, n, ahead[0], read))


def _told(read: Read) -> str:
    return f"{read.call}" + (f" [{read.answer}]" if read.call.is_list else "")
