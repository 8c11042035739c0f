"""What a row's bytes tell before they are decoded. Of a million rows a filter lets few through."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce

from web.listing import Query

_HEAD = b'{"status":"'  # of a row that a worker wrote
# A name that stands in JSON as it is. No handler has none, and that isn't written at all.
_PLAIN = re.compile(r"[A-Za-z0-9 !#-.:-@^_~]+", re.ASCII)


Check = Callable[[bytes], object]


def glance(query: Query) -> Check | None:
    """A check of a row's bytes, which is never false for one that ``query.matches`` lets through;
    ``None``: nothing is asked for that bytes could tell."""
    checks: list[Check] = []
    if query.statuses:
        # Those that another program wrote may begin otherwise.
        heads = [re.escape(_HEAD + status.encode() + b'"') for status in query.statuses]
        other = b"(?!%s)" % re.escape(_HEAD)
        checks.append(re.compile(b"|".join([*heads, other])).match)
    if query.error:
        checks.append(re.compile(b'"error"').search)
    if query.handlers and all(map(_PLAIN.fullmatch, query.handlers)):
        names = [re.escape(b'"%s"' % name.encode()) for name in query.handlers]
        checks.append(re.compile(b"|".join(names)).search)
    return reduce(_both, checks) if checks else None


def _both(first: Check, second: Check) -> Check:
    return lambda row: first(row) and second(row)
