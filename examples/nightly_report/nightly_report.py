"""A report for each day, made after midnight: a schedule, and a file that is there or isn't."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path

from jobs import Context, Scheduled, handler, schedule

FOLDER = Path(os.environ.get("REPORT_FOLDER", "."))
CRON = os.environ.get("REPORT_CRON", "5 0 * * *")
ZONE = os.environ.get("REPORT_ZONE", "UTC")


@schedule(CRON, timezone=ZONE, missed="last")
@handler("nightly-report", timeout="1m", reruns=5, backoff="10s")
def nightly_report(ctx: Context, data: Scheduled) -> dict[str, str | int]:
    """Counts the lines of yesterday's ``*.log`` files."""
    day = f"{data.at - timedelta(days=1):%Y-%m-%d}"
    lines = 0
    logs = sorted(FOLDER.glob(f"{day}*.log"))
    for done, path in enumerate(logs):
        ctx.progress(done / len(logs), path.name)
        with path.open("rb") as file:
            lines += sum(1 for _ in file)
    report = FOLDER / f"report-{day}.txt"
    # Written whole under another name, then renamed: made twice, it is the same report.
    with tempfile.NamedTemporaryFile("w", dir=FOLDER, delete=False) as draft:
        draft.write(f"{day}: {lines} lines in {len(logs)} files\n")
    Path(draft.name).replace(report)
    ctx.logger.info("%s is written", report.name)
    return {"report": report.name, "files": len(logs), "lines": lines}
