"""What one does with the page, done in a browser."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.harness import Cluster, WorkerProcess

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

Two = tuple[WorkerProcess, WorkerProcess]


def submit(page: Page, **fields: str) -> str:
    """Fill the dialog in; the id of the job whose page is shown then."""
    page.get_by_role("button", name="Submit a job").click()
    dialog = page.get_by_role("dialog")
    for label, value in fields.items():
        dialog.get_by_label(label, exact=False).fill(value)
    dialog.get_by_role("button", name="Submit").click()
    expect(dialog).to_have_count(0)
    page.wait_for_url(re.compile(r"#/job/\d+-\d+$"))
    return page.url.rsplit("/", 1)[1]


def test_a_job_is_submitted_and_watched_to_its_end(page: Page, two: Two) -> None:
    page.goto(two[0].url)
    sizes = json.dumps({"sizes": [128, 512, 1024], "each_s": 0.8})
    id = submit(page, Handler="resize-image", Data=sizes)
    badge = page.locator(".title .badge")
    expect(badge).to_have_text("executing")
    expect(page.locator(".progress")).to_contain_text("px")
    expect(badge).to_have_text("done")
    expect(page.locator("pre[aria-label=Result]")).to_contain_text("1024")
    expect(page.locator("pre[aria-label=Data]")).to_contain_text('"each_s": 0.8')
    partition, offset = id.split("-")
    expect(page.locator(".command code")).to_contain_text(f"-p {partition} -o {offset} -c 1")


def test_what_is_wrong_with_a_job_is_said_beside_its_field(page: Page, two: Two) -> None:
    page.goto(two[0].url)
    page.get_by_role("button", name="Submit a job").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Data").fill('{"to": ')
    dialog.get_by_role("button", name="Submit").click()
    expect(dialog.locator("#field-data-error")).to_contain_text("no JSON")
    expect(dialog.get_by_label("Data")).to_be_focused()
    dialog.get_by_label("Data").fill("[]")
    dialog.get_by_label("Handler").fill("nobody")
    dialog.get_by_role("button", name="Submit").click()
    expect(dialog.locator("#field-handler-error")).to_contain_text("no handler is named 'nobody'")
    dialog.get_by_label("Handler").fill("echo")
    dialog.get_by_label("Timeout").fill("soon")
    dialog.get_by_role("button", name="Submit").click()
    expect(dialog.locator("#field-timeout-error")).to_contain_text("timeout")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_waiting_and_a_running_job_are_canceled(page: Page, two: Two) -> None:
    page.goto(two[0].url)
    for fields in ({"Handler": "echo", "Delay": "1h"}, {"Handler": "sleep", "Data": "50"}):
        submit(page, **fields, Timeout="60s")
        page.get_by_role("button", name="Cancel", exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Why").fill("typo in the order")
        dialog.get_by_role("button", name="Cancel the job").click()
        expect(page.locator(".title .badge")).to_have_text("canceled")
        expect(page.locator("pre[aria-label=Error]")).to_contain_text("typo in the order")


def test_a_failed_job_is_retried_and_says_whose_retry_it_is(page: Page, two: Two) -> None:
    id = two[1].submit(handler="fail", data=99, ttl=0)
    page.goto(f"{two[0].url}/#/job/{id}")
    expect(page.locator(".title .badge")).to_have_text("failed")
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    page.wait_for_function("id => !location.hash.endsWith(id)", arg=id)
    expect(page.get_by_role("link", name=id, exact=True)).to_be_visible()


def test_each_attempt_has_its_bar_and_each_transition_its_place(page: Page, two: Two) -> None:
    id = two[1].submit(handler="email", data={"refused": 2})
    page.goto(f"{two[0].url}/#/job/{id}")
    expect(page.locator(".title .badge")).to_have_text("done")
    bars = page.locator("svg.timeline rect")
    expect(bars).to_have_count(3)
    expect(page.locator("svg.timeline rect.failed")).to_have_count(2)
    expect(page.locator("svg.timeline rect.done")).to_have_count(1)
    page.get_by_text("Every transition").click()
    steps = page.get_by_role("table", name="Transitions").locator("tbody tr")
    expect(steps.first).to_contain_text("executing")
    expect(steps.last).to_contain_text("done")
    expect(steps.filter(has_text="421 too many connections").first).to_be_visible()
    history = two[0].get(f"/job/{id}/history").json["transitions"]
    expect(steps).to_have_count(len(history))
    expect(steps.last).to_contain_text(f"{history[-1]['partition']}:{history[-1]['offset']}")


def test_jobs_are_filtered_searched_and_paged(page: Page, two: Two) -> None:
    ids = [two[0].submit(handler="echo", data=i) for i in range(60)]
    bad = two[0].submit(handler="invoice", data=[])
    two[0].submit(handler="fail", data=99, ttl=0)
    page.goto(f"{two[0].url}/#/jobs")
    rows = page.locator("table.jobs tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Older").click()
    expect(rows).to_have_count(12)
    page.go_back()
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="failed", exact=True).click()
    expect(rows).to_have_count(2)
    page.get_by_label("Error contains").fill("WITHOUT lines")
    page.get_by_role("button", name="Filter").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(bad)
    page.get_by_role("link", name="all", exact=True).click()
    page.get_by_label("Handler").fill("fail")
    page.get_by_label("Error contains").fill("")
    page.get_by_role("button", name="Filter").click()
    expect(rows).to_have_count(1)
    page.get_by_label("Job id").fill(ids[0])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(ids[0])
    page.get_by_label("Job id").fill("nonsense")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").locator("visible=true").first).to_contain_text("nonsense")


def test_new_jobs_are_announced_and_change_no_row(page: Page, two: Two) -> None:
    first = two[0].submit(handler="echo", data=1)
    page.goto(f"{two[0].url}/#/jobs")
    rows = page.locator("table.jobs tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("done")
    # The page hears of what happens from when its stream is open: so one for that, first.
    slow = two[1].submit(handler="sleep", data=1.5, timeout="10s")
    news = page.get_by_role("button", name="new")
    expect(news).to_have_text(re.compile(r"\d+ new"))
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(first)
    news.click()
    expect(rows).to_have_count(2)
    row = rows.filter(has_text=slow)
    expect(row).to_contain_text("executing")
    expect(row).to_contain_text("done")


def test_dead_letters_are_replayed_one_and_many(page: Page, two: Two) -> None:
    ids = [two[i % 2].submit(handler="invoice", data=[]) for i in range(3)]
    for id in ids:
        page.goto(f"{two[0].url}/#/job/{id}")
        expect(page.locator(".title .badge")).to_have_text("failed")
    page.goto(f"{two[0].url}/#/dead")
    rows = page.locator("table.letters tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_role("button", name=f"Replay job {ids[0]}").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(rows.filter(has=page.get_by_label(f"Select job {ids[0]}"))).to_contain_text("→")
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Replay 2 selected").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(rows.filter(has_text="→")).to_have_count(3)


def test_data_that_is_a_script_stays_text(page: Page, cluster: Cluster) -> None:
    worker = cluster.worker()
    nasty = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    echoed = worker.submit(handler="echo", data=nasty)
    # A record with no JSON, one with an odd key and header, and a handler with an odd name.
    (raw, named) = cluster.produce(
        [nasty.encode(), json.dumps({"handler": nasty, "data": nasty}).encode()],
        key=nasty.encode(),
        headers={"x": nasty.encode()},
    )
    for id in (echoed, raw, named):
        page.goto(f"{worker.url}/#/job/{id}")
        expect(page.locator(".title .badge")).to_have_text("done" if id == echoed else "failed")
        expect(page.locator("pre[aria-label=Data]")).to_contain_text("<script>")
    page.goto(f"{worker.url}/#/")
    failures = page.get_by_role("table", name="Last failures").locator("tbody tr")
    expect(failures).to_have_count(2)
    page.goto(f"{worker.url}/#/dead")
    expect(page.locator("table.letters tbody tr")).to_have_count(2)
    page.goto(f"{worker.url}/#/jobs?handler=%3Cb%3E&error=%3Cimg%20src%3Dx%3E")
    expect(page.get_by_label("Handler")).to_have_value("<b>")
    page.goto(f"{worker.url}/#/jobs?status=failed")
    expect(page.locator("table.jobs tbody tr")).to_have_count(2)
    assert "owned" not in page.title()
    assert page.locator("main script, main img").count() == 0
