"""The drain as bars, an SVG for the docs: it follows the reader's light or dark setting, and says
in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_LEFT, _BARS, _RIGHT, _TOP, _ROW, _BAR = 250, 480, 210, 64, 30, 18


class Bar(NamedTuple):
    """``kind``: ours, bound, or other; ``note`` stands behind the value."""

    name: str
    value: float
    kind: str = "other"
    note: str = ""


def svg(bars: Sequence[Bar], title: str, below: str) -> str:
    """The longest bar is as wide as there is room."""
    most = max((bar.value for bar in bars), default=1.0) or 1.0
    width, height = _LEFT + _BARS + _RIGHT, _TOP + len(bars) * _ROW + 24
    told = "; ".join(f"{bar.name}: {_value(bar)}" for bar in bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="13">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(told)}.</desc>',
        "<style>"
        "svg{--bg:#fff;--fg:#1b1f24;--dim:#57606a;--ours:#0b6bcb;--other:#8c959f;"
        "background:var(--bg)}"
        "@media(prefers-color-scheme:dark){svg{--bg:#0d1117;--fg:#e6edf3;--dim:#9da7b1;"
        "--ours:#6cb6ff;--other:#6e7681}}"
        "text{fill:var(--fg)}.dim{fill:var(--dim)}.bg{fill:var(--bg)}"
        ".ours{fill:var(--ours)}.other{fill:var(--other)}.name-ours{font-weight:600}"
        ".bound{fill:none;stroke:var(--other);stroke-width:1.5;stroke-dasharray:4 3}"
        "</style>",
        f'<rect class="bg" width="{width}" height="{height}"/>',
        f'<text x="24" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text class="dim" x="24" y="46">{escape(below)}</text>',
    ]
    for n, bar in enumerate(bars):
        top = _TOP + n * _ROW
        long = max(2.0, bar.value / most * _BARS)
        line = top + _BAR - 4
        parts += [
            f'<text class="name-{bar.kind}" x="{_LEFT - 12}" y="{line}" text-anchor="end">'
            f"{escape(bar.name)}</text>",
            f'<rect class="{bar.kind}" x="{_LEFT}" y="{top}" width="{long:.1f}" height="{_BAR}" '
            'rx="2"/>',
            f'<text x="{_LEFT + long + 8:.1f}" y="{line}">{escape(_value(bar))}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def _value(bar: Bar) -> str:
    return f"{bar.value:,.0f}{bar.note and f', {bar.note}'}"
