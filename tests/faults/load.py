"""A load of mixed jobs, with readers and cancels, from one asyncio process.

By its seed it asks for the same jobs in the same order; who is asked and what is seen depends on
what the workers do.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.recording import Http, Kafka

FINAL = {"done", "failed", "canceled"}
READ_EVERY_S = 0.02  # of one poller
LIST_EVERY_S = 0.3  # of one list reader
SUBMIT_TRIES = 20
SUBMIT_PAUSE_S = 0.5
CANCEL_WITHIN_S = 120.0
LOOKS_AFTER = 3  # at a job that is final: it must stay so


@dataclass(frozen=True)
class Kind:
    """A sort of job: how often (against the others), its request, and whether it is canceled
    after a while (seconds, at most)."""

    weight: float
    request: Callable[[random.Random], dict[str, Any]]
    cancel_within_s: float | None = None


MIX: dict[str, Kind] = {
    "quick": Kind(50, lambda r: {"handler": "quick", "data": r.random()}),
    "slow": Kind(15, lambda r: {"handler": "slow", "data": round(r.uniform(0.05, 3), 2)}),
    "flaky": Kind(10, lambda r: {"handler": "flaky", "data": r.randint(1, 3), "ttl": 3}),
    "fails": Kind(5, lambda r: {"handler": "flaky", "data": 99, "ttl": r.randint(0, 2)}),
    "late": Kind(5, lambda r: {"handler": "late", "ttl": r.randint(0, 2)}),
    "stubborn": Kind(2, lambda r: {"handler": "stubborn", "data": 1.5, "ttl": 1}),
    "apart": Kind(3, lambda r: {"handler": "apart", "data": 0.1}),
    "delayed": Kind(5, lambda r: {"handler": "quick", "delay": f"{r.randint(100, 3000)}ms"}),
    "canceled while waiting": Kind(3, lambda r: {"handler": "quick", "delay": "20s"}, 1.0),
    "canceled while executing": Kind(3, lambda r: {"handler": "slow", "data": 20}, 3.0),
    "canceled in a race": Kind(4, lambda r: {"handler": "slow", "data": 0.2}, 0.4),
}


@dataclass(kw_only=True)
class Load:
    """Submits, and follows what it has submitted.

    Args:
        topics: names on the broker, by the checker's names.
        rate: jobs a second.
        http_share: of the submissions; the others are produced.
    """

    http: Http
    kafka: Kafka
    topics: dict[str, str]
    partitions: int
    seed: int
    rate: float = 100.0
    http_share: float = 0.5
    mix: dict[str, Kind] = field(default_factory=lambda: MIX)
    pollers: int = 8
    listers: int = 2
    ids: list[str] = field(default_factory=list)  # accepted so far
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _fresh: deque[str] = field(default_factory=lambda: deque(maxlen=200))

    async def run(self, jobs: int) -> None:
        """Submit so many jobs at the rate, with readers and cancels beside; returns when all
        submissions and cancels are answered or given up. Jobs may go on."""
        readers = [asyncio.create_task(self._poll(n)) for n in range(self.pollers)]
        readers += [asyncio.create_task(self._list(n)) for n in range(self.listers)]
        try:
            await self._submit_all(jobs)
            while self._tasks:
                await asyncio.gather(*self._tasks)
        finally:
            for each in readers:
                each.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        for each in readers:
            if not each.cancelled() and each.exception() is not None:
                raise RuntimeError("a reader failed") from each.exception()

    async def _submit_all(self, jobs: int) -> None:
        choice = random.Random(self.seed)
        kinds = list(self.mix.values())
        began = time.monotonic()
        for n in range(jobs):
            kind = choice.choices(kinds, [kind.weight for kind in kinds])[0]
            request = kind.request(choice) | {"ref": f"{self.seed}.{n}"}
            by_http = choice.random() < self.http_share
            partition, wait_s = choice.randrange(self.partitions), choice.random()
            cancel_s = None if kind.cancel_within_s is None else wait_s * kind.cancel_within_s
            self._spawn(self._one(json.dumps(request), by_http, partition, cancel_s))
            await asyncio.sleep(max(0.0, began + (n + 1) / self.rate - time.monotonic()))

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, body: str, by_http: bool, partition: int, cancel_s: float | None) -> None:
        for _ in range(SUBMIT_TRIES):
            job = await self._submit(body, by_http, partition)
            if job is not None:
                break
            await asyncio.sleep(SUBMIT_PAUSE_S)
        else:
            return
        self.ids.append(job)
        self._fresh.append(job)
        if cancel_s is not None:
            await asyncio.sleep(cancel_s)
            await self._cancel(job, by_http)

    async def _submit(self, body: str, by_http: bool, partition: int) -> str | None:
        """One try; one without an answer may have left a job, which nobody follows then."""
        if not by_http:
            topic = self.topics["jobs"]
            return await self.kafka.produce("producer", topic, "jobs", partition, body)
        status, answer = await self.http.call("submitter", "POST", "/job", body)
        return str(answer["id"]) if status == 202 else None

    async def _cancel(self, job: str, by_http: bool) -> None:
        """Until somebody has taken it, for a while: a job that nobody cancels waits for long."""
        partition = int(job.partition("-")[0])
        gives_up = time.monotonic() + CANCEL_WITHIN_S
        while time.monotonic() < gives_up:
            if by_http:
                status, _ = await self.http.call("canceler", "POST", f"/job/{job}/cancel", "")
                if status in (200, 202, 404, 409):
                    return
            else:
                value = json.dumps({"id": job, "who": "load", "why": "a test"})
                topic = self.topics["cancel"]
                if await self.kafka.produce("canceler", topic, "cancel", partition, value):
                    return
            await asyncio.sleep(0.2)

    async def _poll(self, n: int) -> None:
        """One reader: follows a few jobs from soon after they are accepted until they are final,
        and a little longer, at random workers."""
        choice = random.Random(self.seed * 1000 + n)
        followed: dict[str, int] = {}
        while True:
            while len(followed) < 5 and self._fresh:
                followed[self._fresh.popleft()] = LOOKS_AFTER
            if followed:
                job = choice.choice(list(followed))
                status, answer = await self.http.call(f"poller-{n}", "GET", f"/job/{job}/status")
                if status == 200 and answer["status"] in FINAL:
                    followed[job] -= 1
                    if not followed[job]:
                        del followed[job]
            await asyncio.sleep(READ_EVERY_S)

    async def _list(self, n: int) -> None:
        """One reader of lists: from page to page, now and then with a filter."""
        choice = random.Random(self.seed * 1000 + 500 + n)
        while True:
            asked = f"limit={choice.choice([10, 100, 1000])}"
            asked += choice.choice(["", "", "&status=done", "&status=canceled", "&handler=quick"])
            cursor: str | None = ""
            while cursor is not None:
                path = f"/job/all?{asked}" + (f"&cursor={cursor}" if cursor else "")
                status, answer = await self.http.call(f"lister-{n}", "GET", path)
                cursor = answer["next"] if status == 200 else None
                if choice.random() < 0.1:
                    break
                await asyncio.sleep(LIST_EVERY_S)
