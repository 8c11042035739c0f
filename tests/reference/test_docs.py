"""``docs/http.md`` says what the routes do."""

from __future__ import annotations

import re

import handlers  # noqa: F401 - the document names them
from tests.reference.markdown import MARK, PAGE, whole
from web.reference import CALLS
from web.routes import ROUTES


def test_the_page_is_as_the_descriptions_make_it() -> None:
    assert PAGE.read_text() == whole(), "run: make docs"


def test_each_route_is_on_it() -> None:
    text = PAGE.read_text().partition(MARK)[2]
    shown = re.findall(r"^### `([A-Z]+) (\S+)`$", text, re.M)
    assert set(shown) == set(CALLS)
    assert {path for _, path in shown} == {path for path, _ in ROUTES}
    for status in ("202", "400", "404", "409", "413", "415", "422", "503"):
        assert f"| {status} |" in text


def test_its_links_lead_to_its_headings() -> None:
    text = PAGE.read_text()
    headings = {
        re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    links = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert len(links) > len(CALLS)
    assert links <= headings
