"""Which headers a job may give."""

from __future__ import annotations

import re
from collections.abc import Mapping

# The connection is ours, and what a receiver trusts must come from the worker.
_REFUSED_HEADERS = re.compile(
    "host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|"
    "proxy-connection|proxy-authorization|proxy-authenticate|accept-encoding|"
    "x-job-id|x-job-attempt|x-job-signature"
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}", re.ASCII)
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{0,8000}")


def check_headers(headers: Mapping[str, str]) -> None:
    """Check what a job gives.

    Raises:
        ValueError: one can't be sent, or is set by the worker.
    """
    seen = set()
    for name, value in headers.items():
        low = name.lower()
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"headers: {name[:60]!r} is no name of a header")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"headers: the value of {name} has a line break, or is too long")
        if _REFUSED_HEADERS.fullmatch(low):
            raise ValueError(f"headers: {name} is set by the worker")
        if low in seen:
            raise ValueError(f"headers: {name} stands there twice")
        seen.add(low)
