"""What must hold, said without the product's code: of the changelog, and of what is shown."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from log.reader import Record

Row = dict[str, Any]
_FINAL = ("done", "failed", "canceled")
_NEXT = {
    (None, "waiting"),
    (None, "executing"),  # a slot was free
    (None, "failed"),
    (None, "canceled"),
    ("waiting", "executing"),
    ("waiting", "canceled"),
    ("waiting", "failed"),
    ("executing", "done"),
    ("executing", "waiting"),
    ("executing", "failed"),
    ("executing", "canceled"),
}


def final(row: Row | None) -> bool:
    """Whether a row never changes again."""
    return row is not None and row["status"] in _FINAL


class Rules:
    """The changelog as its rules say it is, from all records that ever were in it."""

    def __init__(self) -> None:
        self.fence: tuple[int, str] = (0, "")
        self.seq = -1  # the number of the last record that counted, under its fence
        self.released = False  # whether its owner has let go
        self.numbered: dict[int, Record] = {}  # records that counted under that fence
        self.copies: dict[int, int] = {}  # places of void copies, and where the record stands
        self.rows: dict[int, Row] = {}
        self.ever: defaultdict[int, list[Row]] = defaultdict(list)  # all that counted, by job
        # Place and value of each row that counted, by job; a row names the place of the last one.
        self.stood: defaultdict[int, dict[int, bytes | None]] = defaultdict(dict)
        self.swept: set[int] = set()
        self.mark: Row | None = None
        self.unanswered: set[bytes] = set()  # keys whose last record is void
        self.void: list[tuple[int, bytes]] = []  # places of void records that aren't answered
        self.failures: defaultdict[int, int] = defaultdict(int)  # attempts that have failed
        self.deaths = 0  # of owners, or what looks like it

    def take(self, batch: Sequence[Record]) -> None:
        """Records that are appended together. Kafka keeps or loses them together, so only the
        last row of each job in them is looked at as a transition."""
        before = dict(self.rows)
        for record in batch:
            self._take(record)
        for offset in before.keys() | self.rows.keys():
            self._transition(offset, before.get(offset), self.rows.get(offset))

    def _names_the_one_before(self, offset: int, record: Record, prev: bytes | None) -> None:
        """If it says so at all, it is right: nothing else stands between the two, but what the
        producer wrote twice."""
        stood = self.stood[offset]
        if record.value is None:  # a removal, of a void row perhaps, is no row that one may name
            return
        if prev is not None:
            named = int(prev or -1)
            place = self.copies.get(named, named)
            same = {record.value, stood[place] if prev else record.value}
            behind = {value for at, value in stood.items() if at > place}
            assert behind <= same, (record, place, stood)
        stood[record.offset] = record.value

    def _take(self, record: Record) -> None:
        headers = dict(record.headers)
        header = headers["fence"]
        assert header is not None
        number, _, instance = header.decode().partition(" ")
        fence = (int(number), instance)
        assert record.key is not None
        number_under = headers.get("seq")
        seq = None if number_under is None else int(number_under)
        if fence < self.fence or (fence == self.fence and seq is not None and seq <= self.seq):
            if fence == self.fence:
                self._copied(record, seq)
            self.unanswered.add(record.key)
            self.void.append((record.offset, record.key))
            return
        if fence != self.fence:
            self.fence, self.seq, self.released = fence, -1, False
            self.numbered.clear()
        if seq is not None:
            self.seq = seq
            self.numbered[seq] = record
        self.unanswered.discard(record.key)
        self.void = [v for v in self.void if v[1] != record.key]
        if record.key == b"swept":
            self.mark = json.loads(record.value or b"")
        elif record.key == b"owner":
            self.released = json.loads(record.value or b"").get("released", False)
        else:
            offset = int(record.key.split(b"-")[1])
            self._names_the_one_before(offset, record, headers.get("prev"))
            if record.value is None:
                self.rows.pop(offset, None)
            else:
                row = self.rows[offset] = json.loads(record.value)
                self.ever[offset].append(row)

    def _copied(self, record: Record, seq: int | None) -> None:
        """No two records of a writer have one number, and what it has written since counts."""
        first = self.numbered.get(-1 if seq is None else seq)
        if first is not None:  # else it was told as failed, and what came behind it was not
            assert (first.key, first.value) == (record.key, record.value), (first, record)
            self.copies[record.offset] = first.offset

    def _transition(self, offset: int, old: Row | None, new: Row | None) -> None:
        if old == new:
            return
        told = f"job {offset}: {old} -> {new}"
        if new is None:
            assert final(old), f"only final rows are removed: {told}"
            self.swept.add(offset)
            return
        assert offset not in self.swept, f"a swept job is back: {told}"
        assert not final(old), f"a final state has changed: {told}"
        was = old["status"] if old else None
        assert (was, new["status"]) in _NEXT, f"no such transition: {told}"
        assert new.get("attempt", 0) <= new.get("max_attempts", 3), f"too many attempts: {told}"
        if new["status"] == "failed":
            self._failed(offset, new, told)
        assert new.get("crashes", 0) < 3 or new["status"] == "failed", f"no poison: {told}"

    def _failed(self, offset: int, new: Row, told: str) -> None:
        error = new.get("error", "")
        if error.startswith("poison"):
            assert self.deaths >= 3, f"poison after {self.deaths} deaths: {told}"
        elif "model failure" in error:
            failures = self.failures[offset]
            assert failures >= new["max_attempts"], f"failed after {failures} failures: {told}"
