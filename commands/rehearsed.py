"""How a rehearsal is shown: a line for each job that came to something else, and the numbers."""

from __future__ import annotations

import heapq

from commands.output import Output
from jobs.durations import NS_PER_MS, format_duration
from rehearsal.compare import Outcome, Verdict
from rehearsal.report import DIFFERENCES, Report, Result

MOST = 30  # differences in the table; --json has all
CELL = 60  # characters of an outcome
_COLUMNS = ("id", "handler", "verdict", "then", "now")
_WORDS = {
    Verdict.SAME: "the same",
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.DIFFERENT: "different",
    Verdict.NEW: "new, with nothing recorded to compare",
}
_STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "bold red", Verdict.DIFFERENT: "yellow"}


class Shown:
    """What has been shown. As JSON each result is a line, as it comes."""

    def __init__(self, out: Output, *, everything: bool) -> None:
        self._out = out
        self._verdicts = tuple(Verdict) if everything else DIFFERENCES
        self._first: list[tuple[int, int, Result]] = []  # a heap with the last of them on top
        self._count = 0

    def result(self, result: Result) -> None:
        """A job has ended."""
        if result.verdict not in self._verdicts:
            return
        if self._out.as_json:
            self._out.json_line(result.told())
            return
        self._count += 1
        partition, offset = result.job_id
        heapq.heappush(self._first, (-partition, -offset, result))
        if len(self._first) > MOST:
            heapq.heappop(self._first)

    def summary(self, report: Report, seconds: float, *, interrupted: bool) -> None:
        """All have ended, or it was interrupted."""
        if self._out.as_json:
            told = {**report.summary(), "seconds": round(seconds, 3), "interrupted": interrupted}
            self._out.json_line({"summary": told})
            return
        if self._first:
            results = sorted((each for *_, each in self._first), key=lambda each: each.job_id)
            self._out.table(_COLUMNS, [_row(each) for each in results])
            if self._count > len(results):
                self._out.line(f"… and {self._count - len(results):,} more; --json has them all")
            self._out.line()
        word = "interrupted: " if interrupted else ""
        self._out.line(f"{word}{report.ran:,} jobs rehearsed in {seconds:,.1f}s")
        for verdict, text in _WORDS.items():
            count = report.counts[verdict]
            if count or verdict is not Verdict.NEW:
                self._out.line(f"{count:>10,}  {text}", _STYLES.get(verdict, "") if count else "")
        for why, count in sorted(report.skipped.items()):
            self._out.line(f"{count:>10,}  skipped: {why}", "dim")
        if report.follow_ups:
            self._out.line(f"{report.follow_ups:,} follow-ups were noted down and not sent")
        if report.ms_then or report.ms_now:
            then, now = _duration(report.ms_then), _duration(report.ms_now)
            self._out.line(f"their last attempts took {then} then, and {now} now")


def _row(result: Result) -> dict[str, str | None]:
    return {
        "id": str(result.job_id),
        "handler": result.handler,
        "verdict": result.verdict.value,
        "then": None if result.then is None else _cell(result.then),
        "now": _cell(result.now),
    }


def _cell(outcome: Outcome) -> str:
    times = "" if outcome.attempts == 1 else f" in {outcome.attempts}"
    what = outcome.error or (outcome.result or b"").decode("utf-8", "replace")
    text = f"{outcome.status}{times}: {what}"
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


def _duration(ms: int) -> str:
    return format_duration(ms * NS_PER_MS)
