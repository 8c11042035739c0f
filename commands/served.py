"""What workers show of jobs, partition by partition, held against rows of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from commands.workers import Workers
from inspection.comparing import difference
from inspection.folds import Folded
from inspection.verifying import DIFFERENT, UNSERVED, Problem
from jobs.model import JobId

_PAGE = 1_000
_END = 2**62  # behind all places of a partition

Shown = Mapping[str, Any] | None
"""A job as a worker shows it; ``None``: it shows no such job."""


class Served:
    """Asks a worker, which asks the others. ``jobs``: how many were shown and compared."""

    def __init__(self, asking: Workers) -> None:
        self.jobs = 0
        self.url = asking.url
        self._asking = asking
        self._unserved: dict[int, str] = {}

    async def differing(self, folded: Folded) -> dict[JobId, Shown]:
        """The jobs of a partition that are shown as something else than their rows are, or not at
        all, or have none.

        Raises:
            CommandError: no worker answers any more.
        """
        n, kept = folded.partition, folded.briefs
        left = iter(kept.offsets())
        due = next(left, None)
        found: dict[JobId, Shown] = {}
        async for job in self._listed(n):
            job_id = JobId.parse(job["id"])
            while due is not None and due < job_id.offset:
                found[JobId(n, due)] = None
                due = next(left, None)
            self.jobs += 1
            if due == job_id.offset:
                due = next(left, None)
                if difference(job_id, job, kept[job_id.offset]) is not None:
                    found[job_id] = job
            else:
                found[job_id] = job
        if n in self._unserved:
            return {}
        while due is not None:
            found[JobId(n, due)] = None
            due = next(left, None)
        return found

    async def _listed(self, n: int) -> Any:
        """The jobs of a partition, in order."""
        cursor: str | None = None if n == 0 else str(JobId(n - 1, _END))
        query = {"limit": str(_PAGE)}
        while True:
            page = await self._asking.must(
                "/job/all", query if cursor is None else {**query, "cursor": cursor}
            )
            for each in page["missing"]:
                if n in each["partitions"]:
                    self._unserved[n] = str(each["reason"])
            for job in page["jobs"]:
                if JobId.parse(job["id"]).partition == n:
                    yield job
            cursor = page["next"]
            if cursor is None or JobId.parse(cursor).partition > n:
                return

    async def shown(self, partition: int, jobs: Iterable[JobId]) -> dict[JobId, Shown]:
        """Some jobs, as they are shown now."""
        found: dict[JobId, Shown] = {}
        for job_id in jobs:
            status, document = await self._asking.get(f"/job/{job_id}/status")
            if status == 200:
                found[job_id] = document
            elif status == 404:
                found[job_id] = None
            else:
                self._unserved[partition] = str(document.get("detail", status))
        return found

    def problems(self, folded: Folded, doubtful: Mapping[JobId, Shown]) -> Iterator[Problem]:
        """What is different still."""
        n = folded.partition
        if n in self._unserved:
            yield Problem(UNSERVED, n, None, f"workers don't show it: {self._unserved[n]}")
        for job_id, shown in doubtful.items():
            kept = folded.briefs
            if shown is None:
                detail = f"{kept.status(job_id.offset).value} in the log, and no worker shows it"
            elif job_id.offset not in kept:
                detail = f"a worker shows it as {shown.get('status')}, and the log has no row of it"
            else:
                detail = difference(job_id, shown, kept[job_id.offset]) or "it changes all the time"
            yield Problem(DIFFERENT, n, job_id, detail)
