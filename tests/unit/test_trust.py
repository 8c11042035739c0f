"""When the copy of a partition counts, and when only the changelog does."""

from dataclasses import dataclass, field

import msgspec
import pytest

from log.reader import Record, Slice
from tables.fold import OWNER_KEY, Fence
from tables.trust import FORMAT, Kept, decode, doubt, encode

FENCE = Fence(4, "abcd")
NOW, MAX_AGE = 1_800_000_000_000, 43_200_000
KEPT = Kept(
    next=50,
    fence=FENCE,
    released=False,
    owned_at=7,
    owned_time=99,
    rows=3,
    at=NOW - 1_000,
    seq=40,
)
OWNER = Record(7, 99, OWNER_KEY, b"{}", FENCE.headers())


@dataclass
class Case:
    kept: Kept = KEPT
    records: list[Record] = field(default_factory=lambda: [OWNER])
    end: int = 60

    def doubt(self) -> str | None:
        return doubt(self.kept, Slice(self.records, 8, self.end), NOW, MAX_AGE)


def at(ms: int) -> Kept:
    return msgspec.structs.replace(KEPT, at=ms)


@pytest.mark.parametrize(
    "case",
    [
        Case(),
        Case(end=50),  # nothing new
        Case(at(NOW - MAX_AGE + 1)),
        Case(at(NOW + 59_000)),  # written by a clock that was a little fast
    ],
)
def test_it_counts(case: Case) -> None:
    assert case.doubt() is None


@pytest.mark.parametrize("case", [Case(at(NOW - MAX_AGE)), Case(at(NOW + 61_000)), Case(at(0))])
def test_what_is_older_than_tombstones_or_of_no_time_doesnt_count(case: Case) -> None:
    assert case.doubt() == "it is too old"


@pytest.mark.parametrize(
    "case",
    [
        Case(records=[]),
        Case(records=[OWNER._replace(offset=8)]),  # the first one that is there
        Case(records=[OWNER._replace(timestamp=98)]),
        Case(records=[OWNER._replace(key=b"3-7")]),
        Case(records=[OWNER._replace(headers=Fence(4, "other").headers())]),
        Case(records=[OWNER._replace(headers=Fence(5, "abcd").headers())]),
        Case(records=[OWNER._replace(headers=())]),
    ],
)
def test_without_its_ownership_record_it_may_be_another_log(case: Case) -> None:
    assert "another one" in str(case.doubt())


def test_a_log_that_ends_before_the_place_has_lost_what_we_know() -> None:
    assert Case(end=49).doubt() == "the changelog has lost its end"


def test_what_is_known_is_read_as_it_was_written() -> None:
    assert decode(encode(KEPT)) == KEPT
    later = msgspec.structs.replace(KEPT, format=FORMAT + 1)
    for other in (b"", None, b"{", b"{}", b"\xff", encode(later)):
        assert decode(other) is None
