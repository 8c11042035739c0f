"""From an id to what is known of its job, by the partition's owner."""

from __future__ import annotations

from inspection.unread import unread_row
from jobs.errors import InvalidId
from jobs.model import Job, JobId
from log.reader import Record
from tables.partition import Partition
from web.owner import Owners
from web.parts import Parts
from web.problems import BadRequest, NotFound, Unavailable
from web.reading import NotRead, record

READ_S = 5.0


class Lookup:
    """Finds jobs: those that have a row, and those that no worker has read yet."""

    def __init__(self, parts: Parts, owners: Owners) -> None:
        self._reader = parts.reader
        self._topic = parts.names.jobs
        self._places = parts.jobs.places
        self._lifecycle = parts.lifecycle
        self._owners = owners

    def parse(self, text: str) -> JobId:
        """Read an id.

        Raises:
            BadRequest: it is none.
            NotFound: it is in a partition that doesn't exist.
        """
        try:
            job_id = JobId.parse(text)
        except InvalidId as exc:
            raise BadRequest(str(exc)) from None
        count = self._lifecycle.partitions
        if job_id.partition >= count:
            raise NotFound(
                f"job {job_id} doesn't exist: topic {self._topic} has {count} partitions, "
                "counted from 0",
                id=text,
            )
        return job_id

    async def find(self, job_id: JobId) -> Job:
        """The job's row, or what its record says if intake has not read it yet.

        Raises:
            NotFound: there is no such job (any more).
            Unavailable: its partition isn't served here now, or Kafka can't be read.
        """
        job = self._row(job_id)
        if job is not None:
            return job
        found = await self._record(job_id)
        # Intake may have read it while we asked; rows are visible before the place moves on.
        job = self._row(job_id)
        if job is not None:
            return job
        if found is None:
            raise NotFound(
                f"job {job_id} doesn't exist: there is no record at offset {job_id.offset} of "
                f"{self._topic}, partition {job_id.partition}",
                id=str(job_id),
            )
        if swept(self._part(job_id), found):
            raise _gone(job_id)
        return unread_row(found)

    def seen(self, job_id: JobId) -> Job | None:
        """The row that readers see, if this worker (still) serves it."""
        part = self._owners.served(job_id.partition)
        return None if part is None else part.rows.look(job_id.offset)

    def _part(self, job_id: JobId) -> Partition:
        part = self._owners.served(job_id.partition)
        if part is None:
            raise Unavailable(
                f"partition {job_id.partition} is not served by this worker now; try again",
                id=str(job_id),
            )
        return part

    def _row(self, job_id: JobId) -> Job | None:
        """The row, or ``None`` if intake has not come to its place."""
        part = self._part(job_id)
        row = part.rows.look(job_id.offset)
        if row is None and job_id.offset < self._places[job_id.partition]:
            raise _gone(job_id)
        return row

    async def _record(self, job_id: JobId) -> Record | None:
        try:
            return await record(self._reader, self._topic, *job_id, READ_S)
        except NotRead as exc:
            raise Unavailable(f"{exc}; try again", id=str(job_id)) from None


def swept(part: Partition, found: Record) -> bool:
    """Whether a record with no row has had one that is removed, so that intake will skip it
    (a crash may leave the committed place behind what was handled)."""
    return found.offset < part.swept.next and found.timestamp <= part.swept.at


def _gone(job_id: JobId) -> NotFound:
    return NotFound(
        f"job {job_id} has expired or never was a job: final jobs are kept for JOBS_KEEP",
        id=str(job_id),
    )
