"""``faust.Worker`` that looks before it starts, and says what is wrong in a line."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal as signals
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

import faust.worker
from faust.types import AppT
from mode import ServiceT

from worker.logs import JsonFormatter, say, use_json

if TYPE_CHECKING:  # the app names this class
    from worker.app import JobsApp


STOP_S = 10.0
"""How long a worker that is told to stop while it starts may take. mode 0.7.1 stops services that
it is starting, and one may wait for ever for another; whatever stands in the log is safe."""


class StartError(Exception):
    """The worker can't start; the text is for the person who started it."""


class JobsWorker(faust.worker.Worker):
    """What ``faust -A app worker`` runs."""

    app: JobsApp
    up = False  # whether the start is over

    def __init__(self, app: AppT, *services: ServiceT, **kwargs: Any) -> None:
        # What we print is for people; Faust's command would make warnings of it.
        super().__init__(app, *services, **{**kwargs, "redirect_stdouts": False})

    def execute_from_commandline(self) -> NoReturn:
        """Check port and broker first: a plain line and exit code 1 when they can't be had."""
        # Until mode's own handlers are there, these end the start, and that is no failure.
        signals.signal(signals.SIGTERM, _end)
        signals.signal(signals.SIGINT, _end)
        if self.app.log_json:
            use_json(self.app.worker_name)
        try:
            if self.app.conf.web_enabled:
                _check_port(self.app.conf.web_bind, self.app.conf.web_port)
            if self.app.before_start is not None:
                self.loop.run_until_complete(self.app.before_start())
        except StartError as exc:
            say(str(exc), level=logging.ERROR)
            raise SystemExit(1) from None
        _collect_less()
        super().execute_from_commandline()

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        """Keep the libraries' running commentary for ``-l debug``: at info they print pages."""
        super().on_setup_root_logger(logger, level)
        for handler in logger.handlers:
            if self.app.log_json:
                handler.setFormatter(JsonFormatter(self.app.worker_name))
            if level >= logging.INFO:  # who asks for debug wants to see all
                handler.addFilter(self.app.once)
        if level >= logging.INFO:
            for name in ("aiokafka", "faust", "mode", "worker"):  # services log as their module
                logging.getLogger(name).setLevel(max(level, logging.WARNING))

    async def on_started(self) -> None:
        """All services have started."""
        self.up = True
        await super().on_started()
        if self._signal_stop_future is not None:
            # When we return, mode 0.7.1 stops the loop and runs it again for the rest of the stop.
            # uvloop 0.23 keeps a signal of that moment until the next one comes: a second SIGTERM
            # would find a drain that goes on for the whole grace.
            await asyncio.shield(self._signal_stop_future)

    def _schedule_shutdown(self, signal: signals.Signals) -> None:
        if not self.up:
            _end_in_time(signal)
        if self._signal_stop_time and self.app.hurry is not None:
            self.app.hurry()  # a second signal: don't wait for running attempts
        super()._schedule_shutdown(signal)

    def _on_sigint(self) -> None:
        self._flag_as_shutdown_by_signal()  # without mode's "-INT- -INT-" on the terminal
        self._schedule_shutdown(signals.SIGINT)


def _end(number: int, frame: object) -> NoReturn:
    # An exception would be lost in a destructor or in the callback of a weak reference, and the
    # signal with it. Nothing runs yet that had to be told.
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # it may be in the middle of it
        sys.stdout.flush()
    os._exit(_code(number))


def _code(number: int) -> int:
    return 0 if number == signals.SIGTERM else 130


def _end_in_time(number: int) -> None:
    def end() -> None:
        time.sleep(STOP_S)
        say(f"the start couldn't be stopped in {STOP_S:g}s: ending it", level=logging.WARNING)
        os._exit(_code(number))

    threading.Thread(target=end, daemon=True).start()


def _collect_less() -> None:
    """Look for cycles among what lives on less often: what a job leaves has none, and what is
    there at the start stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _check_port(bind: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((bind, port))
    except OSError as exc:
        raise StartError(
            f"HTTP can't listen on {bind}:{port} ({exc.strerror or exc}): choose another port "
            "with -p or JOBS_PORT, or another address with JOBS_BIND"
        ) from None


__all__ = ["JobsWorker", "StartError"]
