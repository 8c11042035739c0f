"""Requests that nobody would write, to every endpoint."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from tests.faults.fuzz import SECONDS, SEED, Fuzz
from tests.harness import Cluster, http

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(0)]


def test_nonsense_by_http(cluster: Cluster) -> None:
    """No answer is a 500, and every error is a problem document."""
    print(f"JOBS_FUZZ_SEED={SEED}")
    worker = cluster.worker()
    fuzz = Fuzz(SEED)
    chance = fuzz.chance
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
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        id = quote(chance.choice(ids), safe="%")
        path = chance.choice(
            ["/job", "/job/all", f"/job/{id}/status", f"/job/{id}/cancel", f"/{id}", "/stats"]
        )
        method = chance.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
        body = fuzz.value() if method != "GET" else None
        answer = http(method, worker.url + path + chance.choice(queries), body)
        assert answer.status < 500, (method, path, body, answer.body)
        if answer.status >= 400:
            kind = answer.headers.get("content-type", "")
            assert kind.startswith("application/problem+json"), (method, path, answer)
    assert "Traceback" not in worker.text()
