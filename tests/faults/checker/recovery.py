"""How long it took until jobs of a dead worker's partitions began again elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.checker.fold import Folded, Owned
from tests.faults.checker.model import Event, place


@dataclass(frozen=True)
class Recovery:
    """After a kill: the partitions that the worker had; seconds until the first of them was
    taken over, until a job of any began, and until one of each (that had jobs to begin) did.
    ``None``: it never came to that."""

    worker: str
    partitions: tuple[int, ...]
    owned_s: float | None
    first_s: float | None
    all_s: float | None

    def __str__(self) -> str:
        def told(seconds: float | None) -> str:
            return "never" if seconds is None else f"{seconds:.1f} s"

        return (
            f"{self.worker}, partitions {list(self.partitions)}: taken over after "
            f"{told(self.owned_s)}, first job after {told(self.first_s)}, in each partition after "
            f"{told(self.all_s)}"
        )


def recoveries(events: Iterable[Event], folded: Folded) -> list[Recovery]:
    """One for each kill."""
    return [_recovery(event, folded) for event in events if event.what == "kill"]


def _recovery(event: Event, folded: Folded) -> Recovery:
    killed_ms = event.at * 1000
    held: dict[int, Owned] = {}
    for owned in folded.owned:
        if owned.timestamp <= killed_ms:
            held[owned.partition] = owned
    lost = {n: owned for n, owned in held.items() if _is(owned.worker, event.worker)}
    taken = [
        owned.timestamp
        for owned in folded.owned
        if owned.partition in lost
        and owned.timestamp > killed_ms
        and owned.fence.instance != lost[owned.partition].fence.instance
    ]
    begun: dict[int, int] = {}
    for job, log in folded.jobs.items():
        n = place(job)[0]
        for row in log.executing if n in lost else ():
            elsewhere = row.fence.instance != lost[n].fence.instance
            if row.timestamp > killed_ms and elsewhere:
                begun[n] = min(row.timestamp, begun.get(n, row.timestamp))
    return Recovery(
        event.worker,
        tuple(sorted(lost)),
        _after(killed_ms, min(taken, default=None)),
        _after(killed_ms, min(begun.values(), default=None)),
        _after(killed_ms, max(begun.values(), default=None)),
    )


def _is(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f":{ending}")


def _after(killed_ms: float, at_ms: int | None) -> float | None:
    return None if at_ms is None else (at_ms - killed_ms) / 1000
