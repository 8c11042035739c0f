"""Importing the modules that ``JOBS_HANDLERS`` names; their ``@handler`` functions register."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterable

from jobs.registry import HANDLERS
from jobs.schedules import SCHEDULES


class HandlersError(Exception):
    """A module can't be imported; the text says which, and why."""


def load_handlers(modules: Iterable[str]) -> None:
    """Import modules; those of the working directory can be named, too.

    Raises:
        HandlersError: one fails to import. Its own exception is the cause.
    """
    # Faust takes the working directory off the path once it has imported `app`.
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    for name in modules:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as exc:
            raise HandlersError(
                f"JOBS_HANDLERS: module {name!r} can't be imported: {type(exc).__name__}: {exc}"
            ) from exc


def check_schedules() -> None:
    """Once all modules are imported: what a schedule names must be there.

    Raises:
        HandlersError: a schedule's handler isn't.
    """
    try:
        SCHEDULES.check(HANDLERS)
    except ValueError as exc:
        raise HandlersError(f"JOBS_HANDLERS: {exc}") from None


def load_or_exit(modules: Iterable[str]) -> None:
    """``load_handlers``; a failure is told, with where it came from, and ends with code 2."""
    try:
        load_handlers(modules)
        check_schedules()
    except HandlersError as exc:
        cause = exc.__cause__
        trace = traceback.extract_tb(cause.__traceback__) if cause is not None else []
        for frame in [f for f in trace if "importlib" not in f.filename][-3:]:
            print(f"  {frame.filename}:{frame.lineno}: {frame.line}", file=sys.stderr)
        print(f"error: {exc}", file=sys.stderr)
        raise SystemExit(2) from None
