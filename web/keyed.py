"""``Idempotency-Key``: a request that is sent again gets the job of the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web
from aiokafka.errors import KafkaError
from msgspec import UNSET

from agents.keys import KeyTaken
from jobs.labels import MAX_KEY_CHARS, is_key
from jobs.model import JobId, Status
from tables.partition import PartitionLost
from web import render, shapes
from web.problems import BadRequest, Unavailable, Unprocessable

if TYPE_CHECKING:  # it imports what imports us
    from web.site import Site

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"


def key_of(request: web.Request) -> str | None:
    """The request's key, if it has one.

    Raises:
        BadRequest: it can't be one, or there are two.
    """
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    if len(given) > 1 or not is_key(given[0]):
        text = f"{HEADER}: must be one key of 1 to {MAX_KEY_CHARS} printable ASCII characters"
        raise BadRequest(text, field=HEADER)
    return given[0]


async def submit(
    site: Site,
    partition: int,
    value: bytes,
    key: str,
    replay_of: JobId | None,
    timeout_s: float,
    parent: str | None = None,
) -> tuple[JobId, Status, bool]:
    """The job of a key, its state now, and whether it was there before; for the owner.

    Raises:
        Unprocessable: the key stands for another request.
        Unavailable: the partition is no longer ours, or Kafka can't be read.
        NotWritten: Kafka doesn't acknowledge; the job may have been accepted all the same.
    """
    part = site.owners.served(partition)
    if part is None:
        raise Unavailable(f"partition {partition} is not served by this worker now; try again")
    origin = None if replay_of is None else str(replay_of)
    try:
        job_id, replayed = await site.keys.submit(part, value, key, origin, timeout_s, parent)
    except KeyTaken as exc:
        raise Unprocessable(
            f"{HEADER}: this key was used before, with another body, for job {exc.job_id}; take a "
            "new key for each job",
            field=HEADER,
            id=str(exc.job_id),
        ) from None
    except PartitionLost:
        raise Unavailable(f"partition {partition} is changing its owner; try again") from None
    except (KafkaError, TimeoutError) as exc:
        raise Unavailable(
            f"whether the key has been used can't be told now ({type(exc).__name__}); try again "
            "with the same key"
        ) from None
    job = site.lookup.seen(job_id)  # its record may be unread, or its row on its way
    return job_id, Status.WAITING if job is None else job.status, replayed


def accepted(
    job_id: JobId, status: Status, replayed: bool, replay_of: JobId | None = None
) -> web.Response:
    """The answer to what has become a job."""
    headers = {"Location": f"/job/{job_id}/status"}
    if replayed:
        headers[REPLAYED] = "true"
    origin = UNSET if replay_of is None else str(replay_of)
    body = shapes.Accepted(id=str(job_id), status=status, replay_of=origin)
    return render.answer(body, status=202, headers=headers)
