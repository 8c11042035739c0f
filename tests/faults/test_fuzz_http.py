"""Requests that nobody would write, to every endpoint."""

from __future__ import annotations

import os
import random
import time
from urllib.parse import quote

import pytest

from tests.harness import Cluster, http

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(0)]
SECONDS = 60 * float(os.environ.get("JOBS_FUZZ_MINUTES", "0.3"))
SEED = int(os.environ.get("JOBS_FUZZ_SEED", "1"))
VALID = [
    b'{"handler": "echo", "data": {"a": [1, 2]}, "timeout": "3s", "ttl": 2, "delay": "1ms"}',
    b'{"id": "0-1", "who": "me", "why": "typo"}',
    b'{"id": "1-0", "attempt": 2}',
    b'{"status": "done", "submitted_at": 1, "result": 5}',
]
BITS = [b"null", b"1e999", b"9" * 400, b'"\\ud800"', b"\xff\xfe", b"[" * 5_000, b"{}", b'"', b"-1"]


def value(chance: random.Random) -> bytes | None:
    """A valid record with something done to it, or bytes."""
    kind = chance.randrange(6)
    text = chance.choice(VALID)
    if kind == 0:
        return None
    if kind == 1:
        return chance.randbytes(chance.randrange(60))
    at, to = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    if kind == 2:
        return text[:at]
    if kind == 3:
        return text[:at] + chance.choice(BITS) + text[to:]
    if kind == 4:
        fields = text.split(b": ")
        fields[chance.randrange(1, len(fields))] = chance.choice(BITS) + b"}"
        return b": ".join(fields)
    return text


def test_nonsense_by_http(cluster: Cluster) -> None:
    """No answer is a 500, and every error is a problem document."""
    worker = cluster.worker()
    chance = random.Random(SEED)
    ids = [
        "0-0",
        "x",
        "1-999999999999999999999",
        "-1",
        "0-0-0",
        "٣-1",
        "%00",
        "..",
        "0-9223372036854775807",
    ]
    queries = [
        "",
        "?limit=0",
        "?limit=x",
        "?cursor=%ff",
        "?status=nope",
        "?limit=9" + "9" * 50,
        "?cursor=0-0",
    ]
    deadline = time.monotonic() + SECONDS / 3
    while time.monotonic() < deadline:
        id = quote(chance.choice(ids), safe="%")
        path = chance.choice(
            ["/job", "/job/all", f"/job/{id}/status", f"/job/{id}/cancel", f"/{id}", "/stats"]
        )
        method = chance.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
        body = value(chance) if method != "GET" else None
        answer = http(method, worker.url + path + chance.choice(queries), body)
        assert answer.status < 500, (method, path, body, answer.body)
        if answer.status >= 400:
            kind = answer.headers.get("content-type", "")
            assert kind.startswith("application/problem+json"), (method, path, answer)
    assert "Traceback" not in worker.text()
