"""Each rule of the checker: good histories pass all rules, and one that is broken on purpose is
caught by exactly the rule that it breaks."""

from __future__ import annotations

import pytest

from tests.faults.builder import Builder
from tests.faults.checker import judge
from tests.faults.histories import AT_REST, CASES
from tests.faults.histories.attempts import more_runs_than_rows
from tests.faults.histories.cases import last_offset, without
from tests.faults.histories.sound import a_kill_and_a_takeover, a_plain_job


@pytest.mark.parametrize("name", CASES)
def test_a_history_is_caught_by_the_rule_that_it_breaks(name: str) -> None:
    rule, build = CASES[name]
    builder = Builder()
    build(builder)
    if name not in AT_REST:
        builder.rest()
    report = judge(builder.history)
    wanted = set() if rule == "good" else {rule}
    assert set(report.rules) == wanted, report.text()


def test_every_rule_has_two_histories_that_break_it() -> None:
    from tests.faults.checker.rules import RULES

    broken = [rule for rule, _ in CASES.values()]
    assert [rule for rule in RULES if broken.count(rule) < 2] == []


def test_a_removed_final_row_is_found_though_no_place_is_missing() -> None:
    b = Builder()
    a_plain_job(b)
    b.rest()
    without(b, "changelog", last_offset(b))
    assert {"I1", "I2", "I6"} <= set(judge(b.history).rules)


def test_duplicates_and_recovery_are_told() -> None:
    b = Builder()
    a_kill_and_a_takeover(b)
    report = judge(b.rest())
    assert (report.duplicates.takeovers, report.duplicates.unexplained) == (1, 0)
    (recovery,) = report.recoveries
    assert recovery.partitions == (0,)
    assert recovery.owned_s == pytest.approx(0.01)
    assert recovery.first_s == recovery.all_s == pytest.approx(0.06)
    assert report.final == {"done": 1}
    b = Builder()
    more_runs_than_rows(b)
    assert judge(b.rest()).duplicates.unexplained == 1
