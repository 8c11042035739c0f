"""Which headers a job may give."""

from __future__ import annotations

import re
from collections.abc import Mapping

# The connection is ours, and what a receiver trusts must come from the worker: all of `X-Job-…`,
# the signature too, and the key by which a receiver knows a job again.
_REFUSED_HEADERS = re.compile(
    "host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|"
    "proxy-connection|proxy-authorization|proxy-authenticate|accept-encoding|"
    "idempotency-key|x-job-.*"
)
# Behind many servers (CGI, WSGI, PHP) a name's other signs are all the same as a dash.
_LIKE_A_DASH = re.compile(r"[^a-z0-9]")
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
        if _REFUSED_HEADERS.fullmatch(_LIKE_A_DASH.sub("-", low)):
            raise ValueError(f"headers: {name} is set by the worker")
        if low in seen:
            raise ValueError(f"headers: {name} stands there twice")
        seen.add(low)
