"""`python -m tests.kafka [--data FOLDER | --brokers N] COMMAND…`: the command beside Apache Kafka.

The command finds the broker's address in KAFKA. The exit code is the command's own.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from devbroker.guard import die_with_parent
from tests.kafka.cluster import ApacheKafkaCluster
from tests.kafka.server import ApacheKafka, ApacheKafkaError

USUAL_PORT = 9092


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command:
        print("which command? python -m tests.kafka make test, say", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _stop)
    try:
        if options.brokers > 1:
            with ApacheKafkaCluster(options.brokers) as cluster:
                print(f"Apache Kafka: {cluster.address}; what it holds is gone when it stops.")
                sys.stdout.flush()
                return run(options.command, cluster.address)
        # A folder that lasts is a developer's broker: at the usual port, if nobody has it.
        with ApacheKafka(options.data, port=USUAL_PORT if options.data else 0) as kafka:
            where = f"is kept in {options.data}" if options.data else "is gone when it stops"
            print(f"Apache Kafka: {kafka.address}; what it holds {where}.", flush=True)
            return run(options.command, kafka.address)
    except ApacheKafkaError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run(command: list[str], address: str) -> int:
    """Runs the command until it ends; a SIGTERM is passed on to it."""
    # What the terminal sends reaches the command as well, which ends in its own way; the broker
    # stays until it has. A handler, as to ignore a signal would be inherited by the command.
    signal.signal(signal.SIGINT, _leave_to_the_command)
    signal.signal(signal.SIGHUP, _leave_to_the_command)
    child = subprocess.Popen(
        command, env=os.environ | {"KAFKA": address}, preexec_fn=_end_with_parent
    )
    signal.signal(signal.SIGTERM, lambda signum, _frame: child.send_signal(signum))
    code = child.wait()
    return code if code >= 0 else 128 - code


def _stop(_signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


def _leave_to_the_command(_signum: int, _frame: FrameType | None) -> None:
    pass


def _end_with_parent() -> None:
    die_with_parent(signal.SIGTERM)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kafka", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--data", type=Path, help="a folder that keeps what the broker holds")
    what.add_argument("--brokers", type=int, default=1, help="so many, as one cluster")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
