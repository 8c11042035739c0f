"""Jobs in lines, as they come: however many there are, they aren't gathered first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from commands.output import STATUS_STYLES, Output, flat, json_text
from jobs.model import Status

AT_ONCE = 500  # lines written together
# Name and width; the last one has all the room that is left.
COLUMNS = (
    ("id", 10),
    ("status", 9),
    ("handler", 14),
    ("attempt", 7),
    ("submitted_at", 24),
    ("finished_at", 24),
    ("error", 0),
)


class Listing:
    """Prints jobs, or counts them. ``limit``: so many at most."""

    def __init__(self, out: Output, limit: int | None = None) -> None:
        self.counts: Counter[Status] = Counter()
        self._out = out
        self._left = limit
        self._lines: list[dict[str, Any]] = []
        self._begun = False

    def add(self, job: dict[str, Any]) -> bool:
        """Print a job, soon. False: no more are wanted."""
        self._lines.append(job)
        if len(self._lines) == AT_ONCE:
            self._flush()
        if self._left is not None:
            self._left -= 1
            return self._left > 0
        return True

    def end(self) -> None:
        """Print what is left."""
        self._flush()

    def count(self) -> None:
        """Print how many there are."""
        total = sum(self.counts.values())
        by_status = {status.value: self.counts[status] for status in Status}
        if self._out.as_json:
            self._out.json({"total": total, "by_status": by_status})
        else:
            rows = [{"status": name, "jobs": count} for name, count in by_status.items()]
            self._out.table(("status", "jobs"), [*rows, {"status": "total", "jobs": total}])

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if self._out.as_json:
            if lines:
                self._out.lines(map(json_text, lines))
            return
        if not self._begun:
            self._begun = True
            self._head()
        if self._out.pretty:
            self._out.print(*map(self._styled, lines))
        elif lines:
            self._out.lines("  ".join(self._cells(job)).rstrip() for job in lines)

    def _head(self) -> None:
        names = [name.removesuffix("_at").upper().ljust(width) for name, width in COLUMNS]
        self._out.print(self._out.cut(Text("  ".join(names), style="bold")))

    def _cells(self, job: dict[str, Any]) -> Iterator[str]:
        for name, width in COLUMNS:
            value = job[name]
            if name == "attempt":
                value = f"{value}/{job['max_attempts']}"
            yield flat(value).ljust(width)

    def _styled(self, job: dict[str, Any]) -> Text:
        line = Text()
        for (name, _), cell in zip(COLUMNS, self._cells(job), strict=True):
            style = STATUS_STYLES.get(str(job["status"]), "") if name == "status" else ""
            line.append(cell + "  ", style)
        return self._out.cut(line)
