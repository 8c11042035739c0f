"""`make bench-smoke`: is ours still as fast, against the others, as `floor.json` says?

Ratios alone are held against it, since times say more of the machine than of us. A ratio may fall
by a third. One that is below is measured again, and the best of all rounds counts: a busy machine
spoils single rounds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.figures import Figures

FLOOR = Path(__file__).with_name("floor.json")
ALLOWED = 2 / 3
ROUNDS = 3
JOBS = 6_000
PEERS = ("ours", "naive", "bare")

Floor = Mapping[str, Mapping[str, float]]
"""Broker → peer → how many times as fast as the peer ours is."""


def read(path: Path = FLOOR) -> Floor:
    """What was recorded."""
    found: Floor = json.loads(path.read_bytes())["drain"]
    return found


def best(rounds: list[Figures]) -> dict[str, float]:
    """By peer, the greatest ratio of all rounds."""
    found: dict[str, float] = {}
    for each in rounds:
        for peer, _, ratio in each.ratios("drain", "rate"):
            found[peer] = max(ratio, found.get(peer, 0.0))
    return found


def left(figures: Figures) -> list[str]:
    """A line if ours has left jobs undone: its rate says nothing then."""
    row = next((row for row in figures.tables.get("drain", ()) if row.peer == "ours"), None)
    undone = None if row is None else row.told("left", max)
    return [f"ours left {undone:.0f} jobs undone"] if undone else []


def fallen(floor: Mapping[str, float], ratios: Mapping[str, float]) -> list[str]:
    """One line for each ratio that is too low, or that there is none of."""
    return [
        f"against {peer} ours was {wanted:.2f} times as fast and is {ratios.get(peer, 0):.2f} times"
        for peer, wanted in floor.items()
        if ratios.get(peer, 0.0) < wanted * ALLOWED
    ]


def judge(
    floor: Mapping[str, float], measure: Callable[[], Figures], say: Callable[[str], None]
) -> list[str]:
    """Measures until no ratio is too low, a few times at most; lines of those that stay so."""
    rounds: list[Figures] = []
    wrong: list[str] = []
    for _ in range(ROUNDS):
        rounds.append(measure())
        if undone := left(rounds[-1]):
            return undone
        ratios = best(rounds)
        for peer, ratio in ratios.items():
            say(f"ours is {ratio:.2f} times as fast as {peer} ({floor.get(peer, 0):.2f} recorded)")
        wrong = fallen(floor, ratios)
        if not wrong:
            break
    return wrong
