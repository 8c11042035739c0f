"""`python -m tests.faults`: seeded schedules of faults, a few at once, on Apache Kafka.

Exit code 1 if one of them found something; its folder is kept, and its seed runs it again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.faults.brokers import Brokers
from tests.faults.drive import REST_S, Drive, Outcome
from tests.faults.numbers import count, more_than_nothing, some
from tests.faults.plan import Plan, plan
from tests.faults.selftest import MUTANTS
from tests.kafka import die_with_parent

AT_ONCE = max(1, os.cpu_count() or 1)  # each keeps half a core busy, and a whole one at times
FOUND = 3  # exit code of one schedule that found something; any other one is a fault in here
HURT_S = 30.0  # of a product that loses jobs, not all come to an end


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.selftest:
        return selftest(options.only)
    if options.one:
        signal.signal(signal.SIGTERM, _end)
        outcome = run(plan(options.start, seconds=options.seconds, rate=options.rate), options.keep)
        tell(outcome)
        return 0 if outcome.good else FOUND
    began = time.monotonic()
    bad: list[int] = []
    seeds = range(options.start, options.start + options.seeds)
    for seed, code, said in each_apart(seeds, arguments, options.at_once):
        print(said, end="", flush=True)
        if code:
            bad.append(seed)
            print(f"ended with exit code {code}" if code != FOUND else "", end="", flush=True)
    took = time.monotonic() - began
    named = f"seeds {seeds[0]} to {seeds[-1]}"
    if bad:
        print(f"{named}: {len(bad)} schedules found something: {sorted(bad)} ({took:.0f}s)")
        print(f"again: make faults SEEDS=1 START={min(bad)}")
        return 1
    print(f"{named}: {options.seeds} passed in {took:.0f}s")
    return 0


def each_apart(
    seeds: Iterable[int], arguments: list[str], at_once: int
) -> Iterator[tuple[int, int, str]]:
    """Each seed in a process of its own, since brokers are started by main threads; its exit code
    and all that it printed, as soon as it has ended."""

    def apart(seed: int) -> tuple[int, int, str]:
        command = [sys.executable, "-m", "tests.faults", *arguments, "--one", f"--start={seed}"]
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            preexec_fn=_end_with_parent,
        )
        return seed, ended.returncode, ended.stdout

    pool = ThreadPoolExecutor(at_once)
    try:
        for done in as_completed([pool.submit(apart, seed) for seed in seeds]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def selftest(only: str | None) -> int:
    """Each safeguard turned off must be noticed; with all of them on nothing is."""
    missed = []
    for mutant in MUTANTS:
        if only not in (None, mutant.name):
            continue
        print(f"-- {mutant.name}", flush=True)
        outcome = run(mutant.plan(), rest_s=HURT_S)
        found = [f"{rule}: {n}" for rule, n in outcome.report.rules.items()]
        print(f"   {', '.join(found) or 'nothing is found'}; {outcome.seconds:.0f}s", flush=True)
        shutil.rmtree(outcome.folder, ignore_errors=True)
        if not found:
            missed.append(mutant.name)
    if missed:
        print(f"not noticed: {', '.join(missed)}")
        return 1
    print("each was noticed")
    return 0


def run(wanted: Plan, keep: bool = False, rest_s: float = REST_S) -> Outcome:
    """One schedule, on a broker of its own."""
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{wanted.seed}-"))
    with Brokers(wanted.brokers) as brokers:
        outcome = asyncio.run(Drive(wanted, brokers, folder, rest_s).run())
    if outcome.good and not keep:
        shutil.rmtree(folder)
    return outcome


def tell(outcome: Outcome) -> None:
    """What was done, and what came of it."""
    print(f"-- {outcome.plan}")
    for fault in outcome.left_out:
        print(f"LEFT OUT: {fault}")
    print(outcome.report.text())
    for misdeed in outcome.misdeeds:
        print(f"! {misdeed}")
    if not outcome.good:
        print(f"what was recorded is kept in {outcome.folder}")
    print(f"   {outcome.seconds:.0f}s", flush=True)


def _end(_signum: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)  # by way of what ends workers and brokers


def _end_with_parent() -> None:
    die_with_parent(signal.SIGTERM)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=some, default=20, help="how many schedules")
    parser.add_argument("--start", type=count, default=1, help="the first one's number")
    parser.add_argument("--at-once", type=some, default=AT_ONCE, help="so many (one for each core)")
    parser.add_argument("--seconds", type=more_than_nothing, default=20.0, help="of load, for each")
    parser.add_argument("--rate", type=more_than_nothing, default=20.0, help="jobs a second")
    parser.add_argument("--selftest", action="store_true", help="is what is broken noticed?")
    names = [mutant.name for mutant in MUTANTS]
    parser.add_argument("--only", choices=names, metavar="NAME", help="this one of the selftest")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="keep what was recorded in any case")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
