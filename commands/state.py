"""``faust -A app state``: how many jobs are in each state, now, at a time, and over time."""

from __future__ import annotations

import csv
import errno
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from commands.asked import TIMES, parse_at, parse_span, several
from commands.base import CommandError, option
from commands.chart import blocks, svg
from commands.kafka import Kafka, TopicCommand
from commands.output import STATUS_STYLES
from inspection.timeline import Timeline
from jobs.durations import NS_PER_MS, format_duration, parse_duration
from jobs.errors import InvalidDuration
from jobs.model import Status
from jobs.times import format_time
from log.configs import configs_of

HOUR_MS = 3_600_000
MOST_POINTS = 10_000
_NARROWEST = 20  # blocks of a chart


class State(TopicCommand):
    """Count jobs by state: now, at a time, or minute by minute.

    \b
        $ faust -A app state
        $ faust -A app state --at "2026-11-27T03:00Z"
        $ faust -A app state --timeline --since "6h ago" --step 5m
        $ faust -A app state --plot night.svg --since "12h ago"
        $ faust -A app state --timeline --csv > hour.csv

    It is counted from the topics, for the whole system, and no worker is asked. A job counts as
    waiting from when its record was written. What was longer ago than the changelog keeps every
    transition (JOBS_HISTORY) is known in part, and a warning says so.
    """

    arguments = (
        option("--at", help=f"At {TIMES}; now, if not given.", metavar="TIME"),
        option("--timeline", is_flag=True, help="Counts at many times, and a chart of them."),
        option("--since", help="Where it begins; an hour ago, if not given.", metavar="TIME"),
        option("--until", help="Where it ends; now, if not given.", metavar="TIME"),
        option("--step", default="1m", help="Between two times of it.", metavar="DURATION"),
        option("--handler", "handlers", multiple=True, help="Only jobs of these handlers."),
        option("--csv", "as_csv", is_flag=True, help="Comma-separated values."),
        option("--plot", help="Write a timeline as an SVG picture.", metavar="FILE"),
    )

    async def run(
        self,
        at: str | None,
        timeline: bool,
        since: str | None,
        until: str | None,
        step: str,
        handlers: tuple[str, ...],
        as_csv: bool,
        plot: str | None,
    ) -> None:
        """Count, and show."""
        many = timeline or plot is not None
        if many and at is not None:
            raise CommandError("--at is one time, and --timeline and --plot are of many: give one")
        if not many and (since is not None or until is not None):
            raise CommandError("--since and --until go with --timeline or --plot")
        if as_csv and self.json:
            raise CommandError("--csv and --json: give one")
        now = time.time_ns() // 1_000_000
        if many:
            times = _times(since, until, step, now)
        else:
            times = [now if at is None else parse_at("--at", at, now) or 0]
        if plot is not None:
            _check_writable(Path(plot))
        found = Timeline(times, frozenset(several("--handler", handlers)))
        async with self.kafka() as kafka:
            reader, names, count = kafka.reader, kafka.names, kafka.partitions
            total = await found.places(reader, names, count)
            with self.out.progress("reading", total) as advance:
                await found.read(reader, names, count, advance)
            await self._warn(kafka, times[0], now)
        counts = found.counts()
        if plot is not None:
            self._plot(Path(plot), times, counts)
        self._show(times, counts, many, as_csv, self.json)

    def _plot(self, path: Path, times: Sequence[int], counts: Sequence[Counter[Status]]) -> None:
        title = f"Jobs of topic {self.settings.topic} by state"
        try:
            path.write_text(svg(times, counts, title), encoding="utf-8")
        except OSError as exc:
            raise _not_written(path, exc, 1) from None
        self.out.note(f"{path} is written")

    async def _warn(self, kafka: Kafka, first: int, now: int) -> None:
        """History is as long as its window, and compaction goes on behind it."""
        configs = await configs_of(kafka.admin, [kafka.names.changelog])
        lag = configs[kafka.names.changelog].get("min.compaction.lag.ms")
        kept_ms = int(lag) if lag is not None else round(kafka.settings.history_s * 1000)
        if first < now - kept_ms:
            self.out.warn(
                f"the changelog keeps every transition for {format_duration(kept_ms * NS_PER_MS)} "
                f"({format_time(now - kept_ms)}): what was before is known in part"
            )

    def _show(
        self,
        times: Sequence[int],
        counts: Sequence[Counter[Status]],
        many: bool,
        as_csv: bool,
        as_json: bool,
    ) -> None:
        rows = [
            {"at": format_time(at), **{s.value: each[s] for s in Status}}
            for at, each in zip(times, counts, strict=True)
        ]
        if as_csv:
            self._csv(rows)
        elif as_json and many:
            for row in rows:
                self.out.json_line(row)
        elif as_json:
            self.out.json({**rows[0], "total": sum(counts[0].values())})
        elif many:
            self._chart(times, counts)
        else:
            self._table(rows[0], counts[0])

    def _csv(self, rows: Sequence[dict[str, Any]]) -> None:
        writer = csv.DictWriter(self.out.console.file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

    def _table(self, row: dict[str, Any], counts: Counter[Status]) -> None:
        self.out.line(f"at {row['at']}", "bold")
        rows = [{"status": status.value, "jobs": counts[status]} for status in Status]
        self.out.table(("status", "jobs"), [*rows, {"status": "total", "jobs": counts.total()}])

    def _chart(self, times: Sequence[int], counts: Sequence[Counter[Status]]) -> None:
        width = max(_NARROWEST, min(len(times), self.out.console.width - 34, 120))
        first, last = format_time(times[0]) or "", format_time(times[-1]) or ""
        lines = []
        drawn = 0
        for status in Status:
            values = [each[status] for each in counts]
            line = blocks(values, width)
            drawn = len(line)
            told = f"  {values[-1]:>9,}  max {max(values):,}"
            lines.append(
                Text(f"{status.value:<9} ", STATUS_STYLES[status])
                .append(line, STATUS_STYLES[status])
                .append(told, "")
            )
        apart = max(2, drawn - len(first) - len(last))
        self.out.print(*lines, Text(f"{'':10}{first}{'':{apart}}{last}", "dim"))


def _times(since: str | None, until: str | None, step: str, now: int) -> list[int]:
    span = parse_span(since, until)
    try:
        step_ms = parse_duration(step) // NS_PER_MS
    except InvalidDuration as exc:
        raise CommandError(f"--step: {exc}") from None
    last = now if span.until is None else span.until
    first = last - HOUR_MS if span.since is None else span.since
    if step_ms < 1:
        raise CommandError(f"--step {step}: must be a millisecond at least")
    if (last - first) // step_ms >= MOST_POINTS:
        raise CommandError(
            f"--step {step}: that makes more than {MOST_POINTS} times; give a longer one"
        )
    return sorted({last - n * step_ms for n in range((last - first) // step_ms + 1)})


def _check_writable(path: Path) -> None:
    """Before anything is read, which may take long. It makes no file: there may be no picture."""
    try:
        if path.exists():
            with path.open("a"):
                pass
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            path.parent.stat()
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as exc:
        raise _not_written(path, exc) from None


def _not_written(path: Path, exc: OSError, code: int = 2) -> CommandError:
    return CommandError(f"--plot {path}: it can't be written ({exc.strerror})", code)
