"""Which records of a changelog are transitions."""

from __future__ import annotations

import pytest

from inspection.transitions import Teller
from jobs.codec import encode_row
from jobs.model import MAX_OFFSET, Job, Status
from log.reader import Record
from tables.fold import AGAIN_HEADER, OWNER_KEY, SEQ_HEADER, Fence
from tests.web_unit.fakes import row
from web.cursor import MAX_PARTITIONS, decode, encode, line
from web.places import format_places
from web.problems import BadRequest
from web.server import MAX_LINE

OLD, NEW = Fence(1, "a"), Fence(2, "b")
WAITING, DONE = row(Status.WAITING), row(Status.DONE)


def record(
    place: int, fence: Fence | None, key: bytes, job: Job | bytes | None, again: bool = False
) -> Record:
    value = encode_row(job) if isinstance(job, Job) else job
    headers: list[tuple[str, bytes | None]] = [*(fence.headers() if fence else ())]
    return Record(place, 1_000 + place, key, value, headers + [(AGAIN_HEADER, b"")] * again)


def told(*records: Record) -> list[tuple[int, Status]]:
    return [(t.place, t.job.status) for t in Teller(0).tell(records)]


def test_rows_are_transitions_and_nothing_else_is() -> None:
    assert told(
        record(0, OLD, OWNER_KEY, b'{"worker": "x"}'),
        record(1, OLD, b"0-0", WAITING),
        record(2, OLD, b"swept", b'{"next": 1}'),
        record(3, OLD, b"fired-x", b"{}"),
        record(4, OLD, b"0-0", DONE),
        record(5, OLD, b"0-0", None),
        record(6, OLD, b"1-0", WAITING),
        record(7, None, b"0-1", WAITING),
        record(8, OLD, b"0-1", b"no row"),
    ) == [(1, Status.WAITING), (4, Status.DONE)]


def test_what_a_former_owner_writes_is_void() -> None:
    assert told(
        record(0, OLD, b"0-0", WAITING),
        record(1, NEW, OWNER_KEY, b"{}"),
        record(2, OLD, b"0-0", DONE),
        record(3, NEW, b"0-0", WAITING, again=True),
        record(4, NEW, b"0-0", DONE),
    ) == [(0, Status.WAITING), (4, Status.DONE)]


def test_what_the_producer_wrote_twice_is_told_once() -> None:
    assert told(
        record(0, OLD, b"0-0", WAITING),
        record(1, OLD, b"0-1", WAITING),
        record(2, OLD, b"0-0", WAITING),
        record(3, OLD, b"0-0", DONE),
        record(4, OLD, b"0-0", DONE),
    ) == [(0, Status.WAITING), (1, Status.WAITING), (3, Status.DONE)]


def test_a_copy_that_comes_late_is_told_by_nobody() -> None:
    """The producer sent a batch again, and the first copy came behind what was written since."""

    def numbered(place: int, seq: int, job: Job) -> Record:
        made = record(place, OLD, b"0-0", job)
        return made._replace(headers=[*made.headers, (SEQ_HEADER, b"%d" % seq)])

    log = [numbered(0, 1, WAITING), numbered(1, 2, DONE), numbered(2, 1, WAITING)]
    assert told(*log) == [(0, Status.WAITING), (1, Status.DONE)]


def test_a_place_of_a_topic_that_was_made_again_may_have_the_same_row() -> None:
    assert told(
        record(0, OLD, b"0-0", DONE), record(1, OLD, b"0-0", None), record(2, OLD, b"0-0", DONE)
    ) == [(0, Status.DONE), (2, Status.DONE)]


def test_a_cursor_has_a_place_for_each_partition() -> None:
    assert decode(encode([5, 0, 70]), 3) == [5, 0, 70]
    assert decode("5.0", 4) == [5, 0, 0, 0], "two have been added since"
    assert line(encode([5, 0])) == b"id: 5.0\n"
    for text in ("", ".", "5.", "-1", "1.2.3.4", "x", "٣", "1" * 20, str(2**63)):
        with pytest.raises(BadRequest):
            decode(text, 3)


def test_of_very_many_partitions_there_is_none() -> None:
    most = [MAX_OFFSET] * MAX_PARTITIONS
    assert decode(encode(most), MAX_PARTITIONS) == most
    assert line(encode([*most, 0])) == b""
    with pytest.raises(BadRequest, match="events have no ids"):
        decode("5", MAX_PARTITIONS + 1)


def test_a_place_in_each_partition_fits_into_a_line_of_a_head() -> None:
    """Of an event, and of a list with the newest first."""
    room = MAX_LINE - 500  # for the path and the rest of the query
    assert len(encode([MAX_OFFSET] * MAX_PARTITIONS)) < room
    assert len(format_places(dict.fromkeys(range(MAX_PARTITIONS), MAX_OFFSET))) < room
