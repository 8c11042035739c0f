"""Where a handler raised: the frames of its own, without those that run it."""

from __future__ import annotations

import asyncio
import concurrent
import os
import sys
import traceback
from pathlib import Path

_HERE = Path(__file__).parent
_OURS = (
    f"{_HERE}{os.sep}",
    f"{_HERE.with_name('agents')}{os.sep}",
    *(f"{path}{os.sep}" for package in (asyncio, concurrent) for path in package.__path__),
)


def traced(error: BaseException) -> str:
    """The frames as text, the last one last; nothing if all are ours.

    Files are named as imports find them: whoever may read a job needn't learn how the worker's
    machine is laid out, and a trace stays the same from one machine to another.
    """
    roots = sorted((f"{path.rstrip(os.sep)}{os.sep}" for path in sys.path if path), key=len)
    shown = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_OURS)
    ]
    for frame in shown:
        # Its lines have been read by now. No frame of its own: of one that is made with a `line`,
        # Python 3.13 has that line only, and fails to show a statement of several.
        frame.filename = _short(frame.filename, roots)
    return "".join(traceback.format_list(shown))


def _short(filename: str, roots: list[str]) -> str:
    """Without the longest folder of ``sys.path`` that it is in."""
    root = next((root for root in reversed(roots) if filename.startswith(root)), "")
    return filename[len(root) :]
