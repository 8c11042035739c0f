"""`make bench-docs`: what was measured last, put into docs/performance.md and its picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.catalogue import WORKLOADS
from benchmarks.chart import Bar, svg
from benchmarks.figures import Figures, Row
from benchmarks.report import SAFE
from benchmarks.workloads.base import Sizes, Workload
from tests.harness import ROOT

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "drain.svg"
BEGIN = "<!-- figures: written by `make bench-docs`, from what `make bench` measured last -->"
END = "<!-- end of figures -->"
BOUND = "bare aiokafka"
LINK = "![Jobs a second of each, as bars; the table below has them](images/drain.svg)"


_FIGURE = re.compile(r"\d")


class PageError(Exception):
    """The page has no place for figures, or would lose some; the text says which."""


def write(figures: Figures, page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Raises:
    PageError: the page's marks aren't there, or it has lines that were not measured."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"{page} must have the lines {BEGIN!r} and {END!r}")
    new = tables(figures)
    if lost := [place for place in _places(old) if place not in _places(new)]:
        raise PageError(
            f"{page.name} has figures that were not measured now ({lost[0]}; {len(lost)} in all): "
            "measure these, too, or delete their lines first"
        )
    page.write_text(f"{before}{BEGIN}\n\n{LINK}\n\n{new}\n{END}{after}")
    picture.write_text(chart(figures))


def _places(text: str) -> dict[str, None]:
    """Table, peer and broker of each line that has a figure."""
    found: dict[str, None] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("### "):
            title = line[4:].partition(":")[0]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and any(map(_FIGURE.match, cells[2:])):
            found[f"{title}, {cells[0]}, {cells[1]}"] = None
    return found


def tables(figures: Figures) -> str:
    """In Markdown, in the order of the workloads."""
    sections = [_machine(figures)]
    for kind in WORKLOADS.values():
        workload = kind(Sizes())
        rows = figures.tables.get(workload.key)
        if rows:
            sections.append(_section(figures, workload, rows))
    if (safe := figures.safe()) is not None:
        sections.append(f"{SAFE.format(*safe)}\n")
    return "\n".join(sections)


def _machine(figures: Figures) -> str:
    told = figures.machine
    names = ("processor", "cores", "memory", "system", "python", "faust-streaming", "aiokafka")
    machine = ", ".join(f"{name} {told[name]}" for name in names if name in told)
    return f"Measured {told.get('when', '')} at {told.get('commit', '')}: {machine}.\n"


def _section(figures: Figures, workload: Workload, rows: Sequence[Row]) -> str:
    heads = ["", "broker", *(column.head for column in workload.columns)]
    ratios = {}
    if workload.claim:
        heads.append("ours is")
        ratios = {(p, b): r for p, b, r in figures.ratios(workload.key, workload.claim)}
    lines = [
        f"### {workload.title}",
        "",
        _line(heads),
        _line(["---"] * 2 + ["--:"] * (len(heads) - 2)),
    ]
    for row in rows:
        cells = [f"{row.peer}{row.variant and f', {row.variant}'}", row.broker]
        for column in workload.columns:
            value = row.told(column.key, column.of)
            cells.append("–" if value is None else column.form.format(value))
        if workload.claim:
            ratio = ratios.get((row.peer, row.broker))
            cells.append("" if ratio is None else f"{ratio:.2f} ×")
        lines.append(_line(cells))
    told = dict.fromkeys(f"{row.peer}: {row.settings} ({row.versions})" for row in rows)
    wrong = [f"{row.peer} on {row.broker}: {row.problem_line}" for row in rows if row.problem]

    return "\n".join([*lines, "", workload.how, "", *(f"- {each}" for each in [*told, *wrong]), ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def chart(figures: Figures) -> str:
    """The drain on Apache Kafka and on Redis, the fastest first."""
    bars = []
    for row in figures.tables.get("drain", ()):
        rate = row.median("rate")
        if row.broker == "embedded" or rate is None:
            continue
        kind = {"ours": "ours", BOUND: "bound"}.get(row.peer, "other")
        bars.append(Bar(f"{row.peer} ({row.broker})", rate, kind, _loses(figures, row)))
    bars.sort(key=lambda bar: -bar.value)
    machine = f"{figures.machine.get('processor', '')}, {figures.machine.get('cores', '')} cores"
    below = f"One worker each, on {machine}; medians. Dashed: the bound, which keeps no states."
    return svg(bars, "Jobs a second, of jobs that do nothing", below)


def _loses(figures: Figures, row: Row) -> str:
    killed = figures.row("killed", row.peer, row.broker)
    lost = killed.told("lost", max) if killed else None
    return "loses jobs when killed" if lost else ""
