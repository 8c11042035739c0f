"""How long a job waits before its next attempt: exponential backoff with full jitter.

Source of the rule: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015),
the variant "full jitter". Pure: the random source is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Uniform = Callable[[], float]
"""A random number in [0, 1), as ``random.random`` gives."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``base_s`` 0 means: rerun at once, as the seed service does. Seconds."""

    base_s: float = 1.0
    cap_s: float = 60.0

    def delay_s(self, failed_attempts: int, uniform: Uniform) -> float:
        """Seconds until the attempt after ``failed_attempts`` (≥ 1) failures."""
        # 2**62 s is beyond any cap; the bound keeps the power from growing without end.
        ceiling = min(self.cap_s, self.base_s * 2.0 ** min(failed_attempts - 1, 62))
        return uniform() * ceiling
