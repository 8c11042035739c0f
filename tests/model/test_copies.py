"""Histories in which a batch is sent twice, and a copy lands late."""

from __future__ import annotations

from tables.fold import OWNER_KEY
from tests.model.kafka import Batch, Copy
from tests.model.rules import final
from tests.model.worker import CHANGELOG, Worker
from tests.model.world import World, step_until


def sent_again(world: World, worker: Worker) -> Copy:
    """The next batch of the changelog is sent twice; the first copy is on its way still."""

    def batches() -> list[Batch]:
        return [b for b in worker.connection.in_flight() if b.name == CHANGELOG]

    step_until(world, worker, batches)
    (batch,) = batches()
    return worker.connection.send_again(batch)


def lands(world: World, copy: Copy) -> None:
    world.kafka.ghosts.remove(copy)
    copy.land()


def ends(world: World, worker: Worker, fails: bool = False) -> None:
    """The handler that runs for the first job comes to its end."""
    (future,) = worker.running.values()
    if fails:
        world.rules.failures[0] += 1
        future.set_exception(RuntimeError("model failure"))
    else:
        future.set_result("ok")


def a_waiting_row_is_sent_twice_and_the_job_is_done(world: World) -> Copy:
    one, _ = world.workers
    world.submit(b'{"handler":"model"}')
    world.run_all()
    ends(world, one, fails=True)
    copy = sent_again(world, one)
    while not final(world.rules.rows[0]):
        world.run_all()
        ends(world, one, fails=world.rules.rows[0]["attempt"] < 3)
        world.run_all()
        world.clock.now_s += 15
    assert told(world) == ["executing", "waiting", "executing", "waiting", "executing", "done"]
    return copy


def told(world: World) -> list[str]:
    """The states of the first job, as they were written."""
    return [row["status"] for row in world.rules.ever[0]]


def test_a_copy_that_lands_behind_what_was_written_since_is_void_for_the_next_owner(
    world: World,
) -> None:
    copy = a_waiting_row_is_sent_twice_and_the_job_is_done(world)
    one, two = world.workers
    lands(world, copy)
    assert world.kafka.topic(CHANGELOG).records[-1].key == b"0-0", "or it proves nothing"
    world.kill(one)
    world.assign(two)
    world.run_all()
    assert two.part is not None
    assert two.part.rows[0].status.value == "done"
    assert not two.running
    assert told(world)[-2:] == ["done", "done"], "what stands is written again, behind the copy"
    assert world.rules.unanswered == set()
    world.settle()


def test_its_writer_notices_a_copy_and_writes_again_what_stands(world: World) -> None:
    """The next row's place shows that there is something between."""
    copy = a_waiting_row_is_sent_twice_and_the_job_is_done(world)
    one, two = world.workers
    lands(world, copy)
    assert world.rules.unanswered == {b"0-0"}
    world.submit(b'{"handler":"model"}')
    world.run_all()
    assert world.rules.unanswered == set()
    assert told(world)[-2:] == ["done", "done"]
    assert one.part is not None
    assert one.part.settled
    assert [job.status.value for job in one.part.rows.values()] == ["done", "executing"]
    world.compact(world.kafka.topic(CHANGELOG).end)
    world.kill(one)
    world.assign(two)
    world.run_all()
    assert two.part is not None
    assert two.part.rows[0].status.value == "done"
    world.settle()


def test_a_copy_of_a_batch_that_is_there_is_no_change(world: World) -> None:
    """It lands right before the one that is acknowledged: rows name the place of that one, which
    is void, and what comes behind is held back until that is known."""
    one, _ = world.workers
    world.submit(b'{"handler":"model"}')
    copy = sent_again(world, one)
    lands(world, copy)
    world.run_all()
    assert told(world) == ["executing", "executing"]
    ends(world, one)
    world.run_all()
    assert told(world) == ["executing", "executing", "done"]
    world.settle()


def test_an_owner_that_has_let_go_has_not_died_though_its_first_record_lands_late(
    world: World,
) -> None:
    one, two = world.workers
    world.submit(b'{"handler":"model"}')
    world.assign(two)
    copy = sent_again(world, two)
    world.run_all()
    assert world.rules.rows[0]["status"] == "executing"
    crashes = world.rules.rows[0].get("crashes", 0)
    assert copy.entries[0][0] == OWNER_KEY, "or it proves nothing"
    world.assign(one)
    world.tell(two)
    step_until(world, two, lambda: world.rules.released)
    lands(world, copy)
    world.run_all()
    assert one.part is not None, "or it proves nothing"
    assert world.rules.rows[0]["status"] == "executing"
    assert world.rules.rows[0].get("crashes", 0) == crashes
    world.settle()


def test_a_mark_that_lands_late_takes_nothing_back(world: World) -> None:
    """The first sweep's mark is sent twice, and the copy lands behind the second one's: a job
    that was removed meanwhile, and whose place isn't committed, must not be taken in again."""
    one, two = world.workers
    world.submit(b"{")
    world.run_all()
    one.loop.spawn(one.sweeper.sweep())
    copy = sent_again(world, one)
    world.run_all()
    world.submit(b"{")
    world.run_all()
    one.loop.spawn(one.sweeper.sweep())
    world.run_all()
    assert world.rules.swept == {0, 1}, "or it proves nothing"
    lands(world, copy)
    world.kill(one)
    world.assign(two)
    world.run_all()
    assert two.part is not None
    assert two.part.swept.next == 2
    assert world.rules.rows == {}
    world.settle()
