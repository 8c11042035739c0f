"""Hooks: what is opened before the first job, and closed after the last one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from jobs.resources import HOOKS, Hooks, Resources, shutdown, startup

HERE = __name__


class Pool:
    pass


class Client:
    pass


class Worker:
    """Hooks that say what they do, and a start and an end of a worker."""

    def __init__(self) -> None:
        self.hooks = Hooks()
        self.resources = Resources()
        self.said: list[str] = []

    def opens(self, function: Callable[[], Any]) -> None:
        self.hooks.add(function, opens=True)

    def closes(self, function: Callable[[Resources], Any]) -> None:
        self.hooks.add(function, opens=False)

    async def start(self) -> None:
        await self.hooks.start(self.resources)

    async def stop(self) -> None:
        await self.hooks.stop(self.resources)


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.mark.asyncio
async def test_all_forms_open_in_order_and_close_in_reverse(worker: Worker) -> None:
    said = worker.said

    def plain() -> Pool:
        said.append("pool opens")
        return Pool()

    async def generates() -> AsyncIterator[Client]:
        said.append("client opens")
        yield Client()
        assert isinstance(worker.resources.get(Pool), Pool)
        said.append("client closes")

    def yields() -> Iterator[int]:
        said.append("number opens")
        yield 5
        said.append("number closes")

    async def gives_nothing() -> None:
        said.append("nothing opens")

    worker.opens(plain)
    worker.closes(lambda resources: said.append("pool closes"))
    for function in (generates, yields, gives_nothing):
        worker.opens(function)
    await worker.start()
    assert isinstance(worker.resources.get(Client), Client)
    assert worker.resources.get(int) == 5
    await worker.stop()
    opened = ["pool opens", "client opens", "number opens", "nothing opens"]
    assert said == [*opened, "number closes", "client closes", "pool closes"]


@pytest.mark.asyncio
async def test_when_one_fails_those_before_it_are_closed(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    async def generates() -> AsyncIterator[Pool]:
        yield Pool()
        worker.said.append("pool closes")

    def fails() -> Client:
        raise ConnectionError("away")

    async def later() -> AsyncIterator[str]:
        worker.said.append("never opened")
        yield "x"
        worker.said.append("never closed")

    def close_pool(resources: Resources) -> None:
        assert isinstance(resources.get(Pool), Pool)
        worker.said.append("pool was there")

    worker.opens(generates)
    worker.closes(close_pool)
    worker.opens(fails)
    worker.closes(lambda resources: resources.get(Client))
    worker.opens(later)
    with pytest.raises(ConnectionError) as caught:
        await worker.start()
    where = f"{HERE}.test_when_one_fails_those_before_it_are_closed.<locals>.fails"
    assert caught.value.__notes__ == [f"@startup {where} failed"]
    with caplog.at_level(logging.WARNING):
        await worker.stop()
    assert worker.said == ["pool was there", "pool closes"]
    assert caplog.text == "", "who asks for what was never opened has not failed"


@pytest.mark.asyncio
async def test_what_fails_at_the_end_does_not_keep_the_others(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    def first() -> Iterator[Pool]:
        yield Pool()
        worker.said.append("closed")

    async def fails() -> AsyncIterator[Client]:
        yield Client()
        raise OSError("can't close")

    def twice() -> Iterator[int]:
        yield 1
        yield 2

    async def again() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    for function in (first, fails, twice, again):
        worker.opens(function)
    worker.closes(lambda resources: resources.get(bytes))
    await worker.start()
    await worker.stop()
    assert worker.said == ["closed"]
    assert "fails failed" in caplog.text
    assert "can't close" in caplog.text
    assert caplog.text.count("RuntimeError: it has a second yield") == 2
    assert "no @startup function has given a bytes" in caplog.text, "all was opened: its fault"


@pytest.mark.asyncio
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_yield_that_is_not_reached(worker: Worker, asynchronous: bool) -> None:
    def never() -> Iterator[int]:
        yield from ()

    async def never_either() -> AsyncIterator[int]:
        for number in list[int]():
            yield number

    worker.opens(never_either if asynchronous else never)
    with pytest.raises(RuntimeError, match="it ended before its yield"):
        await worker.start()
    await worker.stop()


def open_one() -> Pool:
    return Pool()


def open_another() -> Pool:
    return Pool()


@pytest.mark.asyncio
async def test_two_of_one_type_are_named(worker: Worker) -> None:
    worker.opens(open_one)
    worker.opens(open_another)
    with pytest.raises(ValueError, match="Pool is given twice") as caught:
        await worker.start()
    both = f"by @startup {HERE}.open_one and by @startup {HERE}.open_another"
    assert both in str(caught.value)
    worker.resources = Resources()
    worker.resources.put(Pool())
    with pytest.raises(ValueError, match=r"by the caller and by @startup .*open_one"):
        await worker.start()


async def closes_and_yields(resources: Resources) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("decorator", "function", "says"),
    [
        (startup, lambda config: config, "must take no arguments: missing a required argument"),
        (startup, None, "it must be a function"),
        (shutdown, lambda: None, "must take one argument, the Resources: too many positional"),
        (shutdown, lambda a, b: None, "must take one argument, the Resources: missing a required"),
        (shutdown, closes_and_yields, "has a yield; what is behind it would never run"),
    ],
)
def test_what_can_not_be_a_hook(decorator: Any, function: Any, says: str) -> None:
    before = len(HOOKS._hooks)
    with pytest.raises(TypeError, match=f"@{decorator.__name__} .*{says}"):
        decorator(function)
    assert len(HOOKS._hooks) == before
