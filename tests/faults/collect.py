"""After a run: wait until all is at rest, ask the workers for all they have, read the topics."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import aiohttp

from tests.faults.checker import topics
from tests.faults.checker.files import save_topics
from tests.faults.checker.fold import Folded, fold
from tests.faults.recording import Http, Recorder

AT_ONCE = 20


async def at_rest(kafka: str, names: dict[str, str], partitions: int, within_s: float) -> bool:
    """Wait until each record of ``jobs`` is final in the changelog, and no void record is the
    last of its key. False if it doesn't come to that in time; the checker will say why."""
    deadline = time.monotonic() + within_s
    while True:
        records = await asyncio.to_thread(topics.read, kafka, names["jobs"], partitions)
        rows = await asyncio.to_thread(topics.read, kafka, names["changelog"], partitions)
        folded = fold(rows)
        if not folded.void_last and all(_ended(folded, record.job) for record in records):
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.5)


async def _all_there(workers: Sequence[str], within_s: float) -> None:
    """Wait until no list of any worker has anything missing; if it doesn't come to that, the
    checker will say so."""
    deadline = time.monotonic() + within_s
    async with aiohttp.ClientSession() as session:
        for worker in workers:
            while time.monotonic() < deadline:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{worker}/job/all?limit=1") as reply:
                        if reply.status == 200 and not (await reply.json())["missing"]:
                            break
                await asyncio.sleep(0.1)


async def collect(
    folder: Path,
    kafka: str,
    names: dict[str, str],
    partitions: int,
    workers: Sequence[str],
    within_s: float = 120.0,
) -> None:
    """Fill a run's folder with what it is judged by: ``served.jsonl``, ``topics.jsonl``.

    Args:
        workers: addresses of those that live; at least one should be fresh, so that what it
            serves is what it has read from the changelog.
    """
    await at_rest(kafka, names, partitions, within_s)
    await _all_there(workers, within_s)
    records = await asyncio.to_thread(topics.read, kafka, names["jobs"], partitions)
    recorder = Recorder(folder / "served.jsonl")
    try:
        async with Http(recorder, lambda: workers, 0) as http:
            for worker in workers:
                await _pages(http, worker, forwarded=False)
                await _pages(http, worker, forwarded=True)
            await _each(http, [record.job for record in records], workers)
    finally:
        recorder.close()
    read = await asyncio.to_thread(topics.read_all, kafka, names, partitions)
    save_topics(folder, partitions, read)


def _ended(folded: Folded, job: str) -> bool:
    log = folded.jobs.get(job)
    return log is not None and log.last is not None and log.last.status not in (
        "waiting", "executing"
    )  # fmt: skip


async def _pages(http: Http, worker: str, *, forwarded: bool) -> None:
    cursor: str | None = ""
    while cursor is not None:
        path = "/job/all?limit=1000" + (f"&cursor={quote(cursor)}" if cursor else "")
        status, answer = await http.call("rest", "GET", path, worker=worker, forwarded=forwarded)
        cursor = answer["next"] if status == 200 else None


async def _each(http: Http, jobs: list[str], workers: Sequence[str]) -> None:
    """The status of each job, at a random worker."""
    choice = random.Random(0)
    left = iter([(job, choice.choice(workers)) for job in jobs])

    async def ask() -> None:
        for job, worker in left:
            await http.call("rest", "GET", f"/job/{job}/status", worker=worker)

    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
