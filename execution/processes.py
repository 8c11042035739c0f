"""Handlers in processes of their own: a timeout or a cancel kills the process, and another one is
started."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from functools import partial

import msgspec

from execution.calls import in_thread
from execution.child import READY_S, Child, Listener, NeverBegan, ProcessDied
from execution.messages import Answer, Call
from jobs.steering import Discard, Retry


class HandlerFailed(Exception):
    """A handler's exception, as its process told it; the text has its type and message."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.answer = answer


class Processes:
    """Processes for ``process=True`` handlers, started when they are needed and kept.

    There are as many as there were calls at once; who calls keeps the limit.
    """

    def __init__(self) -> None:
        self._all: set[Child] = set()
        self._idle: list[Child] = []
        self._closed = False

    async def call(self, call: Call, listener: Listener) -> msgspec.Raw:
        """Run an attempt. Cancelling it kills the process if the handler has begun; it returns when
        that is gone.

        Raises:
            Retry, Discard: the handler steers.
            HandlerFailed: it raised anything else.
            ProcessDied: its process ended.
            NotReady: there was none in time.
        """
        try:
            answer = await self._ask(call, listener)
        except NeverBegan:  # killed by somebody while it was idle; once more, with another one
            answer = await self._ask(call, listener)
        if answer.result is not None:
            return msgspec.Raw(answer.result)
        if answer.steering == "retry":
            raise Retry(answer.error, delay=answer.delay_ns)
        if answer.steering == "discard":
            raise Discard(answer.error)
        raise HandlerFailed(answer)

    def close(self) -> None:
        """Kill the processes."""
        self._closed = True
        atexit.unregister(self.close)
        for child in self._all:
            child.close()
        self._all.clear()
        self._idle.clear()

    async def _ask(self, call: Call, listener: Listener) -> Answer:
        child = self._take(call.module)
        limit = asyncio.get_running_loop().call_later(READY_S, child.expire)
        try:
            answer: Answer = await in_thread(partial(child.run, call, listener), child.stop)
            return answer
        finally:
            limit.cancel()
            self._give_back(child, call.module)

    def _take(self, module: str) -> Child:
        self._idle.sort(key=lambda child: child.near(module))
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                child.take()
                return child
            self._drop(child)
        child = self._new(module)
        child.take()
        return child

    def _give_back(self, child: Child, module: str) -> None:
        if child.usable:
            self._idle.append(child)
            return
        self._drop(child)
        if not (self._closed or child.broken):
            # The next attempt needn't wait for a process's start then.
            fresh = self._new(module)
            self._idle.append(fresh)
            threading.Thread(target=_start, args=[fresh], daemon=True).start()

    def _new(self, module: str) -> Child:
        if not self._all:
            # multiprocessing waits for its processes when the worker exits: end them before.
            atexit.register(self.close)
        child = Child(module)
        self._all.add(child)
        return child

    def _drop(self, child: Child) -> None:
        self._all.discard(child)
        child.close()


def _start(child: Child) -> None:
    with contextlib.suppress(OSError):  # its first call tries again
        child.start()


__all__ = ["Call", "HandlerFailed", "Listener", "ProcessDied", "Processes"]
