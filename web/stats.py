"""``GET /stats``: what each worker says of itself, put together by the one that was asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import aiohttp
import msgspec
from aiohttp import web

from jobs.model import Status
from log.reader import LogReader
from tables.jobs import now_ms
from tables.tempo import STEP_MS, STEPS, Step, percentiles
from web import render
from web.counts import Counts
from web.listing import Page, uncovered
from web.owner import Owners, Peers
from web.parts import Parts
from web.reading import NotRead, fetch
from web.shapes import Missing
from web.shapes_stats import (
    PartitionStats,
    Percentiles,
    Point,
    Series,
    Slots,
    StatsAnswer,
    WorkerStats,
)

ANSWER_S = 3.0
READ_S = 1.0
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_NOBODY = "Kafka can't be read, so how far these partitions are behind isn't known"


class Place(msgspec.Struct, frozen=True):
    """A partition as its owner knows it: intake's next place, and the end of the topic."""

    partition: int
    worker: str | None
    position: int | None
    end: int | None

    def told(self) -> PartitionStats:
        """As the answer has it."""
        known = self.position is not None and self.end is not None
        lag = max(0, (self.end or 0) - (self.position or 0)) if known else None
        return PartitionStats(
            partition=self.partition,
            worker=self.worker,
            position=self.position,
            end=self.end,
            lag=lag,
        )


class Share(msgspec.Struct, frozen=True):
    """What one worker says; what workers answer each other. ``jobs``: by partition."""

    worker: WorkerStats
    jobs: dict[int, dict[str, int]]
    places: list[Place]
    steps: dict[int, Step]


class Stats:
    """Counts of this worker, and of all."""

    def __init__(self, parts: Parts, owners: Owners, peers: Peers) -> None:
        self._parts = parts
        self._owners = owners
        self._peers = peers
        self.counts = Counts(owners)
        self._started_at = now_ms()

    async def share(self) -> Share:
        """This worker's part."""
        parts, runner = self._parts, self._parts.runner
        jobs, places = await asyncio.gather(self.counts.by_partition(), self._places())
        worker = WorkerStats(
            worker=runner.worker,
            url=self._owners.me,
            partitions=sorted(jobs),
            jobs=_total(jobs.values()),
            open=runner.room.open,
            executing=runner.executing,
            slots={name: Slots(used, of) for name, (used, of) in runner.slots.items()},
            gaps={feed.topic: feed.gaps for feed in parts.lifecycle.feeds},
            resumed=parts.resume.resumed,
            recovering=parts.resume.recovering,
            draining=parts.lifecycle.draining,
            started_at=render.time(self._started_at),
        )
        return Share(worker, jobs, places, parts.table.tempo.steps())

    async def all(self, request: web.Request) -> StatsAnswer:
        """The body of ``GET /stats``. The request is passed on to the others."""
        me, owners = self._owners.me, self._owners.workers()
        others = [url for url in owners if url != me]
        here, *elsewhere = await asyncio.gather(
            self.share(), *(self._ask(url, request) for url in others)
        )
        answers = {me: here, **dict(zip(others, elsewhere, strict=True))}
        shares = [share for share in answers.values() if isinstance(share, Share)]
        places, missing = await self._all_places(shares)
        return StatsAnswer(
            at=render.time(now_ms()),
            # A partition that is changing hands may be in two answers, and counts once.
            jobs=_total({n: j for s in shares for n, j in s.jobs.items()}.values()),
            lag=sum(place.lag or 0 for place in places),
            workers=sorted((s.worker for s in shares), key=lambda told: told.url),
            partitions=places,
            series=Series(step_s=STEP_MS // 1000, points=_points(shares)),
            missing=[*self._missing(owners, answers), *missing],
        )

    def _missing(
        self, owners: Mapping[str, Sequence[int]], answers: Mapping[str, Share | str]
    ) -> list[Missing]:
        pages = {
            url: answer
            if isinstance(answer, str)
            else Page(jobs=[], next=None, partitions=list(answer.jobs))
            for url, answer in answers.items()
        }
        found = uncovered(owners, self._parts.lifecycle.partitions, pages)
        named = {each.worker for each in found}
        silent = [
            Missing(url, [], answer)  # it has no partition, but series and slots
            for url, answer in answers.items()
            if isinstance(answer, str) and url not in named
        ]
        return found + silent

    async def _places(self) -> list[Place]:
        positions = {
            n: self._parts.jobs.places[n]
            for n in self._owners.all_served()
            if n in self._parts.jobs.places
        }
        ends = await _ends(self._parts.reader, self._parts.names.jobs, positions)
        return [Place(n, self._owners.me, at, ends.get(n)) for n, at in positions.items()]

    async def _all_places(
        self, shares: Sequence[Share]
    ) -> tuple[list[PartitionStats], list[Missing]]:
        """Every partition, also those that nobody has told of."""
        told: dict[int, Place] = {}
        for place in (place for share in shares for place in share.places):
            other = told.get(place.partition)
            if other is None or (other.position or 0) < (place.position or 0):
                told[place.partition] = place
        rest = {n: 0 for n in range(self._parts.lifecycle.partitions) if n not in told}
        ends = await _ends(self._parts.reader, self._parts.names.jobs, rest)
        told |= {n: Place(n, None, None, ends.get(n)) for n in rest}
        unknown = sorted(n for n, place in told.items() if place.end is None)
        missing = [Missing(None, unknown, _NOBODY)] if unknown else []
        return [told[n].told() for n in sorted(told)], missing

    async def _ask(self, url: str, request: web.Request) -> Share | str:
        """Another worker's part, or why there is none."""
        try:
            status, body = await self._peers.ask(url, request, ANSWER_S)
            if status != 200:
                return f"it answered {status}"
            return msgspec.json.decode(body, type=Share)
        except TimeoutError:
            return f"it did not answer in {ANSWER_S:g}s"
        except (aiohttp.ClientError, OSError) as exc:
            return f"it can't be reached ({type(exc).__name__})"
        except msgspec.DecodeError:
            return "its answer can't be read; does it run another version?"


async def _ends(reader: LogReader, topic: str, places: Mapping[int, int]) -> dict[int, int]:
    """The end of each partition; of none if Kafka can't be read."""
    if not places:
        return {}
    try:
        steps = await fetch(reader, topic, places, 1, READ_S)
    except NotRead:
        return {}
    return {n: step.end for n, step in steps.items()}


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counted in counts:
        total.update(counted)
    return {status.value: total[status.value] for status in Status}


def _points(shares: Sequence[Share]) -> list[Point]:
    """The last ten minutes, oldest first; the step that has begun isn't shown."""
    now = now_ms() // STEP_MS
    points = []
    for number in range(now - STEPS, now):
        step = Step()
        for share in shares:
            if number in share.steps:
                step.add(share.steps[number])
        points.append(
            Point(
                at=render.time(number * STEP_MS),
                done=step.done,
                failed=step.failed,
                canceled=step.canceled,
                run_ms=_shown(percentiles(step.run, _PERCENTILES)),
                wait_ms=_shown(percentiles(step.wait, _PERCENTILES)),
            )
        )
    return points


def _shown(found: Mapping[str, int] | None) -> Percentiles | None:
    return None if found is None else Percentiles(**found)
