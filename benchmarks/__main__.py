"""`python -m benchmarks`: one command, one table; see docs/performance.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import docs, machine, place, report, smoke
from benchmarks.catalogue import PEERS, WORKLOADS
from benchmarks.figures import LATEST, Figures
from benchmarks.measuring import Say, measure
from benchmarks.peers.base import Peer
from benchmarks.processes import PeerError
from benchmarks.redis_server import Redis
from benchmarks.workloads.base import Sizes, Workload
from devbroker.broker import BrokerError
from tests.kafka import ApacheKafkaError


def main(arguments: list[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.smoke or options.docs) and (options.workloads or options.peers):
        parser.error("--smoke and --docs have their own workloads and peers: name none")
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    try:
        if options.docs:
            return _docs(options)
        return _smoke(options, console) if options.smoke else _bench(options, console)
    except (ApacheKafkaError, BrokerError, PeerError, docs.PageError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _docs(options: argparse.Namespace) -> int:
    if not options.json.exists():
        print(f"error: {options.json} isn't there; `make bench` writes it", file=sys.stderr)
        return 1
    try:
        docs.write(Figures.read(options.json))
    except ValueError as exc:
        raise PeerError(f"--json: {exc}") from None
    return 0


def _smoke(options: argparse.Namespace, console: Console) -> int:
    say = _say(console)
    drain = [WORKLOADS["drain"](Sizes(jobs=smoke.JOBS, slots=options.slots))]
    peers = [PEERS[name]() for name in smoke.PEERS]
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        place.any_kafka(options.broker, options.kafka) as (broker, address),
    ):
        say(f"broker: {broker}")
        here = place.Place(Path(folder), kafka=address)

        def once() -> Figures:
            figures = Figures(machine.describe())
            measure(figures, drain, peers, here, broker, 1, say)
            return figures

        wrong = smoke.judge(smoke.read()[broker], once, say)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _bench(options: argparse.Namespace, console: Console) -> int:
    say = _say(console)
    rates = tuple(options.rates or Sizes.rates)
    rows = tuple(options.rows or Sizes.rows)
    sizes = Sizes(options.jobs, options.slots, rates, options.seconds, rows)
    workloads = [WORKLOADS[name](sizes) for name in options.workloads or WORKLOADS]
    try:
        Figures.check(options.json)
    except ValueError as exc:
        raise PeerError(f"--json: {exc}") from None
    figures = Figures(machine.describe())
    peers = _installed([PEERS[name]() for name in options.peers or PEERS], say)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        for broker in _brokers(options):
            on_it = [peer for peer in peers if peer.broker == "kafka"]
            try:
                with place.kafka(broker, options.kafka) as address:
                    here = place.Place(Path(folder), kafka=address)
                    for each in workloads:
                        measure(figures, [each], on_it, here, broker, options.runs, say)
                        figures.update(options.json)  # at once: the rest takes long
            except (ApacheKafkaError, BrokerError) as exc:
                if options.broker != "both":
                    raise
                say(f"without {broker}: {exc}")
        on_redis = [peer for peer in peers if peer.broker == "redis"]
        if on_redis:
            _on_redis(figures, workloads, on_redis, Path(folder), options, say)
    report.show(console, figures, workloads)
    console.print(f"\n{options.json}")
    return 0 if any(row.runs for rows in figures.tables.values() for row in rows) else 1


def _on_redis(
    figures: Figures,
    workloads: list[Workload],
    peers: list[Peer],
    folder: Path,
    options: argparse.Namespace,
    say: Say,
) -> None:
    """Where there is no Redis, that is said, and the figures of all others stay."""
    try:
        with Redis(folder / "redis") as redis:
            here = place.Place(folder, redis=redis.address)
            for each in workloads:
                measure(figures, [each], peers, here, "redis", options.runs, say)
                figures.update(options.json)
    except PeerError as exc:
        say(f"without peers on Redis: {exc}")


def _say(console: Console) -> Say:
    return lambda text: console.print(text, markup=False)


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
    if options.kafka and options.broker == "both":
        return ["kafka"]
    return ["kafka", "embedded"] if options.broker == "both" else [options.broker]


def _workload(name: str) -> str:
    if name not in WORKLOADS:
        raise argparse.ArgumentTypeError(f"none is named {name!r} ({', '.join(WORKLOADS)})")
    return name


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} isn't a count")
    return int(text)


def _positive(text: str) -> int:
    if not _count(text):
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "workloads",
        nargs="*",
        type=_workload,
        metavar="WORKLOAD",
        help=f"{', '.join(WORKLOADS)}; all if none is named",
    )
    parser.add_argument("--peers", nargs="+", choices=[*PEERS], help="all unless given")
    parser.add_argument("--runs", type=_positive, default=3, help="medians are of so many (3)")
    parser.add_argument("--broker", choices=["kafka", "embedded", "both"], default="both")
    parser.add_argument(
        "--kafka",
        metavar="HOST:PORT",
        default=os.environ.get("KAFKA"),
        help="this one, in place of one that is started; alone unless --broker says embedded",
    )
    parser.add_argument("--jobs", type=_positive, default=Sizes.jobs, help="of the drain (50,000)")
    parser.add_argument("--slots", type=_positive, default=Sizes.slots, help="of the drain (200)")
    parser.add_argument(
        "--rates", nargs="+", type=_positive, help="of the steady rate (100 500 1000)"
    )
    parser.add_argument(
        "--seconds", type=_positive, default=Sizes.seconds, help="of each of them (20)"
    )
    parser.add_argument("--rows", nargs="+", type=_count, help="behind it (0 100000 1000000)")
    parser.add_argument("--smoke", action="store_true", help="small, and held against floor.json")
    parser.add_argument("--docs", action="store_true", help="writes the docs' figures anew")
    parser.add_argument("--json", type=Path, default=LATEST, help="where figures are kept")
    return parser


if __name__ == "__main__":
    # What it has started ends with it, also when it is told to end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
