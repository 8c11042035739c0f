"""In a handler's process: what its ``@startup`` functions give, opened when first asked for."""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from jobs.errors import told
from jobs.resources import Hooks, Resources

T = TypeVar("T")
Opener = Callable[[], Any]


class OpenedHere(Resources):
    """Runs ``@startup`` functions at the first ``get``, each once in this process.

    Only ``def`` ones: there is no event loop here. One that fails is run again at the next
    ``get``, in another attempt, say. What stands behind a ``yield`` isn't run: the process is
    killed.
    """

    def __init__(self, hooks: Hooks) -> None:
        super().__init__()
        self.modules: tuple[str, ...] = ()
        """Imported before: the handler's own module needn't import all that has hooks."""
        self._hooks = hooks
        self._seen: set[Opener] = set()
        self._asynchronous: list[str] = []
        self._at_their_yield: list[Any] = []
        self._lock = threading.RLock()

    def get(self, kind: type[T]) -> T:
        """The object of this type, or of a subclass of it.

        Raises:
            LookupError: no ``@startup`` function has given one here.
            RuntimeError: one failed.
        """
        with self._lock:
            for module in self.modules:
                importlib.import_module(module)
            for opener in self._hooks.openers():
                if opener not in self._seen:
                    self._open(opener)
        try:
            return super().get(kind)
        except LookupError as exc:
            if not self._asynchronous:
                raise
            names = ", ".join(self._asynchronous)
            raise LookupError(
                f"{exc}; {names}: @startup functions that are async def don't run in processes. "
                "Give what a process=True handler needs by a def one"
            ) from None

    def _open(self, opener: Opener) -> None:
        name = getattr(opener, "__name__", repr(opener))
        value: Any = None
        if inspect.iscoroutinefunction(opener) or inspect.isasyncgenfunction(opener):
            self._asynchronous.append(name)
        else:
            try:
                value = opener()
                if inspect.isgenerator(value):
                    self._at_their_yield.append(value)  # or it would be closed
                    value = next(value)
            except BaseException as exc:
                text = f"@startup {name} failed in the process: {told(exc)}"
                raise RuntimeError(text) from exc
        if inspect.iscoroutine(value):
            value.close()
            self._asynchronous.append(name)
        elif value is not None:
            self.put(value)
        self._seen.add(opener)
