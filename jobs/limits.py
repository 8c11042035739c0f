"""Limits of one handler in one worker: how many at once, and how many in a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(\d{1,9})\s*/\s*(s|m|h)", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` attempts in ``seconds``, begun at even distances."""

    count: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read ``"10/s"``, ``"100/m"`` or ``"5/h"``.

        Raises:
            ValueError: another form, or a count of 0.
        """
        match = _FORM.fullmatch(text)
        if match is None or int(match[1]) == 0:
            raise ValueError(f"{text!r} is no rate: give a count and a time, such as '10/s'")
        return cls(int(match[1]), _SECONDS[match[2]])


class Limit:
    """How much of something is in use. Times are seconds of any clock that only rises."""

    def __init__(self, max_running: int | None = None, rate: Rate | None = None) -> None:
        self._max_running = max_running
        self._gap_s = rate.seconds / rate.count if rate is not None else 0.0
        self._running = 0
        self._next_at = 0.0

    def wait_s(self, now: float) -> float | None:
        """Seconds until one more may begin: 0 for at once, ``None`` when one must end first."""
        if self._max_running is not None and self._running >= self._max_running:
            return None
        return max(0.0, self._next_at - now)

    def take(self, now: float) -> None:
        """One begins."""
        self._running += 1
        self._next_at = max(now, self._next_at) + self._gap_s

    def give(self, *, unused: bool = False) -> None:
        """One has ended; ``unused``: it had not really begun, and the next one needn't wait."""
        self._running -= 1
        if unused:
            self._next_at -= self._gap_s
