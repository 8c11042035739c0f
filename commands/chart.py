"""Counts by state over time: as lines of blocks for a terminal, and as an SVG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from jobs.model import Status
from jobs.times import format_time

_BLOCKS = "▁▂▃▄▅▆▇█"

Counts = Sequence[Mapping[Status, int]]


def blocks(values: Sequence[int], width: int) -> str:
    """A line of at most ``width`` blocks, the highest for the greatest value; each is the greatest
    of the values that it stands for. None at all where all are 0."""
    each = max(1, -(-len(values) // width))
    merged = [max(values[n : n + each]) for n in range(0, len(values), each)]
    most = max(merged, default=0)
    if most <= 0:
        return " " * len(merged)
    return "".join(
        " " if value <= 0 else _BLOCKS[min(7, (value * 8 - 1) // most)] for value in merged
    )


# Of each state in a light and in a dark surrounding: 4.5:1 and more against its background.
_COLOURS = {
    Status.WAITING: ("#8a5a00", "#f0b429"),
    Status.EXECUTING: ("#0b6bcb", "#6cb6ff"),
    Status.DONE: ("#1a7f37", "#57d17a"),
    Status.FAILED: ("#c62828", "#ff8a80"),
    Status.CANCELED: ("#7b3fb5", "#cf9dff"),
}
_LEFT, _RIGHT, _TOP, _WIDTH, _HEIGHT, _GAP = 120, 24, 56, 720, 84, 34


def svg(times: Sequence[int], counts: Counts, title: str) -> str:
    """A chart for each state, above each other with one axis of time, each with a scale of its own.

    It follows the reader's light or dark setting, and says in words what it shows.
    """
    height = _TOP + len(_COLOURS) * (_HEIGHT + _GAP)
    width = _LEFT + _WIDTH + _RIGHT
    first, last = format_time(times[0]) or "", format_time(times[-1]) or ""
    told = "; ".join(
        f"{status.value}: {counts[-1].get(status, 0)} at the end, "
        f"{max(each.get(status, 0) for each in counts)} at most"
        for status in Status
    )
    light = "".join(f".{s.value}{{--c:{a}}}" for s, (a, _) in _COLOURS.items())
    dark = "".join(f".{s.value}{{--c:{b}}}" for s, (_, b) in _COLOURS.items())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">From {first} to {last}. {told}.</desc>',
        "<style>"
        "svg{--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;background:var(--bg)}"
        f"{light}@media(prefers-color-scheme:dark){{"
        f"svg{{--bg:#0d1117;--fg:#e6edf3;--dim:#9da7b1;--line:#30363d}}{dark}}}"
        "text{fill:var(--fg)}.dim{fill:var(--dim)}.bg{fill:var(--bg)}.axis{stroke:var(--line)}"
        ".area{fill:var(--c);opacity:.25}.top{fill:none;stroke:var(--c);stroke-width:1.5}"
        ".name{fill:var(--c);font-weight:600}"
        "</style>",
        f'<rect class="bg" width="{width}" height="{height}"/>',
        f'<text x="{_LEFT}" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
    ]
    for n, status in enumerate(Status):
        top = _TOP + n * (_HEIGHT + _GAP)
        parts += _panel(status, [each.get(status, 0) for each in counts], top)
    end = height - _GAP + 18
    parts += [
        f'<text class="dim" x="{_LEFT}" y="{end}">{first}</text>',
        f'<text class="dim" x="{_LEFT + _WIDTH}" y="{end}" text-anchor="end">{last}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _panel(status: Status, values: Sequence[int], top: int) -> list[str]:
    bottom, most = top + _HEIGHT, max(1, *values, 0)
    step = _WIDTH / max(1, len(values) - 1)
    points = [
        f"{_LEFT + n * step:.1f},{bottom - max(0, value) / most * _HEIGHT:.1f}"
        for n, value in enumerate(values if len(values) > 1 else [*values, *values])
    ]
    line = " ".join(points)
    right = _LEFT + _WIDTH
    area = f"M{_LEFT},{bottom} L" + " L".join(points) + f" L{right},{bottom} Z"
    told = f"max {most:,}" if max(values) > 0 else "none"
    return [
        f'<g class="{status.value}">',
        f'<text class="name" x="{_LEFT - 12}" y="{top + 14}" text-anchor="end">{status.value}'
        "</text>",
        f'<text class="dim" x="{_LEFT - 12}" y="{top + 32}" text-anchor="end">{told}</text>',
        f'<path class="area" d="{area}"/>',
        f'<polyline class="top" points="{line}"/>',
        f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>',
        f'<text x="{right}" y="{top - 6}" text-anchor="end">{values[-1]:,}</text>',
        "</g>",
    ]
