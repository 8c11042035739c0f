"""Waiting for one's turn: whoever came first is woken first, and he alone."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Who waits for something that several wait for, such as a slot."""

    def __init__(self) -> None:
        self._line: deque[asyncio.Future[bool]] = deque()

    async def wait(self, limit_s: float) -> bool:
        """Wait until ``free`` is called for us. False: it wasn't, within ``limit_s``."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._line.append(turn)
        timer = loop.call_later(limit_s, _tell, turn, False)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free()  # it was our turn: now it is the next one's
            raise
        finally:
            timer.cancel()

    def free(self) -> None:
        """It is the turn of whoever has waited longest."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(True)
                return


def _tell(turn: asyncio.Future[bool], mine: bool) -> None:
    if not turn.done():
        turn.set_result(mine)
