"""What all commands have in common: options, output, errors, exit codes.

Exit codes, for scripts:

    0    done
    1    done, and something was found (differences, problems), or it ended half-way
    2    wrong input, or no Kafka: nothing was sent
    130  Ctrl-C
    141  nobody reads the output any more (``| head``)
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

import click
from aiokafka.errors import KafkaError
from faust.cli import AppCommand, argument, option

from commands.output import Output
from log.access import AccessDenied
from log.topics import BrokerError, TopicsError
from log.writer import NotWritten

_LIBRARIES = ("aiokafka", "faust", "mode", "asyncio")  # their errors reach us as exceptions, too


class CommandError(Exception):
    """What was asked for can't be done. The text is one line that says what to do; nothing has
    been sent, unless ``code`` is 1."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


class PlainCommand(AppCommand):
    """A command that prints something. Subclasses have ``run``, which may return an exit code, and
    ``arguments``, which it gets, made by ``option`` and ``argument``.

    It is run with no ``mode.Worker`` around it, which takes a second and more to stop.
    """

    abstract: ClassVar[bool] = True
    common: ClassVar[Sequence[Any]] = (
        option("--json", "as_json", is_flag=True, help="JSON instead of a table."),
    )

    arguments: ClassVar[Sequence[Any]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.options = [*cls.arguments, *cls.common]
        super().__init_subclass__(**kwargs)

    def __init__(self, ctx: click.Context, *args: Any, as_json: bool = False, **given: Any) -> None:
        super().__init__(ctx, *args, **given)
        _open_what_is_closed()
        self.json = self.json or as_json
        self.out = Output(as_json=self.json, quiet=self.quiet)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run it, and exit. Whatever can be told in a line is no traceback."""
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr] # of a real process
        self._quieten()
        try:
            try:
                code = asyncio.run(self._run())
            except CommandError as exc:
                self.out.error(str(exc))
                code = exc.code
            except NotWritten as exc:
                self.out.error(f"{exc}; what was sent before may be in the log")
                code = 1
            except (AccessDenied, BrokerError, TopicsError) as exc:
                self.out.error(str(exc))
                code = 2
            except KafkaError as exc:
                self.out.error(f"Kafka doesn't answer as it should: {exc or type(exc).__name__}")
                code = 2
            self.out.flush()
            sys.stdout.flush()
        except BrokenPipeError:
            self._abandon()
            code = 141
        except OSError as exc:
            self.out.error(f"it ended half-way: {exc}")
            self._abandon()
            code = 1
        except KeyboardInterrupt:
            code = 130
        sys.exit(code)

    def _abandon(self) -> None:
        """At its end Python writes what is left once more; that would fail again, and be told."""
        with open(os.devnull, "wb") as nowhere:
            for stream in (sys.stdout, self.out.console.file):
                os.dup2(nowhere.fileno(), stream.fileno())

    async def _run(self) -> int:
        try:
            return await self.run(*self.args, **self.kwargs) or 0
        finally:
            await self.on_stop()

    def _quieten(self) -> None:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
        if self.loglevel.upper() != "DEBUG":
            for name in _LIBRARIES:
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _open_what_is_closed() -> None:
    """A parent may have closed our streams (``2>&-``); then Python has ``None`` for them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - it stays


__all__ = ["CommandError", "PlainCommand", "argument", "option"]
