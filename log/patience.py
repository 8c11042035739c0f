"""How long a client waits for a broker that is gone without a word.

A broker that dies closes its connections, and its clients ask another one at once. When its
machine is gone, or the network to it, only a time limit tells; aiokafka 0.14 has one for all
requests, which must be longer than the longest of them: a join, which waits for other members.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

logger = logging.getLogger(__name__)

# A fetch waits for 1.5 s at most, and answers of some megabytes take their time.
ANSWER_S = 10.0
CONNECT_S = 5.0  # meanwhile aiokafka connects to no other broker, either
AGAIN_S = 1.0


def answers_within(
    client: AIOKafkaClient, limit_s: float, coordination_s: float | None = None
) -> None:
    """Set the time limit of a client's requests, before it is started. And none is written to a
    connection that is known to be lost.

    Args:
        coordination_s: another one for what is asked of the group's coordinator.
    """
    client._request_timeout_ms = round(min(limit_s, CONNECT_S) * 1000)  # until connected
    connect = client._get_conn

    async def connection(node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, **how: Any) -> Any:
        made = await connect(node_id, group=group, **how)
        while made is not None and _is_gone(made):
            made.close(reason=CloseReason.CONNECTION_BROKEN)
            made = await connect(node_id, group=group, **how)
        if made is not None:
            coordinates = group is ConnectionGroup.COORDINATION and coordination_s is not None
            made._request_timeout = coordination_s if coordinates else limit_s
        return made

    client._get_conn = connection


def _is_gone(connection: AIOKafkaConnection) -> bool:
    """Whether a connection is closed and aiokafka hasn't been told yet.

    To write to it is a RuntimeError with uvloop, which aiokafka 0.14 takes for its own fault: what
    fetches or produces ends for good (github.com/aio-libs/aiokafka/issues/1038, open).
    """
    writer = connection._writer
    return writer is not None and writer.transport.is_closing()


def waits_for_brokers(client: AIOKafkaClient, stopping: Callable[[], bool]) -> None:
    """Let a client's start wait until a broker answers; aiokafka asks each once, and fails.

    Args:
        stopping: whether nobody needs it any more; its start is cancelled then.
    """
    bootstrap = client.bootstrap

    async def patiently() -> None:
        while True:
            try:
                return await bootstrap()  # type: ignore[no-any-return] # aiokafka has no types
            except KafkaConnectionError as exc:
                logger.warning("waiting for Kafka: %s", exc)
            await asyncio.sleep(AGAIN_S)
            if stopping():
                # Not an error: the service would tell it as a crash of the worker.
                raise asyncio.CancelledError

    client.bootstrap = patiently
