"""What ``GET /stats`` shows, as types."""

from __future__ import annotations

from typing import Annotated

import msgspec

from web.shapes import Count, Missing, Time, described


class Slots(msgspec.Struct, frozen=True):
    """Slots that are taken, of how many."""

    used: Count
    of: Count


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself."""

    worker: str
    url: str
    partitions: list[int]
    jobs: Annotated[dict[str, Count], described("State → jobs of its partitions")]
    open: Annotated[Count, described("Jobs that are ready or running here")]
    executing: Count
    slots: Annotated[dict[str, Slots], described("`first`: first attempts; `rerun`: those after")]
    gaps: Annotated[
        dict[str, Count], described("Topic → records that were never delivered and were read")
    ]
    resumed: Annotated[Count, described("Unfinished jobs taken up after takeovers")]
    recovering: bool
    draining: bool
    started_at: Time | None


class PartitionStats(msgspec.Struct, frozen=True, kw_only=True):
    """How far a partition is behind; null where Kafka or its owner doesn't tell."""

    partition: Count
    worker: Annotated[str, described("The address of its owner")] | None
    position: Annotated[Count, described("The next record to be read")] | None
    end: Count | None
    lag: Count | None


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds."""

    p50: int
    p95: int
    p99: int


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one step."""

    at: Time | None
    done: Count
    failed: Count
    canceled: Count
    run_ms: Annotated[Percentiles, described("How long attempts took")] | None
    wait_ms: Annotated[Percentiles, described("How long jobs waited to start")] | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The last ten minutes, oldest first."""

    step_s: int
    points: list[Point]


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over all workers."""

    at: Time | None
    jobs: Annotated[dict[str, Count], described("State → jobs")]
    lag: Annotated[Count, described("Records on the topic that nobody has read")]
    workers: list[WorkerStats]
    partitions: list[PartitionStats]
    series: Series
    missing: list[Missing]
