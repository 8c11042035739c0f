"""aiokafka's part of the consumer group, with what a worker needs: it says when a heartbeat was
answered, and it goes on after an error."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import InvalidSessionTimeoutError
from aiokafka.protocol.group import SyncGroupRequest

logger = logging.getLogger(__name__)

AGAIN_S = 1.0


def attend(coordinator: Any, session_s: float, heartbeat_at: Callable[[float], None]) -> None:
    """Look after a consumer's ``GroupCoordinator``.

    Args:
        session_s: what is asked of the broker, for messages.
        heartbeat_at: called with the ``time.monotonic()`` at which a heartbeat was sent that
            the broker took, or the last request of a join: a session begins with it, and the
            network may be gone before the first heartbeat.
    """
    heartbeat, send = coordinator._do_heartbeat, coordinator._send_req

    async def noted_join(request: Any) -> Any:
        asked_at = time.monotonic()
        response = await send(request)
        if isinstance(request, SyncGroupRequest) and not response.error_code:
            heartbeat_at(asked_at)
        return response

    async def noted() -> Any:
        asked_at = time.monotonic()
        try:
            # In time to find another coordinator before the session ends there.
            async with asyncio.timeout(session_s / 2):
                success = await heartbeat()
        except TimeoutError:
            logger.warning("consumer group %s: no answer to a heartbeat", coordinator.group_id)
            coordinator.coordinator_dead()
            _hang_up(coordinator)
            return False
        if success:
            heartbeat_at(asked_at)
        return success

    async def go_on(error: Exception) -> None:
        # aiokafka 0.14 keeps the error for the next `getmany` and waits until it was taken
        # there. Faust 0.15.3 fetches past `getmany`: the worker would be in no group, for ever.
        logger.error(
            "consumer group %s: %s; it is joined again",
            coordinator.group_id,
            _say(error, session_s),
        )
        await asyncio.wait([coordinator._closing], timeout=AGAIN_S)
        coordinator.request_rejoin()

    coordinator._send_req = noted_join
    coordinator._do_heartbeat = noted
    coordinator._push_error_to_user = go_on


async def rejoin(coordinator: Any) -> None:
    """Leave the group and join it again as a new member, also in the middle of a join that is
    never answered."""
    await coordinator._maybe_leave_group()
    coordinator.reset_generation()
    coordinator.request_rejoin()
    _hang_up(coordinator)


def _hang_up(coordinator: Any) -> None:
    """What waits for an answer gets an error now; the next request opens another connection."""
    for (_, group), connection in list(coordinator._client._conns.items()):
        if group is ConnectionGroup.COORDINATION:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)


def _say(error: Exception, session_s: float) -> str:
    if isinstance(error, InvalidSessionTimeoutError):
        return (
            f"the broker doesn't take JOBS_SESSION_TIMEOUT={session_s:g}s: it is not between its "
            "group.min.session.timeout.ms and group.max.session.timeout.ms"
        )
    return repr(error)
