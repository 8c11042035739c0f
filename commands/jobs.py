"""``faust -A app jobs``: jobs, listed and counted, from the logs or from workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from commands.asked import WANTED, parse_wanted
from commands.base import CommandError, argument, option
from commands.kafka import Kafka, TopicCommand
from commands.rows import Listing
from commands.slices import check_ids
from commands.workers import URL, Workers, workers
from inspection import told
from inspection.everyone import everyone, length, reach_of
from inspection.wanted import Wanted
from jobs.errors import InvalidId, InvalidTime
from jobs.model import JobId, Status
from jobs.times import parse_time

_PAGE = 1_000  # jobs that a worker is asked for at once


class Jobs(TopicCommand):
    """List jobs, by their ids: all, or those that are asked for.

    \b
        $ faust -A app jobs --state failed --error timeout
        $ faust -A app jobs --since "1h ago" --count
        $ faust -A app jobs 3-1000..3-2000 --json | jq -r .handler

    They are read from the topics, and no worker need run; what workers hold is the same. With
    --from-workers they are asked over HTTP. --json has one job a line, with the fields of GET
    /job/all. Long errors are cut; `inspect` has them whole.
    """

    arguments = (
        argument("ids", nargs=-1),
        *WANTED,
        option("--count", is_flag=True, help="How many they are, by state."),
        option("--limit", type=int, help="So many at most.", metavar="N"),
        option("--from-workers", is_flag=True, help="Ask a worker instead of reading topics."),
        URL,
    )

    async def run(
        self,
        ids: tuple[str, ...],
        count: bool,
        limit: int | None,
        from_workers: bool,
        url: str | None,
        **asked: Any,
    ) -> int:
        """Read, and list or count."""
        wanted = parse_wanted(ids, **asked)
        if limit is not None and limit < 1:
            raise CommandError(f"--limit {limit}: must be at least 1")
        listing = Listing(self.out, limit)
        whole = True
        if from_workers:
            async with workers(self.settings, url) as asking:
                whole = await self._of_workers(asking, wanted, listing, count)
        elif url is not None:
            raise CommandError("--url goes with --from-workers")
        else:
            async with self.kafka() as kafka:
                await self._of_topics(kafka, wanted, listing, count)
        if count:
            listing.count()
        else:
            listing.end()
        return 0 if whole else 1

    async def _of_topics(self, kafka: Kafka, wanted: Wanted, listing: Listing, count: bool) -> None:
        await check_ids(kafka, wanted)
        reader, names = kafka.reader, kafka.names
        reach = await reach_of(reader, names, kafka.partitions, wanted)
        with self.out.progress("reading", length(reach)) as advance:
            async for folded in everyone(reader, names, reach, wanted, advance=advance):
                if count:
                    listing.counts.update(folded.briefs.counts(all=False))
                    continue
                for offset, row in folded.briefs.wanted():
                    job_id = JobId(folded.partition, offset)
                    if not listing.add(told.in_list(job_id, row)):
                        return

    async def _of_workers(
        self, asking: Workers, wanted: Wanted, listing: Listing, count: bool
    ) -> bool:
        missing = {}
        with self.out.progress("asking", None) as advance:
            async for page in pages(asking, wanted):
                advance(len(page["jobs"]))
                for each in page["missing"]:
                    missing[str(each["worker"])] = f"{each['partitions']}: {each['reason']}"
                for job in page["jobs"]:
                    if not _fits(job, wanted):
                        continue
                    if count:
                        listing.counts[Status(job["status"])] += 1
                    elif not listing.add(job):
                        return True
        for detail in missing.values():
            self.out.warn(f"what workers lack: partitions {detail}")
        return not missing


async def pages(asking: Workers, wanted: Wanted) -> AsyncIterator[dict[str, Any]]:
    """The pages of GET /job/all.

    Raises:
        CommandError: a worker doesn't answer, or not as it should.
    """
    query = {"limit": str(_PAGE)}
    if wanted.statuses:
        query["status"] = ",".join(sorted(wanted.statuses))
    if wanted.handlers:
        query["handler"] = ",".join(sorted(wanted.handlers))
    if wanted.error:
        query["error"] = wanted.error
    cursor: str | None = ""
    while cursor is not None:
        page = await asking.must("/job/all", {**query, "cursor": cursor} if cursor else query)
        yield page
        cursor = page["next"]


def _fits(job: dict[str, Any], wanted: Wanted) -> bool:
    """What a worker can't be asked for."""
    if not wanted.ids and not wanted.span:
        return True
    try:
        at = parse_time(job["submitted_at"] or "0", 2**62)
        return wanted.has_id(JobId.parse(job["id"])) and (not wanted.span or at in wanted.span)
    except (InvalidId, InvalidTime):
        return False
