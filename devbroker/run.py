"""Runs the worker, beside a broker of its own if it was given none."""

import os
import signal
import subprocess
import sys
from types import FrameType

from devbroker.broker import Broker
from devbroker.guard import die_with_parent

LOOK_EVERY_S = 0.5
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
GRACE_WITHOUT_BROKER_S = 3.0  # to say goodbye; a worker can finish nothing without its broker
HOST_FLAGS = ("-kh", "--kafka-host")
IN_MEMORY = (
    "This is the embedded broker: it keeps everything in memory and forgets all when it stops."
)


def run(arguments: list[str]) -> int:
    """Runs the worker until it ends, and gives its exit code."""
    kafka = kafka_host(arguments) or os.environ.get("KAFKA")
    signals = Signals()
    if kafka:
        kafka = with_port(kafka)
        say(f"Kafka: {kafka}")
        return run_worker(arguments, kafka, signals, broker=None)
    with Broker() as broker:
        say(f"Kafka: {broker.address}")
        say(IN_MEMORY)
        return run_worker(arguments, broker.address, signals, broker)


def kafka_host(arguments: list[str]) -> str | None:
    """The worker's own -kh HOST[:PORT], in the forms that its parser takes; the last one counts."""
    found = None
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag not in HOST_FLAGS:
            continue
        if not equals:
            value = "".join(arguments[place + 1 : place + 2])
        if value:
            found = with_port(value)
    return found


def with_port(hosts: str) -> str:
    """``host:port``, or several, as the worker reads them."""
    parts = [part.strip().removeprefix("kafka://") for part in hosts.split(",")]
    return ",".join(part if ":" in part else f"{part}:9092" for part in parts)


def run_worker(arguments: list[str], kafka: str, signals: "Signals", broker: Broker | None) -> int:
    if signals.pending:  # Ctrl-C while the broker was starting
        return 128 + signals.pending[0]
    worker = subprocess.Popen(
        [sys.executable, "app.py", *arguments],
        env=os.environ | {"KAFKA": kafka},
        # Out of the terminal's reach: a Ctrl-C comes to us, and from us to the worker, once.
        # Otherwise it would get one from the terminal and one from us, and the second means
        # "don't drain".
        process_group=0,
        # If we are killed, the broker goes; a worker without one would try for ever.
        preexec_fn=_end_with_parent if broker else _drain_with_parent,
    )
    signals.forward_to(worker)
    while True:
        try:
            code = worker.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            broker = _watch(broker, worker)
        else:
            return code if code >= 0 else 128 - code


def _watch(broker: Broker | None, worker: "subprocess.Popen[bytes]") -> Broker | None:
    """Ends the worker if its broker has died: what that one held can't come back."""
    if broker is None or broker.alive:
        return broker
    print(
        "error: the embedded broker has died, and what it held is gone; the worker ends.\n"
        f"It said last:\n{broker.log_tail()}",
        file=sys.stderr,
        flush=True,
    )
    worker.terminate()
    try:
        worker.wait(GRACE_WITHOUT_BROKER_S)
    except subprocess.TimeoutExpired:
        worker.kill()
    return None  # said once


def _drain_with_parent() -> None:
    die_with_parent(signal.SIGTERM)


def _end_with_parent() -> None:
    # With us goes the broker, and a worker can finish nothing without it: it would try for long.
    die_with_parent(signal.SIGKILL)


class Signals:
    """Passes signals on to the worker; those that came before it are kept for it.

    A signal handler can run between any two lines, so a Ctrl-C during the start must neither leave
    a broker behind nor start a worker that nobody will stop.
    """

    def __init__(self) -> None:
        self.pending: list[int] = []
        self._worker: subprocess.Popen[bytes] | None = None
        for signum in FORWARDED:
            signal.signal(signum, self._received)

    def forward_to(self, worker: "subprocess.Popen[bytes]") -> None:
        self._worker = worker
        while self.pending:
            worker.send_signal(self.pending.pop(0))

    def _received(self, signum: int, _frame: FrameType | None) -> None:
        # The worker knows neither hang-up nor quit; for it, both are a request to end.
        signum = signal.SIGTERM if signum in (signal.SIGHUP, signal.SIGQUIT) else signum
        if self._worker is None:
            self.pending.append(signum)
        else:
            self._worker.send_signal(signum)


def say(line: str) -> None:
    print(line, flush=True)  # at once, also into a pipe: scripts wait for the address
