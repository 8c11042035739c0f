"""Where a worker is asked whether it is alive."""

from __future__ import annotations

import pytest

from settings import load
from worker.health import address


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"JOBS_BIND": "0.0.0.0", "JOBS_PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"JOBS_BIND": "::"}, "http://[::1]:8080"),
        ({"JOBS_BIND": "::1"}, "http://[::1]:8080"),
        ({"JOBS_BIND": "10.0.0.7"}, "http://10.0.0.7:8080"),
        ({"JOBS_BIND": "localhost"}, "http://localhost:8080"),
        # As other workers are told to ask it is nothing that counts here.
        ({"JOBS_ADVERTISED_URL": "https://jobs.example"}, "http://127.0.0.1:8080"),
        ({"JOBS_TLS_CERT": __file__, "JOBS_TLS_KEY": __file__}, "https://127.0.0.1:8080"),
    ],
)
def test_an_address_is_that_of_the_settings(given: dict[str, str], asked: str) -> None:
    assert address(load(given)) == asked
