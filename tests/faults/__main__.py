"""`python -m tests.faults`: seeded schedules of faults, one after another, on Apache Kafka.

Exit code 1 if one of them found something; its folder is kept, and its seed runs it again.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.brokers import Brokers
from tests.faults.drive import REST_S, Drive, Outcome
from tests.faults.plan import Plan, plan
from tests.faults.selftest import MUTANTS

HURT_S = 30.0  # of a product that loses jobs, not all come to an end


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.selftest:
        return selftest(options.only)
    began = time.monotonic()
    bad: list[int] = []
    for seed in range(options.start, options.start + options.seeds):
        wanted = plan(seed, seconds=options.seconds, rate=options.rate)
        print(f"-- {wanted}", flush=True)
        outcome = run(wanted, options.keep)
        tell(outcome)
        if not outcome.good:
            bad.append(seed)
    took = time.monotonic() - began
    seeds = f"seeds {options.start} to {options.start + options.seeds - 1}"
    if bad:
        print(f"{seeds}: {len(bad)} schedules found something: {bad} ({took:.0f}s)")
        print(f"again: make faults SEEDS=1 START={bad[0]}")
        return 1
    print(f"{seeds}: {options.seeds} passed in {took:.0f}s")
    return 0


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
    """What came of it."""
    print(outcome.report.text())
    for misdeed in outcome.misdeeds:
        print(f"! {misdeed}")
    if not outcome.good:
        print(f"what was recorded is kept in {outcome.folder}")
    print(f"   {outcome.seconds:.0f}s", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many schedules")
    parser.add_argument("--start", type=int, default=1, help="the first one's number")
    parser.add_argument("--seconds", type=float, default=20.0, help="of load, for each")
    parser.add_argument("--rate", type=float, default=20.0, help="jobs a second")
    parser.add_argument("--selftest", action="store_true", help="is what is broken noticed?")
    parser.add_argument("--only", help="one of the selftest's names")
    parser.add_argument("--keep", action="store_true", help="keep what was recorded in any case")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
