"""What a changelog partition says, whoever wrote to it."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.model import MAX_OFFSET, JobId
from log.reader import Record
from tables.fold import (
    FENCE_HEADER,
    NOBODY,
    OWNER_KEY,
    SEQ_HEADER,
    Fence,
    Fences,
    Fold,
    Ownership,
    row_key,
    row_offset,
)
from tables.marks import SWEPT_KEY, Swept

P = 3
A1, B2, A3 = Fence(1, "aaaa"), Fence(2, "bbbb"), Fence(3, "aaaa")


def keys(*offsets: int) -> set[bytes]:
    return {row_key(JobId(P, offset)) for offset in offsets}


class Log:
    """A changelog partition that is written by hand."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def put(
        self,
        fence: Fence | None,
        key: bytes | None,
        value: bytes | None,
        *more: tuple[str, bytes | None],
    ) -> "Log":
        headers = [*more, *(fence.headers() if fence else ())]
        self.records.append(Record(len(self.records), 0, key, value, headers))
        return self

    def own(self, fence: Fence, released: bool = False) -> "Log":
        return self.put(fence, OWNER_KEY, msgspec.json.encode(Ownership("w", released)))

    def row(self, fence: Fence, offset: int, value: bytes | None) -> "Log":
        return self.put(fence, row_key(JobId(P, offset)), value)

    def numbered(self, fence: Fence, seq: int, key: bytes, value: bytes | None) -> "Log":
        """As workers write: with the record's number under its fence."""
        headers: list[tuple[str, bytes | None]] = [*fence.headers(), (SEQ_HEADER, b"%d" % seq)]
        self.records.append(Record(len(self.records), 0, key, value, headers))
        return self

    def swept(self, fence: Fence, next: int) -> "Log":
        return self.put(fence, SWEPT_KEY, msgspec.json.encode(Swept(next, next * 10)))

    def fold(self, into: Fold | None = None) -> Fold:
        fold = into or Fold(P)
        fold.apply_all(self.records)
        one_by_one = Fold(P)
        if into is None:
            for record in self.records:
                one_by_one.apply(record)
            assert one_by_one == fold
        return fold


def test_an_empty_changelog() -> None:
    fold = Log().fold()
    assert (fold.fence, fold.released, fold.rows, fold.stale) == (NOBODY, False, {}, set())
    assert fold.swept == Swept(0, 0)


def test_the_last_row_of_a_job_counts_and_null_removes_it() -> None:
    fold = Log().own(A1).row(A1, 5, b"1").row(A1, 6, b"2").row(A1, 5, b"3").row(A1, 6, None).fold()
    assert fold.rows == {5: b"3"}
    assert fold.stale == set()
    assert Log().own(A1).row(A1, 5, None).fold().rows == {}


def test_a_zombies_rows_are_void_and_marked() -> None:
    log = Log().own(A1).row(A1, 5, b"old").row(A1, 6, b"old").own(B2).row(B2, 5, b"new")
    fold = log.row(A1, 5, b"void").row(A1, 6, None).row(A1, 7, b"void").fold()
    assert fold.rows == {5: b"new", 6: b"old"}
    assert fold.stale == keys(5, 6, 7)
    assert fold.fence == B2


def test_a_row_that_is_written_again_is_stale_no_more() -> None:
    log = Log().own(A1).own(B2).row(A1, 5, b"void").row(A1, 6, b"void")
    fold = log.row(B2, 5, b"again").row(B2, 6, None).fold()
    assert fold.rows == {5: b"again"}
    assert fold.stale == set()


def test_of_two_with_the_same_number_the_greater_instance_is_the_owner() -> None:
    other = Fence(2, "aaaa")
    log = Log().own(A1).row(A1, 5, b"old").own(B2).own(other, released=True)
    fold = log.row(other, 5, b"void").row(B2, 6, b"new").swept(other, 9).fold()
    assert fold.fence == B2
    assert fold.rows == {5: b"old", 6: b"new"}
    assert fold.stale == {OWNER_KEY, SWEPT_KEY} | keys(5)
    assert not fold.released
    assert fold.swept == Swept()
    later = Fence(2, "cccc")
    assert log.own(later).row(B2, 6, b"void").row(later, 5, b"new").fold().rows[5] == b"new"


def test_a_row_shows_a_fence_whose_ownership_record_was_compacted_away() -> None:
    fold = Log().own(A1, released=True).row(B2, 5, b"new").row(A1, 6, b"void").fold()
    assert fold.fence == B2
    assert fold.rows == {5: b"new"}
    assert fold.stale == keys(6)
    assert not fold.released  # that mark was another owner's


def test_a_mark_shows_a_fence_too() -> None:
    fold = Log().own(A1).swept(B2, 4).row(A1, 6, b"void").fold()
    assert fold.fence == B2
    assert (fold.swept, fold.stale) == (Swept(4, 40), keys(6))


def test_numbers_are_compared_as_numbers() -> None:
    nine, ten = Fence(9, "aaaa"), Fence(10, "bbbb")
    assert Log().own(nine).own(ten).row(nine, 1, b"void").fold().fence == ten


def test_released_is_said_by_the_owner_and_ended_by_the_next() -> None:
    log = Log().own(A1)
    assert not log.fold().released
    assert log.own(A1, released=True).fold().released
    assert log.row(A1, 5, b"still ours").fold().released
    assert not log.own(B2).fold().released
    assert not log.own(A1, released=True).fold().released  # void by now
    assert log.own(B2, released=True).fold().released
    assert not log.own(Fence(3, "bbbb")).fold().released  # the same worker goes on


def test_what_was_swept() -> None:
    log = Log().own(A1).swept(A1, 5).swept(A1, 9)
    assert log.fold().swept == Swept(9, 90)
    assert log.own(B2).swept(A1, 20).fold().swept == Swept(9, 90)
    assert log.swept(B2, 12).fold().swept == Swept(12, 120)


KEYS = [OWNER_KEY, SWEPT_KEY, row_key(JobId(P, 5))]


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"2",
        b"2 ",
        b" bbbb",
        b"-2 bbbb",
        b"2.0 bbbb",
        b"x bbbb",
        b"2  bbbb",
        b"2 bb bb",
        b"2 bb-b",
        b"2 \xff",
        "٢ bbbb".encode(),
        b"9" * 20 + b" bbbb",
    ],
)
@pytest.mark.parametrize("key", KEYS)
def test_records_without_a_workers_header_change_nothing_and_are_answered(
    header: bytes | None, key: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    fold = Log().own(A1).row(A1, 5, b"1").swept(A1, 2).fold()
    fence = [] if header is None else [(FENCE_HEADER, header)]
    headers = [("other", b"2 bbbb"), ("null", None), *fence]
    Log().put(None, key, b'{"worker":"x","next":9,"released":true}', *headers).fold(fold)
    assert (fold.fence, fold.rows, fold.stale) == (A1, {5: b"1"}, {key})
    assert (fold.swept, fold.released) == (Swept(2, 20), False)
    assert "was not written by a worker; ignored" in caplog.text


def test_a_header_of_a_foreign_record_may_be_null() -> None:
    log = Log().own(A1).row(A1, 5, b"1").put(None, row_key(JobId(P, 5)), b"2", (FENCE_HEADER, None))
    assert log.fold().rows == {5: b"1"}


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        b"5",
        b"-5",
        b"3-",
        b"3--5",
        b"3-x",
        b"3-5-6",
        b"4-5",  # a job of another partition
        b"03-5",
        b"3-5 ",
        b"Owner",
        "3-٥".encode(),
        b"3-" + b"9" * 20,
        b"\xff",
    ],
)
def test_keys_that_are_nothing_of_ours_are_ignored(
    key: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    fold = Log().own(A1).put(B2, key, b"{}").fold()
    assert (fold.fence, fold.rows, fold.stale) == (A1, {}, set())
    assert "partition 3: record 1 of the changelog was not written by a worker" in caplog.text


DEEP = b'{"x":' + b"[" * 100_000


@pytest.mark.parametrize(
    "value",
    [None, b"", b"x", b"[]", b'{"worker":1,"next":"1"}', b'{"worker":"\xff","next":[]}', DEEP],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_that_cannot_be_read_leaves_what_was(value: bytes | None) -> None:
    log = Log().own(A1, released=True).swept(A1, 5).put(B2, OWNER_KEY, value)
    fold = log.put(B2, SWEPT_KEY, value).fold()
    assert (fold.fence, fold.released) == (B2, False)  # its fence is in the header
    assert fold.swept == Swept(5, 50)


def test_other_headers_do_not_matter() -> None:
    others = [("trace", b"9 zzzz"), ("Fence", b"9 zzzz")]
    fold = Log().put(A1, row_key(JobId(P, 5)), b"1", *others).fold()
    assert (fold.fence, fold.rows) == (A1, {5: b"1"})


def test_the_largest_place_and_the_largest_fence() -> None:
    fence = Fence(10**19 - 1, "aaaa")
    fold = Log().row(fence, MAX_OFFSET, b"1").fold()
    assert (fold.fence, fold.rows) == (fence, {MAX_OFFSET: b"1"})


# Any history

FENCES = [Fence(n, who) for n in (1, 2, 3) for who in ("aaaa", "bbbb")]
_OWNING = ("own", "release")
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(FENCES),
        st.sampled_from(["own", "release", "sweep", "row", "row", "row", "remove"]),
        st.integers(0, 3),
    ),
    max_size=25,
)


def written(actions: list[tuple[Fence, str, int]]) -> Log:
    log = Log()
    for i, (fence, action, n) in enumerate(actions):
        if action in ("own", "release"):
            log.own(fence, released=action == "release")
        elif action == "sweep":
            log.swept(fence, n + i)
        else:
            log.row(fence, n, None if action == "remove" else b"%d" % i)
    return log


@given(ACTIONS)
def test_the_fold_is_what_the_rules_say(actions: list[tuple[Fence, str, int]]) -> None:
    """The rules, said otherwise: a record is valid when its fence is the highest one up to and
    with itself."""
    valid = []
    for i, (fence, _, _) in enumerate(actions):
        fences = [f for f, _, _ in actions[: i + 1]]
        valid.append(fence == max(fences))
    last = max((i for i, good in enumerate(valid) if good), default=None)
    rows: dict[int, bytes] = {}
    kinds: dict[bytes, list[int]] = {OWNER_KEY: [], SWEPT_KEY: []}
    for i, (_, action, n) in enumerate(actions):
        key = {"own": OWNER_KEY, "release": OWNER_KEY, "sweep": SWEPT_KEY}.get(action)
        kinds.setdefault(key or row_key(JobId(P, n)), []).append(i)
    stale = {key for key, places in kinds.items() if places and not valid[places[-1]]}
    for n in range(4):
        of_job = [i for i, a in enumerate(actions) if a[1] in ("row", "remove") and a[2] == n]
        good = [i for i in of_job if valid[i]]
        if good and actions[good[-1]][1] == "row":
            rows[n] = b"%d" % good[-1]
    sweeps = [i for i, a in enumerate(actions) if a[1] == "sweep" and valid[i]]
    owner = NOBODY if last is None else actions[last][0]
    says = [a for i, a in enumerate(actions) if valid[i] and a[0] == owner and a[1] in _OWNING]

    fold = written(actions).fold()
    assert fold.fence == owner
    assert fold.rows == rows
    assert fold.stale == stale
    assert fold.swept.next == (actions[sweeps[-1]][2] + sweeps[-1] if sweeps else 0)
    assert fold.released is bool(says and says[-1][1] == "release")


def compacted(log: Log, chance: random.Random | None = None) -> Log:
    """Kafka may drop what has a later record of the same key, or not yet."""
    last_of = {record.key: record.offset for record in log.records}
    kept = Log()
    kept.records = [
        record
        for record in log.records
        if last_of[record.key] == record.offset or (chance and chance.random() < 0.3)
    ]
    return kept


def mended(log: Log, owner: Fence) -> None:
    """What an owner does: what stands is written again where the last record is void."""
    fold = log.fold()
    for key in sorted(fold.stale):
        if key == OWNER_KEY:
            log.own(owner)
        elif key == SWEPT_KEY:
            log.put(owner, key, msgspec.json.encode(fold.swept))
        else:
            log.put(owner, key, fold.rows.get(row_offset(key, P) or 0))


@given(ACTIONS, st.randoms(use_true_random=False))
def test_compaction_loses_nothing_once_what_is_stale_is_written_again(
    actions: list[tuple[Fence, str, int]], chance: random.Random
) -> None:
    log = written(actions)
    before = log.fold()
    owner = Fence(before.fence.number + 1, "cccc")
    log.own(owner)
    mended(log, owner)
    for fold in (log.fold(), compacted(log).fold(), compacted(log, chance).fold()):
        assert (fold.fence, fold.rows, fold.stale) == (owner, before.rows, set())
        assert (fold.swept, fold.released) == (before.swept, False)


@pytest.mark.parametrize("other", ["aaaa", "cccc"])
def test_compaction_may_stop_between_a_void_ownership_record_and_its_answer(other: str) -> None:
    """Two took the same number; one of them died before it could take the next. Compaction
    leaves its record alone in front of what the owner has written since."""
    one, two = sorted((B2, Fence(2, other)))
    log = Log().own(A1).row(A1, 5, b"old").own(two).own(one)
    assert log.fold().stale == {OWNER_KEY}
    boundary = len(log.records)
    mended(log.row(two, 5, b"new"), two)
    head, tail = Log(), log.records[boundary:]
    head.records = log.records[:boundary]
    log.records = compacted(head).records + tail
    assert [r.key for r in log.records[:2]] == [row_key(JobId(P, 5)), OWNER_KEY]
    assert log.fold().rows == {5: b"new"}
    assert log.fold().fence == two


KEY5, KEY6 = b"3-5", b"3-6"
LET_GO = msgspec.json.encode(Ownership("w", True))
TAKEN = msgspec.json.encode(Ownership("w", False))


def test_a_copy_that_comes_late_is_void_and_marked() -> None:
    log = Log().numbered(A1, 0, OWNER_KEY, TAKEN).numbered(A1, 1, KEY5, b"waiting")
    log.numbered(A1, 2, KEY5, b"done").numbered(A1, 1, KEY5, b"waiting")
    fold = log.fold()
    assert (fold.rows, fold.stale) == ({5: b"done"}, {KEY5})
    again = log.numbered(A1, 3, KEY5, b"done").fold()
    assert (again.rows, again.stale) == ({5: b"done"}, set())


def test_a_copy_right_behind_is_void_too_since_compaction_would_keep_its_number() -> None:
    log = Log().numbered(A1, 0, OWNER_KEY, TAKEN).numbered(A1, 7, KEY5, b"waiting")
    fold = log.numbered(A1, 7, KEY5, b"waiting").fold()
    assert (fold.rows, fold.stale, fold.places) == ({5: b"waiting"}, {KEY5}, {})


def test_late_copies_of_marks_removals_and_ownership_change_nothing() -> None:
    swept = [msgspec.json.encode(Swept(n, n)) for n in (4, 9)]
    log = Log().numbered(A1, 0, OWNER_KEY, TAKEN).numbered(A1, 1, SWEPT_KEY, swept[0])
    log.numbered(A1, 2, KEY5, None).numbered(A1, 3, KEY5, b"a topic that was made again")
    log.numbered(A1, 4, SWEPT_KEY, swept[1]).numbered(A1, 5, OWNER_KEY, LET_GO)
    stands = log.fold()
    log.numbered(A1, 1, SWEPT_KEY, swept[0]).numbered(A1, 2, KEY5, None)
    fold = log.numbered(A1, 0, OWNER_KEY, TAKEN).fold()
    assert (fold.rows, fold.swept, fold.released) == (stands.rows, Swept(9, 9), True)
    assert fold.stale == {OWNER_KEY, SWEPT_KEY, KEY5}


def test_numbers_begin_anew_with_a_fence() -> None:
    log = Log().numbered(A1, 0, OWNER_KEY, TAKEN).numbered(A1, 50, KEY5, b"1")
    fold = log.numbered(B2, 0, OWNER_KEY, TAKEN).numbered(B2, 1, KEY5, b"2").fold()
    assert (fold.rows, fold.stale, fold.seq) == ({5: b"2"}, set(), 1)


def test_records_without_a_number_count_as_before() -> None:
    log = Log().own(A1).row(A1, 5, b"1").numbered(A1, 1, KEY5, b"2").row(A1, 5, b"3")
    fold = log.numbered(A1, 2, KEY6, b"4").fold()
    assert (fold.rows, fold.stale) == ({5: b"3", 6: b"4"}, set())


@given(st.data(), st.integers(1, 12))
def test_copies_anywhere_behind_leave_what_the_log_said_without_them(
    data: st.DataObject, count: int
) -> None:
    log = Log()
    fences = [A1, B2, A3]
    fence, seq = 0, 0
    for n in range(count):
        if fence < 2 and data.draw(st.booleans(), label="a new owner"):
            fence, seq = fence + 1, 0
        log.numbered(fences[fence], seq, data.draw(st.sampled_from([KEY5, KEY6])), b"%d" % n)
        seq += 1
    whole = log.fold()
    mixed = Log()
    late: list[Record] = []
    for record in log.records:
        mixed.records.append(record)
        late.append(record)
        for copy in data.draw(st.lists(st.sampled_from(late), max_size=2), label="copies"):
            mixed.records.append(copy)
    # Places are those of a log: what is written twice has two.
    mixed.records = [each._replace(offset=n) for n, each in enumerate(mixed.records)]
    fold, fences_alone = mixed.fold(), Fences()
    assert fold.rows == whole.rows
    counted = [each for each in mixed.records if fences_alone.counts(each)]
    assert [each.value for each in counted] == [each.value for each in log.records]
    last = {each.key: each for each in mixed.records}
    assert fold.stale == {key for key, each in last.items() if each not in counted}
