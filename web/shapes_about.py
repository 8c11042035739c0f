"""What ``GET /about`` answers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from jobs.registry import Kind
from web.shapes import described


class Topics(msgspec.Struct, frozen=True):
    """The names of an app's topics."""

    jobs: str
    retry: str
    cancel: str
    dead: str
    changelog: str


class HandlerShape(msgspec.Struct, frozen=True, kw_only=True):
    """A job function; what is null is as the worker has it."""

    name: str
    default: Annotated[bool, described("It runs what names no handler")]
    doc: Annotated[str, described("The first line of its docstring")]
    kind: Annotated[Kind, described("Where it runs: in the event loop, a thread, a process")]
    timeout: Annotated[str | None, described("Of one attempt, such as `3s`")]
    reruns: int | None


class AboutAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker runs, and on what."""

    worker: Annotated[str, described("The address by which other workers reach it")]
    kafka: Annotated[str, described("Its brokers: `host:port`, with commas between")]
    login: Annotated[bool, described("A token is asked for")]
    topics: Topics
    handlers: list[HandlerShape]
