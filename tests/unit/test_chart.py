"""Counts by state as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from commands.chart import blocks, svg
from jobs.model import Status

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 10, ""),
        ([0, 0], 10, "  "),
        ([0, 1, 2, 4, 8], 10, " ▁▂▄█"),
        ([1, 1_000_000], 10, "▁█"),
        ([5, 5, 5], 10, "███"),
        ([0, 8, 0, 0, 0, 1, 4], 4, "█ ▁▄"),
    ],
)
def test_blocks(values: list[int], width: int, line: str) -> None:
    assert blocks(values, width) == line


@pytest.mark.parametrize("count", [1, 2, 60])
def test_the_svg_is_well_formed_and_says_what_it_shows(count: int) -> None:
    times = [1_795_000_000_000 + n * 60_000 for n in range(count)]
    counts = [{Status.DONE: n, Status.FAILED: 3} for n in range(count)]
    root = ElementTree.fromstring(svg(times, counts, "Jobs <of> & by state"))
    assert root.attrib["role"] == "img"
    assert root.findtext(f"{SVG}title") == "Jobs <of> & by state"
    told = root.findtext(f"{SVG}desc") or ""
    assert f"done: {count - 1} at the end, {count - 1} at most" in told
    assert "canceled: 0 at the end" in told
    groups = [each.attrib["class"] for each in root.iter(f"{SVG}g")]
    assert groups == [status.value for status in Status]
    for line in root.iter(f"{SVG}polyline"):
        points = [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
        assert len(points) == max(2, count)
        xs = [x for x, _ in points]
        assert xs == sorted(xs)
    assert "prefers-color-scheme:dark" in (root.findtext(f"{SVG}style") or "")
