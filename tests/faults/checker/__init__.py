"""An independent judge of what a run under faults did to its jobs.

It knows the product by its documents alone: it imports nothing of it, reads topics by another
Kafka client, folds changelogs by a fold of its own, and compares all that with what clients were
told over HTTP and with what handlers really did. ``python -m tests.faults.checker DIR`` judges a
recorded run; ``judge`` does the same for a history in memory.
"""

from tests.faults.checker.judge import judge
from tests.faults.checker.model import History, Violation
from tests.faults.checker.report import Report

__all__ = ["History", "Report", "Violation", "judge"]
