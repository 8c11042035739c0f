"""Histories that the model has found faults in, kept by hand."""

from __future__ import annotations

from typing import Any, cast

from tables.fold import OWNER_KEY
from tables.partition import Partition
from tests.model.kafka import P, Reader
from tests.model.machine import Histories
from tests.model.worker import CANCEL, CHANGELOG, JOBS
from tests.model.world import World, step_until
from web.newest import superseded


def test_a_cancel_does_not_bring_back_a_job_that_was_swept(world: World) -> None:
    """The job is done and swept, and its place isn't committed: the next owner reads the cancel
    before the job."""
    one, two = world.workers
    world.submit(b'{"handler":"model"}')
    world.run_all()
    next(iter(one.running.values())).set_result("ok")
    world.run_all()
    one.loop.spawn(one.sweeper.sweep())
    world.run_all()
    assert world.rules.swept == {0}
    world.kill(one)
    world.cancel(0)
    world.assign(two)
    step_until(world, two, lambda: two.part)
    cancels = world.kafka.topic(CANCEL).slice(0, 1).records
    two.offer(two.feeds[2], [cancels[0]])
    world.run_all()
    assert world.rules.rows == {}
    world.settle()


def test_what_lands_while_void_rows_are_answered_is_answered_too(world: World) -> None:
    """A worker that was taken for dead writes two rows late, the second while the next owner,
    in the middle of its takeover, answers the first."""
    one, two = world.workers
    for _ in range(2):
        world.submit(b'{"handler":"model"}')
    world.run_all()
    log = world.kafka.topic(CHANGELOG)
    assert one.part is not None
    late = one.part.fence.headers()
    rows = {r.key: r.value for r in log.records if r.key in (b"0-0", b"0-1")}
    for future in one.running.values():
        future.set_result("ok")
    world.run_all()
    world.assign(two)
    step_until(world, two, lambda: log.records[-1].key == OWNER_KEY)
    log.append([(b"0-0", rows[b"0-0"], late)])
    step_until(world, two, lambda: log.records[-1].headers != late)
    assert two.part is None, "the takeover is still under way, or it proves nothing"
    log.append([(b"0-1", rows[b"0-1"], late)])
    world.run_all()
    two.loop.spawn(two.look())
    world.run_all()
    assert world.rules.unanswered == set()
    world.settle()


def test_a_mark_is_there_before_what_it_stands_for(world: World) -> None:
    """The batch with the sweep's mark is lost, and those behind it aren't: without the mark no
    row may be removed."""
    one, _ = world.workers
    for _ in range(6):  # more than a batch holds
        world.submit(b"{")
    world.run_all()
    assert len(world.rules.rows) == 6
    one.loop.spawn(one.sweeper.sweep())
    step_until(world, one, one.connection.in_flight)
    (batch,) = one.connection.in_flight()
    one.connection.done(batch)
    batch.fail()
    world.run_all()
    assert not world.rules.swept, "a row is gone, and no mark says so"
    world.settle()


def test_a_place_is_passed_only_when_its_row_is_durable(world: World) -> None:
    """A cancel leaves a row for a job that isn't read yet, and intake reads the job while that
    row is on its way: if the place were committed now, a kill would lose the job."""
    one, _ = world.workers
    world.submit(b'{"handler":"model"}')
    world.cancel(0)
    (asked,) = world.kafka.topic(CANCEL).slice(0, 1).records
    one.offer(one.feeds[2], [asked])
    step_until(world, one, one.connection.in_flight)
    (job,) = world.kafka.topic(JOBS).slice(0, 1).records
    one.offer(one.feeds[0], [job])
    while one.loop.step():
        pass
    assert one.feeds[0].places[P] == 0
    world.run_all()
    assert one.feeds[0].places[P] == 1
    assert world.rules.rows[0]["status"] == "canceled"
    world.settle()


def test_of_a_cancel_and_an_intake_at_one_moment_one_counts(world: World) -> None:
    """Both have seen that the job has no row, and wait until the fence is raised: whoever is
    second finds the other one's row, and leaves it."""
    one, _ = world.workers
    assert one.part is not None
    raised = one.loop.create_future()

    async def raise_fence(part: Partition) -> None:
        async with part.alone():
            await raised

    one.loop.spawn(raise_fence(one.part))
    world.submit(b'{"handler":"model"}')
    world.cancel(0)
    for feed, topic in ((one.feeds[2], CANCEL), (one.feeds[0], JOBS)):
        (record,) = world.kafka.topic(topic).slice(0, 1).records
        one.offer(feed, [record])
        while one.loop.step() or one.connection.serve():
            pass
    assert 0 not in world.rules.rows, "nothing can be written yet, or it proves nothing"
    raised.set_result(None)
    world.run_all()
    assert [row["status"] for row in world.rules.ever[0]] == ["canceled"]
    world.settle()


def test_what_got_into_the_log_before_a_keys_record_has_the_key(world: World) -> None:
    """Another program's record with the same key lands between the look and the write."""
    one, _ = world.workers
    value = b'{"handler":"model"}'
    world.post(one, value, "a")
    step_until(world, one, one.connection.in_flight)
    world.submit(value, "a")
    world.run_all()
    world.post(one, value, "a")
    world.run_all()
    assert world.kafka.topic(JOBS).end == 2, "the write was on its way, or it proves nothing"
    assert world.answers["a"] == [0, 0]
    world.settle()


def test_a_job_that_was_canceled_unread_has_its_key_only_if_none_before_it_has(
    world: World,
) -> None:
    one, _ = world.workers
    world.run_all()
    value = b'{"handler":"model","ttl":0}'
    world.submit(value, "b")
    world.submit(value, "b")
    world.cancel(1)
    (asked,) = world.kafka.topic(CANCEL).slice(0, 1).records
    one.offer(one.feeds[2], [asked])
    while one.loop.step() or one.connection.serve():
        pass
    assert {n: row["status"] for n, row in world.rules.rows.items()} == {1: "canceled"}
    world.post(one, value, "b")
    world.run_all()
    world.post(one, value, "b")
    world.settle()


def test_an_owner_in_between_under_a_fence_with_our_number_is_noticed() -> None:
    """The second worker keeps the partition over a rebalance: it has read the changelog, and its
    new fence is on its way. Meanwhile the first takes over under the same number, and writes; the
    fence that comes then is the higher one, by its instance."""
    history = Histories()
    try:
        history.begin(values=[], steps=2000)
        history.look(who=0, then=(0, 0))
        history.look(who=1, then=(0, 0))
        history.assign(who=1, steps=13)
        history.look(who=0, then=(1, 1))
        history.assign(who=0, steps=8)
        history.assign(who=1, steps=20)
        history.look(who=0, then=(1, 1))
        history.assign(who=1, steps=5)
        history.post(who=0, key="a", then=(0, 2000))
    finally:
        history.teardown()
    fences = [dict(r.headers)["fence"] for r in history.world.kafka.topic(CHANGELOG).records]
    both = [b"3 w0", b"3 w1"]
    assert [f for f in dict.fromkeys(fences) if f in both] == both, "or it proves nothing"


def test_whoever_is_put_out_of_its_partition_asks_the_group_before_taking_it_back(
    world: World,
) -> None:
    """It was cut off and is out of the group, and doesn't know it yet: another worker's record of
    ownership is the first that it hears of it."""
    one, two = world.workers
    world.submit(b'{"handler":"model"}')
    world.run_all()
    assert one.part is not None
    app = cast(Any, one.resume._app)
    member = app._member
    app._member, app.confirmed = (lambda: True), (lambda since: False)
    world.assign(two)
    step_until(world, two, lambda: two.part)
    world.run_all()
    owners = [r for r in world.kafka.topic(CHANGELOG).records if r.key == OWNER_KEY]
    one.loop.spawn(one.look())
    for _ in range(5):
        world.run_all()
        world.clock.now_s += 5
    assert not one.table.served
    assert [r for r in world.kafka.topic(CHANGELOG).records if r.key == OWNER_KEY] == owners
    app.confirmed = lambda since: True
    world.run_all()
    assert one.table.served, "this wait was what held it"
    app._member, app.confirmed = member, lambda since: member()
    world.settle()


def test_a_lease_that_has_ended_knows_no_places_of_the_next_one(world: World) -> None:
    """A record with a key is on its way when the lease ends. Another worker admits a job of the
    same key in front of it, and before the first one hears where its record stands, the partition
    is its own again, with a place that is past that job."""
    one, two = world.workers
    one.loop.spawn(one.look())  # its places are committed, and not again
    world.run_all()
    value = b'{"handler":"model"}'
    world.post(one, value, "a")
    step_until(world, one, one.connection.in_flight)
    (batch,) = one.connection.in_flight()
    world.assign(two)
    step_until(world, two, lambda: two.part)
    world.post(two, value, "a")
    step_until(world, two, lambda: world.answers["a"] and two.feeds[0].places[P] == 1)
    two.loop.spawn(two.look())
    step_until(world, two, lambda: world.kafka.committed.get(JOBS) == 1)
    before = one.part
    batch.land()
    one.connection.done(batch)
    world.assign(one)
    step_until(world, one, lambda: one.part is not before and one.part)
    assert one.feeds[0].places[P] >= 1
    batch.acknowledge()
    world.run_all()
    assert world.answers["a"] == [0, 0]
    assert world.kafka.topic(JOBS).end == 2
    world.settle()


def test_a_fence_that_is_not_in_the_log_yet_is_nobodys(world: World) -> None:
    """The second worker keeps the partition over a rebalance, and its new fence is on its way.
    Meanwhile the first takes over under the same number: what the second one shows is older."""
    one, two = world.workers
    world.submit(b'{"handler":"model"}')
    world.assign(two)
    world.run_all()
    world.assign(one)
    world.assign(two)

    def renewed() -> bool:
        entries = [entry for b in two.connection.in_flight() for entry in b.entries]
        return any(dict(headers)["fence"] == b"3 w1" for *_, headers in entries)

    step_until(world, two, renewed)
    world.cancel(0)
    step_until(world, one, lambda: one.part is not None and one.part.fence == (3, "w0"))
    world.look_at(one)
    assert world.rules.rows[0]["status"] == "canceled"
    world.look_at(two)
    assert two.part is not None
    assert two.part.rows[0].status.value == "executing", "or it proves nothing"
    reader, parts = Reader(two.connection), {P: two.part}
    found: list[set[int]] = []

    async def ask() -> None:
        found.append(await superseded(reader, CHANGELOG, parts))

    two.loop.spawn(ask())
    step_until(world, two, lambda: found)
    next(b for b in two.connection.in_flight() if b.name == CHANGELOG).land()
    assert [r.headers[0][1] for r in world.kafka.topic(CHANGELOG).records][-1] == b"3 w1"
    two.loop.spawn(ask())
    step_until(world, two, lambda: len(found) == 2)
    assert found == [{P}, {P}], "whoever reads gets no old answer, before its fence or behind it"
    world.settle()
