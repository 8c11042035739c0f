"""I6: what workers serve at rest, a fresh one too, is the fold of the changelog."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.case import Case
from tests.faults.checker.model import Call, Violation, place
from tests.faults.checker.reads import Read, reads
from tests.faults.checker.shown import differences, shown


def rebuilt(case: Case) -> Iterator[Violation]:
    """Each answer at rest is the last row; compaction would keep the same table."""
    for (partition, key), record in case.folded.void_last.items():
        text = (
            f"the last record of key {key!r} in partition {partition} is void (offset "
            f"{record.offset}): compaction would keep it, and not the one that counts"
        )
        yield Violation("I6", key.decode() if b"-" in key else "", text)
    for read in reads(case.history.served):
        yield from _same(case, read)
    for call in case.history.served:
        if call.is_status and call.status != 200 and not _may_be_gone(case, call):
            yield Violation("I6", call.job or "", f"at rest it isn't served: {call}")
        if call.is_list and call.status != 200:
            yield Violation("I6", "", f"at rest the list isn't served: {call}")
        elif call.is_list and call.answer["missing"]:
            yield Violation("I6", "", f"at rest partitions are missing: {call.answer['missing']}")
        elif call.is_list and call.forwarded:
            yield from _own_part(case, call)


def _same(case: Case, read: Read) -> Iterator[Violation]:
    last = case.log(read.job).last
    if last is None and read.job in case.records:
        return  # no worker has read it: rule I1's
    if last is None or last.doc is None:
        wrong = ["it has no row"]
    else:
        wrong = differences(shown(last.doc), read.answer)
    if wrong:
        text = f"{'; '.join(wrong)} (last row: {last}); line {read.call.line}"
        yield Violation("I6", read.job, f"served by {read.call.worker} at rest: {text}")


def _may_be_gone(case: Case, call: Call) -> bool:
    last = case.log(call.job or "").last
    return call.status == 404 and (last is None or last.status == "gone")


def _own_part(case: Case, call: Call) -> Iterator[Violation]:
    """A worker's own part has each job of its partitions, as far as the page goes."""
    there = {entry["id"] for entry in call.answer["jobs"]}
    after = place(call.query["cursor"]) if "cursor" in call.query else (-1, -1)
    up_to = place(call.answer["next"]) if call.answer["next"] else None
    for job, rows in case.folded.jobs.items():
        where = place(job)
        inside = where > after and (up_to is None or where <= up_to)
        held = where[0] in call.answer["partitions"] and rows.last and rows.last.doc is not None
        if inside and held and job not in there:
            text = f"{call.worker} lacks it in its own part of the list, line {call.line}"
            yield Violation("I6", job, f"{text}; the log: {rows.last}")
