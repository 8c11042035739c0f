"""Figures of all runs, their medians, and the file that keeps them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

NO_PROCESSORS = (  # what others are held against
    "ours",
    "naive Faust agent",
    "naive Faust agent on uvloop",
    "bare aiokafka",
)
LATEST = Path(__file__).parent / "results" / "latest.json"


@dataclass
class Row:
    """One peer in one table. ``problem``: why there are no figures."""

    peer: str
    broker: str
    variant: str = ""
    settings: str = ""
    versions: str = ""
    measured: str = ""
    runs: list[dict[str, float]] = field(default_factory=list)
    problem: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands in its table."""
        return self.broker, self.peer, self.variant

    @property
    def problem_line(self) -> str:
        """What went wrong, and the last that the peer said of it."""
        lines = self.problem.splitlines()
        return lines[0] if len(lines) < 2 else f"{lines[0]} … {lines[-1]}"

    def median(self, key: str) -> float | None:
        """Of a figure, over the runs that have it."""
        return self.told(key, statistics.median)

    def told(self, key: str, of: Callable[[list[float]], float]) -> float | None:
        """What is told of a figure's runs; ``None``: none has it."""
        values = [run[key] for run in self.runs if key in run]
        return of(values) if values else None

    def spread(self, key: str) -> float:
        """Of a figure: the greatest less the least, as a share of the median."""
        values = [run[key] for run in self.runs if key in run]
        middle = statistics.median(values) if values else 0
        return (max(values) - min(values)) / middle if middle else 0.0


@dataclass
class Figures:
    """All tables of one call, by their workload's key."""

    machine: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def row(self, key: str, peer: str, broker: str, variant: str = "") -> Row | None:
        """That one; ``None``: it wasn't asked for."""
        for row in self.tables.get(key, ()):
            if (row.peer, row.broker, row.variant) == (peer, broker, variant):
                return row
        return None

    def ratios(self, key: str, column: str) -> Iterator[tuple[str, str, float]]:
        """Of ours to the others' medians: (peer, its broker, ratio). A peer on Redis is held
        against ours on Apache Kafka."""
        for row in self.tables.get(key, ()):
            ours = self.row(key, "ours", "kafka" if row.broker == "redis" else row.broker)
            mine = ours.median(column) if ours else None
            theirs = row.median(column)
            if row.peer != "ours" and mine and theirs:
                yield row.peer, row.broker, mine / theirs

    def safe(self) -> tuple[str, float] | None:
        """The fastest of the other job processors that were killed and lost nothing, and how
        many times as fast ours is; ``None``: it isn't known."""
        kept = {
            (row.peer, row.broker)
            for row in self.tables.get("killed", ())
            if row.told("lost", max) == 0 and row.peer not in NO_PROCESSORS
        }
        ratios = [(r, p) for p, b, r in self.ratios("drain", "rate") if (p, b) in kept]
        return min(ratios)[::-1] if ratios else None

    def write(self, path: Path) -> None:
        """Beside each table's runs their medians, for those who read it without this."""
        path.parent.mkdir(parents=True, exist_ok=True)
        made: dict[str, Any] = msgspec.to_builtins(self)
        for key, rows in self.tables.items():
            for row, told in zip(rows, made["tables"][key], strict=True):
                told["medians"] = {name: row.median(name) for name in _names(row.runs)}
        whole = path.with_name(f"{path.name}.new")  # whoever is killed here leaves the old ones
        whole.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
        whole.replace(path)

    def update(self, path: Path) -> None:
        """Writes them beside what the file has of other peers and tables; each row says when it
        was measured. One that came to nothing leaves what was measured before."""
        merged = Figures(self.machine, {key: list(rows) for key, rows in self.tables.items()})
        for key, rows in (Figures.read(path).tables if path.exists() else {}).items():
            before = {row.place: row for row in rows if row.runs}
            mine = [
                row if row.runs else before.get(row.place, row)
                for row in merged.tables.get(key, ())
            ]
            there = {row.place for row in mine}
            merged.tables[key] = [*mine, *(row for row in rows if row.place not in there)]
        merged.write(path)

    @staticmethod
    def check(path: Path) -> None:
        """Whether ``update`` will work: better known before than after an hour.

        Raises:
            ValueError: says what is wrong with the file.
        """
        there = path.exists()
        if there:
            Figures.read(path)
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("ab"):
                pass
            if not there:
                path.unlink()
        except OSError as exc:
            raise ValueError(f"{path} can't be written: {exc.strerror}") from None

    @classmethod
    def read(cls, path: Path) -> Figures:
        """What ``write`` wrote.

        Raises:
            ValueError: says what is wrong with the file.
        """
        if not path.is_file():  # a device may have no end
            raise ValueError(f"{path} is no file; name another one")
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as exc:
            raise ValueError(f"{path} can't be read: {exc.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise ValueError(f"{path} has no figures in it; name another file") from None


def _names(runs: list[dict[str, float]]) -> Mapping[str, None]:
    return dict.fromkeys(name for run in runs for name in run)
