"""What a URL's query says, read into a type. What is wrong in it is told, not passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.problems import BadRequest
from web.shapes import ID_PATTERN, PLACES_PATTERN, STATES_PATTERN, described

MAX_LIMIT = 1000

T = TypeVar("T", bound=msgspec.Struct)


Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="At most so many on the page")]
Cursor = Annotated[
    str,
    described("The `next` of the page before, of the same question", pattern=PLACES_PATTERN),
]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``GET /job/all``; what has commas in it is read by ``web.listing``."""

    status: (
        Annotated[
            str,
            described("Only jobs in these states, with commas between", pattern=STATES_PATTERN),
        ]
        | UnsetType
    ) = UNSET
    handler: (
        Annotated[str, described("Only jobs of these handlers, with commas between")] | UnsetType
    ) = UNSET
    error: (
        Annotated[str, described("Only jobs whose error has this in it, in any case")] | UnsetType
    ) = UNSET
    order: Annotated[Literal["id", "newest"], described("By id, or the newest first")] = "id"
    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET


class DeadQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``GET /job/dead``."""

    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET


class WaitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``GET /job/{id}/status``."""

    wait: (
        Annotated[
            str,
            described(
                "Answer when the job is final, or after so long: `30s`, at most `5m`",
                format="wait-text",
            ),
        ]
        | UnsetType
    ) = UNSET


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``GET /job/events``."""

    status: (
        Annotated[str, described("Only these states, with commas between", pattern=STATES_PATTERN)]
        | UnsetType
    ) = UNSET
    handler: Annotated[str, described("Only jobs of this handler")] | UnsetType = UNSET
    id: Annotated[str, described("Only this job", pattern=ID_PATTERN)] | UnsetType = UNSET
    last_event_id: (
        Annotated[str, described("As `Last-Event-ID`, for those who can't set headers")] | UnsetType
    ) = UNSET


def read(given: Mapping[str, str], kind: type[T]) -> T:
    """A query as a type of its own.

    Raises:
        BadRequest: a value is wrong; names the parameter.
    """
    for field in msgspec.structs.fields(kind):
        if field.encode_name in given:
            try:
                msgspec.convert(given[field.encode_name], field.type, strict=False)
            except msgspec.ValidationError:
                raise BadRequest(
                    f"{field.encode_name}: must be {_wanted(field.type)}", field=field.encode_name
                ) from None
    return msgspec.convert(dict(given), kind, strict=False)


def check_names(given: Mapping[str, str], known: Collection[str]) -> None:
    """Whether a query has only parameters that there are, each once.

    A filter that is spelled wrong would else give the whole list, and look like an answer.

    Raises:
        BadRequest: names the parameter.
    """
    for name, times in Counter(name for name, _ in given.items()).items():
        if name not in known:
            there = ", ".join(known) or "none"
            raise BadRequest(
                f"{_shown(name)}: there is no such parameter here; there are: {there}",
                field=_shown(name),
            )
        if times > 1:
            raise BadRequest(f"{name}: is given {times} times; give it once", field=name)


def _shown(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "..."


def _wanted(kind: object) -> str:
    """What a parameter's type takes, in words."""
    schema = msgspec.json.schema(kind)
    while "$ref" in schema:
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if schema.get("type") == "integer":
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    return "text"
