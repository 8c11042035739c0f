"""A list from every worker: asked all at once, merged, and what is missing is named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import msgspec
from aiohttp import web

from jobs.errors import InvalidId
from web.backwards import Backwards
from web.listing import Page, Query, merge, merge_newest, uncovered
from web.owner import Owners, Peers
from web.parts import Parts
from web.problems import BadRequest
from web.scan import Scanner
from web.shapes import JobInList, JobList

ANSWER_S = 3.0


class Everyone:
    """Lists jobs over all workers."""

    def __init__(self, parts: Parts, owners: Owners, peers: Peers) -> None:
        self._scanner = Scanner(parts, owners)
        self._backwards = Backwards(parts, owners)
        self._lifecycle = parts.lifecycle
        self._owners = owners
        self._peers = peers

    async def here(self, query: Query) -> Page:
        """This worker's part of a list."""
        return await (self._backwards if query.newest else self._scanner).page(query)

    async def list(self, request: web.Request, query: Query) -> JobList:
        """The body of ``GET /job/all``. The request is passed on to the others as it is."""
        me = self._owners.me
        owners = self._owners.workers()
        # A worker that has no partition has no jobs to tell.
        others = [url for url, numbers in owners.items() if numbers and url != me]
        here, *elsewhere = await asyncio.gather(
            self.here(query), *(self._ask(url, request, query) for url in others)
        )
        answers: dict[str, Page | str] = {me: here, **dict(zip(others, elsewhere, strict=True))}
        pages = [answer for answer in answers.values() if isinstance(answer, Page)]
        jobs, following = _merged(pages, query)
        missing = uncovered(owners, self._lifecycle.partitions, answers)
        return JobList(jobs=jobs, next=following, missing=missing)

    async def _ask(self, url: str, request: web.Request, query: Query) -> Page | str:
        """Another worker's page, or why there is none."""
        try:
            status, body = await self._peers.ask(url, request, ANSWER_S)
            if status != 200:
                return f"it answered {status}"
            page = msgspec.json.decode(body, type=Page)
            _merged([page], query)  # here, so that one bad answer spoils no other's
        except TimeoutError:
            return f"it did not answer in {ANSWER_S:g}s"
        except (aiohttp.ClientError, OSError) as exc:
            return f"it can't be reached ({type(exc).__name__})"
        except (msgspec.DecodeError, InvalidId, BadRequest):
            return "its answer can't be read; does it run another version?"
        return page


def _merged(pages: Sequence[Page], query: Query) -> tuple[list[JobInList], str | None]:
    if query.newest:
        return merge_newest(pages, query.limit, query.before)
    return merge(pages, query.limit)
