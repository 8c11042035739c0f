"""Jobs in a file or a stream, one a line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from agents.admission import check
from jobs.codec import decode_request
from jobs.errors import InvalidRequest
from jobs.registry import Registry

BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A job's request, as it stands there. ``number`` counts all lines, from 1; ``digest`` is of
    all lines up to this one, the blank ones left out."""

    number: int
    value: bytes
    digest: str


class BadLine(Exception):
    """A line that can't be a job; the text names it and the field."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"line {number}: {why}")
        self.number = number


Check = Callable[[Line], None]


class Lines:
    """Makes lines of bytes, as they come."""

    def __init__(self, max_bytes: int) -> None:
        """``max_bytes``: of a line; what is longer is never held as a whole."""
        self._max_bytes = max_bytes
        self._rest = b""
        self._number = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def feed(self, data: bytes) -> Iterator[Line]:
        """The lines that end in ``data``; none of it: the last line.

        Raises:
            BadLine: one is too long.
        """
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = b""
        if not data:
            whole, rest = [*whole, rest], b""
        for text in whole:
            yield from self._line(text)
        if len(rest) > self._max_bytes:
            yield from self._line(rest)
        self._rest = rest

    def _line(self, text: bytes) -> Iterator[Line]:
        self._number += 1
        value = (text.removeprefix(BOM) if self._number == 1 else text).strip()
        if len(value) > self._max_bytes:
            why = f"it is longer than the {self._max_bytes} bytes that a job may have"
            raise BadLine(self._number, f"{why} (each line is a job of its own)")
        if value:
            self._digest.update(b"%d %b\n" % (self._number, value))
            yield Line(self._number, value, self._digest.hexdigest())


def checker(registry: Registry, max_row_bytes: int, *, any_handler: bool = False) -> Check:
    """What raises ``BadLine`` for a line that ``POST /job`` would refuse.

    Args:
        any_handler: leave it to workers which handlers there are, and what data they take.
    """

    def look(line: Line) -> None:
        try:
            request = decode_request(line.value)
            if not any_handler:
                check(request, registry, max_row_bytes)
        except InvalidRequest as exc:
            raise BadLine(line.number, _hinted(exc)) from None

    return look


def _hinted(error: InvalidRequest) -> str:
    if error.field is None:
        return f"{error} (each line is a job of its own)"
    if error.field == "handler" and "no handler is named" in str(error):
        return f"{error}; name its module in JOBS_HANDLERS, or leave it to workers: --any-handler"
    return str(error)
