"""The table on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.figures import Figures, Row
from benchmarks.workloads.base import Workload

SAFE = "Of those that were killed and lost nothing, {} is fastest; ours is {:.2f} times as fast."


def show(console: Console, figures: Figures, workloads: list[Workload]) -> None:
    """The machine, then a table for each workload, with ratios of ours to the others'."""
    told = ", ".join(f"{name} {value}" for name, value in figures.machine.items())
    console.print(f"\n{escape(told)}")
    for workload in workloads:
        rows = figures.tables.get(workload.key)
        if rows:
            console.print()
            console.print(_table(figures, workload, rows))
            for line in _settings(rows):
                console.print(f"  {line}", markup=False)
    if (safe := figures.safe()) is not None:
        console.print(f"\n{SAFE.format(*safe)}", markup=False)


def _table(figures: Figures, workload: Workload, rows: list[Row]) -> Table:
    table = Table(title=workload.title, caption=workload.how, title_justify="left")
    table.add_column("peer")
    table.add_column("broker")
    for column in workload.columns:
        table.add_column(column.head, justify="right")
    ratios = {}
    if workload.claim:
        table.add_column("ours is", justify="right")
        ratios = {(p, b): r for p, b, r in figures.ratios(workload.key, workload.claim)}
    for row in rows:
        name = f"{row.peer}{row.variant and f', {row.variant}'}"
        cells = [_cell(row.told(c.key, c.of), c.form) for c in workload.columns]
        if workload.claim:
            ratio = ratios.get((row.peer, row.broker))
            cells.append("" if ratio is None else f"{ratio:.2f} ×")
        table.add_row(name, row.broker, *cells)
    return table


def _settings(rows: list[Row]) -> list[str]:
    """Of each peer once, and what went wrong."""
    told = {f"{row.peer}: {row.settings} ({row.versions})": None for row in rows}
    wrong = (
        f"{row.peer} on {row.broker}: no figures; {row.problem_line}" for row in rows if row.problem
    )
    return [*told, *wrong]


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
