"""What headers say of a job."""

from __future__ import annotations

import pytest

from jobs.labels import NO_LABELS, Labels, is_key, partition_of


def test_what_is_written_is_read_back():
    labels = Labels.made(b"{}", "a key", "3-1042")
    assert Labels.of(labels.headers(), b"{}") == labels
    assert labels.digest is not None
    assert Labels.made(b"{}", None, "3-1042").digest is None


def test_a_digest_is_of_the_body_and_of_what_it_repeats():
    made = {Labels.made(body, "k", of).digest for body in (b"{}", b"{ }") for of in (None, "0-1")}
    assert len(made) == 4


def test_replays_have_keys_of_their_own():
    assert Labels.made(b"", "k").scoped == "k"
    assert Labels.made(b"", "k", "0-1").scoped not in ("k", Labels.made(b"", "k", "0-2").scoped)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("other", b"x")],
        [("idempotency-key", None), ("replay-of", None)],
        [("idempotency-key", b""), ("replay-of", b"")],
        [("idempotency-key", b"\xc3\xa9"), ("replay-of", b"03-1")],
        [("idempotency-key", b"x" * 256), ("replay-of", b"\xff")],
        [("idempotency-key", b"a\nb"), ("replay-of", b"1-2\n")],
    ],
)
def test_headers_that_cannot_be_right_are_none(headers):
    assert Labels.of(headers, b"{}") == NO_LABELS


def test_keys():
    assert is_key("x" * 255)
    assert is_key(" ~")
    assert not any(is_key(text) for text in ("", "x" * 256, "\x7f", "a\tb", "é", "a\n"))


def test_the_partition_of_a_key_never_changes():
    """Other versions, and other programs, count on it."""
    assert [partition_of(key, 8) for key in ("a", "order-4711", "x" * 255)] == [2, 3, 4]
