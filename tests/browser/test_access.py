"""For everybody: by keyboard, by screen reader (as far as axe can tell), on a phone, at night."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.harness import WorkerProcess, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

Two = tuple[WorkerProcess, WorkerProcess]


@pytest.fixture
def some(two: Two) -> tuple[WorkerProcess, str, str]:
    """A worker, a job that has failed, and one that runs."""
    bad = two[0].submit(handler="email", data={"to": "you", "refused": 9}, ttl=1)
    until(lambda: two[0].status(bad)["status"] == "failed", 30, "failed")
    two[0].submit(handler="echo", data="x" * 3000)
    running = two[0].submit(
        handler="resize-image", data={"sizes": [1] * 100, "each_s": 0.5}, timeout="100s"
    )
    return two[0], bad, running


def paths(bad: str, running: str) -> list[str]:
    return ["#/", "#/jobs", "#/jobs?status=failed", f"#/job/{bad}", f"#/job/{running}", "#/dead"]


def filled(page: Page) -> None:
    """Wait until a page has what it is about."""
    expect(page.locator("main h1")).to_be_attached()
    for each in page.locator(".page").get_by_text("Looking…").all():
        expect(each).to_be_hidden()
    expect(page.locator(".tile .number").get_by_text("–")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, some: tuple[WorkerProcess, str, str], scheme: str) -> None:
    worker, bad, running = some
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type] # one of its literals
    for path in [*paths(bad, running), "dialog"]:
        if path == "dialog":
            page.get_by_role("button", name="Submit a job").click()
        else:
            page.goto(f"{worker.url}/{path}")
            filled(page)
        found = Axe().run(page).response["violations"]
        told = [
            (each["id"], each["impact"], [node["html"][:120] for node in each["nodes"][:3]])
            for each in found
        ]
        assert told == [], path


@pytest.mark.parametrize("width", [360, 800, 3840])
def test_nothing_is_wider_than_the_window(
    browser: Browser, some: tuple[WorkerProcess, str, str], width: int
) -> None:
    worker, bad, running = some
    context = browser.new_context(viewport={"width": width, "height": 740})
    page = context.new_page()
    for path in paths(bad, running):
        page.goto(f"{worker.url}/{path}")
        filled(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    page.get_by_role("button", name="Submit a job").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    context.close()


def test_everything_is_done_by_keyboard(page: Page, two: Two) -> None:
    page.goto(two[0].url)
    expect(page.get_by_role("table", name="Workers").locator("tbody tr")).to_have_count(2)

    def tab_to(name: str) -> None:
        """Press Tab until the element with this text or label has the focus."""
        for _ in range(60):
            page.keyboard.press("Tab")
            here = page.evaluate(
                """() => {
                    const e = document.activeElement;
                    if (e === document.body || e.tagName === "MAIN") return "";
                    return e.ariaLabel || e.labels?.[0]?.textContent || e.textContent;
                }"""
            )
            if name in here:
                return
        raise AssertionError(f"Tab doesn't lead to {name}")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.goto(f"{two[0].url}/#/jobs")
    tab_to("Submit a job")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Handler")).to_be_focused()
    page.keyboard.type("sleep")
    page.keyboard.press("Escape")  # the list of handlers, if the browser shows one
    if not dialog.is_visible():
        tab_to("Submit a job")
        page.keyboard.press("Enter")
        page.keyboard.type("sleep")
    tab_to("Data")
    page.keyboard.type("40")
    tab_to("Timeout")
    page.keyboard.type("60s")
    page.keyboard.press("Enter")
    expect(page.locator(".title .badge")).to_have_text("executing")
    expect(page.locator("main")).to_be_focused()
    tab_to("Cancel")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Why")).to_be_focused()
    page.keyboard.type("tried by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator(".title .badge")).to_have_text("canceled")
    expect(page.get_by_role("status").filter(has_text="canceled")).to_be_attached()


def test_the_theme_is_the_systems_until_one_is_chosen(page: Page, two: Two) -> None:
    def ground() -> object:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="light")
    page.goto(two[0].url)
    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert light != dark
    button = page.get_by_role("button", name="Theme")
    button.click()
    expect(button).to_have_text("Light")
    assert ground() == light
    page.reload()
    expect(button).to_have_text("Light")
    assert ground() == light
    button.click()
    button.click()
    expect(button).to_have_text("Auto")
    assert ground() == dark
