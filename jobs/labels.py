"""What the headers of a job's record say of it: its idempotency key, and whose replay it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from jobs.errors import InvalidId
from jobs.model import JobId, scoped

KEY_HEADER = "idempotency-key"
REPLAY_HEADER = "replay-of"
MAX_KEY_CHARS = 255
_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARS}}}")
_DIGEST_BYTES = 16


class Labels(NamedTuple):
    """``key``: of two records of a partition with the same key only the first one's job runs, for
    as long as its row lives. ``digest``: what the key stands for, so that it can't stand for
    something else. ``replay_of``: the id of the job that this one repeats; it has keys of its
    own."""

    key: str | None = None
    digest: str | None = None
    replay_of: str | None = None

    @classmethod
    def made(cls, value: bytes, key: str | None, replay_of: str | None = None) -> Labels:
        """Of a request that is to be written."""
        return cls(key, None if key is None else _digest(value, replay_of), replay_of)

    @classmethod
    def of(cls, headers: Sequence[tuple[str, bytes | None]], value: bytes | None) -> Labels:
        """Of a record; headers that can't be right are none."""
        if not headers:
            return NO_LABELS  # as nearly all records
        found = dict(headers)
        key = _text(found.get(KEY_HEADER))
        replay_of = _text(found.get(REPLAY_HEADER))
        if key is not None and not is_key(key):
            key = None
        try:
            JobId.parse(replay_of or "")
        except InvalidId:
            replay_of = None
        return cls.made(value or b"", key, replay_of)

    @property
    def scoped(self) -> str | None:
        """The key as it is looked up; ``None``: there is none."""
        return scoped(self.key, self.replay_of)

    def headers(self) -> list[tuple[str, bytes]]:
        """How the job's record says so."""
        pairs = ((KEY_HEADER, self.key), (REPLAY_HEADER, self.replay_of))
        return [(name, text.encode("ascii")) for name, text in pairs if text is not None]


NO_LABELS = Labels()


def is_key(text: str) -> bool:
    """Whether a text can be an idempotency key."""
    return _KEY.fullmatch(text) is not None


def partition_of(key: str, partitions: int) -> int:
    """The partition of the job of a key: the first 8 bytes of the key's SHA-256, big-endian,
    modulo the number of partitions. Workers of all versions must agree on it."""
    return int.from_bytes(hashlib.sha256(key.encode("ascii")).digest()[:8]) % partitions


def _digest(value: bytes, replay_of: str | None) -> str:
    digest = hashlib.blake2b(value, digest_size=_DIGEST_BYTES)
    digest.update(b"" if replay_of is None else b"\0" + replay_of.encode())
    return digest.hexdigest()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("ascii", "replace")
