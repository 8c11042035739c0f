"""What the log has of a submission already, by its idempotency keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from jobs.labels import KEY_HEADER, MAX_KEY_CHARS
from log.reader import LogReader, Record

MAX_NAME_CHARS = MAX_KEY_CHARS - 12  # a colon and the line's number follow


def key_of(name: str, line: int) -> str:
    """The idempotency key of a line."""
    return f"{name}:{line}"


def line_of(record: Record, name: str) -> int | None:
    """Which line of a submission a record is; ``None``: it is none of it."""
    for header, value in record.headers:
        if header == KEY_HEADER and value is not None:
            before, colon, line = value.rpartition(b":")
            if colon and line.isdigit() and len(line) < 12 and before == name.encode("ascii"):
                return int(line)
    return None


class Earlier:
    """Lines that are in the log."""

    def __init__(self) -> None:
        self._hashes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._hashes)

    @property
    def last(self) -> int:
        """The last of them; 0 if there are none."""
        return max(self._hashes, default=0)

    def has(self, line: int) -> bool:
        """Whether a line is there."""
        return line in self._hashes

    def same(self, line: int, value: bytes) -> bool:
        """Whether what is there is this."""
        return self._hashes[line] == _hash(value)

    def put(self, line: int, value: bytes | None) -> None:
        """A line is there; of two records, intake runs the first."""
        self._hashes.setdefault(line, _hash(value or b""))


async def find(
    reader: LogReader,
    topic: str,
    name: str,
    starts: Mapping[int, int],
    advance: Callable[[int], None],
) -> Earlier:
    """Read the log from these places to its end.

    Args:
        advance: called with the number of places that each step has read.
    """
    found, read = Earlier(), dict(starts)
    async for step in reader.scan(topic, starts):
        for number, part in step.items():
            advance(part.next - read[number])
            read[number] = part.next
            for record in part.records:
                line = line_of(record, name)
                if line is not None:
                    found.put(line, record.value)
    return found


def _hash(value: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(value, digest_size=8).digest())
