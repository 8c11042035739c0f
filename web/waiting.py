"""Waiting for a job to be final: ``?wait=``, and a cancel for its effect.

Nobody looks again and again: the partition tells when a row has become durable. A worker that was
asked for another one's job lets the owner wait, and goes on at the next owner when that one dies.
"""

from __future__ import annotations

import asyncio
import random

import aiohttp
import msgspec
from aiohttp import web

from jobs.durations import NS_PER_S, parse_duration
from jobs.errors import InvalidDuration
from jobs.model import Job, JobId, Status
from web import render
from web.lookup import Lookup
from web.owner import FORWARDED, GET_S, Owners, Peers, silent
from web.parts import Parts
from web.problems import BadRequest, Problem, Unavailable

MAX_WAIT_S = 300.0
SLICE_S = 30.0  # then it is looked whether owner and client are still there
_AGAIN_S = (0.5, 1.5)  # before the next owner is asked; thousands shouldn't come at once


class _Glance(msgspec.Struct):
    status: Status


_glance = msgspec.json.Decoder(_Glance)


def wait_seconds(request: web.Request) -> float:
    """What ``?wait=`` says; 0 if there is none.

    Raises:
        BadRequest: it is no duration, or too long a one.
    """
    text = request.query.get("wait", "0")
    try:
        seconds = 0.0 if text == "0" else parse_duration(text) / NS_PER_S
    except InvalidDuration:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_S:
        raise BadRequest(
            "wait: must be a duration such as '30s' or '500ms', at most '5m'", field="wait"
        )
    return seconds


class Waiting:
    """Waits for jobs of any worker."""

    def __init__(self, parts: Parts, owners: Owners, peers: Peers, lookup: Lookup) -> None:
        self._parts = parts
        self._owners = owners
        self._peers = peers
        self._lookup = lookup
        self._asked: set[asyncio.Task[tuple[int, bytes]]] = set()
        self._closing = asyncio.Event()

    def close(self) -> None:
        """The worker stops: all waits end with what is known."""
        if self._closing.is_set():
            return
        self._closing.set()
        for part in self._parts.table.served.values():
            part.wake()
        for task in self._asked:
            task.cancel()

    async def until_final(
        self, request: web.Request, job_id: JobId, wait_s: float
    ) -> tuple[int, bytes]:
        """The answer of ``GET /job/{id}/status``, status and body, when the job is final or the
        wait is over.

        kill -9 of the owner: the next one is asked.

        Raises:
            Unavailable: at the end of the wait nobody can answer for it, or Kafka can't be read.
            NotFound: there is no such job (any more).
        """
        end = asyncio.get_running_loop().time() + wait_s
        while True:
            left = self._left(end)
            try:
                url = await self._peers.owner(request, job_id.partition)
                if url is None:
                    return 200, await self._here(request, job_id, end)
                status, body = await self._there(url, request, job_id, min(left, SLICE_S))
                if status not in (200, 503) or left <= 0 or _is_final(status, body):
                    return status, body
                early = left - self._left(end) < min(left, SLICE_S)
            except Unavailable:
                # It changes hands. Whoever forwarded this to us asks the next owner.
                if FORWARDED in request.headers or left <= 0:
                    raise
                early = True
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not self._closing.is_set() or (task is not None and task.cancelling()):
                    raise
                continue  # we stop: only what is known now
            if early:
                await self._pause(min(random.uniform(*_AGAIN_S), self._left(end)))

    async def submitted(self, request: web.Request, job_id: JobId, wait_s: float) -> bytes | None:
        """The whole status of a job that was submitted, if it is final in time."""
        try:
            status, body = await self.until_final(request, job_id, wait_s)
        except Problem:
            return None  # that it was accepted is what counts
        return body if _is_final(status, body) else None

    async def settled(self, job_id: JobId, job: Job, within_s: float) -> Job:
        """A job of ours when it is final, or as it was last seen."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while not job.status.final and (left := end - loop.time()) > 0:
            part = self._owners.served(job_id.partition)
            if part is None:
                break
            with part.watching(job_id.offset) as told:
                job = self._lookup.seen(job_id) or job
                if not job.status.final:
                    await asyncio.wait([told], timeout=left)
        return job

    async def _here(self, request: web.Request, job_id: JobId, end: float) -> bytes:
        while True:
            part = self._owners.served(job_id.partition)
            if part is None:
                raise Unavailable(
                    f"partition {job_id.partition} is changing its owner; try again",
                    id=str(job_id),
                )
            with part.watching(job_id.offset) as told:
                job = await self._lookup.find(job_id)
                left = self._left(end)
                if job.status.final or left <= 0:
                    progress = self._parts.runner.callers.progress(job_id)
                    return msgspec.json.encode(render.whole(job_id, job, progress))
                if request.transport is None:
                    raise ConnectionResetError  # nobody waits any more
                await asyncio.wait([told], timeout=min(left, SLICE_S))

    async def _there(
        self, url: str, request: web.Request, job_id: JobId, wait_s: float
    ) -> tuple[int, bytes]:
        if request.transport is None:
            raise ConnectionResetError
        path = f"/job/{job_id}/status?wait={max(0, round(wait_s * 1000))}ms"
        task = asyncio.create_task(self._peers.ask(url, request, wait_s + GET_S, path))
        self._asked.add(task)
        try:
            return await task
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise silent(url, job_id.partition, exc) from None
        finally:
            self._asked.discard(task)

    def _left(self, end: float) -> float:
        return 0.0 if self._closing.is_set() else max(0.0, end - asyncio.get_running_loop().time())

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass


def _is_final(status: int, body: bytes) -> bool:
    try:
        return status == 200 and _glance.decode(body).status.final
    except msgspec.DecodeError:
        return False
