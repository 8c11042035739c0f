"""A browser. None there: skipped on a laptop, failed in CI.

``JOBS_CHROMIUM`` names one; else it is Debian's ``/usr/bin/chromium``. ``SCREENSHOTS=docs/images``
lets the test of the pictures write them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.harness import Cluster, WorkerProcess, until

CHROMIUM = os.environ.get("JOBS_CHROMIUM", "/usr/bin/chromium")
# No sandbox: CI runs as root in a container. The rest keeps it from calling home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=20_000)  # on a machine that does other things, too

# What a browser itself writes on its console about answers that aren't 200: the page shows them.
EXPECTED = ("Failed to load resource",)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module, not for the session: as long as Playwright runs, this thread has a running
    event loop, and tests of other folders that are run by the same process couldn't have theirs.
    """
    if not Path(CHROMIUM).exists():
        text = f"{CHROMIUM} isn't there: apt-get install chromium, or name one in JOBS_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def said() -> list[str]:
    """What the page's console has: errors, warnings, violations of the content security policy."""
    return []


@pytest.fixture
def page(browser: Browser, said: list[str]) -> Iterator[Page]:
    """A window of its own. Whatever its console complains of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    opened = context.new_page()

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED):
            said.append(f"{message.type}: {message.text}")

    opened.on("console", hear)
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert said == []


@pytest.fixture
def two(cluster: Cluster) -> tuple[WorkerProcess, WorkerProcess]:
    """Two workers, each with partitions of its own."""
    first = cluster.worker(JOBS_HANDLERS="tests.apps.shop")
    second = cluster.worker(JOBS_HANDLERS="tests.apps.shop")
    settled(first, 2)
    return first, second


def settled(worker: WorkerProcess, workers: int) -> None:
    """Wait until so many workers share the partitions, and the page can tell all of them."""

    def shared() -> bool:
        told = worker.get("/stats").json
        owners = [each["partitions"] for each in told["workers"]]
        return len(owners) == workers and all(owners) and told["missing"] == []

    until(shared, 60, f"{workers} workers share the partitions")
