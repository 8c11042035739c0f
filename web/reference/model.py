"""How a call is described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

JSON = "application/json"
HTML = "text/html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer that isn't a problem.

    Args:
        text: when it is given.
        shape: the type of its body; ``None``: it has none that JSON Schema can tell.
        headers: name → what it says, beside those that every answer has.
        at_times: the same, of headers that it may have.
        example: a body.
        links: the name of a call that may follow → where its path's ``id`` stands.
    """

    text: str
    shape: Any = None
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    at_times: Mapping[str, str] = field(default_factory=dict)
    example: Any = None
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One method of one path.

    Args:
        name: its ``operationId``.
        summary: what it is for, in a few words.
        text: what is to be known beside.
        curl: an example that runs as it stands; ``{url}`` is the worker's address.
        query, headers: types whose fields are the parameters.
        body: the type of the request's body, which may also be empty.
        problems: status → when.
        open: no token is asked for.
        any_query: browsers and probes may add to the query what they like.
    """

    name: str
    tag: str
    summary: str
    curl: str
    answers: Mapping[int, Answer]
    text: str = ""
    query: type[msgspec.Struct] | None = None
    headers: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    body_example: Any = None
    problems: Mapping[int, str] = field(default_factory=dict)
    open: bool = False
    any_query: bool = False

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names that its query may have."""
        return (
            tuple(f.encode_name for f in msgspec.structs.fields(self.query)) if self.query else ()
        )
