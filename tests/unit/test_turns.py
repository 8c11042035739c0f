"""Waiting for one's turn."""

import asyncio

import pytest

from execution.turns import Turns

pytestmark = pytest.mark.asyncio

LONG_S = 60.0


async def begun(turns: Turns, names: str, woken: list[str]) -> list[asyncio.Task[None]]:
    async def wait(name: str) -> None:
        assert await turns.wait(LONG_S)
        woken.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_each_call_wakes_whoever_came_first_and_nobody_else() -> None:
    turns, woken = Turns(), list[str]()
    tasks = await begun(turns, "abc", woken)
    for name in "abc":
        turns.free()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        tasks = [task for task in tasks if not task.done()]
        assert woken[-1] == name
    assert woken == ["a", "b", "c"]


async def test_what_is_free_while_nobody_waits_is_not_kept() -> None:
    turns = Turns()
    turns.free()
    assert not await turns.wait(0.0)


async def test_the_turn_of_one_who_has_gone_is_the_next_ones() -> None:
    turns, woken = Turns(), list[str]()
    first, second = await begun(turns, "ab", woken)
    turns.free()
    first.cancel()  # woken, and gone before it could take its turn
    await second
    assert first.cancelled()
    assert woken == ["b"]


async def test_one_who_went_before_his_turn_costs_none() -> None:
    turns, woken = Turns(), list[str]()
    first, second = await begun(turns, "ab", woken)
    first.cancel()
    await asyncio.sleep(0)
    turns.free()
    await second
    assert woken == ["b"]
