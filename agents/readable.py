"""Records that ask for something about a job, on topics that anyone may write to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec

from jobs.codec import decode_as
from jobs.errors import InvalidId
from jobs.model import JobId
from log.reader import Record

logger = logging.getLogger(__name__)


class AboutAJob(Protocol):
    """What such a record's value has in any case."""

    @property
    def id(self) -> str:
        """The job's id."""


T = TypeVar("T", bound=AboutAJob)


def readable(
    topic: str, partition: int, records: Sequence[Record], decoder: msgspec.json.Decoder[T]
) -> Iterator[tuple[JobId, T]]:
    """Those that can be read and stand in their job's partition; the others are logged."""
    for record in records:
        try:
            asked = decode_as(decoder, record.value)
            job_id = JobId.parse(asked.id)
            if job_id.partition == partition:
                yield job_id, asked
                continue
            why = f"job {job_id} belongs into partition {job_id.partition}"
        except (msgspec.DecodeError, InvalidId) as exc:
            why = str(exc)
        logger.warning("%s-%d@%d is passed over: %s", topic, partition, record.offset, why)
