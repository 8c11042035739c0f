"""What the harness asks of a peer."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar, Literal, NamedTuple

from benchmarks.place import Place
from benchmarks.processes import PeerError, Running

Kind = Literal["noop", "pause", "noted"]


class Load(NamedTuple):
    """``kind``: what a job does: nothing; sleep ``ms``, in turn; or that, and note that it has run.
    ``slots``: as many run at once, where the peer has slots."""

    kind: Kind
    jobs: int
    slots: int
    ms: tuple[int, ...] = (0,)

    @property
    def waits(self) -> bool:
        """Whether a slot is busy for longer than it takes to run a function."""
        return any(self.ms)

    def pauses(self) -> Iterator[int]:
        """Of each job, in ms; the given ones in turn."""
        return (self.ms[n % len(self.ms)] for n in range(self.jobs))


class Span(NamedTuple):
    """From the first outcome to the last (epoch seconds), and how many there were in the end, and
    when the clock started."""

    first: float
    last: float
    outcomes: int
    outcomes_first: int = 1

    @property
    def rate(self) -> float:
        """A second."""
        return (self.outcomes - self.outcomes_first) / max(self.last - self.first, 1e-9)


class Peer(ABC):
    """One way to run jobs.

    ``name`` stands in tables. ``broker``: what it needs. ``share``: of a workload's jobs; slow ones
    are given fewer, so that a run takes about as long. ``redelivers_s``: within so long after
    its worker's death another one has what that one left.
    """

    name: ClassVar[str]
    broker: ClassVar[Literal["kafka", "redis"]]
    share: ClassVar[float] = 1.0
    redelivers_s: ClassVar[float] = 30.0
    packages: ClassVar[tuple[str, ...]] = ()

    def install(self) -> None:
        """Makes it ready to be started.

        Raises:
            PeerError: it can't be had.
        """
        try:
            self.versions()
        except PackageNotFoundError as exc:
            raise PeerError(f"{exc.name} isn't installed") from None

    def versions(self) -> str:
        """Of what it consists of."""
        return ", ".join(f"{name} {version(name)}" for name in self.packages)

    @abstractmethod
    def settings(self, load: Load) -> str:
        """Those that matter, for the table."""

    @abstractmethod
    def feed(self, place: Place, load: Load) -> None:
        """Puts all jobs where the worker will find them."""

    @abstractmethod
    def start(self, place: Place, load: Load) -> Running:
        """One worker; it needn't be ready yet."""

    @abstractmethod
    def drained(self, place: Place, load: Load, worker: Running) -> Span:
        """Waits until all jobs have their outcome, durable where the peer can make it so, or no
        more comes.

        Raises:
            PeerError: the worker ends, or does nothing.
        """

    def submit(self, place: Place, load: Load, rate: float) -> None:
        """Puts jobs where the worker finds them, so many a second, and notes each (``submitted``).

        Raises:
            PeerError: it can't.
        """
        raise PeerError(f"{self.name} isn't asked for that")

    def told(self, place: Place) -> str | None:
        """The topic in which outcomes stand; ``None``: there is none."""
        return None

    def held(self, place: Place) -> int | None:
        """Jobs that its broker still holds for it; ``None``: it can't be asked."""
        return None


def environ(place: Place, **more: str) -> dict[str, str]:
    """Of a worker: where everything is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBS_")}
    named = {
        "BENCH_KAFKA": place.kafka,
        "BENCH_REDIS": place.redis,
        "BENCH_TAG": place.tag,
        "BENCH_PARTITIONS": str(place.partitions),
        "BENCH_NOTES": str(place.notes),
        "BENCH_SUBMITTED": str(place.submitted),
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **named, **more}


PYTHON = sys.executable
