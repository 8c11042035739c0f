"""Histories in which a death must be counted, once, or must not: three make a job poison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from aiokafka.errors import KafkaError

from log.writer import NotWritten
from tables.partition import Partition
from tests.model.world import World, step_until


def test_whoever_takes_its_partition_back_counts_nobody_as_dead(world: World) -> None:
    """A worker that doesn't know yet that the group has moved on takes its partition back from the
    new owner, which takes it back in turn. Both live: three of these must not make a job poison."""
    one, two = world.workers
    world.submit(b'{"handler":"model","ttl":0}')
    world.run_all()
    app = cast(Any, one.resume._app)
    member = app._member
    app._member = lambda: True
    world.assign(two)
    step_until(world, two, lambda: two.part)
    world.run_all()
    assert world.rules.rows[0]["crashes"] == 1, "the first one has not let go"
    for worker in (one, two):
        worker.loop.spawn(worker.look())
        for _ in range(5):
            world.run_all()
            world.clock.now_s += 5
        assert worker.part is not None, "or it proves nothing"
        assert world.rules.rows[0]["status"] == "executing"
        assert world.rules.rows[0]["worker"] == worker.name
        assert world.rules.rows[0]["crashes"] == 1
        app._member = member
    world.settle()
    assert world.rules.rows[0]["status"] == "done"


def test_a_partition_that_is_kept_counts_nobody_as_dead(world: World) -> None:
    """As before, but the one that was wrong is refused, and joins the group: that is a rebalance,
    by which the owner keeps its partition."""
    one, two = world.workers
    world.submit(b'{"handler":"model","ttl":0}')
    world.run_all()
    app = cast(Any, one.resume._app)
    member = app._member
    world.assign(two)
    world.run_all()
    assert world.rules.rows[0]["crashes"] == 1, "the first one has not let go"
    for _ in range(3):
        app._member = lambda: True
        one.loop.spawn(one.look())
        for _ in range(3):
            while world.step(one):
                pass
            world.clock.now_s += 5
        assert one.part is not None, "or it proves nothing"
        assert world.rules.rows[0]["worker"] == one.name, "or it proves nothing"
        app._member = member
        world.assign(two)
        world.run_all()
        assert two.part is not None
        assert world.rules.rows[0]["crashes"] == 1
    world.settle()
    assert world.rules.rows[0]["status"] == "done"


def test_a_death_is_counted_though_the_first_try_to_take_over_fails(world: World) -> None:
    """Once its record of ownership is there, the second try finds itself as the last owner."""
    one, two = world.workers
    world.submit(b'{"handler":"model","ttl":0}')
    world.run_all()
    world.kill(one)
    find, tries = two.resume._places, []

    async def fails_once(parts: Sequence[Partition]) -> dict[int, dict[str, int]]:
        tries.append(parts)
        if len(tries) == 1:
            raise KafkaError("committed places can't be read")
        return await find(parts)

    two.resume._places = fails_once  # type: ignore[method-assign]
    world.assign(two)
    for _ in range(3):
        world.run_all()
        world.clock.now_s += 5
    assert len(tries) == 2, "or it proves nothing"
    assert world.rules.rows[0]["crashes"] == 1
    assert world.rules.rows[0]["status"] == "executing"
    world.settle()


def test_poison_ends_though_its_dead_letter_is_refused_at_first(world: World) -> None:
    world.submit(b'{"handler":"model","ttl":0}')
    world.run_all()
    refused = 0
    for _ in range(3):
        world.kill(next(worker for worker in world.workers if worker.part is not None))
        heir = world.workers[0]
        put = heir.resume._dead.put_job

        async def refuses_once(*letter: Any, put: Any = put) -> None:
            nonlocal refused
            if not refused:
                refused += 1
                raise NotWritten("jobs-dead can't be written")
            await put(*letter)

        heir.resume._dead.put_job = refuses_once  # type: ignore[method-assign, assignment]
        world.assign(heir)
        for _ in range(3):
            world.run_all()
            world.clock.now_s += 5
    assert refused, "or it proves nothing"
    assert world.rules.rows[0]["status"] == "failed"
    assert world.rules.rows[0]["error"].startswith("poison")
    world.settle()
