"""What came of it, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from tests.faults.checker.model import Violation
from tests.faults.checker.recovery import Recovery

_SHOWN = 10  # violations of one rule


@dataclass
class Duplicates:
    """Runs beyond the attempts that count: broken off by a takeover, by their own worker's
    stop, or not explained by the log."""

    takeovers: int = 0
    stops: int = 0
    unexplained: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Violations and counts. ``evidence``: how much there was to judge by; where it is 0, the
    rules that need it have judged nothing."""

    violations: list[Violation]
    accepted: int
    accepted_http: int
    unacknowledged: int  # in the log, though their sender was told nothing
    final: dict[str, int]
    duplicates: Duplicates
    recoveries: list[Recovery]
    evidence: dict[str, int]
    owners: int  # ownership records: takeovers, and marks of letting go
    void: int  # records of former owners
    foreign: int  # of none of ours
    stale_reads: int  # behind what another reader had seen: no fault
    unanswered: dict[str, int]

    @property
    def rules(self) -> dict[str, int]:
        """Violations of each rule that was broken."""
        return dict(sorted(Counter(found.rule for found in self.violations).items()))

    def data(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {**asdict(self), "violations": [v._asdict() for v in self.violations]}

    def text(self, *, recoveries: bool = True) -> str:
        """All of it in lines; of many violations of one rule the first ones."""
        extra = self.duplicates
        lines = [
            f"accepted: {self.accepted} ({self.accepted_http} by HTTP); in the log besides: "
            f"{self.unacknowledged}",
            "states: " + _counts(self.final),
            f"duplicate runs: {extra.takeovers} by takeovers, {extra.stops} by stops, "
            f"{extra.unexplained} unexplained",
            f"changelog: {self.owners} ownership records, {self.void} void, {self.foreign} foreign",
            f"reads behind another reader's: {self.stale_reads}",
            "not answered: " + _counts(self.unanswered),
            "evidence: " + _counts(self.evidence),
            *(f"killed: {recovery}" for recovery in self.recoveries if recoveries),
        ]
        missing = [name for name, count in self.evidence.items() if not count]
        if missing:
            lines.append(f"NOT JUDGED, since there are none: {', '.join(missing)}")
        for rule, count in self.rules.items():
            lines.append(f"rule {rule}: {count} violations")
            some = [v for v in self.violations if v.rule == rule]
            lines += [f"  {v.job or '-'}: {v.text}" for v in some[:_SHOWN]]
        lines.append("VIOLATED" if self.violations else "no violation")
        return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
