"""Rows of a partition that are decoded when somebody asks."""

from jobs.codec import encode_row
from jobs.model import Job, Status
from tables.rows import Rows

DONE = Job(status=Status.DONE, submitted_at=1, handler="echo", finished_at=2)
WAITING = Job(status=Status.WAITING, submitted_at=1)


def filled() -> Rows:
    rows = Rows()
    rows.fill([(9, encode_row(DONE)), (10, WAITING), (2, encode_row(DONE))])
    return rows


def test_bytes_are_rows_to_everybody() -> None:
    rows = filled()
    assert list(rows) == [2, 9, 10]
    assert list(rows.irange(3)) == [9, 10]
    assert dict(rows) == {2: DONE, 9: DONE, 10: WAITING}
    assert rows.get(3) is rows.look(3) is None
    assert [rows.status(n) for n in rows] == [Status.DONE, Status.DONE, Status.WAITING]


def test_a_row_that_was_asked_for_is_the_same_one_each_time() -> None:
    """The guard of writes tells rows apart by identity."""
    rows = filled()
    assert rows.look(9) == DONE
    assert rows[9] is rows[9] is rows.get(9) is rows.look(9)
    assert rows.status(9) is Status.DONE


def test_looking_keeps_nothing_decoded() -> None:
    rows = filled()
    assert rows.look(9) is not rows.look(9)


def test_unfinished_rows_are_found_without_decoding_the_others() -> None:
    rows = filled()
    rows[3] = DONE
    rows[4] = WAITING
    assert rows.unfinished() == [(4, WAITING), (10, WAITING)]
    assert rows.look(9) is not rows.look(9), "still bytes"


def test_rows_can_be_put_and_removed() -> None:
    rows = filled()
    rows[9] = WAITING
    del rows[2]
    assert rows.pop(3, None) is None
    assert len(rows) == 2
    assert 2 not in rows
    assert rows.status(9) is Status.WAITING
