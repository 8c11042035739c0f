"""Submitting under an idempotency key: the same key and request give the same job.

A key's partition is told by the key, and the partition's owner decides. What it knows of rows
it looks up; records that intake has not come to may hold the key, too (of another worker, a
former owner, a Kafka client), so these are read, each once, before anything is written. So
nobody waits for intake, however many jobs are in front of it.

After the write, what got in between is read as well: whoever wrote first has the key, and both
say so. Then even a worker that doesn't know yet that it is no longer the owner gives the
answer that the owner gives. Intake does the rest: of two records with one key, it admits the
first (``agents.jobs``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

from agents.submit import Submitter
from jobs.labels import Labels
from jobs.model import JobId
from log.reader import LogReader, Record
from tables.partition import Partition

LIMIT_S = 10.0  # for all of it, waiting for others with the same key included


class KeyTaken(Exception):
    """The key stands for another request; the job is that one's."""

    def __init__(self, job_id: JobId) -> None:
        super().__init__(f"job {job_id}")
        self.job_id = job_id


class Submitted(NamedTuple):
    """``replayed``: the job was there before."""

    job_id: JobId
    replayed: bool


class Keys:
    """Submits jobs under idempotency keys, for the partitions that this worker owns."""

    def __init__(
        self, reader: LogReader, submitter: Submitter, topic: str, places: Mapping[int, int]
    ) -> None:
        """``places``: the next place of ``topic`` that intake handles, by partition."""
        self._reader = reader
        self._submitter = submitter
        self._topic = topic
        self._places = places
        # By lease: what is known under one goes with it.
        self._unread: WeakKeyDictionary[Partition, _Unread] = WeakKeyDictionary()
        self._turns: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    async def submit(
        self,
        part: Partition,
        value: bytes,
        key: str,
        replay_of: str | None = None,
        timeout_s: float | None = None,
        traceparent: str | None = None,
    ) -> Submitted:
        """The job of this key, which is put on the topic if there is none.

        kill -9 before the answer: the job may be in the log; whoever asks again gets it.

        Args:
            timeout_s: for Kafka to acknowledge the record.

        Raises:
            KeyTaken: the key stands for another request.
            NotWritten: Kafka doesn't acknowledge; the job may have been accepted all the same.
            PartitionLost: the partition is no longer ours.
            KafkaError, TimeoutError: Kafka can't be read, or not in time.
        """
        labels = Labels.made(value, key, replay_of)
        unread = self._unread.get(part)
        if unread is None:
            unread = self._unread[part] = _Unread(self._reader, self._topic, self._places)
        scoped = labels.scoped or ""
        turn = self._turns.setdefault((part.number, scoped), asyncio.Lock())
        async with asyncio.timeout(LIMIT_S), turn:
            found = unread.find(part, scoped)
            # A job that was canceled before it was read has a row, and the key; one in front of it
            # may have it, too, and not be read yet.
            if found is None or not unread.covers(part, found.offset):
                part.check()  # a lease that ended while we waited has nowhere to read from
                await unread.read_on(part)
                found = unread.find(part, scoped)
            if found is None:
                part.check()
                job_id = await self._submitter.send(
                    value,
                    timeout_s,
                    partition=part.number,
                    headers=labels.headers(),
                    traceparent=traceparent,
                )
                if not unread.append(job_id.offset, labels):
                    await unread.read_on(part)
                found = unread.find(part, scoped)
                if found is None or found.offset == job_id.offset:
                    return Submitted(job_id, replayed=False)
        job_id = JobId(part.number, found.offset)
        if found.digest != labels.digest:
            raise KeyTaken(job_id)
        return Submitted(job_id, replayed=True)


class _Holder(NamedTuple):
    offset: int
    digest: str | None


class _Unread:
    """The keys of the records of one partition that intake has not come to."""

    def __init__(self, reader: LogReader, topic: str, places: Mapping[int, int]) -> None:
        self._reader = reader
        self._topic = topic
        self._places = places
        self._next = 0  # all records before it have been read, or have rows
        self._place = 0  # the next one that intake handles under this lease, as last seen
        self._keys: dict[str, _Holder] = {}
        self._order: deque[tuple[int, str]] = deque()
        self._alone = asyncio.Lock()
        self._begun = 0
        self._read = 0

    def find(self, part: Partition, key: str) -> _Holder | None:
        """The first job in the log with this key, as far as it is known."""
        self._forget_handled(part)
        held = part.holder(key)
        unread = self._keys.get(key)
        if held is None:
            return unread
        offset, row = held
        if unread is not None and unread.offset < offset:
            return unread  # the other one was canceled before it was read
        return _Holder(offset, row.digest)

    def covers(self, part: Partition, offset: int) -> bool:
        """Whether all records before a place are known."""
        return offset <= max(self._next, self._handled(part))

    def append(self, offset: int, labels: Labels) -> bool:
        """Take in a record that we have written; false if there may be others before it that
        aren't known yet."""
        if offset > self._next:
            return False
        if offset == self._next:
            self._note(offset, labels)
            self._next += 1
        return True

    async def read_on(self, part: Partition) -> None:
        """Read to the log's end, as it is now or later.

        Raises:
            KafkaError: it can't be read.
        """
        came = self._begun
        async with self._alone:
            if self._read > came:
                return  # another one has begun after we came, and is through
            self._begun = turn = self._begun + 1
            while not await self._step(part):
                pass
            self._read = turn

    async def _step(self, part: Partition) -> bool:
        """Read some; whether that was the end."""
        number = part.number
        start = max(self._next, self._handled(part))
        step = (await self._reader.fetch(self._topic, {number: start}))[number]
        if step.end < start:  # the topic was made again; intake's place will follow
            self._next = 0
            self._keys.clear()
            self._order.clear()
            return True
        for record in step.records:
            self._take(part, record)
        self._next = max(self._next, step.next)
        return step.next >= step.end

    def _take(self, part: Partition, record: Record) -> None:
        if record.offset < self._next or not record.headers:
            return  # we have written it ourselves meanwhile
        if part.head(record.offset) is None and part.was_swept(record.offset, record.timestamp):
            return
        self._note(record.offset, Labels.of(record.headers, record.value))

    def _note(self, offset: int, labels: Labels) -> None:
        key = labels.scoped
        if key is not None and key not in self._keys:
            self._keys[key] = _Holder(offset, labels.digest)
            self._order.append((offset, key))

    def _forget_handled(self, part: Partition) -> None:
        """Those that intake has passed have rows, or are repetitions of what had one."""
        place = self._handled(part)
        while self._order and self._order[0][0] < place:
            _, key = self._order.popleft()
            del self._keys[key]

    def _handled(self, part: Partition) -> int:
        """The place before which intake has come to all records, so that ``part`` has their rows.
        Once the lease has ended, the partition's place is that of another one, whose rows are not
        known under this."""
        if part.alive:
            self._place = self._places.get(part.number, 0)
        return self._place
