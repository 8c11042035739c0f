"""Aligned text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def as_table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """A header and a line for each row, with ``-`` where there is nothing."""
    cells = [[name.upper() for name in columns]]
    cells += [[cell(row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    if isinstance(value, dict):
        value = " ".join(f"{name}={each}" for name, each in value.items())
    return "-" if value in (None, "") else str(value)
