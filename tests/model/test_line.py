"""Records on their way into the log: what is told of them, and when."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RequestTimedOutError,
)

from log.writer import LogWriter
from tests.model.kafka import BATCH, Connection, Kafka, P
from tests.model.loop import Clock, StepLoop

TOPIC = "topic"
TIMEOUT_S = 10.0


class Line:
    """A writer, its loop and its simulated broker."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.loop = StepLoop(self.clock)
        self.kafka = Kafka(self.clock)
        self.connection = Connection(self.kafka, self.loop)
        self.writer = LogWriter(lambda: cast(Any, self.connection), TIMEOUT_S)
        self.told: list[tuple[bytes, int | type[Exception]]] = []

    def put(self, *values: bytes) -> None:
        with self.loop.running():
            for value in values:
                self._put(value)

    def _put(self, value: bytes) -> None:
        def told(place: int, at: int, error: Exception | None) -> None:
            self.told.append((value, place if error is None else type(error)))

        self.writer.put(TOPIC, P, b"key", value, (), told)

    def rest(self) -> None:
        """Go on until everybody waits for the broker."""
        while self.loop.step():
            pass

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.kafka.topic(TOPIC).records]


@pytest.fixture
def line() -> Line:
    return Line()


def some(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % n for n in range(start, start + count)]


def test_what_comes_while_a_batch_is_on_its_way_makes_the_next(line: Line) -> None:
    line.put(b"0")
    line.rest()
    line.put(*some(BATCH, 1))
    line.rest()
    assert line.told == []
    (first,) = line.connection.in_flight()
    assert [entry[1] for entry in first.entries] == [b"0"]
    line.connection.serve()
    line.rest()
    assert line.told == [(b"0", 0)]
    (second,) = line.connection.in_flight()
    assert [entry[1] for entry in second.entries] == some(BATCH, 1)


def test_all_get_into_the_log_in_the_order_of_the_calls(line: Line) -> None:
    values = some(5 * BATCH + 1)
    for value in values:
        line.put(value)
        line.loop.step()
    while line.loop.step() or line.connection.serve():
        pass
    assert line.values == values
    assert line.told == [(value, place) for place, value in enumerate(values)]


def test_what_kafka_refuses_is_told_and_the_others_go_on(line: Line) -> None:
    line.put(b"0", b"1")
    line.rest()
    line.put(b"2")
    (batch,) = line.connection.in_flight()
    line.connection.done(batch)
    batch.fail()
    while line.loop.step() or line.connection.serve():
        pass
    assert line.told == [(b"0", RequestTimedOutError), (b"1", RequestTimedOutError), (b"2", 0)]


def test_who_waits_behind_one_that_is_not_acknowledged_in_time_is_told_too(line: Line) -> None:
    line.put(b"0")
    line.rest()
    line.put(b"1")
    line.clock.now_s += TIMEOUT_S
    line.rest()
    assert line.told == [(b"0", KafkaTimeoutError), (b"1", KafkaTimeoutError)]
    line.connection.serve()  # it lands after all: nobody is told twice
    line.put(b"2")
    while line.loop.step() or line.connection.serve():
        pass
    assert line.told[2:] == [(b"2", 1)]
    assert line.values == [b"0", b"2"]


def test_what_is_too_large_is_refused_alone(line: Line) -> None:
    large = b"x" * (Connection._max_request_size + 1)
    line.put(b"0", large, b"1", large, large)
    while line.loop.step() or line.connection.serve():
        pass
    assert sorted(line.told, key=str) == sorted(
        [(large, MessageSizeTooLargeError)] * 3 + [(b"0", 0), (b"1", 1)], key=str
    )


def test_what_is_too_large_costs_those_behind_it_no_time(line: Line) -> None:
    large = b"x" * (Connection._max_request_size + 1)
    line.put(b"0", large)
    line.rest()
    line.clock.now_s += TIMEOUT_S - 1
    line.put(b"1")  # as old as it is, and not as what it stood behind
    line.connection.serve()
    line.rest()
    line.clock.now_s += 2
    line.rest()
    line.connection.serve()
    line.rest()
    assert line.told == [(b"0", 0), (large, MessageSizeTooLargeError), (b"1", 1)]


def test_a_producer_that_is_closed_is_told_to_all(line: Line) -> None:
    def closed() -> Any:
        raise ProducerClosed

    line.writer._producer = closed
    line.put(*some(3))
    line.rest()
    assert line.told == [(value, ProducerClosed) for value in some(3)]


def test_a_batch_that_is_given_up_is_told_to_all_of_it(line: Line) -> None:
    line.put(b"0")
    line.rest()
    line.put(b"1")
    (batch,) = line.connection.in_flight()
    with line.loop.running():
        batch.future.cancel()
    line.connection.done(batch)
    while line.loop.step() or line.connection.serve():
        pass
    assert line.told == [(b"0", KafkaError), (b"1", 0)]


def test_one_who_fails_to_hear_does_not_keep_the_others_from_it(line: Line) -> None:
    def deaf(place: int, at: int, error: Exception | None) -> None:
        raise ValueError("as the test wishes")

    with line.loop.running():
        line.writer.put(TOPIC, P, None, b"deaf", (), deaf)
    line.put(b"1")
    while line.loop.step() or line.connection.serve():
        pass
    assert line.told == [(b"1", 1)]
