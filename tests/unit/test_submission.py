"""Lines of jobs, and the journal of those that were sent."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import handlers  # noqa: F401 - registers those that come with the worker
from jobs.registry import HANDLERS
from submission.journal import Head, Journal, JournalError, Step, by_partition
from submission.lines import BadLine, Line, Lines, checker

HEAD = Head("orders-1", "jobs", "here", {"0": 5, "1": 7})


def read(*parts: bytes, max_bytes: int = 100) -> list[tuple[int, bytes]]:
    lines = Lines(max_bytes)
    return [(line.number, line.value) for part in (*parts, b"") for line in lines.feed(part)]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines_are_the_same_however_they_come(size: int) -> None:
    text = b'\xef\xbb\xbf{"a":1}\r\n\n  {"b":2}  \n\xc3\xa4\n{"c":3}'
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    assert read(*parts) == [
        (1, b'{"a":1}'),
        (3, b'{"b":2}'),
        (4, "ä".encode()),
        (5, b'{"c":3}'),
    ]


def test_digests_are_of_all_lines_up_to_one() -> None:
    first, *_ = list(Lines(100).feed(b"a\nb\n"))
    again, other = Lines(100).feed(b"a\nc\n")
    assert (first, other.digest != first.digest) == (again, True)
    (moved,) = Lines(100).feed(b"\na\n")
    assert moved.digest != first.digest, "its number, by which it has its key, is another"


def test_a_line_that_is_too_long_is_never_held() -> None:
    lines = Lines(10)
    assert [line.value for line in lines.feed(b"1234567890\n")] == [b"1234567890"]
    with pytest.raises(BadLine, match=r"line 2: it is longer than the 10 bytes"):
        list(lines.feed(b"x" * 11))
    with pytest.raises(BadLine, match="line 1"):
        read(b"12345678901\n", max_bytes=10)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"[", "line 7: a job is a JSON object: expected object, got array"),
        (b"5", "line 7: a job is a JSON object: expected object, got int (each line is a job"),
        (b'{"ttl":-1}', "line 7: ttl: expected int >= 0"),
        (b'{"handler":"nope"}', "line 7: handler: no handler is named 'nope' (known: "),
        (b'{"timeout":"3"}', "line 7: timeout: '3' is no duration"),
        (b'{"data":"' + b"x" * 10_000 + b'"}', "line 7: data: 10002 bytes are more than a row"),
        (b"\xff", "line 7: not UTF-8 at byte 0"),
    ],
)
def test_a_line_is_checked_as_a_post_is(value: bytes, says: str) -> None:
    with pytest.raises(BadLine) as caught:
        checker(HANDLERS, 10_000)(Line(7, value, ""))
    assert str(caught.value).startswith(says)


def test_handlers_may_be_left_to_workers() -> None:
    look = checker(HANDLERS, 10_000, any_handler=True)
    look(Line(1, b'{"handler":"nope"}', ""))
    with pytest.raises(BadLine, match="ttl"):
        look(Line(1, b'{"handler":"nope","ttl":-1}', ""))


def test_a_journal_says_how_far_it_has_got(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl.submitted"
    journal = Journal(path)
    assert journal.head is None
    journal.begin(HEAD)
    assert journal.step == Step(places=HEAD.places)
    for line in (10, 20):
        journal.write(Step(line, line, "d", {"0": line, "1": 7}, "0-9"))
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"line":30,"jobs"')  # a kill in the middle of a step
    with closing(Journal(path)) as again:
        assert (again.head, again.step.line) == (HEAD, 20)
        assert by_partition(again.step.places) == {0: 20, 1: 7}
        again.write(Step(30, 30, "e"))
    with closing(Journal(path)) as last:
        assert last.step.line == 30


@pytest.mark.parametrize("text", [b"", b"{", b'{"name":"orders-1","top'])
def test_a_kill_before_the_head_was_whole(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.submitted"
    path.write_bytes(text)
    with closing(Journal(path)) as journal:
        assert journal.head is None
        journal.begin(HEAD)
    with closing(Journal(path)) as again:
        assert again.head == HEAD


@pytest.mark.parametrize(
    "text",
    [b"hello", b"hello\n", b'{"name":1}\n', b"{}\n", b'{"name":"a"}\n{"line":1}\n', b"\xff\n"],
)
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "precious"
    path.write_bytes(text)
    with pytest.raises(JournalError, match="is no journal of a submission"):
        Journal(path)
    assert path.read_bytes() == text


def test_a_device_is_no_journal() -> None:
    with pytest.raises(JournalError, match="/dev/zero is no file"):
        Journal(Path("/dev/zero"))


def test_nobody_else_can_open_it_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.submitted"
    journal = Journal(path)
    with pytest.raises(JournalError, match="another `submit` is at work"):
        Journal(path)
    journal.close()
    assert not path.exists(), "it was never begun"
    Journal(path).close()
