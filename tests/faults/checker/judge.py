"""From a history to a report."""

from __future__ import annotations

from collections import Counter

from tests.faults.checker.attempts import interrupted
from tests.faults.checker.case import Case
from tests.faults.checker.model import History
from tests.faults.checker.recovery import recoveries
from tests.faults.checker.report import Duplicates, Report
from tests.faults.checker.rules import RULES
from tests.faults.checker.rules.readers import stale


def judge(history: History) -> Report:
    """Hold a history against every rule, and count."""
    case = Case(history)
    violations = [found for rule in RULES.values() for found in rule(case)]
    final: Counter[str] = Counter()
    for job in case.records:
        last = case.log(job).last
        final["no row" if last is None else last.status] += 1
    unanswered: Counter[str] = Counter()
    for call in history.calls:
        if call.status is None or call.status >= 500:
            unanswered[f"{call.method} {call.status or 'no answer'}"] += 1
    return Report(
        violations=violations,
        accepted=len(case.accepted),
        accepted_http=sum(calls[0].method == "POST" for calls in case.accepted.values()),
        unacknowledged=len(case.records.keys() - case.accepted.keys()),
        final=dict(sorted(final.items())),
        duplicates=_duplicates(case),
        recoveries=recoveries(history.events, case.folded),
        evidence={
            "records": sum(len(records) for records in history.topics.values()),
            "reads": len(case.reads),
            "lists": sum(call.is_list and call.status == 200 for call in history.calls),
            "cancels": len(case.canceled),
            "served": len(history.served),
            "runs": len(history.runs),
            "events": len(history.events),
        },
        owners=len(case.folded.owned),
        void=case.folded.void,
        foreign=case.folded.foreign,
        stale_reads=stale(case),
        unanswered=dict(sorted(unanswered.items())),
    )


def _duplicates(case: Case) -> Duplicates:
    """Runs beyond the attempts that count, and why they were. Each run whose attempt was broken
    off is such a one; so is a run that no row that counts explains."""
    found = Duplicates()
    for job, done in case.attempted.items():
        log = case.log(job)
        for _, row in done.by_row:
            if row is None:
                found.unexplained += 1
                continue
            broken = interrupted(log, row)
            if broken is not None:
                found.takeovers += broken[1]
                found.stops += not broken[1]
        found.unexplained += len(done.under_void)
    return found
