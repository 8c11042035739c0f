"""Every call: (method, path) → what it is for, what it takes, what it answers."""

from __future__ import annotations

from web.reference.jobs import CALLS as JOBS
from web.reference.model import Call
from web.reference.worker import CALLS as WORKER

CALLS: dict[tuple[str, str], Call] = {**JOBS, **WORKER}
