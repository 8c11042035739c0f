"""What pages have in common."""

from __future__ import annotations

import re

# Of a page whose files come from /assets/.
FILES_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


PAGES = frozenset({"/", "/docs"})
"""Those that a browser is sent back to once it has logged in."""

LOGIN = "/login?next={}"


def base_url(scheme: str, host: str, otherwise: str) -> str:
    """The address by which this page was asked for, if it can stand in a shell command as it is
    (the host is whatever the client wrote)."""
    plain = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?", host, re.ASCII)
    return f"{scheme}://{host}" if plain else otherwise.rstrip("/")
