"""What an attempt in a process tells over its connection, and what it keeps to itself."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from execution.line import Line, Wire
from execution.messages import Answer, Progress, Submitted
from jobs.errors import InvalidRequest, NotSubmitted
from jobs.model import JobId


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Wire]]:
    ours, theirs = multiprocessing.Pipe()
    yield ours, Wire(theirs)
    ours.close()
    theirs.close()


def heard(connection: Connection) -> list[Any]:
    """All up to the answer."""
    messages: list[Any] = []
    while not messages or not isinstance(messages[-1], Answer):
        assert connection.poll(20)
        messages.append(connection.recv())
    return messages


def test_the_newest_word_is_told_before_the_answer(ends: tuple[Connection, Wire]) -> None:
    ours, wire = ends
    line = Line(wire)
    for number in range(5):
        line.progress(number / 4, "n" * 1_000)
    line.end(Answer(b"1"))
    messages = heard(ours)
    assert messages[0] == Progress(0.0, "n" * 200)
    assert messages[-2:] == [Progress(1.0, "n" * 200), Answer(b"1")]
    assert messages == sorted(messages[:-1]) + messages[-1:], "each later than the one before"


def test_the_newest_word_is_told_though_none_follows(ends: tuple[Connection, Wire]) -> None:
    ours, wire = ends
    line = Line(wire)
    line.progress(0.1, "")
    line.progress(0.2, "last")
    assert ours.poll(20)
    assert ours.recv() == Progress(0.1, "")
    assert ours.poll(20)
    assert ours.recv() == Progress(0.2, "last")
    line.end(Answer())


def test_after_its_end_an_attempt_tells_nothing(ends: tuple[Connection, Wire]) -> None:
    ours, wire = ends
    line = Line(wire)
    line.end(Answer(b"1"))
    line.progress(0.5, "late")
    with pytest.raises(RuntimeError, match="the attempt is over"):
        line.submit({"handler": "echo"})
    Line(wire).end(Answer(b"2"))  # of the next attempt
    assert heard(ours) + heard(ours) == [Answer(b"1"), Answer(b"2")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Submitted(error="ttl: no number", invalid=True, field="ttl"), InvalidRequest),
        (Submitted(error="Kafka is away"), NotSubmitted),
    ],
)
def test_a_follow_up_that_is_refused(
    ends: tuple[Connection, Wire], answer: Submitted, error: type[Exception]
) -> None:
    ours, wire = ends
    ours.send(answer)
    with pytest.raises(error, match=answer.error) as caught:
        Line(wire).submit({"handler": "echo"})
    assert getattr(caught.value, "field", None) == answer.field
    assert ours.recv().request == b'{"handler":"echo"}'


def test_a_follow_ups_id(ends: tuple[Connection, Wire]) -> None:
    ours, wire = ends
    ours.send(Submitted(JobId(1, 2)))
    assert Line(wire).submit({}) == JobId(1, 2)
