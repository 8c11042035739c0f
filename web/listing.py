"""``GET /job/all``: pages over all workers, in the order of the log.

Each worker scans its own partitions and says up to which place its page is complete. The one
that was asked merges the pages, as far as all of them are complete; what lies behind is the
next page's. So no job is passed over, whoever stops where.

With ``order=newest`` the cursor is a place in each partition, see ``web.backwards``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, UnsetType

from jobs.errors import InvalidId
from jobs.model import Job, JobId, Status
from web.places import format_places, parse_places
from web.problems import BadRequest
from web.query import ListQuery, read
from web.shapes import JobInList, Missing


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for; an empty filter lets all through. ``after``: only jobs behind
    this place; ``before``, with the newest first: only jobs before these, by partition."""

    statuses: frozenset[Status] = frozenset()
    handlers: frozenset[str] = frozenset()
    error: str = ""
    limit: int = 100
    newest: bool = False
    after: JobId | None = None
    before: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Query:
        """Read a query string.

        Raises:
            BadRequest: a value is wrong; names the parameter.
        """
        query = read(given, ListQuery)
        newest = query.order == "newest"
        cursor = given.get("cursor")
        return cls(
            statuses=frozenset(_status(text) for text in _several(query.status)),
            handlers=frozenset(_several(query.handler)),
            error="" if query.error is UNSET else query.error.casefold(),
            limit=query.limit,
            newest=newest,
            after=None if newest else _cursor(cursor),
            before=parse_places(cursor) if newest else {},
        )

    def wants(self, status: Status) -> bool:
        """Whether jobs in this state are asked for."""
        return not self.statuses or status in self.statuses

    def matches(self, job: Job) -> bool:
        """Whether a job is asked for."""
        return (
            self.wants(job.status)
            and (not self.handlers or job.handler in self.handlers)
            and (not self.error or self.error in (job.error or "").casefold())
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


def merge_newest(
    pages: Sequence[Page], limit: int, before: Mapping[int, int]
) -> tuple[list[JobInList], str | None]:
    """As ``merge``, with the newest jobs first: of what comes next in each page the youngest.

    Raises:
        InvalidId, BadRequest: a page holds something that is no id, or no cursor.
    """
    places = dict(before)
    queues = [deque(page.jobs) for page in pages]
    found: list[JobInList] = []
    while len(found) < limit:
        left = [queue for queue in queues if queue]
        # Behind the end of a page that isn't the last one, what comes next isn't known.
        if not left or any(
            page.next is not None and not queue for page, queue in zip(pages, queues, strict=True)
        ):
            break
        job = max(left, key=lambda queue: submitted(queue[0])).popleft()
        n, offset = JobId.parse(job.id)
        if offset < places.get(n, offset + 1):  # else two workers show it, as it changes hands
            places[n] = offset
            found.append(job)
    through = True
    for page, queue in zip(pages, queues, strict=True):
        through = through and page.next is None and not queue
        if not queue:
            ends = parse_places(page.next) if page.next else dict.fromkeys(page.partitions, 0)
            places |= {n: min(place, places.get(n, place)) for n, place in ends.items()}
    return found, None if through else format_places(places)


def submitted(job: JobInList) -> str:
    """A job's time as it is compared; one without a time is the oldest."""
    return job.submitted_at or ""


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


def _several(text: str | UnsetType) -> list[str]:
    return [] if text is UNSET else text.split(",")


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        known = ", ".join(status.value for status in Status)
        raise BadRequest(
            f"status: must be one or more of {known}, with commas between", field="status"
        ) from None


def _cursor(text: str | None) -> JobId | None:
    if text is None:
        return None
    try:
        return JobId.parse(text)
    except InvalidId:
        raise BadRequest(
            "cursor: must be the `next` of an earlier answer, or a job's id", field="cursor"
        ) from None
