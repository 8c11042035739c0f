"""``GET /job/all``: pages over all workers, in the order of the log.

Each worker scans its own partitions and says up to which place its page is complete. The one
that was asked merges the pages, as far as all of them are complete; what lies behind is the
next page's. So no job is passed over, whoever stops where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from jobs.errors import InvalidId
from jobs.model import Job, JobId, Status
from web.problems import BadRequest
from web.query import ListQuery, read
from web.shapes import JobInList, Missing


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for. ``after``: only jobs behind this place."""

    status: Status | None = None
    handler: str | None = None
    limit: int = 100
    after: JobId | None = None

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Query:
        """Read a query string.

        Raises:
            BadRequest: a value is wrong; names the parameter.
        """
        query = read(given, ListQuery)
        return cls(
            None if query.status is UNSET else query.status,
            None if query.handler is UNSET else query.handler,
            query.limit,
            _cursor(given.get("cursor")),
        )

    def matches(self, job: Job) -> bool:
        """Whether a job is asked for."""
        return (self.status is None or job.status is self.status) and (
            self.handler is None or job.handler == self.handler
        )


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's part of a list; what workers answer each other.

    Jobs are those of ``partitions`` up to ``next`` (all of them if that is ``None``), in order.
    """

    jobs: list[JobInList]
    next: str | None
    partitions: list[int]
    missing: list[Missing] = []


def merge(pages: Sequence[Page], limit: int) -> tuple[list[JobInList], str | None]:
    """The first ``limit`` jobs of all pages, and the cursor for those that follow.

    Raises:
        InvalidId: a page holds something that is no id.
    """
    # Two workers may both show a partition that is changing hands: by id, so each once.
    jobs = {JobId.parse(job.id): job for page in pages for job in page.jobs}
    ends = [JobId.parse(page.next) for page in pages if page.next is not None]
    complete = min(ends, default=None)
    ids = sorted(i for i in jobs if complete is None or i <= complete)
    if len(ids) > limit:
        ids = ids[:limit]
        complete = ids[-1]
    return [jobs[i] for i in ids], None if complete is None else str(complete)


def uncovered(
    owners: Mapping[str, Sequence[int]], count: int, answers: Mapping[str, Page | str]
) -> list[Missing]:
    """What is missing from a list.

    Args:
        owners: address → partitions, as the group's metadata has it.
        count: how many partitions there are.
        answers: address → the worker's page, or why there is none.
    """
    pages = [answer for answer in answers.values() if isinstance(answer, Page)]
    left = set(range(count)) - {n for page in pages for n in page.partitions}
    found = [each for page in pages for each in page.missing]
    for url, numbers in owners.items():
        absent = sorted(left & set(numbers))
        if absent:
            answer = answers.get(url)
            reason = answer if isinstance(answer, str) else "it is recovering them"
            found.append(Missing(url, absent, reason))
            left -= set(absent)
    if left:
        found.append(Missing(None, sorted(left), "no worker is known to own them yet"))
    return found


def _cursor(text: str | None) -> JobId | None:
    if text is None:
        return None
    try:
        return JobId.parse(text)
    except InvalidId:
        raise BadRequest(
            "cursor: must be the `next` of an earlier answer, or a job's id", field="cursor"
        ) from None
