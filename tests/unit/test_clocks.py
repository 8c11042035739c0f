"""Limits of time for many at once. Times are the loop's own, which a test moves."""

import asyncio
from collections.abc import Iterator

import pytest

from execution.clocks import Clocks
from tests.model.loop import Clock, StepLoop


class Rung(list[float]):
    """What rang."""

    def __call__(self, limit_s: float) -> None:
        self.append(limit_s)


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def loop(time: Clock) -> Iterator[StepLoop]:
    loop = StepLoop(time)
    with loop.running():
        yield loop


def pass_by(loop: StepLoop, time: Clock, seconds: float) -> None:
    asyncio._set_running_loop(None)
    time.now_s += seconds
    while loop.step():
        pass
    asyncio._set_running_loop(loop._as_loop)


def test_each_rings_at_its_time_and_once(loop: StepLoop, time: Clock) -> None:
    clocks, rung = Clocks(), Rung()
    clocks.start(10.0, rung)
    pass_by(loop, time, 4.0)
    clocks.start(10.0, rung)
    clocks.start(1.0, rung)
    pass_by(loop, time, 1.0)
    assert rung == [1.0]
    pass_by(loop, time, 5.0)
    assert rung == [1.0, 10.0]
    pass_by(loop, time, 3.9)
    assert rung == [1.0, 10.0]
    pass_by(loop, time, 0.1)
    assert rung == [1.0, 10.0, 10.0]
    pass_by(loop, time, 1_000.0)
    assert len(rung) == 3


def test_one_that_was_stopped_does_not_ring(loop: StepLoop, time: Clock) -> None:
    clocks, rung = Clocks(), Rung()
    stops = [clocks.start(10.0, rung) for _ in range(3)]
    stops[0]()
    stops[1]()
    stops[1]()  # twice is no harm
    pass_by(loop, time, 10.0)
    assert rung == [10.0]
    stops[2]()  # nor is it afterwards


def test_one_that_begins_when_another_rings_has_its_whole_time(loop: StepLoop, time: Clock) -> None:
    clocks, rung = Clocks(), Rung()

    def again(limit_s: float) -> None:
        rung(limit_s)
        clocks.start(limit_s, rung)

    clocks.start(10.0, again)
    pass_by(loop, time, 10.0)
    pass_by(loop, time, 9.0)
    assert rung == [10.0]
    pass_by(loop, time, 1.0)
    assert rung == [10.0, 10.0]
    assert not clocks._lines or not any(line._running for line in clocks._lines.values())
