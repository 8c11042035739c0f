"""What a command is asked for, read from its arguments: ids, ranges of ids, times, states."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from commands.base import CommandError, option
from inspection.wanted import IdRange, Span, Wanted
from jobs.errors import InvalidId, InvalidTime
from jobs.model import JobId, Status
from jobs.times import parse_time
from submission.source import Source

TIMES = "a time such as 2026-11-27T10:00Z, '10m ago', or an epoch"


def parse_id(text: str) -> JobId:
    """A job's id.

    Raises:
        CommandError: it is none.
    """
    try:
        return JobId.parse(text)
    except InvalidId as exc:
        raise CommandError(str(exc)) from None


async def read_ids(texts: Sequence[str]) -> list[JobId]:
    """Ids, in the order in which they are given and each once; ``-`` stands for those on standard
    input, one a line.

    Raises:
        CommandError: one is wrong, or a range, or none is given.
    """
    if not texts:
        raise CommandError("which jobs? Give their ids, or - to read ids from standard input")
    found: list[JobId] = []
    for text in several("id", texts):
        if text == "-":
            found += await _lines()
        elif ".." in text:
            raise CommandError(
                f"{text} is a range, and here each job is named: `faust -A app jobs {text} --state "
                "waiting,executing --json | jq -r .id` has the ids of those that haven't ended"
            )
        else:
            found.append(parse_id(text))
    return list(dict.fromkeys(found))


async def _lines() -> list[JobId]:
    try:
        data = b"".join([some async for some in Source("-").steps()])
    except OSError as exc:
        raise CommandError(f"standard input can't be read: {exc.strerror}") from None
    found = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        try:
            found += [parse_id(line.strip())] if line.strip() else []
        except CommandError as exc:
            raise CommandError(f"standard input, line {number}: {exc}") from None
    return found


def parse_ids(texts: Iterable[str]) -> tuple[IdRange, ...]:
    """Ids, and ranges of them such as ``3-1000..3-2000``, in the order of the log. Those that
    overlap become one.

    Raises:
        CommandError: one is wrong, or empty.
    """
    found = sorted(map(_range, several("id", texts)))
    merged: list[IdRange] = []
    for each in found:
        last = merged[-1] if merged else None
        if last and last.partition == each.partition and each.first <= last.last + 1:
            merged[-1] = last._replace(last=max(last.last, each.last))
        else:
            merged.append(each)
    return tuple(merged)


def _range(text: str) -> IdRange:
    first, dots, last = (part.strip() for part in text.partition(".."))
    start = parse_id(first)
    stop = parse_id(last) if dots else start
    if start.partition != stop.partition:
        raise CommandError(
            f"{text.strip()}: a range lies in one partition; give one range for each"
        )
    if start.offset > stop.offset:
        raise CommandError(f"{text.strip()} is empty: its first id comes behind its last")
    return IdRange(start.partition, start.offset, stop.offset)


def parse_statuses(texts: Iterable[str]) -> frozenset[Status]:
    """States, with commas between.

    Raises:
        CommandError: there is no such state.
    """
    found = set()
    for word in several("--state", texts):
        try:
            found.add(Status(word))
        except ValueError:
            known = ", ".join(status.value for status in Status)
            raise CommandError(f"--state {word}: there are {known}") from None
    return frozenset(found)


def several(what: str, texts: Iterable[str]) -> list[str]:
    """Words that may be given more than once, and with commas between.

    Raises:
        CommandError: one is empty, perhaps a variable of a script that has no value. Nothing
            would be meant as everything.
    """
    given = list(texts)
    for text in given:
        if not text.replace(",", "").strip():
            raise CommandError(f"{what} {text!r} is empty: leave it out, or say which")
    return [part.strip() for text in given for part in text.split(",") if part.strip()]


def parse_at(flag: str, text: str | None, now: int | None = None) -> int | None:
    """A time, epoch milliseconds; ``None``: the flag wasn't given.

    Raises:
        CommandError: it is none, or in the future.
    """
    if text is None:
        return None
    try:
        return parse_time(text, time.time_ns() // 1_000_000 if now is None else now)
    except InvalidTime as exc:
        raise CommandError(f"{flag}: {exc}") from None


def parse_span(since: str | None, until: str | None) -> Span:
    """Read ``--since`` and ``--until``.

    Raises:
        CommandError: one is no time, or in the future, or there is nothing between them.
    """
    now = time.time_ns() // 1_000_000
    span = Span(parse_at("--since", since, now), parse_at("--until", until, now))
    if span.since is not None and span.until is not None and span.since >= span.until:
        raise CommandError("nothing lies between --since and --until: is one the other?")
    return span


WANTED = (
    option("--state", "states", multiple=True, help="Only jobs in these states: failed,canceled."),
    option("--handler", "handlers", multiple=True, help="Only jobs of these handlers."),
    option("--since", help=f"Only jobs submitted at or after {TIMES}.", metavar="TIME"),
    option("--until", help="Only jobs submitted before that.", metavar="TIME"),
    option("--error", help="Only jobs whose error has this in it, in any case."),
)
"""The options of which ``parse_wanted`` reads the values, under these names."""


def parse_wanted(
    ids: Iterable[str] = (),
    *,
    states: Iterable[str] = (),
    handlers: Iterable[str] = (),
    since: str | None = None,
    until: str | None = None,
    error: str | None = None,
) -> Wanted:
    """Which jobs a command was asked for.

    Raises:
        CommandError: names the one that is wrong.
    """
    if error is not None and not error.strip():
        raise CommandError("--error is empty: leave it out, or give a part of the text")
    return Wanted(
        parse_ids(ids),
        parse_statuses(states),
        frozenset(several("--handler", handlers)),
        parse_span(since, until),
        (error or "").casefold(),
    )
