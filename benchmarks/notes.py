"""What handlers have noted: which job ran, and when."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple


class Note(NamedTuple):
    """``at``: epoch seconds. ``id``: the job's place in the log, where who submitted it knows."""

    number: int
    at: float
    id: str = ""


def read(path: Path) -> list[Note]:
    """All notes, in the order in which they were written; a line that isn't whole is none."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    words = (line.split() for line in lines)
    return [Note(int(number), int(at) / 1e9, *more) for number, at, *more in words]


def times_run(notes: list[Note]) -> Counter[int]:
    """How often each job has run."""
    return Counter(note.number for note in notes)
