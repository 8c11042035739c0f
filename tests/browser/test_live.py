"""Live updates: refused, and taken up again; and not held by a tab that nobody looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.faults.proxy import Proxy
from tests.harness import Cluster, WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

# What the page's streams have told of each job, beside what the page makes of it.
HEARING = """
    window.heard = new Map();
    window.EventSource = class extends EventSource {
        constructor(url) {
            super(url);
            this.addEventListener("transition", ({ data }) => {
                const { id, status } = JSON.parse(data);
                heard.set(id, status);
            });
        }
    };
"""


@pytest.fixture
def network(kafka: str) -> Iterator[Proxy]:
    """Between a worker and the broker."""
    with Proxy(kafka) as proxy:
        yield proxy


@pytest.mark.parametrize("path", ["#/", "#/jobs"])
def test_a_refused_stream_is_said_and_tried_again(
    page: Page, cluster: Cluster, network: Proxy, path: str
) -> None:
    worker = cluster.worker(KAFKA=network.address)
    before = worker.submit(handler="echo")
    until(lambda: worker.status(before)["status"] == "done", 30, "done")
    network.cut()
    page.goto(f"{worker.url}/{path}")
    said = page.locator("#bars").get_by_text("Live updates have stopped")
    expect(said).to_contain_text("Kafka can't be read now", timeout=60_000)
    expect(said).to_contain_text(re.compile(r"tried again every \d+ s"))
    expect(page.locator("body")).not_to_have_class("lost")
    network.heal()
    expect(said).to_have_count(0, timeout=90_000)
    bad = worker.post("/job", {"handler": "fail", "data": 9, "ttl": 0}).json["id"]
    failed = page.get_by_role("link", name=bad, exact=True)
    if path == "#/jobs":
        page.get_by_role("button", name="new").click()
    expect(failed).to_be_visible()


def test_trouble_of_an_open_stream_is_over_when_it_is(
    page: Page, cluster: Cluster, network: Proxy
) -> None:
    worker = cluster.worker(KAFKA=network.address)
    with page.expect_response(re.compile(r"/job/events")) as opened:  # not only asked for
        page.goto(f"{worker.url}/#/jobs")
    assert opened.value.status == 200
    expect(page.get_by_text("No job matches.")).to_be_visible()
    network.cut()
    said = page.locator("#bars").get_by_text("Kafka can't be read now; it is tried again")
    expect(said).to_be_visible(timeout=60_000)
    network.heal()
    expect(said).to_have_count(0, timeout=90_000)


def test_what_happens_before_the_stream_is_open_is_shown_nevertheless(
    page: Page, cluster: Cluster
) -> None:
    worker = cluster.worker()
    id = worker.submit(handler="echo", delay="1h")
    row = page.locator("table.jobs tbody tr")

    def open_late(stream: Route) -> None:
        expect(row).to_contain_text("waiting")
        assert worker.post(f"/job/{id}/cancel").status == 200
        stream.continue_()

    page.route(re.compile(r"/job/events"), open_late)
    page.goto(f"{worker.url}/#/jobs")
    expect(row).to_contain_text("canceled")


def test_what_is_told_while_a_list_is_on_its_way_is_newer_than_the_list(
    page: Page, cluster: Cluster
) -> None:
    page.add_init_script(HEARING)
    worker = cluster.worker()
    id = worker.submit(handler="echo", delay="1h")
    page.goto(f"{worker.url}/#/jobs")
    rows = page.locator("table.jobs tbody tr")
    expect(rows).to_contain_text("waiting")
    until(lambda: streams(worker) == 1, 20, "it listens")
    worker.submit(handler="echo", delay="1h")
    expect(page.get_by_role("button", name="1 new")).to_be_visible()

    def answer_late(call: Route) -> None:
        older = call.fetch()
        assert worker.post(f"/job/{id}/cancel").status == 200
        page.wait_for_function("id => heard.get(id) === 'canceled'", arg=id)
        page.evaluate("() => new Promise(then => setTimeout(then, 150))")  # behind the page's own
        call.fulfill(response=older)

    page.route(re.compile(r"/job/all"), answer_late)
    page.get_by_role("button", name="1 new").click()
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text=id)).to_contain_text("canceled")


def test_a_hidden_tab_lets_its_stream_go_and_is_right_when_it_is_back(
    page: Page, cluster: Cluster
) -> None:
    """A browser has six connections to a worker: streams of six hidden tabs would stop the rest."""
    worker = cluster.worker()
    page.clock.install()
    page.goto(f"{worker.url}/#/jobs")
    expect(page.get_by_text("No job matches.")).to_be_visible()
    until(lambda: streams(worker) == 1, 20, "it listens")
    hide(page, True)
    page.clock.fast_forward(9_000)
    assert streams(worker) == 1, "somebody looks at another tab for a moment"
    page.clock.fast_forward(2_000)
    until(lambda: streams(worker) == 0, 20, "it has let go")
    id = worker.submit(handler="echo")
    hide(page, False)
    row = page.locator("table.jobs tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(id)
    until(lambda: streams(worker) == 1, 20, "it listens again")
    expect(page.locator("#bars .bar")).to_have_count(0)


def streams(worker: WorkerProcess) -> int:
    """How many listen at a worker."""
    name = r'jobs_http_requests_in_progress\{method="GET",route="/job/events"\}'
    found = re.search(rf"^{name} (\d+)", worker.get("/metrics").body.decode(), re.MULTILINE)
    return int(found[1]) if found else 0


def hide(page: Page, hidden: bool) -> None:
    """As if another tab were in front; a headless browser has all in front."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
