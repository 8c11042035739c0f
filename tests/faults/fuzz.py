"""What nobody would write: records and bodies that are nearly right, and bytes.

All is drawn from one ``random.Random``, so a seed tells what is written, and in which order.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any, NamedTuple

SECONDS = 60 * float(os.environ.get("JOBS_FUZZ_MINUTES", "0.33"))
SEED = int(os.environ.get("JOBS_FUZZ_SEED", "1"))

JOB = {"handler": "echo", "data": {"a": [1, 2]}, "timeout": "1s", "ttl": 1, "delay": "1ms"}
CANCEL = {"id": "0-1", "who": "me", "why": "typo"}
RERUN = {"id": "1-0", "attempt": 2}
ROW = {"status": "done", "submitted_at": 1, "handler": "echo", "result": 5}
KINDS: list[dict[str, Any]] = [JOB, JOB, CANCEL, RERUN, ROW]

# Each stands for a whole value, or gets into the midst of one.
BITS = [
    *(
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'""',
        b'"',
        b",",
        b"\x00",
        b" ",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(b"1e999", b"-1", b"-0", b"0.5", b"1e400", b"9" * 400, b"9223372036854775808", b"NaN"),
    *(b'"\\ud800"', b'"\\u0000"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', '"٣-1"'.encode()),
    *(b"[" * 5_000, b'{"a":' * 300, b"[" * 250 + b"]" * 250, b'"' + b"x" * 20_000 + b'"'),
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 3, 2**31, 2**63, 10**400, 0.5, -1e308, [], {}, [[]], {"a": {"b": 1}}),
    *(
        "",
        "x",
        "fail",
        "simulate",
        "echo",
        "1ms",
        "-1s",
        "1e9h",
        "9" * 50 + "h",
        "\u0000",
        "é" * 500,
    ),
    *("2020-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    *("0-0", "1-99999999", "0-99999999999999999999", "99-1", "-1-1", "0-0-0"),
]
FIELDS = [
    *("data", "timeout", "ttl", "handler", "delay", "run_at", "parent", "id", "attempt", "who"),
    *("why", "status", "next", "worker", "released", "at", "schedule", "offset", "cron", ""),
]
MARKS = [b"owner", b"swept", b"fired-echo", b"since-echo", b"fired-", b"since-\xff", b"fired-\xff"]
KEYS = [
    *(None, b"", b"\xff", b"x" * 999, b"0-", b"-0", b"0-0-0", b"0- 1", b"00-1", "٣-1".encode()),
    *(b"0-99999999999999999999", b"0-9223372036854775807", b"4294967296-0"),
]
# Lower than the second owner's, or none at all. Who can forge a higher one is the owner.
FENCES = [
    *(None, b"", b"0 aaaa", b"1 zzzz", b"1 0", b"-1 a", b"+3 a", b"3", b"3 ", b" 3 a", b"x y"),
    *(b"1 \xff", b"9" * 30 + b" a", "٣ a".encode(), b"3 a-b", b"3\xc2\xa0a", b"0x9 a"),
]
TIMES = [b"0", b"1", b"999999999999999", b"9" * 16, b"-1", b"", b"x", b"\xff", "٣".encode(), None]
NAMES = [b"echo", b"", b"x" * 101, b"\xff", "é".encode(), b"a\x00b", None]

Header = tuple[str, str | bytes | None]


class Record(NamedTuple):
    """A record to write."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]


class Fuzz:
    """Draws from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def value(self) -> bytes | None:
        """A record's value or a body: bytes, or a valid one with something done to it."""
        chance, text = self.chance, self._near()
        at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        match chance.randrange(10):
            case 0:
                return None
            case 1:
                return chance.randbytes(chance.randrange(60))
            case 2:
                return text[:at]
            case 3:
                return text[:at] + chance.choice(BITS) + text[to:]
            case 4:
                return text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :]
            case 5:
                return chance.choice(BITS)
        return text

    def _near(self) -> bytes:
        """A record that some topic could bear, with up to three fields that are others."""
        chance = self.chance
        fields = list(chance.choice(KINDS).items())
        for _ in range(chance.randrange(4)):
            # Beside the one that it replaces at times: then the name stands there twice.
            name = chance.choice(FIELDS)
            if chance.random() < 0.7:
                fields = [field for field in fields if field[0] != name]
            fields.insert(chance.randrange(len(fields) + 1), (name, chance.choice(VALUES)))
        parts = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in fields]
        text = "{" + ", ".join(parts) + "}"
        if chance.random() < 0.05:  # raw, instead of a field's value
            text = text.replace(json.dumps(fields[0][1]), '"@"', 1)
            return text.encode().replace(b'"@"', chance.choice(BITS), 1)
        return text.encode()

    def record(self, partitions: int) -> Record:
        """A record for any topic."""
        chance = self.chance
        place = f"{chance.randrange(partitions)}-{chance.randrange(40)}".encode()
        key = chance.choice([place, place, chance.choice(MARKS), chance.choice(KEYS)])
        fences = chance.choice([0, 1, 1, 2])
        headers: list[Header] = [("fence", chance.choice(FENCES)) for _ in range(fences)]
        if chance.random() < 0.3:
            headers.append(("schedule", chance.choice(NAMES)))
            headers.append(("scheduled-at", chance.choice(TIMES)))
        if chance.random() < 0.2:
            headers.append((chance.choice(["", "é", "x" * 300, "source-offset"]), b"\xff"))
        chance.shuffle(headers)
        return Record(key, self.value(), headers)


def is_no_object(value: bytes | None) -> bool:
    """Whether a value is certainly no job: it isn't JSON, or no object (another reader's word)."""
    try:
        return not isinstance(json.loads((value or b"").decode()), dict)
    except (ValueError, RecursionError):
        return True
