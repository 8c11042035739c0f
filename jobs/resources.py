"""What handlers share for as long as the worker runs: a database pool, an HTTP client.

@startup
async def open_client():
    async with httpx.AsyncClient() as client:
        yield client

@handler("fetch")
async def fetch(ctx, url):
    return (await ctx.get(httpx.AsyncClient).get(url)).text
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NamedTuple, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")
Opener = TypeVar("Opener", bound=Callable[[], Any])
Closer = TypeVar("Closer", bound=Callable[["Resources"], Any])
Left = AsyncGenerator[Any, None] | Generator[Any, None, None]
Turn = Callable[[int], AbstractAsyncContextManager[None]]


def _no_limit(left: int) -> AbstractAsyncContextManager[None]:
    return nullcontext()


class Resources:
    """Shared objects by their type."""

    def __init__(self) -> None:
        self._by_type: dict[type[Any], Any] = {}
        self._given_by: dict[type[Any], str] = {}
        self.left: dict[Callable[[], Any], Left] = {}  # @startup functions that are at their yield
        self.complete = False  # each @startup function has given what it gives

    def put(self, value: object, by: str = "") -> None:
        """Keep an object under its type; ``by`` names the ``@startup`` function that gave it.

        Raises:
            ValueError: there is one of this type already.
        """
        kind = type(value)
        if kind in self._by_type:
            givers = [name or "the caller" for name in (self._given_by[kind], by)]
            raise ValueError(
                f"{kind.__name__} is given twice, by {givers[0]} and by {givers[1]}: ctx.get finds "
                "one object of a type; make one of them a subclass"
            )
        self._by_type[kind] = value
        self._given_by[kind] = by

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


class Hook(NamedTuple):
    """A ``@startup`` or a ``@shutdown`` function."""

    function: Callable[..., Any]
    opens: bool

    @property
    def name(self) -> str:
        """For messages."""
        module = getattr(self.function, "__module__", "?")
        where = f"{module}.{getattr(self.function, '__qualname__', self.function)}"
        return f"{'@startup' if self.opens else '@shutdown'} {where}"


class Hooks:
    """The ``@startup`` and ``@shutdown`` functions of this process, in the order of imports."""

    def __init__(self) -> None:
        self._hooks: list[Hook] = []

    def add(self, function: Callable[..., Any], *, opens: bool) -> None:
        """Put a function in.

        Raises:
            TypeError: it can't be called as it is going to be.
        """
        hook = Hook(function, opens)
        if not callable(function):
            raise TypeError(f"{hook.name}: it must be a function")
        if not opens and (
            inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
        ):
            raise TypeError(f"{hook.name} has a yield; what is behind it would never run")
        try:
            inspect.signature(function).bind(*(() if opens else (None,)))
        except TypeError as exc:
            takes = "no arguments" if opens else "one argument, the Resources"
            raise TypeError(f"{hook.name} must take {takes}: {exc}") from None
        self._hooks.append(hook)

    def openers(self) -> list[Callable[[], Any]]:
        """The ``@startup`` functions."""
        return [hook.function for hook in self._hooks if hook.opens]

    async def start(self, resources: Resources) -> None:
        """Run the openers; what they return, or yield, is kept. When one fails, its exception
        bears its name as a note, and ``stop`` closes what those before it have opened."""
        for hook in self._hooks:
            if hook.opens:
                try:
                    value = await _opened(hook.function, resources)
                    if value is not None:
                        resources.put(value, hook.name)
                except BaseException as exc:  # sys.exit, too
                    exc.add_note(f"{hook.name} failed")
                    raise
        resources.complete = True

    async def stop(self, resources: Resources, turn: Turn = _no_limit) -> None:
        """Run the closers, and what openers have after their ``yield``, last imported first; one
        that fails doesn't keep the others. Each runs in ``turn(left)``, which may limit it;
        ``left`` counts it and those behind it."""
        hooks = [h for h in reversed(self._hooks) if not h.opens or h.function in resources.left]
        for left, hook in zip(range(len(hooks), 0, -1), hooks, strict=True):
            try:
                async with turn(left):
                    if hook.opens:
                        await _closed(hook.function, resources)
                    else:
                        done = hook.function(resources)
                        if inspect.isawaitable(done):
                            await done
            except (Exception, SystemExit, KeyboardInterrupt) as exc:
                if isinstance(exc, LookupError) and not resources.complete:
                    # The start failed before it; what this one would close was never opened.
                    logger.info("%s had nothing to close: %s", hook.name, exc)
                else:
                    logger.exception("%s failed", hook.name)


async def _opened(function: Callable[[], Any], resources: Resources) -> Any:
    made = function()
    try:
        if inspect.isasyncgen(made):
            value = await anext(made)
        elif inspect.isgenerator(made):
            value = next(made)
        else:
            return await made if inspect.isawaitable(made) else made
    except (StopAsyncIteration, StopIteration):
        raise RuntimeError("it ended before its yield") from None
    resources.left[function] = made
    return value


async def _closed(function: Callable[[], Any], resources: Resources) -> None:
    made = resources.left.pop(function, None)
    if made is None:
        return
    try:
        if inspect.isasyncgen(made):
            await anext(made)
            await made.aclose()
        elif inspect.isgenerator(made):
            next(made)
            made.close()
    except (StopAsyncIteration, StopIteration):
        return
    raise RuntimeError("it has a second yield; what is behind that doesn't run")


HOOKS = Hooks()
"""The hooks of this process; the decorators fill it on import."""


def startup(function: Opener) -> Opener:
    """Run a function, ``def`` or ``async def``, before the worker takes its first job; what it
    returns is there for handlers as ``ctx.get(Type)``. One with a ``yield`` gives what it yields,
    and goes on behind that when the worker has finished its last job.

    Raises:
        TypeError: it takes arguments.
    """
    HOOKS.add(function, opens=True)
    return function


def shutdown(function: Closer) -> Closer:
    """Run a function with the ``Resources`` when the worker has finished its last job.

    Raises:
        TypeError: it doesn't take one argument, or has a ``yield``.
    """
    HOOKS.add(function, opens=False)
    return function
