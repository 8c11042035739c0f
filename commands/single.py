"""``submit`` of one job, by flags."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from aiokafka.errors import MessageSizeTooLargeError

from agents.admission import check
from commands.base import CommandError, option
from commands.kafka import Kafka
from commands.output import Output
from jobs.codec import decode_request
from jobs.errors import InvalidRequest, not_json
from jobs.labels import MAX_KEY_CHARS, Labels, is_key, partition_of
from jobs.model import JobId, Status
from jobs.registry import HANDLERS
from log.writer import Entry, NotWritten
from settings import Settings

SINGLE = (
    option("--handler", help="Which function runs it."),
    option("--data", help="What it gets: any JSON.", metavar="JSON"),
    option("--timeout", help="Limit of one attempt, such as 30s.", metavar="TIME"),
    option("--ttl", type=int, help="Reruns after a failed attempt."),
    option("--delay", help="Start so much later, such as 10m.", metavar="TIME"),
    option("--run-at", help="Start then: 2026-12-01T08:00:00Z.", metavar="TIME"),
    option("--key", help="An idempotency key: of jobs with the same one, the first runs."),
)
"""The options of which ``request_of`` and ``submit_one`` take the values."""


def request_of(settings: Settings, *, any_handler: bool, data: str | None, **given: Any) -> bytes:
    """A job's request, checked as a worker checks ``POST /job``.

    Raises:
        CommandError: names the option that is wrong.
    """
    asked = {name: value for name, value in given.items() if value is not None}
    if data is not None:
        try:
            msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
            text = f"--data: {not_json(exc)}; text has quotes of its own: --data '\"you\"'"
            raise CommandError(text) from None
        asked["data"] = msgspec.Raw(data.encode())
    try:
        value = msgspec.json.encode(asked)
        request = decode_request(value)
        if not any_handler:
            check(request, HANDLERS, settings.max_row_bytes)
    except InvalidRequest as exc:
        flag = f"--{exc.field.replace('_', '-')}" if exc.field in asked else exc.field
        raise CommandError(str(exc).replace(str(exc.field), str(flag), 1)) from None
    return value


async def submit_one(kafka: Kafka, out: Output, value: bytes, key: str | None) -> None:
    """Put it on the topic, and print its id.

    Raises:
        CommandError: the key can't be one, or the topic doesn't take the job.
        NotWritten: Kafka doesn't acknowledge.
    """
    if key is not None and not is_key(key):
        raise CommandError(f"--key must be 1 to {MAX_KEY_CHARS} printable ASCII characters")
    turn = random.randrange(kafka.partitions)
    partition = turn if key is None else partition_of(key, kafka.partitions)
    entry = Entry(partition, None, value, Labels.made(value, key).headers())
    try:
        async with kafka.writer() as writer:
            (meta,) = await writer.write(kafka.names.jobs, [entry])
    except NotWritten as exc:
        if isinstance(exc.__cause__, MessageSizeTooLargeError):
            raise CommandError(
                f"topic {kafka.names.jobs} takes no record of {len(value)} bytes: raise its "
                "max.message.bytes"
            ) from None
        raise
    job_id = str(JobId(partition, meta.offset))
    if out.as_json:
        out.json({"id": job_id, "status": Status.WAITING})
    else:
        out.line(job_id)
