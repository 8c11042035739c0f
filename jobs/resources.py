"""What handlers share for as long as the worker runs: a database pool, an HTTP client.

@startup
async def open_client() -> httpx.AsyncClient:
    return httpx.AsyncClient()

@shutdown
async def close_client(resources: Resources) -> None:
    await resources.get(httpx.AsyncClient).aclose()

@handler("fetch")
async def fetch(ctx, url):
    return (await ctx.get(httpx.AsyncClient).get(url)).text
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")
Opener = Callable[[], Any]
Closer = Callable[["Resources"], Any]


class Resources:
    """Shared objects by their type."""

    def __init__(self) -> None:
        self._by_type: dict[type[Any], Any] = {}

    def put(self, value: object) -> None:
        """Keep an object under its type.

        Raises:
            ValueError: there is one of this type already.
        """
        if type(value) in self._by_type:
            raise ValueError(f"two @startup functions give a {type(value).__name__}")
        self._by_type[type(value)] = value

    def get(self, kind: type[T]) -> T:
        """The object of this type, or of a subclass of it.

        Raises:
            LookupError: no ``@startup`` function gave one.
        """
        if kind in self._by_type:
            found: T = self._by_type[kind]
            return found
        for value in self._by_type.values():
            if isinstance(value, kind):
                return value
        known = ", ".join(sorted(k.__name__ for k in self._by_type)) or "none"
        raise LookupError(f"no @startup function has given a {kind.__name__} (there are: {known})")


class Hooks:
    """The ``@startup`` and ``@shutdown`` functions of this process."""

    def __init__(self) -> None:
        self.openers: list[Opener] = []
        self.closers: list[Closer] = []

    async def start(self, resources: Resources) -> None:
        """Run the openers in the order of their imports; what they return is kept."""
        for opener in self.openers:
            value = opener()
            if inspect.isawaitable(value):
                value = await value
            if value is not None:
                resources.put(value)

    async def stop(self, resources: Resources) -> None:
        """Run the closers, last imported first; one that fails doesn't keep the others."""
        for closer in reversed(self.closers):
            try:
                done = closer(resources)
                if inspect.isawaitable(done):
                    await done
            except (Exception, SystemExit, KeyboardInterrupt):
                logger.exception("@shutdown %s failed", getattr(closer, "__name__", closer))


HOOKS = Hooks()
"""The hooks of this process; the decorators fill it on import."""


def startup(function: Opener) -> Opener:
    """Run a function, ``def`` or ``async def``, before the worker takes its first job; what it
    returns is there for handlers as ``ctx.get(Type)``."""
    HOOKS.openers.append(function)
    return function


def shutdown(function: Closer) -> Closer:
    """Run a function with the ``Resources`` when the worker has finished its last job."""
    HOOKS.closers.append(function)
    return function
