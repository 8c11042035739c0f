"""Where a handler raised: the frames of its own, without those that run it."""

from __future__ import annotations

import asyncio
import concurrent
import os
import traceback
from pathlib import Path

_HERE = Path(__file__).parent
_OURS = (
    f"{_HERE}{os.sep}",
    f"{_HERE.with_name('agents')}{os.sep}",
    *(f"{path}{os.sep}" for package in (asyncio, concurrent) for path in package.__path__),
)


def traced(error: BaseException) -> str:
    """The frames as text, the last one last; nothing if all are ours."""
    frames = traceback.extract_tb(error.__traceback__)
    return "".join(traceback.format_list([f for f in frames if not f.filename.startswith(_OURS)]))
