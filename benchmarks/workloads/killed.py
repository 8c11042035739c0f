"""(g): what becomes of jobs when their worker is killed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks import notes
from benchmarks.peers.base import Load, Peer
from benchmarks.place import Place
from benchmarks.processes import PeerError, Running
from benchmarks.workloads.base import Column, Workload

LOOK_EVERY_S = 0.02
BEGIN_WITHIN_S = 120.0
MORE_S = 8.0  # after all have run: time for those that run twice
MARGIN_S = 15.0


class Killed(Workload):
    """SIGKILL to all processes of the worker when half has run; then another worker. It takes ten
    seconds until then, and some jobs take eight: so a peer that commits every five seconds what it
    has read, done or not, has jobs under way that are committed."""

    key = "killed"
    title = "SIGKILL in the middle of a drain"
    how = (
        "10 slots; 39 of 40 jobs take 20 ms, one takes 8 s; each notes its end. When half of "
        "them have, the worker is killed with all its processes, and another one started; then so "
        "long is waited as the peer's settings need to notice. Lost: it never came to its end. "
        "The worst of all runs."
    )
    columns = (
        Column("jobs", "jobs"),
        Column("lost", "lost", more=False, of=max),
        Column("twice", "run twice", more=False, of=max),
        Column("again_s", "goes on after (s)", "{:.1f}", more=False, of=max),
    )

    def load(self) -> Load:
        return Load("noted", min(self.sizes.jobs, 900), 10, (20,) * 39 + (8_000,))

    def once(self, peer: Peer, place: Place, load: Load, variant: str) -> Mapping[str, float]:
        peer.feed(place, load)
        with peer.start(place, load) as first:
            _some(place.notes, load.jobs // 2, first)
            first.kill()
        killed_at = time.time()
        with peer.start(place, load) as second:
            found = _rest(peer, place, load, second)
            second.stop()
        times = notes.times_run(found)
        after = [note.at for note in found if note.at > killed_at]
        return {
            "jobs": load.jobs,
            "lost": load.jobs - len(times),
            "twice": len(found) - len(times),
            **({"again_s": min(after) - killed_at} if after else {}),
        }


def _some(path: Path, wanted: int, worker: Running) -> None:
    """Until so many jobs have run."""
    deadline = time.monotonic() + BEGIN_WITHIN_S
    while _lines(path) < wanted:
        worker.check()
        if time.monotonic() > deadline:
            raise PeerError(f"{worker.name} is too slow to be killed in the middle")
        time.sleep(LOOK_EVERY_S)


def _rest(peer: Peer, place: Place, load: Load, worker: Running) -> list[notes.Note]:
    """All notes, once every job has run and nothing is held any more, or nothing more comes."""
    ran, changed_at = _lines(place.notes), time.monotonic()
    while True:
        worker.check()
        time.sleep(0.25)
        now_ran, now = _lines(place.notes), time.monotonic()
        if now_ran != ran:
            ran, changed_at = now_ran, now
            continue
        quiet_s = now - changed_at
        if quiet_s > peer.redelivers_s + MARGIN_S:
            return notes.read(place.notes)
        held = peer.held(place)
        if held == 0 or (held is None and quiet_s > MORE_S):
            found = notes.read(place.notes)
            if len(notes.times_run(found)) == load.jobs:
                return found


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
