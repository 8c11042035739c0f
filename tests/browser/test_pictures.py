"""The pictures of the docs, made when SCREENSHOTS names a folder: SCREENSHOTS=docs/images."""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.browser.conftest import settled
from tests.harness import Cluster, WorkerProcess

FOLDER = os.environ.get("SCREENSHOTS")

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not FOLDER, reason="pictures are made when SCREENSHOTS names a folder"),
]

FOR_S = 150  # of jobs, so that the charts have something to show
MAX_BYTES = 150_000
SIZES = {"light": (1280, 900), "dark": (1280, 900), "narrow": (360, 780)}


def work(worker: WorkerProcess) -> None:
    """Some minutes of a shop's day."""
    chance = random.Random(7)
    end = time.monotonic() + FOR_S
    while time.monotonic() < end:
        for _ in range(chance.randrange(2, 12)):
            order = chance.randrange(100_000, 999_999)
            takes_s = min(3.0, chance.expovariate(6))
            refused = 9 if chance.random() < 0.02 else int(chance.random() < 0.1)
            name, data = chance.choice(
                [
                    ("email", {"order": order, "refused": refused, "takes_s": takes_s}),
                    ("email", {"order": order, "takes_s": takes_s}),
                    (
                        "resize-image",
                        {"url": f"s3://{order}.jpg", "sizes": [128, 512], "each_s": 3 * takes_s},
                    ),
                    ("invoice", [] if chance.random() < 0.05 else {"order": order}),
                ]
            )
            delay = {"delay": "90s"} if chance.random() < 0.02 else {}
            id = worker.submit(handler=name, data=data, **delay)
            if delay and chance.random() < 0.5:
                worker.post(f"/job/{id}/cancel", {"why": "the order was withdrawn"})
        time.sleep(chance.random() * 0.9)  # load has a pace; nothing is waited for here


@pytest.fixture
def shop(kafka: str, tmp_path: Path) -> Iterator[WorkerProcess]:
    """One of two workers, with the names of a shop."""
    made = Cluster(kafka, tmp_path, partitions=8, app_id="shop")
    first = made.worker(JOBS_HANDLERS="tests.apps.shop", JOBS_BACKOFF="2s")
    made.worker(JOBS_HANDLERS="tests.apps.shop", JOBS_BACKOFF="2s")
    settled(first, 2)
    yield first
    made.close()


def test_pictures_for_the_docs(browser: Browser, shop: WorkerProcess) -> None:
    assert FOLDER is not None
    worker = shop
    bad = worker.submit(
        handler="email",
        data={"to": "anna@example.org", "order": 481516, "refused": 9, "takes_s": 0.6},
    )
    work(worker)
    pages = {"overview": "#/", "jobs": "#/jobs", "job": f"#/job/{bad}"}
    for kind, (width, height) in SIZES.items():
        scheme = "dark" if kind == "dark" else "light"
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type] # one of its literals
            reduced_motion="reduce",
        )
        page = context.new_page()
        for name, path in pages.items():
            page.goto(f"{worker.url}/{path}")
            if name == "job":
                expect(page.locator(".title .badge")).to_have_text("failed")
                expect(page.locator(".command code")).to_be_visible()
                expect(page.locator("svg.timeline rect")).to_have_count(3)
                page.get_by_text("Trace").click()  # it names the folder of the checkout
            elif name == "overview":
                expect(page.get_by_role("table", name="Workers").locator("tbody tr")).to_have_count(
                    2
                )
                expect(page.get_by_role("table", name="Last failures")).to_be_visible()
            else:
                expect(page.locator("table.jobs tbody tr")).to_have_count(50)
            file = Path(FOLDER) / f"{name}-{kind}.png"
            picture = Image.open(io.BytesIO(page.screenshot(full_page=name != "jobs")))
            picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
            assert file.stat().st_size < MAX_BYTES
        context.close()
