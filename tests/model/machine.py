"""Histories: what hypothesis may let happen, in any order."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.model.kafka import Copy
from tests.model.worker import CHANGELOG, Worker
from tests.model.world import World, clock_of

REST = 2_000  # steps after which a worker must have nothing left to do
WHO = st.integers(0, 1)
N = st.integers(0, 5)
STEPS = st.sampled_from([REST, 1, 2, 3, 5, 8, 13, 20, 30, REST])
# After most of what happens, one of the two goes on: for a few steps, or until it has to wait.
THEN = st.tuples(WHO, st.sampled_from([0, 1, 2, 4, 8, 16, REST, REST]))
REQUESTS = st.sampled_from(
    [
        b'{"handler":"model","ttl":1}',
        b'{"handler":"model","ttl":0}',
        b'{"handler":"model","ttl":1}',
        b'{"handler":"unknown"}',
        b"{",
    ]
)
ENDINGS = ["lands", "twice", "again", "fails", "late", "again"]
KEYS = st.sampled_from([None, None, None, "a", "b"])
VALUE_OF_KEYS = b'{"handler":"model","ttl":0}'


class Histories(RuleBasedStateMachine):
    """Two processes at a time, on one partition. The first is its owner to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.posted = 0
        self._patches = ExitStack()
        self._patches.enter_context(clock_of(self.world.clock))
        self.world.assign(self.world.workers[0])
        self._go_on(0, REST)

    @initialize(values=st.lists(REQUESTS, max_size=3), steps=STEPS)
    def begin(self, values: list[bytes], steps: int) -> None:
        for value in values:
            self.world.submit(value)
        self._go_on(0, steps)

    def teardown(self) -> None:
        try:
            self.world.settle()
        finally:
            for worker in self.world.workers:
                worker.kill()
            self._patches.close()

    def _worker(self, who: int) -> Worker:
        return self.world.workers[who]

    def _go_on(self, who: int, steps: int) -> None:
        worker = self._worker(who)
        for _ in range(steps):
            if worker.loop.dead or not self.world.step(worker):
                return
        assert steps < REST, f"a worker doesn't come to rest: {worker.loop.tasks()}"

    # Work

    @rule(who=WHO, steps=STEPS)
    def goes_on(self, who: int, steps: int) -> None:
        self._go_on(who, steps)

    @precondition(lambda self: self.world.submitted < 4)
    @rule(value=REQUESTS, key=KEYS, then=THEN)
    def submit(self, value: bytes, key: str | None, then: tuple[int, int]) -> None:
        self.world.submit(VALUE_OF_KEYS if key else value, key)
        self._go_on(*then)

    @precondition(lambda self: self.posted < 5)
    @rule(who=WHO, key=st.sampled_from("ab"), then=THEN)
    def post(self, who: int, key: str, then: tuple[int, int]) -> None:
        self.posted += 1
        self.world.post(self._worker(who), VALUE_OF_KEYS, key)
        self._go_on(*then)

    @rule(offset=st.integers(0, 4), then=THEN)
    def cancel(self, offset: int, then: tuple[int, int]) -> None:
        self.world.cancel(offset)
        self._go_on(*then)

    @precondition(lambda self: any(w.running for w in self.world.workers))
    @rule(n=N, fails=st.booleans(), then=THEN)
    def handler_ends(self, n: int, fails: bool, then: tuple[int, int]) -> None:
        running = [item for w in self.world.workers for item in w.running.items()]
        job_id, future = running[n % len(running)]
        if future.done():
            return
        if fails:
            self.world.rules.failures[job_id.offset] += 1
            future.set_exception(RuntimeError("model failure"))
        else:
            future.set_result("ok")
        self._go_on(*then)

    @rule(who=WHO, then=THEN)
    def sweep(self, who: int, then: tuple[int, int]) -> None:
        worker = self._worker(who)
        worker.loop.spawn(worker.sweeper.sweep())
        self._go_on(*then)

    @rule(who=WHO, then=THEN)
    def look(self, who: int, then: tuple[int, int]) -> None:
        worker = self._worker(who)
        worker.loop.spawn(worker.look())
        self._go_on(*then)

    @rule(seconds=st.sampled_from([1, 15]), then=THEN)
    def time_passes(self, seconds: int, then: tuple[int, int]) -> None:
        self.world.clock.now_s += seconds
        self._go_on(*then)

    # Disturbances

    @rule(who=WHO)
    def kill(self, who: int) -> None:
        self.world.kill(self._worker(who))

    @rule(who=WHO, then=THEN)
    def drain(self, who: int, then: tuple[int, int]) -> None:
        self._worker(who).sigterm()
        self._go_on(*then)

    @rule(who=WHO, steps=STEPS)
    def assign(self, who: int, steps: int) -> None:
        self.world.assign(self._worker(who))
        self._go_on(who, steps)

    @rule(who=WHO, then=THEN)
    def tell(self, who: int, then: tuple[int, int]) -> None:
        self.world.tell(self._worker(who))
        self._go_on(*then)

    @precondition(lambda self: any(w.connection.in_flight() for w in self.world.workers))
    @rule(n=N, ending=st.sampled_from(ENDINGS), then=THEN)
    def batch(self, n: int, ending: str, then: tuple[int, int]) -> None:
        """A batch lands and its acknowledgement is late, or lost and the batch sent again; or
        it is sent again before it lands, and the first copy lands later still; or it fails, though
        it is there; or it fails, and is there later."""
        flying = [(w, b) for w in self.world.workers for b in w.connection.in_flight()]
        worker, batch = flying[n % len(flying)]
        if ending == "twice" or (ending in ("lands", "fails") and batch.first is None):
            batch.land()
        if ending == "again":
            worker.connection.send_again(batch)
        if ending in ("fails", "late"):
            worker.connection.done(batch)
            batch.fail()
            if batch.first is None:
                self.world.kafka.ghosts.append(batch)
        self._go_on(*then)

    @precondition(lambda self: self.world.kafka.ghosts)
    @rule(n=N, then=THEN)
    def ghost_lands(self, n: int, then: tuple[int, int]) -> None:
        ghosts = self.world.kafka.ghosts
        ghosts.pop(n % len(ghosts)).land()
        self._go_on(*then)

    @precondition(lambda self: self.world.kafka.topic(CHANGELOG).acknowledged)
    @rule(back=N, then=THEN)
    def copy_lands(self, back: int, then: tuple[int, int]) -> None:
        """A batch that was acknowledged had been sent before, and that copy lands only now."""
        batches = self.world.kafka.topic(CHANGELOG).acknowledged
        Copy(batches[-1 - back % len(batches)]).land()
        self._go_on(*then)

    @rule(back=st.integers(0, 3))
    def compact(self, back: int) -> None:
        self.world.compact(self.world.kafka.topic(CHANGELOG).end - back)

    @invariant()
    def no_job_is_lost(self) -> None:
        self.world.check_places()
