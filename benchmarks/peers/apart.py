"""Peers that are installed in an environment of their own, most of them on Redis."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from benchmarks import notes, redis_server
from benchmarks.peers.base import Load, Peer, Span, environ
from benchmarks.peers.installing import installed, versions
from benchmarks.place import Place
from benchmarks.processes import PeerError, Running

# `apps` is imported from here, and with it all modules of this folder are in reach: hence none of
# them has the name of a peer.
APPS = Path(__file__).parent
FEED_WITHIN_S = 600
LOOK_EVERY_S = 0.02
QUIET_S = 1.5
STUCK_S = 45.0


class Apart(Peer):
    """``environment``: its requirements' name. ``app``: its module in ``apps``, which is run with
    a load as arguments to feed it."""

    environment: ClassVar[str]
    app: ClassVar[str]
    _folder: Path

    def install(self) -> None:
        self._folder = installed(self.environment)

    def versions(self) -> str:
        return versions(self._folder, self.packages)

    def python(self) -> str:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> str:
        """One of its environment's."""
        return str(self._folder / "bin" / name)

    def feed(self, place: Place, load: Load) -> None:
        self._feed(place, load)

    def submit(self, place: Place, load: Load, rate: float) -> None:
        self._feed(place, load, str(rate))

    def _feed(self, place: Place, load: Load, *more: str) -> None:
        pauses = ",".join(str(ms) for ms in load.ms)
        asked = (load.kind, str(load.jobs), pauses, *more)
        command = [self.python(), "-m", f"apps.{self.app}", *asked]
        ran = subprocess.run(
            command,
            cwd=place.folder,
            env=self.environ(place, load),
            capture_output=True,
            text=True,
            check=False,
            timeout=FEED_WITHIN_S,
        )
        if ran.returncode:
            errors = re.findall(r"^[\w.]+(?:Error|Exception)\b.*$", ran.stderr, re.MULTILINE)
            raise PeerError(f"{self.name} can't be fed: {(errors or ['for no told reason'])[0]}")

    def run(self, place: Place, load: Load, *command: str) -> Running:
        """Its worker."""
        log = place.folder / "worker.log"
        return Running(self.name, command, self.environ(place, load), log, cwd=place.folder)

    def environ(self, place: Place, load: Load) -> dict[str, str]:
        """Of its worker, and of who feeds it."""
        return environ(place, PYTHONPATH=str(APPS), BENCH_SLOTS=str(load.slots))

    def by_notes(self, place: Place, load: Load, worker: Running) -> Span:
        """For a peer that leaves no outcome: its handlers' own notes."""
        size, changed_at, read_at = 0, time.monotonic(), -1
        while True:
            worker.check()
            time.sleep(LOOK_EVERY_S)
            now_size = place.notes.stat().st_size if place.notes.exists() else 0
            quiet_s = time.monotonic() - changed_at
            if now_size != size:
                size, changed_at = now_size, time.monotonic()
            elif quiet_s > STUCK_S or (size and quiet_s > QUIET_S and size != read_at):
                found, read_at = notes.read(place.notes), size
                done = len(notes.times_run(found))
                if done >= load.jobs or (done and quiet_s > STUCK_S):
                    return Span(found[0].at, found[-1].at, done)
                if not done:
                    raise PeerError(f"{self.name} has done nothing. It said:\n{worker.tail()}")


class OnRedis(Apart):
    """``left``: Redis commands whose answers add up to the jobs that Redis holds for it."""

    broker = "redis"
    left: ClassVar[tuple[tuple[str, str], ...]]

    def versions(self) -> str:
        return f"{super().versions()}, redis-server {redis_server.version()}"

    def feed(self, place: Place, load: Load) -> None:
        redis_server.ask(place.redis, "FLUSHALL")
        super().feed(place, load)

    def drained(self, place: Place, load: Load, worker: Running) -> Span:
        asking = redis_server.Asking(place.redis)
        try:
            return falling(lambda: self.count(asking), load.jobs, worker)
        finally:
            asking.close()

    def held(self, place: Place) -> int:
        asking = redis_server.Asking(place.redis)
        try:
            return self.count(asking)
        finally:
            asking.close()

    def count(self, asking: redis_server.Asking) -> int:
        """Jobs that aren't acknowledged."""
        return sum(asking.ask(*command) for command in self.left)


def falling(count: Callable[[], int], jobs: int, worker: Running) -> Span:
    """Looks on while the jobs get fewer, until there are none, or until nothing comes any more.

    Raises:
        PeerError: the worker ends, or does nothing.
    """
    began: tuple[float, int] | None = None  # when the first were done, and how many
    left, changed_at = jobs, time.time()
    while True:
        worker.check()
        time.sleep(LOOK_EVERY_S)
        now_left, now = count(), time.time()
        if now_left != left:
            left, changed_at = now_left, now
            if began is None and left < jobs:
                began = (now, jobs - left)
        if began is not None and (left == 0 or now - changed_at > STUCK_S):
            return Span(began[0], changed_at, jobs - left, began[1])
        if began is None and now - changed_at > STUCK_S:
            raise PeerError(f"{worker.name} has done nothing. It said:\n{worker.tail()}")
