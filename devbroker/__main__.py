"""`python -m devbroker run -- FLAGS…` and `python -m devbroker serve [--port N]`."""

import argparse
import signal
import sys
import time

from devbroker.broker import Broker, BrokerError
from devbroker.run import IN_MEMORY, run, say


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command == "run":
            return run(options.flags[1:] if options.flags[:1] == ["--"] else options.flags)
        return serve(options.port)
    except BrokerError as error:
        print(error, file=sys.stderr)
        return 1


def serve(port: int | None) -> int:
    """The broker alone, until it is told to stop."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    broker = Broker() if port is None else Broker(port, strict=True)
    try:
        with broker:
            say(f"Kafka: {broker.address}")
            say(IN_MEMORY)
            while broker.alive:
                time.sleep(0.5)
            print(f"The broker has died. It said:\n{broker.log_tail()}", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        return 0


def _stop(_signum: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devbroker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="run the worker, with a broker if KAFKA names none")
    runs.add_argument("flags", nargs=argparse.REMAINDER, help="flags of app.py, after --")
    serves = commands.add_parser("serve", help="run a broker alone, in the foreground")
    serves.add_argument("--port", type=int, help="this port or none; 9092 or a free one if not set")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
