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
    bearer = {"Authorization": "Bearer 0123456789abcdef-of-tests"}
    id = worker.post("/job", {"handler": "echo"}, headers=bearer).json["id"]

    def log_in(token: str = "0123456789abcdef-of-tests") -> None:
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()

    # A link to a job, from a colleague: behind the form it leads there, also after a slip.
    page.goto(f"{worker.url}/#/job/{id}")
    page.wait_for_url("**/login**")
    log_in("not the token at all")
    expect(page.get_by_role("alert")).to_have_text("This is not the token.")
    log_in()
    expect(page.get_by_role("heading", level=1)).to_have_text(id)
    expect(page.locator(".title .badge")).to_have_text("done")
    # The cookie ends while somebody looks: the next answer leads to the form, and back.
    page.goto(f"{worker.url}/#/jobs?status=done")
    expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    page.context.clear_cookies()
    page.wait_for_url("**/login**")
    log_in()
    page.wait_for_url(f"{worker.url}/#/jobs?status=done")
    expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    page.goto(f"{worker.url}/docs")
    page.wait_for_url("**/login**")
    log_in()
    page.wait_for_url(f"{worker.url}/docs")
