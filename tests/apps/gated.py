"""A job function whose module takes its time to be imported in a process: until a file is there."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

from jobs import Context, handler

if multiprocessing.parent_process() is not None:
    named = Path(os.environ["AT_THE_GATE"])
    unfinished = named.with_name(f"{os.getpid()}.new")
    unfinished.write_text(str(os.getpid()))
    unfinished.replace(named)
    while not Path(os.environ["GATE"]).exists():
        time.sleep(0.01)


@handler("p-gated", process=True)
def gated(ctx: Context, data: Any) -> int:
    """Its process's id; or nothing, ever."""
    while data == "hang":
        pass
    return os.getpid()
