"""`python -m benchmarks`: one command, one table; see docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import machine, place, report
from benchmarks.catalogue import PEERS, WORKLOADS
from benchmarks.figures import LATEST, Figures
from benchmarks.measuring import Say, measure
from benchmarks.peers.base import Peer
from benchmarks.processes import PeerError
from benchmarks.redis_server import Redis
from benchmarks.workloads.base import Sizes
from devbroker.broker import BrokerError
from tests.kafka import ApacheKafkaError


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    sizes = Sizes(jobs=options.jobs, slots=options.slots)
    workloads = [WORKLOADS[name](sizes) for name in options.workloads or WORKLOADS]
    figures = Figures(machine.describe())
    say = lambda text: console.print(text, markup=False)  # noqa: E731 - a name for one line
    peers = _installed([PEERS[name]() for name in options.peers or PEERS], say)
    try:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            for broker in _brokers(options):
                on_it = [peer for peer in peers if peer.broker == "kafka"]
                with place.kafka(broker, options.kafka) as address:
                    here = place.Place(Path(folder), kafka=address)
                    measure(figures, workloads, on_it, here, broker, options.runs, say)
            on_redis = [peer for peer in peers if peer.broker == "redis"]
            if on_redis:
                with Redis(Path(folder) / "redis") as redis:
                    here = place.Place(Path(folder), redis=redis.address)
                    measure(figures, workloads, on_redis, here, "redis", options.runs, say)
    except (ApacheKafkaError, BrokerError, PeerError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    report.show(console, figures, workloads)
    figures.write(options.json)
    console.print(f"\n{options.json}")
    return 0


def _installed(peers: list[Peer], say: Say) -> list[Peer]:
    """Those that can be had."""
    found = []
    for peer in peers:
        try:
            peer.install()
        except PeerError as exc:
            say(f"{peer.name} is left out: {exc}")
        else:
            found.append(peer)
    return found


def _brokers(options: argparse.Namespace) -> list[str]:
    return ["kafka", "embedded"] if options.broker == "both" else [options.broker]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", choices=[*WORKLOADS, []], help="all if none is named"
    )
    parser.add_argument("--peers", nargs="*", choices=[*PEERS], help="all unless given")
    parser.add_argument("--runs", type=int, default=3, help="medians are of so many (3)")
    parser.add_argument("--broker", choices=["kafka", "embedded", "both"], default="both")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="this broker, as `--broker kafka`")
    parser.add_argument("--jobs", type=int, default=Sizes.jobs, help="of the drain (50,000)")
    parser.add_argument("--slots", type=int, default=Sizes.slots, help="of the drain (200)")
    parser.add_argument("--json", type=Path, default=LATEST, help="where figures are kept")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
