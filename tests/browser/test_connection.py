"""Workers die while somebody looks: it is said, what is old is grey, and it comes back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settled
from tests.harness import Cluster, WorkerProcess

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

Two = tuple[WorkerProcess, WorkerProcess]


def test_the_worker_that_the_page_talks_to_dies_and_comes_back(
    page: Page, cluster: Cluster, two: Two
) -> None:
    mine, other = two
    id = mine.submit(handler="echo", data="before")
    page.goto(f"{mine.url}/#/jobs")
    rows = page.locator("table.jobs tbody tr")
    expect(rows).to_have_count(1)
    mine.kill()
    lost = page.get_by_role("alert")
    expect(lost).to_contain_text(f"Connection to worker 127.0.0.1:{mine.port} lost")
    expect(lost).to_contain_text(re.compile(r"trying again (in \d+ s|now)"))
    expect(page.locator("body")).to_have_class("lost")
    expect(rows).to_contain_text(id)
    # The way out: the same page at a worker that lives.
    expect(lost.get_by_role("link", name=str(other.port))).to_have_attribute(
        "href", f"{other.url}/#/jobs"
    )
    again = cluster.worker(ready=False, JOBS_PORT=str(mine.port), JOBS_HANDLERS="tests.apps.shop")
    expect(lost).to_have_count(0, timeout=60_000)
    expect(page.locator("body")).not_to_have_class("lost")
    again.wait_ready()
    settled(again, 2)
    # Live again, not only reachable.
    expect(rows).to_have_count(1, timeout=60_000)
    again.submit(handler="echo", data="after")
    expect(page.get_by_role("button", name="new")).to_be_visible()


def test_another_worker_dies_and_its_partitions_are_taken_over(page: Page, two: Two) -> None:
    mine, other = two
    page.goto(f"{mine.url}/#/")
    workers = page.get_by_role("table", name="Workers").locator("tbody tr")
    expect(workers).to_have_count(2)
    other.kill()
    missing = page.locator("#bars").get_by_text(f"127.0.0.1:{other.port}")
    expect(missing).to_be_visible()
    expect(workers.filter(has_text=str(other.port))).to_contain_text("no answer")
    expect(page.locator("body")).not_to_have_class("lost")
    # Its partitions go to the one that is left, and nothing is missing any more.
    expect(missing).to_have_count(0, timeout=60_000)
    expect(workers).to_have_count(1)
    expect(workers).to_contain_text("0–3")
    expect(workers).to_contain_text("ready")


def test_with_a_token_the_page_asks_for_it_and_forgets_it(page: Page, cluster: Cluster) -> None:
    worker = cluster.worker(ready=False, JOBS_API_TOKEN="0123456789abcdef-of-tests")
    worker.wait_ready()
    page.goto(f"{worker.url}/")
    page.wait_for_url("**/login")
    page.get_by_label("Token").fill("0123456789abcdef-of-tests")
    page.get_by_role("button", name="Log in").click()
    workers = page.get_by_role("table", name="Workers").locator("tbody tr")
    expect(workers).to_have_count(1)
    # The cookie ends while somebody looks: the next answer leads to the form.
    page.context.clear_cookies()
    page.wait_for_url("**/login")
    page.get_by_label("Token").fill("0123456789abcdef-of-tests")
    page.get_by_role("button", name="Log in").click()
    expect(workers).to_have_count(1)
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(f"{worker.url}/")
    page.wait_for_url("**/login")
