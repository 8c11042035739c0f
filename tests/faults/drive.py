"""Carries out a schedule of faults over a load, records it, and has it judged."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import collect
from tests.faults.brokers import Brokers
from tests.faults.checker.files import load as load_history
from tests.faults.checker.judge import judge
from tests.faults.checker.report import Report
from tests.faults.disk import Disk, NoDisk
from tests.faults.load import Load
from tests.faults.plan import NETWORK, SESSION_S, Plan, Step
from tests.faults.recording import Events, Http, Kafka, Recorder
from tests.harness import Cluster, WorkerProcess, free_port
from tests.kafka import die_with_parent

PARTITIONS = 4
LOOK_S = 0.05
REST_S = 120.0
RESTLESS = {"CLOCK_JUMP", "KILL_AT"}
"""With these nothing comes to rest: by its clock, jobs may wait for an hour, and who dies then
isn't started again."""
READY_S = 90.0
TRACES = re.compile(r"Traceback|please report", re.IGNORECASE)
FINAL = ("done", "failed", "canceled")
# A process of handlers whose worker was killed while it handed it over what to do; the standard
# library is still before our code there.
ORPHAN = re.compile(
    r'Traceback .*\n  File "<string>", line 1, in <module>\n(?: .*\n)+EOFError: Ran out of input'
)
POISONED = 9  # exit code of the load's poison


class FaultedWorker(WorkerProcess):
    """A worker that fails as its environment says."""

    command = (sys.executable, "-m", "faust", "-A", "tests.apps.faulted", "worker", "-l", "info")
    # Whoever drives them may be ended in the middle of anything, also of starting the next one.
    before_it = staticmethod(die_with_parent)


@dataclass
class Slot:
    """A place for a worker, which lives there again and again."""

    number: int
    lives: list[dict[str, str]]
    process: WorkerProcess | None = None
    port: int = field(default_factory=free_port)
    wanted: bool = True
    resting_until: float = 0.0
    paused: bool = False
    expected_end: set[int] = field(default_factory=set)


@dataclass
class Outcome:
    """What became of a schedule: the checker's report, and what the processes did by themselves."""

    plan: Plan
    report: Report
    misdeeds: list[str]
    seconds: float
    folder: Path
    left_out: list[str]  # faults that can't be done on this machine

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.report.violations and not self.misdeeds


class Drive:
    """One schedule."""

    def __init__(self, plan: Plan, brokers: Brokers, folder: Path, rest_s: float = REST_S) -> None:
        """``rest_s``: how long the end may take."""
        self.plan = plan
        self._rest_s = rest_s
        self.brokers = brokers
        self.folder = folder
        self.misdeeds: list[str] = []
        self.cluster = Cluster(brokers.address, folder, PARTITIONS)
        self.slots = [Slot(n, list(plan.lives[n])) for n in range(plan.workers)]
        self._events = Events(folder)
        self._undo: list[Callable[[], object]] = []
        self._settings = {
            "JOBS_HANDLERS": "tests.apps.faulty",
            "JOURNAL": str(folder / "runs.jsonl"),
            "JOBS_SESSION_TIMEOUT": f"{SESSION_S:g}s",
            "JOBS_AUDIT": "2s",
            "JOBS_GRACE": "1s",
            "JOBS_WORKERS": "30",
            "JOBS_RERUN_WORKERS": "30",
            **plan.settings,
        }
        self._disk: Disk | None = None
        self.left_out: list[str] = []
        self._copies = folder / "disk" / "copies"
        if plan.store:
            self._settings |= {"JOBS_STORE": "rocksdb", "JOBS_STORE_DIR": str(self._copies)}
        if plan.brokers > 1:
            self._settings["JOBS_REPLICATION"] = "3"

    async def run(self) -> Outcome:
        """Load, faults, rest, judgement."""
        began = time.monotonic()
        if any(step.fault == "fill the disk" for step in self.plan.steps):
            try:
                self._disk = Disk(self.folder / "disk")
            except NoDisk as why:
                self.left_out.append(f"the disk is not filled, since none can be mounted: {why}")
        try:
            await self._under_load()
            await self._heal()
            names = topic_names(self.cluster)
            fresh = await self._start(Slot(90, []))
            urls = [*self._urls(), fresh.url]
            await collect.collect(
                self.folder, self.brokers.address, names, PARTITIONS, urls, self._rest_s
            )
            report = judge(load_history(self.folder))
            self._read_logs()
        finally:
            for undo in self._undo:
                with contextlib.suppress(Exception):
                    undo()
            self.cluster.close()
            if self._disk is not None:
                self._disk.close()
        took = time.monotonic() - began
        return Outcome(self.plan, report, self.misdeeds, took, self.folder, self.left_out)

    async def _under_load(self) -> None:
        plan = self.plan
        # All at once, as after a deploy; the first one makes the topics.
        for slot in self.slots:
            await self._live(slot)
        recorder = Recorder(self.folder / "calls.jsonl")
        keeper = asyncio.create_task(self._keep_alive())
        try:
            await self._one_is_ready()
            async with (
                Http(recorder, self._urls, plan.seed) as http,
                Kafka(recorder, self.brokers.address) as kafka,
            ):
                load = Load(
                    http=http,
                    kafka=kafka,
                    topics=topic_names(self.cluster),
                    partitions=PARTITIONS,
                    seed=plan.seed,
                    rate=plan.rate,
                    pollers=plan.readers[0],
                    listers=plan.readers[1],
                )
                async with asyncio.TaskGroup() as group:
                    group.create_task(load.run(plan.jobs))
                    group.create_task(self._extra(http, kafka))
                    for step in plan.steps:
                        group.create_task(self._do(step))
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            recorder.close()

    async def _extra(self, http: Http, kafka: Kafka) -> None:
        """Jobs that are few: poison, and one that is longer than every timeout of the group."""
        wanted = ['{"handler": "poison", "data": 99}'] * self.plan.poison
        if self.plan.long_s:
            wanted.append(f'{{"handler": "slow", "data": {self.plan.long_s}, "timeout": "90s"}}')
        places = []
        for n, value in enumerate(wanted):
            await asyncio.sleep(2)
            at = n % PARTITIONS
            places.append(await kafka.produce("extra", self.cluster.jobs, "jobs", at, value))
        # Poison may still kill; at rest nobody starts the dead again.
        deadline = time.monotonic() + self._rest_s
        for place in places[: self.plan.poison]:
            status: object = None
            while place and status not in FINAL and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
                _, answer = await http.call("extra", "GET", f"/job/{place}/status")
                status = answer.get("status") if isinstance(answer, dict) else None

    async def _do(self, step: Step) -> None:
        await asyncio.sleep(step.at_s)
        slot = self.slots[step.target] if step.target < len(self.slots) else None
        if step.fault == "kill the leader":
            again = await asyncio.to_thread(self.brokers.kill_leader, self.cluster.jobs)
            await self._undone(step, again)
        elif step.fault == "fill the disk":
            if self._disk is not None:
                await asyncio.to_thread(self._disk.fill)
                await self._undone(step, self._disk.free)
        elif step.fault == "join":
            joined = Slot(step.target, [])
            self.slots.append(joined)
            await self._live(joined)
            await asyncio.sleep(step.for_s)
            joined.wanted = False
            await self._end(joined, signal.SIGTERM)
            self.slots.remove(joined)
        elif slot is None or slot.process is None:
            return
        elif step.fault == "delete the copies":
            await asyncio.to_thread(shutil.rmtree, self._copies, ignore_errors=True)
        elif step.fault in ("kill", "terminate"):
            slot.resting_until = time.monotonic() + step.for_s
            number = signal.SIGKILL if step.fault == "kill" else signal.SIGTERM
            await self._end(slot, number)
        elif step.fault == "pause":
            process = slot.process
            self._events.note("pause", str(process.port))
            slot.paused = True
            process.signal(signal.SIGSTOP)
            await self._undone(step, lambda: process.process.send_signal(signal.SIGCONT))
            slot.paused = False
        else:
            self._events.note(step.fault, str(slot.process.port))
            heal = await asyncio.to_thread(self.brokers.disturb, step.target, step.fault)
            await self._undone(step, heal)
            self._events.note("heal", str(slot.process.port))

    async def _undone(self, step: Step, undo: Callable[[], object]) -> None:
        self._undo.append(undo)
        try:
            await asyncio.sleep(step.for_s)
        finally:
            self._undo.remove(undo)
            await asyncio.to_thread(undo)

    async def _end(self, slot: Slot, number: signal.Signals) -> None:
        process = slot.process
        if process is None or process.process.poll() is not None:
            return
        what = "kill" if number == signal.SIGKILL else "terminate"
        self._events.note(what, str(process.port))
        # By -15 if it has only begun to start.
        slot.expected_end |= {-signal.SIGKILL} if what == "kill" else {0, -signal.SIGTERM}
        process.signal(number)
        await asyncio.to_thread(process.process.wait, 60)

    async def _keep_alive(self) -> None:
        """Start again what has ended, whatever ended it."""
        while True:
            for slot in list(self.slots):
                ended = slot.process is not None and slot.process.process.poll() is not None
                if ended and slot.wanted and time.monotonic() >= slot.resting_until:
                    self._bury(slot)
                    await self._live(slot)
            await asyncio.sleep(LOOK_S)

    def _bury(self, slot: Slot) -> None:
        """A worker has ended: was it meant to?"""
        assert slot.process is not None
        code = slot.process.process.poll()
        life = slot.process.settings
        armed = code == -signal.SIGKILL and "KILL_AT" in life
        poisoned = code == POISONED and self.plan.poison > 0
        if armed or poisoned:
            self._events.note("kill", str(slot.process.port))
        elif code not in slot.expected_end:
            self.misdeeds.append(
                f"worker {slot.number} ended by itself with {code}:\n{slot.process.tail(15)}"
            )
        slot.expected_end.clear()
        slot.process = None

    async def _live(self, slot: Slot) -> None:
        life = slot.lives.pop(0) if slot.lives else {}
        slot.process = await self._start(slot, ready=False, **life)

    async def _start(self, slot: Slot, *, ready: bool = True, **life: str) -> WorkerProcess:
        disturbed = any(s.fault in NETWORK and s.target == slot.number for s in self.plan.steps)
        kafka = self.brokers.network(slot.number) if disturbed else self.brokers.address
        settings = {**self._settings, "KAFKA": kafka, "JOBS_PORT": str(slot.port), **life}
        process = FaultedWorker(self.cluster, settings)
        self.cluster.workers.append(process)
        if ready:
            await asyncio.to_thread(process.wait_ready)
        return process

    async def _heal(self) -> None:
        """Everything is well again: each slot has a worker, and all of them are ready."""
        for slot in self.slots:
            if slot.process is not None and not RESTLESS.isdisjoint(slot.process.settings):
                await self._end(slot, signal.SIGTERM)
            if slot.process is not None and slot.process.process.poll() is not None:
                self._bury(slot)
            if slot.process is None:
                slot.process = await self._start(slot, ready=False)
        for slot in self.slots:
            assert slot.process is not None
            await self._ready(slot)

    async def _ready(self, slot: Slot) -> None:
        """Ready, also if it dies of its kill point first."""
        for _ in range(4):
            assert slot.process is not None
            try:
                await asyncio.to_thread(slot.process.wait_ready)
                return
            except AssertionError:
                if slot.process.process.poll() is None:
                    self.misdeeds.append(
                        f"worker {slot.number} isn't ready again:\n{slot.process.tail(15)}"
                    )
                    return
                self._bury(slot)
                slot.process = await self._start(slot, ready=False)

    async def _one_is_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while not any(self._is_ready(slot) for slot in self.slots):
            if time.monotonic() > deadline:
                raise AssertionError(f"no worker is ready after {READY_S:g}s: {self.folder}")
            await asyncio.sleep(LOOK_S)

    def _is_ready(self, slot: Slot) -> bool:
        with contextlib.suppress(OSError):
            return slot.process is not None and slot.process.get("/readyz").status == 200
        return False

    def _urls(self) -> list[str]:
        return [
            slot.process.url
            for slot in self.slots
            if slot.process is not None and slot.process.process.poll() is None
        ]

    def _read_logs(self) -> None:
        for path in sorted(self.folder.glob("worker-*.log")):
            lines = ORPHAN.sub("", path.read_text(errors="replace")).splitlines()
            for n, line in enumerate(lines):
                if TRACES.search(line):
                    said = "\n".join(lines[max(0, n - 2) : n + 12])
                    self.misdeeds.append(f"{path.name}, line {n + 1}:\n{said}")
                    break


def topic_names(cluster: Cluster) -> dict[str, str]:
    """The cluster's topics by the checker's names."""
    return {
        "jobs": cluster.jobs,
        "retry": f"{cluster.jobs}-retry",
        "cancel": f"{cluster.jobs}-cancel",
        "dead": f"{cluster.jobs}-dead",
        "changelog": cluster.changelog,
    }
