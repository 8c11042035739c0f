"""``python app.py -p 8080 …``: the seed service's flags, then the same worker as ``faust``'s."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

# flag, setting, what the seed calls it
_FLAGS = (
    ("-p", "JOBS_PORT", "HTTP port (8080)"),
    ("-t", "JOBS_TIMEOUT", "ceiling over the timeout of every job, in ms (none)"),
    ("-kh", "KAFKA", "Kafka's host, with or without a port (localhost:9092)"),
    ("-twrk", "JOBS_WORKERS", "slots for first attempts (10)"),
    ("-rwrk", "JOBS_RERUN_WORKERS", "slots for reruns (10)"),
)


def flags(argv: Sequence[str]) -> dict[str, str]:
    """The settings that the flags name. Unknown flags: a usage line, exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Run a worker. All else is set in the environment: see docs/settings.md.",
        allow_abbrev=False,
    )
    for flag, name, text in _FLAGS:
        long = {"-kh": ["--kafka-host"]}.get(flag, [])
        parser.add_argument(flag, *long, dest=name, help=text, metavar="VALUE")
    known = {option for action in parser._actions for option in action.option_strings}
    for arg in argv:  # argparse would take -k for -kh, and -twrk5 for -t wrk5
        if arg.startswith("-") and not arg[1:].isdigit() and arg.partition("=")[0] not in known:
            parser.error(f"unrecognized arguments: {arg}")
    found = {name: value for name, value in vars(parser.parse_args(argv)).items() if value}
    if re.fullmatch(r"\d{1,15}", found.get("JOBS_TIMEOUT", ""), re.ASCII):
        found["JOBS_TIMEOUT"] += "ms"
    return found


def _loop() -> list[str]:
    return ["--loop", "uvloop"] if find_spec("uvloop") else []  # there is none for Windows


def run_with_flags(app_file: str) -> NoReturn:
    """Become ``faust -A app worker -l info`` with the flags as settings.

    The process is replaced, so that signals and the exit code are the worker's own, and the
    module ``app`` isn't imported twice (as ``__main__`` too), which would make two apps.
    """
    folder = Path(app_file).resolve().parent
    environ = {**os.environ, **flags(sys.argv[1:])}
    environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(folder), environ.get("PYTHONPATH", "")))
    )
    faust = [
        sys.executable,
        "-m",
        "faust",
        "-A",
        "app",
        "--quiet",
        *_loop(),
        "worker",
        "-l",
        "info",
    ]
    sys.stdout.flush()
    os.execve(sys.executable, faust, environ)
