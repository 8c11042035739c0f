"""Which URLs can be called, and how messages show them."""

from __future__ import annotations

import re

from yarl import URL

MAX_URL_CHARS = 8_000


def checked_url(text: str) -> URL:
    """A URL that can be called.

    Raises:
        ValueError: it can't.
    """
    if len(text) > MAX_URL_CHARS or re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError(f"url has spaces or control characters, or over {MAX_URL_CHARS} of them")
    try:
        url = URL(text)
    except ValueError as exc:
        raise ValueError(f"url can't be read: {exc}") from None
    if url.scheme not in ("http", "https") or not url.host or not url.port:
        raise ValueError("url must be http://… or https://…, with a host")
    if url.user is not None or url.password is not None:
        raise ValueError("url has a user or password: put them into a header Authorization")
    return url


def shown(url: URL) -> str:
    """For messages: without the query, which may hold keys."""
    return str(url.with_query(None).with_fragment(None))[:300]
