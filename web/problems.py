"""Whatever goes wrong is answered as a problem document (RFC 9457).

Problem
├── BadRequest     400  what was sent can't be read
├── Unauthorized   401  a token is asked for
├── Forbidden      403  it comes from another site
├── NotFound       404
├── SlowBody       408  the body takes too long
├── Conflict       409  the job's state forbids it
├── Gone           410  what is needed for it has expired
├── TooLarge       413
├── Unsupported    415  a body of this kind is not read
├── Misdirected    421  we don't go by this name
├── Unprocessable  422  it can be read, and a field is wrong
├── TooMany        429  it comes too often; says by Retry-After when it won't
└── Unavailable    503  later it will work; says so by Retry-After
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from aiohttp import web
from faust.web.exceptions import WebError

from web.headers import secure

logger = logging.getLogger(__name__)

RETRY_AFTER_S = "1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """Raised by views; the middleware answers it.

    Args:
        detail: for the person who reads the answer: what is wrong, and what to do.
        field: the field of the body or the query that is wrong.
        id: the job that it is about.
    """

    status: ClassVar[int] = 500
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, *, field: str | None = None, id: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.id = id


class BadRequest(Problem):
    """The request can't be read."""

    status = 400


class Unauthorized(Problem):
    """No token, or a wrong one."""

    status = 401
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    """A browser was sent here by a page of another site."""

    status = 403


class NotFound(Problem):
    """There is no such job."""

    status = 404


class SlowBody(Problem):
    """The body doesn't come; the connection is closed."""

    status = 408
    headers: Mapping[str, str] = {"Connection": "close"}


class Conflict(Problem):
    """The job is in a state that forbids it."""

    status = 409


class Gone(Problem):
    """What is needed for it has expired."""

    status = 410


class TooLarge(Problem):
    """The body is larger than a job may be."""

    status = 413


class Unsupported(Problem):
    """The body is of a kind that can't be JSON."""

    status = 415
    headers: Mapping[str, str] = {"Accept-Post": "application/json"}


class Misdirected(Problem):
    """Asked by a name that isn't known to be ours."""

    status = 421


class Unprocessable(Problem):
    """The body is JSON, and one of its fields is wrong."""

    status = 422


class TooMany(Problem):
    """More than is allowed in a time.

    Args:
        retry_after_s: when it is again.
    """

    status = 429

    def __init__(self, detail: str, *, retry_after_s: float) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(math.ceil(retry_after_s))}


class Unavailable(Problem):
    """It can't be answered now; it will be later."""

    status = 503
    headers: Mapping[str, str] = {"Retry-After": RETRY_AFTER_S}


def document(
    request: web.BaseRequest,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **members: str | None,
) -> web.Response:
    """The answer for a problem. Members that are ``None`` are left out."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.rel_url.raw_path,
        **{name: value for name, value in members.items() if value is not None},
    }
    response = web.Response(
        status=status,
        headers=headers,
        body=msgspec.json.encode(_encodable(body)),
        content_type="application/problem+json",
    )
    secure(response)  # also where no signal is sent: what never became a request
    return response


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn everything that is raised on the way into a problem document."""
    try:
        return await handler(request)
    except Exception as exc:
        return _answer(request, exc)


def _answer(request: web.Request, exc: Exception) -> web.StreamResponse:
    match exc:
        case Problem():
            return document(
                request, exc.status, exc.detail, exc.headers, field=exc.field, id=exc.id
            )
        case web.HTTPException() if exc.status < 400:
            raise exc
        case web.HTTPException():
            return _http_error(request, exc)
        case WebError():
            return document(request, exc.code or 500, exc.detail)
        case web.RequestPayloadError():
            return document(request, 400, "the body isn't what its encoding headers say")
        case TimeoutError():
            retry = Unavailable.headers
            return document(request, 503, "it took too long; try again", retry)
        case ConnectionResetError():  # the client is gone: nobody reads this
            return document(request, 400, "the connection was closed")
        case _:
            logger.error("%s %s raised", request.method, request.path, exc_info=exc)
            return document(request, 500, "this is a fault of the worker; its log has the cause")


def _http_error(request: web.Request, exc: web.HTTPException) -> web.Response:
    """What aiohttp itself raises: no such route, wrong method, body too large."""
    headers = {}
    detail = exc.reason
    if isinstance(exc, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(exc.allowed_methods))
        headers["Allow"] = allowed
        detail = f"{request.method} is not for this URL: use {allowed}"
    elif exc.status == 404:
        detail = "there is nothing at this URL; GET /docs lists those that there are"
    elif exc.status == 413:
        detail = too_large(request.client_max_size)
    return document(request, exc.status, detail, headers)


def too_large(limit: int) -> str:
    """The text for a body of more than ``limit`` bytes."""
    return (
        f"the body has more than {limit} bytes: raise JOBS_MAX_BODY, or put the data elsewhere "
        "and send a reference to it"
    )


def _encodable(body: dict[str, Any]) -> dict[str, Any]:
    """Text as JSON can hold it: headers and URLs may bring lone surrogates."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in body.items()
    }
