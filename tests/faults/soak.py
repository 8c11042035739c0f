"""`make soak`: very many jobs on Apache Kafka with a fault every few seconds, judged by the
checker, and a table of how long the others took to take over.

Exit code 1 if it found something; its folder is kept then.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.brokers import Brokers
from tests.faults.checker.report import Report
from tests.faults.drive import Drive, Outcome
from tests.faults.numbers import count, more_than_nothing, some
from tests.faults.plan import SESSION_S, Plan, Step

# Of a hundred faults so many; the rest of the time is for the load alone.
FAULTS = {"kill": 60, "pause": 10, "cut": 10, "terminate": 10, "kill the leader": 10}
FIRST_S = 5.0
LAST_S = 10.0  # before the end: what comes after it would meet no load
REST_S = 1200.0
READERS = (4, 0)  # pages of a list of a hundred thousand would be most of what is recorded
SETTINGS = {"JOBS_WORKERS": "100", "JOBS_RERUN_WORKERS": "100"}


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    wanted = plan(options.seed, options.jobs, options.rate, options.every, options.workers)
    faults = ", ".join(f"{n} {name}" for name, n in counted(wanted.steps).items())
    print(
        f"seed {options.seed}: {wanted.jobs} jobs in {wanted.seconds:.0f}s, {wanted.workers} "
        f"workers; a fault every {options.every:g}s: {faults}",
        flush=True,
    )
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    began = time.monotonic()
    with Brokers(1) as brokers:
        outcome = asyncio.run(Drive(wanted, brokers, folder, REST_S).run())
    tell(outcome)
    print(f"   {time.monotonic() - began:.0f}s")
    if outcome.good:
        shutil.rmtree(folder)
        return 0
    print(f"what was recorded is kept in {folder}")
    return 1


def plan(seed: int, jobs: int, rate: float, every_s: float, workers: int) -> Plan:
    """The same seed, the same faults."""
    choice = random.Random(seed)
    seconds = jobs / rate
    steps = []
    at_s = FIRST_S
    while at_s < seconds - LAST_S:
        fault = choice.choices(list(FAULTS), list(FAULTS.values()))[0]
        lasts = {
            "kill": choice.uniform(0.2, 2),
            "terminate": choice.uniform(0.2, 2),
            "kill the leader": choice.uniform(0.5, 3),
        }
        longer = choice.uniform(SESSION_S + 1, SESSION_S + 3)
        steps.append(Step(at_s, fault, choice.randrange(workers), lasts.get(fault, longer)))
        at_s += every_s
    return Plan(
        seed=seed,
        workers=workers,
        brokers=1,
        seconds=seconds,
        rate=rate,
        steps=steps,
        lives=[[] for _ in range(workers)],
        readers=READERS,
        settings=SETTINGS,
    )


def counted(steps: Sequence[Step]) -> dict[str, int]:
    """How many of each fault."""
    return {name: n for name in FAULTS if (n := sum(s.fault == name for s in steps))}


def tell(outcome: Outcome) -> None:
    """What is asked of a soak first, then the whole report."""
    report = outcome.report
    extra = report.duplicates
    print(f"lost: {report.rules.get('I1', 0)}")
    print(f"final states changed: {report.rules.get('I2', 0)}")
    print(
        f"duplicate runs: {extra.takeovers + extra.stops + extra.unexplained}; broken off by a "
        f"worker's death or the loss of a partition and begun again: {extra.takeovers}, by a "
        f"worker's stop: {extra.stops}, unexplained: {extra.unexplained}"
    )
    print("\n".join(table(report)))
    print(report.text(recoveries=False))
    for misdeed in outcome.misdeeds:
        print(f"! {misdeed}")


def table(report: Report) -> list[str]:
    """Recovery times, of kills of workers that had partitions."""
    some = [each for each in report.recoveries if each.partitions]
    rows = {
        "kill → taken over": [each.owned_s for each in some],
        "kill → first job": [each.first_s for each in some],
        "kill → a job in each partition": [each.all_s for each in some],
    }
    lines = [f"{'':32}{'n':>5}{'p50':>8}{'p90':>8}{'max':>8}"]
    for name, found in rows.items():
        times = sorted(each for each in found if each is not None)
        told = [f"{_percentile(times, p):.1f} s" for p in (0.5, 0.9, 1.0)] if times else ["-"] * 3
        lines.append(f"{name:32}{len(times):>5}" + "".join(f"{each:>8}" for each in told))
    return lines


def _percentile(times: Sequence[float], part: float) -> float:
    return times[max(0, math.ceil(part * len(times)) - 1)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--jobs", type=some, default=100_000)
    parser.add_argument(
        "--every", type=more_than_nothing, default=10.0, help="seconds between faults"
    )
    parser.add_argument("--rate", type=more_than_nothing, default=130.0, help="jobs a second")
    parser.add_argument("--workers", type=some, default=3)
    parser.add_argument("--seed", type=count, default=1)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
